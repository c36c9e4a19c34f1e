//! TLS as an operator gives it: certificates, keys and roots in PEM files, and which certificate a client gets.
//!
//! It is beside the way of a request. `config` reads the files first, so that what is wrong with them has a place; a
//! listener takes what came of that, and [`Watched`] reads them again when they change while it serves; so does
//! [`WatchedClient`] for upstreams. What happens on a connection is the business of `server`.

mod certificate;
mod choose;
mod client;
mod files;
mod noted;
mod peer;
mod roots;
mod settings;
mod vigil;
mod watched;

pub use certificate::{Chain, Identity, Key};
pub use client::{ClientTls, WatchedClient, client_config};
pub use files::{Mark, Unusable, read};
pub use noted::{note, noting};
pub use peer::PeerCertificates;
pub use roots::Authorities;
pub use settings::{ClientAuth, ClientCheck, ListenerTls, Resumption, Versions};
pub use vigil::{Look, Vigil};
pub use watched::{Change, Watched};

use std::sync::Arc;

use rustls::crypto::CryptoProvider;

/// The cryptography of every TLS connection, whichever side opened it.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
