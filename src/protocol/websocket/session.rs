//! A call on a WebSocket: text frames become messages, replies become text frames, and neither direction runs ahead of who
//! reads it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use http::{HeaderMap, Uri};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, interval_at, sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::{CapacityError, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::clock::{Clock, Silent};
use super::end::End;
use super::{Stop, WebSocketSettings};
use crate::fault::{Fault, Kind};
use crate::policy::{Bound, Method, TimeLimit};
use crate::protocol::rest;
use crate::transcode::{Input, Maker, Url, Wishes, write_reply};
use crate::upstream::{Closed, Replies, Sender, broken};

/// How long the end of a session may take to reach its client.
const FAREWELL: Duration = Duration::from_secs(2);
/// How long the server may take to hand the connection over.
const HANDOVER: Duration = Duration::from_secs(10);
const READ_BUFFER: usize = 8 << 10;
/// A message is on its way to the socket before the next one is made.
const WRITE_BUFFER: usize = 0;

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// All that a session needs, from the handshake on.
pub(super) struct Running {
    pub rest: Arc<rest::Exchange>,
    pub settings: WebSocketSettings,
    pub method: Arc<Method>,
    pub bound: Bound,
    pub uri: Uri,
    pub wishes: Wishes,
    /// The whole request, where the URL says it.
    pub ready: Option<Bytes>,
    pub sender: Sender,
    pub replies: Replies,
    /// The largest message of the client's, in bytes.
    pub max: usize,
    pub limit: TimeLimit,
    pub request_id: Option<String>,
}

/// How a session ended.
enum Outcome {
    Ok(HeaderMap),
    Failed(Fault),
    /// The client closed the connection or is not there any more, so nobody is to be told.
    Left,
    /// The client broke the rules of the framing.
    Broken(CloseCode, Fault),
    /// The gateway stops.
    Stopping,
}

impl Running {
    /// Runs the call to its end. What it failed with is for the log.
    pub(super) async fn run(self, upgrade: OnUpgrade, stop: Stop) -> Option<Fault> {
        let gone = || Some(Fault::new(Kind::Incomplete, "CLIENT_LEFT", "the client left"));
        let Ok(Ok(upgraded)) = timeout(HANDOVER, upgrade).await else { return gone() };
        let config = WebSocketConfig::default()
            .max_message_size(Some(self.max))
            .max_frame_size(Some(self.max))
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(WRITE_BUFFER);
        let socket = Socket::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config)).await;
        let (mut sink, stream) = socket.split();

        let Self {
            rest,
            settings,
            method,
            bound,
            uri,
            wishes,
            ready,
            sender,
            replies,
            max,
            limit,
            request_id,
        } = self;
        let clock = Clock::new();
        let maker = Maker { plan: &method.input, binding: &bound.binding, rules: &rest.settings.request };
        let url = Url { path: uri.path(), captures: &bound.captures, query: uri.query() };
        let upload = Upload { maker, url, max, single: !method.client_streaming, sender, clock: &clock };
        let mut head = HeaderMap::new();
        let outcome = {
            let mut download = Download {
                rest: &rest,
                bound: &bound,
                wishes,
                replies,
                head: &mut head,
                sink: &mut sink,
                clock: &clock,
                ping: settings.ping,
            };
            tokio::select! {
                () = stop => Outcome::Stopping,
                result = download.run(method.server_streaming) => result.unwrap_or_else(Outcome::Failed),
                outcome = upload.run(ready, stream) => outcome,
                () = until(limit.at()) => Outcome::Failed(limit.passed()),
                silent = clock.silence(&settings) => match silent {
                    Silent::Gone => Outcome::Left,
                    Silent::Idle => Outcome::Failed(Fault::new(
                        Kind::SlowClient,
                        "IDLE",
                        "there was no message for too long",
                    )),
                },
            }
        };
        let schema = &method.output.set;
        let (end, fault) = match outcome {
            Outcome::Left => return gone(),
            Outcome::Ok(trailers) => (End::ok(head, trailers), None),
            Outcome::Failed(fault) => {
                let mut fault = limit.judge(fault);
                (End::failed(&mut fault, head, &rest.errors, request_id.as_deref(), schema), Some(fault))
            }
            Outcome::Broken(code, mut fault) => {
                let mut end = End::failed(&mut fault, head, &rest.errors, request_id.as_deref(), schema);
                end.close.code = code;
                (end, Some(fault))
            }
            Outcome::Stopping => {
                let mut fault = Fault::new(Kind::Stopping, "STOPPING", "the gateway stops");
                let mut end = End::failed(&mut fault, head, &rest.errors, request_id.as_deref(), schema);
                end.close.code = CloseCode::Away;
                (end, Some(fault))
            }
        };
        // A client that does not read is not waited for.
        let _ = timeout(FAREWELL, farewell(&mut sink, end)).await;
        fault
    }
}

async fn farewell(sink: &mut SplitSink<Socket, Message>, end: End) -> Result<(), Error> {
    let CloseFrame { code, reason } = end.close;
    sink.feed(Message::text(end.text)).await?;
    sink.feed(Message::Close(Some(CloseFrame { code, reason }))).await?;
    sink.close().await
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// The client's direction.
struct Upload<'s> {
    maker: Maker<'s>,
    url: Url<'s>,
    max: usize,
    /// Whether the method takes one message.
    single: bool,
    sender: Sender,
    clock: &'s Clock,
}

impl Upload<'_> {
    /// Reads as long as the session goes on: a client can leave at any time.
    async fn run(mut self, ready: Option<Bytes>, mut stream: SplitStream<Socket>) -> Outcome {
        let (mut first, mut finished, mut wanted) = (true, false, true);
        if let Some(message) = ready {
            self.sender.send_last(message);
            finished = true;
        }
        loop {
            let text = match stream.next().await {
                None => return Outcome::Left,
                Some(Err(error)) => return self.failed(error),
                Some(Ok(Message::Close(_))) => return Outcome::Left,
                Some(Ok(Message::Text(text))) => text,
                Some(Ok(Message::Binary(_))) => {
                    let fault = Fault::invalid_argument("BINARY_FRAME", "messages are JSON in text frames");
                    return Outcome::Broken(CloseCode::Unsupported, fault);
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {
                    self.clock.heard();
                    continue;
                }
            };
            self.clock.heard();
            self.clock.message();
            if text.is_empty() {
                // It says that nothing more comes.
                if !std::mem::replace(&mut finished, true) {
                    self.sender.finish();
                }
                continue;
            }
            if finished {
                let message = "a message came after the last one that the method takes";
                return Outcome::Failed(Fault::invalid_argument("UNEXPECTED_MESSAGE", message));
            }
            let message = match self.message(text.as_bytes(), std::mem::take(&mut first)) {
                Ok(message) => message,
                Err(fault) => return Outcome::Failed(fault),
            };
            if !wanted {
                continue;
            }
            // Nothing is read while the backend does not take it.
            match self.sender.send(message).await {
                Ok(()) if self.single => {
                    finished = true;
                    self.sender.finish();
                }
                Ok(()) => {}
                // Its reply says why.
                Err(Closed) => wanted = false,
            }
        }
    }

    fn message(&self, text: &[u8], first: bool) -> Result<Bytes, Fault> {
        if first {
            Ok(self.maker.message(self.url, Input::Json(text))?.message)
        } else {
            self.maker.later_message(text)
        }
    }

    fn failed(&self, error: Error) -> Outcome {
        match error {
            Error::Capacity(CapacityError::MessageTooLong { .. }) => {
                Outcome::Broken(CloseCode::Size, Fault::body_too_large(self.max))
            }
            Error::Utf8(_) => {
                let fault = Fault::invalid_argument("BAD_JSON", "a text frame is no UTF-8");
                Outcome::Broken(CloseCode::Invalid, fault)
            }
            Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Outcome::Left,
            Error::Protocol(error) => {
                let fault = Fault::invalid_argument("BAD_FRAME", "the client breaks the rules of WebSocket");
                Outcome::Broken(CloseCode::Protocol, fault.because(error))
            }
            _ => Outcome::Left,
        }
    }
}

/// The backend's direction.
struct Download<'s> {
    rest: &'s rest::Exchange,
    bound: &'s Bound,
    wishes: Wishes,
    replies: Replies,
    /// Initial metadata, once it is there.
    head: &'s mut HeaderMap,
    sink: &'s mut SplitSink<Socket, Message>,
    clock: &'s Clock,
    ping: Duration,
}

impl Download<'_> {
    async fn run(&mut self, streaming: bool) -> Result<Outcome, Fault> {
        let mut pings = interval_at(Instant::now() + self.ping, self.ping);
        // The only message of a method that has one, which counts when the call has ended well.
        let mut only = None;
        loop {
            let step = tokio::select! {
                step = next(&mut self.replies, self.head) => step?,
                _ = pings.tick() => Step::Pause,
            };
            let frame = match step {
                Step::Pause => Message::Ping(Bytes::new()),
                Step::Message(message) if streaming => Message::text(self.text(&message)?),
                Step::Message(message) if only.is_none() => {
                    only = Some(message);
                    continue;
                }
                Step::Message(_) => return Err(broken("more than one message")),
                Step::Ended => match only.take() {
                    Some(message) => Message::text(self.text(&message)?),
                    None if streaming => return Ok(Outcome::Ok(self.replies.take_trailers())),
                    None => return Err(broken("OK without a message")),
                },
            };
            let is_last = !streaming && matches!(frame, Message::Text(_));
            if self.sink.send(frame).await.is_err() {
                return Ok(Outcome::Left);
            }
            if is_last {
                return Ok(Outcome::Ok(self.replies.take_trailers()));
            }
        }
    }

    fn text(&self, message: &[u8]) -> Result<String, Fault> {
        let mut out = Vec::with_capacity(message.len() * 2 + 64);
        self.clock.message();
        write_reply(&self.bound.binding, message, self.rest.settings.json, &self.wishes, &mut out)?;
        // The codec writes UTF-8 alone.
        String::from_utf8(out)
            .map_err(|error| Fault::new(Kind::Bug, "NO_UTF8", "the reply can't be written").because(error))
    }
}

enum Step {
    Message(Bytes),
    Ended,
    /// It is time to ask whether the client is there.
    Pause,
}

/// What the backend says next. It may be dropped while it waits, and nothing is lost.
async fn next(replies: &mut Replies, head: &mut HeaderMap) -> Result<Step, Fault> {
    let metadata = replies.head().await?;
    if !metadata.is_empty() {
        *head = metadata;
    }
    Ok(replies.message().await?.map_or(Step::Ended, Step::Message))
}
