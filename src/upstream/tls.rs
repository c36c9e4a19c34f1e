//! TLS towards the backends: rustls, roots by choice, ALPN `h2` alone.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls_pki_types::ServerName;

use super::settings::{Endpoint, Roots, TlsSettings};
use crate::problem::{Problem, Problems};
use crate::tls;

/// What is the same for all endpoints of an upstream.
///
/// # Errors
/// Roots that can't be used.
pub(super) fn client_config(upstream: &str, settings: &TlsSettings) -> Result<Arc<ClientConfig>, Problems> {
    let given = match &settings.roots {
        Roots::System => None,
        Roots::Given(certificates) => Some(certificates.as_slice()),
    };
    let config = tls::client_config(given, &[b"h2"]);
    Ok(config
        .map_err(|error| Problem::error(format!("upstream `{upstream}`: TLS can't be set up: {error}")))?)
}

/// The name that the certificate of this endpoint must have: what the settings say, or its host.
///
/// # Errors
/// A host that can't be a certificate's name.
pub(super) fn name(
    upstream: &str,
    endpoint: &Endpoint,
    settings: &TlsSettings,
) -> Result<ServerName<'static>, Problems> {
    if let Some(name) = &settings.server_name {
        return Ok(name.clone());
    }
    let host = endpoint.host();
    Ok(ServerName::try_from(host.to_owned()).map_err(|_| {
        Problem::error(format!("upstream `{upstream}`: `{host}` can't be a certificate's name"))
            .help("set `tls.server_name` to the name in the certificate")
    })?)
}
