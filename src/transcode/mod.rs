//! Between REST and messages: path, query and body become a request message, a reply's message becomes JSON.
//!
//! The URL's part, and a form, are read first, into leaves that wait; the codec then writes each message once, with the
//! leaves spliced in where they belong (`google/api/http.proto`, AIP-127).

mod binding;
mod elements;
mod input;
mod known;
mod leaves;
mod mask;
mod name;
mod parameters;
mod plain;
mod raw;
mod reply;
mod request;
mod settings;
mod split;
mod system;
mod wishes;

pub use binding::{Binding, BodyRule};
pub use elements::Elements;
pub use input::{Built, Input};
pub use mask::MaskRule;
pub use parameters::wishes_of;
pub use plain::{message_of, write_json};
pub use raw::{HttpBody, is_raw, raw_reply};
pub use reply::{JsonPieces, reply_json, write_reply};
pub use request::{Maker, Url};
pub use settings::{QueryIntoBody, RequestRules, UnexpectedBody};
pub use wishes::Wishes;
