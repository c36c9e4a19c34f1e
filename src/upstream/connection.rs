//! One HTTP/2 connection to one endpoint, kept up by a task of its own.
//!
//! The task connects when it is first needed, and from then on replaces a connection the moment it is lost; between
//! failed attempts it waits a little longer each time. Calls only ever look at the state that it publishes, so a dead
//! backend costs them nothing but an answer.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use http::uri::Authority;
use tokio::io::{AsyncRead, AsyncWrite, BufReader, DuplexStream};
use tokio::net::TcpStream;
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, info, warn};

use super::gather::Gather;
use super::settings::Endpoint;
use super::tls::Tls;
use crate::fault::{Fault, Kind};

/// What all streams of a connection may have under way towards us: as much as HTTP/2 allows, so that a call whose client
/// reads slowly never takes the window of another one. What one stream may have is its [`Purpose`]'s to say.
const CONNECTION_WINDOW: u32 = i32::MAX as u32;
const MAX_FRAME: u32 = 1 << 20;
/// What is read from a socket at once. h2 asks for 8 KiB, which is a system call for every few messages of a stream;
/// for a large frame it asks for all of it, and then nothing is copied.
const READ_AHEAD: usize = 64 << 10;
/// Details of a status travel in headers; the default of 16 KiB is soon full.
const MAX_HEADER_LIST: u32 = 256 << 10;
/// How many calls that we gave up are remembered, so that their late frames are known for what they are.
const REMEMBERED_RESETS: usize = 4096;

/// How many calls of a connection may be reset within a second. Servers count resets as an attack: hyper's close the
/// connection at 20 of them that the application has not seen yet.
const RESETS_PER_SECOND: u64 = 10;

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// A connection that lives less than this counts as a failed attempt.
const SHORT_LIFE: Duration = Duration::from_millis(250);

/// How to reach an endpoint.
pub(super) struct Target {
    pub upstream: Arc<str>,
    pub endpoint: Endpoint,
    pub dial: Dial,
    pub connect_timeout: Duration,
    pub reach: Arc<Reach>,
}

/// What leads to an endpoint.
pub(super) enum Dial {
    Tcp,
    Tls(Tls),
    /// A pipe within the process.
    Pipe(ServePipe),
}

/// Serves HTTP/2 at the other end of a pipe, by a task on the caller's runtime.
pub type ServePipe = Arc<dyn Fn(DuplexStream) + Send + Sync>;

/// How much of a pipe may be under way in each direction.
const PIPE: usize = 64 << 10;

/// How many connections of a cluster take calls now.
pub(super) struct Reach {
    ready: AtomicUsize,
    /// Told when the first one is there, and when the last one is gone; of all clusters together.
    changed: watch::Sender<()>,
}

impl Reach {
    pub(super) fn new(changed: watch::Sender<()>) -> Arc<Self> {
        Arc::new(Self { ready: AtomicUsize::new(0), changed })
    }

    pub(super) fn is_reached(&self) -> bool {
        self.ready.load(Ordering::SeqCst) > 0
    }

    /// One more, until what is returned is dropped.
    fn count(self: &Arc<Self>) -> Counted {
        if self.ready.fetch_add(1, Ordering::SeqCst) == 0 {
            self.changed.send_replace(());
        }
        Counted(Arc::clone(self))
    }
}

struct Counted(Arc<Reach>);

impl Drop for Counted {
    fn drop(&mut self) {
        if self.0.ready.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.changed.send_replace(());
        }
    }
}

/// What kind of calls a connection carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Messages of limited size, which are always read at once: never throttled.
    Unary,
    /// Streams are read as their clients read, and what waits for them is held in memory.
    Streams,
}

impl Purpose {
    const fn window(self) -> u32 {
        match self {
            Self::Unary => 4 << 20,
            Self::Streams => 256 << 10,
        }
    }
}

/// The state of a connection, as calls see it.
#[derive(Clone)]
pub(super) enum Link {
    /// An attempt is under way.
    Connecting,
    Ready(Arc<Live>),
    /// The last attempt failed; the next one comes by itself.
    Down(Arc<str>),
}

/// A connection that takes calls.
pub(super) struct Live {
    send: SendRequest<Bytes>,
    target: Arc<Target>,
    /// Set when a call finds out that it takes no more, and told to the task that replaces it.
    is_retired: AtomicBool,
    retired: Notify,
    born: Instant,
    /// The second that the count is of, and the count below it: calls reset within that second.
    resets: AtomicU64,
}

impl Live {
    fn new(send: SendRequest<Bytes>, target: Arc<Target>) -> Self {
        Self {
            send,
            target,
            is_retired: AtomicBool::new(false),
            retired: Notify::new(),
            born: Instant::now(),
            resets: AtomicU64::new(0),
        }
    }

    /// A handle for one call; `None` where it takes no more calls. It never waits, and nothing was sent then.
    pub(super) async fn handle(&self) -> Option<SendRequest<Bytes>> {
        match self.send.clone().ready().await {
            Ok(send) => Some(send),
            Err(_) => {
                self.is_retired.store(true, Ordering::Relaxed);
                self.retired.notify_one();
                None
            }
        }
    }

    /// Host and port as the backend knows them.
    pub(super) fn authority(&self) -> &Authority {
        &self.target.endpoint.authority
    }

    pub(super) fn is_tls(&self) -> bool {
        matches!(self.target.dial, Dial::Tls(_))
    }

    /// Takes one of the resets that are allowed in this second, if one is left.
    pub(super) fn may_reset(&self) -> bool {
        let second = self.born.elapsed().as_secs() << 32;
        let take = |resets: u64| {
            let of_this_second = if resets & !u64::from(u32::MAX) == second { resets } else { second };
            let count = of_this_second & u64::from(u32::MAX);
            (count < RESETS_PER_SECOND).then_some(of_this_second + 1)
        };
        self.resets.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }
}

/// The place of one connection.
pub(super) struct Connection {
    target: Arc<Target>,
    purpose: Purpose,
    link: OnceLock<(watch::Receiver<Link>, AbortOnDrop)>,
}

struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Connection {
    pub(super) fn new(target: Arc<Target>, purpose: Purpose) -> Self {
        Self { target, purpose, link: OnceLock::new() }
    }

    /// Starts the task that keeps the connection up, on the runtime of the caller.
    pub(super) fn start(&self) -> &watch::Receiver<Link> {
        &self
            .link
            .get_or_init(|| {
                let (publish, link) = watch::channel(Link::Connecting);
                let task = tokio::spawn(keep_up(Arc::clone(&self.target), self.purpose, publish));
                (link, AbortOnDrop(task.abort_handle()))
            })
            .0
    }

    /// Where it stands. From the first time on that anyone asks, it is kept up.
    pub(super) fn state(&self) -> State {
        match &*self.start().borrow() {
            Link::Ready(live) if live.is_retired.load(Ordering::Relaxed) => State::Connecting,
            Link::Ready(live) => State::Ready(Arc::clone(live)),
            Link::Connecting => State::Connecting,
            Link::Down(_) => State::Down,
        }
    }

    /// A connection that takes calls, with a handle for one. Waits for an attempt that is under way, but not for a further
    /// one.
    ///
    /// # Errors
    /// No connection.
    pub(super) async fn acquire(&self) -> Result<(SendRequest<Bytes>, Arc<Live>), Fault> {
        let link = self.start();
        let mut current = link.borrow().clone();
        let mut waiter = None;
        loop {
            match current {
                // Nothing was sent yet, so waiting for the connection that replaces it is always safe.
                Link::Ready(live) => {
                    if let Some(send) = live.handle().await {
                        return Ok((send, live));
                    }
                }
                Link::Down(why) => return Err(unreachable(&why)),
                Link::Connecting => {}
            }
            let waiter = waiter.get_or_insert_with(|| link.clone());
            if waiter.changed().await.is_err() {
                return Err(unreachable("the endpoint was removed"));
            }
            current = waiter.borrow_and_update().clone();
        }
    }
}

/// Where a connection stands.
pub(super) enum State {
    Ready(Arc<Live>),
    Connecting,
    Down,
}

fn unreachable(why: &str) -> Fault {
    Fault::new(Kind::Unreachable, "UPSTREAM_UNREACHABLE", "no connection to the backend")
        .because(why.to_owned())
}

/// Connects, and connects again, until the connection's place is dropped.
async fn keep_up(target: Arc<Target>, purpose: Purpose, publish: watch::Sender<Link>) {
    let (upstream, endpoint) = (&*target.upstream, target.endpoint.authority.as_str());
    let mut pause = FIRST_PAUSE;
    // An outage is told once, at its beginning, and its end once.
    let mut down = false;
    loop {
        match timeout(target.connect_timeout, connect(&target, purpose)).await {
            Ok(Ok((send, driver))) => {
                if std::mem::take(&mut down) {
                    info!(upstream, endpoint, "connected again");
                } else {
                    debug!(upstream, endpoint, "connected");
                }
                let live = Arc::new(Live::new(send, Arc::clone(&target)));
                let counted = target.reach.count();
                publish.send_replace(Link::Ready(Arc::clone(&live)));
                let mut driver = tokio::spawn(driver);
                tokio::select! {
                    _ = &mut driver => {}
                    // Calls that are still on it go on to their end.
                    () = live.retired.notified() => {}
                }
                drop(counted);
                info!(upstream, endpoint, "connection lost or closed by the backend");
                publish.send_replace(Link::Connecting);
                if live.born.elapsed() >= SHORT_LIFE {
                    pause = FIRST_PAUSE;
                    continue;
                }
            }
            Ok(Err(error)) => fail(&target, &publish, &mut down, error.to_string()),
            Err(_) => fail(&target, &publish, &mut down, "connecting took too long".to_owned()),
        }
        sleep(pause.mul_f64(0.5 + fastrand::f64())).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

fn fail(target: &Target, publish: &watch::Sender<Link>, down: &mut bool, error: String) {
    let (upstream, endpoint) = (&*target.upstream, target.endpoint.authority.as_str());
    if !std::mem::replace(down, true) {
        warn!(upstream, endpoint, error, "can't connect to a backend; trying again until it works");
    }
    publish.send_replace(Link::Down(error.into()));
}

type Driver = std::pin::Pin<Box<dyn Future<Output = Result<(), h2::Error>> + Send>>;
type AnyError = Box<dyn std::error::Error + Send + Sync>;

async fn connect(target: &Target, purpose: Purpose) -> Result<(SendRequest<Bytes>, Driver), AnyError> {
    match &target.dial {
        Dial::Tcp => handshake(dial(&target.endpoint, purpose).await?, purpose).await,
        Dial::Pipe(serve) => {
            let (near, far) = tokio::io::duplex(PIPE);
            serve(far);
            handshake(near, purpose).await
        }
        Dial::Tls(tls) => {
            let stream =
                tls.connector.connect(tls.name.clone(), dial(&target.endpoint, purpose).await?).await?;
            if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
                return Err("the backend does not offer HTTP/2 (ALPN h2)".into());
            }
            handshake(stream, purpose).await
        }
    }
}

async fn dial(endpoint: &Endpoint, purpose: Purpose) -> std::io::Result<Gather> {
    let stream = TcpStream::connect((endpoint.host.as_str(), endpoint.port)).await?;
    stream.set_nodelay(true)?;
    Ok(Gather::new(stream, purpose == Purpose::Streams))
}

async fn handshake<T>(stream: T, purpose: Purpose) -> Result<(SendRequest<Bytes>, Driver), AnyError>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (send, connection) = h2::client::Builder::new()
        .initial_window_size(purpose.window())
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(MAX_FRAME)
        .max_header_list_size(MAX_HEADER_LIST)
        .max_concurrent_reset_streams(REMEMBERED_RESETS)
        .reset_stream_duration(Duration::from_secs(5))
        .enable_push(false)
        .handshake(BufReader::with_capacity(READ_AHEAD, stream))
        .await?;
    Ok((send, Box::pin(connection)))
}
