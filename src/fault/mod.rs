//! A failure on the way of a request, as one value until the outermost layer renders it.
//!
//! Every room below `server` returns [`Fault`] and none of them knows how a client will see it: the protocol that the
//! request came in by does the rendering. Faults of the gateway itself and errors of a backend go the same way.

mod code;
mod detail;
mod kind;

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;

pub use code::Code;
pub use detail::{
    Any, BadRequest, Detail, ErrorInfo, FieldViolation, QuotaFailure, QuotaViolation, RetryInfo, RpcStatus,
};
pub use kind::Kind;

/// The domain of every `ErrorInfo` that the gateway itself makes (AIP-193).
pub const DOMAIN: &str = "transom";

/// The form of error bodies in REST.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ErrorForm {
    /// `{"error":{"code":404,"message":…,"status":"NOT_FOUND","details":[…]}}` (AIP-193).
    #[default]
    Google,
    /// `google.rpc.Status` as JSON, as grpc-gateway and Envoy answer: `{"code":5,"message":…,"details":[…]}`.
    Status,
    /// `application/problem+json` (RFC 9457).
    Problem,
}

/// Who is to blame, for logs and metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    Client,
    Gateway,
    Backend,
}

impl Origin {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Gateway => "gateway",
            Self::Backend => "backend",
        }
    }
}

/// A failed call. One pointer wide, since results that carry it are passed through every layer.
pub struct Fault(Box<Inner>);

struct Inner {
    code: Code,
    kind: Kind,
    reason: &'static str,
    message: Cow<'static, str>,
    field: Option<String>,
    details: Vec<Any>,
    origin: Origin,
    source: Option<Box<dyn Error + Send + Sync>>,
    allow: Option<String>,
    retry_after: Option<Duration>,
    rule: Option<Arc<str>>,
    headers: HeaderMap,
    trailers: HeaderMap,
    unprocessed: bool,
}

impl Fault {
    /// A fault of the gateway's own of this kind; `reason` is its stable `UPPER_SNAKE_CASE` name.
    #[must_use]
    pub fn new(kind: Kind, reason: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner {
            code: kind.code(),
            kind,
            reason,
            message: message.into(),
            field: None,
            details: Vec::new(),
            origin: kind.origin(),
            source: None,
            allow: None,
            retry_after: None,
            rule: None,
            headers: HeaderMap::new(),
            trailers: HeaderMap::new(),
            unprocessed: false,
        }))
    }

    /// A request that can't be understood (400, INVALID_ARGUMENT).
    #[must_use]
    pub fn invalid_argument(reason: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::BadRequest, reason, message)
    }

    /// A body, or one element of a streamed one, over its limit in bytes (413, RESOURCE_EXHAUSTED).
    #[must_use]
    pub fn body_too_large(max: usize) -> Self {
        Self::new(Kind::TooLarge, "BODY_TOO_LARGE", format!("the request's body is over {max} bytes"))
    }

    /// The status that a backend ended the call with.
    #[must_use]
    pub fn from_backend(code: Code, message: impl Into<Cow<'static, str>>, details: Vec<Any>) -> Self {
        let mut fault = Self::new(Kind::Backend, "BACKEND_STATUS", message);
        fault.0.code = code;
        fault.0.details = details;
        fault
    }

    /// A backend that broke the rules of gRPC, with the code that gRPC's own tables give for it.
    #[must_use]
    pub fn broken_backend(code: Code, reason: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        let mut fault = Self::new(Kind::BadReply, reason, message);
        fault.0.code = code;
        fault
    }

    /// Names the field, parameter or header that is at fault, as the client wrote it.
    #[must_use]
    pub fn at(mut self, field: impl Into<String>) -> Self {
        self.0.field = Some(field.into());
        self
    }

    /// Keeps what caused it for the log; a client never sees it.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// The methods for the `Allow` header of a 405.
    #[must_use]
    pub fn allowing(mut self, methods: String) -> Self {
        self.0.allow = Some(methods);
        self
    }

    /// When the call may be tried again. Only from a limiter, a breaker, or a backend's RetryInfo.
    #[must_use]
    pub fn retry_after(mut self, delay: Duration) -> Self {
        self.0.retry_after = Some(delay);
        self
    }

    /// Adds a detail to those that a fault of the gateway's own has.
    #[must_use]
    pub fn detailed(mut self, detail: Any) -> Self {
        self.0.details.push(detail);
        self
    }

    /// Names the rule that decided, for logs and metrics; a client never sees it.
    #[must_use]
    pub fn by_rule(mut self, rule: Arc<str>) -> Self {
        self.0.rule = Some(rule);
        self
    }

    /// Metadata of the backend that goes to the client with the error.
    #[must_use]
    pub fn with_headers(mut self, headers: HeaderMap) -> Self {
        self.0.headers = headers;
        self
    }

    /// [`Fault::with_headers`] for a status that a backend ended a call with after its initial metadata; for any other
    /// fault that metadata is nobody's.
    #[must_use]
    pub fn with_backend_headers(self, headers: HeaderMap) -> Self {
        match self.0.kind {
            Kind::Backend => self.with_headers(headers),
            _ => self,
        }
    }

    /// Trailing metadata of a call that its backend ended with a status, where it has initial metadata as well. What a
    /// backend says all at once, its status included, is in the headers.
    #[must_use]
    pub fn with_trailers(mut self, trailers: HeaderMap) -> Self {
        self.0.trailers = trailers;
        self
    }

    /// No backend has begun with the call: nothing of it was sent, or what it was sent to has said so.
    #[must_use]
    pub fn unprocessed(mut self) -> Self {
        self.0.unprocessed = true;
        self
    }

    /// [`Fault::with_trailers`], in place.
    pub fn put_trailers(&mut self, trailers: HeaderMap) {
        self.0.trailers = trailers;
    }

    #[must_use]
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// The code in protocols whose paths name RPCs.
    #[must_use]
    pub fn rpc_code(&self) -> Code {
        match self.0.kind {
            Kind::Backend | Kind::BadReply => self.0.code,
            kind => kind.rpc_code(),
        }
    }

    #[must_use]
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// The stable name of a fault of the gateway's own.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        self.0.reason
    }

    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    #[must_use]
    pub fn field(&self) -> Option<&str> {
        self.0.field.as_deref()
    }

    #[must_use]
    pub fn origin(&self) -> Origin {
        self.0.origin
    }

    /// What caused it, for the log alone.
    #[must_use]
    pub fn cause(&self) -> Option<&(dyn Error + Send + Sync + 'static)> {
        self.0.source.as_deref()
    }

    /// The rule that decided, for logs and metrics alone.
    #[must_use]
    pub fn rule(&self) -> Option<&Arc<str>> {
        self.0.rule.as_ref()
    }

    /// Whether it is known that no backend has begun with the call, so that trying again does no harm.
    #[must_use]
    pub fn is_unprocessed(&self) -> bool {
        self.0.unprocessed
    }

    /// Metadata of the backend that stands beside its status.
    #[must_use]
    pub fn metadata(&self, name: &str) -> Option<&http::HeaderValue> {
        self.0.trailers.get(name).or_else(|| self.0.headers.get(name))
    }

    /// What goes to the client with the error, for more of it.
    pub fn headers_mut(&mut self) -> &mut HeaderMap {
        &mut self.0.headers
    }

    /// The value of the `Allow` header, where there is one.
    #[must_use]
    pub fn allow(&self) -> Option<&str> {
        self.0.allow.as_deref()
    }

    /// Initial and trailing metadata of a call that its backend failed. What stands beside a status is trailing.
    pub fn take_metadata(&mut self) -> (HeaderMap, HeaderMap) {
        let (headers, trailers) = (self.take_headers(), self.take_trailers());
        if headers.contains_key("grpc-status") { (HeaderMap::new(), headers) } else { (headers, trailers) }
    }

    /// Metadata of the backend that goes to the client with the error.
    pub fn take_headers(&mut self) -> HeaderMap {
        std::mem::take(&mut self.0.headers)
    }

    /// Trailing metadata of the backend that goes to the client with the error.
    pub fn take_trailers(&mut self) -> HeaderMap {
        std::mem::take(&mut self.0.trailers)
    }

    /// The HTTP status in protocols that have one.
    #[must_use]
    pub fn http_status(&self) -> http::StatusCode {
        self.0.kind.http_status().unwrap_or_else(|| self.0.code.http_status())
    }

    /// When the call may be tried again: what was set, or what a RetryInfo among the details says.
    #[must_use]
    pub fn retry_delay(&self) -> Option<Duration> {
        self.0.retry_after.or_else(|| self.0.details.iter().find_map(RetryInfo::delay_in))
    }

    /// The details as a client gets them: the backend's own, or those that the gateway gives for its own faults.
    #[must_use]
    pub fn details(&self, request_id: Option<&str>) -> Vec<Any> {
        match self.0.kind {
            Kind::Backend => self.0.details.clone(),
            _ => self.own_details(request_id),
        }
    }

    fn own_details(&self, request_id: Option<&str>) -> Vec<Any> {
        let metadata = request_id.map(|id| ("requestId".to_owned(), id.to_owned())).into_iter().collect();
        let info = ErrorInfo { reason: self.0.reason.to_owned(), domain: DOMAIN.to_owned(), metadata };
        let mut details = vec![info.pack()];
        if let Some(field) = &self.0.field {
            let violation = FieldViolation {
                field: field.clone(),
                description: self.0.message.clone().into_owned(),
                reason: self.0.reason.to_owned(),
            };
            details.push(BadRequest { field_violations: vec![violation] }.pack());
        }
        if let Some(delay) = self.0.retry_after {
            details.push(RetryInfo::new(delay).pack());
        }
        details.extend(self.0.details.iter().cloned());
        details
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fault")
            .field("code", &self.0.code)
            .field("kind", &self.0.kind)
            .field("reason", &self.0.reason)
            .field("message", &self.0.message)
            .field("field", &self.0.field)
            .field("source", &self.0.source)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.code.name(), self.0.message)
    }
}

impl Error for Fault {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn Error + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_faults_name_reason_field_and_request() {
        let fault = Fault::invalid_argument("BAD_ENUM", "no such genre").at("book.genre");
        let details = fault.details(Some("r-1"));
        assert_eq!(details.len(), 2);
        let info = ErrorInfo::unpack(&details[0]).unwrap();
        assert_eq!((info.reason.as_str(), info.domain.as_str()), ("BAD_ENUM", "transom"));
        assert_eq!(info.metadata.get("requestId").map(String::as_str), Some("r-1"));
        let bad = BadRequest::unpack(&details[1]).unwrap();
        assert_eq!(bad.field_violations[0].field, "book.genre");
        assert_eq!(fault.http_status(), 400);
        assert_eq!(fault.origin(), Origin::Client);
    }

    #[test]
    fn a_backends_details_stay_as_they_are() {
        let detail = RetryInfo::new(Duration::from_millis(1500)).pack();
        let fault = Fault::from_backend(Code::Unavailable, "later", vec![detail.clone()]);
        assert_eq!(fault.details(Some("r")), vec![detail]);
        assert_eq!(fault.retry_delay(), Some(Duration::from_millis(1500)));
        assert_eq!(fault.http_status(), 503);
    }

    #[test]
    fn retry_delay_is_never_invented() {
        assert_eq!(Fault::new(Kind::Unreachable, "UNREACHABLE", "down").retry_delay(), None);
    }
}
