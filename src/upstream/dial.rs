//! From an endpoint to a connection: a socket or a pipe, TLS, and HTTP/2's handshake.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, BufReader, DuplexStream};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::{Notify, watch};
use tokio_rustls::TlsConnector;

use super::gather::Gather;
use super::keepalive::{self, Heard, Pulse};
use super::reach::Reach;
use super::settings::{Address, Endpoint, Keepalive};

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
/// How much of a pipe may be under way in each direction.
const PIPE: usize = 64 << 10;

/// What holds for every connection of a cluster.
pub(super) struct Upkeep {
    pub upstream: Arc<str>,
    pub connect_timeout: Duration,
    pub keepalive: Option<Keepalive>,
    /// After this time a connection makes room for a new one.
    pub max_age: Option<Duration>,
    /// Told when an endpoint can't be reached.
    pub doubt: Arc<Notify>,
    pub reach: Arc<Reach>,
}

/// How to reach an endpoint.
pub(super) struct Target {
    pub upkeep: Arc<Upkeep>,
    pub endpoint: Endpoint,
    pub dial: Dial,
}

/// What leads to an endpoint.
pub(super) enum Dial {
    Plain,
    Tls {
        /// What the certificate must be for.
        name: ServerName<'static>,
        /// What is shown and trusted now.
        config: watch::Receiver<Arc<ClientConfig>>,
    },
    /// A pipe within the process.
    Pipe(ServePipe),
}

/// Serves HTTP/2 at the other end of a pipe, by a task on the caller's runtime.
pub type ServePipe = Arc<dyn Fn(DuplexStream) + Send + Sync>;

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

/// A connection after its handshake.
pub(super) struct Dialled {
    pub send: SendRequest<Bytes>,
    pub driver: Driver,
    pub pulse: Arc<Pulse>,
}

/// Carries the connection until it is over, and tells why.
pub(super) type Driver = std::pin::Pin<Box<dyn Future<Output = Over> + Send>>;
type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Over {
    Closed,
    /// The backend found that there were too many pings.
    TooManyPings,
    /// A ping was not answered.
    Silent,
}

impl Target {
    pub(super) fn is_tls(&self) -> bool {
        matches!(self.dial, Dial::Tls { .. })
    }

    /// Connects. `keepalive` is how often it is pinged.
    pub(super) async fn connect(
        &self,
        purpose: Purpose,
        keepalive: Option<Keepalive>,
    ) -> Result<Dialled, AnyError> {
        match &self.dial {
            Dial::Plain => match &self.endpoint.address {
                Address::Unix(path) => handshake(UnixStream::connect(path).await?, purpose, keepalive).await,
                Address::Host(..) | Address::Ip(_) => {
                    handshake(tcp(&self.endpoint.address, purpose).await?, purpose, keepalive).await
                }
            },
            Dial::Pipe(serve) => {
                let (near, far) = tokio::io::duplex(PIPE);
                serve(far);
                handshake(near, purpose, keepalive).await
            }
            Dial::Tls { name, config } => {
                let connector = TlsConnector::from(Arc::clone(&config.borrow()));
                let stream = tcp(&self.endpoint.address, purpose).await?;
                let stream = connector.connect(name.clone(), stream).await?;
                if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
                    return Err("the backend does not offer HTTP/2 (ALPN h2)".into());
                }
                handshake(stream, purpose, keepalive).await
            }
        }
    }
}

async fn tcp(address: &Address, purpose: Purpose) -> std::io::Result<Gather> {
    let stream = match address {
        Address::Host(host, port) => TcpStream::connect((host.as_str(), *port)).await?,
        Address::Ip(address) => TcpStream::connect(address).await?,
        Address::Unix(_) => return Err(std::io::Error::other("a socket of the file system has no TLS")),
    };
    stream.set_nodelay(true)?;
    Ok(Gather::new(stream, purpose == Purpose::Streams))
}

async fn handshake<T>(stream: T, purpose: Purpose, keepalive: Option<Keepalive>) -> Result<Dialled, AnyError>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let pulse = Arc::new(Pulse::new());
    let stream = Heard::new(stream, Arc::clone(&pulse));
    let (send, mut connection) = h2::client::Builder::new()
        .initial_window_size(purpose.window())
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(MAX_FRAME)
        .max_header_list_size(MAX_HEADER_LIST)
        .max_concurrent_reset_streams(REMEMBERED_RESETS)
        .reset_stream_duration(Duration::from_secs(5))
        .enable_push(false)
        .handshake(BufReader::with_capacity(READ_AHEAD, stream))
        .await?;
    let pings = connection.ping_pong();
    let watched = Arc::clone(&pulse);
    let driver = async move {
        let silence = async {
            match pings {
                Some(pings) => keepalive::watch(&watched, pings, keepalive).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            ended = connection => match ended {
                Err(error) if is_told_off(&error) => Over::TooManyPings,
                Ok(()) | Err(_) => Over::Closed,
            },
            // Dropping the connection ends all calls on it.
            () = silence => Over::Silent,
        }
    };
    Ok(Dialled { send, driver: Box::pin(driver), pulse })
}

/// As servers answer pings that come too often (gRPC's proposal A8).
fn is_told_off(error: &h2::Error) -> bool {
    error.is_go_away() && error.is_remote() && error.reason() == Some(h2::Reason::ENHANCE_YOUR_CALM)
}
