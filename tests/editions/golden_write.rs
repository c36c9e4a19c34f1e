//! Wire bytes to JSON.

use transom::codec::{JsonStyle, WireErrorKind};

use super::{hex, write, write_as};

#[test]
fn wire_to_json() {
    for (message, wire, json) in [
        // Presence.
        ("ed.All", "08 00", r#"{"explicitInt32":0}"#),
        ("ed.All", "12 00", r#"{"explicitString":""}"#),
        ("ed.All", "30 00", r#"{"explicitOpen":"OPEN_ZERO"}"#),
        ("ed.All", "58 00  62 00  6a 00  70 00  79 0000000000000000  80 01 00", "{}"),
        ("ed.All", "58 00 58 07 58 00", "{}"),
        ("ed.All", "48 00", r#"{"defaulted":0}"#),
        ("ed24.Box", "08 00 12 00 18 00", "{}"),
        ("ed24.Box", "20 00", r#"{"explicitInt32":0}"#),
        ("ed24.Box", "f8 01 00", r#"{"choiceInt":0}"#),
        // Enums.
        ("ed.All", "30 63", r#"{"explicitOpen":99}"#),
        ("ed.All", "38 63", "{}"),
        ("ed.All", "38 02 38 63", r#"{"explicitClosed":"CLOSED_TWO"}"#),
        ("ed.All", "38 63 38 02", r#"{"explicitClosed":"CLOSED_TWO"}"#),
        ("ed.All", "38 ffffffffffffffffff01", r#"{"explicitClosed":"CLOSED_MINUS"}"#),
        ("ed.All", "38 ffffffff0f", r#"{"explicitClosed":"CLOSED_MINUS"}"#),
        ("ed.All", "c2 01 03 02 63 04", r#"{"packedClosed":["CLOSED_TWO","CLOSED_FOUR"]}"#),
        ("ed.All", "c2 01 01 63", "{}"),
        ("ed.All", "c0 01 63 c0 01 04", r#"{"packedClosed":["CLOSED_FOUR"]}"#),
        ("ed.All", "ba 01 02 63 05", r#"{"packedOpen":[99,"OPEN_FIVE"]}"#),
        (
            "ed.All",
            "aa 03 05 0a 01 61 10 63  aa 03 05 0a 01 62 10 01",
            r#"{"closedByString":{"b":"LEVEL_ONE"}}"#,
        ),
        ("ed.All", "aa 03 05 0a 01 61 10 63", "{}"),
        ("ed.All", "aa 03 05 0a 01 61 10 63 aa 03 05 0a 01 61 10 63", "{}"),
        (
            "ed.All",
            "aa 03 05 0a 01 61 10 01 aa 03 05 0a 01 61 10 63",
            r#"{"closedByString":{"a":"LEVEL_ONE"}}"#,
        ),
        ("ed.All", "aa 03 03 0a 01 61", r#"{"closedByString":{"a":"LEVEL_ZERO"}}"#),
        ("ed.All", "b2 03 04 08 01 10 63", r#"{"openByBool":{"true":99}}"#),
        // What a closed enum does not know does not set its oneof.
        ("ed.All", "e8 03 05 88 04 63", r#"{"choiceInt":5}"#),
        ("ed.All", "88 04 63", "{}"),
        ("ed.All", "e8 03 05 88 04 02", r#"{"choiceClosed":"CLOSED_TWO"}"#),
        ("ed.All", "88 04 02 e8 03 05", r#"{"choiceInt":5}"#),
        // Lists in either encoding, whatever the schema prefers.
        ("ed.All", "aa 01 02 01 02", r#"{"packedInt32":[1,2]}"#),
        ("ed.All", "a8 01 01 a8 01 02", r#"{"packedInt32":[1,2]}"#),
        ("ed.All", "f8 01 01 f8 01 02", r#"{"expandedInt32":[1,2]}"#),
        ("ed.All", "fa 01 02 01 02", r#"{"expandedInt32":[1,2]}"#),
        // Delimited messages, of any name and of any type.
        ("ed.All", "cb 02 08 01 cc 02", r#"{"delimited":{"number":1}}"#),
        ("ed.All", "cb 02 cc 02", r#"{"delimited":{}}"#),
        ("ed.All", "cb 02 08 01 cc 02  cb 02 12 01 61 cc 02", r#"{"delimited":{"number":1,"text":"a"}}"#),
        ("ed.All", "d3 02 08 01 d4 02  d3 02 d4 02", r#"{"delimitedList":[{"number":1},{}]}"#),
        ("ed.All", "db 02 08 01 12 01 62 dc 02", r#"{"part":{"a":1,"b":"b"}}"#),
        ("ed.All", "cb 02 23 08 02 24 cc 02", r#"{"delimited":{"groupLike":{"number":2}}}"#),
        ("ed.All", "93 05 08 01 94 05", r#"{"delimitedTime":"1970-01-01T00:00:01Z"}"#),
        ("ed.All", "a3 05 08 07 a4 05", r#"{"delimitedCount":"7"}"#),
        ("ed.All", "83 04 08 01 84 04", r#"{"choiceDelimited":{"number":1}}"#),
        // A wire type that the field does not have makes it unknown.
        ("ed.All", "ca 02 02 08 01", "{}"),
        ("ed.All", "43 08 01 44", "{}"),
        ("ed24.Box", "5b 08 01 5c", r#"{"leaf":{"number":1}}"#),
        ("ed24.Box", "5a 02 08 01", "{}"),
        ("ed24.Box", "62 02 08 01", r#"{"prefixed":{"number":1}}"#),
        // Maps and their values always have a length.
        ("ed24.Box", "72 07 0a 01 61 12 02 08 01", r#"{"byName":{"a":{"number":1}}}"#),
        // UTF-8 where it is not promised.
        ("ed.All", "ba 04 02 61 ff", "{\"unchecked\":\"a\u{fffd}\"}"),
        ("ed.All", "c2 04 01 ff", "{\"uncheckedList\":[\"\u{fffd}\"]}"),
        ("ed.All", "ca 04 06 0a 01 ff 12 01 fe", "{\"uncheckedMap\":{\"\u{fffd}\":\"\u{fffd}\"}}"),
        ("ed24.Box", "12 01 ff", "{\"implicitString\":\"\u{fffd}\"}"),
        // Extensions; 100 and up.
        ("ed.All", "a0 06 00", r#"{"[ed.extended]":0}"#),
        ("ed.All", "aa 06 02 01 02 a8 06 03", r#"{"[ed.extended_list]":[1,2,3]}"#),
        ("ed.All", "b0 06 01", r#"{"[ed.extended_expanded]":[1]}"#),
        ("ed.All", "bb 06 08 01 bc 06", r#"{"[ed.extended_delimited]":{"number":1}}"#),
        ("ed.All", "ba 06 02 08 01", "{}"),
        ("ed.All", "c0 06 63", "{}"),
        ("ed.All", "ca 06 01 ff", "{\"[ed.extended_unchecked]\":\"\u{fffd}\"}"),
        ("ed.All", "f2 06 02 08 01", r#"{"[ed.Scope.inner]":{"number":1}}"#),
        (
            "ed24.Box",
            "a3 06 08 01 a4 06 a8 06 00",
            r#"{"[ed24.extended_leaf]":{"number":1},"[ed24.extended_int32]":0}"#,
        ),
        // Names.
        ("ed.All", "da 05 01 78", r#"{"other name":"x"}"#),
        ("ed.BestEffort", "08 01 10 02", r#"{"fooBar":1,"foo_bar":2}"#),
        // Required fields.
        ("ed.Needs", "08 00 1b 1c", r#"{"id":0,"inner":{}}"#),
        ("ed.Needs", "08 01 1b 1c 12 04 08 02 1b 1c", r#"{"id":1,"inner":{},"next":{"id":2,"inner":{}}}"#),
        (
            "ed.Needs",
            "08 01 1b 1c 12 02 08 02 12 02 1b 1c",
            r#"{"id":1,"next":{"id":2,"inner":{}},"inner":{}}"#,
        ),
    ] {
        assert_eq!(write(message, &hex(wire)).as_deref(), Ok(json), "{message} {wire}");
    }
}

#[test]
fn wire_that_is_refused() {
    for (message, wire, kind) in [
        ("ed.All", "12 01 ff", WireErrorKind::Utf8),
        ("ed24.Box", "32 01 ff", WireErrorKind::Utf8),
        ("ed24.Box", "82 01 06 0a 01 61 12 01 ff", WireErrorKind::Utf8),
        ("ed.All", "cb 02 08 01", WireErrorKind::Truncated),
        ("ed.All", "cb 02 08 01 d4 02", WireErrorKind::Group),
        ("ed.Needs", "", WireErrorKind::Incomplete),
        ("ed.Needs", "08 01", WireErrorKind::Incomplete),
        ("ed.Needs", "1b 1c", WireErrorKind::Incomplete),
        ("ed.Needs", "08 01 1b 1c 12 00", WireErrorKind::Incomplete),
    ] {
        assert_eq!(write(message, &hex(wire)).map_err(|error| error.kind), Err(kind), "{message} {wire}");
    }
}

/// Only fields without presence have defaults to print, and lists and maps.
#[test]
fn defaults_are_printed_where_there_is_no_presence() {
    let style = JsonStyle { defaults: true, ..JsonStyle::default() };
    assert_eq!(write_as("ed.Inner", &[], style).as_deref(), Ok("{}"));
    let all = write_as("ed.All", &[], style).unwrap();
    let all: serde_json::Value = serde_json::from_str(&all).unwrap();
    let names: Vec<&String> = all.as_object().unwrap().keys().collect();
    for name in &names {
        assert!(
            all[name.as_str()].is_array() || all[name.as_str()].is_object() || name.starts_with("implicit"),
            "{name}"
        );
    }
    assert_eq!(names.iter().filter(|name| name.starts_with("implicit")).count(), 7);
    assert_eq!(all["implicitOpen"], "OPEN_ZERO");
    let boxed = write_as("ed24.Box", &[], style).unwrap();
    let implicit =
        r#"{"implicitInt32":0,"implicitString":"","implicitShade":"SHADE_UNSPECIFIED","checked":"","#;
    assert!(boxed.starts_with(implicit), "{boxed}");
}
