//! How a client's protocol carries what gRPC carries in DATA and trailers: the same for calls that pass through and for
//! those whose messages are translated.

use bytes::Bytes;
use http::HeaderMap;
use http_body::Frame;

use super::body::ReplyBody;
use crate::fault::Fault;

/// What becomes of frames and trailers.
pub(super) trait Carrier: Send + Unpin {
    /// The largest flags of a frame that may pass: 1 where both sides know of a coding.
    const FLAGS: u8;

    /// A piece of the body, which may be cut anywhere.
    fn data(&mut self, data: Bytes) -> Bytes;

    /// What stands behind the last message of a call that went well; `None` for trailers says that the status was among
    /// the headers.
    fn end(&mut self, trailers: Option<HeaderMap>) -> Option<Last>;

    /// What stands there when the call failed.
    fn fail(&mut self, fault: &mut Fault, request_id: Option<&str>) -> Last;
}

/// The last thing of an answer.
pub(super) enum Last {
    /// A frame, as [`Carrier::data`] takes it.
    Frame(Bytes),
    Trailers(HeaderMap),
}

impl Last {
    /// As a frame of HTTP.
    pub(super) fn into_frame(self, carrier: &mut impl Carrier) -> Frame<Bytes> {
        match self {
            Self::Frame(frame) => Frame::data(carrier.data(frame)),
            Self::Trailers(trailers) => Frame::trailers(trailers),
        }
    }

    /// All of an answer.
    pub(super) fn behind(last: Option<Self>, data: Bytes, carrier: &mut impl Carrier) -> ReplyBody {
        let data = carrier.data(data);
        match last {
            None => ReplyBody::from(data),
            Some(Self::Frame(frame)) => ReplyBody::two(data, carrier.data(frame)),
            Some(Self::Trailers(trailers)) => ReplyBody::with_trailers(data, trailers),
        }
    }
}
