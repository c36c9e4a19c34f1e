//! JSON to wire bytes.

use transom::codec::ReadErrorKind;

use super::{hex, read};

#[test]
fn json_to_wire() {
    for (message, json, wire) in [
        // Presence.
        ("ed.All", r#"{"explicitInt32":0}"#, "08 00"),
        ("ed.All", r#"{"explicitString":""}"#, "12 00"),
        ("ed.All", r#"{"explicitOpen":"OPEN_ZERO"}"#, "30 00"),
        ("ed.All", r#"{"defaulted":-7}"#, "48 f9ffffffffffffffff01"),
        ("ed.All", r#"{"implicitInt32":0,"implicitString":"","implicitBytes":"","implicitBool":false}"#, ""),
        ("ed.All", r#"{"implicitDouble":0,"implicitOpen":0,"implicitFixed64":"0"}"#, ""),
        ("ed.All", r#"{"implicitDouble":-0.0}"#, "79 0000000000000080"),
        ("ed.All", r#"{"explicitInner":{}}"#, "42 00"),
        ("ed24.Box", r#"{"implicitInt32":0,"explicitInt32":0,"choiceInt":0}"#, "20 00 f8 01 00"),
        // Enums.
        ("ed.All", r#"{"explicitOpen":99}"#, "30 63"),
        ("ed.All", r#"{"explicitClosed":4}"#, "38 04"),
        ("ed.All", r#"{"explicitClosed":"CLOSED_MINUS"}"#, "38 ffffffffffffffffff01"),
        // Lists as the schema prefers them.
        ("ed.All", r#"{"packedInt32":[1,2]}"#, "aa 01 02 01 02"),
        ("ed.All", r#"{"packedClosed":["CLOSED_TWO"]}"#, "c2 01 01 02"),
        ("ed.All", r#"{"expandedInt32":[1,2]}"#, "f8 01 01 f8 01 02"),
        ("ed.All", r#"{"expandedClosed":[4]}"#, "88 02 04"),
        (
            "ed24.Box",
            r#"{"expanded":[1,2],"packed":[1,2],"sizes":[5]}"#,
            "a8 01 01 a8 01 02 b2 01 02 01 02 b8 01 05",
        ),
        // Delimited messages, of any name and of any type.
        ("ed.All", r#"{"delimited":{"number":1}}"#, "cb 02 08 01 cc 02"),
        ("ed.All", r#"{"delimitedList":[{"number":1},{}]}"#, "d3 02 08 01 d4 02 d3 02 d4 02"),
        ("ed.All", r#"{"part":{"a":1,"b":"b"}}"#, "db 02 08 01 12 01 62 dc 02"),
        ("ed.All", r#"{"part":{"renamed":"b"}}"#, "db 02 12 01 62 dc 02"),
        ("ed.All", r#"{"delimitedTime":"1970-01-01T00:00:01Z"}"#, "93 05 08 01 94 05"),
        ("ed.All", r#"{"delimitedCount":"7"}"#, "a3 05 08 07 a4 05"),
        ("ed.All", r#"{"delimited":null,"delimitedCount":null}"#, ""),
        ("ed24.Box", r#"{"leaf":{"number":1},"prefixed":{"number":1}}"#, "5b 08 01 5c 62 02 08 01"),
        ("ed24.Box", r#"{"nested":{"leaf":{}}}"#, "cb 02 0b 0c cc 02"),
        ("ed24.Box", r#"{"byName":{"a":{"number":1}}}"#, "72 07 0a 01 61 12 02 08 01"),
        // Extensions; 100 and up.
        ("ed.All", r#"{"[ed.extended]":0}"#, "a0 06 00"),
        ("ed.All", r#"{"[ed.extended_list]":[1,2]}"#, "aa 06 02 01 02"),
        ("ed.All", r#"{"[ed.extended_expanded]":[1,2]}"#, "b0 06 01 b0 06 02"),
        ("ed.All", r#"{"[ed.extended_delimited]":{"number":1}}"#, "bb 06 08 01 bc 06"),
        ("ed.All", r#"{"[ed.Scope.inner]":{"number":1}}"#, "f2 06 02 08 01"),
        ("ed24.Box", r#"{"[ed24.extended_leaf]":{}, "[ed24.extended_int32]":0}"#, "a3 06 a4 06 a8 06 00"),
        // Names.
        ("ed.All", r#"{"other name":"x"}"#, "da 05 01 78"),
        ("ed.All", r#"{"renamed":"x"}"#, "da 05 01 78"),
        ("ed.BestEffort", r#"{"fooBar":1,"foo_bar":2}"#, "08 01 10 02"),
        // Required fields.
        ("ed.Needs", r#"{"id":0,"inner":{}}"#, "08 00 1b 1c"),
    ] {
        assert_eq!(read(message, json), Ok(hex(wire)), "{message} {json}");
    }
}

#[test]
fn json_that_is_refused() {
    for (message, json, kind, path) in [
        ("ed.All", r#"{"explicitClosed":99}"#, ReadErrorKind::BadEnum, "explicitClosed"),
        ("ed.All", r#"{"explicitClosed":0}"#, ReadErrorKind::BadEnum, "explicitClosed"),
        ("ed.All", r#"{"packedClosed":[2,3]}"#, ReadErrorKind::BadEnum, "packedClosed[1]"),
        ("ed.All", r#"{"closedByString":{"a":9}}"#, ReadErrorKind::BadEnum, "closedByString[\"a\"]"),
        ("ed.All", r#"{"explicitOpen":"NO_NAME"}"#, ReadErrorKind::BadEnum, "explicitOpen"),
        ("ed.All", r#"{"delimited":{"nothing":1}}"#, ReadErrorKind::UnknownMember, "delimited.nothing"),
        (
            "ed.All",
            r#"{"choiceInt":1,"choiceDelimited":{}}"#,
            ReadErrorKind::SecondOneofMember,
            "choiceDelimited",
        ),
        ("ed.All", r#"{"[ed.extended_closed]":99}"#, ReadErrorKind::BadEnum, "[ed.extended_closed]"),
        ("ed.All", r#"{"[ed.inner]":{}}"#, ReadErrorKind::UnknownMember, "[ed.inner]"),
        ("ed.All", "{\"unchecked\":\"\\ud800\"}", ReadErrorKind::Utf8, "unchecked"),
        ("ed.Needs", "{}", ReadErrorKind::MissingRequired, "id"),
        ("ed.Needs", r#"{"id":1}"#, ReadErrorKind::MissingRequired, "inner"),
        ("ed.Needs", r#"{"id":null,"inner":{}}"#, ReadErrorKind::MissingRequired, "id"),
        ("ed.Needs", r#"{"id":1,"inner":{},"next":{"id":2}}"#, ReadErrorKind::MissingRequired, "next.inner"),
    ] {
        let error = read(message, json).expect_err(json);
        assert_eq!((error.kind, error.path.as_str()), (kind, path), "{message} {json}");
    }
}
