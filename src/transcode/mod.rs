//! Between REST and messages: path, query and body become a request message, a reply's message becomes JSON.
//!
//! The URL's part is read first, into leaves that wait; the codec then writes each message once, with the leaves spliced
//! in where they belong (`google/api/http.proto`, AIP-127).

mod binding;
mod leaves;
mod mask;
mod name;
mod parameters;
mod reply;
mod request;
mod settings;
mod split;
mod system;
mod wishes;

pub use binding::{Binding, BodyRule};
pub use mask::MaskRule;
pub use reply::reply_json;
pub use request::{Built, Input, request_message};
pub use settings::{QueryIntoBody, RequestRules, UnexpectedBody};
pub use wishes::Wishes;
