//! What an operator says of an upstream, checked: every endpoint has an authority that can be dialled.

use std::fmt;
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use http::uri::Authority;
use rustls_pki_types::{CertificateDer, ServerName};

use super::balance::Balance;
use super::gate::GateSettings;
use super::resilience::Resilience;
use crate::tls::ClientTls;

/// One upstream: a named set of endpoints that serve the same methods.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UpstreamSettings {
    pub name: String,
    pub endpoints: Discovery,
    /// Given for `https` endpoints (or by the key `tls`); all endpoints of an upstream are alike.
    pub tls: Option<TlsSettings>,
    /// How long connecting, the TLS handshake included, may take.
    pub connect_timeout: Duration,
    /// HTTP/2 connections to each endpoint from each worker that are always there.
    pub connections: NonZeroUsize,
    /// How many there may be while the backend allows no more calls on those that are there. Not less than `connections`.
    pub max_connections: NonZeroUsize,
    /// After this time a connection makes room for a new one; calls on it go on to their end.
    pub max_connection_age: Option<Duration>,
    /// Pings; none but for doubts without it.
    pub keepalive: Option<Keepalive>,
    /// How calls are spread over the endpoints.
    pub balance: Balance,
    /// How long it takes an endpoint that joins others to get as much as they do; zero for at once.
    pub warm_up: Duration,
    /// How many calls may be under way at once, over all workers; as many as come without it.
    pub concurrency: Option<GateSettings>,
    /// What is done about endpoints that fail.
    pub resilience: Resilience,
}

impl UpstreamSettings {
    pub const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
    /// More than two cost more than they bring on one worker.
    pub const DEFAULT_CONNECTIONS: NonZeroUsize = NonZeroUsize::MIN;
    pub const DEFAULT_MAX_CONNECTIONS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(7);

    /// One with these endpoints and with defaults for all else.
    #[must_use]
    pub fn new(name: &str, endpoints: Discovery, tls: Option<TlsSettings>) -> Self {
        Self {
            name: name.to_owned(),
            endpoints,
            tls,
            connect_timeout: Self::DEFAULT_CONNECT_TIMEOUT,
            connections: Self::DEFAULT_CONNECTIONS,
            max_connections: Self::DEFAULT_MAX_CONNECTIONS,
            max_connection_age: None,
            keepalive: None,
            balance: Balance::default(),
            warm_up: Duration::ZERO,
            concurrency: None,
            resilience: Resilience::default(),
        }
    }
}

/// Where an upstream's endpoints are known from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Discovery {
    /// These, at least one, none of them twice.
    Listed(Vec<Listed>),
    /// What DNS says of a name, as it changes.
    Named(NameSettings),
}

impl Discovery {
    /// How many endpoints are known beforehand; one where a name will tell.
    #[must_use]
    pub fn count(&self) -> usize {
        match self {
            Self::Listed(listed) => listed.len(),
            Self::Named(_) => 1,
        }
    }
}

/// An endpoint and its part of the calls.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Listed {
    pub endpoint: Endpoint,
    /// As against the others'.
    pub weight: NonZeroU32,
}

/// A name whose endpoints DNS tells.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NameSettings {
    pub wanted: Wanted,
    /// Who is asked; those of the system without it.
    pub server: Option<SocketAddr>,
    /// An answer is relied on for no less than this, whatever it says itself.
    pub min_ttl: Duration,
    /// Nor for more than this.
    pub max_ttl: Duration,
}

impl NameSettings {
    pub const DEFAULT_MIN_TTL: Duration = Duration::from_secs(5);
    pub const DEFAULT_MAX_TTL: Duration = Duration::from_secs(300);
}

/// What is looked up.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Wanted {
    /// All addresses of a host (records A and AAAA), which serve at one port. `authority` is both as the backends see them.
    Addresses { authority: Authority, host: String, port: u16 },
    /// A service (records SRV), as in `_grpc._tcp.orders.internal`. `domain` is what is behind the service and its protocol,
    /// and what certificates are for.
    Service { name: String, domain: String },
}

impl Wanted {
    /// As in logs.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Addresses { authority, .. } => authority.as_str(),
            Self::Service { name, .. } => name,
        }
    }
}

/// One place that serves, as in `http://10.0.0.1:50051`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// Host and port as the backend sees them in `:authority`. A certificate must be for this host.
    pub authority: Authority,
    pub address: Address,
}

impl Endpoint {
    /// The host that a certificate must be for: a name or an address, without brackets for IPv6.
    #[must_use]
    pub fn host(&self) -> &str {
        let host = self.authority.host();
        host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
    }
}

/// What is dialled.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Address {
    /// A name that the system looks up for each connection, or an address without brackets.
    Host(String, u16),
    /// What a name was resolved to.
    Ip(SocketAddr),
    /// A socket of the file system.
    Unix(PathBuf),
}

/// As in logs and metrics.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Host(host, port) => write!(f, "{host}:{port}"),
            Self::Ip(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
        }
    }
}

/// Pings over connections that are silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Keepalive {
    /// After how much silence a ping is sent.
    pub every: Duration,
    /// How long its answer may take before the connection is given up.
    pub timeout: Duration,
    /// Whether connections without calls are pinged as well.
    pub idle: bool,
}

impl Keepalive {
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
}

/// TLS to the endpoints of an upstream.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct TlsSettings {
    /// What is trusted and shown. Its files are watched while the upstream is in use.
    pub client: ClientTls,
    /// The name that the certificate must have, where it isn't the endpoint's host.
    pub server_name: Option<ServerName<'static>>,
}

/// Trusted certificate authorities.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum Roots {
    /// Those of the operating system, or Mozilla's where it has none.
    #[default]
    System,
    /// These alone.
    Given(Vec<CertificateDer<'static>>),
}
