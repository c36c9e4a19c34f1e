//! Ending a connection that came to the wrong kind of port, in words that its client understands.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::io::Opening;

/// As much as is read of what a refused client still sends.
const MAX_REST: usize = 64 << 10;

const HTTP1: &[u8] = b"HTTP/1.1 400 Bad Request\r\n\
    content-type: text/plain\r\n\
    content-length: 33\r\n\
    connection: close\r\n\
    \r\n\
    This port takes TLS: use https.\r\n";

/// SETTINGS without a setting, which a server's side begins with, and GOAWAY: no stream was served,
/// INADEQUATE_SECURITY, and a text (RFC 9113, sections 3.4 and 6.8).
const HTTP2: &[u8] = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00\
    \x00\x00\x1b\x07\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x0cThis port takes TLS";

/// A fatal alert, handshake_failure (RFC 8446, section 6).
const TLS: &[u8] = b"\x15\x03\x03\x00\x02\x02\x28";

/// What is said to a client that opened like this on a port for the other kind.
fn words(opening: Opening) -> &'static [u8] {
    match opening {
        Opening::Http1 => HTTP1,
        Opening::Http2 => HTTP2,
        Opening::Tls => TLS,
    }
}

/// Says so and ends the connection, in the order that lets the words arrive: a socket that is closed with bytes unread
/// is reset, and takes what was sent with it.
pub(super) async fn refuse(mut stream: impl AsyncRead + AsyncWrite + Unpin, opening: Opening) {
    // Who doesn't listen needs no answer.
    if stream.write_all(words(opening)).await.is_err() || stream.shutdown().await.is_err() {
        return;
    }
    let mut rest = [0; 1024];
    let mut read = 0;
    while read < MAX_REST {
        match stream.read(&mut rest).await {
            Ok(0) | Err(_) => return,
            Ok(count) => read += count,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_those_of_what_follows() {
        let text = String::from_utf8(HTTP1.to_vec()).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}\r\n", body.len())), "{text}");
        let length = usize::from(HTTP2[9 + 2]);
        assert_eq!(HTTP2.len(), 9 + 9 + length);
        assert_eq!(TLS.len(), 5 + usize::from(TLS[4]));
    }
}
