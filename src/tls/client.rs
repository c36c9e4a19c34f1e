//! TLS of connections that the gateway opens itself, and the files that it is made of while they last.

use std::hash::{Hash, Hasher};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use rustls::client::ResolvesClientCert;
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, SignatureScheme};
use rustls_pki_types::CertificateDer;

use super::certificate::Identity;
use super::files::{Mark, Unusable};
use super::provider;
use super::roots::Authorities;
use super::vigil::{Look, Vigil};

/// What is trusted and shown. All that was read from files is usable, and remembers its file.
///
/// Two are the same that name the same files, whatever was in them when they were read: files change by themselves.
#[derive(Debug, Clone, Default)]
pub struct ClientTls {
    /// The roots that servers' certificates must lead to: these alone, or those of the operating system, or Mozilla's where
    /// it has none.
    pub roots: Option<Authorities>,
    /// What servers are shown that ask for it.
    pub identity: Option<Identity>,
}

impl ClientTls {
    fn files(&self) -> (Option<&Path>, Option<[&Path; 2]>) {
        (self.roots.as_ref().map(Authorities::path), self.identity.as_ref().map(Identity::files))
    }

    /// Whether it came from files, which may change.
    fn has_files(&self) -> bool {
        self.roots.is_some() || self.identity.is_some()
    }

    /// The same with all files read again.
    fn again(&self) -> Result<Self, Unusable> {
        Ok(Self {
            roots: self.roots.as_ref().map(Authorities::again).transpose()?,
            identity: self.identity.as_ref().map(Identity::again).transpose()?,
        })
    }

    /// The marks of all files that it was read from.
    #[must_use]
    pub fn marks(&self) -> Vec<Mark> {
        let identity = self.identity.iter().flat_map(Identity::marks);
        identity.chain(self.roots.as_ref().map(Authorities::mark)).cloned().collect()
    }

    /// As rustls takes it. `alpn` are the protocols that it speaks, the preferred one first.
    ///
    /// # Errors
    /// What only rustls could find wrong with it.
    pub fn config(&self, alpn: &[&[u8]]) -> Result<Arc<ClientConfig>, Unusable> {
        let refused = |error: rustls::Error| Unusable::new(format!("TLS can't be set up: {error}"));
        let given = self.roots.as_ref().map(Authorities::certificates);
        let mut config = client_config(given, alpn).map_err(refused)?;
        if let Some(identity) = &self.identity {
            let shown = Shown(Arc::clone(identity.certified()));
            Arc::make_mut(&mut config).client_auth_cert_resolver = Arc::new(shown);
        }
        Ok(config)
    }
}

impl PartialEq for ClientTls {
    fn eq(&self, other: &Self) -> bool {
        self.files() == other.files()
    }
}

impl Eq for ClientTls {}

impl Hash for ClientTls {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.files().hash(state);
    }
}

/// Shows the one certificate that there is to every server that asks for any: it knows best whether it is good enough.
#[derive(Debug)]
struct Shown(Arc<CertifiedKey>);

impl ResolvesClientCert for Shown {
    fn resolve(&self, _: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.0.key.choose_scheme(schemes).map(|_| Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// The files behind a [`ClientTls`] while it is in use.
pub struct WatchedClient {
    used: ClientTls,
    vigil: Vigil,
}

impl WatchedClient {
    /// Starts with what was read when the settings were checked; `None` where nothing came from files.
    #[must_use]
    pub fn new(used: ClientTls) -> Option<Self> {
        used.has_files().then(|| Self { vigil: Vigil::new(used.marks()), used })
    }

    /// Looks whether files have changed since the last look, and reads them once they keep still from one look to the
    /// next.
    pub fn look(&mut self, alpn: &[&[u8]], now: SystemTime) -> Look<Arc<ClientConfig>, Unusable> {
        let used = &self.used;
        let read = || {
            let loaded = used.again()?;
            // One that is used already stays; in the place of another one it is no good.
            if let Some(new) = &loaded.identity
                && new.chain().has_expired(now)
                && !used.identity.as_ref().is_some_and(|old| old.is_same(new))
            {
                return Err(Unusable::new(new.chain().untimely(now).unwrap_or_default()));
            }
            let (config, marks) = (loaded.config(alpn)?, loaded.marks());
            Ok(((loaded, config), marks))
        };
        match self.vigil.look(read) {
            Look::Unchanged => Look::Unchanged,
            Look::Settling => Look::Settling,
            Look::Refused(unusable) => Look::Refused(unusable),
            Look::Read((loaded, config)) => {
                self.used = loaded;
                Look::Read(config)
            }
        }
    }
}

/// TLS towards servers whose certificates lead to `given`, or else to the roots of the operating system, or to Mozilla's
/// where that has none. `alpn` are the protocols that it speaks, the preferred one first.
///
/// # Errors
/// Roots that can't be used.
pub fn client_config(
    given: Option<&[CertificateDer<'static>]>,
    alpn: &[&[u8]],
) -> Result<Arc<ClientConfig>, rustls::Error> {
    let mut roots = RootCertStore::empty();
    match given {
        None => {
            let found = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(found.certs);
            if roots.is_empty() {
                roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
            }
        }
        Some(certificates) => {
            for certificate in certificates {
                roots.add(certificate.clone())?;
            }
        }
    }
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    Ok(Arc::new(config))
}
