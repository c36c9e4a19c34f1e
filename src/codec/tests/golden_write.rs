//! Wire to JSON, case by case.

use super::*;
use WireErrorKind::*;

/// Wire bytes of `t.All` that no JSON of ours would make, and what they read as.
const GOOD: &[(&[u8], &str)] = &[
    (&[], "{}"),
    // an_int32
    (&[0x08, 0x01], r#"{"anInt32":1}"#),
    (&[0x08, 0x00], "{}"),
    (&[0x08, 0x01, 0x08, 0x02], r#"{"anInt32":2}"#),
    (&[0x08, 0x01, 0x08, 0x00], "{}"),
    // zero in more bytes than it needs, zero but for bits that are cut, and what has those bits to itself
    (&[0x08, 0x80, 0x80, 0x00], "{}"),
    (&[0x08, 0x80, 0x80, 0x80, 0x80, 0x10], "{}"),
    (&[0x10, 0x80, 0x80, 0x80, 0x80, 0x10], r#"{"anInt64":"4294967296"}"#),
    (&[0x72, 0x80, 0x00, 0x80, 0x01, 0x80, 0x00], "{}"),
    (&[0x08, 0x01, 0x08, 0x80, 0x00], "{}"),
    // more than 32 bits are cut
    (&[0x08, 0x81, 0x80, 0x80, 0x80, 0x10], r#"{"anInt32":1}"#),
    (&[0x08, 0xff, 0xff, 0xff, 0xff, 0x0f], r#"{"anInt32":-1}"#),
    // a wrong wire type is an unknown field
    (&[0x0d, 1, 0, 0, 0], "{}"),
    (&[0x0a, 0x01, 0x01], "{}"),
    // unknown fields of all types, a group among them
    (
        &[
            0xf8, 0x3f, 0x01, 0xf9, 0x3f, 0, 0, 0, 0, 0, 0, 0, 0, 0xfa, 0x3f, 0x01, 0x61, 0xfb, 0x3f, 0x08,
            0x01, 0xfc, 0x3f, 0xfd, 0x3f, 0, 0, 0, 0, 0x08, 0x01,
        ],
        r#"{"anInt32":1}"#,
    ),
    // a_bool from a long varint
    (&[0x68, 0x80, 0x02], r#"{"aBool":true}"#),
    // color: unknown and negative
    (&[0x80, 0x01, 0x63], r#"{"color":99}"#),
    (&[0x80, 0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], r#"{"color":"NEGATIVE"}"#),
    // inner, split: text, then number
    (
        &[0x8a, 0x01, 0x03, 0x0a, 0x01, 0x61, 0x8a, 0x01, 0x02, 0x10, 0x05],
        r#"{"inner":{"text":"a","number":5}}"#,
    ),
    (&[0x8a, 0x01, 0x00], r#"{"inner":{}}"#),
    // int32s: packed, unpacked, both, in pieces, empty
    (&[0xaa, 0x01, 0x02, 0x01, 0x02], r#"{"int32s":[1,2]}"#),
    (&[0xa8, 0x01, 0x01, 0xa8, 0x01, 0x02], r#"{"int32s":[1,2]}"#),
    (&[0xa8, 0x01, 0x01, 0xaa, 0x01, 0x02, 0x02, 0x03, 0xa8, 0x01, 0x04], r#"{"int32s":[1,2,3,4]}"#),
    (&[0xa8, 0x01, 0x01, 0x08, 0x07, 0xa8, 0x01, 0x02], r#"{"anInt32":7,"int32s":[1,2]}"#),
    (&[0xaa, 0x01, 0x00], "{}"),
    (&[0xaa, 0x01, 0x00, 0x08, 0x01, 0xaa, 0x01, 0x00], r#"{"anInt32":1}"#),
    // loose (declared unpacked), packed all the same
    (&[0xb2, 0x02, 0x02, 0x01, 0x02], r#"{"loose":[1,2]}"#),
    // choice: an int, then text, then the int again
    (&[0x98, 0x03, 0x01, 0xa2, 0x03, 0x01, 0x61], r#"{"choiceText":"a"}"#),
    (&[0x98, 0x03, 0x01, 0xa2, 0x03, 0x01, 0x61, 0x98, 0x03, 0x02], r#"{"choiceInt":2}"#),
    (&[0x98, 0x03, 0x00], r#"{"choiceInt":0}"#),
    // choice_inner: set, cleared by the int, set again: what was before does not merge
    (
        &[0xaa, 0x03, 0x03, 0x0a, 0x01, 0x61, 0x98, 0x03, 0x01, 0xaa, 0x03, 0x02, 0x10, 0x05],
        r#"{"choiceInner":{"number":5}}"#,
    ),
    // null_value and value.null_value: any number is null
    (&[0xb8, 0x05, 0x04, 0xaa, 0x05, 0x02, 0x08, 0x04], r#"{"nullValue":null,"value":null}"#),
    // by_string: no key, no value, neither, value first, an unknown field, a key twice
    (&[0xea, 0x03, 0x03, 0x12, 0x01, 0x62], r#"{"byString":{"":"b"}}"#),
    (&[0xea, 0x03, 0x03, 0x0a, 0x01, 0x61], r#"{"byString":{"a":""}}"#),
    (&[0xea, 0x03, 0x00], r#"{"byString":{"":""}}"#),
    (&[0xea, 0x03, 0x06, 0x12, 0x01, 0x62, 0x0a, 0x01, 0x61], r#"{"byString":{"a":"b"}}"#),
    (&[0xea, 0x03, 0x08, 0x0a, 0x01, 0x61, 0x18, 0x05, 0x12, 0x01, 0x62], r#"{"byString":{"a":"b"}}"#),
    (
        &[0xea, 0x03, 0x03, 0x0a, 0x01, 0x61, 0xea, 0x03, 0x06, 0x0a, 0x01, 0x61, 0x12, 0x01, 0x62],
        r#"{"byString":{"a":"b"}}"#,
    ),
    (&[0xea, 0x03, 0x09, 0x0a, 0x01, 0x61, 0x0a, 0x01, 0x63, 0x12, 0x01, 0x62], r#"{"byString":{"c":"b"}}"#),
    // by_int32: no value, and a value that is split
    (&[0xf2, 0x03, 0x02, 0x08, 0x05], r#"{"byInt32":{"5":{}}}"#),
    (
        &[0xf2, 0x03, 0x0b, 0x08, 0x05, 0x12, 0x03, 0x0a, 0x01, 0x61, 0x12, 0x02, 0x10, 0x07],
        r#"{"byInt32":{"5":{"text":"a","number":7}}}"#,
    ),
    // text of one NUL is not empty
    (&[0x72, 0x01, 0x00], r#"{"aString":"\u0000"}"#),
    (&[0x72, 0x01, 0x00, 0x72, 0x01, 0x00], r#"{"aString":"\u0000"}"#),
];

const BAD: &[(&[u8], WireErrorKind)] = &[
    (&[0x08], Truncated),
    (&[0x08, 0x80], Truncated),
    (&[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], Varint),
    (&[0x72, 0x02, 0x61], Truncated),
    (&[0x72, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], Truncated),
    (&[0x3d, 0x00], Truncated),
    (&[0x00, 0x00], Tag),
    (&[0x0e, 0x00], Tag),
    (&[0x0c], Group),
    (&[0xfb, 0x3f], Truncated),
    (&[0x72, 0x01, 0xff], Utf8),
    (&[0xea, 0x03, 0x03, 0x0a, 0x01, 0xff], Utf8),
    (&[0x8a, 0x01, 0x02, 0x10, 0x80], Truncated),
];

#[test]
fn good() {
    for (wire, expected) in GOOD {
        assert_eq!(write(wire).as_deref(), Ok(*expected), "{wire:02x?}");
    }
}

#[test]
fn bad() {
    for (wire, kind) in BAD {
        assert_eq!(write(wire).map_err(|error| error.kind), Err(*kind), "{wire:02x?}");
    }
}

#[test]
fn truncations_never_panic() {
    for (wire, _) in GOOD {
        for cut in 0..wire.len() {
            let _ = write(&wire[..cut]);
        }
    }
}

/// JSON that comes back as it was.
#[test]
fn there_and_back() {
    let table = [
        r#"{"anInt32":-1,"anInt64":"-1","aUint32":4294967295,"aUint64":"18446744073709551615"}"#,
        r#"{"aFloat":1.1,"aDouble":0.1,"doubles":[1,-1.5,1e+300,5e-324,1e+21,0]}"#,
        r#"{"floats":["NaN","Infinity","-Infinity",3.4028235e+38]}"#,
        r#"{"aString":"a\"b\\c\n\r\t\b\f\u0001é😀/","strings":["","x"]}"#,
        r#"{"someBytes":"+/8=","color":"GREEN","colors":["RED","COLOR_NONE",9]}"#,
        r#"{"byInt32":{"-1":{},"2":{"text":"x"}},"byBool":{"false":"a","true":"b"}}"#,
        r#"{"byInt64":{"-9223372036854775808":"1"},"byUint64":{"18446744073709551615":0.5}}"#,
        r#"{"maybeInt32":0,"maybeString":"","maybeColor":"COLOR_NONE"}"#,
        r#"{"choiceNull":null}"#,
        r#"{"other \"name\"":"x","farAway":1}"#,
    ];
    for json in table {
        let json = json.replace("e+", "e");
        let written = write(&wire(&json)).unwrap().replace("e+", "e");
        assert_eq!(written, json);
    }
}

#[test]
fn styles() {
    let wire = wire(r#"{"anInt64":"5","color":"RED","byInt64":{"1":"2"}}"#);
    let style = JsonStyle { proto_names: true, enum_numbers: true, int64_numbers: true, defaults: false };
    let expected = r#"{"an_int64":5,"color":1,"by_int64":{"1":2}}"#;
    assert_eq!(write_as("t.All", &wire, style).as_deref(), Ok(expected));

    let style = JsonStyle { defaults: true, ..JsonStyle::default() };
    let table: [(&[u8], &str); 4] = [
        (&[], r#"{"text":"","number":0,"many":[],"color":"COLOR_NONE"}"#),
        (&[0x10, 0x00], r#"{"number":0,"text":"","many":[],"color":"COLOR_NONE"}"#),
        (&[0x22, 0x00], r#"{"many":[],"text":"","number":0,"color":"COLOR_NONE"}"#),
        // split, so in the order of numbers
        (&[0x10, 0x05, 0x10, 0x00], r#"{"number":0,"text":"","many":[],"color":"COLOR_NONE"}"#),
    ];
    for (wire, expected) in table {
        assert_eq!(write_as("t.Inner", wire, style).as_deref(), Ok(expected), "{wire:02x?}");
    }
    let all = write_as("t.All", &[], style).unwrap();
    assert!(all.contains(r#""anInt64":"0","aUint32":0"#) && all.contains(r#""byString":{}"#), "{all}");
    assert!(!all.contains("maybe") && !all.contains("choice") && !all.contains("inner\""), "{all}");
    assert!(!all.contains("timestamp\""), "{all}");
}

#[test]
fn one_field() {
    let filled = wire(
        r#"{"inner":{"number":1},"int32s":[1],"byString":{"a":"b"},"aString":"x","timestamp":"1970-01-01T00:00:01Z"}"#,
    );
    let split: &[u8] = &[0x8a, 0x01, 0x03, 0x0a, 0x01, 0x61, 0x08, 0x01, 0x8a, 0x01, 0x02, 0x10, 0x05];
    let table: [(&str, &[u8], &str); 14] = [
        ("inner", &filled, r#"{"number":1}"#),
        ("int32s", &filled, "[1]"),
        ("byString", &filled, r#"{"a":"b"}"#),
        ("aString", &filled, r#""x""#),
        ("timestamp", &filled, r#""1970-01-01T00:00:01Z""#),
        ("inner", split, r#"{"text":"a","number":5}"#),
        ("inner", &[], "{}"),
        ("int32s", &[], "[]"),
        ("byString", &[], "{}"),
        ("aString", &[], r#""""#),
        ("anInt64", &[], r#""0""#),
        ("color", &[], r#""COLOR_NONE""#),
        ("timestamp", &[], "null"),
        ("maybeInt32", &[], "0"),
    ];
    for (field, wire, expected) in table {
        let id = all().field_by_name(field).unwrap();
        let mut out = Vec::new();
        write_field(&all(), id, wire, JsonStyle::default(), &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), expected, "{field}");
    }
    let old = plan("old.Old");
    for (field, expected) in [
        ("number", "-7"),
        ("text", r#""x""#),
        ("zig", r#""-3""#),
        ("half", "0.5"),
        ("raw", r#""YWI=""#),
        ("size", r#""SMALL""#),
    ] {
        let mut out = Vec::new();
        write_field(&old, old.field_by_name(field).unwrap(), &[], JsonStyle::default(), &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), expected, "{field}");
    }
}

#[test]
fn proto2() {
    let table: [(&[u8], &str); 9] = [
        (&[0x08, 0x00], r#"{"number":0}"#),
        // unknown values of a closed enum are not there
        (&[0x18, 0x07], "{}"),
        (&[0x18, 0x05, 0x18, 0x07], r#"{"size":"LARGE"}"#),
        (&[0x20, 0x01, 0x20, 0x07, 0x20, 0x05], r#"{"sizes":["SMALL","LARGE"]}"#),
        (&[0x20, 0x07], "{}"),
        (&[0x2a, 0x05, 0x0a, 0x01, 0x61, 0x10, 0x07], "{}"),
        // groups
        (
            &[0x33, 0x08, 0x01, 0x12, 0x04, 0x33, 0x08, 0x02, 0x34, 0x34],
            r#"{"part":{"a":1,"old":{"part":{"a":2}}}}"#,
        ),
        (
            &[0x3b, 0x08, 0x01, 0x3c, 0x3b, 0x3c, 0x08, 0x01, 0x3b, 0x3c],
            r#"{"number":1,"parts":[{"b":1},{},{}]}"#,
        ),
        // text that is not UTF-8 is no error here, but the JSON is UTF-8
        (&[0x12, 0x02, 0x61, 0xff], "{\"text\":\"a\u{fffd}\"}"),
    ];
    for (wire, expected) in table {
        assert_eq!(write_as("old.Old", wire, JsonStyle::default()).as_deref(), Ok(expected), "{wire:02x?}");
    }
}

#[test]
fn deep_messages_are_refused_in_both_modes() {
    let mut wire = vec![0x10, 0x01];
    for level in 1..=150 {
        let mut outer = vec![0x1a];
        wire::push_bytes(&mut outer, &wire);
        wire = outer;
        let expected = (level < 100).then_some(()).ok_or(Depth);
        let kind = |wire: &[u8]| {
            write_as("t.Inner", wire, JsonStyle::default()).map(|_| ()).map_err(|error| error.kind)
        };
        assert_eq!(kind(&wire), expected, "{level}");
        // number twice: the careful mode
        let twice = [&[0x10, 0x01, 0x10, 0x02], &wire[..]].concat();
        assert_eq!(kind(&twice), expected, "{level}");
    }
}

/// Each level of this message is split in two, so a mode that went over the parts once per level would need 2^50 steps.
#[test]
fn split_at_every_level() {
    let mut wire = vec![0x10, 0x01];
    for _ in 0..50 {
        let mut outer = vec![0x1a, 0x02, 0x10, 0x02, 0x1a];
        wire::push_bytes(&mut outer, &wire);
        wire = outer;
    }
    let json = write_as("t.Inner", &wire, JsonStyle::default()).unwrap();
    assert_eq!(json.matches("inner").count(), 50);
}
