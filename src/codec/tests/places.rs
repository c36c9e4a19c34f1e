//! Where errors say that they are: the field and the byte, in both directions.

use super::*;

/// JSON of `t.All`, the field at fault, and the bytes up to where it was noticed.
const READ: &[(&str, &str, &str)] = &[
    ("{]", "", "{"),
    (r#"{"anInt32":1.5}"#, "anInt32", r#"{"anInt32":1.5"#),
    (r#"{"anInt32":"x"}"#, "anInt32", r#"{"anInt32":"x""#),
    (r#"{"aString":1}"#, "aString", r#"{"aString":"#),
    (r#"{"inners":[{},{"text":1}]}"#, "inners[1].text", r#"{"inners":[{},{"text":"#),
    (r#"{"inner":{"color":"X"}}"#, "inner.color", r#"{"inner":{"color":"X""#),
    (
        r#"{"byInt32":{"7":{"inner":{"many":[1,"a"]}}}}"#,
        r#"byInt32["7"].inner.many[1]"#,
        r#"{"byInt32":{"7":{"inner":{"many":[1,"a""#,
    ),
    (r#"{"byInt64":{"x":1}}"#, r#"byInt64["x"]"#, r#"{"byInt64":{"x""#),
    (r#"{"nothing":1}"#, "nothing", r#"{"nothing""#),
    (r#"{"inner":{"nothing":1}}"#, "inner.nothing", r#"{"inner":{"nothing""#),
    (r#"{"timestamp":"x"}"#, "timestamp", r#"{"timestamp":"x""#),
    (
        r#"{"timestamps":["1970-01-01T00:00:00Z",7]}"#,
        "timestamps[1]",
        r#"{"timestamps":["1970-01-01T00:00:00Z","#,
    ),
    (r#"{"aStruct":{"a":[1,{"b":x}]}}"#, r#"aStruct["a"][1]["b"]"#, r#"{"aStruct":{"a":[1,{"b":"#),
    (
        r#"{"any":{"@type":"t/t.Inner","number":"x"}}"#,
        "any.number",
        r#"{"any":{"@type":"t/t.Inner","number":"x""#,
    ),
    (r#"{"any":{"@type":"t/none"}}"#, "any.@type", r#"{"any":"#),
    (r#"{"any":{"value":1,"@type":"t/google.protobuf.Duration"}}"#, "any.value", r#"{"any":{"value":"#),
    (r#"{"names":["a",1]}"#, "names[1]", r#"{"names":["a","#),
    (r#"{"int32Value":"x"}"#, "int32Value", r#"{"int32Value":"x""#),
    (r#"{"choiceInt":1,"choiceText":""}"#, "choiceText", r#"{"choiceInt":1,"choiceText":"#),
    ("{} x", "", "{} "),
];

#[test]
fn of_json() {
    for (json, path, before) in READ {
        let error = read(json).expect_err(json);
        let read = json.get(..error.offset).unwrap_or_default();
        assert_eq!((&*error.path, read), (*path, *before), "{json}: {error}");
    }
}

/// A path is for people: keys and unknown names of any length do not come back whole.
#[test]
fn paths_are_short() {
    let long = "é".repeat(1000);
    let table = [
        format!(r#"{{"{long}":1}}"#),
        format!(r#"{{"byString":{{"{long}":1}}}}"#),
        format!(r#"{{"aStruct":{{"{long}":x}}}}"#),
        format!(r#"{{"any":{{"@type":"t/google.protobuf.Empty","{long}":1}}}}"#),
    ];
    for json in table {
        let error = read(&json).unwrap_err();
        assert!(error.path.contains(&"é".repeat(50)), "{error}");
        assert!(error.path.contains('…') && error.path.len() < 150, "{error}");
    }
}

/// `field` of a message, length-delimited.
fn within(field: u32, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    tables::Tag::new(field, wire::LEN).push(&mut out);
    wire::push_bytes(&mut out, bytes);
    out
}

fn joined(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

#[test]
fn of_wire_bytes() {
    use WireErrorKind::*;
    let bad_text = within(1, b"a\xff");
    let number: &[u8] = &[0x08, 0x01];
    // The message, the error, the field, and how many bytes come before.
    let table: Vec<(Vec<u8>, WireErrorKind, &str, usize)> = vec![
        (joined(&[number, &[0x07]]), Tag, "", 2),
        (joined(&[number, &[0x08]]), Truncated, "anInt32", 2),
        (joined(&[number, &[0xff]]), Truncated, "", 2),
        (joined(&[number, &[0x08], &[0xff; 11]]), Varint, "anInt32", 2),
        (joined(&[number, &[0x72, 0x05, b'a']]), Truncated, "aString", 2),
        (joined(&[number, &[0xfc, 0x3f]]), Group, "", 2),
        (joined(&[number, &within(14, b"x\xff")]), Utf8, "aString", 4),
        (joined(&[number, &within(17, &bad_text)]), Utf8, "inner.text", 7),
        (joined(&[&within(37, b""), &within(37, &bad_text)]), Utf8, "inners[1].text", 8),
        (joined(&[&within(34, b"a"), &within(34, b"\xff")]), Utf8, "strings[1]", 7),
        (within(21, &[0x01, 0x80]), Truncated, "int32s", 3),
        (within(61, &joined(&[&within(1, b"k\""), &within(2, b"\xff")])), Utf8, r#"byString["k\""]"#, 9),
        (within(62, &joined(&[&[0x08, 0x07], &within(2, &bad_text)])), Utf8, r#"byInt32["7"].text"#, 9),
        (within(62, &joined(&[&within(2, &bad_text), &[0x08, 0x07]])), Utf8, r#"byInt32["7"].text"#, 7),
        (within(81, &[0x10, 0xff, 0xff, 0xff, 0xff, 0x0f]), Timestamp, "timestamp", 3),
        (within(99, &[0x10, 0xff, 0xff, 0xff, 0xff, 0x0f]), Timestamp, "timestamps[0]", 3),
        (within(83, &within(1, b"a__b")), FieldMask, "mask", 3),
        (within(85, &[0x11, 0, 0, 0, 0, 0, 0, 0xf0, 0x7f]), Value, "value", 3),
        (within(88, &joined(&[&within(1, b"t/t.Inner"), &within(2, &bad_text)])), Utf8, "any", 3),
    ];
    for (wire, kind, path, offset) in table {
        let error = write(&wire).expect_err(path);
        assert_eq!((error.kind, &*error.path, error.offset), (kind, path, offset), "{wire:02x?}");
    }
    let error = write(&joined(&[number, &within(17, &bad_text)])).unwrap_err();
    assert_eq!(error.to_string(), "inner.text: a string is not valid UTF-8 (at byte 7)");
}

/// What is no fault is not told for one: a text that is bad and replaced is never written.
#[test]
fn of_one_field() {
    let inner = all().field_by_name("inner").unwrap();
    let wire = within(17, &within(1, b"\xff"));
    let error = write_field(&all(), inner, &wire, JsonStyle::default(), &mut Vec::new()).unwrap_err();
    assert_eq!((&*error.path, error.offset), ("inner.text", 5));
}
