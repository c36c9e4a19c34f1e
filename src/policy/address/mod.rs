//! Where a request comes from: networks, what proxies say of their clients, and whom of them to believe.
//!
//! The address is settled where a connection is accepted, before anything else is decided about a request.

mod forwarded;
mod lists;
mod network;
mod proxy_protocol;
mod rule;
mod trust;

use std::net::IpAddr;

pub use lists::{AddressLists, Sources, WatchedLists};
pub use network::{BadNetwork, Networks, parse_network};
pub use proxy_protocol::{BadHeader, HeaderReader, ProxiedFor};
pub use rule::AddressRule;
pub(crate) use trust::is_forwarding;
pub use trust::{Forward, Forwarding, Peer, ProxyHeader, TrustedProxies, Unreadable};

/// The client's address, as policies see it. An extension of the request's head, set where its connection was accepted,
/// and corrected by what trusted proxies say. An IPv4 address is never in its IPv6 form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientAddress(pub IpAddr);
