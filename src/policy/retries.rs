//! Which calls may be made more than once, and what a rule says of that.
//!
//! A call that a backend may have begun with is tried again only if making it twice does no harm: because the method's
//! `idempotency_level` says so, because a rule does, or because the client has given it a key by which the backend knows a
//! call that it has seen.

use std::sync::Arc;

use http::HeaderMap;

use crate::schema::Idempotency;
use crate::upstream::RetryPolicy;

/// What a rule says of trying again.
#[derive(Debug, Clone)]
pub struct RetryRule {
    pub policy: Arc<RetryPolicy>,
    /// The methods may be called more than once, whatever the schema says.
    pub idempotent: bool,
    /// A call may be made more than once if it has the header `idempotency-key`.
    pub by_key: bool,
}

/// How calls of a method are tried again.
#[derive(Debug, Clone)]
pub struct Retries {
    policy: Arc<RetryPolicy>,
    /// Only those with a key.
    by_key: bool,
}

impl Retries {
    /// What `rule` means for a method; nothing where none of its calls may be made twice.
    #[must_use]
    pub fn of_method(rule: &RetryRule, idempotency: Idempotency, client_streaming: bool) -> Option<Self> {
        let idempotent = match idempotency {
            Idempotency::NoSideEffects | Idempotency::Idempotent => true,
            Idempotency::Unknown => rule.idempotent,
        };
        // What a stream has sent is not kept.
        let may = !client_streaming && (idempotent || rule.by_key);
        may.then(|| Self { policy: Arc::clone(&rule.policy), by_key: !idempotent })
    }

    /// How a call with this metadata is tried again.
    #[must_use]
    pub fn of_call(&self, headers: &HeaderMap) -> Option<Arc<RetryPolicy>> {
        let may = !self.by_key || headers.get("idempotency-key").is_some_and(|key| !key.is_empty());
        may.then(|| Arc::clone(&self.policy))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::{Backoff, Codes};

    #[test]
    fn what_may_be_called_twice() {
        let policy = Arc::new(RetryPolicy {
            attempts: RetryPolicy::DEFAULT_ATTEMPTS,
            codes: Codes::default(),
            per_try_timeout: None,
            backoff: Backoff::default(),
        });
        let plain = HeaderMap::new();
        let [keyed, empty] = ["k-1", ""].map(|key| {
            let mut headers = HeaderMap::new();
            headers.insert("idempotency-key", key.parse().unwrap());
            headers
        });
        use Idempotency::{Idempotent, NoSideEffects, Unknown};
        // Idempotency, `idempotent`, `idempotency_key`, a client stream; without a key, with one, with an empty one.
        for (level, idempotent, by_key, stream, want) in [
            (Unknown, false, false, false, [false, false, false]),
            (Unknown, false, true, false, [false, true, false]),
            (Unknown, true, false, false, [true, true, true]),
            (Unknown, true, true, false, [true, true, true]),
            (Idempotent, false, false, false, [true, true, true]),
            (NoSideEffects, false, true, false, [true, true, true]),
            (NoSideEffects, true, true, true, [false, false, false]),
        ] {
            let rule = RetryRule { policy: Arc::clone(&policy), idempotent, by_key };
            let retries = Retries::of_method(&rule, level, stream);
            let got = [&plain, &keyed, &empty]
                .map(|headers| retries.as_ref().and_then(|retries| retries.of_call(headers)).is_some());
            assert_eq!(got, want, "{level:?} {idempotent} {by_key} {stream}");
        }
    }
}
