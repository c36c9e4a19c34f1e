//! Which certificate a client gets: by the name that it asks for (SNI, RFC 6066, section 3), and by what it can verify.

use std::fmt;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use rustls::SignatureScheme;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::certificate::Identity;

/// Certificates that serve the same name, in the order of the settings; at least one.
type Candidates = Vec<Arc<CertifiedKey>>;

/// All certificates of a listener by the names in them.
pub(super) struct ByName {
    exact: FxHashMap<Box<str>, Candidates>,
    /// By what follows `*.`.
    wildcard: FxHashMap<Box<str>, Candidates>,
    /// For clients that ask for no name, or for one that no certificate has.
    default: Candidates,
}

impl ByName {
    /// The first is the default, together with those that share its first name: they are for clients of other kinds.
    pub(super) fn new(identities: &[Identity]) -> Self {
        let mut by_name =
            Self { exact: FxHashMap::default(), wildcard: FxHashMap::default(), default: Vec::new() };
        let first = identities.first().and_then(|identity| identity.chain().names().first());
        for (index, identity) in identities.iter().enumerate() {
            let names = identity.chain().names();
            for name in names {
                let (table, name) = match name.strip_prefix("*.") {
                    Some(rest) => (&mut by_name.wildcard, rest),
                    None => (&mut by_name.exact, name.as_str()),
                };
                table.entry(name.into()).or_default().push(Arc::clone(identity.certified()));
            }
            if index == 0 || first.is_some_and(|first| names.contains(first)) {
                by_name.default.push(Arc::clone(identity.certified()));
            }
        }
        by_name
    }

    fn choose(&self, name: Option<&str>, schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let candidates = name.and_then(|name| self.named(name)).unwrap_or(&self.default);
        let fits = |key: &&Arc<CertifiedKey>| key.key.choose_scheme(schemes).is_some();
        // Where none fits, any will fail, and in the right words.
        candidates.iter().find(fits).or_else(|| candidates.first()).cloned()
    }

    /// An exact name is stronger than a wildcard, which stands for exactly one label.
    fn named(&self, name: &str) -> Option<&Candidates> {
        let name = name.to_ascii_lowercase();
        self.exact.get(name.as_str()).or_else(|| {
            let (label, rest) = name.split_once('.')?;
            if label.is_empty() { None } else { self.wildcard.get(rest) }
        })
    }
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.choose(hello.server_name(), hello.signature_schemes())
    }
}

impl fmt::Debug for ByName {
    /// Without keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = (self.exact.keys(), self.wildcard.keys());
        f.debug_struct("ByName").field("names", &names).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::tls::{Chain, Key};

    fn identity(
        folder: &Path,
        number: usize,
        names: &[&str],
        algorithm: &'static rcgen::SignatureAlgorithm,
    ) -> Identity {
        let key = rcgen::KeyPair::generate_for(algorithm).unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let certificate = rcgen::CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
        let (cert, pem) = (folder.join(format!("{number}.crt")), folder.join(format!("{number}.key")));
        std::fs::write(&cert, certificate.pem()).unwrap();
        std::fs::write(&pem, key.serialize_pem()).unwrap();
        Identity::new(Chain::load(&cert).unwrap(), Key::load(&pem).unwrap()).unwrap()
    }

    #[test]
    fn names_and_what_clients_can_verify_choose() {
        let folder = tempfile::tempdir().unwrap();
        let p256 = &rcgen::PKCS_ECDSA_P256_SHA256;
        let all = [
            identity(folder.path(), 0, &["default.test", "a.test"], p256),
            identity(folder.path(), 1, &["*.a.test", "B.test"], p256),
            identity(folder.path(), 2, &["x.a.test"], p256),
            identity(folder.path(), 3, &["b.test", "default.test"], &rcgen::PKCS_ED25519),
        ];
        let by_name = ByName::new(&all);
        let either = [SignatureScheme::ECDSA_NISTP256_SHA256, SignatureScheme::ED25519];
        let edwards = [SignatureScheme::ED25519];
        let rsa = [SignatureScheme::RSA_PSS_SHA256];
        for (name, schemes, want) in [
            (None, &either[..], 0),
            (Some("unknown.test"), &either, 0),
            (Some("default.test"), &either, 0),
            (Some("a.test"), &either, 0),
            (Some("x.a.test"), &either, 2),
            (Some("X.A.TEST"), &either, 2),
            (Some("y.a.test"), &either, 1),
            (Some("z.y.a.test"), &either, 0),
            (Some(".a.test"), &either, 0),
            (Some("b.test"), &either, 1),
            (Some("b.test"), &edwards, 3),
            (None, &edwards, 3),
            (Some("x.a.test"), &edwards, 2),
            (Some("b.test"), &rsa, 1),
        ] {
            let chosen = by_name.choose(name, schemes).unwrap();
            assert!(Arc::ptr_eq(&chosen, all[want].certified()), "{name:?} {schemes:?}");
        }
    }
}
