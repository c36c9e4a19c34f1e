//! gRPC's own services about services: server reflection, asked of the backends and answered to clients, and health.
//!
//! Asking happens at load: what a backend tells becomes a [`crate::schema::Reflected`]. What the gateway answers itself
//! stands where an upstream would: [`Own`] is a gRPC server within the process, called over a pipe, so every protocol
//! and every policy treats its methods like all others.

mod exposed;
mod fetch;
mod health;
mod own;
mod reflection;
mod session;

pub use exposed::Exposed;
pub use fetch::{FetchError, fetch};
pub use own::{Exposes, Own};

/// The messages and servers of `proto/grpc`, made at build time.
#[allow(
    clippy::all,
    clippy::pedantic,
    missing_docs,
    rustdoc::all,
    unreachable_pub,
    reason = "generated, and written for all who include it"
)]
pub(crate) mod proto {
    include!(concat!(env!("OUT_DIR"), "/introspection.rs"));
}
