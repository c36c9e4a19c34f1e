//! The codec: ProtoJSON to protobuf wire bytes and back, in one pass each and without a message object.
//!
//! It stands in the exchange step of a request: the REST (and Connect) translation reads a JSON body into the bytes
//! of the request message, with the fields that path and query set spliced in, and writes the bytes of the reply as
//! JSON, narrowed to what the client selects and indented where it asks. All it knows of the schema are plans, compiled
//! once from a descriptor pool and from the features of what is in editions; it knows nothing of the gateway, and is of
//! use without it.
//!
//! Authority: <https://protobuf.dev/programming-guides/json/> and <https://protobuf.dev/programming-guides/encoding/>.
//!
//! # From descriptors to JSON and back
//! A [`PlanSet`] is compiled from all messages of a pool, and a [`Plan`] is a handle on one of them. Both are made once,
//! are cheap to clone, and can be shared by threads.
//!
//! ```
//! use prost_reflect::DescriptorPool;
//! use transom::codec::{JsonStyle, PlanSet, ReadOptions, Splice, read_message, write_message};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let descriptors = std::fs::read("descriptors/bookstore.binpb")?;
//! let plans = PlanSet::compile(&DescriptorPool::decode(&descriptors[..])?);
//! let book = plans.message("bookstore.v1.Book").ok_or("no such message")?;
//!
//! let json = br#"{"title": "Tides", "pageCount": 212, "publishTime": "2019-04-02T00:00:00Z"}"#;
//! let mut wire = Vec::new();
//! read_message(&book, json, &Splice::new(), &ReadOptions::default(), &mut wire)?;
//!
//! let mut out = Vec::new();
//! write_message(&book, &wire, JsonStyle::default(), &mut out)?;
//! assert_eq!(out, br#"{"title":"Tides","pageCount":212,"publishTime":"2019-04-02T00:00:00Z"}"#);
//!
//! let style = JsonStyle { proto_names: true, ..JsonStyle::default() };
//! out.clear();
//! write_message(&book, &wire, style, &mut out)?;
//! assert_eq!(out, br#"{"title":"Tides","page_count":212,"publish_time":"2019-04-02T00:00:00Z"}"#);
//! # Ok(())
//! # }
//! ```
//!
//! # Errors
//! A [`ReadError`] names the field by its JSON path and gives the byte of the text at which the trouble was noticed; a
//! [`WireError`] does the same for wire bytes. After an error the output buffer is as it was.
//!
//! ```
//! # use prost_reflect::DescriptorPool;
//! # use transom::codec::{JsonStyle, PlanSet, ReadErrorKind, ReadOptions, Splice, read_message, write_message};
//! # let descriptors = std::fs::read("descriptors/bookstore.binpb").unwrap();
//! # let plans = PlanSet::compile(&DescriptorPool::decode(&descriptors[..]).unwrap());
//! # let book = plans.message("bookstore.v1.Book").unwrap();
//! # let mut out = Vec::new();
//! let json = br#"{"chapters": {"1": {"title": "Ebb"}, "2": {"title": 2}}}"#;
//! let error = read_message(&book, json, &Splice::new(), &ReadOptions::default(), &mut out).unwrap_err();
//! assert_eq!(error.kind, ReadErrorKind::WrongType);
//! assert_eq!(error.path, r#"chapters["2"].title"#);
//! assert_eq!(&json[error.offset..], b"2}}}");
//!
//! // The field `title` says that five bytes follow, and has two.
//! let error = write_message(&book, &[0x12, 5, b'T', b'i'], JsonStyle::default(), &mut out).unwrap_err();
//! assert_eq!(error.to_string(), "title: the message ends within a field (at byte 0)");
//! assert!(out.is_empty());
//! ```
//!
//! # Limits
//! [`ReadOptions`] limits how deep JSON may be nested and how long a text and a string may be; a number may have
//! [`MAX_NUMBER_LEN`] characters. Messages on the wire may be nested [`MAX_MESSAGE_DEPTH`] deep and have
//! [`MAX_MESSAGE_LEN`] bytes. No input takes more time or memory than a constant for each of its bytes; what that is for
//! inputs that mean harm is measured by `cargo bench --bench tables -- hostile`.

mod base64;
mod bits;
mod careful;
mod compile;
mod declared;
mod digits;
mod error;
mod features;
mod field_path;
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

pub(crate) use base64::decode as decode_base64;
pub use error::{ReadError, ReadErrorKind, TextError, WireError, WireErrorKind};
pub use features::{Features, FieldFeatures, Presence};
pub use field_path::{Comparable, FieldPath, FieldPathError};
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
