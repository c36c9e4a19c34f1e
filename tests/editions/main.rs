//! Messages of schemas in editions: golden tables in both directions, and random messages beside another
//! implementation that knows editions. The schema is tests/data/editions.

mod golden_read;
mod golden_write;
mod random;

use std::sync::{Arc, LazyLock};

use transom::codec::{
    JsonStyle, Plan, PlanSet, ReadError, ReadOptions, Splice, WireError, read_message, write_message,
};
use transom::schema::{self, Schema, SchemaSettings};

const SET: &[u8] = include_bytes!("../data/editions/editions.binpb");

static SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
    let set = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/editions/editions.binpb");
    let settings = SchemaSettings { descriptors: vec![set.to_owned()], ..SchemaSettings::default() };
    schema::load(&settings).unwrap_or_else(|problems| panic!("{problems}")).0
});

static PLANS: LazyLock<Arc<PlanSet>> =
    LazyLock::new(|| PlanSet::compile_with(&SCHEMA.pool, &SCHEMA.features));

fn plan(message: &str) -> Plan {
    PLANS.message(message).unwrap_or_else(|| panic!("no message {message}"))
}

fn read(message: &str, json: &str) -> Result<Vec<u8>, ReadError> {
    let mut out = Vec::new();
    read_message(&plan(message), json.as_bytes(), &Splice::new(), &ReadOptions::default(), &mut out)?;
    Ok(out)
}

fn write_as(message: &str, wire: &[u8], style: JsonStyle) -> Result<String, WireError> {
    let mut out = Vec::new();
    write_message(&plan(message), wire, style, &mut out)?;
    Ok(String::from_utf8(out).expect("JSON is UTF-8"))
}

fn write(message: &str, wire: &[u8]) -> Result<String, WireError> {
    write_as(message, wire, JsonStyle::default())
}

/// Bytes from hexadecimal digits, with spaces anywhere.
fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(16)).collect();
    digits.chunks(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect()
}
