//! How often: limits of calls, keyed to their RPC and told apart by who calls, from where, or what for.
//!
//! What rules say is compiled into [`Limits`] of a method. [`RateLimit`] asks all of them at once: either all have room and
//! each gives the call's cost, or none gives anything. Most are counted in this process (`bucket`, `windows`); those that
//! gateways share are counted by a Redis server (`shared`), in one step for all of them.

mod address;
mod bucket;
mod decide;
mod fields;
mod key;
mod late;
mod layer;
mod limiter;
mod set;
mod settings;
mod shared;
mod table;
mod windows;

use std::time::Duration;

pub(super) use key::{Caller, material};
pub(super) use layer::caller;

pub use address::AddressLimits;
pub use late::Late;
pub use layer::{RateLimit, RateLimitFuture};
pub use limiter::Limiters;
pub use set::Limits;
pub use settings::{
    KeyPart, Limit, LimitSettings, Measure, OnFailure, Quota, Rate, RedisSettings, RuleLimit, Tier, TierBy,
    Window,
};
pub use shared::SharedStore;

/// How a limit stands for a key after it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Standing {
    /// What is there still.
    remaining: u32,
    /// After which time it is as new.
    reset: Duration,
    /// None where the call has room; otherwise after which time it would have.
    retry: Option<Duration>,
}
