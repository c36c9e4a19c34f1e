//! Routes: from a method and a path to the value registered for them, and the names of RPCs.
//!
//! This is the `resolve` step of a request: [`Router::lookup`] finds the most specific
//! [`Template`] and where its variables are in the path; [`decode()`] turns those captures, and
//! the parts of a query, into text. [`Selector`] names RPCs in configuration. Nothing here knows
//! what a route leads to.

mod decode;
mod matcher;
mod methods;
mod path;
mod selector;
mod template;
mod trie;

pub use decode::{DecodeError, DecodeErrorKind, Decoding, Plus, decode, decode_query};
pub use matcher::{Captures, Lookup, Match, Router, RouterBuilder, Taken};
pub use methods::{HttpMethod, Methods};
pub use selector::{Selector, SelectorError, SelectorErrorKind, Specificity};
pub(crate) use template::is_identifier;
pub use template::{Segment, Template, TemplateError, TemplateErrorKind, Variable};
