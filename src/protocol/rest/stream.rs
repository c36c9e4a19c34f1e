//! A REST call of a streaming method, up to the moment that its status is known.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{Method as HttpMethod, Response};
use http_body::Body;
use tokio::time::timeout;

use super::answer::{self, accepts_trailers, outgoing, wished_status};
use super::exchange::Exchange;
use super::framing::{Framer, StreamForm};
use super::media;
use super::upload::{Source, send_all};
use super::writer::{Shape, StreamWriter};
use crate::fault::Fault;
use crate::policy::{Admitted, Bound, Cleared, Method, TimeLimit};
use crate::protocol::body::{BoxError, ReplyBody};
use crate::protocol::compression::{Allowance, Unpacked};
use crate::protocol::in_time::in_time;
use crate::protocol::messages::{Download, Silence, Upload, Writer, alongside};
use crate::protocol::metadata;
use crate::telemetry::REQUEST_ID;
use crate::transcode::{Binding, Wishes, raw_reply, wishes_of};
use crate::upstream::Replies;

/// A call whose request is on its way.
struct Started {
    exchange: Arc<Exchange>,
    method: Arc<Method>,
    binding: Arc<Binding>,
    replies: Replies,
    upload: Option<Upload>,
    wants: Wants,
    wishes: Wishes,
}

/// What the client wants of the answer.
struct Wants {
    trailers: bool,
    is_head: bool,
    form: StreamForm,
    request_id: Option<String>,
    limit: TimeLimit,
}

/// What is sent to the backend.
enum Request<B> {
    Whole(Bytes),
    Stream(Box<Source>, Unpacked<B>),
}

/// Begins the call and waits until its status is known: by the first message, the end, or a failure.
pub(super) async fn run<B>(
    exchange: Arc<Exchange>,
    bound: Bound,
    admitted: Admitted<B>,
) -> Result<Response<ReplyBody>, Fault>
where
    B: Body<Data = Bytes> + Unpin + Send + 'static,
    B::Error: Into<BoxError> + Send,
{
    let started = start(exchange, bound, admitted).await?;
    if started.method.server_streaming { started.streamed().await } else { started.single().await }
}

async fn start<B>(exchange: Arc<Exchange>, bound: Bound, admitted: Admitted<B>) -> Result<Started, Fault>
where
    B: Body<Data = Bytes> + Unpin + Send + 'static,
    B::Error: Into<BoxError> + Send,
{
    let (mut admitted, body) = admitted.split();
    let call = admitted.call_mut();
    let method = Arc::clone(&call.resolved.method);
    let binding = Arc::clone(&bound.binding);
    let wants = Wants {
        trailers: accepts_trailers(&call.head.headers),
        is_head: call.head.method == HttpMethod::HEAD,
        form: StreamForm::negotiate(&call.head.headers, exchange.settings.streams.form),
        request_id: call.head.headers.get(REQUEST_ID).and_then(|id| id.to_str().ok()).map(str::to_owned),
        limit: call.limit.clone(),
    };
    let (request, wishes) = if method.client_streaming {
        if !binding.raw_request {
            media::expect_stream(&call.head.headers)?;
        }
        let allowance = Allowance::Stream(call.max_body);
        let body = Unpacked::new(&call.head.headers, body, allowance, exchange.settings.unpacking)?;
        let source = Source {
            exchange: Arc::clone(&exchange),
            method: Arc::clone(&method),
            bound,
            uri: call.head.uri.clone(),
            content_type: media::content_type(&call.head.headers),
            max: call.max_body,
        };
        let wishes = wishes_of(&method.input, &binding, call.head.uri.query(), &exchange.settings.request)?;
        (Request::Stream(Box::new(source), body), wishes)
    } else {
        let built = exchange.only_message(call, &bound, body).await?;
        (Request::Whole(built.message), built.wishes)
    };

    let headers = outgoing(std::mem::take(&mut call.head.headers), call.limit.deadline)?;
    let (worker, max_reply) = (exchange.worker, exchange.settings.max_reply);
    let (replies, upload) = match request {
        Request::Stream(source, body) => {
            let (sender, replies) = Cleared::unread(admitted)?.stream(worker, headers, max_reply).await?;
            (replies, Some(Box::pin(send_all(*source, sender, body)) as Upload))
        }
        Request::Whole(message) => {
            let cleared = Cleared::with_message(admitted, message).await?;
            (cleared.replies(worker, headers, max_reply).await?, None)
        }
    };
    Ok(Started { exchange, method, binding, replies, upload, wants, wishes })
}

impl Started {
    /// The answer of a method that streams to the backend alone: one message.
    async fn single(mut self) -> Result<Response<ReplyBody>, Fault> {
        let reply = alongside(&mut self.upload, self.replies.only()).await?;
        let Wants { trailers, is_head, .. } = self.wants;
        self.exchange.only_answer(&self.binding, reply, &self.wishes, trailers, is_head)
    }

    /// The answer of a method that streams to the client, begun once its status is known.
    async fn streamed(mut self) -> Result<Response<ReplyBody>, Fault> {
        let metadata = alongside(&mut self.upload, self.replies.head()).await?;
        // A stream that fails at once has its true status; one that takes its time begins with the status of success.
        let patience = self.exchange.settings.streams.first_message;
        let first = timeout(patience, alongside(&mut self.upload, self.replies.message())).await;
        let first = match first {
            Ok(Err(fault)) => return Err(fault.with_backend_headers(metadata)),
            Ok(Ok(first)) => first,
            Err(_) => None,
        };
        let status = wished_status(&metadata);
        let coding = answer::raw_coding(&self.binding, &metadata);
        let mut headers = metadata::into_response(metadata);
        headers.extend(coding.map(|coding| (header::CONTENT_ENCODING, coding)));
        let (shape, content_type) = self.shape(first.as_ref())?;
        headers.insert(header::CONTENT_TYPE, content_type);
        if self.wants.form == StreamForm::Events {
            headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-cache"));
        }
        if self.wants.is_head || answer::is_bodiless(status) {
            return Ok(answer::without_body(status, headers));
        }
        let limit = self.wants.limit.clone();
        let mut download = self.download(shape);
        if let Some(first) = first {
            // A first message that can't be read is a failure at once, too.
            download.write(first)?;
        }
        Ok(answer::with_head(status, headers, in_time(download, &limit)))
    }

    fn shape(&self, first: Option<&Bytes>) -> Result<(Shape, HeaderValue), Fault> {
        if !self.binding.raw_response {
            let form = self.wants.form;
            return Ok((Shape::Framed(Framer::new(form)), form.content_type()));
        }
        // The first piece says the type of all.
        let content_type = match first {
            Some(first) => {
                raw_reply(&self.method.output, self.binding.response_body, first.clone())?.content_type
            }
            None => String::new(),
        };
        Ok((Shape::Raw, answer::raw_type(&content_type)))
    }

    fn download(self, shape: Shape) -> Download<StreamWriter> {
        let wishes = match self.wants.form {
            StreamForm::Array => self.wishes,
            // One message a line.
            StreamForm::Lines | StreamForm::Events => Wishes { pretty: false, ..self.wishes },
        };
        let longest = self.exchange.settings.streams.heartbeat;
        let writer = StreamWriter {
            binding: self.binding,
            wishes,
            exchange: self.exchange,
            method: self.method,
            shape,
            request_id: self.wants.request_id,
            wants_trailers: self.wants.trailers,
        };
        let silence = writer.heartbeat().map(|_| Silence::new(longest));
        let mut download = Download::new(self.replies, self.upload, writer, self.wants.limit);
        download.break_silence(silence);
        download
    }
}
