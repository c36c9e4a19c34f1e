//! A REST call: its body and URL become the request message, the reply's message becomes its answer.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Response, StatusCode};
use http_body::Body;
use tokio::time::Instant;

use super::media;
use crate::codec::JsonStyle;
use crate::fault::{Fault, Kind};
use crate::policy::{Admitted, Cleared, grpc_timeout_value};
use crate::protocol::body::{BoxError, ReplyBody};
use crate::protocol::{metadata, read};
use crate::transcode::{BodyRule, Built, RequestRules, UnexpectedBody, reply_json, request_message};

const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
const APPLICATION_JSON: HeaderValue = HeaderValue::from_static("application/json");
const APPLICATION_GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
const TE_TRAILERS: HeaderValue = HeaderValue::from_static("trailers");

/// The choices of a listener about REST.
#[derive(Debug, Clone)]
pub struct RestSettings {
    pub request: RequestRules,
    pub json: JsonStyle,
    /// The largest message from a backend, in bytes.
    pub max_reply: usize,
    /// How long the next piece of a body may take.
    pub body_patience: Duration,
}

/// Carries REST calls.
pub struct Exchange {
    pub settings: RestSettings,
    /// Whose connections are used.
    pub worker: usize,
}

impl Exchange {
    /// Reads the request, calls the backend, and gives its answer.
    ///
    /// # Errors
    /// A request that can't be understood, and whatever the backend fails with.
    pub async fn run<B>(&self, admitted: Admitted<B>) -> Result<Response<ReplyBody>, Fault>
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: Into<BoxError> + Send,
    {
        let method = Arc::clone(&admitted.call().resolved.method);
        if !method.is_unary() {
            let message = "streaming methods can't be called by REST";
            return Err(Fault::new(Kind::Unsupported, "STREAMING_UNSUPPORTED", message));
        }
        let (mut admitted, body) = admitted.split();
        let call = admitted.call_mut();
        let binding = Arc::clone(&call.resolved.bound.binding);
        let body = self.body(binding.body, body, call.max_body).await?;
        let input = media::input(binding.body, &call.head.headers, &body)?;
        let Built { message, wishes } = request_message(
            &method.input,
            &binding,
            call.head.uri.path(),
            &call.resolved.bound.captures,
            call.head.uri.query(),
            input,
            &self.settings.request,
        )?;

        let wants_trailers = accepts_trailers(&call.head.headers);
        let is_head = call.head.method == Method::HEAD;
        let headers = outgoing(std::mem::take(&mut call.head.headers), call.deadline)?;
        let reply = Cleared::without_rules(admitted)
            .unary(self.worker, headers, message, self.settings.max_reply)
            .await?;

        let status = wished_status(&reply.headers);
        let json = reply_json(&binding, &reply.message, self.settings.json, &wishes)?;
        let trailers =
            if wants_trailers { metadata::into_response(reply.trailers) } else { HeaderMap::new() };
        Ok(answer(status, metadata::into_response(reply.headers), json, trailers, is_head))
    }

    /// The request's body, or nothing where it doesn't matter.
    async fn body<B>(&self, rule: BodyRule, body: B, max: usize) -> Result<Bytes, Fault>
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: Into<BoxError> + Send,
    {
        match (rule, self.settings.request.unexpected_body) {
            (BodyRule::None, UnexpectedBody::Ignore) => Ok(Bytes::new()),
            (BodyRule::None, UnexpectedBody::Reject) | (BodyRule::Whole | BodyRule::Field(_), _) => {
                read::whole(body, max, self.settings.body_patience).await
            }
        }
    }
}

/// `TE: trailers`, in any of its spellings.
fn accepts_trailers(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::TE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.split(',').any(|coding| coding.trim().eq_ignore_ascii_case("trailers")))
}

/// The headers of the call to the backend.
fn outgoing(headers: HeaderMap, deadline: Option<Instant>) -> Result<HeaderMap, Fault> {
    let mut headers = metadata::from_request(headers)?;
    headers.insert(header::TE, TE_TRAILERS);
    headers.insert(header::CONTENT_TYPE, APPLICATION_GRPC);
    if let Some(deadline) = deadline {
        let left = deadline.saturating_duration_since(Instant::now());
        headers.insert(GRPC_TIMEOUT, grpc_timeout_value(left));
    }
    Ok(headers)
}

/// A backend may wish for a status of success or of redirection.
fn wished_status(metadata: &HeaderMap) -> StatusCode {
    metadata
        .get(metadata::HTTP_CODE)
        .and_then(|code| StatusCode::from_bytes(code.as_bytes()).ok())
        .filter(|status| status.is_success() || status.is_redirection())
        .unwrap_or(StatusCode::OK)
}

fn answer(
    status: StatusCode,
    mut headers: HeaderMap,
    json: Vec<u8>,
    trailers: HeaderMap,
    is_head: bool,
) -> Response<ReplyBody> {
    let bodiless =
        matches!(status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED);
    let body = if bodiless {
        ReplyBody::empty()
    } else {
        headers.insert(header::CONTENT_TYPE, APPLICATION_JSON);
        if is_head {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(json.len()));
            ReplyBody::empty()
        } else {
            if !trailers.is_empty() {
                // HTTP/1.1 sends only trailers that were announced.
                let names = trailers.keys().map(HeaderName::as_str).collect::<Vec<_>>().join(", ");
                if let Ok(names) = HeaderValue::from_str(&names) {
                    headers.insert(header::TRAILER, names);
                }
            }
            ReplyBody::from(json).with_trailers(trailers)
        }
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}
