//! Every kind of field, in lists of 10,000 elements, both ways: no type may be a cliff.

use transom::codec::{JsonStyle, ReadOptions, Splice, read_message, write_message};

use super::measure::{best, each};
use super::schema::plan;

const COUNT: usize = 10_000;

/// A kind: its name, the field of `kinds.Kinds`, and one element in JSON.
type Kind = (&'static str, &'static str, fn(usize) -> String);

/// Numbers of every length, always the same ones.
fn mixed(index: usize) -> u64 {
    let mixed = (index as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed >> (mixed % 60)
}

fn text(index: usize, len: usize, alphabet: &str) -> String {
    let letters: Vec<char> = alphabet.chars().collect();
    (0..len).map(|at| letters[(mixed(index + at) % letters.len() as u64) as usize]).collect()
}

const LETTERS: &str = "abcdefghijklmnopqrstuvwxyz ABCDEFGHIJ0123456789";

pub(super) const KINDS: &[Kind] = &[
    ("int32", "i32s", |i| (mixed(i) as i32).to_string()),
    ("uint64, quoted", "u64s", |i| format!("\"{}\"", mixed(i))),
    ("sint64, quoted, unpacked", "loose", |i| format!("\"{}\"", mixed(i) as i64)),
    ("fixed32", "f32s", |i| (mixed(i) as u32).to_string()),
    ("float", "floats", |i| format!("{}", mixed(i) as u16 as f32 / 64.0)),
    ("double, short", "doubles", |i| format!("{}", mixed(i) as u16 as f64 / 64.0)),
    ("double, 17 digits", "doubles", |i| format!("{}", mixed(i) as f64 / 7e10)),
    ("bool", "yeses", |i| (i % 3 == 0).to_string()),
    ("enum", "hues", |i| ["\"RED\"", "\"GREEN\"", "\"FAR\""][i % 3].to_owned()),
    ("string, 8 bytes", "texts", |i| format!("\"{}\"", text(i, 8, LETTERS))),
    ("string, 64 bytes", "texts", |i| format!("\"{}\"", text(i, 64, LETTERS))),
    ("string, 1,000 bytes", "texts", |i| format!("\"{}\"", text(i, 1000, LETTERS))),
    ("string, 64 bytes, one escape", "texts", |i| {
        format!("\"{}\\n{}\"", text(i, 32, LETTERS), text(i, 31, LETTERS))
    }),
    ("string, 64 characters, not ASCII", "texts", |i| format!("\"{}\"", text(i, 64, "äöüßéèñ中文字абвгд"))),
    ("bytes, 8", "raws", |i| {
        format!("\"{}=\"", text(i, 11, "abcdefABCDEF0123456789+/").replace('=', "a")[..10].to_owned() + "E")
    }),
    ("bytes, 96", "raws", |i| format!("\"{}\"", text(i, 128, "abcdefABCDEF0123456789+/"))),
    ("message, empty", "leaves", |_| "{}".to_owned()),
    ("message, 3 fields", "leaves", |i| {
        format!(r#"{{"text":"{}","number":{},"hue":"RED"}}"#, text(i, 8, LETTERS), i)
    }),
    ("message in message", "leaves", |i| format!(r#"{{"leaf":{{"leaf":{{"number":{}}}}}}}"#, i + 1)),
    ("map, string to string", "byText", |i| format!("\"{i}\":\"{}\"", text(i, 8, LETTERS))),
    ("map, int32 to message", "byI32", |i| format!("\"{i}\":{{\"number\":{}}}", i + 1)),
    ("Timestamp", "ats", |i| {
        format!("\"20{:02}-0{}-1{}T08:30:0{}Z\"", i % 90 + 10, i % 9 + 1, i % 10, i % 10)
    }),
    ("Timestamp, fraction", "ats", |i| {
        format!("\"20{:02}-0{}-1{}T08:30:00.{:03}Z\"", i % 90 + 10, i % 9 + 1, i % 10, i % 900 + 1)
    }),
    ("Any, message", "anys", |i| {
        format!(r#"{{"@type":"type.googleapis.com/shapes.Leaf","number":{}}}"#, i + 1)
    }),
    ("Any, Duration", "anys", |i| {
        format!(r#"{{"@type":"type.googleapis.com/google.protobuf.Duration","value":"{i}s"}}"#)
    }),
    ("Value, number", "list", |i| format!("{}", mixed(i) as u16 as f64 / 64.0)),
    ("Value, string", "list", |i| format!("\"{}\"", text(i, 8, LETTERS))),
    ("Value, object", "list", |i| format!(r#"{{"a":{i},"b":true}}"#)),
    ("Struct, member", "object", |i| format!("\"{i}\":null")),
    ("FieldMask, path", "mask", |i| format!("a{}.bC", text(i, 4, "abcdef"))),
    ("Duration", "spans", |i| format!("\"{i}.5s\"")),
    ("Int32Value", "i32Values", |i| (i + 1).to_string()),
    ("StringValue", "textValues", |i| format!("\"{}\"", text(i, 8, LETTERS))),
    ("group", "parts", |i| format!(r#"{{"b":{}}}"#, i + 1)),
];

/// The message that has all elements of a kind, as JSON.
pub(super) fn json(&(_, field, element): &Kind) -> String {
    let elements: Vec<String> = (0..COUNT).map(element).collect();
    let elements = elements.join(",");
    match field {
        "byText" | "byI32" | "object" => format!("{{\"{field}\":{{{elements}}}}}"),
        "mask" => format!("{{\"{field}\":\"{elements}\"}}"),
        _ => format!("{{\"{field}\":[{elements}]}}"),
    }
}

/// The message that has the field.
pub(super) fn message(field: &str) -> &'static str {
    if field == "parts" { "old.Old" } else { "shapes.Shape" }
}

pub(super) fn table() {
    println!("| kind | bytes of JSON | in: ns each | GB/s | out: ns each | GB/s |");
    println!("|---|---:|---:|---:|---:|---:|");
    for kind in KINDS {
        let json = json(kind);
        let plan = plan(message(kind.1));
        let options = ReadOptions::default();
        let mut wire = Vec::new();
        let mut out = Vec::with_capacity(json.len() * 2);
        let reading = best(|| {
            wire.clear();
            read_message(&plan, json.as_bytes(), &Splice::new(), &options, &mut wire)
                .unwrap_or_else(|error| panic!("{}: {error}", kind.0));
        });
        let writing = best(|| {
            out.clear();
            write_message(&plan, &wire, JsonStyle::default(), &mut out).expect("it was read");
        });
        println!(
            "| {} | {:.1} | {:.1} | {:.2} | {:.1} | {:.2} |",
            kind.0,
            json.len() as f64 / COUNT as f64,
            each(reading, COUNT),
            1.0 / each(reading, json.len()),
            each(writing, COUNT),
            1.0 / each(writing, out.len()),
        );
    }
}
