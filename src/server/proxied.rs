//! What a load balancer says before a connection's first byte: read and taken off, so that TLS or HTTP begins behind it.

use std::net::SocketAddr;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use crate::policy::address::{BadHeader, HeaderReader, Networks, ProxiedFor};

/// Why a connection is ended before anything is served on it.
#[derive(Debug)]
pub(super) enum Refused {
    /// Its peer may not say whose it is.
    Untrusted,
    Bad(BadHeader),
    /// The connection broke.
    Lost,
    TimedOut,
}

impl Refused {
    /// As metrics and logs have it.
    pub(super) const fn as_str(&self) -> &'static str {
        match self {
            Self::Untrusted => "untrusted",
            Self::Bad(bad) => bad.as_str(),
            Self::Lost => "lost",
            Self::TimedOut => "timed_out",
        }
    }
}

/// Reads the header of a connection and nothing behind it. `None` where the peer leaves without a word.
pub(super) async fn read(
    stream: &mut TcpStream,
    peer: SocketAddr,
    trusted: &Networks,
) -> Result<Option<ProxiedFor>, Refused> {
    if !trusted.contains(peer.ip()) {
        return Err(Refused::Untrusted);
    }
    let mut reader = HeaderReader::default();
    let mut buffer = [0; 512];
    loop {
        // What follows the header is left to whoever reads next.
        let came = stream.peek(&mut buffer).await.map_err(|_| Refused::Lost)?;
        let came = buffer.get_mut(..came).unwrap_or_default();
        if came.is_empty() {
            return if reader.is_empty() { Ok(None) } else { Err(Refused::Bad(BadHeader::Malformed)) };
        }
        let (taken, found) = reader.take(came).map_err(Refused::Bad)?;
        if let Some(taken) = came.get_mut(..taken) {
            stream.read_exact(taken).await.map_err(|_| Refused::Lost)?;
        }
        if found.is_some() {
            return Ok(found);
        }
    }
}
