//! TLS towards the backends: rustls, roots by choice, ALPN `h2` alone.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
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
    let mut roots = RootCertStore::empty();
    match &settings.roots {
        Roots::System => {
            let found = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(found.certs);
            if roots.is_empty() {
                roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
            }
        }
        Roots::Given(certificates) => {
            for certificate in certificates {
                roots.add(certificate.clone()).map_err(|error| {
                    Problem::error(format!(
                        "upstream `{upstream}`: a certificate of `tls.ca` can't be used: {error}"
                    ))
                })?;
            }
        }
    }
    let mut config = ClientConfig::builder_with_provider(tls::provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| Problem::error(format!("upstream `{upstream}`: TLS can't be set up: {error}")))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Arc::new(config))
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
