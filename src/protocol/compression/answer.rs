//! Which answers are packed, and what their heads say then.

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use http_body::Body;

use super::coding::Coding;
use super::encoder::Encoder;
use super::negotiate::{Wanted, items};
use super::pack::{PackedBody, SLICE};
use super::settings::Packing;
use super::whole::compress;
use crate::protocol::body::ReplyBody;

const ACCEPT_ENCODING: HeaderValue = HeaderValue::from_static("Accept-Encoding");

/// Of the messages in a gRPC-Web body.
const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");

/// What tells of the very bytes of a body, which are others once it is packed (RFC 9530; the last two are its forerunners).
const DIGESTS: [HeaderName; 4] = [
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("repr-digest"),
    HeaderName::from_static("digest"),
    HeaderName::from_static("content-md5"),
];

/// Packs an answer as its client wants it, if it is worth it. `is_head`: the answer to a `HEAD`, which tells what a `GET`
/// would say.
#[must_use]
pub fn packed(
    response: Response<ReplyBody>,
    wanted: Wanted,
    packing: &Packing,
    is_head: bool,
) -> Response<ReplyBody> {
    if !may_be_packed(response.status(), response.headers()) {
        return response;
    }
    let (mut head, body) = response.into_parts();
    let size = if is_head { announced(&head.headers) } else { size_of(&body) };
    let is_large = size.is_none_or(|size| size >= packing.min_size);
    if is_large {
        // Caches must know, whatever this client wanted.
        vary(&mut head.headers);
    }
    let coding = match wanted {
        Wanted::Coded(coding) if is_large => coding,
        Wanted::OnlyCoded(coding) if size != Some(0) => coding,
        Wanted::Coded(_) | Wanted::OnlyCoded(_) | Wanted::Identity => {
            return Response::from_parts(head, body);
        }
    };
    if is_head {
        mark(&mut head.headers, coding);
        return Response::from_parts(head, body);
    }
    let must = matches!(wanted, Wanted::OnlyCoded(_));
    match pack(body, size, coding, packing, must) {
        Ok(body) => {
            mark(&mut head.headers, coding);
            Response::from_parts(head, body)
        }
        Err(body) => Response::from_parts(head, body),
    }
}

/// The packed body; the body as it was where that isn't better.
fn pack(
    body: ReplyBody,
    size: Option<usize>,
    coding: Coding,
    packing: &Packing,
    must: bool,
) -> Result<ReplyBody, ReplyBody> {
    match joined(body, size) {
        ReplyBody::Whole { data: Some(data), trailers } if data.len() <= SLICE => {
            match compress(coding, packing.level, &data) {
                Ok(small) if must || small.len() < data.len() => {
                    Ok(ReplyBody::Whole { data: Some(Bytes::from(small)), trailers })
                }
                Ok(_) | Err(_) => Err(ReplyBody::Whole { data: Some(data), trailers }),
            }
        }
        body => {
            let encoder = match size {
                Some(size) => Encoder::for_size(coding, packing.level, size),
                None => Encoder::new(coding, packing.level),
            };
            match encoder {
                Ok(encoder) => Ok(ReplyBody::live(PackedBody::new(body, encoder))),
                Err(_) => Err(body),
            }
        }
    }
}

/// Two small pieces as one; anything else as it is.
fn joined(body: ReplyBody, size: Option<usize>) -> ReplyBody {
    match body {
        ReplyBody::Two { first, last } if size.is_some_and(|size| size <= SLICE) => {
            let pieces = [first, last].into_iter().flatten();
            ReplyBody::from(pieces.collect::<Vec<Bytes>>().concat())
        }
        ReplyBody::Two { .. } | ReplyBody::Whole { .. } | ReplyBody::Live { .. } | ReplyBody::Session(_) => {
            body
        }
    }
}

/// Bytes of the body, where they are known.
fn size_of(body: &ReplyBody) -> Option<usize> {
    match body {
        ReplyBody::Whole { data, .. } => Some(data.as_ref().map_or(0, Bytes::len)),
        ReplyBody::Two { first, last } => Some([first, last].into_iter().flatten().map(Bytes::len).sum()),
        ReplyBody::Live { .. } | ReplyBody::Session(_) => body.is_end_stream().then_some(0),
    }
}

fn announced(headers: &HeaderMap) -> Option<usize> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// By the head alone.
fn may_be_packed(status: StatusCode, headers: &HeaderMap) -> bool {
    let has_body = !matches!(
        status,
        StatusCode::NO_CONTENT
            | StatusCode::RESET_CONTENT
            | StatusCode::NOT_MODIFIED
            // Ranges are parts of the body as it is.
            | StatusCode::PARTIAL_CONTENT
    ) && !status.is_informational();
    has_body
        && !headers.contains_key(header::CONTENT_ENCODING)
        && headers.get(&GRPC_ENCODING).is_none_or(|encoding| encoding == "identity")
        && headers.get(header::CONTENT_TYPE).is_some_and(is_compressible)
        && !DIGESTS.iter().any(|name| headers.contains_key(name))
        && !items(headers, &header::CACHE_CONTROL).any(|item| item.eq_ignore_ascii_case("no-transform"))
}

/// Text and what is like it. gRPC and Connect's streams pack their messages, not the body; pictures, films and archives are
/// packed already.
fn is_compressible(content_type: &HeaderValue) -> bool {
    let Ok(value) = content_type.to_str() else { return false };
    if value == "application/json" {
        return true;
    }
    let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.split_once('/') {
        Some(("text", _)) => true,
        // gRPC-Web has no other compression that browsers know of.
        Some(("application", subtype)) if subtype.starts_with("grpc-web") => true,
        Some(("application", subtype)) if subtype.starts_with("grpc") || subtype.starts_with("connect") => {
            false
        }
        Some((_, subtype)) if subtype.ends_with("+json") || subtype.ends_with("+xml") => true,
        Some(("application", subtype)) => matches!(
            subtype,
            "json"
                | "x-ndjson"
                | "ndjson"
                | "jsonl"
                | "xml"
                | "yaml"
                | "javascript"
                | "proto"
                | "protobuf"
                | "x-protobuf"
                | "x-www-form-urlencoded"
        ),
        Some(_) | None => false,
    }
}

/// Says that the answer depends on `Accept-Encoding`, unless it says so already.
fn vary(headers: &mut HeaderMap) {
    let told = items(headers, &header::VARY)
        .any(|item| item == "*" || item.eq_ignore_ascii_case(header::ACCEPT_ENCODING.as_str()));
    if !told {
        headers.append(header::VARY, ACCEPT_ENCODING);
    }
}

/// Makes the head that of a packed body.
fn mark(headers: &mut HeaderMap, coding: Coding) {
    headers.insert(header::CONTENT_ENCODING, coding.value());
    headers.remove(header::CONTENT_LENGTH);
    headers.remove(header::ACCEPT_RANGES);
    // The same resource, but no longer the same bytes (RFC 9110, section 8.8.3.3).
    if let Some(etag) = headers.get_mut(header::ETAG)
        && etag.as_bytes().starts_with(b"\"")
        && let Ok(weak) = HeaderValue::from_bytes(&[b"W/", etag.as_bytes()].concat())
    {
        *etag = weak;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: (&str, &str) = ("content-type", "application/json");

    fn response(status: u16, headers: &[(&str, &str)], data: Vec<u8>) -> Response<ReplyBody> {
        let mut response = Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        response.body(ReplyBody::from(data)).unwrap()
    }

    fn text(response: &Response<ReplyBody>, name: HeaderName) -> Option<&str> {
        response.headers().get(name).map(|value| value.to_str().unwrap())
    }

    const WANTED: Wanted = Wanted::Coded(Coding::Gzip);

    #[test]
    fn which_answers_are_packed() {
        type Case<'c> = (u16, &'c [(&'c str, &'c str)], bool);
        let cases: &[Case<'_>] = &[
            (200, &[JSON], true),
            (404, &[JSON], true),
            (200, &[("content-type", "application/json; charset=utf-8")], true),
            (200, &[("content-type", "Application/Problem+JSON")], true),
            (200, &[("content-type", "application/x-ndjson")], true),
            (200, &[("content-type", "text/event-stream")], true),
            (200, &[("content-type", "text/csv")], true),
            (200, &[("content-type", "application/proto")], true),
            (200, &[("content-type", "image/svg+xml")], true),
            (200, &[("content-type", "image/png")], false),
            (200, &[("content-type", "application/octet-stream")], false),
            (200, &[("content-type", "application/grpc")], false),
            (200, &[("content-type", "application/grpc+json")], false),
            (200, &[("content-type", "application/grpc-web-text+proto")], true),
            (200, &[("content-type", "application/grpc-web+proto"), ("grpc-encoding", "identity")], true),
            (200, &[("content-type", "application/grpc-web+proto"), ("grpc-encoding", "gzip")], false),
            (200, &[("content-type", "application/connect+json")], false),
            (200, &[("content-type", "json")], false),
            (200, &[], false),
            (204, &[JSON], false),
            (304, &[JSON], false),
            (206, &[JSON], false),
            (200, &[JSON, ("content-encoding", "br")], false),
            (200, &[JSON, ("cache-control", "max-age=5, No-Transform")], false),
            (200, &[JSON, ("cache-control", "max-age=5")], true),
            (200, &[JSON, ("content-digest", "sha-256=:AA==:")], false),
        ];
        for (status, headers, want) in cases {
            let answer =
                packed(response(*status, headers, vec![b' '; 5000]), WANTED, &Packing::default(), false);
            let coding = text(&answer, header::CONTENT_ENCODING);
            assert_eq!(coding == Some("gzip"), *want, "{status} {headers:?}");
            let varies = text(&answer, header::VARY).is_some();
            assert_eq!(varies, *want, "{status} {headers:?}");
        }
    }

    #[test]
    fn size_and_wish_decide() {
        let cases = [
            (1024, Wanted::Identity, None, true),
            (1024, WANTED, Some("gzip"), true),
            (1023, WANTED, None, false),
            (1023, Wanted::OnlyCoded(Coding::Br), Some("br"), false),
            (0, Wanted::OnlyCoded(Coding::Br), None, false),
            (1 << 20, WANTED, Some("gzip"), true),
        ];
        for (size, wanted, want, varies) in cases {
            let answer = packed(response(200, &[JSON], vec![b' '; size]), wanted, &Packing::default(), false);
            assert_eq!(text(&answer, header::CONTENT_ENCODING), want, "{size} {wanted:?}");
            assert_eq!(text(&answer, header::VARY).is_some(), varies, "{size} {wanted:?}");
        }
    }

    #[test]
    fn what_does_not_become_smaller_is_left_alone() {
        let mut state = 1_u32;
        let noise = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        });
        let noise: Vec<u8> = noise.take(2000).collect();
        for (wanted, want) in [(WANTED, None), (Wanted::OnlyCoded(Coding::Gzip), Some("gzip"))] {
            let answer = packed(response(200, &[JSON], noise.clone()), wanted, &Packing::default(), false);
            assert_eq!(text(&answer, header::CONTENT_ENCODING), want);
            assert_eq!(text(&answer, header::VARY), Some("Accept-Encoding"));
        }
    }

    #[test]
    fn the_head_of_a_packed_answer() {
        let headers = [
            JSON,
            ("etag", "\"a\""),
            ("vary", "Origin"),
            ("accept-ranges", "bytes"),
            ("content-length", "5000"),
        ];
        for is_head in [false, true] {
            let body = if is_head { Vec::new() } else { vec![b' '; 5000] };
            let answer = packed(response(200, &headers, body), WANTED, &Packing::default(), is_head);
            assert_eq!(text(&answer, header::CONTENT_ENCODING), Some("gzip"), "{is_head}");
            assert_eq!(text(&answer, header::ETAG), Some("W/\"a\""));
            assert_eq!(text(&answer, header::CONTENT_LENGTH), None);
            assert_eq!(text(&answer, header::ACCEPT_RANGES), None);
            let vary: Vec<_> = answer.headers().get_all(header::VARY).iter().collect();
            assert_eq!(vary, ["Origin", "Accept-Encoding"]);
            assert_eq!(answer.body().is_end_stream(), is_head);
        }
        for vary in ["*", "origin, ACCEPT-ENCODING"] {
            let answer = packed(
                response(200, &[JSON, ("vary", vary), ("etag", "W/\"a\"")], vec![b' '; 5000]),
                WANTED,
                &Packing::default(),
                false,
            );
            assert_eq!(text(&answer, header::VARY), Some(vary));
            assert_eq!(answer.headers().get_all(header::VARY).iter().count(), 1);
            assert_eq!(text(&answer, header::ETAG), Some("W/\"a\""));
        }
    }
}
