//! Decides what a known caller may call: it stands behind [`Authenticate`](super::Authenticate), and judges
//! by the principal and the method alone.

use std::sync::Arc;

use http::header::{self, HeaderMap, HeaderValue};

use super::call::Call;
use super::check::Check;
use super::claims::ClaimSets;
use super::identity::{Authenticator, Identity, Principal, Source};
use crate::fault::{Fault, Kind};

/// What scopes a caller has to have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scopes {
    /// All of these.
    pub all: Vec<String>,
    /// One of these, where there are any.
    pub any: Vec<String>,
}

impl Scopes {
    fn are_met(&self, identity: &Identity) -> bool {
        self.all.iter().all(|scope| identity.has_scope(scope))
            && (self.any.is_empty() || self.any.iter().any(|scope| identity.has_scope(scope)))
    }
}

/// Who is never let in.
#[derive(Debug, Clone)]
pub enum Deny {
    /// Whoever it is.
    Everybody,
    /// Those whose claims are such.
    Those(ClaimSets),
}

/// What is asked of a method's callers. Each part has the name that logs give to the rule that it is of.
#[derive(Debug, Clone, Default)]
pub struct Authorization {
    pub deny: Option<(Arc<str>, Deny)>,
    pub scopes: Option<(Arc<str>, Scopes)>,
    pub claims: Option<(Arc<str>, ClaimSets)>,
}

impl Authorization {
    /// Whether there is nothing that it asks.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.deny.is_none() && self.scopes.is_none() && self.claims.is_none()
    }

    /// # Errors
    /// The caller may not; `missing` is the fault where nobody knows who it is.
    pub(super) fn check(&self, principal: &Principal, missing: impl FnOnce() -> Fault) -> Result<(), Fault> {
        let identity = principal.identity();
        if let Some((rule, deny)) = &self.deny {
            let is_denied = match deny {
                Deny::Everybody => true,
                Deny::Those(claims) => identity.is_some_and(|identity| claims.hold(&identity.claims)),
            };
            if is_denied {
                return Err(denied("DENIED", "this is closed to this caller", rule));
            }
        }
        if self.scopes.is_none() && self.claims.is_none() {
            return Ok(());
        }
        let Some(identity) = identity else { return Err(missing()) };
        if let Some((rule, scopes)) = &self.scopes
            && !scopes.are_met(identity)
        {
            let fault = denied("SCOPE_MISSING", "the caller's scopes do not cover this", rule);
            return Err(match identity.source {
                // RFC 6750, section 3.1.
                Source::Jwt(_) => {
                    const CHALLENGE: HeaderValue =
                        HeaderValue::from_static("Bearer realm=\"transom\", error=\"insufficient_scope\"");
                    fault.with_headers(HeaderMap::from_iter([(header::WWW_AUTHENTICATE, CHALLENGE)]))
                }
                Source::ApiKey | Source::Certificate => fault,
            });
        }
        match &self.claims {
            Some((rule, claims)) if !claims.hold(&identity.claims) => {
                Err(denied("CLAIM_MISMATCH", "the caller's claims do not allow this", rule))
            }
            Some(_) | None => Ok(()),
        }
    }
}

fn denied(reason: &'static str, message: &'static str, rule: &Arc<str>) -> Fault {
    Fault::new(Kind::Denied, reason, message).by_rule(Arc::clone(rule))
}

/// Refuses calls that their callers may not make.
#[derive(Clone)]
pub struct Authorize {
    /// Says what callers are asked for that show nothing.
    authenticator: Arc<Authenticator>,
}

impl Authorize {
    #[must_use]
    pub fn new(authenticator: Arc<Authenticator>) -> Self {
        Self { authenticator }
    }
}

impl Check for Authorize {
    fn check<B>(&self, call: &Call<B>) -> Result<(), Fault> {
        match &call.resolved.method.authorization {
            Some(authorization) => authorization.check(&call.principal, || self.authenticator.missing()),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::claims::{ClaimPath, ClaimRule, ClaimTest};

    fn sets(claim: &str, value: &str) -> ClaimSets {
        let claim = ClaimPath::parse(claim).unwrap();
        ClaimSets(vec![vec![ClaimRule { claim, test: ClaimTest::Equals(value.into()) }]])
    }

    fn caller(source: Source, scopes: &[&str], role: &str) -> Principal {
        let mut identity = Identity::new(source, "ann");
        identity.scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        identity.claims.insert("role".into(), role.into());
        Principal::Known(Arc::new(identity))
    }

    #[test]
    fn who_may() {
        let scopes = Scopes { all: vec!["a".into(), "b".into()], any: vec!["c".into(), "d".into()] };
        let authorization = Authorization {
            deny: Some(("r deny".into(), Deny::Those(sets("role", "guest")))),
            scopes: Some(("r scopes".into(), scopes)),
            claims: Some(("r claims".into(), sets("role", "staff"))),
        };
        let missing = || Fault::new(Kind::Unauthenticated, "TOKEN_MISSING", "");
        let jwt = || Source::Jwt("main".into());
        for (principal, want) in [
            (caller(jwt(), &["a", "b", "d"], "staff"), "OK"),
            (caller(jwt(), &["a", "b", "c", "d"], "staff"), "OK"),
            (caller(jwt(), &["a", "b"], "staff"), "SCOPE_MISSING"),
            (caller(jwt(), &["a", "c"], "staff"), "SCOPE_MISSING"),
            (caller(Source::ApiKey, &[], "staff"), "SCOPE_MISSING"),
            (caller(jwt(), &["a", "b", "d"], "other"), "CLAIM_MISMATCH"),
            (caller(jwt(), &["a", "b", "d"], "guest"), "DENIED"),
            (Principal::Anonymous, "TOKEN_MISSING"),
        ] {
            let result = authorization.check(&principal, missing);
            let got = result.as_ref().map_or_else(Fault::reason, |()| "OK");
            assert_eq!(got, want, "{principal:?}");
            if let Err(mut fault) = result {
                let has_challenge = fault.take_headers().contains_key(header::WWW_AUTHENTICATE);
                let is_jwt = principal.identity().is_some_and(|own| own.source == jwt());
                assert_eq!(has_challenge, want == "SCOPE_MISSING" && is_jwt, "{principal:?}");
            }
        }
        let closed = Authorization { deny: Some(("r".into(), Deny::Everybody)), ..Authorization::default() };
        let fault = closed.check(&Principal::Anonymous, missing).unwrap_err();
        assert_eq!((fault.reason(), fault.rule().map(|rule| &**rule)), ("DENIED", Some("r")));
    }
}
