//! transom: a gRPC-first, protocol-translating API gateway.
//!
//! A request becomes an RPC before anything is decided about it, and a failure is one value until the outermost layer
//! renders it. The rooms, in the order in which they import each other (only downwards):
//!
//! | room | job |
//! |---|---|
//! | [`cli`] | the commands |
//! | [`config`] | the configuration file, checked |
//! | [`server`] | listeners, workers, the stack of layers, the snapshot |
//! | [`admin`] | health and metrics |
//! | [`protocol`] | the clients' protocols: requests into messages, answers and faults back |
//! | [`policy`] | what is decided about a call: deadline, size, and how far it got |
//! | [`transcode`] | path, query and body into a message, a message into JSON |
//! | [`introspection`] | gRPC's reflection, asked of backends and answered to clients, and health |
//! | [`upstream`] | HTTP/2 to the backends |
//! | [`schema`] | descriptors, HTTP rules, and what is wrong with them |
//! | [`codec`] | ProtoJSON and wire bytes, in one pass |
//! | [`route`] | path templates and the matcher, RPC selectors |
//! | [`tls`] | certificates, keys and roots from their files |
//! | [`telemetry`] | access log, metrics, trace context |
//! | [`fault`] | a failure, and the table of what it becomes |
//! | [`problem`] | what is wrong with an operator's input |

pub mod admin;
pub mod cli;
pub mod codec;
pub mod config;
pub mod fault;
pub mod introspection;
pub mod policy;
pub mod problem;
pub mod protocol;
pub mod route;
pub mod schema;
pub mod server;
pub mod telemetry;
pub mod tls;
pub mod transcode;
pub mod upstream;

pub use server::Gateway;
