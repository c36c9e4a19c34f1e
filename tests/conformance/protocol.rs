//! What the runner and a testee say to each other over a pipe: each message behind its length in four bytes, little
//! end first. The field numbers are those of conformance/conformance.proto.

use std::io::{self, Read, Write};

use prost::{Enumeration, Message, Oneof};

/// One test.
#[derive(Clone, PartialEq, Message)]
pub struct Request {
    #[prost(oneof = "Input", tags = "1, 2, 7, 8")]
    pub input: Option<Input>,
    #[prost(enumeration = "Format", tag = "3")]
    pub output: i32,
    /// The full name of the payload's type.
    #[prost(string, tag = "4")]
    pub message_type: String,
    #[prost(enumeration = "Category", tag = "5")]
    pub category: i32,
}

#[derive(Clone, PartialEq, Oneof)]
pub enum Input {
    #[prost(bytes, tag = "1")]
    Protobuf(Vec<u8>),
    #[prost(string, tag = "2")]
    Json(String),
    #[prost(string, tag = "7")]
    Jspb(String),
    #[prost(string, tag = "8")]
    Text(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Enumeration)]
#[repr(i32)]
pub enum Format {
    Unspecified = 0,
    Protobuf = 1,
    Json = 2,
    Jspb = 3,
    Text = 4,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Enumeration)]
#[repr(i32)]
pub enum Category {
    Unspecified = 0,
    Binary = 1,
    Json = 2,
    JsonIgnoreUnknown = 3,
    Jspb = 4,
    Text = 5,
}

/// What came of it.
#[derive(Clone, PartialEq, Message)]
pub struct Response {
    #[prost(oneof = "Outcome", tags = "1, 2, 3, 4, 5, 6")]
    pub outcome: Option<Outcome>,
}

#[derive(Clone, PartialEq, Oneof)]
pub enum Outcome {
    /// The payload was refused.
    #[prost(string, tag = "1")]
    ParseError(String),
    /// It was read, but has no form in the wanted format.
    #[prost(string, tag = "6")]
    SerializeError(String),
    /// Anything else went wrong: never what a test wants.
    #[prost(string, tag = "2")]
    RuntimeError(String),
    #[prost(bytes, tag = "3")]
    Protobuf(Vec<u8>),
    #[prost(string, tag = "4")]
    Json(String),
    /// The testee does not do this.
    #[prost(string, tag = "5")]
    Skipped(String),
}

/// The next request; none where the runner has hung up.
pub fn receive(from: &mut impl Read) -> io::Result<Option<Request>> {
    let mut length = [0; 4];
    match from.read_exact(&mut length) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let mut message = vec![0; u32::from_le_bytes(length) as usize];
    from.read_exact(&mut message)?;
    Ok(Some(Request::decode(message.as_slice())?))
}

pub fn send(to: &mut impl Write, response: &Response) -> io::Result<()> {
    let message = response.encode_to_vec();
    let length = u32::try_from(message.len()).map_err(io::Error::other)?;
    to.write_all(&length.to_le_bytes())?;
    to.write_all(&message)?;
    to.flush()
}
