//! The codec: ProtoJSON to protobuf wire bytes and back, in one pass each and without a message object.
//!
//! It stands in the exchange step of a request: the REST (and Connect) translation reads a JSON body into the bytes
//! of the request message, with the fields that path and query set spliced in, and writes the bytes of the reply as
//! JSON, narrowed to what the client selects and indented where it asks. All it knows of the schema are plans, compiled
//! once from a descriptor pool and from the features of what is in editions.
//!
//! Authority: <https://protobuf.dev/programming-guides/json/> and <https://protobuf.dev/programming-guides/encoding/>.

mod base64;
mod bits;
mod careful;
mod compile;
mod declared;
mod digits;
mod error;
mod features;
mod indent;
mod lexer;
mod locate;
mod map_key;
mod member;
mod member_paths;
mod numbers;
mod options;
mod pieces;
mod plan;
mod read;
mod read_scalar;
mod read_splice;
mod required;
mod scan;
mod select;
mod splice;
mod tables;
mod text;
mod wire;
mod wkt;
mod write;
mod write_field;
mod write_scalar;

pub use error::{ReadError, ReadErrorKind, TextError, WireError, WireErrorKind};
pub use features::{Features, FieldFeatures, Presence};
pub use indent::indent;
pub use member_paths::{member_paths, write_mask};
pub use options::{
    JsonStyle, MAX_MESSAGE_DEPTH, MAX_MESSAGE_LEN, MAX_NUMBER_LEN, Overrides, ReadOptions, Unknown,
};
pub use pieces::PieceWriter;
pub use plan::{Field, FieldId, FieldKind, Plan, PlanSet, WellKnown};
pub use read::{read_field, read_message, write_splice};
pub use required::check_complete;
pub use select::{SelectError, Selection};
pub use splice::{Rank, Splice};
pub use text::{takes_text, write_map_key, write_map_text, write_text};
pub use write::write_message;
pub use write_field::write_field;

#[cfg(test)]
mod tests;
