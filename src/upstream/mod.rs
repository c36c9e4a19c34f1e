//! Behind everything: HTTP/2 connections to the backends, and gRPC calls over them.
//!
//! This room knows gRPC alone. It takes a framed request message and metadata, and gives back the reply's message and
//! metadata, or a [`crate::fault::Fault`] that carries the backend's own status or the code that gRPC's tables give for
//! what went wrong underneath.

mod activity;
mod backoff;
mod balance;
mod breaker;
mod budget;
mod call;
mod calls;
mod clock;
mod cluster;
mod clusters;
mod connection;
mod dial;
mod discover;
mod ejection;
mod frame;
mod gate;
mod gather;
mod guard;
mod health;
mod incoming;
mod keepalive;
mod kept;
mod live;
mod load;
mod low_water;
mod making;
mod member;
mod members;
mod peer;
mod reach;
mod report;
mod resilience;
mod resolve;
mod retry;
mod settings;
mod standing;
mod status;
mod timeout;
mod tls;
mod window;

pub use activity::Activity;
pub use backoff::Backoff;
pub use balance::Balance;
pub use breaker::{BreakerSettings, BreakerState, FailureRate};
pub use budget::BudgetSettings;
pub use call::{Closed, LargeReply, Replies, Reply, Sender, UnaryReply};
pub use calls::{Again, Outgoing, within};
pub use cluster::Cluster;
pub use clusters::Clusters;
pub use dial::ServePipe;
pub use ejection::EjectionSettings;
pub use frame::{BadFrame, Deframer, FRAME_HEAD, FrameWalk, broken, finish_frame, start_frame};
pub use gate::{Entry, Gate, GateSettings, Place, Queued};
pub use incoming::Incoming;
pub use report::{EndpointReport, UpstreamReport};
pub use resilience::{EndpointLimits, HealthSettings, Resilience};
pub use retry::{Codes, RetryPolicy};
pub use settings::{
    Address, Discovery, Endpoint, Keepalive, Listed, NameSettings, Roots, TlsSettings, UpstreamSettings,
    Wanted,
};
pub use timeout::put_timeout;
