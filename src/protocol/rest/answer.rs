//! The heads of what goes out: to the backend, and back to the client.

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use tokio::time::Instant;

use crate::fault::Fault;
use crate::policy::put_timeout;
use crate::protocol::body::ReplyBody;
use crate::protocol::metadata;
use crate::transcode::Binding;

pub(super) const APPLICATION_JSON: HeaderValue = HeaderValue::from_static("application/json");

/// `TE: trailers`, in any of its spellings.
pub(crate) fn accepts_trailers(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::TE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.split(',').any(|coding| coding.trim().eq_ignore_ascii_case("trailers")))
}

/// The headers of the call to the backend.
pub(in crate::protocol) fn outgoing(
    headers: HeaderMap,
    deadline: Option<Instant>,
) -> Result<HeaderMap, Fault> {
    let mut headers = metadata::from_request(headers)?;
    metadata::put_call(&mut headers);
    put_timeout(&mut headers, deadline);
    Ok(headers)
}

/// A backend may wish for a status of success or of redirection.
pub(super) fn wished_status(metadata: &HeaderMap) -> StatusCode {
    metadata
        .get(metadata::HTTP_CODE)
        .and_then(|code| StatusCode::from_bytes(code.as_bytes()).ok())
        .filter(|status| status.is_success() || status.is_redirection())
        .unwrap_or(StatusCode::OK)
}

/// The content type of a raw answer; a backend that says none means bytes.
pub(super) fn raw_type(content_type: &str) -> HeaderValue {
    if content_type.is_empty() {
        return HeaderValue::from_static("application/octet-stream");
    }
    HeaderValue::from_str(content_type)
        .unwrap_or_else(|_| HeaderValue::from_static("application/octet-stream"))
}

/// The coding that a backend says its raw bytes are in. Where the body is JSON, it can't be of a coding.
pub(super) fn raw_coding(binding: &Binding, metadata: &HeaderMap) -> Option<HeaderValue> {
    let coding = binding.raw_response.then(|| metadata.get(header::CONTENT_ENCODING))?;
    coding.filter(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity")).cloned()
}

/// An answer that is all there. `headers` have its content type.
pub(super) fn whole(
    status: StatusCode,
    mut headers: HeaderMap,
    data: Bytes,
    trailers: HeaderMap,
    is_head: bool,
) -> Response<ReplyBody> {
    if is_bodiless(status) {
        return without_body(status, headers);
    }
    let body = if is_head {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(data.len()));
        ReplyBody::empty()
    } else {
        if !trailers.is_empty() {
            // HTTP/1.1 sends only trailers that were announced.
            let names = trailers.keys().map(HeaderName::as_str).collect::<Vec<_>>().join(", ");
            if let Ok(names) = HeaderValue::from_str(&names) {
                headers.insert(header::TRAILER, names);
            }
        }
        ReplyBody::with_trailers(data, trailers)
    };
    with_head(status, headers, body)
}

/// Statuses that never have a body (RFC 9110, section 6.4.1; 205 has an empty one).
pub(super) fn is_bodiless(status: StatusCode) -> bool {
    matches!(status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED)
}

/// An answer that is a head alone. What a `HEAD` tells of the body that a `GET` would have stays in it.
pub(super) fn without_body(status: StatusCode, mut headers: HeaderMap) -> Response<ReplyBody> {
    if is_bodiless(status) {
        headers.remove(header::CONTENT_TYPE);
    }
    with_head(status, headers, ReplyBody::empty())
}

pub(super) fn with_head(status: StatusCode, headers: HeaderMap, body: ReplyBody) -> Response<ReplyBody> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}
