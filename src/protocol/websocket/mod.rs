//! WebSocket (RFC 6455, over HTTP/2 by RFC 8441): a call whose messages are JSON text frames, both ways at once. What they
//! look like is written in docs/websocket.md.
//!
//! The handshake is an HTTP request that goes the way of all others; the session runs when its connection is handed over.

mod clock;
mod end;
mod exchange;
mod handshake;
mod session;

use std::pin::Pin;
use std::time::Duration;

pub use exchange::Exchange;
pub(super) use handshake::is_handshake;

use crate::fault::Fault;

/// The choices of a listener about WebSockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WebSocketSettings {
    /// How often a silent client is asked whether it is there. One that says nothing for twice as long is gone.
    pub ping: Duration,
    /// How long there may be no message either way.
    pub idle: Duration,
}

impl Default for WebSocketSettings {
    fn default() -> Self {
        Self { ping: Duration::from_secs(30), idle: Duration::from_secs(600) }
    }
}

/// Ready when the gateway is to stop.
pub type Stop = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What goes on once a connection is a WebSocket: the whole call, to its end, and what it failed with.
pub type Session = Box<dyn FnOnce(Stop) -> Pin<Box<dyn Future<Output = Option<Fault>> + Send>> + Send>;
