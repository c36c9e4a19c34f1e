//! Around everything: who called what, how it ended, how long it took.
//!
//! The outermost layer makes one [`Observation`] of each call. It becomes one line of the access log and counts in the
//! metrics of its RPC when the answer's last byte is handed to the connection, or when the client is gone.

mod access_log;
mod addresses;
mod identity;
mod limits;
mod metrics;
mod observation;
mod served;
mod settings;
mod tls;
mod trace;
mod upstreams;

pub use access_log::{AccessLog, flush_lines, flush_when_idle};
pub use identity::{IdentityMetrics, TokenCounters};
pub use limits::{GateStats, LimitStats};
pub use metrics::{CallStats, Metrics, Open, Reload};
pub use observation::{Attempts, Observation, Observer, Outcome};
pub use served::{Chosen, ServedBy};
pub use settings::{AccessLogFormat, AccessLogSettings, AccessLogTarget};
pub use tls::TlsMetrics;
pub use trace::{REQUEST_ID, TRACEPARENT, TRACESTATE, request_id, traceparent};
pub use upstreams::{CHECK_RESULTS, MemberStats, RetryResult, UpstreamStats};
