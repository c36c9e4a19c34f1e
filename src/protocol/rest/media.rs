//! What a request's content type says of its body.

use http::header::{self, HeaderMap};

use crate::fault::{Fault, Kind};
use crate::transcode::{BodyRule, Input};

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
    match media(headers) {
        Media::Json => Ok(()),
        Media::Form | Media::Other => Err(unsupported("the body's content type must be application/json")),
    }
}

fn unsupported(message: &'static str) -> Fault {
    Fault::new(Kind::MediaType, "UNSUPPORTED_MEDIA_TYPE", message).at("content-type")
}

/// What `body` is by its headers. Where the binding takes none, its type doesn't matter.
///
/// # Errors
/// 415 for what is neither JSON nor a form; 400 for JSON that is announced as a form, since the client only forgot the
/// header.
pub(super) fn input<'b>(rule: BodyRule, headers: &HeaderMap, body: &'b [u8]) -> Result<Input<'b>, Fault> {
    if rule == BodyRule::None {
        return Ok(if body.is_empty() { Input::None } else { Input::Json(body) });
    }
    if body.is_empty() {
        return Ok(Input::None);
    }
    match media(headers) {
        Media::Json | Media::Form if body.trim_ascii_start().is_empty() => Ok(Input::None),
        Media::Json => Ok(Input::Json(body)),
        Media::Form if matches!(body.trim_ascii_start().first(), Some(b'{' | b'[')) => {
            let message = "the body is JSON, but its content type says that it is a form; \
                           send it with `-H 'content-type: application/json'`";
            Err(Fault::invalid_argument("JSON_SENT_AS_FORM", message).at("content-type"))
        }
        Media::Form => Ok(Input::Form(body)),
        Media::Other => Err(unsupported(
            "the body's content type must be application/json or application/x-www-form-urlencoded",
        )),
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
    match (is_utf8(parameters), is_json, essence == "application/x-www-form-urlencoded") {
        (true, true, _) => Media::Json,
        (true, false, true) => Media::Form,
        (true, false, false) | (false, _, _) => Media::Other,
    }
}

/// JSON between systems is UTF-8 (RFC 8259, section 8.1), and so are forms (WHATWG URL, section 5); no other `charset`
/// is read.
fn is_utf8(parameters: &str) -> bool {
    parameters.split(';').filter_map(|parameter| parameter.split_once('=')).all(|(name, value)| {
        let charset = value.trim().trim_matches('"');
        !name.trim().eq_ignore_ascii_case("charset") || charset.eq_ignore_ascii_case("utf-8")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a body of this content type is read as, or the status of its refusal.
    fn read(rule: BodyRule, content_type: Option<&str>, body: &str) -> String {
        let mut headers = HeaderMap::new();
        if let Some(content_type) = content_type {
            headers.insert(header::CONTENT_TYPE, content_type.parse().unwrap());
        }
        match input(rule, &headers, body.as_bytes()) {
            Ok(Input::None) => "none".to_owned(),
            Ok(Input::Json(read) | Input::Form(read)) if read != body.as_bytes() => "cut".to_owned(),
            Ok(Input::Json(_)) => "json".to_owned(),
            Ok(Input::Form(_)) => "form".to_owned(),
            Err(fault) => fault.http_status().as_u16().to_string(),
        }
    }

    #[test]
    fn content_types() {
        const FORM: &str = "application/x-www-form-urlencoded";
        let cases: &[(Option<&str>, &str, &str)] = &[
            (None, "{}", "json"),
            (Some("application/json"), "{}", "json"),
            (Some("Application/JSON; charset=UTF-8"), "{}", "json"),
            (Some("application/json; charset=\"utf-8\""), "{}", "json"),
            (Some("application/json; charset=latin1"), "{}", "415"),
            (Some("application/merge-patch+json"), "{}", "json"),
            (Some("application/json"), " \n", "none"),
            (Some(FORM), " {}", "400"),
            (Some(FORM), "[1]", "400"),
            (Some(FORM), "a=b", "form"),
            (Some(FORM), "a", "form"),
            (Some(FORM), "\r\n", "none"),
            (Some("Application/X-WWW-Form-URLencoded; charset=utf-8"), "a=b", "form"),
            (Some("application/x-www-form-urlencoded; charset=latin1"), "a=b", "415"),
            (Some("text/plain"), "{}", "415"),
            (Some("text/plain"), " ", "415"),
            (Some("text/plain"), "", "none"),
            (Some("application/jsonp"), "{}", "415"),
        ];
        for (content_type, body, want) in cases {
            assert_eq!(read(BodyRule::Whole, *content_type, body), *want, "{content_type:?} {body:?}");
        }
        assert_eq!(read(BodyRule::None, Some("text/plain"), "x"), "json");
        assert_eq!(read(BodyRule::None, Some("text/plain"), ""), "none");
    }
}
