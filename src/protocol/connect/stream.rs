//! A streaming call: messages in frames, whose last one tells how it ended ("Streaming-Request", "Streaming-Response").
//! Messages of protobuf pass as they are, since the frames are those of gRPC.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName};
use http_body::Body;

use super::error::Described;
use super::{content_type, end};
use crate::codec::PlanSet;
use crate::fault::Fault;
use crate::policy::{Admitted, Codec, Connect, ConnectForm, Method};
use crate::protocol::body::BoxError;
use crate::protocol::carrier::{Carrier, Last};
use crate::protocol::messages::{Names, Terms};
use crate::protocol::{Exchanges, Reply, metadata};

const NAMES: Names = Names {
    encoding: HeaderName::from_static("connect-content-encoding"),
    accept: HeaderName::from_static("connect-accept-encoding"),
};

/// Begins the call and gives its answer, which goes on while it is sent.
pub(super) async fn run<B>(
    exchanges: &Exchanges,
    codec: Codec,
    mut admitted: Admitted<()>,
    body: B,
) -> Result<Reply, Fault>
where
    B: Body<Data = Bytes> + Unpin + Send + 'static,
    B::Error: Into<BoxError> + Send,
{
    let call = admitted.call_mut();
    let codings = exchanges.messages.codings(&call.head.headers, &NAMES)?;
    let carrier = Ended {
        method: Arc::clone(&call.resolved.method),
        builtin: Arc::clone(&exchanges.rest.errors.builtin),
    };
    let content_type = content_type(Connect { form: ConnectForm::Stream, codec });
    match codec {
        Codec::Proto | Codec::Other if codings.are_none() => {
            let mut reply = exchanges.grpc.pass(admitted, body, outgoing, carrier).await?;
            let headers = std::mem::take(reply.headers_mut());
            *reply.headers_mut() = metadata::into_response(headers);
            reply.headers_mut().insert(header::CONTENT_TYPE, content_type);
            Ok(reply)
        }
        Codec::Json | Codec::Proto | Codec::Other => {
            call.head.headers = metadata::from_request(std::mem::take(&mut call.head.headers))?;
            let encoding = NAMES.encoding;
            let head = metadata::into_response;
            let terms = Terms { codec, carrier, codings, encoding, content_type, head };
            exchanges.messages.run(admitted, body, terms).await
        }
    }
}

fn outgoing(headers: HeaderMap) -> Result<HeaderMap, Fault> {
    let mut headers = metadata::from_request(headers)?;
    metadata::put_call(&mut headers);
    Ok(headers)
}

/// Frames, with the status as a last one.
struct Ended {
    method: Arc<Method>,
    builtin: Arc<PlanSet>,
}

impl Carrier for Ended {
    const FLAGS: u8 = 0;

    fn data(&mut self, data: Bytes) -> Bytes {
        data
    }

    fn end(&mut self, trailers: Option<HeaderMap>) -> Option<Last> {
        Some(Last::Frame(end::frame(None, trailers.unwrap_or_default())))
    }

    fn fail(&mut self, fault: &mut Fault, request_id: Option<&str>) -> Last {
        // Initial metadata was sent already.
        let (_, trailers) = fault.take_metadata();
        let schema = Some(&self.method.output.set);
        let described = Described { fault, request_id, schema, builtin: &self.builtin };
        Last::Frame(end::frame(Some(&described), trailers))
    }
}
