//! A token as it came. Nothing that it says is believed; it tells which issuer and which key are to check it.

use base64_simd::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::Refusal;

/// A token of three parts (RFC 7515, compact serialization) whose header and claims can be read.
pub(super) struct Unverified<'t> {
    pub text: &'t str,
    head: Head,
    issuer: String,
}

/// What of a JOSE header matters here. Whatever names keys of its own (`jku`, `jwk`, `x5u`, `x5c`) does not.
#[derive(Deserialize)]
struct Head {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    /// Extensions that must be understood, and none is.
    crit: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Claims {
    iss: Option<String>,
}

impl<'t> Unverified<'t> {
    pub(super) fn read(text: &'t str) -> Result<Self, Refusal> {
        const PARTS: Refusal = Refusal::Malformed("it is not three parts of base64url, two of them JSON");
        let mut parts = text.split('.');
        let (Some(head), Some(claims), Some(_), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(PARTS);
        };
        let decode = |part: &str| URL_SAFE_NO_PAD.decode_to_vec(part).map_err(|_| PARTS);
        let head: Head = serde_json::from_slice(&decode(head)?)
            .map_err(|_| Refusal::Malformed("its header is no JOSE header with an `alg`"))?;
        if head.crit.is_some() {
            return Err(Refusal::Invalid("it has critical extensions, and none is understood"));
        }
        let claims: Claims = serde_json::from_slice(&decode(claims)?)
            .map_err(|_| Refusal::Malformed("its claims are no JSON object with an issuer"))?;
        Ok(Self { text, head, issuer: claims.iss.unwrap_or_default() })
    }

    pub(super) fn algorithm(&self) -> &str {
        &self.head.alg
    }

    pub(super) fn key_id(&self) -> Option<&str> {
        self.head.kid.as_deref()
    }

    /// The media type, in lower case and without `application/` (RFC 7515, section 4.1.9).
    pub(super) fn media_type(&self) -> Option<String> {
        let lower = self.head.typ.as_ref()?.to_ascii_lowercase();
        Some(lower.strip_prefix("application/").map(str::to_owned).unwrap_or(lower))
    }

    /// Who is said to have signed it; empty where nobody is.
    pub(super) fn issuer(&self) -> &str {
        &self.issuer
    }
}
