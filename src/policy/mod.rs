//! Between resolving and the body: what is decided about a call, keyed to its RPC.
//!
//! Every policy is a tower layer over `Service<Call>` and fails with a [`crate::fault::Fault`]. How far a call got is
//! told by its type: [`Call`] has come in, [`Admitted`] has passed every policy, [`Cleared`] has passed the rules about
//! its message too. Only the innermost layer makes an `Admitted`, only `vet` a `Cleared`, and only a `Cleared` opens
//! the way to an upstream.

pub mod address;
mod admit;
mod authorize;
mod call;
mod check;
mod claims;
mod concurrency;
mod cors;
mod deadline;
mod fields;
pub mod identity;
mod limits;
mod origin;
mod recheck;
mod retries;
mod security_headers;
mod settings;
mod size;
mod split;
#[cfg(test)]
mod tests;
mod vet;

pub use address::ClientAddress;
pub use admit::{Admit, Admitted};
pub use authorize::{Authorization, Authorize, Deny, Scopes};
pub use call::{Bound, Call, Codec, Connect, ConnectForm, Method, Protocol, Resolved, Way, WebForm};
pub use check::{Check, Checked, CheckedService};
pub use claims::{ClaimPath, ClaimRule, ClaimSets, ClaimTest, Pattern, Template};
pub use concurrency::{Concurrency, ConcurrencyFuture, ConcurrencyRule, Gates, Held};
pub use cors::{Asked, Cors, CorsSettings, Origin, Origins, Page, is_own_page, is_preflight};
pub use deadline::{Deadline, DeadlineFuture, TimeLimit};
pub(crate) use deadline::{cancelled_in_time, deadline_passed};
pub use fields::{FieldRule, FieldRules, FieldTest};
pub use identity::{Auth, Authenticate, Authenticator, Principal};
pub use limits::{
    AddressLimits, KeyPart, Late, Limit, LimitSettings, Limiters, Limits, Measure, OnFailure, Quota, Rate,
    RateLimit, RateLimitFuture, RedisSettings, RuleLimit, SharedStore, Tier, TierBy, Window,
};
pub use origin::OriginCheck;
pub use recheck::{InForce, KeepWatch, Recheck, Rechecks};
pub use retries::{Retries, RetryRule};
pub use security_headers::{SecurityHeaders, Wins};
pub use settings::{Defaults, Rule};
pub use size::{BodySize, BodySizeFuture};
pub use split::{Split, SplitRule, Stick, Target, UpstreamRule, When};
pub use vet::Cleared;

pub use crate::upstream::put_timeout;
