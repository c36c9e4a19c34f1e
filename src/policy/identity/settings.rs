//! What an operator says of who may call.

use http::HeaderName;

use super::api_key::ApiKeySettings;
use super::certificate::CertificateSettings;
use super::jwt::IssuerSettings;

/// All that vouches for callers, and what is made of it.
#[derive(Debug, Clone, Default)]
pub struct IdentitySettings {
    /// No two have the same name, or the same `iss`.
    pub issuers: Vec<IssuerSettings>,
    pub tokens: TokenSettings,
    pub api_keys: Option<ApiKeySettings>,
    /// There where clients' certificates say who they are.
    pub certificates: Option<CertificateSettings>,
    pub forward: ForwardSettings,
}

impl IdentitySettings {
    /// Whether anybody can say who they are.
    #[must_use]
    pub fn has_sources(&self) -> bool {
        !self.issuers.is_empty() || self.api_keys.is_some() || self.certificates.is_some()
    }
}

/// How tokens are taken from requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenSettings {
    /// The cookie that may hold one.
    pub cookie: Option<String>,
    /// The query parameter that may hold one.
    pub query: Option<String>,
    /// The largest token, in bytes.
    pub max_size: usize,
    /// How many that were found good are remembered.
    pub cache: usize,
    pub expired_streams: ExpiredStreams,
}

impl Default for TokenSettings {
    fn default() -> Self {
        Self {
            cookie: None,
            query: None,
            max_size: 8 << 10,
            cache: 10_000,
            expired_streams: ExpiredStreams::default(),
        }
    }
}

/// What becomes of a stream whose credential expires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ExpiredStreams {
    /// It is ended at once.
    #[default]
    End,
    /// It goes on: it was good when it began.
    Keep,
}

/// What backends are told of who calls.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ForwardSettings {
    /// Metadata, and the way through the claims to what it says. No client can set it.
    pub claims: Vec<(HeaderName, Vec<String>)>,
    /// Whether the token itself goes on to the backend.
    pub token: bool,
}
