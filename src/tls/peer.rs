//! What a client proved about itself in the handshake.

use std::sync::Arc;

use rustls_pki_types::CertificateDer;

/// The certificates of a client, verified against the listener's roots. Requests carry them as an extension (see
/// [`http::Extensions`]), which nobody can send from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerCertificates(Arc<[CertificateDer<'static>]>);

impl PeerCertificates {
    /// The chain that a handshake verified; `None` where the client showed nothing.
    #[must_use]
    pub fn verified(chain: &[CertificateDer<'static>]) -> Option<Self> {
        (!chain.is_empty()).then(|| Self(chain.into()))
    }

    /// The client's own certificate, in DER.
    #[must_use]
    pub fn leaf(&self) -> &CertificateDer<'static> {
        // It is never empty; see `verified`.
        &self.0[0]
    }

    /// The client's own certificate and what it sent along with it, in DER. The root is not among them.
    #[must_use]
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.0
    }
}
