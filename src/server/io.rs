//! A client's connection: what it speaks, what was read to find that out, and how it is closed.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::tls::HANDSHAKE;
use super::transport::Transport;
use super::watch::Watch;

/// What an HTTP/2 connection begins with (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The version of HTTP on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    Http1,
    Http2,
}

/// What a client's first bytes say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opening {
    Http1,
    Http2,
    /// A TLS handshake, which nobody has taken off.
    Tls,
}

/// How long a client that still sends what nobody reads may take to see that its answer is there.
const LINGER: Duration = Duration::from_secs(5);

/// A connection whose first bytes were read already.
pub(super) struct ClientIo {
    inner: Transport,
    prefix: Bytes,
    watch: Arc<Watch>,
    /// Whether the end of the connection waits for a client that still sends. HTTP/2 has its own way of ending.
    pub(super) lingers: bool,
    /// There once our side is closed and the client's is not: when to wait for it no longer.
    lingering: Option<Pin<Box<Sleep>>>,
}

/// Reads until it is clear what a client speaks, and no further. `None` where it says nothing and leaves.
pub(super) async fn sniff(
    mut stream: Transport,
    watch: Arc<Watch>,
) -> io::Result<Option<(Opening, ClientIo)>> {
    let mut buffer = [0; PREFACE.len()];
    let mut filled = 0;
    let opening = loop {
        let Some(free) = buffer.get_mut(filled..) else { break Opening::Http2 };
        let count = stream.read(free).await?;
        if count == 0 {
            if filled == 0 {
                return Ok(None);
            }
            break Opening::Http1;
        }
        filled += count;
        match judge(buffer.get(..filled).unwrap_or_default()) {
            Some(opening) => break opening,
            None => watch.read(),
        }
    };
    let prefix = Bytes::copy_from_slice(buffer.get(..filled).unwrap_or_default());
    Ok(Some((opening, ClientIo { inner: stream, prefix, watch, lingers: false, lingering: None })))
}

/// What it is, once the first bytes tell.
fn judge(bytes: &[u8]) -> Option<Opening> {
    if PREFACE.starts_with(bytes) {
        return (bytes.len() == PREFACE.len()).then_some(Opening::Http2);
    }
    match bytes {
        [HANDSHAKE] => None,
        // The record's version begins with 3 in all versions of TLS.
        [HANDSHAKE, 3, ..] => Some(Opening::Tls),
        _ => Some(Opening::Http1),
    }
}

impl AsyncRead for ClientIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.prefix.is_empty() {
            let before = buffer.filled().len();
            let polled = Pin::new(&mut self.inner).poll_read(cx, buffer);
            if buffer.filled().len() > before {
                self.watch.read();
            }
            return polled;
        }
        let count = self.prefix.len().min(buffer.remaining());
        buffer.put_slice(self.prefix.get(..count).unwrap_or_default());
        self.prefix.advance(count);
        self.watch.read();
        Poll::Ready(Ok(()))
    }
}

impl ClientIo {
    /// Tells the watch how writing goes.
    fn watched<T>(&self, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match &polled {
            Poll::Pending => self.watch.block(),
            Poll::Ready(_) => self.watch.written(),
        }
        polled
    }
}

impl AsyncWrite for ClientIo {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.watched(polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write_vectored(cx, slices);
        self.watched(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.inner).poll_flush(cx);
        self.watched(polled)
    }

    /// Closes our side, and where a request, or its head, was answered before its end, reads on and throws away until the client closes
    /// its own: a socket that is closed before that is reset by what still comes, and takes with it what the client has
    /// not read yet (RFC 9112, section 9.6).
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.lingering.is_none() {
            ready!(Pin::new(&mut this.inner).poll_shutdown(cx))?;
            if !(this.lingers && this.watch.is_unread()) {
                return Poll::Ready(Ok(()));
            }
        }
        let patience = this.lingering.get_or_insert_with(|| Box::pin(sleep(LINGER)));
        let mut rest = [0; 8 << 10];
        while patience.as_mut().poll(cx).is_pending() {
            let mut rest = ReadBuf::new(&mut rest);
            // Our part has gone well whatever becomes of the client's.
            if ready!(Pin::new(&mut this.inner).poll_read(cx, &mut rest)).is_err() || rest.filled().is_empty()
            {
                break;
            }
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpStream;

    use super::*;

    #[test]
    fn versions_are_told_as_early_as_they_can_be() {
        for cut in 0..PREFACE.len() {
            assert_eq!(judge(&PREFACE[..cut]), None, "cut {cut}");
        }
        assert_eq!(judge(PREFACE), Some(Opening::Http2));
        assert_eq!(judge(b"G"), Some(Opening::Http1));
        assert_eq!(judge(b"\x16"), None);
        assert_eq!(judge(b"\x16\x03"), Some(Opening::Tls));
        assert_eq!(judge(b"\x16\x04"), Some(Opening::Http1));
        assert_eq!(judge(b"PRO"), Some(Opening::Http1));
        assert_eq!(judge(b"PRI * HTTP/2.0\r\n\r\nXX"), Some(Opening::Http1));
    }

    #[tokio::test]
    async fn what_was_read_is_read_again() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (server, _) = listener.accept().await.unwrap();
        client.write_all(b"POST / HTTP/1.1\r\n").await.unwrap();
        drop(client);
        let (opening, mut io) =
            sniff(Transport::Plain(server), Arc::new(Watch::default())).await.unwrap().unwrap();
        assert_eq!(opening, Opening::Http1);
        let mut text = String::new();
        io.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "POST / HTTP/1.1\r\n");
    }

    /// Opens a connection, says that its last request was given up or not, and closes it; how long that takes.
    async fn closed_after(given_up: bool, client_closes: bool) -> Duration {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (server, _) = listener.accept().await.unwrap();
        client.write_all(b"POST / HTTP/1.1\r\n\r\nwhat nobody reads").await.unwrap();
        let watch = Arc::new(Watch::default());
        if given_up {
            watch.give_up();
        }
        let (_, mut io) = sniff(Transport::Plain(server), watch).await.unwrap().unwrap();
        io.lingers = true;
        if client_closes {
            client.shutdown().await.unwrap();
        }
        let began = tokio::time::Instant::now();
        io.shutdown().await.unwrap();
        began.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_may_still_send_is_waited_for_but_not_for_ever() {
        assert_eq!(closed_after(false, false).await, Duration::ZERO);
        assert!(closed_after(true, true).await < LINGER);
        assert!(closed_after(true, false).await >= LINGER);
    }
}
