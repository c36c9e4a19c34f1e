//! Headers into gRPC metadata and back: what crosses the gateway, and under which name.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use smallvec::SmallVec;

use crate::fault::Fault;
use crate::policy::address::is_forwarding;

/// A request's header of this prefix is also passed without it, as grpc-gateway does.
const PREFIX: &str = "grpc-metadata-";

/// Headers of one connection (RFC 9110, section 7.6.1), which never cross.
fn is_hop_by_hop(name: &HeaderName) -> bool {
    *name == header::CONNECTION
        || *name == header::TE
        || *name == header::TRAILER
        || *name == header::TRANSFER_ENCODING
        || *name == header::UPGRADE
        || *name == header::PROXY_AUTHENTICATE
        || *name == header::PROXY_AUTHORIZATION
        || matches!(name.as_str(), "keep-alive" | "proxy-connection")
}

/// Headers that belong to the protocol on one side and would mean something else on the other.
fn is_reserved_in(name: &HeaderName) -> bool {
    is_hop_by_hop(name)
        || *name == header::HOST
        || *name == header::CONTENT_LENGTH
        || *name == header::CONTENT_TYPE
        || *name == header::CONTENT_ENCODING
        || *name == header::ACCEPT
        || *name == header::ACCEPT_ENCODING
        || *name == header::EXPECT
        || is_timeout(name.as_str())
        || name.as_str().starts_with("grpc-")
        || name.as_str().starts_with(CONNECT)
}

/// Whether metadata of this name is the gateway's, or tells the backend what only the client may say.
#[must_use]
pub fn is_reserved_metadata(name: &HeaderName) -> bool {
    is_reserved_in(name) || *name == header::AUTHORIZATION || *name == header::COOKIE
}

/// Names of this prefix belong to the Connect protocol.
const CONNECT: &str = "connect-";

/// What every call to a backend says beside its metadata.
pub(super) fn put_call(headers: &mut HeaderMap) {
    headers.insert(header::TE, HeaderValue::from_static("trailers"));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
}

/// They set the deadline, and what is left of that is passed on.
fn is_timeout(name: &str) -> bool {
    matches!(name, "connect-timeout-ms" | "x-server-timeout")
}

/// Makes a request's headers the metadata of its call, in place: most of them stay.
///
/// # Errors
/// A `-bin` header that is no base64.
pub(super) fn from_request(mut headers: HeaderMap) -> Result<HeaderMap, Fault> {
    let listed = Listed::of(&headers);
    let mut staying_here = SmallVec::<[HeaderName; 8]>::new();
    let mut has_prefixed = false;
    for (name, value) in &headers {
        has_prefixed |= name.as_str().starts_with(PREFIX);
        if is_reserved_in(name) || listed.contains(name) {
            if staying_here.last() != Some(name) {
                staying_here.push(name.clone());
            }
        } else {
            check_binary(name, value)?;
        }
    }
    let prefixed = if has_prefixed { prefixed(&headers, &listed)? } else { Vec::new() };
    for name in &staying_here {
        headers.remove(name);
    }
    for (name, value) in prefixed {
        headers.append(name, value);
    }
    Ok(headers)
}

/// The headers that cross under a name of their own. The name is judged without its prefix.
fn prefixed(headers: &HeaderMap, listed: &Listed) -> Result<Vec<(HeaderName, HeaderValue)>, Fault> {
    let mut found = Vec::new();
    for (name, value) in headers {
        let Some(own) = name.as_str().strip_prefix(PREFIX) else { continue };
        let Ok(own) = HeaderName::from_bytes(own.as_bytes()) else { continue };
        if !is_reserved_in(&own) && !listed.contains(&own) {
            check_binary(&own, value)?;
            found.push((own, value.clone()));
        }
    }
    Ok(found)
}

fn check_binary(name: &HeaderName, value: &HeaderValue) -> Result<(), Fault> {
    if name.as_str().ends_with("-bin") && base64_simd::forgiving_decode_to_vec(value.as_bytes()).is_err() {
        let message = format!("header `{name}` must be base64");
        return Err(Fault::invalid_argument("BAD_BINARY_HEADER", message).at(name.as_str()));
    }
    Ok(())
}

/// The headers that `Connection` declares to be of this connection alone.
struct Listed(Vec<HeaderName>);

impl Listed {
    fn of(headers: &HeaderMap) -> Self {
        let names = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
        let names = names.flat_map(|value| value.split(','));
        Self(names.filter_map(|name| HeaderName::from_bytes(name.trim().as_bytes()).ok()).collect())
    }

    /// What the gateway itself writes is not the client's to take off.
    fn contains(&self, name: &HeaderName) -> bool {
        self.0.contains(name) && !is_forwarding(name.as_str())
    }
}

/// Makes the headers of a gRPC request its metadata, in place: all stay but those of one connection, and time-outs, which
/// are counted down.
pub(super) fn from_grpc_request(mut headers: HeaderMap) -> HeaderMap {
    let listed = Listed::of(&headers);
    let leaving_out: SmallVec<[HeaderName; 4]> = headers
        .keys()
        .filter(|name| {
            is_hop_by_hop(name)
                || **name == header::HOST
                || **name == header::CONTENT_LENGTH
                || **name == header::EXPECT
                || is_timeout(name.as_str())
                || matches!(name.as_str(), "grpc-timeout" | "grpc-previous-rpc-attempts")
                || listed.contains(name)
        })
        .cloned()
        .collect();
    for name in &leaving_out {
        headers.remove(name);
    }
    headers
}

/// Makes a backend's metadata the headers or trailers of a gRPC answer, in place.
pub(super) fn into_grpc_response(mut headers: HeaderMap) -> HeaderMap {
    let leaving_out: SmallVec<[HeaderName; 4]> = headers
        .keys()
        .filter(|name| {
            is_hop_by_hop(name)
                || **name == header::CONTENT_LENGTH
                || **name == header::DATE
                || **name == header::SERVER
        })
        .cloned()
        .collect();
    for name in &leaving_out {
        headers.remove(name);
    }
    headers
}

/// Makes a backend's metadata the headers of an answer, in place.
pub(super) fn into_response(mut headers: HeaderMap) -> HeaderMap {
    let leaving_out: SmallVec<[HeaderName; 8]> =
        headers.keys().filter(|name| !crosses_out(name)).cloned().collect();
    for name in &leaving_out {
        headers.remove(name);
    }
    headers
}

/// Everything but what is the gateway's own to say; `server` would tell what is behind it.
fn crosses_out(name: &HeaderName) -> bool {
    !(is_hop_by_hop(name)
        || *name == header::CONTENT_TYPE
        || *name == header::CONTENT_LENGTH
        || *name == header::CONTENT_ENCODING
        || *name == header::DATE
        || *name == header::SERVER
        || *name == HTTP_CODE
        || name.as_str().starts_with("grpc-")
        || name.as_str().starts_with(CONNECT))
}

/// The status that a backend wishes for (metadata, decimal).
pub(super) const HTTP_CODE: HeaderName = HeaderName::from_static("x-http-code");

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn what_crosses_to_the_backend() {
        let cases: &[(&str, &str, Option<&str>)] = &[
            ("authorization", "Bearer x", Some("authorization")),
            ("x-tenant", "a", Some("x-tenant")),
            ("cookie", "a=b", Some("cookie")),
            ("host", "h", None),
            ("te", "trailers", None),
            ("connection", "close", None),
            ("keep-alive", "1", None),
            ("content-length", "1", None),
            ("content-type", "application/json", None),
            ("accept-encoding", "gzip", None),
            ("grpc-timeout", "1S", None),
            ("grpc-encoding", "gzip", None),
            ("x-server-timeout", "1", None),
            ("grpc-metadata-x-tenant", "a", Some("x-tenant")),
            ("grpc-metadata-host", "h", None),
            ("grpc-metadata-grpc-timeout", "1S", None),
            ("grpc-metadata-te", "x", None),
            ("connect-protocol-version", "1", None),
        ];
        for (name, value, want) in cases {
            let found = from_request(map(&[(name, value)])).unwrap();
            let names: Vec<&str> = found.keys().map(HeaderName::as_str).collect();
            assert_eq!(names, Vec::from_iter(*want), "{name}");
        }
    }

    #[test]
    fn all_values_of_a_header_cross_in_their_order() {
        let found = from_request(map(&[("x-a", "1"), ("x-b", "2"), ("x-a", "3")])).unwrap();
        assert_eq!(found.get_all("x-a").iter().collect::<Vec<_>>(), ["1", "3"]);
    }

    #[test]
    fn headers_listed_in_connection_do_not_cross() {
        let found = from_request(map(&[
            ("connection", "close, X-Mine"),
            ("x-mine", "1"),
            ("grpc-metadata-x-mine", "2"),
        ]));
        assert!(found.unwrap().is_empty());
    }

    #[test]
    fn binary_headers_are_base64() {
        assert!(from_request(map(&[("x-a-bin", "AQI")])).is_ok());
        assert!(from_request(map(&[("x-a-bin", "AQI=")])).is_ok());
        assert_eq!(from_request(map(&[("x-a-bin", "%")])).unwrap_err().field(), Some("x-a-bin"));
    }

    #[test]
    fn what_crosses_to_the_client() {
        let metadata = map(&[
            ("etag", "1"),
            ("location", "/x"),
            ("content-type", "application/grpc"),
            ("grpc-status", "0"),
            ("grpc-encoding", "gzip"),
            ("server", "s"),
            ("x-http-code", "201"),
            ("trailer", "x"),
            ("connect-content-encoding", "gzip"),
        ]);
        let headers = into_response(metadata);
        let mut names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["etag", "location"]);
    }
}
