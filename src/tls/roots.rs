//! Certificate authorities that an operator trusts.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;

use super::files::{self, Mark, Unusable};

/// The authorities in one PEM file, at least one, all of them usable.
#[derive(Debug, Clone)]
pub struct Authorities {
    path: PathBuf,
    certificates: Vec<CertificateDer<'static>>,
    store: Arc<RootCertStore>,
    mark: Mark,
}

impl Authorities {
    /// Reads them.
    ///
    /// # Errors
    /// No PEM file, no certificate in it, or one that can't be an authority.
    pub fn load(path: &Path) -> Result<Self, Unusable> {
        let (certificates, mark) = files::certificates(path)?;
        let mut store = RootCertStore::empty();
        for (index, certificate) in certificates.iter().enumerate() {
            store.add(certificate.clone()).map_err(|error| {
                let file = path.display();
                Unusable::new(format!("certificate {} of `{file}` can't be used: {error}", index + 1))
            })?;
        }
        Ok(Self { path: path.to_owned(), certificates, store: Arc::new(store), mark })
    }

    /// Reads them from where they were read before.
    pub(super) fn again(&self) -> Result<Self, Unusable> {
        Self::load(&self.path)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The certificates as they stand in the file.
    #[must_use]
    pub fn certificates(&self) -> &[CertificateDer<'static>] {
        &self.certificates
    }

    /// The certificates as they stand in the file.
    #[must_use]
    pub fn into_certificates(self) -> Vec<CertificateDer<'static>> {
        self.certificates
    }

    pub(super) fn store(&self) -> Arc<RootCertStore> {
        Arc::clone(&self.store)
    }

    pub(super) fn mark(&self) -> &Mark {
        &self.mark
    }
}
