//! One call on a connection: messages out, messages in.

use std::future::poll_fn;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::SendStream;
use http::HeaderMap;

use super::frame::{Deframer, broken};
use super::incoming::Incoming;
use crate::fault::Fault;

/// The request's direction.
pub struct Sender(SendStream<Bytes>);

/// The backend takes nothing more; the reply says why.
#[derive(Debug)]
pub struct Closed;

/// The most that is handed over at once; a large message must not take a whole connection's buffer.
const PORTION: usize = 64 << 10;

impl Sender {
    pub(super) fn new(stream: SendStream<Bytes>) -> Self {
        Self(stream)
    }

    /// Sends one frame, no faster than the backend takes it.
    ///
    /// # Errors
    /// The backend takes nothing more.
    pub async fn send(&mut self, mut frame: Bytes) -> Result<(), Closed> {
        poll_fn(|cx| self.poll_send(&mut frame, cx)).await
    }

    /// Takes from `data` what the backend takes; ready when nothing is left of it.
    ///
    /// # Errors
    /// The backend takes nothing more.
    pub fn poll_send(&mut self, data: &mut Bytes, cx: &mut Context<'_>) -> Poll<Result<(), Closed>> {
        while !data.is_empty() {
            self.0.reserve_capacity(data.len().min(PORTION));
            let capacity = match ready!(self.0.poll_capacity(cx)) {
                Some(Ok(capacity)) => capacity,
                Some(Err(_)) | None => return Poll::Ready(Err(Closed)),
            };
            let portion = data.split_to(capacity.min(data.len()));
            self.0.send_data(portion, false).map_err(|_| Closed)?;
        }
        Poll::Ready(Ok(()))
    }

    /// Sends one frame as the last thing, without waiting: for messages whose size is limited.
    pub fn send_last(&mut self, frame: Bytes) {
        // A backend that has answered already takes nothing, and its answer is what counts then.
        let _ = self.0.send_data(frame, true);
    }

    /// Says that nothing more comes.
    pub fn finish(&mut self) {
        let _ = self.0.send_data(Bytes::new(), true);
    }
}

/// A call of one message in reply, ended with OK.
#[derive(Debug)]
pub struct UnaryReply {
    /// Initial metadata, as the backend sent it.
    pub headers: HeaderMap,
    /// The message, without its frame.
    pub message: Bytes,
    /// Trailing metadata, as the backend sent it.
    pub trailers: HeaderMap,
}

/// The reply's messages, one after the other. Dropping it before its end abandons the call.
pub struct Replies {
    reply: Incoming,
    deframer: Deframer,
    trailers: HeaderMap,
}

impl Replies {
    pub(super) fn new(reply: Incoming, max_message: usize) -> Self {
        Self { reply, deframer: Deframer::new(max_message), trailers: HeaderMap::new() }
    }

    /// Waits for the initial metadata.
    ///
    /// # Errors
    /// As [`Incoming::head`].
    pub async fn head(&mut self) -> Result<HeaderMap, Fault> {
        self.reply.head().await
    }

    /// The next message; `None` once the backend has ended the call with OK.
    ///
    /// # Errors
    /// The backend's status, or what kept it from giving one. Nothing comes after an error.
    pub fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Fault>>> {
        let polled = ready!(self.poll_next(cx));
        if !matches!(polled, Some(Ok(_))) {
            self.reply.close();
        }
        Poll::Ready(polled)
    }

    /// [`Replies::poll_message`], awaited.
    ///
    /// # Errors
    /// As there.
    pub async fn message(&mut self) -> Result<Option<Bytes>, Fault> {
        poll_fn(|cx| self.poll_message(cx)).await.transpose()
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Fault>>> {
        if self.reply.is_over() {
            return Poll::Ready(None);
        }
        loop {
            match self.deframer.next() {
                Ok(Some(message)) => return Poll::Ready(Some(Ok(message))),
                Ok(None) => {}
                Err(fault) => return Poll::Ready(Some(Err(fault))),
            }
            match ready!(self.reply.poll_data(cx)) {
                Some(Ok(data)) => self.deframer.push(data),
                Some(Err(fault)) => return Poll::Ready(Some(Err(fault))),
                None => break,
            }
        }
        let trailers = match ready!(self.reply.poll_trailers(cx)) {
            Ok(trailers) => trailers,
            Err(fault) => return Poll::Ready(Some(Err(fault))),
        };
        Poll::Ready(match self.reply.ending(trailers.as_ref()) {
            Ok(()) if !self.deframer.is_empty() => Some(Err(broken("a truncated message"))),
            Ok(()) => {
                self.trailers = trailers.unwrap_or_default();
                None
            }
            Err(fault) => Some(Err(fault)),
        })
    }

    /// The whole reply of a call that has one message.
    ///
    /// # Errors
    /// The backend's status, what kept it from giving one, or another number of messages.
    pub async fn only(&mut self) -> Result<UnaryReply, Fault> {
        let headers = self.head().await?;
        let message = match self.message().await {
            Ok(Some(message)) => message,
            Ok(None) => return Err(broken("OK without a message")),
            Err(fault) => return Err(fault.with_backend_headers(headers)),
        };
        match self.message().await {
            Ok(None) => Ok(UnaryReply { headers, message, trailers: self.take_trailers() }),
            Ok(Some(_)) => Err(broken("more than one message")),
            Err(fault) => Err(fault.with_backend_headers(headers)),
        }
    }

    /// The trailing metadata of a call that ended with OK.
    pub fn take_trailers(&mut self) -> HeaderMap {
        std::mem::take(&mut self.trailers)
    }
}
