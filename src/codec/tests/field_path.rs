//! The value that a policy finds is the one that a parser of all of the message has: prost-reflect is asked.

use proptest::prelude::*;
use prost_reflect::{DynamicMessage, Value};

use super::*;

/// The value by prost-reflect, as text.
fn parsed(name: &str, path: &str, wire: &[u8]) -> Option<String> {
    let mut message = DynamicMessage::decode(POOL.get_message_by_name(name).unwrap(), wire).ok()?;
    let (way, last) =
        path.rsplit_once('.').map_or((Vec::new(), path), |(way, last)| (way.split('.').collect(), last));
    for step in way {
        let Value::Message(inner) = message.get_field_by_name(step).unwrap().into_owned() else {
            panic!("{step}")
        };
        message = inner;
    }
    Some(match message.get_field_by_name(last).unwrap().into_owned() {
        Value::String(text) => text,
        Value::Bool(is) => is.to_string(),
        Value::I32(number) => number.to_string(),
        Value::I64(number) => number.to_string(),
        Value::U32(number) => number.to_string(),
        Value::U64(number) => number.to_string(),
        other => panic!("{other:?}"),
    })
}

fn value(name: &str, path: &str, wire: &[u8]) -> Result<String, WireErrorKind> {
    let path = FieldPath::parse(&plan(name), path).unwrap();
    path.value(wire).map(|value| String::from_utf8(value).unwrap())
}

/// A field of each kind that counts.
const PATHS: [&str; 18] = [
    "a_string",
    "an_int32",
    "an_int64",
    "a_uint32",
    "a_uint64",
    "a_sint32",
    "a_sint64",
    "a_fixed32",
    "a_fixed64",
    "a_sfixed32",
    "a_sfixed64",
    "a_bool",
    "maybe_string",
    "inner.text",
    "inner.inner.text",
    "inner.inner.number",
    "choice_text",
    "choice_inner.inner.text",
];

/// Parts of a message that follow each other in any order.
fn parts() -> Vec<Vec<u8>> {
    let mut parts: Vec<Vec<u8>> = [
        r#"{"aString":"a","anInt32":-1,"anInt64":"-9","aUint32":4000000000,"aUint64":"18446744073709551615"}"#,
        r#"{"aString":"b","aSint32":-3,"aSint64":"-4","aFixed32":5,"aFixed64":"6","aSfixed32":-7,"aSfixed64":"-8"}"#,
        r#"{"aBool":true,"maybeString":"","inner":{"text":"i","inner":{"number":3}}}"#,
        r#"{"inner":{"inner":{"text":"deep"}}}"#,
        r#"{"inner":{"text":"j","many":[1,2]},"strings":["x"]}"#,
        r#"{"choiceText":"c"}"#,
        r#"{"choiceInt":0}"#,
        r#"{"choiceInner":{"inner":{"text":"in a choice"}}}"#,
        r#"{"choiceInner":{"inner":{"number":1}}}"#,
    ]
    .map(wire)
    .to_vec();
    parts.extend([
        // An empty text, a bool and numbers that take more bytes than they need, a longer one than its type, and what
        // nobody knows: a varint, a group with a text of number 14 in it.
        vec![14 << 3 | 2, 0],
        vec![13 << 3, 0x80, 0x80, 0],
        vec![13 << 3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
        vec![3 << 3, 0x81, 0x80, 0x80, 0x80, 0x70],
        vec![0xf0, 0x3e, 1],
        vec![0xf3, 0x3e, 14 << 3 | 2, 1, b'z', 0xf4, 0x3e],
        vec![17 << 3 | 2 & 7, 1, 0],
    ]);
    // The last one has a tag of two bytes.
    let last = parts.len() - 1;
    parts[last] = vec![0x8a, 1, 0];
    parts
}

proptest! {
    #[test]
    fn the_value_is_what_a_parser_has(order in prop::collection::vec(0usize..16, 0..12), cut in 0usize..400) {
        let parts = parts();
        let bytes: Vec<u8> = order.iter().flat_map(|part| parts[*part].clone()).collect();
        for path in PATHS {
            prop_assert_eq!(value("t.All", path, &bytes).ok(), parsed("t.All", path, &bytes), "{}", path);
        }
        // Cut off anywhere, it is refused where it can't be read, and no other value is found.
        let cut = &bytes[..cut.min(bytes.len())];
        for path in PATHS {
            if let (Ok(found), Some(want)) = (value("t.All", path, cut), parsed("t.All", path, cut)) {
                prop_assert_eq!(found, want, "{}", path);
            }
        }
    }
}

#[test]
fn defaults_and_groups_of_proto2() {
    let part = [0x33, 0x08, 5, 0x12, 2, 0x08, 9, 0x34];
    for (path, wire, want) in [
        ("number", &[][..], "-7"),
        ("text", &[], "x"),
        ("zig", &[], "-3"),
        ("part.a", &[], "0"),
        ("part.a", &part, "5"),
        ("part.old.number", &part, "9"),
        ("part.old.text", &part, "x"),
    ] {
        assert_eq!(value("old.Old", path, wire).as_deref(), Ok(want), "{path}");
        assert_eq!(parsed("old.Old", path, wire).as_deref(), Some(want), "{path}");
    }
}

#[test]
fn what_parsers_read_differently_is_refused() {
    for (what, wire, want) in [
        ("a number where a text is", &[14 << 3, 1][..], WireErrorKind::Tag),
        ("a group where a text is", &[14 << 3 | 3, 14 << 3 | 4], WireErrorKind::Tag),
        ("a text that is cut off", &[14 << 3 | 2, 2, b'a'], WireErrorKind::Truncated),
        ("a good text and half a tag", &[14 << 3 | 2, 0, 0x80], WireErrorKind::Truncated),
        ("a tag of zero", &[0, 0], WireErrorKind::Tag),
        ("a tag of too many bits", &[0xf2, 0x80, 0x80, 0x80, 0x80, 1, 1, b'a'], WireErrorKind::Tag),
        ("a group that never ends", &[0xf3, 0x3e, 14 << 3 | 2, 1, b'z'], WireErrorKind::Truncated),
        ("an end of nothing", &[0xf4, 0x3e], WireErrorKind::Group),
    ] {
        assert_eq!(value("t.All", "a_string", wire), Err(want), "{what}");
    }
    // However deep a message is nested, the way to the field is as long as the path.
    let mut deep = Vec::new();
    for _ in 0..5_000 {
        let mut outer = vec![0x1a];
        wire::push_varint(&mut outer, deep.len() as u64);
        outer.extend_from_slice(&deep);
        deep = outer;
    }
    assert_eq!(value("t.Inner", "inner.text", &deep).as_deref(), Ok(""));
    let groups = [0xf3, 0x3e].repeat(5_000);
    assert_eq!(value("t.Inner", "text", &groups), Err(WireErrorKind::Depth));
}

#[test]
fn paths_that_lead_nowhere() {
    for (path, want) in [
        ("nothing", "`t.All` has no field `nothing`"),
        ("inner.nothing", "`t.Inner` has no field `nothing`"),
        ("", "`t.All` has no field ``"),
        ("inner.", "`t.Inner` has no field ``"),
        ("inner", "the field `inner` is a message"),
        ("a_string.x", "the field `a_string` is no message"),
        ("strings", "the field `strings` can have several values"),
        ("inners.text", "the field `inners` can have several values"),
        ("by_string", "the field `by_string` can have several values"),
        ("some_bytes", "is no text, no whole number and no bool"),
        ("a_double", "is no text, no whole number and no bool"),
        ("color", "is no text, no whole number and no bool"),
    ] {
        let said = FieldPath::parse(&all(), path).unwrap_err().to_string();
        assert!(said.contains(want), "{path}: {said}");
    }
    assert_eq!(FieldPath::parse(&all(), "aBool").unwrap().comparable(), Comparable::Bool);
}
