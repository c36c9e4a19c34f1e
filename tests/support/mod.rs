//! What the integration tests are made of: a schema compiled on the spot, backends that record and obey, the gateway
//! in the test's own process, and clients that send exactly the bytes they are told to.
//!
//! Backends and gateway run on threads of their own, so tests are plain functions that may block.

// Each test file uses its own part of it.
#![allow(dead_code, unused_imports, unreachable_pub)]

mod backend;
mod crude;
mod dns;
mod gateway;
mod healthy;
mod hole;
mod host;
pub mod http1;
mod http2;
mod live;
mod plain;
mod program;
mod raw;
mod reason;
mod reflecting;
mod reply;
mod schema;
mod scripted;
mod tls;
mod wait;

pub use backend::{Answer, Backend, Seen};
pub use crude::{Crude, Fate};
pub use dns::{Dns, Said};
pub use gateway::{Choices, Gateway, Gauges, Site, metric, problems_of};
pub use healthy::{Health, Healthy};
pub use hole::Hole;
pub use host::{Host, serve};
pub use http1::{Http1, call, get, post, request};
pub use http2::{Http2, header_map};
pub use live::{Behaviour, Came, Led, Live, Stage, text_message};
pub use plain::{Plain, Ways};
pub use program::{Ended, Transom, program};
pub use raw::{Raw, Trailing};
pub use reason::reason;
pub use reflecting::{Reflecting, Versions};
pub use reply::Reply;
pub use schema::Schema;
pub use scripted::{Scripted, Step, Tls, frame};
pub use tls::{Authority, Signed, TlsChoices, TlsClient, TlsConnection};
pub use wait::{PATIENCE, until};
