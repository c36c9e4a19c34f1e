//! The codec in both directions.

use prost_reflect::{DynamicMessage, SerializeOptions};
use serde::de::IgnoredAny;
use serde_json::Value as Json;
use transom::codec::{
    JsonStyle, PieceWriter, Plan, ReadErrorKind, ReadOptions, Splice, Unknown, WireError, indent,
    read_message, write_field, write_message,
};

use super::{choice, pieces, same, schema};

/// prost decodes messages of 100 levels; one level of JSON in a `Struct` is three of them.
const DEPTH: u32 = 24;

fn read(
    plan: &Plan,
    json: &[u8],
    unknown: &Unknown,
    depth: u32,
) -> Result<Vec<u8>, transom::codec::ReadError> {
    let mut wire = b"before".to_vec();
    let options = ReadOptions { unknown, depth, ..ReadOptions::default() };
    let result = read_message(plan, json, &Splice::new(), &options, &mut wire);
    let wire = wire.strip_prefix(b"before").expect("what stood there stays").to_vec();
    if let Err(error) = &result {
        assert!(wire.is_empty(), "an error leaves nothing behind");
        assert!(error.offset <= json.len(), "{error}");
    }
    result.map(|()| wire)
}

fn write(plan: &Plan, wire: &[u8], style: JsonStyle) -> Option<Vec<u8>> {
    let mut json = b"before".to_vec();
    let result = write_message(plan, wire, style, &mut json);
    let json = json.strip_prefix(b"before").expect("what stood there stays").to_vec();
    assert!(result.is_ok() || json.is_empty(), "an error leaves nothing behind");
    result.ok().map(|()| json)
}

fn assert_json(json: &[u8]) {
    if let Err(error) = serde_json::from_slice::<IgnoredAny>(json) {
        panic!("no JSON: {error}: {}", json.escape_ascii());
    }
}

/// JSON to wire: what is accepted is JSON; its bytes are a message, the one that prost-reflect reads there, and come
/// back the same from the JSON that is written of them.
pub(super) fn json_reader(data: &[u8]) {
    let (message, data) = choice(data);
    let (flags, json) = choice(data);
    let (plan, descriptor) = schema::message(message);
    let unknown = if flags & 1 == 0 { Unknown::Reject } else { Unknown::Ignore };
    let depth = if flags & 2 == 0 { DEPTH } else { ReadOptions::default().depth };
    let Ok(wire) = read(&plan, json, &unknown, depth) else { return };
    assert_json(json);
    if depth != DEPTH {
        return;
    }
    let ours = DynamicMessage::decode(descriptor.clone(), &wire[..]).expect("the bytes are a message");
    let theirs = DynamicMessage::deserialize(descriptor, &mut serde_json::Deserializer::from_slice(json));
    if let Ok(theirs) = theirs
        && flags & 1 == 0
    {
        assert!(same::messages(&ours, &theirs), "{}\nours {ours}\ntheirs {theirs}", json.escape_ascii());
    }
    let written = write(&plan, &wire, JsonStyle::default()).expect("what was read can be written");
    assert_json(&written);
    let again = read(&plan, &written, &Unknown::Reject, depth).expect("what was written can be read");
    assert_eq!(wire, again, "{}", written.escape_ascii());
}

fn same_json(a: &[u8], b: &[u8]) -> bool {
    match (serde_json::from_slice::<Json>(a), serde_json::from_slice::<Json>(b)) {
        (Ok(a), Ok(b)) => a == b,
        // Too deep for that parser.
        _ => true,
    }
}

fn style(flags: usize) -> JsonStyle {
    JsonStyle {
        defaults: flags & 1 != 0,
        proto_names: flags & 2 != 0,
        enum_numbers: flags & 4 != 0,
        int64_numbers: flags & 8 != 0,
    }
}

/// Wire to JSON: what is written is JSON, in every style, and what prost-reflect writes of the same bytes.
pub(super) fn wire_writer(data: &[u8]) {
    let (message, data) = choice(data);
    let (flags, wire) = choice(data);
    let (plan, descriptor) = schema::message(message);
    let style = style(flags);
    let Some(json) = write(&plan, wire, style) else { return };
    assert_json(&json);
    // prost-reflect checks that the text of proto2 is UTF-8, and knows no closed enums.
    if style.enum_numbers || style.int64_numbers || plan.full_name() == "old.Old" {
        return;
    }
    if same::has_odd_map(&descriptor, wire, 0) {
        return;
    }
    let Ok(theirs) = DynamicMessage::decode(descriptor, wire) else { return };
    let options =
        SerializeOptions::new().use_proto_field_name(style.proto_names).skip_default_fields(!style.defaults);
    let Ok(theirs) = theirs.serialize_with_options(serde_json::value::Serializer, &options) else { return };
    let Ok(ours) = serde_json::from_slice::<Json>(&json) else { return };
    assert!(same::json(&ours, &theirs), "ours {ours}\ntheirs {theirs}");
}

/// Wire to JSON and back: in every style, with or without line breaks, it is read as the same message.
pub(super) fn round_trip(data: &[u8]) {
    let (message, data) = choice(data);
    let (flags, wire) = choice(data);
    let (plan, _) = schema::message(message);
    let Some(json) = write(&plan, wire, style(flags)) else { return };
    let again = match read(&plan, &json, &Unknown::Reject, u32::MAX) {
        Ok(wire) => wire,
        // Contents of unknown type are written as base64, which says nothing to a reader.
        Err(error) if error.kind == ReadErrorKind::BadAny => return,
        Err(error) => panic!("{error}: {}", json.escape_ascii()),
    };
    let rewritten = write(&plan, &again, style(flags)).expect("what was read can be written");
    // Zeros that the first bytes had are defaults in the second, and move behind the other members.
    let same = if style(flags).defaults { same_json(&json, &rewritten) } else { json == rewritten };
    assert!(same, "{}\n{}", json.escape_ascii(), rewritten.escape_ascii());
    let mut indented = Vec::new();
    indent(&json, &mut indented);
    assert_eq!(read(&plan, &indented, &Unknown::Reject, u32::MAX).as_deref(), Ok(&again[..]));
}

/// Wire to JSON in pieces: wherever the bytes are cut, the value is the one that is written of the whole, and what is
/// accepted of the whole is accepted in pieces.
pub(super) fn piece_writer(data: &[u8]) {
    let (message, data) = choice(data);
    let (flags, data) = choice(data);
    let (field, data) = choice(data);
    let (look, data) = choice(data);
    let (seed, wire) = choice(data);
    let (plan, descriptor) = schema::message(message);
    let style = style(flags);
    let field = descriptor
        .fields()
        .nth(field)
        .and_then(|field| plan.field_by_name(field.name()))
        .filter(|_| flags & 16 != 0);
    let head = wire.get(..look).unwrap_or(wire);
    let Some(writer) = PieceWriter::begin(&plan, field, style, wire.len(), head) else { return };
    let mut whole = Vec::new();
    let written = match field {
        Some(field) => write_field(&plan, field, wire, style, &mut whole),
        None => write_message(&plan, wire, style, &mut whole),
    };
    match (in_pieces(writer, &pieces(wire, seed)), written) {
        (Ok(json), Ok(())) => {
            assert_json(&json);
            // Members come in another order, but none comes twice.
            assert!(json.len() == whole.len() && same_json(&json, &whole), "{}", json.escape_ascii());
        }
        // Of a value that another one replaces, the whole may be refused; in pieces only the last one is looked at.
        (Ok(_) | Err(_), Err(_)) => {}
        (Err(error), Ok(())) => panic!("{error}: {}", whole.escape_ascii()),
    }
}

fn in_pieces(mut writer: PieceWriter, pieces: &[&[u8]]) -> Result<Vec<u8>, WireError> {
    let mut json = Vec::new();
    for piece in pieces {
        writer.push(piece, &mut json)?;
    }
    writer.finish(&mut json)?;
    Ok(json)
}
