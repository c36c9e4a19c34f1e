//! Messages of schemas in editions: golden tables in both directions, and random messages and schemas
//! beside another implementation that knows editions. The schema of the tables is in tests/data/editions.

mod both;
mod descriptors;
mod golden_read;
mod golden_write;
mod message;
mod random;

use std::sync::LazyLock;

use transom::codec::{JsonStyle, ReadError, WireError};

use both::Both;

static SCHEMA: LazyLock<Both> =
    LazyLock::new(|| Both::new(include_bytes!("../data/editions/editions.binpb")));

fn read(message: &str, json: &str) -> Result<Vec<u8>, ReadError> {
    SCHEMA.read(message, json)
}

fn write_as(message: &str, wire: &[u8], style: JsonStyle) -> Result<String, WireError> {
    SCHEMA.write(message, wire, style)
}

fn write(message: &str, wire: &[u8]) -> Result<String, WireError> {
    SCHEMA.write(message, wire, JsonStyle::default())
}

/// Bytes from hexadecimal digits, with spaces anywhere.
fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(16)).collect();
    digits.chunks(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect()
}
