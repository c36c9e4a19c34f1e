//! How the messages of a server stream become the body of a REST answer.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;

use super::exchange::Exchange;
use super::framing::Framer;
use crate::fault::Fault;
use crate::policy::Method;
use crate::protocol::body::Aborted;
use crate::protocol::messages::Writer;
use crate::protocol::metadata;
use crate::transcode::{Binding, Wishes, raw_reply, write_reply};

/// How the messages stand in the body.
pub(super) enum Shape {
    Framed(Framer),
    /// The data of each HttpBody, one behind the other. There is no place for an error among them.
    Raw,
}

/// Writes a streamed answer.
pub(super) struct StreamWriter {
    pub exchange: Arc<Exchange>,
    pub method: Arc<Method>,
    pub binding: Arc<Binding>,
    pub wishes: Wishes,
    pub shape: Shape,
    pub request_id: Option<String>,
    pub wants_trailers: bool,
}

impl StreamWriter {
    /// Trailers, where the client wants them.
    fn wanted(&self, trailers: HeaderMap) -> Option<HeaderMap> {
        self.wants_trailers.then(|| metadata::into_response(trailers)).filter(|trailers| !trailers.is_empty())
    }
}

impl Writer for StreamWriter {
    fn message(&mut self, message: Bytes, out: &mut Vec<u8>) -> Result<(), Fault> {
        match &mut self.shape {
            Shape::Framed(framer) => {
                let before = out.len();
                framer.begin(out);
                let style = self.exchange.settings.json;
                let written = write_reply(&self.binding, &message, style, &self.wishes, out);
                if written.is_err() {
                    framer.undo(out, before);
                }
                written?;
                framer.end(out);
            }
            Shape::Raw => {
                out.extend_from_slice(
                    &raw_reply(&self.method.output, self.binding.response_body, message)?.data,
                );
            }
        }
        Ok(())
    }

    fn heartbeat(&self) -> Option<&'static [u8]> {
        match &self.shape {
            Shape::Framed(framer) => framer.heartbeat(),
            Shape::Raw => None,
        }
    }

    fn finish(&mut self, trailers: HeaderMap, out: &mut Vec<u8>) -> Option<HeaderMap> {
        if let Shape::Framed(framer) = &mut self.shape {
            framer.finish(out);
        }
        self.wanted(trailers)
    }

    fn fail(&mut self, fault: &mut Fault, out: &mut Vec<u8>) -> Result<Option<HeaderMap>, Aborted> {
        match &mut self.shape {
            Shape::Framed(framer) => {
                let schema = &self.method.output.set;
                let error = self.exchange.errors.element(fault, self.request_id.as_deref(), Some(schema));
                framer.fail(out, &error);
                Ok(self.wanted(fault.take_metadata().1))
            }
            Shape::Raw => Err(Aborted),
        }
    }
}
