//! One call on a connection: messages out, messages in.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::SendStream;
use http::HeaderMap;

use super::activity::Activity;
use super::calls::{Again, within};
use super::frame::{BadFrame, Deframer, Start, broken};
use super::incoming::Incoming;
use crate::fault::{Fault, Kind};

/// The request's direction.
pub struct Sender {
    stream: SendStream<Bytes>,
    /// Told of messages.
    activity: Option<Arc<Activity>>,
}

/// The backend takes nothing more; the reply says why.
#[derive(Debug)]
pub struct Closed;

/// The most that is handed over at once; a large message must not take a whole connection's buffer.
const PORTION: usize = 64 << 10;

impl Sender {
    pub(super) fn new(stream: SendStream<Bytes>, activity: Option<Arc<Activity>>) -> Self {
        Self { stream, activity }
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
            self.stream.reserve_capacity(data.len().min(PORTION));
            let capacity = match ready!(self.stream.poll_capacity(cx)) {
                Some(Ok(capacity)) => capacity,
                Some(Err(_)) | None => return Poll::Ready(Err(Closed)),
            };
            let portion = data.split_to(capacity.min(data.len()));
            self.stream.send_data(portion, false).map_err(|_| Closed)?;
            self.note();
        }
        Poll::Ready(Ok(()))
    }

    /// Sends one frame as the last thing, without waiting: for messages whose size is limited.
    pub fn send_last(&mut self, frame: Bytes) {
        // A backend that has answered already takes nothing, and its answer is what counts then.
        let _ = self.stream.send_data(frame, true);
        self.note();
    }

    fn note(&self) {
        if let Some(activity) = &self.activity {
            activity.message();
        }
    }

    /// Says that nothing more comes.
    pub fn finish(&mut self) {
        let _ = self.stream.send_data(Bytes::new(), true);
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

/// A reply of one message.
#[expect(clippy::large_enum_variant, reason = "it goes straight to whoever takes it apart")]
pub enum Reply {
    Whole(UnaryReply),
    Large(LargeReply),
}

/// A reply whose message is on its way still.
pub struct LargeReply {
    /// Initial metadata, as the backend sent it.
    pub headers: HeaderMap,
    /// Bytes of the message.
    pub length: usize,
    /// The message comes by [`Replies::poll_part`].
    pub replies: Replies,
}

/// The reply's messages, one after the other. Dropping it before its end abandons the call.
pub struct Replies {
    reply: Incoming,
    deframer: Deframer,
    trailers: HeaderMap,
    /// Until the call is answered, where it may be tried again.
    again: Option<Box<Again>>,
}

impl Replies {
    pub(super) fn new(reply: Incoming, max_message: usize) -> Self {
        Self::with_again(reply, max_message, None)
    }

    /// Those of a call that is tried again where it fails before it is answered.
    pub(super) fn with_again(reply: Incoming, max_message: usize, again: Option<Box<Again>>) -> Self {
        Self { reply, deframer: Deframer::new(max_message, 0), trailers: HeaderMap::new(), again }
    }

    /// Waits for the initial metadata.
    ///
    /// # Errors
    /// As [`Incoming::head`].
    pub async fn head(&mut self) -> Result<HeaderMap, Fault> {
        let Some(again) = &mut self.again else { return self.reply.head().await };
        loop {
            let head = self.reply.head();
            let answered = match again.ends() {
                None => head.await,
                Some(ends) => within(ends, head).await,
            };
            let fault = match answered {
                Ok(head) => {
                    if let Some(again) = self.again.take() {
                        again.commit();
                    }
                    return Ok(head);
                }
                Err(fault) => fault,
            };
            // The request goes with it.
            (_, self.reply) = again.reopen(fault).await?;
        }
    }

    /// The next message; `None` once the backend has ended the call with OK.
    ///
    /// # Errors
    /// The backend's status, or what kept it from giving one. Nothing comes after an error.
    pub fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Fault>>> {
        let polled = ready!(self.poll_next(cx));
        self.close_behind(polled.as_ref());
        Poll::Ready(polled)
    }

    /// [`Replies::poll_message`], awaited.
    ///
    /// # Errors
    /// As there.
    pub async fn message(&mut self) -> Result<Option<Bytes>, Fault> {
        poll_fn(|cx| self.poll_message(cx)).await.transpose()
    }

    /// Nothing comes after an end or an error.
    fn close_behind(&mut self, polled: Option<&Result<Bytes, Fault>>) {
        if let Some(Err(fault)) = polled {
            self.reply.refuse(fault);
        }
        if !matches!(polled, Some(Ok(_))) {
            self.reply.close();
        }
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Fault>>> {
        if self.reply.is_over() {
            return Poll::Ready(None);
        }
        loop {
            match self.deframer.next_message() {
                Ok(Some((_, message))) => return Poll::Ready(Some(Ok(message))),
                Ok(None) => {}
                Err(bad) => return Poll::Ready(Some(Err(bad.of_backend()))),
            }
            if !ready!(self.poll_more(cx))? {
                return self.poll_end(cx);
            }
        }
    }

    /// Takes more data in; false where there is no more.
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, Fault>> {
        let more = ready!(self.reply.poll_data(cx)).transpose()?;
        let there_is = more.is_some();
        if let Some(data) = more {
            self.deframer.push(data);
        }
        Poll::Ready(Ok(there_is))
    }

    /// The backend's status behind all data, if it isn't OK.
    fn poll_end<T>(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T, Fault>>> {
        let trailers = ready!(self.reply.poll_trailers(cx))?;
        if let Err(fault) = self.reply.ending(trailers.as_ref()) {
            let own = trailers.filter(|_| fault.kind() == Kind::Backend).unwrap_or_default();
            return Poll::Ready(Some(Err(fault.with_trailers(own))));
        }
        if self.deframer.is_open() || !self.deframer.is_empty() {
            return Poll::Ready(Some(Err(broken("a truncated message"))));
        }
        self.trailers = trailers.unwrap_or_default();
        Poll::Ready(None)
    }

    /// The reply of a call that has one message: as a whole, or opened if the message has more than `above` bytes.
    ///
    /// # Errors
    /// The backend's status, what kept it from giving one, or another number of messages.
    pub async fn only_or_large(mut self, above: usize) -> Result<Reply, Fault> {
        let headers = self.head().await?;
        match poll_fn(|cx| self.poll_start(above, cx)).await {
            Ok(Start::Large(length)) => Ok(Reply::Large(LargeReply { headers, length, replies: self })),
            Ok(Start::Unknown | Start::Small) => self.only_behind(headers).await.map(Reply::Whole),
            Err(fault) => Err(fault.with_backend_headers(headers)),
        }
    }

    fn poll_start(&mut self, above: usize, cx: &mut Context<'_>) -> Poll<Result<Start, Fault>> {
        loop {
            match self.deframer.start(above).map_err(BadFrame::of_backend)? {
                Start::Unknown => {}
                known @ (Start::Small | Start::Large(_)) => return Poll::Ready(Ok(known)),
            }
            if !ready!(self.poll_more(cx))? {
                return Poll::Ready(Ok(Start::Unknown));
            }
        }
    }

    /// The next bytes of a large message; `None` once it is whole and the backend has ended the call with OK.
    ///
    /// # Errors
    /// As [`Replies::only`]. Nothing comes after an error.
    pub fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Fault>>> {
        let polled = ready!(self.poll_next_part(cx));
        self.close_behind(polled.as_ref());
        Poll::Ready(polled)
    }

    fn poll_next_part(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Fault>>> {
        if self.reply.is_over() {
            return Poll::Ready(None);
        }
        loop {
            if let Some(part) = self.deframer.part() {
                return Poll::Ready(Some(Ok(part)));
            }
            if !self.deframer.is_empty() {
                return Poll::Ready(Some(Err(broken("more than one message"))));
            }
            if !ready!(self.poll_more(cx))? {
                return self.poll_end(cx);
            }
        }
    }

    /// The whole reply of a call that has one message.
    ///
    /// # Errors
    /// The backend's status, what kept it from giving one, or another number of messages.
    pub async fn only(&mut self) -> Result<UnaryReply, Fault> {
        let headers = self.head().await?;
        self.only_behind(headers).await
    }

    async fn only_behind(&mut self, headers: HeaderMap) -> Result<UnaryReply, Fault> {
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
