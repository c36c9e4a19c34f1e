//! What an operator says of a listener, and of the process as a whole.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::codec::JsonStyle;
use crate::fault::ErrorForm;
use crate::introspection::Exposes;
use crate::policy::address::{AddressLists, Forwarding, Networks};
use crate::policy::{CorsSettings, Defaults, Limit, SecurityHeaders};
use crate::protocol::compression::{Packing, Unpacking};
use crate::protocol::rest::StreamSettings;
use crate::protocol::websocket::WebSocketSettings;
use crate::tls::ListenerTls;
use crate::transcode::RequestRules;

/// One listening address and all choices that hold for what comes in by it.
#[derive(Debug, Clone)]
pub struct ListenerSettings {
    pub name: String,
    pub address: SocketAddr,
    /// Without it the listener takes plain text.
    pub tls: Option<ListenerTls>,
    /// Whom requests are from, and what backends are told of that.
    pub forwarding: Forwarding,
    /// The load balancers that say by the PROXY protocol whose each connection is; none speaks it without.
    pub proxy_protocol: Option<Networks>,
    /// Who may come in by address; everybody without.
    pub addresses: Option<Arc<AddressLists>>,
    /// How replies are printed.
    pub json: JsonStyle,
    /// Replies of more bytes than this are answered while they arrive; none are without it.
    pub stream_above: Option<usize>,
    /// The form of error bodies in REST.
    pub errors: ErrorForm,
    /// How REST requests are read.
    pub request: RequestRules,
    pub streams: StreamSettings,
    /// Which pages may use it from a browser; none but its own without.
    pub cors: Option<CorsSettings>,
    /// What browsers are told about every answer; nothing without.
    pub security_headers: Option<SecurityHeaders>,
    /// Whether compressed requests are read.
    pub unpacking: Unpacking,
    /// How answers are compressed; none are without it.
    pub packing: Option<Packing>,
    /// None where WebSockets are refused.
    pub websocket: Option<WebSocketSettings>,
    /// Which of the gateway's own services there are.
    pub exposes: Exposes,
    /// What holds where no rule says anything.
    pub defaults: Defaults,
    pub limits: Limits,
    /// How often requests may come from each address; all are keyed by address and counted in this process.
    pub address_limits: Vec<Limit>,
    pub timeouts: Timeouts,
}

impl ListenerSettings {
    /// The default of `stream_above`. Below it the first byte comes hardly later if all bytes are waited for, and the
    /// answer has its length and a status that holds.
    pub(crate) const STREAM_ABOVE: usize = 256 << 10;

    /// What its connections keep to their end.
    pub(super) fn of_connections(&self, drain: Duration) -> ConnectionSettings {
        ConnectionSettings {
            name: self.name.clone(),
            forwarding: self.forwarding.clone(),
            proxy_protocol: self.proxy_protocol.clone(),
            limits: self.limits,
            timeouts: self.timeouts,
            drain,
        }
    }

    #[must_use]
    pub fn new(name: impl Into<String>, address: SocketAddr) -> Self {
        Self {
            name: name.into(),
            address,
            tls: None,
            forwarding: Forwarding::default(),
            proxy_protocol: None,
            addresses: None,
            json: JsonStyle::default(),
            stream_above: Some(Self::STREAM_ABOVE),
            errors: ErrorForm::default(),
            request: RequestRules::default(),
            streams: StreamSettings::default(),
            cors: None,
            security_headers: None,
            unpacking: Unpacking::default(),
            packing: None,
            websocket: Some(WebSocketSettings::default()),
            exposes: Exposes::default(),
            defaults: Defaults::default(),
            limits: Limits::default(),
            address_limits: Vec::new(),
            timeouts: Timeouts::default(),
        }
    }
}

/// What a connection is served by from its beginning to its end, whatever is reloaded meanwhile.
pub(super) struct ConnectionSettings {
    pub name: String,
    pub forwarding: Forwarding,
    pub proxy_protocol: Option<Networks>,
    pub limits: Limits,
    pub timeouts: Timeouts,
    /// How long its calls may still take once it is to end.
    pub drain: Duration,
}

/// What at least one of these listeners shows of the gateway's own services.
pub(super) fn shown<'l>(listeners: impl IntoIterator<Item = &'l ListenerSettings>) -> Exposes {
    listeners.into_iter().fold(Exposes::NONE, |shown, listener| shown.or(listener.exposes))
}

/// When what was read is read again by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReloadSettings {
    /// Whether the files of configuration and schema are looked at. Certificates, keys and lists of addresses always are.
    pub watch: bool,
    /// How long after a look the next one is. A change is taken once two looks found the same.
    pub interval: Duration,
}

impl Default for ReloadSettings {
    fn default() -> Self {
        Self { watch: true, interval: Duration::from_secs(1) }
    }
}

/// Sizes, in bytes unless they count something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// A REST request's body.
    pub body: usize,
    /// One message from a backend.
    pub message: usize,
    /// A request's head: request line and headers together.
    pub head: usize,
    /// A request's URL: path and query together.
    pub url: usize,
    /// Connections open at the same time, over all workers.
    pub connections: usize,
    /// Streams open at the same time on one HTTP/2 connection.
    pub streams: u32,
    /// Requests under way at the same time, over all workers.
    pub requests: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: 4 << 20,
            message: 16 << 20,
            head: 64 << 10,
            url: 16 << 10,
            connections: 65_536,
            streams: 256,
            requests: 65_536,
        }
    }
}

/// How long the listener waits for a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// From accepting to the end of a request's head, the TLS handshake included; or from the first byte of a further
    /// request to the end of its head.
    pub head: Duration,
    /// Between two pieces of a request's body.
    pub body: Duration,
    /// A connection without a request.
    pub idle: Duration,
    /// A client that takes nothing of an answer; for ever without it.
    pub write: Option<Duration>,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(10),
            body: Duration::from_secs(30),
            idle: Duration::from_secs(300),
            write: Some(Duration::from_secs(60)),
        }
    }
}
