//! A certificate with its chain and its key: whom it names, and how long it is good.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::sign::CertifiedKey;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::files::{self, Mark, Unusable};
use super::provider;

/// The certificate of a server and the intermediate ones behind it, as a file has them.
#[derive(Debug, Clone)]
pub struct Chain {
    path: PathBuf,
    certificates: Vec<CertificateDer<'static>>,
    names: Vec<String>,
    /// Seconds of Unix time, both inclusive (RFC 5280, section 4.1.2.5).
    valid: (i64, i64),
    mark: Mark,
}

impl Chain {
    /// Reads a PEM file; its first certificate is the server's own.
    ///
    /// # Errors
    /// No PEM file, no certificate in it, or a first one that can't be read.
    pub fn load(path: &Path) -> Result<Self, Unusable> {
        let (certificates, mark) = files::certificates(path)?;
        let file = path.display();
        let unreadable = |error: &dyn fmt::Display| {
            Unusable::new(format!("the first certificate of `{file}` can't be read: {error}"))
        };
        let leaf = certificates.first().ok_or_else(|| unreadable(&"there is none"))?;
        let (_, leaf) = X509Certificate::from_der(leaf).map_err(|error| unreadable(&error))?;
        let validity = leaf.validity();
        let valid = (validity.not_before.timestamp(), validity.not_after.timestamp());
        let alternatives = leaf.subject_alternative_name().map_err(|error| unreadable(&error))?;
        let names = alternatives.map_or_else(Vec::new, |found| {
            let names = found.value.general_names.iter();
            names
                .filter_map(|name| if let GeneralName::DNSName(name) = name { usable(name) } else { None })
                .collect()
        });
        Ok(Self { path: path.to_owned(), names, valid, certificates, mark })
    }

    /// Where it was read.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The DNS names among the subject's alternative names, in lower case; `*.` stands for one label.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The last second at which it is good, in Unix time.
    #[must_use]
    pub fn not_after(&self) -> i64 {
        self.valid.1
    }

    /// Whether its time was over at `now`.
    #[must_use]
    pub fn has_expired(&self, now: SystemTime) -> bool {
        unix(now) > self.valid.1
    }

    /// What is odd about the time for which it is good.
    #[must_use]
    pub fn untimely(&self, now: SystemTime) -> Option<String> {
        let file = self.path.display();
        if self.has_expired(now) {
            return Some(format!("the certificate in `{file}` has expired on {}", date(self.valid.1)));
        }
        (unix(now) < self.valid.0)
            .then(|| format!("the certificate in `{file}` is not valid before {}", date(self.valid.0)))
    }
}

/// The name in lower case, if a client can ask for it: a wildcard is the whole first label and not the only one
/// (RFC 6125, section 6.4.3).
fn usable(name: &str) -> Option<String> {
    let rest = name.strip_prefix("*.").unwrap_or(name);
    (!rest.is_empty() && !rest.contains('*')).then(|| name.to_ascii_lowercase())
}

fn unix(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

fn date(seconds: i64) -> String {
    // The end of the year 9999, which is all that certificates and the format can express.
    let seconds = u64::try_from(seconds).unwrap_or(0).min(253_402_300_799);
    match UNIX_EPOCH.checked_add(Duration::from_secs(seconds)) {
        Some(time) => humantime::format_rfc3339_seconds(time).to_string(),
        None => seconds.to_string(),
    }
}

/// A private key, as a file has it.
pub struct Key {
    path: PathBuf,
    der: PrivateKeyDer<'static>,
    mark: Mark,
}

impl Key {
    /// Reads the first private key of a PEM file.
    ///
    /// # Errors
    /// No PEM file, or no private key in it.
    pub fn load(path: &Path) -> Result<Self, Unusable> {
        let (der, mark) = files::private_key(path)?;
        Ok(Self { path: path.to_owned(), der, mark })
    }
}

/// A chain and the private key that belongs to its first certificate.
#[derive(Clone)]
pub struct Identity {
    chain: Chain,
    key: (PathBuf, Mark),
    certified: Arc<CertifiedKey>,
}

impl Identity {
    /// Puts the two together.
    ///
    /// # Errors
    /// A key of an unknown kind, or that of another certificate.
    pub fn new(chain: Chain, key: Key) -> Result<Self, Unusable> {
        let Key { path, der, mark } = key;
        let certified = CertifiedKey::from_der(chain.certificates.clone(), der, &provider());
        let certified = certified.map_err(|error| {
            let key = path.display();
            match error {
                rustls::Error::InconsistentKeys(_) => Unusable::new(format!(
                    "the private key in `{key}` is not that of the certificate in `{}`",
                    chain.path.display()
                ))
                .help("the server's own certificate must be the first in its file"),
                other => Unusable::new(format!("the private key in `{key}` can't be used: {other}"))
                    .help("RSA from 2048 bits, ECDSA on P-256 or P-384, and Ed25519 can be used"),
            }
        })?;
        Ok(Self { chain, key: (path, mark), certified: Arc::new(certified) })
    }

    /// Reads both from where they were read before.
    pub(super) fn again(&self) -> Result<Self, Unusable> {
        Self::new(Chain::load(&self.chain.path)?, Key::load(&self.key.0)?)
    }

    /// The certificate's part.
    #[must_use]
    pub fn chain(&self) -> &Chain {
        &self.chain
    }

    /// Where both were read.
    pub(super) fn files(&self) -> [&Path; 2] {
        [&self.chain.path, &self.key.0]
    }

    pub(super) fn certified(&self) -> &Arc<CertifiedKey> {
        &self.certified
    }

    pub(super) fn marks(&self) -> [&Mark; 2] {
        [&self.chain.mark, &self.key.1]
    }

    /// Whether both show the same certificate.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.chain.certificates.first() == other.chain.certificates.first()
    }
}

impl fmt::Debug for Identity {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("chain", &self.chain).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_clients_can_ask_for() {
        for (name, want) in [
            ("Example.COM", Some("example.com")),
            ("*.example.com", Some("*.example.com")),
            ("*", None),
            ("*.", None),
            ("", None),
            ("w*.example.com", None),
            ("a.*.example.com", None),
            ("*.*.example.com", None),
        ] {
            assert_eq!(usable(name).as_deref(), want, "{name}");
        }
    }

    #[test]
    fn certificates_have_their_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tls.crt");
        let mut params = rcgen::CertificateParams::new(vec!["a.test".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2021, 1, 1);
        let certificate = params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
        std::fs::write(&path, certificate.pem()).unwrap();
        let chain = Chain::load(&path).unwrap();
        assert_eq!(chain.names(), ["a.test"]);
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        for (time, expired, want) in [
            (1_577_836_799, false, "is not valid before 2020-01-01T00:00:00Z"),
            (1_577_836_800, false, ""),
            (1_609_459_200, false, ""),
            (1_609_459_201, true, "has expired on 2021-01-01T00:00:00Z"),
        ] {
            assert_eq!(chain.has_expired(at(time)), expired, "{time}");
            let said = chain.untimely(at(time)).unwrap_or_default();
            assert!(said.ends_with(want) && said.is_empty() == want.is_empty(), "{time}: {said}");
        }
    }
}
