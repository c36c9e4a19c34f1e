//! One message from the client's codec to the backend's and back.

use std::sync::Arc;

use bytes::Bytes;

use super::Exchange;
use crate::fault::Fault;
use crate::policy::{Codec, Method};
use crate::transcode::{message_of, write_json};
use crate::upstream::{FRAME_HEAD, finish_frame, start_frame};

/// Translates the messages of one call.
#[derive(Clone)]
pub(in crate::protocol) struct Translator {
    pub exchange: Arc<Exchange>,
    pub method: Arc<Method>,
    pub codec: Codec,
}

impl Translator {
    /// A client's message, as the frame that a backend takes.
    ///
    /// # Errors
    /// JSON that is no such message.
    pub(in crate::protocol) fn request(&self, message: &[u8]) -> Result<Bytes, Fault> {
        let mut frame = Vec::with_capacity(message.len() + FRAME_HEAD);
        start_frame(&mut frame);
        match self.codec {
            Codec::Proto | Codec::Other => frame.extend_from_slice(message),
            Codec::Json => message_of(&self.method.input, message, &self.exchange.rules, &mut frame)?,
        }
        finish_frame(frame)
    }

    /// Writes a backend's message as the client reads it. After an error `out` may hold a part of it.
    ///
    /// # Errors
    /// A message that its own schema can't read.
    pub(in crate::protocol) fn reply(&self, message: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        match self.codec {
            Codec::Proto | Codec::Other => {
                out.extend_from_slice(message);
                Ok(())
            }
            Codec::Json => write_json(&self.method.output, message, self.exchange.style, out),
        }
    }

    /// All of an answer.
    ///
    /// # Errors
    /// As [`Translator::reply`].
    pub(in crate::protocol) fn reply_alone(&self, message: Bytes) -> Result<Bytes, Fault> {
        match self.codec {
            Codec::Proto | Codec::Other => Ok(message),
            Codec::Json => {
                let mut json = Vec::with_capacity(message.len() + message.len() / 2 + 128);
                self.reply(&message, &mut json)?;
                Ok(json.into())
            }
        }
    }
}
