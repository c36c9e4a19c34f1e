//! A large reply of one message, which becomes JSON while it arrives. The status goes out before the backend has said
//! its own, so what fails afterwards cuts the answer off.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Response, header};
use http_body::Frame;
use tokio::time::{Instant, Sleep, sleep_until};

use super::answer;
use crate::codec::JsonStyle;
use crate::fault::Fault;
use crate::policy::{cancelled_in_time, deadline_passed};
use crate::protocol::body::{Aborted, LiveBody, ReplyBody};
use crate::protocol::metadata;
use crate::transcode::{Binding, JsonPieces, Wishes};
use crate::upstream::{LargeReply, Replies, UnaryReply};

/// A piece of the answer is handed over at this size. Larger ones were not cheaper.
const PIECE: usize = 64 << 10;
/// How much it may outgrow that by the last step, without being moved.
const SLACK: usize = 32 << 10;
/// So much of the message is translated at once.
const STEP: usize = 16 << 10;

/// What becomes of a large reply.
pub(super) enum Begun {
    /// Its beginning is known to be good.
    Answer(Response<ReplyBody>),
    /// It can't be written in pieces, so all of it was waited for.
    Whole(UnaryReply),
}

/// Begins to answer with a large reply.
///
/// # Errors
/// The backend's status, what kept it from giving one, or a message that can't be read, where that is known already.
pub(super) async fn begin(
    binding: &Arc<Binding>,
    reply: LargeReply,
    style: JsonStyle,
    wishes: &Wishes,
    deadline: Option<Instant>,
) -> Result<Begun, Fault> {
    let LargeReply { headers, length, mut replies } = reply;
    let status = answer::wished_status(&headers);
    let head = match gather(&mut replies, BytesMut::new(), JsonPieces::LOOK.min(length)).await {
        Ok(head) => head.freeze(),
        Err(fault) => return Err(fault.with_backend_headers(headers)),
    };
    let json = match JsonPieces::begin(binding, length, &head, style, wishes) {
        Some(json) if !answer::is_bodiless(status) => json,
        Some(_) | None => return whole(headers, length, replies, head).await.map(Begun::Whole),
    };
    let mut body = Large {
        json: Some(json),
        replies: Some(replies),
        part: head,
        out: Vec::with_capacity(PIECE + SLACK),
        deadline: deadline.map(|deadline| Box::pin(sleep_until(deadline))),
        fault: None,
    };
    while !body.part.is_empty() && body.out.len() < PIECE {
        body.step()?;
    }
    let mut headers = metadata::into_response(headers);
    headers.insert(header::CONTENT_TYPE, answer::APPLICATION_JSON);
    Ok(Begun::Answer(answer::with_head(status, headers, ReplyBody::live(body))))
}

/// Adds parts of the message to `bytes` until there are as many as `target`.
async fn gather(replies: &mut Replies, mut bytes: BytesMut, target: usize) -> Result<BytesMut, Fault> {
    while bytes.len() < target {
        match poll_fn(|cx| replies.poll_part(cx)).await.transpose()? {
            // One part is enough as a rule, and then nothing is copied.
            Some(part) if bytes.is_empty() => bytes = part.into(),
            Some(part) => bytes.extend_from_slice(&part),
            None => break,
        }
    }
    Ok(bytes)
}

async fn whole(
    headers: HeaderMap,
    length: usize,
    mut replies: Replies,
    head: Bytes,
) -> Result<UnaryReply, Fault> {
    let ended = async {
        let message = gather(&mut replies, head.into(), length).await?;
        // The status comes behind the last byte.
        gather(&mut replies, BytesMut::new(), usize::MAX).await?;
        Ok(message)
    };
    match ended.await {
        Ok(message) => {
            Ok(UnaryReply { headers, message: message.freeze(), trailers: replies.take_trailers() })
        }
        Err(fault) => Err(Fault::with_backend_headers(fault, headers)),
    }
}

/// The answer's body.
struct Large {
    json: Option<JsonPieces>,
    /// Where the rest of the message comes from; none once it is over.
    replies: Option<Replies>,
    /// What has come and is not translated yet.
    part: Bytes,
    /// The piece that is being put together.
    out: Vec<u8>,
    deadline: Option<Pin<Box<Sleep>>>,
    fault: Option<Fault>,
}

impl Large {
    /// Translates a little of what has come.
    fn step(&mut self) -> Result<(), Fault> {
        let bytes = self.part.split_to(STEP.min(self.part.len()));
        match &mut self.json {
            Some(json) => json.push(&bytes, &mut self.out),
            None => Ok(()),
        }
    }

    /// Puts a piece together; false if it is the last one.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, Fault>> {
        loop {
            if self.out.len() >= PIECE {
                return Poll::Ready(Ok(true));
            }
            if !self.part.is_empty() {
                self.step()?;
                continue;
            }
            let Some(replies) = &mut self.replies else { return Poll::Ready(Ok(false)) };
            match replies.poll_part(cx) {
                Poll::Ready(Some(part)) => self.part = part?,
                Poll::Ready(None) => {
                    self.replies = None;
                    if let Some(json) = self.json.take() {
                        json.finish(&mut self.out)?;
                    }
                }
                // The deadline is the backend's: what it has sent in time is for the client to take.
                Poll::Pending => {
                    let is_over =
                        self.deadline.as_mut().is_some_and(|deadline| deadline.as_mut().poll(cx).is_ready());
                    return if is_over { Poll::Ready(Err(deadline_passed())) } else { Poll::Pending };
                }
            }
        }
    }
}

impl LiveBody for Large {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Aborted>>> {
        let filled = match self.poll_fill(cx) {
            Poll::Ready(filled) => filled,
            Poll::Pending => return Poll::Pending,
        };
        Poll::Ready(match filled {
            Ok(more) => {
                let room = if more { PIECE + SLACK } else { 0 };
                let piece = std::mem::replace(&mut self.out, Vec::with_capacity(room));
                (!piece.is_empty()).then(|| Ok(Frame::data(piece.into())))
            }
            Err(fault) => {
                let deadline = self.deadline.as_ref().map(|deadline| deadline.deadline());
                self.fault = Some(cancelled_in_time(fault, deadline));
                // Dropping the reply's side abandons the call, if it isn't over.
                self.replies = None;
                Some(Err(Aborted))
            }
        })
    }

    fn take_fault(&mut self) -> Option<Fault> {
        self.fault.take()
    }
}
