//! The request's side: frames of a client's body become messages, no faster than the backend takes them.

use std::time::Duration;

use bytes::Bytes;
use http_body::Body;

use super::coding::Codings;
use super::translate::Translator;
use crate::fault::Fault;
use crate::protocol::body::BoxError;
use crate::protocol::read;
use crate::upstream::{BadFrame, Deframer, Sender};

/// A client's messages, one after the other.
pub(super) struct Source<B> {
    body: B,
    deframer: Deframer,
    /// How long the next piece may take; a stream may be silent.
    patience: Option<Duration>,
}

impl<B> Source<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError> + Send,
{
    /// `max` is the largest message, in bytes, `flags` the largest flags.
    pub(super) fn new(body: B, max: usize, flags: u8, patience: Option<Duration>) -> Self {
        Self { body, deframer: Deframer::new(max, flags), patience }
    }

    /// The next message and its flags; none behind the last one.
    ///
    /// # Errors
    /// A frame that may not be, a body that ends within one, or a client that stopped sending.
    pub(super) async fn message(&mut self) -> Result<Option<(u8, Bytes)>, Fault> {
        loop {
            if let Some(message) = self.deframer.next_message().map_err(BadFrame::of_client)? {
                return Ok(Some(message));
            }
            match read::next(&mut self.body, self.patience.unwrap_or(Duration::MAX)).await? {
                Some(data) => self.deframer.push(data),
                None if self.deframer.is_empty() => return Ok(None),
                None => return Err(read::cut_within()),
            }
        }
    }

    /// The only message of a call whose method takes one.
    ///
    /// # Errors
    /// As [`Source::message`], and another number of messages than one.
    pub(super) async fn only(&mut self) -> Result<(u8, Bytes), Fault> {
        let message = self.message().await?.ok_or_else(|| read::miscounted(0))?;
        if self.message().await?.is_some() {
            return Err(read::miscounted(2));
        }
        Ok(message)
    }
}

/// Sends all messages and ends the request, unless the backend wants no more. `max` is the largest message, in bytes.
///
/// # Errors
/// As [`Source::message`], and a message that can't be understood. The call must not be completed then: dropping the
/// reply's side abandons it, so that the backend never takes a part for the whole.
pub(super) async fn send_all<B>(
    mut source: Source<B>,
    translator: Translator,
    codings: Codings,
    max: usize,
    mut sender: Sender,
) -> Result<(), Fault>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError> + Send,
{
    while let Some((flags, message)) = source.message().await? {
        let message = codings.unpack(flags, message, max)?;
        if sender.send(translator.request(&message)?).await.is_err() {
            // The reply says why.
            return Ok(());
        }
    }
    sender.finish();
    Ok(())
}
