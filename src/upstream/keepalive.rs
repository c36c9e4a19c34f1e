//! Pings: whether a connection that is silent leads anywhere still.
//!
//! A peer that vanished without a word, behind a firewall or with its machine, is not noticed by TCP for a quarter of an
//! hour. A ping finds it out. Where an interval is set, one is sent after that much silence; and without one, too, when a
//! call has run out of its time and not a byte came meanwhile.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use h2::{Ping, PingPong};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout};

use super::settings::Keepalive;

/// How long the answer to a ping may take where nothing is set.
const PATIENCE: Duration = Duration::from_secs(10);
/// Pings for doubts are no nearer to each other. Servers take frequent pings for an attack.
const DOUBTS: Duration = Duration::from_secs(30);

/// When something was last heard of a peer.
pub(super) struct Pulse {
    born: Instant,
    /// In nanoseconds since `born`.
    heard: AtomicU64,
    doubt: Notify,
    /// Calls that are on the connection.
    pub(super) streams: AtomicUsize,
    /// Bytes that the connection has written.
    pub(super) written: AtomicU64,
}

impl Pulse {
    pub(super) fn new() -> Self {
        Self {
            born: Instant::now(),
            heard: AtomicU64::new(0),
            doubt: Notify::new(),
            streams: AtomicUsize::new(0),
            written: AtomicU64::new(0),
        }
    }

    fn hear(&self) {
        let nanos = u64::try_from(self.born.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.heard.store(nanos, Ordering::Relaxed);
    }

    fn wrote(&self, bytes: usize) -> usize {
        // Only the connection's own task writes.
        let before = self.written.load(Ordering::Relaxed);
        self.written.store(before.wrapping_add(bytes as u64), Ordering::Relaxed);
        bytes
    }

    fn heard(&self) -> Instant {
        self.born + Duration::from_nanos(self.heard.load(Ordering::Relaxed))
    }

    /// A call has waited in vain since `began`.
    pub(super) fn suspect(&self, began: Instant) {
        if self.heard() < began {
            self.doubt.notify_one();
        }
    }
}

/// Ends when a ping was not answered in time. `every` is the interval, where there is one.
pub(super) async fn watch(pulse: &Pulse, mut pings: PingPong, settings: Option<Keepalive>) {
    let mut pinged = pulse.born;
    loop {
        let due = settings.map(|settings| pulse.heard().max(pinged) + settings.every);
        let tick = async {
            match due {
                Some(due) => sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = tick => {
                let heard_since = settings.is_some_and(|settings| pulse.heard().elapsed() < settings.every);
                let is_idle = pulse.streams.load(Ordering::Relaxed) == 0;
                if heard_since {
                    continue;
                }
                if is_idle && settings.is_none_or(|settings| !settings.idle) {
                    // As if it had been answered: the next look is after another interval.
                    pinged = Instant::now();
                    continue;
                }
            }
            () = pulse.doubt.notified() => {
                if pinged != pulse.born && pinged.elapsed() < DOUBTS {
                    continue;
                }
            }
        }
        pinged = Instant::now();
        let patience = settings.map_or(PATIENCE, |settings| settings.timeout);
        match timeout(patience, pings.ping(Ping::opaque())).await {
            Ok(Ok(_)) => {}
            // The connection is over, and its driver says so.
            Ok(Err(_)) => std::future::pending().await,
            Err(_) => return,
        }
    }
}

/// A stream of bytes that keeps note of when some came, and how many went.
pub(super) struct Heard<T> {
    inner: T,
    pulse: Arc<Pulse>,
}

impl<T> Heard<T> {
    pub(super) fn new(inner: T, pulse: Arc<Pulse>) -> Self {
        Self { inner, pulse }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Heard<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
        self.pulse.hear();
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Heard<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let wrote = ready!(Pin::new(&mut self.inner).poll_write(cx, buf))?;
        Poll::Ready(Ok(self.pulse.wrote(wrote)))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wrote = ready!(Pin::new(&mut self.inner).poll_write_vectored(cx, bufs))?;
        Poll::Ready(Ok(self.pulse.wrote(wrote)))
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
