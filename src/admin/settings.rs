//! What an operator says of the admin address.

use std::net::SocketAddr;

/// The admin address; there is none unless it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdminSettings {
    pub address: SocketAddr,
}
