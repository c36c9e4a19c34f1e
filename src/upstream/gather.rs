//! The socket of a connection that carries streams: what comes in bulk is read in bulk.
//!
//! A backend that streams fast writes segments of a few messages, and reading each as it comes costs a wake-up, a poll and
//! a read of its own. While much comes, the kernel is asked to wait for more of it, no longer than a moment.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

use super::low_water;

/// Much is what comes at this many bytes in [`MOMENT`].
const MUCH: usize = 64 << 10;
const MOMENT: Duration = Duration::from_millis(1);
/// What the kernel waits for then. More would let a backend run into a stream's window while its last bytes wait here.
const ENOUGH: u32 = 16 << 10;

/// A socket that waits for more where much comes.
pub(super) struct Gather {
    inner: TcpStream,
    gathers: bool,
    /// When the moment that is looked at began, and what it has brought.
    began: Instant,
    brought: usize,
    /// Whether the kernel waits for enough.
    holding: bool,
    /// Ends the wait; armed where there was nothing to read.
    longest: Pin<Box<Sleep>>,
    armed: bool,
}

impl Gather {
    /// A socket that never waits for more where it does not carry `streams`.
    pub(super) fn new(inner: TcpStream, streams: bool) -> Self {
        // Only Linux is known to wake a reader when less becomes enough.
        let gathers = streams && cfg!(target_os = "linux");
        let began = Instant::now();
        Self {
            inner,
            gathers,
            began,
            brought: 0,
            holding: false,
            longest: Box::pin(tokio::time::sleep(MOMENT)),
            armed: false,
        }
    }

    /// Looks whether much comes.
    fn note(&mut self, count: usize) {
        let now = Instant::now();
        if now.duration_since(self.began) > MOMENT {
            (self.began, self.brought) = (now, 0);
        }
        self.brought += count;
        // A socket that can't hold is read as ever.
        if self.brought >= MUCH && !self.holding {
            self.holding = low_water::set(&self.inner, ENOUGH).is_ok();
        }
    }

    fn let_go(&mut self) -> io::Result<()> {
        (self.holding, self.armed) = (false, false);
        self.brought = 0;
        low_water::set(&self.inner, 1)
    }
}

impl AsyncRead for Gather {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        loop {
            match Pin::new(&mut self.inner).poll_read(cx, buf) {
                Poll::Ready(Ok(())) => {
                    self.armed = false;
                    let count = buf.filled().len() - before;
                    if self.gathers {
                        self.note(count);
                    }
                    return Poll::Ready(Ok(()));
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending if !self.holding => return Poll::Pending,
                Poll::Pending => {
                    if !std::mem::replace(&mut self.armed, true) {
                        let due = Instant::now() + MOMENT;
                        self.longest.as_mut().reset(due);
                    }
                    if self.longest.as_mut().poll(cx).is_pending() {
                        return Poll::Pending;
                    }
                    // The kernel wakes us now if anything is there.
                    self.let_go()?;
                }
            }
        }
    }
}

impl AsyncWrite for Gather {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    async fn pair() -> (Gather, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (Gather::new(near, true), listener.accept().await.unwrap().0)
    }

    async fn read(gather: &mut Gather, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        gather.read_exact(&mut bytes).await.unwrap();
        bytes
    }

    #[tokio::test]
    async fn the_end_of_what_comes_in_bulk_is_not_kept_back() {
        let (mut near, mut far) = pair().await;
        let bulk: Vec<u8> = (0..=250).cycle().take(3 * MUCH).collect();
        for round in 0..20 {
            let (wrote, got) = tokio::join!(far.write_all(&bulk), read(&mut near, bulk.len()));
            wrote.unwrap();
            assert!(got == bulk, "round {round}");
            // Far less than the kernel may be waiting for, and nothing behind it.
            far.write_all(b"tail").await.unwrap();
            assert_eq!(read(&mut near, 4).await, b"tail");
        }
        drop(far);
        assert_eq!(near.read(&mut [0; 8]).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn bulk_is_held_and_little_is_not() {
        let (mut near, mut far) = pair().await;
        for _ in 0..100 {
            far.write_all(&[7; 100]).await.unwrap();
            read(&mut near, 100).await;
        }
        assert!(!near.holding);
        // One read of all of it, so that no time passes between its parts.
        let mut buffer = vec![0; 2 * MUCH];
        let mut held = false;
        for _ in 0..100 {
            far.write_all(&buffer).await.unwrap();
            near.read_exact(&mut buffer).await.unwrap();
            held |= near.holding;
        }
        assert!(held);
        // The first finds the socket readable still; the second one has to wait for the end of the moment.
        for _ in 0..2 {
            far.write_all(b"x").await.unwrap();
            assert_eq!(near.read(&mut [0; 8]).await.unwrap(), 1);
        }
        assert!(!near.holding);
    }

    #[tokio::test]
    async fn a_lost_connection_is_seen_at_once_while_bulk_is_held() {
        let (mut near, mut far) = pair().await;
        let mut buffer = vec![0; 2 * MUCH];
        far.write_all(&buffer).await.unwrap();
        near.read_exact(&mut buffer).await.unwrap();
        far.write_all(b"last").await.unwrap();
        far.set_zero_linger().unwrap();
        drop(far);
        let mut rest = Vec::new();
        // The reset may overtake what came before it; an end must come in any case.
        let _ = near.read_to_end(&mut rest).await;
        assert!(rest.is_empty() || rest == b"last");
    }
}
