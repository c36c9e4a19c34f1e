//! Has what a request's head shows checked, and tells what comes of it: a principal, or a refusal with a challenge.

use std::pin::Pin;
use std::sync::Arc;
use std::time::SystemTime;

use futures_util::future::join;
use http::header::{self, HeaderMap, HeaderValue};
use http::request::Parts;
use tokio::time::Instant;

use super::api_key::{ApiKeys, KeyHash, KeyRefusal};
use super::certificate::CertificateRefusal;
use super::credentials::{self, Shown};
use super::jwt::{Checked, Jwt, Refusal, Refused};
use super::{Auth, ExpiredStreams, Forward, Identity, IdentitySettings, Principal, Source};
use crate::fault::{Fault, Kind};
use crate::policy::{Call, Cors};
use crate::problem::Problem;
use crate::telemetry::{Metrics, TokenCounters};
use crate::tls::PeerCertificates;

/// To those whose token is no good.
const REFUSED: &str = "Bearer realm=\"transom\", error=\"invalid_token\"";
/// To those whose API key is none, or is no good. Nobody has registered a scheme for them.
const KEY: &str = "ApiKey realm=\"transom\"";
/// The same for certificates.
const CERTIFICATE: &str = "Certificate realm=\"transom\"";

/// All that vouches for callers. One for the process: what it learns holds on every worker.
#[derive(Debug)]
pub struct Authenticator {
    settings: IdentitySettings,
    jwt: Arc<Jwt>,
    api_keys: Option<ApiKeys>,
    forward: Option<Arc<Forward>>,
    metrics: Arc<Metrics>,
    /// By the names of issuers and of other sources; the last is for tokens that name no issuer that is trusted.
    counters: Vec<(Arc<str>, TokenCounters)>,
}

/// Why a credential other than a token is no good.
struct Why {
    /// The reason, and the message, for the client.
    told: (&'static str, &'static str),
    /// For the log.
    cause: &'static str,
}

/// What is known of a caller.
pub enum Judged {
    Now(Result<Principal, Fault>),
    /// Something has to be waited for. It holds nothing of the request.
    Later(Judging),
}

/// What proved who calls, as far as it may be taken back while a stream is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    ApiKey {
        id: String,
        /// None where the key is gone already.
        hash: Option<KeyHash>,
    },
    /// A token of this issuer. That the key is gone by which it was signed takes nothing back: keys are rotated.
    Issuer(Arc<str>),
    Certificate,
}

/// Ready when it is known who calls.
pub type Judging = Pin<Box<dyn Future<Output = Result<Principal, Fault>> + Send>>;

impl Authenticator {
    /// # Errors
    /// What can't be set up.
    pub fn new(settings: &IdentitySettings, metrics: Arc<Metrics>) -> Result<Self, Problem> {
        let jwt = Arc::new(Jwt::new(&settings.issuers, &settings.tokens)?);
        Ok(Self::with(settings, jwt, metrics))
    }

    /// By other settings. Issuers that are as they were keep the keys that they told; where all are, tokens that were found
    /// good stay known.
    ///
    /// # Errors
    /// What can't be set up.
    pub fn renew(&self, settings: &IdentitySettings) -> Result<Self, Problem> {
        let IdentitySettings { issuers, tokens, .. } = settings;
        let is_same = self.settings.issuers == *issuers && self.settings.tokens == *tokens;
        let jwt = if is_same { Arc::clone(&self.jwt) } else { Arc::new(self.jwt.renew(issuers, tokens)?) };
        Ok(Self::with(settings, jwt, Arc::clone(&self.metrics)))
    }

    fn with(settings: &IdentitySettings, jwt: Arc<Jwt>, metrics: Arc<Metrics>) -> Self {
        let others: [(&str, &[&'static str]); 3] = [
            (Source::ApiKey.name(), &KeyRefusal::REASONS),
            (Source::Certificate.name(), &CertificateRefusal::REASONS),
            ("", &Refusal::REASONS),
        ];
        let others = others.map(|(name, reasons)| (Arc::from(name), reasons));
        let issuers = jwt.names().map(|name| (Arc::clone(name), &Refusal::REASONS[..]));
        let counters = issuers.chain(others).map(|(name, reasons)| {
            let counters = metrics.identity().tokens(&name, reasons);
            (name, counters)
        });
        Self {
            settings: settings.clone(),
            counters: counters.collect(),
            forward: Forward::new(&settings.forward).map(Arc::new),
            jwt,
            api_keys: settings.api_keys.as_ref().map(ApiKeys::new),
            metrics,
        }
    }

    /// Whether [`Authenticator::keep_fresh`] has anything to do.
    #[must_use]
    pub fn changes(&self) -> bool {
        self.jwt.has_changing_keys() || self.api_keys.is_some()
    }

    /// Keeps what it judges by as it is elsewhere, without an end. Files are read here: the thread should have nothing
    /// better to do.
    /// `changed` hears when fewer callers may be let in than before.
    pub async fn keep_fresh(&self, changed: impl Fn()) {
        let tell = |source: &str, is_fresh| self.metrics.identity().refreshed(source, is_fresh);
        let api_keys = async {
            if let Some(keys) = &self.api_keys {
                let tell = |is_fresh| {
                    tell(Source::ApiKey.name(), is_fresh);
                    if is_fresh {
                        changed();
                    }
                };
                keys.keep_fresh(tell).await;
            }
        };
        join(self.jwt.keep_fresh(tell), api_keys).await;
    }

    /// Who sent this head, as far as `auth` wants to know. `cors` says whose pages may send cookies.
    #[must_use]
    pub fn judge(self: &Arc<Self>, auth: Auth, head: &Parts, cors: Option<&Cors>) -> Judged {
        if auth == Auth::None {
            return Judged::Now(Ok(Principal::Anonymous));
        }
        let shown = match self.shown(head, cors) {
            Ok(shown) => shown,
            Err(fault) => return Judged::Now(Err(fault)),
        };
        // All that is shown has to be good; of what is, a token says more than a key, and that more than a certificate,
        // which all of a connection's calls have in common.
        let other = match self.by_key(head).and_then(|key| Ok(key.or(self.by_certificate(head)?))) {
            Ok(other) => other,
            Err(fault) => return Judged::Now(Err(fault)),
        };
        match (auth, shown) {
            (_, Shown::Nothing | Shown::ForeignCookie) if let Some(identity) = other => {
                Judged::Now(Ok(Principal::Known(identity)))
            }
            (_, Shown::Token(token)) => match self.jwt.check(&token) {
                Checked::Now(result) => Judged::Now(self.told(result)),
                Checked::AfterKeys(issuer, seen) => {
                    let (own, token) = (Arc::clone(self), token.into_owned());
                    Judged::Later(Box::pin(async move {
                        issuer.keys_asked(seen).await;
                        own.told(own.jwt.check_at_last(&token))
                    }))
                }
            },
            (Auth::Required, Shown::Nothing) => Judged::Now(Err(self.missing())),
            (Auth::Required, Shown::ForeignCookie) => {
                let message =
                    "this needs a token; the cookie does not count, by the request's origin or content type";
                Judged::Now(Err(missing(message)))
            }
            (Auth::Optional | Auth::None, Shown::Nothing | Shown::ForeignCookie) => {
                Judged::Now(Ok(Principal::Anonymous))
            }
        }
    }

    /// The token that a request shows. Where there are no issuers, none is looked for.
    fn shown<'h>(&self, head: &'h Parts, cors: Option<&Cors>) -> Result<Shown<'h>, Fault> {
        if self.settings.issuers.is_empty() {
            return Ok(Shown::Nothing);
        }
        let found = credentials::find(head, &self.settings.tokens, cors);
        found.map_err(|why| self.refused(Refused { why, issuer: None }))
    }

    /// Whom the API key stands for that a request shows.
    fn by_key(&self, head: &Parts) -> Result<Option<Arc<Identity>>, Fault> {
        let Some(keys) = &self.api_keys else { return Ok(None) };
        let checked = keys.find(head).and_then(|key| key.map(|key| keys.check(&key)).transpose());
        let checked = checked.map_err(|why| Why { told: why.told(), cause: why.cause() });
        self.counted(&Source::ApiKey, checked, KEY)
    }

    /// Whom the certificate is of that a client has shown.
    fn by_certificate(&self, head: &Parts) -> Result<Option<Arc<Identity>>, Fault> {
        let shown = self.settings.certificates.as_ref().zip(head.extensions.get::<PeerCertificates>());
        let checked = shown.map(|(settings, peer)| settings.identify(peer)).transpose();
        let checked = checked.map_err(|why| Why { told: why.told(), cause: why.cause() });
        self.counted(&Source::Certificate, checked, CERTIFICATE)
    }

    /// Counts what became of a credential, and makes a fault of a refusal.
    fn counted(
        &self,
        source: &Source,
        checked: Result<Option<Arc<Identity>>, Why>,
        challenge: &'static str,
    ) -> Result<Option<Arc<Identity>>, Fault> {
        let counters = self.counters(source.name());
        match checked {
            Ok(identity) => {
                if let (Some(counters), Some(_)) = (counters, &identity) {
                    counters.accepted();
                }
                Ok(identity)
            }
            Err(Why { told: (reason, message), cause }) => {
                if let Some(counters) = counters {
                    counters.refused(reason);
                }
                Err(challenged(reason, message, challenge).because(cause))
            }
        }
    }

    /// What callers are told that show nothing where something is needed.
    #[must_use]
    pub fn missing(&self) -> Fault {
        let IdentitySettings { issuers, api_keys, .. } = &self.settings;
        if !issuers.is_empty() {
            missing("this needs a token")
        } else if api_keys.is_some() {
            challenged("KEY_MISSING", "this needs an API key", KEY)
        } else {
            challenged("CERTIFICATE_MISSING", "this needs a client's certificate", CERTIFICATE)
        }
    }

    /// Makes a call one of `principal`'s.
    pub fn admit<B>(&self, auth: Auth, principal: Principal, call: &mut Call<B>) {
        self.take_out(auth, &mut call.head);
        let ends = match self.settings.tokens.expired_streams {
            ExpiredStreams::End => !call.resolved.method.is_unary(),
            ExpiredStreams::Keep => false,
        };
        let expires = principal.identity().filter(|_| ends).and_then(|identity| identity.expires);
        call.limit.expiry = expires.and_then(|expires| {
            let left = expires.duration_since(SystemTime::now()).unwrap_or_default();
            Instant::now().checked_add(left)
        });
        call.forward.clone_from(&self.forward);
        call.principal = principal;
    }

    /// By what the identity of a principal that was let in can be looked at again.
    #[must_use]
    pub fn credential(&self, principal: &Principal) -> Option<Credential> {
        let identity = principal.identity()?;
        Some(match &identity.source {
            Source::ApiKey => {
                let hash = self.api_keys.as_ref().and_then(|keys| keys.hash(&identity.subject));
                Credential::ApiKey { id: identity.subject.clone(), hash }
            }
            Source::Jwt(issuer) => Credential::Issuer(Arc::clone(issuer)),
            Source::Certificate => Credential::Certificate,
        })
    }

    /// Looks at a credential again; gives whom it stands for now, where that may be somebody with other rights.
    ///
    /// # Errors
    /// It is worth nothing any more.
    pub fn recheck(&self, credential: &Credential) -> Result<Option<Arc<Identity>>, Fault> {
        match credential {
            Credential::ApiKey { id, hash } => {
                let keys = self.api_keys.as_ref().ok_or(KeyRefusal::Unknown);
                let found = keys.and_then(|keys| keys.recheck(id, hash.as_ref()));
                found.map(Some).map_err(|why| {
                    let (reason, message) = why.told();
                    challenged(reason, message, KEY).because(why.cause())
                })
            }
            Credential::Issuer(name) if self.jwt.names().any(|known| known == name) => Ok(None),
            Credential::Issuer(_) => {
                let why = Refusal::IssuerUnknown;
                Err(challenged(why.reason(), why.message(), REFUSED))
            }
            Credential::Certificate if self.settings.certificates.is_some() => Ok(None),
            Credential::Certificate => Err(self.missing()),
        }
    }

    /// Takes out of a head that was let in what no backend is to see.
    fn take_out(&self, auth: Auth, head: &mut Parts) {
        let IdentitySettings { tokens, forward, .. } = &self.settings;
        if let Some(name) = &tokens.query {
            credentials::take_parameter(&mut head.uri, name);
        }
        if let Some(keys) = &self.api_keys {
            keys.take_out(&mut head.headers, &mut head.uri);
        }
        if forward.token || self.settings.issuers.is_empty() {
            return;
        }
        if let Some(name) = &tokens.cookie {
            credentials::take_cookie(&mut head.headers, name);
        }
        match auth {
            Auth::Required | Auth::Optional => credentials::take_bearer(&mut head.headers),
            // It was not looked at, and may be the backend's own affair.
            Auth::None => {}
        }
    }

    fn told(&self, result: Result<Arc<Identity>, Refused>) -> Result<Principal, Fault> {
        match result {
            Ok(identity) => {
                if let Some(counters) = self.counters(identity.source.name()) {
                    counters.accepted();
                }
                Ok(Principal::Known(identity))
            }
            Err(refused) => Err(self.refused(refused)),
        }
    }

    fn refused(&self, refused: Refused) -> Fault {
        let Refused { why, issuer } = refused;
        let reason = why.reason();
        if let Some(counters) = self.counters(issuer.as_deref().unwrap_or_default()) {
            counters.refused(reason);
        }
        let cause = match issuer {
            Some(issuer) => format!("issuer {issuer}: {why}"),
            None => why.to_string(),
        };
        let fault = match why {
            Refusal::NoKeys => Fault::new(Kind::Unreachable, reason, why.message()),
            Refusal::Malformed(_)
            | Refusal::Expired
            | Refusal::Invalid(_)
            | Refusal::IssuerUnknown
            | Refusal::KeyUnknown => challenged(reason, why.message(), REFUSED),
        };
        fault.because(cause)
    }

    fn counters(&self, issuer: &str) -> Option<&TokenCounters> {
        self.counters.iter().find(|(name, _)| **name == *issuer).map(|(_, counters)| counters)
    }
}

/// What a call becomes whose credential expires while it goes on.
pub(in crate::policy) fn credential_expired() -> Fault {
    let why = Refusal::Expired;
    challenged(why.reason(), why.message(), REFUSED)
}

fn missing(message: &'static str) -> Fault {
    challenged("TOKEN_MISSING", message, "Bearer realm=\"transom\"")
}

/// A refusal with a challenge (RFC 9110, section 11.6.1; RFC 6750, section 3).
fn challenged(reason: &'static str, message: &'static str, challenge: &'static str) -> Fault {
    let challenge = HeaderValue::from_static(challenge);
    let headers = HeaderMap::from_iter([(header::WWW_AUTHENTICATE, challenge)]);
    Fault::new(Kind::Unauthenticated, reason, message).with_headers(headers)
}
