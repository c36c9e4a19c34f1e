//! What an operator says of how often: limits, their keys, tiers, and where limits are counted.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use http::HeaderName;

/// One limit. It is counted under its settings: another text is another count.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Limit {
    pub measure: Measure,
    /// At least one part.
    pub key: Vec<KeyPart>,
    /// What clients read in `RateLimit-Policy`; printable ASCII.
    pub name: String,
    /// Whether all gateways count it together.
    pub shared: bool,
}

/// How much is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Measure {
    /// At any time, and no more than `burst` at once.
    Rate(Rate),
    /// In each window of the calendar (UTC).
    Quota(Quota),
}

/// So many in so much time, evenly, by GCRA.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rate {
    pub count: NonZeroU32,
    /// Less than an hour.
    pub per: Duration,
    /// How many may come at once. It takes no more than a year to come back.
    pub burst: NonZeroU32,
}

impl Rate {
    /// After which time one more is allowed; rounded up, so that it is never more than was said.
    #[must_use]
    pub fn period(&self) -> Duration {
        let nanos = self.per.as_nanos().div_ceil(u128::from(self.count.get()));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// So many in each window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Quota {
    pub most: NonZeroU32,
    pub window: Window,
}

/// Windows of one length, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Window {
    /// In seconds, an hour at least.
    pub length: u64,
    /// How long before the epoch the first one began, in seconds: weeks begin on a Monday.
    pub before: u64,
}

impl Measure {
    /// The largest cost that can ever pass.
    #[must_use]
    pub fn most(&self) -> NonZeroU32 {
        match self {
            Self::Rate(rate) => rate.burst,
            Self::Quota(quota) => quota.most,
        }
    }
}

/// By what calls are told apart.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum KeyPart {
    /// All calls are counted together.
    Global,
    /// The RPC.
    Method,
    /// The client's address; of IPv6 the first 64 bits, since one client has all of the others.
    Address,
    /// Who calls; those who are nobody are told apart by their address.
    Principal,
    /// The API key; calls without one are counted together.
    ApiKey,
    /// A claim of the caller, by its path; calls without it are counted together.
    Claim(Vec<String>),
    /// A header of the request; requests without it are counted together.
    Header(HeaderName),
    /// A field of the request message, by its path; an unset one is as its default value.
    Field(String),
}

/// A limit in a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RuleLimit {
    Of(Limit),
    /// The limits of the caller's tier.
    Tier {
        by: TierBy,
        /// The tier of callers who have none that exists; one that does.
        otherwise: String,
    },
}

/// What says which tier a caller has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TierBy {
    /// What identity found out: the tier of an API key.
    Principal,
    /// A claim, by its path.
    Claim(Vec<String>),
}

/// A named set of limits. All rules that lead to it count together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tier {
    pub name: String,
    /// At least one.
    pub limits: Vec<Limit>,
}

/// What concerns the limits of the process as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitSettings {
    /// Keys that each limit remembers in this process, at most.
    pub keys: NonZeroUsize,
    pub tiers: Vec<Tier>,
    /// Where limits are counted that gateways share.
    pub redis: Option<RedisSettings>,
}

impl Default for LimitSettings {
    fn default() -> Self {
        Self { keys: Self::DEFAULT_KEYS, tiers: Vec::new(), redis: None }
    }
}

impl LimitSettings {
    pub const DEFAULT_KEYS: NonZeroUsize = NonZeroUsize::new(1_000_000).expect("it is not zero");
}

/// A Redis or Valkey server.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisSettings {
    pub host: String,
    pub port: u16,
    pub user: Option<String>,
    /// Never shown.
    pub password: Option<String>,
    pub database: i64,
    /// Stands before each key.
    pub prefix: String,
    /// How long an answer may take.
    pub timeout: Duration,
    pub on_failure: OnFailure,
}

impl RedisSettings {
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_millis(50);
    pub const DEFAULT_PREFIX: &'static str = "transom";
}

impl std::fmt::Debug for RedisSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisSettings")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("database", &self.database)
            .field("prefix", &self.prefix)
            .field("timeout", &self.timeout)
            .field("on_failure", &self.on_failure)
            .finish_non_exhaustive()
    }
}

/// What becomes of calls under shared limits while the server can't be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnFailure {
    /// This gateway counts for itself.
    #[default]
    Local,
    /// They pass.
    Allow,
    /// They are refused, as a service that is away would.
    Refuse,
}
