//! TLS towards the backends: rustls, roots by choice, ALPN `h2` alone.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio_rustls::TlsConnector;

use super::settings::{Endpoint, Roots, TlsSettings};
use crate::problem::{Problem, Problems};
use crate::tls;

/// TLS for one endpoint.
#[derive(Clone)]
pub(super) struct Tls {
    pub connector: TlsConnector,
    pub name: ServerName<'static>,
}

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

/// TLS to this endpoint, which is known by the name that the settings give, or by its host.
///
/// # Errors
/// A host that can't be a certificate's name.
pub(super) fn for_endpoint(
    upstream: &str,
    endpoint: &Endpoint,
    settings: &TlsSettings,
    config: &Arc<ClientConfig>,
) -> Result<Tls, Problems> {
    let name = match &settings.server_name {
        Some(name) => name.clone(),
        None => ServerName::try_from(endpoint.host.clone()).map_err(|_| {
            Problem::error(format!(
                "upstream `{upstream}`: `{}` can't be a certificate's name",
                endpoint.host
            ))
            .help("set `tls.server_name` to the name in the certificate")
        })?,
    };
    Ok(Tls { connector: TlsConnector::from(Arc::clone(config)), name })
}
