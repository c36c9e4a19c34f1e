//! Rules: what an operator says of single RPCs, keyed by selector.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use super::address::AddressLists;
use super::authorize::{Deny, Scopes};
use super::claims::ClaimSets;
use super::concurrency::ConcurrencyRule;
use super::cors::Cors;
use super::fields::FieldRule;
use super::identity::Auth;
use super::limits::RuleLimit;
use super::retries::RetryRule;
use super::split::UpstreamRule;
use crate::problem::Excerpt;
use crate::route::Selector;

/// What one selector sets. A key that it leaves out is taken from the next less specific selector.
#[derive(Debug, Clone)]
pub struct Rule {
    pub selector: Selector,
    /// Where the selector stands in the configuration, for what is found out later about it.
    pub excerpt: Option<Excerpt>,
    /// Which upstreams serve the methods.
    pub upstream: Option<UpstreamRule>,
    /// Who may call by address; `Some(None)` for everybody that the listener lets in.
    pub addresses: Option<Option<Arc<AddressLists>>>,
    /// Which pages may call from a browser; `Some(None)` for none but those of the gateway's own origin.
    pub cors: Option<Option<Arc<Cors>>>,
    /// Whether callers have to say who they are.
    pub auth: Option<Auth>,
    /// The scopes that callers have to have; none for any.
    pub scopes: Option<Option<Scopes>>,
    /// What callers' claims have to say; none for anything.
    pub claims: Option<Option<ClaimSets>>,
    /// Whom it is closed to; none for nobody.
    pub deny: Option<Option<Deny>>,
    /// What fields of requests have to be; empty for anything.
    pub fields: Option<Vec<FieldRule>>,
    /// The longest that a unary call may take; [`Rule::NO_TIMEOUT`] for as long as it likes.
    pub timeout: Option<Duration>,
    /// How long a stream may be without a message; [`Rule::NO_TIMEOUT`] for as long as it likes.
    pub idle_timeout: Option<Duration>,
    /// The largest request body, in bytes.
    pub max_body: Option<usize>,
    /// How often the methods may be called; none for as often as anyone likes.
    pub limits: Option<Vec<RuleLimit>>,
    /// What a call takes of each limit.
    pub cost: Option<NonZeroU32>,
    /// How many calls may be under way at once; none for as many as come.
    pub concurrency: Option<Option<ConcurrencyRule>>,
    /// How calls that fail are tried again; `Some(None)` for those alone that no backend has begun with.
    pub retries: Option<Option<RetryRule>>,
    /// The largest message from the backend, in bytes.
    pub max_reply: Option<usize>,
}

impl Rule {
    /// Beyond what any clock can tell, so that no deadline comes of it.
    pub const NO_TIMEOUT: Duration = Duration::MAX;

    /// One that sets nothing.
    #[must_use]
    pub fn new(selector: Selector) -> Self {
        Self {
            selector,
            excerpt: None,
            upstream: None,
            addresses: None,
            cors: None,
            auth: None,
            scopes: None,
            claims: None,
            deny: None,
            fields: None,
            timeout: None,
            idle_timeout: None,
            max_body: None,
            limits: None,
            cost: None,
            concurrency: None,
            retries: None,
            max_reply: None,
        }
    }
}

/// What a listener sets for RPCs that no rule says anything about, and for requests that lead to none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Defaults {
    pub auth: Auth,
}
