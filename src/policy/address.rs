//! Where a request comes from.

use std::net::IpAddr;

/// The client's address, as policies see it. An extension of the request's head, set where its connection was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientAddress(pub IpAddr);
