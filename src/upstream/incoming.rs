//! The reply's direction of a call as HTTP/2 carries it, and what becomes of a call when nobody waits for it any more.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use h2::RecvStream;
use h2::client::ResponseFuture;
use http::HeaderMap;
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep_until};

use super::activity::Activity;
use super::live::{Live, Stream};
use super::member::{Outcome, Underway};
use super::status::{self, Ending};
use crate::fault::{Fault, Kind};

/// A reply in its parts: head, data as it comes, trailers. Dropping it before its end abandons the call.
pub struct Incoming {
    state: State,
    /// Whether the head had the status of success already, as in a reply without trailers.
    early: bool,
    /// Its part of the connection. None once that is left to what comes behind it.
    stream: Option<Stream>,
    /// How many bytes the connection had written when the call was handed to it.
    mark: u64,
    deadline: Option<Instant>,
    /// Told how the call ends.
    underway: Underway,
    /// Told of messages.
    activity: Option<Arc<Activity>>,
}

enum State {
    Head(ResponseFuture),
    Data(RecvStream),
    Over,
}

impl Incoming {
    pub(super) fn new(
        response: ResponseFuture,
        live: Arc<Live>,
        mark: u64,
        deadline: Option<Instant>,
        underway: Underway,
        activity: Option<Arc<Activity>>,
    ) -> Self {
        let stream = Some(Stream::new(live));
        Self { state: State::Head(response), early: false, stream, mark, deadline, underway, activity }
    }

    /// Waits for the initial metadata.
    ///
    /// # Errors
    /// A status among them (the fault has all of them then), a reply that is no gRPC, or a connection that is lost.
    pub async fn head(&mut self) -> Result<HeaderMap, Fault> {
        let State::Head(response) = &mut self.state else { return Ok(HeaderMap::new()) };
        let response = match response.await {
            Ok(response) => response,
            Err(error) => {
                self.state = State::Over;
                return Err(self.failed(&error));
            }
        };
        let (head, stream) = response.into_parts();
        // From here on an early return drops the stream, which resets it where it isn't over by itself.
        self.state = State::Over;
        let ended = stream.is_end_stream();
        match status::ending(&head.headers) {
            // A trailers-only reply has its status among the headers, whatever else they say.
            Ending::Failed(fault) => {
                self.underway.ended(Outcome::Status(fault.code()));
                return Err(fault.with_headers(head.headers));
            }
            Ending::Ok => self.early = true,
            Ending::Unsaid => {}
        }
        if let Some(fault) = status::foreign(head.status, &head.headers) {
            self.underway.ended(Outcome::NotGrpc);
            return Err(fault);
        }
        if ended && !self.early {
            self.underway.ended(Outcome::NotGrpc);
            return Err(status::unsaid());
        }
        self.underway.answered();
        self.state = State::Data(stream);
        Ok(head.headers)
    }

    /// The next piece of data, wherever it was cut; `None` before the trailers.
    ///
    /// # Errors
    /// A reset, or a connection that is lost.
    pub fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Fault>>> {
        let State::Data(stream) = &mut self.state else { return Poll::Ready(None) };
        Poll::Ready(match ready!(stream.poll_data(cx)) {
            Some(Ok(data)) => {
                if let Some(activity) = &self.activity {
                    activity.message();
                }
                // Asked for only when the client has taken what came before, so the window may grow again. It
                // fails only for streams that are gone, and then the next poll says so.
                let _ = stream.flow_control().release_capacity(data.len());
                Some(Ok(data))
            }
            Some(Err(error)) => Some(Err(self.failed(&error))),
            None => None,
        })
    }

    /// The trailers, once there is no more data.
    ///
    /// # Errors
    /// As [`Incoming::poll_data`].
    pub fn poll_trailers(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<HeaderMap>, Fault>> {
        let State::Data(stream) = &mut self.state else { return Poll::Ready(Ok(None)) };
        stream.poll_trailers(cx).map_err(|error| self.failed(&error))
    }

    /// How the call ended, by what its trailers say.
    ///
    /// # Errors
    /// The backend's status, or that there is none.
    pub fn ending(&mut self, trailers: Option<&HeaderMap>) -> Result<(), Fault> {
        let (outcome, ending) = match trailers.map(status::ending) {
            Some(Ending::Ok) => (Outcome::Ok, Ok(())),
            Some(Ending::Failed(fault)) => (Outcome::Status(fault.code()), Err(fault)),
            None if self.early => (Outcome::Ok, Ok(())),
            Some(Ending::Unsaid) | None => (Outcome::NotGrpc, Err(status::unsaid())),
        };
        self.underway.ended(outcome);
        ending
    }

    /// Takes note of an error below gRPC, and gives what it means.
    fn failed(&mut self, error: &h2::Error) -> Fault {
        let mut outcome = status::outcome(error);
        let left_at = self.stream.as_ref().map(|stream| stream.live().written());
        if outcome == Outcome::Lost && left_at == Some(self.mark) {
            outcome = Outcome::TakenBack;
        }
        self.underway.ended(outcome);
        let fault = status::from_h2(error);
        match outcome {
            Outcome::TakenBack | Outcome::Reset(h2::Reason::REFUSED_STREAM) => fault.unprocessed(),
            _ => fault,
        }
    }

    /// Whether the head said already that the call is well, so that no trailers follow.
    #[must_use]
    pub fn is_early(&self) -> bool {
        self.early
    }

    /// Whether nothing more comes.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// Lets go of a call that has ended, or resets it.
    pub fn close(&mut self) {
        self.state = State::Over;
    }

    /// What came breaks the rules of gRPC, or goes beyond what is taken, as the caller found out.
    pub fn refuse(&mut self, fault: &Fault) {
        if fault.kind() == Kind::BadReply {
            self.underway.ended(Outcome::NotGrpc);
        }
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        let state = std::mem::replace(&mut self.state, State::Over);
        let Some(stream) = self.stream.take() else { return };
        // A call whose time is over was seen by its backend long ago, and nothing more comes of it.
        let is_late = self.deadline.is_some_and(|deadline| deadline <= Instant::now());
        if is_late && !matches!(state, State::Over) {
            stream.live().suspect(self.underway.began());
        }
        if matches!(state, State::Over) || is_late || stream.live().may_reset() {
            // Dropping a stream that isn't over resets it.
            return;
        }
        // A backend that sees many resets at once may take the whole connection for an attack and close it, with every
        // other call on it. What is over the allowance is read and thrown away, until it ends, may be reset, or its
        // deadline passes.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(discard(state, stream, self.deadline));
        }
    }
}

/// How often a call that is being thrown away looks whether it may be reset.
const LOOK: Duration = Duration::from_millis(250);

async fn discard(mut state: State, stream: Stream, deadline: Option<Instant>) {
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
            () = look => if stream.live().may_reset() { return },
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
