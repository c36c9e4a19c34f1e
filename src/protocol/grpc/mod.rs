//! Native gRPC: frames, metadata and trailers pass as they are, both ways at once, and nothing is held but what is on its
//! way. Only what belongs to one connection is changed: time-outs are counted down, and addresses stay here.

mod exchange;
mod forward;
mod pass;
mod read;
mod status;

pub use exchange::Exchange;
pub(super) use read::{NAMES, run_read};
pub use status::render;
pub(super) use status::{initial_of, trailers_of};
