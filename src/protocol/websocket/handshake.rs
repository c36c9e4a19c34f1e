//! The request that turns a connection into a WebSocket, and its answer.

use http::header::{self, HeaderMap, HeaderValue};
use http::request::Parts;
use http::{Method, Response, StatusCode, Version};
use hyper::upgrade::OnUpgrade;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::fault::Fault;
use crate::protocol::body::ReplyBody;

/// The subprotocol that docs/websocket.md describes, for clients that name one.
const SUBPROTOCOL: &str = "transom.v1.json";

/// Whether a request asks for a WebSocket.
pub(in crate::protocol) fn is_handshake(head: &Parts) -> bool {
    if head.version == Version::HTTP_2 {
        let protocol = head.extensions.get::<hyper::ext::Protocol>();
        return head.method == Method::CONNECT && protocol.is_some_and(|name| name.as_str() == "websocket");
    }
    head.method == Method::GET
        && lists(&head.headers, &header::CONNECTION, "upgrade")
        && lists(&head.headers, &header::UPGRADE, "websocket")
}

/// Whether a header with a comma-separated list has this token.
fn lists(headers: &HeaderMap, name: &header::HeaderName, token: &str) -> bool {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|word| word.trim().eq_ignore_ascii_case(token))
}

/// Checks the handshake; gives the answer that accepts it, and the connection as it will be.
///
/// # Errors
/// Another version than 13, no key, or a connection that can't be handed over.
pub(super) fn accept(head: &mut Parts) -> Result<(Response<ReplyBody>, OnUpgrade), Fault> {
    let bad = |why: &'static str| Fault::invalid_argument("BAD_HANDSHAKE", why);
    if head.headers.get(header::SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        return Err(bad("only version 13 of WebSocket is spoken").at("sec-websocket-version"));
    }
    let mut response = Response::new(ReplyBody::empty());
    if head.version == Version::HTTP_2 {
        *response.status_mut() = StatusCode::OK;
    } else {
        let key = head.headers.get(header::SEC_WEBSOCKET_KEY).map(HeaderValue::as_bytes);
        let key = key.filter(|key| base64_simd::STANDARD.decode_to_vec(key).is_ok_and(|key| key.len() == 16));
        let key = key.ok_or_else(|| bad("the key is not 16 bytes in base64").at("sec-websocket-key"))?;
        let accepted = HeaderValue::from_str(&derive_accept_key(key)).map_err(|_| bad("no key"))?;
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accepted);
    }
    if lists(&head.headers, &header::SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL) {
        let headers = response.headers_mut();
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
    }
    let upgrade = head.extensions.remove::<OnUpgrade>();
    let upgrade = upgrade.ok_or_else(|| bad("this connection can't become a WebSocket"))?;
    Ok((response, upgrade))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    #[test]
    fn only_whole_handshakes_ask_for_a_websocket() {
        for (method, connection, upgrade, want) in [
            ("GET", "Upgrade", "websocket", true),
            ("GET", "keep-alive, upgrade", "WebSocket", true),
            ("GET", "keep-alive", "websocket", false),
            ("GET", "upgrade", "h2c", false),
            ("POST", "upgrade", "websocket", false),
        ] {
            let request = Request::builder()
                .method(method)
                .header("connection", connection)
                .header("upgrade", upgrade)
                .body(())
                .unwrap();
            assert_eq!(is_handshake(&request.into_parts().0), want, "{method} {connection} {upgrade}");
        }
    }
}
