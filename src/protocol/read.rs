//! Reading a request's body as a whole.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::Body;

use super::body::BoxError;
use crate::fault::{Fault, Kind};

/// Reads all of `body`. A body that came in one piece is not copied.
///
/// # Errors
/// More than `max` bytes, an end before the announced length, or no further byte for `patience`.
pub(super) async fn whole<B>(mut body: B, max: usize, patience: Duration) -> Result<Bytes, Fault>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError> + Send,
{
    let mut first = Bytes::new();
    let mut whole = BytesMut::new();
    while !body.is_end_stream() {
        let Some(data) = next(&mut body, patience).await? else { break };
        if data.len() > max.saturating_sub(first.len() + whole.len()) {
            return Err(Fault::body_too_large(max));
        }
        if first.is_empty() && whole.is_empty() {
            first = data;
            continue;
        }
        if whole.is_empty() {
            // The announced length is within the limit, or the body would have been refused unread.
            let announced = usize::try_from(body.size_hint().lower()).unwrap_or(0).min(max);
            whole.reserve(first.len() + data.len() + announced);
            whole.extend_from_slice(&std::mem::take(&mut first));
        }
        whole.extend_from_slice(&data);
    }
    Ok(if whole.is_empty() { first } else { whole.freeze() })
}

/// The next piece of data. A timer is only started where the client lets it wait.
pub(super) async fn next<B>(body: &mut B, patience: Duration) -> Result<Option<Bytes>, Fault>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError> + Send,
{
    loop {
        let frame = match poll_fn(|cx| Poll::Ready(Pin::new(&mut *body).poll_frame(cx))).await {
            Poll::Ready(frame) => frame,
            Poll::Pending => {
                let more = poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx));
                tokio::time::timeout(patience, more).await.map_err(|_| too_slow())?
            }
        };
        match frame {
            None => return Ok(None),
            Some(Err(error)) => return Err(failed(error.into())),
            // Trailers of a request mean nothing in REST.
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}

/// A client that let a piece of its body wait for too long.
pub(super) fn too_slow() -> Fault {
    Fault::new(Kind::SlowClient, "BODY_TIMEOUT", "the request's body did not come in time")
}

/// A body that ended in the middle.
pub(super) fn cut_off() -> Fault {
    Fault::new(Kind::Incomplete, "INCOMPLETE_BODY", "the request's body ended before it was whole")
}

/// A body that is whole, but ends within a message.
pub(super) fn cut_within() -> Fault {
    Fault::invalid_argument("INCOMPLETE_MESSAGE", "the request's body ends within a message")
}

/// Another number of messages than one, for a method that takes one (UNIMPLEMENTED, by gRPC's table for cardinality).
pub(super) fn miscounted(messages: u64) -> Fault {
    let message = if messages == 0 {
        "this method takes one message, and none came"
    } else {
        "this method takes one message, and more than one came"
    };
    Fault::new(Kind::Unsupported, "MESSAGE_COUNT", message)
}

/// What a body's own error means. What stands between the connection and its reader may fail with a fault of its own.
pub(super) fn failed(error: BoxError) -> Fault {
    match error.downcast::<Fault>() {
        Ok(fault) => *fault,
        Err(error) => cut_off().because(error),
    }
}
