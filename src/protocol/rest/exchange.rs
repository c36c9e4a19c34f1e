//! A REST call: its body and URL become request messages, the reply's messages become its answer.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderMap};
use http::request::Parts;
use http::{Method as HttpMethod, Response, Version};
use http_body::Body;

use super::answer::{self, accepts_trailers, outgoing, wished_status};
use super::framing::StreamForm;
use super::large::{self, Begun};
use super::{ErrorRenderer, media, stream};
use crate::codec::JsonStyle;
use crate::fault::Fault;
use crate::policy::{Admitted, Bound, Call, Cleared};
use crate::protocol::body::{BoxError, ReplyBody};
use crate::protocol::compression::{Allowance, Unpacked, Unpacking};
use crate::protocol::{metadata, read};
use crate::transcode::{
    Binding, BodyRule, Built, HttpBody, Maker, RequestRules, UnexpectedBody, Url, Wishes, raw_reply,
    reply_json,
};
use crate::upstream::{self, UnaryReply};

/// The choices of a listener about REST.
#[derive(Debug, Clone)]
pub struct RestSettings {
    pub request: RequestRules,
    pub json: JsonStyle,
    /// Replies of more bytes than this are answered while they arrive; none are without it.
    pub stream_above: Option<usize>,
    pub streams: StreamSettings,
    /// Whether compressed bodies are read.
    pub unpacking: Unpacking,
    /// The largest message from a backend, in bytes.
    pub max_reply: usize,
    /// How long the next piece of a body may take.
    pub body_patience: Duration,
}

/// The choices about streamed answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamSettings {
    /// The form where `Accept` chooses none.
    pub form: StreamForm,
    /// How long the status waits for a first message, once there is initial metadata.
    pub first_message: Duration,
    /// How long server-sent events may say nothing.
    pub heartbeat: Duration,
}

impl Default for StreamSettings {
    fn default() -> Self {
        Self {
            form: StreamForm::default(),
            first_message: Duration::from_secs(1),
            heartbeat: Duration::from_secs(15),
        }
    }
}

/// Carries REST calls.
pub struct Exchange {
    pub settings: RestSettings,
    /// For faults that come when the status is sent already.
    pub errors: Arc<ErrorRenderer>,
    /// Whose connections are used.
    pub worker: usize,
}

impl Exchange {
    /// Reads the request, calls the backend, and gives its answer.
    ///
    /// # Errors
    /// A request that can't be understood, and whatever the backend fails with.
    pub async fn run<B>(
        self: Arc<Self>,
        bound: Bound,
        admitted: Admitted<B>,
    ) -> Result<Response<ReplyBody>, Fault>
    where
        B: Body<Data = Bytes> + Unpin + Send + 'static,
        B::Error: Into<BoxError> + Send,
    {
        if !admitted.call().resolved.method.is_unary() {
            // Boxed, so that the future of a unary call is no larger than it has to be.
            return Box::pin(stream::run(self, bound, admitted)).await;
        }
        let (mut admitted, body) = admitted.split();
        let call = admitted.call_mut();
        let Built { message, wishes } = self.only_message(call, &bound, body).await?;

        let wants_trailers = accepts_trailers(&call.head.headers);
        let is_head = call.head.method == HttpMethod::HEAD;
        let (whole, deadline) = (self.whole_up_to(&call.head, &bound.binding, &wishes), call.limit.deadline);
        let headers = outgoing(std::mem::take(&mut call.head.headers), call.limit.deadline)?;
        let reply = Cleared::with_message(admitted, message)
            .await?
            .unary(self.worker, headers, self.settings.max_reply, whole)
            .await?;
        let reply = match reply {
            upstream::Reply::Whole(reply) => reply,
            // Boxed for the same reason.
            upstream::Reply::Large(reply) => {
                let begun = large::begin(&bound.binding, reply, self.settings.json, &wishes, deadline);
                match Box::pin(begun).await? {
                    Begun::Answer(response) => return Ok(response),
                    Begun::Whole(reply) => reply,
                }
            }
        };
        self.only_answer(&bound.binding, reply, &wishes, wants_trailers, is_head)
    }

    /// Up to which size a reply is waited for as a whole. All are where the answer needs all of them, and where it can't
    /// be cut off or can't have trailers, because HTTP/1 would want their names, or an end, beforehand.
    fn whole_up_to(&self, head: &Parts, binding: &Binding, wishes: &Wishes) -> usize {
        let in_pieces = wishes.are_plain()
            && !binding.raw_response
            && head.method != HttpMethod::HEAD
            && head.version > Version::HTTP_10
            && !accepts_trailers(&head.headers);
        self.settings.stream_above.filter(|_| in_pieces).unwrap_or(usize::MAX)
    }

    /// The one message of a call whose method takes one.
    pub(super) async fn only_message<B>(
        &self,
        call: &Call<()>,
        bound: &Bound,
        body: B,
    ) -> Result<Built, Fault>
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: Into<BoxError> + Send,
    {
        let Bound { binding, captures } = bound;
        let body = self.whole_body(binding.body, &call.head.headers, body, call.max_body).await?;
        let url = Url { path: call.head.uri.path(), captures, query: call.head.uri.query() };
        let maker = Maker { plan: &call.resolved.method.input, binding, rules: &self.settings.request };
        if binding.raw_request {
            let body = HttpBody { content_type: media::content_type(&call.head.headers), data: body };
            return maker.raw_message(Some(url), &body);
        }
        maker.message(url, media::input(binding.body, &call.head.headers, &body)?)
    }

    /// The answer that is one message of the backend's.
    pub(super) fn only_answer(
        &self,
        binding: &Binding,
        reply: UnaryReply,
        wishes: &Wishes,
        wants_trailers: bool,
        is_head: bool,
    ) -> Result<Response<ReplyBody>, Fault> {
        let status = wished_status(&reply.headers);
        let coding = answer::raw_coding(binding, &reply.headers);
        let trailers =
            if wants_trailers { metadata::into_response(reply.trailers) } else { HeaderMap::new() };
        let mut headers = metadata::into_response(reply.headers);
        headers.extend(coding.map(|coding| (header::CONTENT_ENCODING, coding)));
        let data = if binding.raw_response {
            let body = raw_reply(&binding.output, binding.response_body, reply.message)?;
            headers.insert(header::CONTENT_TYPE, answer::raw_type(&body.content_type));
            body.data
        } else {
            headers.insert(header::CONTENT_TYPE, answer::APPLICATION_JSON);
            reply_json(binding, &reply.message, self.settings.json, wishes)?.into()
        };
        Ok(answer::whole(status, headers, data, trailers, is_head))
    }

    /// The request's body, or nothing where it doesn't matter.
    async fn whole_body<B>(
        &self,
        rule: BodyRule,
        headers: &HeaderMap,
        body: B,
        max: usize,
    ) -> Result<Bytes, Fault>
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: Into<BoxError> + Send,
    {
        let patience = self.settings.body_patience;
        match (rule, self.settings.request.unexpected_body) {
            (BodyRule::None, UnexpectedBody::Ignore) => Ok(Bytes::new()),
            // Only whether there is one counts.
            (BodyRule::None, UnexpectedBody::Reject) => read::whole(body, max, patience).await,
            (BodyRule::Whole | BodyRule::Field(_), _) => {
                let body = Unpacked::new(headers, body, Allowance::Whole(max), self.settings.unpacking)?;
                read::whole(body, max, patience).await
            }
        }
    }
}
