//! What a request's content type says of its body.

use http::header::{self, HeaderMap};

use crate::fault::{Fault, Kind};

/// A content type, as far as it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Media {
    /// `application/json`, `application/*+json`, the names that JSON one value a line goes by, or none at all.
    Json,
    /// `application/x-www-form-urlencoded`, which is also what curl's `-d` says where it isn't told better.
    Form,
    Other,
}

/// What the request's `Content-Type` says, for raw bodies; nothing where it is missing or no text.
pub(super) fn content_type(headers: &HeaderMap) -> String {
    headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}

/// Checks that a body that is read while it comes is JSON, by its headers alone.
///
/// # Errors
/// 415 for anything else.
pub(super) fn expect_stream(headers: &HeaderMap) -> Result<(), Fault> {
    refuse_compressed(headers)?;
    match media(headers) {
        Media::Json => Ok(()),
        Media::Form | Media::Other => Err(unsupported()),
    }
}

fn unsupported() -> Fault {
    let message = "the body's content type must be application/json";
    Fault::new(Kind::MediaType, "UNSUPPORTED_MEDIA_TYPE", message).at("content-type")
}

fn refuse_compressed(headers: &HeaderMap) -> Result<(), Fault> {
    if let Some(encoding) = headers.get(header::CONTENT_ENCODING)
        && !encoding.as_bytes().eq_ignore_ascii_case(b"identity")
    {
        let message = "the request's body is compressed, which is not supported";
        return Err(Fault::new(Kind::MediaType, "UNSUPPORTED_ENCODING", message).at("content-encoding"));
    }
    Ok(())
}

/// Checks that `body` is JSON by its headers.
///
/// # Errors
/// 415 for anything else; 400 for JSON that is announced as a form, since the client only forgot the header.
pub(super) fn expect_json(headers: &HeaderMap, body: &[u8]) -> Result<(), Fault> {
    refuse_compressed(headers)?;
    if body.is_empty() {
        return Ok(());
    }
    match media(headers) {
        Media::Json => Ok(()),
        Media::Form if matches!(body.trim_ascii_start().first(), Some(b'{' | b'[')) => {
            let message = "the body is JSON, but its content type says that it is a form; \
                           send it with `-H 'content-type: application/json'`";
            Err(Fault::invalid_argument("JSON_SENT_AS_FORM", message).at("content-type"))
        }
        Media::Form | Media::Other => Err(unsupported()),
    }
}

fn media(headers: &HeaderMap) -> Media {
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return Media::Json };
    let Ok(value) = value.to_str() else { return Media::Other };
    if value == "application/json" {
        return Media::Json;
    }
    let (essence, parameters) = value.split_once(';').unwrap_or((value, ""));
    let essence = essence.trim().to_ascii_lowercase();
    let is_json = matches!(
        essence.as_str(),
        "application/json" | "application/x-ndjson" | "application/ndjson" | "application/jsonl"
    ) || (essence.starts_with("application/") && essence.ends_with("+json"));
    if is_json {
        return if is_utf8(parameters) { Media::Json } else { Media::Other };
    }
    if essence == "application/x-www-form-urlencoded" { Media::Form } else { Media::Other }
}

/// JSON between systems is UTF-8 (RFC 8259, section 8.1), whatever a `charset` says.
fn is_utf8(parameters: &str) -> bool {
    parameters.split(';').filter_map(|parameter| parameter.split_once('=')).all(|(name, value)| {
        let charset = value.trim().trim_matches('"');
        !name.trim().eq_ignore_ascii_case("charset") || charset.eq_ignore_ascii_case("utf-8")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_types() {
        let cases: &[(Option<&str>, &str, Option<u16>)] = &[
            (None, "{}", None),
            (Some("application/json"), "{}", None),
            (Some("Application/JSON; charset=UTF-8"), "{}", None),
            (Some("application/json; charset=\"utf-8\""), "{}", None),
            (Some("application/json; charset=latin1"), "{}", Some(415)),
            (Some("application/merge-patch+json"), "{}", None),
            (Some("application/x-www-form-urlencoded"), " {}", Some(400)),
            (Some("application/x-www-form-urlencoded"), "a=b", Some(415)),
            (Some("text/plain"), "{}", Some(415)),
            (Some("text/plain"), "", None),
            (Some("application/jsonp"), "{}", Some(415)),
        ];
        for (content_type, body, want) in cases {
            let mut headers = HeaderMap::new();
            if let Some(content_type) = content_type {
                headers.insert(header::CONTENT_TYPE, content_type.parse().unwrap());
            }
            let found =
                expect_json(&headers, body.as_bytes()).err().map(|fault| fault.http_status().as_u16());
            assert_eq!(found, *want, "{content_type:?} {body:?}");
        }
    }

    #[test]
    fn a_compressed_body_is_refused() {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_ENCODING, "gzip".parse().unwrap());
        assert_eq!(expect_json(&headers, b"x").unwrap_err().http_status(), 415);
        headers.insert(header::CONTENT_ENCODING, "identity".parse().unwrap());
        assert!(expect_json(&headers, b"{}").is_ok());
    }
}
