//! A call whose messages are translated, from its head to the moment that its answer begins.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http_body::Body;

use super::download::{Download, Writer};
use super::translate::Translator;
use super::upload::{Source, send_all};
use super::writer::Framed;
use super::{Codings, Names, Upload, alongside};
use crate::codec::JsonStyle;
use crate::fault::Fault;
use crate::policy::{Admitted, Cleared, Codec, put_timeout};
use crate::protocol::body::{BoxError, ReplyBody};
use crate::protocol::carrier::Carrier;
use crate::protocol::compression::{Packing, Unpacking};
use crate::protocol::in_time::in_time;
use crate::protocol::metadata;
use crate::telemetry::REQUEST_ID;
use crate::transcode::RequestRules;
use crate::upstream::UnaryReply;

/// What carries calls whose messages are translated.
pub struct Exchange {
    /// How JSON is read.
    pub rules: RequestRules,
    /// How JSON is written.
    pub style: JsonStyle,
    /// Whose connections are used.
    pub worker: usize,
    /// The largest message of a reply, in bytes.
    pub max_reply: usize,
    /// How long the next piece of a single message may take.
    pub body_patience: Duration,
    /// Whether compressed requests are read.
    pub unpacking: Unpacking,
    /// How answers are compressed, where they are.
    pub packing: Option<Arc<Packing>>,
}

/// What is particular to a client's protocol.
pub(in crate::protocol) struct Terms<C> {
    pub codec: Codec,
    pub carrier: C,
    pub codings: Codings,
    /// Where an answer says how its messages are compressed.
    pub encoding: HeaderName,
    /// Of the answer.
    pub content_type: HeaderValue,
    /// Makes the headers of the answer from initial metadata.
    pub head: fn(HeaderMap) -> HeaderMap,
}

impl Exchange {
    /// [`Codings::of`] these headers, by the listener's choices.
    ///
    /// # Errors
    /// As there.
    pub(in crate::protocol) fn codings(&self, headers: &HeaderMap, names: &Names) -> Result<Codings, Fault> {
        Codings::of(headers, names, self.unpacking, self.packing.as_ref())
    }

    /// Begins the call and gives its answer, which goes on while it is sent. `headers` of the call are metadata already.
    ///
    /// # Errors
    /// A request that can't be understood, no connection, or a call that fails before the backend answers.
    pub(in crate::protocol) async fn run<B, C>(
        self: &Arc<Self>,
        mut admitted: Admitted<()>,
        body: B,
        terms: Terms<C>,
    ) -> Result<Response<ReplyBody>, Fault>
    where
        B: Body<Data = Bytes> + Unpin + Send + 'static,
        B::Error: Into<BoxError> + Send,
        C: Carrier + 'static,
    {
        let call = admitted.call_mut();
        let (method, limit) = (Arc::clone(&call.resolved.method), call.limit.clone());
        let request_id = call.head.headers.get(REQUEST_ID).and_then(|id| id.to_str().ok()).map(str::to_owned);
        let Terms { codec, carrier, codings, encoding, content_type, head } = terms;
        let (flags, max) = (codings.flags(), call.max_body);
        let reply_coding = codings.reply.as_ref().map(|(coding, _)| coding.value());
        let translator = Translator { exchange: Arc::clone(self), method: Arc::clone(&method), codec };
        let patience = (!method.client_streaming).then_some(self.body_patience);
        let mut source = Source::new(body, max, flags, patience);
        let only = if method.client_streaming {
            None
        } else {
            let (flags, message) = source.only().await?;
            Some(translator.request(&codings.unpack(flags, message, max)?)?)
        };
        let headers = outgoing(std::mem::take(&mut call.head.headers), limit.deadline);
        let mut writer =
            Framed { translator: translator.clone(), carrier, codings: codings.clone(), request_id };
        let head = move |metadata| {
            let mut headers = head(metadata);
            headers.insert(header::CONTENT_TYPE, content_type);
            if let Some(coding) = reply_coding {
                headers.insert(encoding, coding);
            }
            headers
        };

        let reply = match only {
            Some(message) if !method.server_streaming => {
                let cleared = Cleared::with_message(admitted, message).await?;
                cleared.unary_whole(self.worker, headers, self.max_reply).await?
            }
            only => {
                let (mut replies, mut upload) = match only {
                    Some(message) => {
                        let cleared = Cleared::with_message(admitted, message).await?;
                        (cleared.replies(self.worker, headers, self.max_reply).await?, None)
                    }
                    None => {
                        let cleared = Cleared::unread(admitted)?;
                        let (sender, replies) = cleared.stream(self.worker, headers, self.max_reply).await?;
                        let upload = send_all(source, translator, codings, max, sender);
                        (replies, Some(Box::pin(upload) as Upload))
                    }
                };
                if method.server_streaming {
                    let metadata = alongside(&mut upload, replies.head()).await?;
                    let body = in_time(Download::new(replies, upload, writer, limit.clone()), &limit);
                    return Ok(answer(head(metadata), body));
                }
                alongside(&mut upload, replies.only()).await?
            }
        };
        let UnaryReply { headers, message, trailers } = reply;
        let mut out = Vec::with_capacity(message.len() + message.len() / 2 + 128);
        writer.message(message, &mut out)?;
        let trailers = writer.finish(trailers, &mut out).unwrap_or_default();
        let body = ReplyBody::with_trailers(writer.encode(out), trailers);
        Ok(answer(head(headers), body))
    }
}

fn answer(headers: HeaderMap, body: ReplyBody) -> Response<ReplyBody> {
    let mut response = Response::new(body);
    *response.headers_mut() = headers;
    response
}

/// The headers of the call to the backend, which gets protobuf and gives it.
fn outgoing(mut headers: HeaderMap, deadline: Option<tokio::time::Instant>) -> HeaderMap {
    for name in ["grpc-encoding", "grpc-accept-encoding"] {
        headers.remove(name);
    }
    metadata::put_call(&mut headers);
    put_timeout(&mut headers, deadline);
    headers
}
