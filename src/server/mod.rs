//! The process: listeners and workers, the stack that a request goes through, and what it is judged by.
//!
//! `stack` puts the layers together in request order; the other files are the layers of this room, and what accepts and
//! ends connections around them.

mod authorization;
mod background;
mod bind;
mod compress;
mod cors;
mod drain;
mod edge;
mod fleet;
mod front;
mod gateway;
mod handover;
mod inherited;
mod inputs;
mod io;
mod limiting;
mod listener;
mod live;
mod load;
pub mod notify;
mod observe;
mod own;
mod proxied;
mod refuse;
mod relist;
mod reload;
mod render;
mod renew;
mod resolve;
mod retired;
mod retrying;
mod rollout;
mod room;
mod run;
mod secure;
mod settings;
mod snapshot;
mod sources;
mod stack;
mod state;
mod streams;
mod tls;
mod transport;
mod unknown;
mod unread;
mod upkeep;
mod watch;
mod windows;
mod worker;

pub use drain::{Cutter, DrainSettings};
pub use gateway::Gateway;
pub use inherited::Inherited;
pub use rollout::{Side, compare};
pub use run::{Pulse, Running, start, start_with};
pub use settings::{Limits, ListenerSettings, ReloadSettings, Timeouts};
pub use snapshot::{Snapshot, compile, compile_schema};
pub use sources::load_schema;
