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
use tokio::time::{Instant, interval_at, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::{CapacityError, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

use super::clock::{Clock, Silent};
use super::end::End;
use super::{Stop, WebSocketSettings};
use crate::fault::{Fault, Kind};
use crate::policy::{Admitted, Bound, Cleared, Method, TimeLimit};
use crate::protocol::{read, rest};
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
    pub opening: Opening,
    /// The largest message of the client's, in bytes.
    pub max: usize,
    pub limit: TimeLimit,
    pub request_id: Option<String>,
}

/// How far the call to the backend is.
pub(super) enum Opening {
    /// The URL said the whole request, and it is sent.
    Asked(Replies),
    /// Its messages are to come.
    Begun(Sender, Replies),
    /// It can't begin before the rules about its only message were asked.
    Waits(Box<(Admitted<()>, HeaderMap)>),
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
        let (mut sink, mut stream) = socket.split();

        let Self { rest, settings, method, bound, uri, wishes, opening, max, limit, request_id } = self;
        let clock = Clock::new();
        let maker = Maker { plan: &method.input, binding: &bound.binding, rules: &rest.settings.request };
        let url = Url { path: uri.path(), captures: &bound.captures, query: uri.query() };
        let upload = Upload { maker, url, max, single: !method.client_streaming, clock: &clock };
        let mut head = HeaderMap::new();
        let outcome = {
            let (head, sink) = (&mut head, &mut sink);
            let talk = async {
                let (sender, replies) = match opening {
                    Opening::Asked(replies) => (None, replies),
                    Opening::Begun(sender, replies) => (Some(sender), replies),
                    Opening::Waits(waiting) => {
                        let message = match upload.only(&mut stream, sink, settings.ping).await {
                            Ok(message) => message,
                            Err(outcome) => return outcome,
                        };
                        let (admitted, headers) = *waiting;
                        match begin(admitted, headers, message, &rest).await {
                            Ok(replies) => (None, replies),
                            Err(fault) => return Outcome::Failed(fault),
                        }
                    }
                };
                let mut download = Download {
                    rest: &rest,
                    bound: &bound,
                    wishes,
                    replies,
                    head,
                    sink,
                    clock: &clock,
                    ping: settings.ping,
                };
                tokio::select! {
                    result = download.run(method.server_streaming) => result.unwrap_or_else(Outcome::Failed),
                    outcome = upload.run(sender, stream) => outcome,
                }
            };
            tokio::select! {
                () = stop => Outcome::Stopping,
                outcome = talk => outcome,
                () = until_over(&limit) => Outcome::Failed(limit.passed()),
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

/// Begins a call with its only message, if the rules about that let it.
async fn begin(
    admitted: Admitted<()>,
    headers: HeaderMap,
    message: Bytes,
    rest: &rest::Exchange,
) -> Result<Replies, Fault> {
    let cleared = Cleared::with_message(admitted, message).await?;
    cleared.replies(rest.worker, headers, rest.settings.max_reply).await
}

async fn farewell(sink: &mut SplitSink<Socket, Message>, end: End) -> Result<(), Error> {
    let CloseFrame { code, reason } = end.close;
    sink.feed(Message::text(end.text)).await?;
    sink.feed(Message::Close(Some(CloseFrame { code, reason }))).await?;
    sink.close().await
}

/// Waits for what limits the call.
async fn until_over(limit: &TimeLimit) {
    match limit.over() {
        Some(over) => over.await,
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
    clock: &'s Clock,
}

impl Upload<'_> {
    /// The next frame of text, which is empty where nothing more comes; or how the session ends instead.
    async fn text(&self, stream: &mut SplitStream<Socket>) -> Result<Utf8Bytes, Outcome> {
        loop {
            match stream.next().await {
                None | Some(Ok(Message::Close(_))) => return Err(Outcome::Left),
                Some(Err(error)) => return Err(self.failed(error)),
                Some(Ok(Message::Text(text))) => {
                    self.clock.heard();
                    self.clock.message();
                    return Ok(text);
                }
                Some(Ok(Message::Binary(_))) => {
                    let fault = Fault::invalid_argument("BINARY_FRAME", "messages are JSON in text frames");
                    return Err(Outcome::Broken(CloseCode::Unsupported, fault));
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => self.clock.heard(),
            }
        }
    }

    /// The only message of a call that can't begin without it; the client is asked meanwhile whether it is there.
    async fn only(
        &self,
        stream: &mut SplitStream<Socket>,
        sink: &mut SplitSink<Socket, Message>,
        ping: Duration,
    ) -> Result<Bytes, Outcome> {
        let mut pings = interval_at(Instant::now() + ping, ping);
        let text = loop {
            tokio::select! {
                text = self.text(stream) => break text?,
                _ = pings.tick() => {
                    sink.send(Message::Ping(Bytes::new())).await.map_err(|_| Outcome::Left)?;
                }
            }
        };
        if text.is_empty() {
            return Err(Outcome::Failed(read::miscounted(0)));
        }
        self.message(text.as_bytes(), true).map_err(Outcome::Failed)
    }

    /// Reads as long as the session goes on: a client can leave at any time. Without `sender` all is sent already.
    async fn run(self, mut sender: Option<Sender>, mut stream: SplitStream<Socket>) -> Outcome {
        let (mut first, mut wanted) = (true, true);
        loop {
            let text = match self.text(&mut stream).await {
                Ok(text) => text,
                Err(outcome) => return outcome,
            };
            if text.is_empty() {
                // It says that nothing more comes.
                if let Some(mut sender) = sender.take() {
                    sender.finish();
                }
                continue;
            }
            let Some(open) = &mut sender else {
                let message = "a message came after the last one that the method takes";
                return Outcome::Failed(Fault::invalid_argument("UNEXPECTED_MESSAGE", message));
            };
            let message = match self.message(text.as_bytes(), std::mem::take(&mut first)) {
                Ok(message) => message,
                Err(fault) => return Outcome::Failed(fault),
            };
            if !wanted {
                continue;
            }
            // Nothing is read while the backend does not take it.
            match open.send(message).await {
                Ok(()) if self.single => {
                    open.finish();
                    sender = None;
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
