//! What an operator says of an upstream, checked: every endpoint has an authority that can be dialled.

use std::num::NonZeroUsize;
use std::time::Duration;

use super::balance::Balance;
use super::gate::GateSettings;
use http::uri::Authority;
use rustls_pki_types::{CertificateDer, ServerName};

/// One upstream: a named set of endpoints that serve the same methods.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UpstreamSettings {
    pub name: String,
    /// At least one.
    pub endpoints: Vec<Endpoint>,
    /// Given for `https` endpoints (or by the key `tls`); all endpoints of an upstream are alike.
    pub tls: Option<TlsSettings>,
    /// How long connecting, the TLS handshake included, may take.
    pub connect_timeout: Duration,
    /// HTTP/2 connections to each endpoint from each worker.
    pub connections: NonZeroUsize,
    /// How calls are spread over the endpoints.
    pub balance: Balance,
    /// How many calls may be under way at once, over all workers; as many as come without it.
    pub concurrency: Option<GateSettings>,
}

impl UpstreamSettings {
    pub const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
    /// More than two cost more than they bring on one worker.
    pub const DEFAULT_CONNECTIONS: NonZeroUsize = NonZeroUsize::MIN;
}

/// A host and a port, as in `http://10.0.0.1:50051`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// Host and port as the backend sees them in `:authority`.
    pub authority: Authority,
    /// A name or an address; without brackets for IPv6.
    pub host: String,
    pub port: u16,
}

/// TLS to the endpoints of an upstream.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct TlsSettings {
    /// The roots that the endpoints' certificates must lead to.
    pub roots: Roots,
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
