//! One issuer: its keys as they are now, and what its tokens must be like.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use bytes::Bytes;
use jsonwebtoken::{Algorithm, Validation, decode};
use serde_json::{Map, Value};

use super::Refusal;
use super::fetch::KeyUrl;
use super::keys::{Found, KeySet};
use super::refresh::Refresh;
use super::token::Unverified;
use crate::policy::identity::{Identity, Source};
use crate::problem::Problem;

/// What an operator says of an issuer, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct IssuerSettings {
    /// Its name in logs and metrics.
    pub name: Arc<str>,
    /// The claim `iss` of its tokens.
    pub issuer: String,
    /// One of them must be in the claim `aud`; any will do without.
    pub audiences: Option<Vec<String>>,
    pub keys: KeySource,
    /// At least one; those that keys without `alg` may be used with.
    pub algorithms: Vec<Algorithm>,
    pub media_type: TokenType,
    /// How far clocks may be apart.
    pub leeway: Duration,
    /// How often the keys are asked for again.
    pub refresh: Duration,
    /// How long nobody is asked for unknown keys after the last time.
    pub cooldown: Duration,
    /// The claim that has the scopes, in one text with spaces between them or in a list.
    pub scope_claim: Option<String>,
    /// The claim that names the tier.
    pub tier_claim: Option<String>,
}

impl IssuerSettings {
    pub const DEFAULT_LEEWAY: Duration = Duration::from_secs(30);
    pub const DEFAULT_REFRESH: Duration = Duration::from_secs(300);
    pub const DEFAULT_COOLDOWN: Duration = Duration::from_secs(10);
}

/// Where an issuer's keys are from.
#[derive(Debug, Clone, PartialEq)]
pub enum KeySource {
    /// What both sides know. It is never asked for again.
    Secret(KeySet),
    /// A key set in a file, which is looked at again and again.
    File(KeyFile),
    /// A key set at a URL.
    Url(KeyUrl),
    /// The metadata of an issuer by OpenID Connect Discovery, which name the URL of its key set.
    Discovery(KeyUrl),
}

/// A file of keys, as it was read first.
#[derive(Debug, Clone, PartialEq)]
pub struct KeyFile {
    pub path: PathBuf,
    pub bytes: Bytes,
    pub set: KeySet,
}

/// What the header's `typ` must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TokenType {
    /// `JWT`, `at+jwt`, or nothing.
    #[default]
    Usual,
    /// `at+jwt` alone (RFC 9068): no identity token is taken for an access token.
    AccessToken,
    /// Whatever it is.
    Any,
}

impl TokenType {
    fn allows(self, token: &Unverified<'_>) -> bool {
        let media_type = token.media_type();
        match self {
            Self::Any => true,
            Self::Usual => matches!(media_type.as_deref(), None | Some("jwt" | "at+jwt")),
            Self::AccessToken => media_type.as_deref() == Some("at+jwt"),
        }
    }
}

/// The keys in force.
#[derive(Debug)]
struct Held {
    /// Counts up with every other set of keys; 0 for none yet.
    generation: u64,
    set: KeySet,
}

#[derive(Debug)]
pub(in crate::policy::identity) struct Issuer {
    settings: IssuerSettings,
    /// All but the algorithm, which the key gives.
    validation: Validation,
    held: ArcSwap<Held>,
    refresh: Refresh,
}

impl Issuer {
    pub(super) fn new(settings: &IssuerSettings) -> Result<Self, Problem> {
        let mut validation =
            Validation { leeway: settings.leeway.as_secs(), validate_nbf: true, ..Validation::default() };
        validation.set_issuer(&[&settings.issuer]);
        match &settings.audiences {
            Some(audiences) => {
                validation.set_audience(audiences);
                validation.set_required_spec_claims(&["exp", "iss", "aud"]);
            }
            None => {
                validation.validate_aud = false;
                validation.set_required_spec_claims(&["exp", "iss"]);
            }
        }
        let (generation, set) = match &settings.keys {
            KeySource::Secret(set) | KeySource::File(KeyFile { set, .. }) => (1, set.clone()),
            KeySource::Url(_) | KeySource::Discovery(_) => (0, KeySet::default()),
        };
        Ok(Self {
            settings: settings.clone(),
            validation,
            held: ArcSwap::from_pointee(Held { generation, set }),
            refresh: Refresh::new(settings)?,
        })
    }

    pub(super) fn name(&self) -> &Arc<str> {
        &self.settings.name
    }

    pub(super) fn is_named(&self, issuer: &str) -> bool {
        self.settings.issuer == issuer
    }

    /// The number of the keys in force.
    pub(super) fn generation(&self) -> u64 {
        self.held.load().generation
    }

    pub(super) fn settings(&self) -> &IssuerSettings {
        &self.settings
    }

    pub(super) fn refresh(&self) -> &Refresh {
        &self.refresh
    }

    /// Puts other keys in force.
    pub(super) fn take(&self, set: KeySet) {
        let generation = self.generation() + 1;
        self.held.store(Arc::new(Held { generation, set }));
    }

    /// Checks a token that claims to be of this issuer; gives whose it is, and by which keys that was found out.
    pub(super) fn verify(&self, token: &Unverified<'_>) -> Result<(Identity, u64), Refusal> {
        let held = self.held.load();
        if held.generation == 0 {
            return Err(Refusal::NoKeys);
        }
        // What isn't a known name is no algorithm of any key.
        let algorithm = token.algorithm().parse::<Algorithm>().ok();
        let key = match held.set.find(token.key_id(), algorithm) {
            Found::Key(key) => key,
            Found::Missing => return Err(Refusal::KeyUnknown),
            Found::OtherAlgorithm => return Err(Refusal::Invalid("its algorithm is not that of the key")),
            Found::Ambiguous => return Err(Refusal::Invalid("it does not say which key it is signed by")),
        };
        if !self.settings.media_type.allows(token) {
            return Err(Refusal::Invalid("its `typ` is not the one of these tokens"));
        }
        let mut validation = self.validation.clone();
        validation.algorithms = algorithm.into_iter().collect();
        let claims = decode::<Map<String, Value>>(token.text, &key.key, &validation)?.claims;
        Ok((self.identity(claims)?, held.generation))
    }

    fn identity(&self, claims: Map<String, Value>) -> Result<Identity, Refusal> {
        let text = |name: &str| claims.get(name).and_then(Value::as_str).map(str::to_owned);
        let expires = claims.get("exp").and_then(Value::as_f64).and_then(|seconds| {
            let end = Duration::try_from_secs_f64(seconds).ok()?.checked_add(self.settings.leeway)?;
            SystemTime::UNIX_EPOCH.checked_add(end)
        });
        Ok(Identity {
            subject: text("sub").unwrap_or_default(),
            scopes: self.scopes(&claims),
            tier: self.settings.tier_claim.as_deref().and_then(text),
            owner: None,
            expires: Some(expires.ok_or(Refusal::Invalid("it expires beyond all clocks"))?),
            source: Source::Jwt(Arc::clone(&self.settings.name)),
            claims,
        })
    }

    /// From the claim that is configured, or from `scope` (RFC 8693, section 4.2) or `scp`.
    fn scopes(&self, claims: &Map<String, Value>) -> Vec<String> {
        let claim = match &self.settings.scope_claim {
            Some(name) => claims.get(name),
            None => claims.get("scope").or_else(|| claims.get("scp")),
        };
        match claim {
            Some(Value::String(text)) => text.split_ascii_whitespace().map(str::to_owned).collect(),
            Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            Some(_) | None => Vec::new(),
        }
    }
}
