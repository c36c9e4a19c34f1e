//! Replies as the client's frames.

use bytes::Bytes;
use http::HeaderMap;

use super::download::Writer;
use super::translate::Translator;
use crate::fault::Fault;
use crate::protocol::body::Aborted;
use crate::protocol::carrier::{Carrier, Last};

/// Messages in frames, carried as the client's protocol does.
pub(super) struct Framed<C> {
    pub translator: Translator,
    pub carrier: C,
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

impl<C: Carrier> Writer for Framed<C> {
    fn message(&mut self, message: Bytes, out: &mut Vec<u8>) -> Result<(), Fault> {
        self.translator.reply_frame(&message, out)
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
