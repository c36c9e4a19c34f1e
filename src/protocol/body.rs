//! The body of an answer.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};

use super::websocket::Session;
use crate::fault::Fault;

/// What a request's body may fail with.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// An answer that can't be finished, in a framing that has no place for an error. The connection or stream is reset, so
/// that nobody takes what was sent for all of it.
#[derive(Debug)]
pub struct Aborted;

impl fmt::Display for Aborted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the answer can't be finished")
    }
}

impl std::error::Error for Aborted {}

/// A body that is made while it is sent. Whoever polls it has taken what it gave before, which is all the back-pressure
/// that there is.
pub trait LiveBody: Send {
    /// The next piece. An error is the last thing that comes.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Aborted>>>;

    /// Why it ended, if that wasn't well; once it has ended.
    fn take_fault(&mut self) -> Option<Fault>;
}

/// One piece of data with trailers where the client asked for them, two pieces that are not worth joining, or a body that
/// is made while it is sent.
pub enum ReplyBody {
    Whole {
        data: Option<Bytes>,
        trailers: Option<Box<HeaderMap>>,
    },
    Two {
        first: Option<Bytes>,
        last: Option<Bytes>,
    },
    Live {
        body: Box<dyn LiveBody>,
        over: bool,
    },
    /// None: the connection becomes a WebSocket, and this goes on there.
    Session(Option<Session>),
}

impl ReplyBody {
    #[must_use]
    pub fn empty() -> Self {
        Self::Whole { data: None, trailers: None }
    }

    /// One piece of data, and trailers behind it.
    #[must_use]
    pub fn with_trailers(data: Bytes, trailers: HeaderMap) -> Self {
        let trailers = (!trailers.is_empty()).then(|| Box::new(trailers));
        Self::Whole { data: (!data.is_empty()).then_some(data), trailers }
    }

    /// Two pieces of data, one behind the other.
    #[must_use]
    pub fn two(first: Bytes, last: Bytes) -> Self {
        let some = |piece: Bytes| (!piece.is_empty()).then_some(piece);
        Self::Two { first: some(first), last: some(last) }
    }

    /// What goes on once the connection is a WebSocket.
    #[must_use]
    pub fn session(session: Session) -> Self {
        Self::Session(Some(session))
    }

    /// The session, for who runs it.
    pub fn take_session(&mut self) -> Option<Session> {
        match self {
            Self::Session(session) => session.take(),
            Self::Whole { .. } | Self::Two { .. } | Self::Live { .. } => None,
        }
    }

    #[must_use]
    pub fn live(body: impl LiveBody + 'static) -> Self {
        Self::Live { body: Box::new(body), over: false }
    }

    /// Why a body that was made while it was sent did not end well.
    pub fn take_fault(&mut self) -> Option<Fault> {
        match self {
            Self::Whole { .. } | Self::Two { .. } | Self::Session(_) => None,
            Self::Live { body, .. } => body.take_fault(),
        }
    }
}

impl<T: Into<Bytes>> From<T> for ReplyBody {
    fn from(data: T) -> Self {
        Self::with_trailers(data.into(), HeaderMap::new())
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = Aborted;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Aborted>>> {
        match &mut *self {
            Self::Whole { data, trailers } => Poll::Ready(match data.take() {
                Some(data) => Some(Ok(Frame::data(data))),
                None => trailers.take().map(|trailers| Ok(Frame::trailers(*trailers))),
            }),
            Self::Two { first, last } => {
                let piece = first.take().or_else(|| last.take());
                Poll::Ready(piece.map(|data| Ok(Frame::data(data))))
            }
            Self::Live { over: true, .. } | Self::Session(_) => Poll::Ready(None),
            Self::Live { body, over } => {
                let piece = ready!(body.poll_piece(cx));
                // Trailers are the last thing, and nobody asks for more behind them.
                *over = piece
                    .as_ref()
                    .is_none_or(|piece| piece.as_ref().is_ok_and(Frame::is_trailers) || piece.is_err());
                Poll::Ready(piece)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole { data, trailers } => data.is_none() && trailers.is_none(),
            Self::Two { first, last } => first.is_none() && last.is_none(),
            Self::Live { over, .. } => *over,
            Self::Session(_) => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole { data, trailers } => {
                let length = data.as_ref().map_or(0, Bytes::len) as u64;
                if trailers.is_none() {
                    return SizeHint::with_exact(length);
                }
                // An exact size would make HTTP/1.1 choose Content-Length, which leaves no place for trailers.
                let mut hint = SizeHint::new();
                hint.set_lower(length);
                hint
            }
            Self::Two { first, last } => {
                let pieces = [first, last].into_iter().flatten();
                SizeHint::with_exact(pieces.map(|piece| piece.len() as u64).sum())
            }
            Self::Live { .. } => SizeHint::default(),
            Self::Session(_) => SizeHint::with_exact(0),
        }
    }
}
