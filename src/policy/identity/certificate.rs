//! Who a client's certificate says it is of. The handshake has verified the certificate; here it is only read.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use serde_json::Value;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::{Identity, Source};
use crate::tls::PeerCertificates;

/// The kinds of names by which a certificate's holder is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateName {
    /// A SPIFFE ID: the only URI among the alternative names (SPIFFE X.509-SVID, section 2).
    Spiffe,
    /// The first DNS name among the alternative names.
    Dns,
    /// The only common name of the subject.
    Common,
}

/// Which names count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateSettings {
    /// The first that a certificate has is its holder's. At least one.
    pub names: Vec<CertificateName>,
}

impl Default for CertificateSettings {
    fn default() -> Self {
        Self { names: vec![CertificateName::Spiffe, CertificateName::Dns, CertificateName::Common] }
    }
}

/// Why nobody is let in by a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CertificateRefusal {
    Invalid(&'static str),
    /// Its time was over after the handshake.
    Expired,
}

impl CertificateRefusal {
    /// All that can be told apart from outside.
    pub(super) const REASONS: [&'static str; 2] = ["CERTIFICATE_INVALID", "CERTIFICATE_EXPIRED"];

    /// The stable name of the reason, and what the client is told.
    pub(super) const fn told(self) -> (&'static str, &'static str) {
        match self {
            Self::Invalid(_) => ("CERTIFICATE_INVALID", "the client's certificate names nobody"),
            Self::Expired => ("CERTIFICATE_EXPIRED", "the client's certificate has expired"),
        }
    }

    /// For the log.
    pub(super) const fn cause(self) -> &'static str {
        match self {
            Self::Invalid(why) => why,
            Self::Expired => self.told().1,
        }
    }
}

impl CertificateSettings {
    /// The holder of a verified certificate.
    pub(super) fn identify(&self, peer: &PeerCertificates) -> Result<Arc<Identity>, CertificateRefusal> {
        let unreadable = CertificateRefusal::Invalid("the certificate can't be read");
        let (_, leaf) = X509Certificate::from_der(peer.leaf()).map_err(|_| unreadable)?;
        let alternatives = leaf.subject_alternative_name().map_err(|_| unreadable)?;
        let alternatives = alternatives.map_or(&[][..], |found| found.value.general_names.as_slice());
        for name in &self.names {
            let found = match name {
                CertificateName::Spiffe => spiffe(alternatives)?.map(|uri| (uri.to_owned(), "spiffe", uri)),
                // Another kind of name can't be taken for one of these, whatever an authority lets in.
                CertificateName::Dns => dns(alternatives).map(|dns| (format!("dns:{dns}"), "dns", dns)),
                CertificateName::Common => common(&leaf).map(|name| (format!("cn:{name}"), "cn", name)),
            };
            let Some((subject, kind, name)) = found else { continue };
            let mut identity = Identity::new(Source::Certificate, subject.clone());
            identity.claims.insert("sub".to_owned(), Value::String(subject));
            identity.claims.insert(kind.to_owned(), Value::String(name.to_owned()));
            let until = u64::try_from(leaf.validity().not_after.timestamp()).unwrap_or(0);
            // Its last second is one of its own (RFC 5280, section 4.1.2.5).
            identity.expires = UNIX_EPOCH.checked_add(Duration::from_secs(until.saturating_add(1)));
            if identity.has_expired() {
                return Err(CertificateRefusal::Expired);
            }
            return Ok(Arc::new(identity));
        }
        Err(CertificateRefusal::Invalid("the certificate has no name of the kinds that count"))
    }
}

fn spiffe<'c>(names: &'c [GeneralName<'c>]) -> Result<Option<&'c str>, CertificateRefusal> {
    let uris = names.iter().filter_map(|name| match name {
        GeneralName::URI(uri) => Some(*uri),
        _ => None,
    });
    let all: Vec<&str> = uris.collect();
    if !all.iter().any(|uri| uri.get(..9).is_some_and(|start| start.eq_ignore_ascii_case("spiffe://"))) {
        return Ok(None);
    }
    let [uri] = all.as_slice() else {
        return Err(CertificateRefusal::Invalid("the certificate has a SPIFFE ID and another URI"));
    };
    let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'/');
    let id = uri.strip_prefix("spiffe://").filter(|id| id.bytes().all(is_fine));
    let domain = id.and_then(|id| id.split('/').next()).unwrap_or_default();
    if domain.is_empty() || domain.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(CertificateRefusal::Invalid("the certificate's SPIFFE ID is none"));
    }
    Ok(Some(uri))
}

fn dns<'c>(names: &'c [GeneralName<'c>]) -> Option<&'c str> {
    names.iter().find_map(|name| match name {
        GeneralName::DNSName(name) if !name.is_empty() && !name.contains('*') => Some(*name),
        _ => None,
    })
}

fn common<'c>(leaf: &'c X509Certificate<'_>) -> Option<&'c str> {
    let mut names = leaf.subject().iter_common_name();
    let only = names.next()?;
    let text = only.as_str().ok().filter(|text| !text.is_empty())?;
    names.next().is_none().then_some(text)
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    use super::*;

    fn subject(sans: &[(&str, &str)], cn: &str, year: i32, names: &[CertificateName]) -> String {
        let mut params = CertificateParams::default();
        params.subject_alt_names = sans
            .iter()
            .map(|(kind, name)| match *kind {
                "uri" => SanType::URI((*name).try_into().unwrap()),
                _ => SanType::DnsName((*name).try_into().unwrap()),
            })
            .collect();
        params.distinguished_name = rcgen::DistinguishedName::new();
        if !cn.is_empty() {
            params.distinguished_name.push(DnType::CommonName, cn);
        }
        params.not_after = rcgen::date_time_ymd(year, 12, 31);
        let signed = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let peer = PeerCertificates::verified(&[signed.der().clone()]).unwrap();
        let settings = CertificateSettings { names: names.to_vec() };
        match settings.identify(&peer) {
            Ok(identity) => identity.subject.clone(),
            Err(why) => why.told().0.to_owned(),
        }
    }

    #[test]
    fn who_a_certificate_is_of() {
        use CertificateName::{Common, Dns, Spiffe};
        let id = ("uri", "spiffe://a.test/ns/x");
        let all = [Spiffe, Dns, Common];
        for (sans, cn, year, names, want) in [
            (&[id, ("dns", "h.test")][..], "me", 4000, &all[..], "spiffe://a.test/ns/x"),
            (&[id, ("dns", "h.test")], "me", 4000, &[Dns], "dns:h.test"),
            (&[id], "me", 4000, &[Dns, Common], "cn:me"),
            (&[], "spiffe://a.test/ns/x", 4000, &all, "cn:spiffe://a.test/ns/x"),
            (&[("uri", "https://a.test")], "me", 4000, &all, "cn:me"),
            (&[id, ("uri", "https://a.test")], "me", 4000, &all, "CERTIFICATE_INVALID"),
            (&[("uri", "SPIFFE://a.test/x")], "me", 4000, &all, "CERTIFICATE_INVALID"),
            (&[("uri", "spiffe://A.test/x")], "me", 4000, &all, "CERTIFICATE_INVALID"),
            (&[("uri", "spiffe:///x")], "me", 4000, &all, "CERTIFICATE_INVALID"),
            (&[("uri", "spiffe://a.test/x?y")], "me", 4000, &all, "CERTIFICATE_INVALID"),
            (&[("dns", "*.h.test")], "", 4000, &all, "CERTIFICATE_INVALID"),
            (&[], "", 4000, &all, "CERTIFICATE_INVALID"),
            (&[id], "", 2020, &all, "CERTIFICATE_EXPIRED"),
        ] {
            assert_eq!(subject(sans, cn, year, names), want, "{sans:?} {cn} {names:?}");
        }
    }
}
