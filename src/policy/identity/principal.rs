//! Who a call is from, once it is known.

use std::sync::Arc;
use std::time::SystemTime;

use serde_json::{Map, Value};

/// Who a call is from.
#[derive(Debug, Clone, Default)]
pub enum Principal {
    /// Nobody knows: nothing was shown, or it wasn't looked at.
    #[default]
    Anonymous,
    /// It was proved. Calls with the same credential share it.
    Known(Arc<Identity>),
}

impl Principal {
    /// Who it is, unless it is anonymous.
    #[must_use]
    pub fn identity(&self) -> Option<&Arc<Identity>> {
        match self {
            Self::Anonymous => None,
            Self::Known(identity) => Some(identity),
        }
    }
}

/// What a credential proves.
#[derive(Debug, Clone, PartialEq)]
pub struct Identity {
    pub source: Source,
    /// Unique within the source: a token's `sub`, an API key's name, a certificate's identity. Empty where the credential
    /// names none.
    pub subject: String,
    pub scopes: Vec<String>,
    /// A token's claims. Empty for other sources.
    pub claims: Map<String, Value>,
    /// By which limits its holder is measured.
    pub tier: Option<String>,
    /// Whom an API key was given to.
    pub owner: Option<String>,
    /// From when on the credential is worth nothing.
    pub expires: Option<SystemTime>,
}

impl Identity {
    /// One that has nothing but a name.
    #[must_use]
    pub fn new(source: Source, subject: impl Into<String>) -> Self {
        Self {
            source,
            subject: subject.into(),
            scopes: Vec::new(),
            claims: Map::new(),
            tier: None,
            owner: None,
            expires: None,
        }
    }

    /// Whether the credential is worth nothing any more.
    #[must_use]
    pub fn has_expired(&self) -> bool {
        self.expires.is_some_and(|expires| expires <= SystemTime::now())
    }

    /// Whether it may do what `scope` names.
    #[must_use]
    pub fn has_scope(&self, scope: &str) -> bool {
        self.scopes.iter().any(|own| own == scope)
    }
}

/// What vouches for an identity.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Source {
    /// A token of the issuer that has this name in the configuration.
    Jwt(Arc<str>),
    ApiKey,
    /// The certificate that the client showed in its handshake.
    Certificate,
}

impl Source {
    /// The name in logs and metrics: the issuer's, or the kind of credential.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Jwt(issuer) => issuer,
            Self::ApiKey => "api-key",
            Self::Certificate => "certificate",
        }
    }
}
