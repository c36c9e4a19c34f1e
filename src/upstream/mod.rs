//! Behind everything: HTTP/2 connections to the backends, and gRPC calls over them.
//!
//! This room knows gRPC alone. It takes a framed request message and metadata, and gives back the reply's message and
//! metadata, or a [`crate::fault::Fault`] that carries the backend's own status or the code that gRPC's tables give for
//! what went wrong underneath.

mod balance;
mod call;
mod cluster;
mod clusters;
mod connection;
mod dial;
mod discover;
mod frame;
mod gate;
mod gather;
mod incoming;
mod keepalive;
mod live;
mod load;
mod low_water;
mod making;
mod member;
mod members;
mod peer;
mod reach;
mod resolve;
mod settings;
mod standing;
mod status;
mod tls;

pub use balance::Balance;
pub use call::{Closed, LargeReply, Replies, Reply, Sender, UnaryReply};
pub use cluster::{Cluster, Outgoing};
pub use clusters::Clusters;
pub use dial::ServePipe;
pub use frame::{BadFrame, Deframer, FRAME_HEAD, FrameWalk, broken, finish_frame, start_frame};
pub use gate::{Entry, Gate, GateSettings, Place, Queued};
pub use incoming::Incoming;
pub use settings::{
    Address, Discovery, Endpoint, Keepalive, Listed, NameSettings, Roots, TlsSettings, UpstreamSettings,
    Wanted,
};
