//! TLS towards the backends: rustls, roots and a certificate by choice, ALPN `h2` alone. What comes from files is read again
//! when they change, and connections are made anew with it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::sync::watch;
use tokio::time::sleep;
use tracing::{info, warn};

use super::settings::{Endpoint, TlsSettings};
use crate::problem::{Problem, Problems};
use crate::tls::{ClientTls, Look, WatchedClient};

const ALPN: &[&[u8]] = &[b"h2"];
/// Between two looks at the files. New ones are taken after two of them.
const PAUSE: Duration = Duration::from_millis(500);

/// What is the same for all endpoints of an upstream.
///
/// # Errors
/// What can't be used together.
pub(super) fn client_config(upstream: &str, client: &ClientTls) -> Result<Arc<ClientConfig>, Problems> {
    Ok(client
        .config(ALPN)
        .map_err(|unusable| Problem::error(format!("upstream `{upstream}`: {}", unusable.what)))?)
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

/// Looks after the files of an upstream.
pub(super) struct Renewing {
    pub upstream: Arc<str>,
    pub watched: WatchedClient,
    /// What connections are made with from now on.
    pub config: watch::Sender<Arc<ClientConfig>>,
}

impl Renewing {
    /// Looks again and again, until it is dropped.
    pub(super) async fn run(mut self) {
        let upstream = &*self.upstream;
        loop {
            sleep(PAUSE).await;
            match self.watched.look(ALPN, SystemTime::now()) {
                Look::Unchanged | Look::Settling => {}
                Look::Read(config) => {
                    info!(
                        upstream,
                        "new certificates are used for an upstream; its connections are made anew"
                    );
                    self.config.send_replace(config);
                }
                Look::Refused(unusable) => {
                    let error = unusable.what;
                    warn!(upstream, error, "new certificates for an upstream are refused, the old ones stay");
                }
            }
        }
    }
}
