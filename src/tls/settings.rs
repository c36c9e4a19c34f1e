//! What an operator says of TLS on a listener, and what was read for it.

use std::sync::Arc;
use std::time::SystemTime;

use rustc_hash::FxHashSet;
use rustls::server::{
    NoServerSessionStorage, ProducesTickets, ServerSessionMemoryCache, StoresServerSessions,
    WebPkiClientVerifier,
};
use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, SignatureScheme, SupportedProtocolVersion};

use super::certificate::Identity;
use super::choose::ByName;
use super::files::{Mark, Unusable};
use super::provider;
use super::roots::Authorities;

/// The versions of TLS that a listener speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Versions {
    #[default]
    Tls12And13,
    Tls12,
    Tls13,
}

/// All that there are, with the stronger first.
static SUPPORTED: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];

impl Versions {
    fn supported(self) -> &'static [&'static SupportedProtocolVersion] {
        let (strong, weak) = SUPPORTED.split_at(1);
        match self {
            Self::Tls12And13 => &SUPPORTED,
            Self::Tls12 => weak,
            Self::Tls13 => strong,
        }
    }
}

/// Whether a client may come without a certificate. One that it shows is verified either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuth {
    Required,
    Optional,
}

/// How clients' certificates are verified.
#[derive(Debug, Clone)]
pub struct ClientCheck {
    pub roots: Authorities,
    pub auth: ClientAuth,
}

/// TLS on a listener. All that was read from files is usable, and remembers its file.
#[derive(Debug, Clone)]
pub struct ListenerTls {
    /// At least one; the first is for clients that name none of the others.
    pub identities: Vec<Identity>,
    pub versions: Versions,
    /// There where clients are asked for certificates.
    pub client: Option<ClientCheck>,
}

impl ListenerTls {
    /// One certificate, and nothing asked of clients.
    #[must_use]
    pub fn new(identity: Identity) -> Self {
        Self { identities: vec![identity], versions: Versions::default(), client: None }
    }

    /// The same with all files read again.
    ///
    /// # Errors
    /// The first file that can't be used.
    pub(super) fn again(&self) -> Result<Self, Unusable> {
        let client = self.client.as_ref();
        let client = client.map(|check| Ok(ClientCheck { roots: check.roots.again()?, ..*check }));
        Ok(Self {
            identities: self.identities.iter().map(Identity::again).collect::<Result<_, _>>()?,
            versions: self.versions,
            client: client.transpose()?,
        })
    }

    /// The marks of all files that it was read from.
    #[must_use]
    pub fn marks(&self) -> Vec<Mark> {
        let identities = self.identities.iter().flat_map(Identity::marks);
        identities.chain(self.client.as_ref().map(|check| check.roots.mark())).cloned().collect()
    }

    /// What is probably not meant, with the number of the certificate that it is about.
    #[must_use]
    pub fn oddities(&self, now: SystemTime) -> Vec<(usize, String)> {
        let mut odd = Vec::new();
        let mut served: FxHashSet<(&str, Option<u16>)> = FxHashSet::default();
        for (index, identity) in self.identities.iter().enumerate() {
            let chain = identity.chain();
            odd.extend(chain.untimely(now).map(|what| (index, what)));
            let scheme =
                identity.certified().key.choose_scheme(&SCHEMES).map(|signer| signer.scheme().into());
            let new = chain.names().iter().filter(|name| served.insert((name.as_str(), scheme))).count();
            if index > 0 && new == 0 {
                let file = chain.path().display();
                let why = match chain.names() {
                    [] => "it has no DNS names",
                    [..] => "others of its kind come before it that have all of its names",
                };
                odd.push((index, format!("no client gets the certificate in `{file}`: {why}")));
            }
        }
        odd
    }

    /// As rustls takes it.
    ///
    /// # Errors
    /// What only rustls could find wrong with it.
    pub(super) fn server_config(&self, resumption: &Resumption) -> Result<ServerConfig, Unusable> {
        let refused = |error: &dyn std::fmt::Display| Unusable::new(format!("TLS can't be set up: {error}"));
        let builder = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(self.versions.supported())
            .map_err(|error| refused(&error))?;
        let builder = match &self.client {
            Some(ClientCheck { roots, auth }) => {
                let verifier = WebPkiClientVerifier::builder_with_provider(roots.store(), provider());
                let verifier = match auth {
                    ClientAuth::Required => verifier,
                    ClientAuth::Optional => verifier.allow_unauthenticated(),
                };
                builder.with_client_cert_verifier(verifier.build().map_err(|error| refused(&error))?)
            }
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_cert_resolver(Arc::new(ByName::new(&self.identities)));
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        // Data before the handshake's end can be replayed.
        config.max_early_data_size = 0;
        if self.client.is_some() {
            // A resumed session would bring a certificate back without a look at its time and at the roots of today.
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        } else {
            config.session_storage = Arc::clone(&resumption.sessions);
            config.ticketer = Arc::clone(&resumption.ticketer);
        }
        Ok(config)
    }
}

/// One for each kind of key that a certificate may have.
const SCHEMES: [SignatureScheme; 4] = [
    SignatureScheme::ECDSA_NISTP256_SHA256,
    SignatureScheme::ECDSA_NISTP384_SHA384,
    SignatureScheme::ED25519,
    SignatureScheme::RSA_PSS_SHA256,
];

/// Sessions that are held for clients without tickets (TLS 1.2).
const MAX_SESSIONS: usize = 4096;

/// What lets clients resume sessions. It outlives a change of certificates.
pub struct Resumption {
    ticketer: Arc<dyn ProducesTickets>,
    sessions: Arc<dyn StoresServerSessions>,
}

impl Resumption {
    /// With keys that nobody else has, and that change by themselves.
    ///
    /// # Errors
    /// No random numbers.
    pub fn new() -> Result<Self, Unusable> {
        let ticketer = rustls::crypto::ring::Ticketer::new()
            .map_err(|error| Unusable::new(format!("TLS can't be set up: {error}")))?;
        Ok(Self { ticketer, sessions: ServerSessionMemoryCache::new(MAX_SESSIONS) })
    }
}
