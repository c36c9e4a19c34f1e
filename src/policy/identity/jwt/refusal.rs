//! Why a token is no good: a stable reason for its holder, and more for the log.

use std::fmt;

use jsonwebtoken::errors::{Error, ErrorKind};

/// Why nobody is let in by a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::policy::identity) enum Refusal {
    /// It is no token at all, or there is more than one.
    Malformed(&'static str),
    /// It was good once.
    Expired,
    /// It is a token, but not one that counts here.
    Invalid(&'static str),
    /// No issuer of this name is trusted.
    IssuerUnknown,
    /// Its issuer has no such key.
    KeyUnknown,
    /// The keys of its issuer were never had.
    NoKeys,
}

impl Refusal {
    /// All that can be told apart from outside, with the place that each is counted at.
    pub(in crate::policy::identity) const REASONS: [&'static str; 6] = [
        "TOKEN_MALFORMED",
        "TOKEN_EXPIRED",
        "TOKEN_INVALID",
        "ISSUER_UNKNOWN",
        "KEY_UNKNOWN",
        "KEYS_UNAVAILABLE",
    ];

    /// The stable name of the reason.
    pub(in crate::policy::identity) const fn reason(self) -> &'static str {
        match self {
            Self::Malformed(_) => "TOKEN_MALFORMED",
            Self::Expired => "TOKEN_EXPIRED",
            Self::Invalid(_) => "TOKEN_INVALID",
            Self::IssuerUnknown => "ISSUER_UNKNOWN",
            Self::KeyUnknown => "KEY_UNKNOWN",
            Self::NoKeys => "KEYS_UNAVAILABLE",
        }
    }

    /// What the client is told, which is no more than the reason says.
    pub(in crate::policy::identity) const fn message(self) -> &'static str {
        match self {
            Self::Malformed(_) => "this is no token",
            Self::Expired => "the token has expired",
            Self::Invalid(_) => "the token does not count here",
            Self::IssuerUnknown => "the token is of an issuer that isn't trusted here",
            Self::KeyUnknown => "the token is signed by a key that its issuer doesn't have",
            Self::NoKeys => "tokens of this issuer can't be checked now",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed(why) | Self::Invalid(why) => why,
            Self::Expired | Self::IssuerUnknown | Self::KeyUnknown | Self::NoKeys => self.message(),
        })
    }
}

impl std::error::Error for Refusal {}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        match error.kind() {
            ErrorKind::ExpiredSignature => Self::Expired,
            ErrorKind::ImmatureSignature => Self::Invalid("it is not valid yet"),
            ErrorKind::InvalidSignature => Self::Invalid("its signature is not by the key that it names"),
            ErrorKind::InvalidAudience => Self::Invalid("it is for another audience"),
            ErrorKind::InvalidIssuer => Self::Invalid("it is of another issuer"),
            ErrorKind::MissingRequiredClaim(claim) => Self::Invalid(match claim.as_str() {
                "exp" => "it never expires",
                "aud" => "it names no audience",
                _ => "a claim is missing",
            }),
            ErrorKind::InvalidClaimFormat(_) => Self::Invalid("a claim has another type than it should"),
            ErrorKind::InvalidToken | ErrorKind::Base64(_) | ErrorKind::Json(_) | ErrorKind::Utf8(_) => {
                Self::Malformed("it is not three parts of base64url, two of them JSON")
            }
            _ => Self::Invalid("its algorithm is not that of the key"),
        }
    }
}
