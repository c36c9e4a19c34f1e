//! One call on a connection: its two directions, and what becomes of it when nobody waits for it any more.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use h2::client::ResponseFuture;
use h2::{RecvStream, SendStream};
use http::HeaderMap;
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep_until};

use super::connection::Live;
use super::frame::{Deframer, broken};
use super::status::{self, Ending};
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
        while !frame.is_empty() {
            self.0.reserve_capacity(frame.len().min(PORTION));
            let capacity = match poll_fn(|cx| self.0.poll_capacity(cx)).await {
                Some(Ok(capacity)) => capacity,
                Some(Err(_)) | None => return Err(Closed),
            };
            let portion = frame.split_to(capacity.min(frame.len()));
            self.0.send_data(portion, false).map_err(|_| Closed)?;
        }
        Ok(())
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

/// The reply's direction. Dropping it before its end abandons the call.
pub struct Replies {
    state: State,
    deframer: Deframer,
    /// The status among the headers, of a reply without trailers.
    early: Option<Ending>,
    trailers: HeaderMap,
    live: Arc<Live>,
    deadline: Option<Instant>,
}

enum State {
    Head(ResponseFuture),
    Data(RecvStream),
    Over,
}

impl Replies {
    pub(super) fn new(
        response: ResponseFuture,
        live: Arc<Live>,
        max_message: usize,
        deadline: Option<Instant>,
    ) -> Self {
        Self {
            state: State::Head(response),
            deframer: Deframer::new(max_message),
            early: None,
            trailers: HeaderMap::new(),
            live,
            deadline,
        }
    }

    /// Waits for the initial metadata.
    ///
    /// # Errors
    /// A status among them, a reply that is no gRPC, or a connection that is lost.
    pub async fn head(&mut self) -> Result<HeaderMap, Fault> {
        let State::Head(response) = &mut self.state else { return Ok(HeaderMap::new()) };
        let response = match response.await {
            Ok(response) => response,
            Err(error) => {
                self.state = State::Over;
                return Err(status::from_h2(&error));
            }
        };
        let (head, stream) = response.into_parts();
        // From here on an early return drops the stream, which resets it where it isn't over by itself.
        self.state = State::Over;
        let ended = stream.is_end_stream();
        match status::ending(&head.headers) {
            // A trailers-only reply has its status among the headers, whatever else they say.
            Ending::Failed(fault) => return Err(fault.with_headers(head.headers)),
            Ending::Ok => self.early = Some(Ending::Ok),
            Ending::Unsaid => {}
        }
        if let Some(fault) = status::foreign(head.status, &head.headers) {
            return Err(fault);
        }
        if ended && self.early.is_none() {
            return Err(status::unsaid());
        }
        self.state = State::Data(stream);
        Ok(head.headers)
    }

    /// The next message; `None` once the backend has ended the call with OK.
    ///
    /// # Errors
    /// The backend's status, or what kept it from giving one. Nothing comes after an error.
    pub fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Fault>>> {
        let polled = ready!(self.poll_next(cx));
        if !matches!(polled, Some(Ok(_))) {
            self.state = State::Over;
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
        let State::Data(stream) = &mut self.state else { return Poll::Ready(None) };
        loop {
            match self.deframer.next() {
                Ok(Some(message)) => return Poll::Ready(Some(Ok(message))),
                Ok(None) => {}
                Err(fault) => return Poll::Ready(Some(Err(fault))),
            }
            match ready!(stream.poll_data(cx)) {
                Some(Ok(data)) => {
                    // Asked for only when the client has taken what came before, so the window may grow again. It
                    // fails only for streams that are gone, and then the next poll says so.
                    let _ = stream.flow_control().release_capacity(data.len());
                    self.deframer.push(data);
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(status::from_h2(&error)))),
                None => break,
            }
        }
        let trailers = match ready!(stream.poll_trailers(cx)) {
            Ok(trailers) => trailers,
            Err(error) => return Poll::Ready(Some(Err(status::from_h2(&error)))),
        };
        let ending = match &trailers {
            Some(trailers) => status::ending(trailers),
            None => self.early.take().unwrap_or(Ending::Unsaid),
        };
        Poll::Ready(match ending {
            Ending::Ok if !self.deframer.is_empty() => Some(Err(broken("a truncated message"))),
            Ending::Ok => {
                self.trailers = trailers.unwrap_or_default();
                None
            }
            Ending::Failed(fault) => Some(Err(fault)),
            Ending::Unsaid => Some(Err(status::unsaid())),
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

impl Drop for Replies {
    fn drop(&mut self) {
        let state = std::mem::replace(&mut self.state, State::Over);
        // A call whose time is over was seen by its backend long ago, and nothing more comes of it.
        let is_late = self.deadline.is_some_and(|deadline| deadline <= Instant::now());
        if matches!(state, State::Over) || is_late || self.live.may_reset() {
            // Dropping a stream that isn't over resets it.
            return;
        }
        // A backend that sees many resets at once may take the whole connection for an attack and close it, with every
        // other call on it. What is over the allowance is read and thrown away, until it ends, may be reset, or its
        // deadline passes.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(discard(state, Arc::clone(&self.live), self.deadline));
        }
    }
}

/// How often a call that is being thrown away looks whether it may be reset.
const LOOK: Duration = Duration::from_millis(250);

async fn discard(mut state: State, live: Arc<Live>, deadline: Option<Instant>) {
    let end = async {
        match deadline {
            Some(deadline) => sleep_until(deadline).await,
            None => std::future::pending().await,
        }
    };
    let mut end = pin!(end);
    loop {
        // Apart from each other, so that those of one moment do not all look at the next one.
        let look = tokio::time::sleep(LOOK.mul_f64(0.5 + fastrand::f64()));
        tokio::select! {
            () = poll_fn(|cx| poll_discard(&mut state, cx)) => return,
            () = look => if live.may_reset() { return },
            () = &mut end => return,
        }
    }
}

/// Ready when the call is over.
fn poll_discard(state: &mut State, cx: &mut Context<'_>) -> Poll<()> {
    loop {
        match state {
            State::Over => return Poll::Ready(()),
            State::Head(response) => match ready!(Pin::new(response).poll(cx)) {
                Ok(response) => *state = State::Data(response.into_body()),
                Err(_) => *state = State::Over,
            },
            State::Data(stream) => match ready!(stream.poll_data(cx)) {
                // The window is not given back, so a backend with much to say soon pauses.
                Some(Ok(_)) => {}
                Some(Err(_)) | None => *state = State::Over,
            },
        }
    }
}
