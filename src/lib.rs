//! transom: a gRPC-first, protocol-translating API gateway.
//!
//! A request becomes an RPC before anything is decided about it, and a failure is one value until the outermost layer
//! renders it. The rooms, in the order in which they import each other (only downwards):
//!
//! | room | job |
//! |---|---|
//! | [`schema`] | descriptors, HTTP rules, and what is wrong with them |
//! | [`codec`] | ProtoJSON and wire bytes, in one pass |
//! | [`route`] | path templates and the matcher, RPC selectors |
//! | [`fault`] | a failure, and the table of what it becomes |
//! | [`problem`] | what is wrong with an operator's input |


pub mod codec;
pub mod fault;
pub mod problem;
pub mod route;
pub mod schema;
