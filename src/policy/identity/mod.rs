//! Who calls: the first of the policies. What a request shows is checked here, before anything of its body is read, and
//! what comes of it is a [`Principal`] that all later policies judge by.

mod api_key;
mod authenticate;
mod authenticator;
mod certificate;
mod credentials;
mod forward;
mod jwt;
mod principal;
mod settings;

pub use api_key::{ApiKey, ApiKeySettings, KeyHash, hash_of, is_id, new_key};
pub use authenticate::{Authenticate, AuthenticateFuture, FromCaller};
pub(super) use authenticator::credential_expired;
pub use authenticator::{Authenticator, Credential, Judged, Judging};
pub use certificate::{CertificateName, CertificateSettings};
pub use forward::Forward;
pub use jwt::{
    Algorithm, IssuerSettings, KeyFile, KeySet, KeySource, KeyUrl, Skipped, TokenType, read_file,
    secret_of_base64, well_known,
};
pub use principal::{Identity, Principal, Source};
pub use settings::{ExpiredStreams, ForwardSettings, IdentitySettings, TokenSettings};

/// Whether callers have to say who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Auth {
    /// Only those that prove it are let in.
    Required,
    /// Those that say nothing are anonymous; what is shown must be good.
    Optional,
    /// Nobody is asked, and nothing that is shown is looked at.
    #[default]
    None,
}
