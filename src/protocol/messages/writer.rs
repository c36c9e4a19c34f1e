//! Replies as the client's frames.

use bytes::Bytes;
use http::HeaderMap;

use super::coding::{COMPRESSED, Codings};
use super::download::Writer;
use super::translate::Translator;
use crate::fault::{Fault, Kind};
use crate::protocol::body::Aborted;
use crate::protocol::carrier::{Carrier, Last};
use crate::upstream::{FRAME_HEAD, start_frame};

/// Messages in frames, carried as the client's protocol does.
pub(super) struct Framed<C> {
    pub translator: Translator,
    pub carrier: C,
    pub codings: Codings,
    pub request_id: Option<String>,
}

/// Puts a last frame behind the messages; trailers stay apart.
fn put(last: Option<Last>, out: &mut Vec<u8>) -> Option<HeaderMap> {
    match last? {
        Last::Frame(frame) => {
            out.extend_from_slice(&frame);
            None
        }
        Last::Trailers(trailers) => Some(trailers),
    }
}

impl<C> Framed<C> {
    /// Adds a message in its frame. After an error `out` may have a part of it.
    fn put_message(&self, message: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        let start = out.len();
        start_frame(out);
        self.translator.reply(message, out)?;
        let body = start + FRAME_HEAD;
        let packed = out.get(body..).and_then(|message| self.codings.pack(message));
        if let Some(packed) = &packed {
            out.truncate(body);
            out.extend_from_slice(packed);
        }
        let length = u32::try_from(out.len() - body).map_err(|_| {
            let message = "the backend's message is over 4 GiB";
            Fault::new(Kind::ReplyTooLarge, "REPLY_TOO_LARGE", message)
        })?;
        if let Some([flags, head @ ..]) = out.get_mut(start..body) {
            *flags = if packed.is_some() { COMPRESSED } else { 0 };
            head.copy_from_slice(&length.to_be_bytes());
        }
        Ok(())
    }
}

impl<C: Carrier> Writer for Framed<C> {
    fn message(&mut self, message: Bytes, out: &mut Vec<u8>) -> Result<(), Fault> {
        let start = out.len();
        let framed = self.put_message(&message, out);
        if framed.is_err() {
            out.truncate(start);
        }
        framed
    }

    fn finish(&mut self, trailers: HeaderMap, out: &mut Vec<u8>) -> Option<HeaderMap> {
        // Without any the status was among the headers.
        put(self.carrier.end((!trailers.is_empty()).then_some(trailers)), out)
    }

    fn fail(&mut self, fault: &mut Fault, out: &mut Vec<u8>) -> Result<Option<HeaderMap>, Aborted> {
        Ok(put(Some(self.carrier.fail(fault, self.request_id.as_deref())), out))
    }

    fn encode(&mut self, piece: Vec<u8>) -> Bytes {
        self.carrier.data(piece.into())
    }
}
