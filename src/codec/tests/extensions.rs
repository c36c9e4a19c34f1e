//! Extensions, case by case: of plain messages, and of MessageSets, which have a wire format of their own.

use super::*;
use ReadErrorKind::*;
use WireErrorKind::*;

fn read_as(name: &str, json: &str) -> Result<Vec<u8>, ReadError> {
    read_with(name, json, &Splice::new(), &ReadOptions::default())
}

/// JSON of `old.Open`, and the text form of the message that it is.
const GOOD: &[(&str, &str)] = &[
    (r#"{"[old.number]":5}"#, "[old.number]:5"),
    (r#"{"[old.number]":0}"#, "[old.number]:0"),
    (r#"{"own":1,"[old.number]":"5"}"#, "own:1,[old.number]:5"),
    (r#"{"[old.number]":5,"own":1}"#, "own:1,[old.number]:5"),
    (r#"{"[old.number]":null}"#, ""),
    (r#"{"[old.sizes]":["SMALL",5]}"#, "[old.sizes]:[SMALL,LARGE]"),
    (r#"{"[old.Open.Holder.held]":{"number":1}}"#, "[old.Open.Holder.held]{number:1}"),
    (r#"{"[old.extra]":{"a":2}}"#, "[old.extra]{a:2}"),
    (r#"{"\u005bold.number]":5}"#, "[old.number]:5"),
];

const BAD: &[(&str, ReadErrorKind, &str)] = &[
    (r#"{"[old.nothing]":1}"#, UnknownMember, "[old.nothing]"),
    (r#"{"[old.Note.note]":{}}"#, UnknownMember, "[old.Note.note]"),
    (r#"{"old.number":1}"#, UnknownMember, "old.number"),
    (r#"{"number":1}"#, UnknownMember, "number"),
    (r#"{"[old.number":1}"#, UnknownMember, "[old.number"),
    (r#"{"[old.number]":1,"[old.number]":1}"#, DuplicateMember, "[old.number]"),
    (r#"{"[old.number]":"x"}"#, BadNumber, "[old.number]"),
    (r#"{"[old.Open.Holder.held]":{"number":true}}"#, WrongType, "[old.Open.Holder.held].number"),
];

#[test]
fn read_from_json() {
    for (json, expected) in GOOD {
        assert_eq!(text_of("old.Open", &read_as("old.Open", json).expect(json)), *expected, "{json}");
    }
    for (json, kind, path) in BAD {
        let error = read_as("old.Open", json).expect_err(json);
        assert_eq!((error.kind, &*error.path), (*kind, *path), "{json}");
    }
}

#[test]
fn written_as_json() {
    let json = r#"{"own":1,"[old.number]":0,"[old.sizes]":["SMALL"],"[old.Open.Holder.held]":{"text":"x"},"[old.extra]":{"a":2}}"#;
    let wire = read_as("old.Open", json).expect(json);
    let defaults = JsonStyle { defaults: true, ..JsonStyle::default() };
    let names = JsonStyle { proto_names: true, ..JsonStyle::default() };
    for style in [JsonStyle::default(), names] {
        assert_eq!(write_as("old.Open", &wire, style).as_deref(), Ok(json), "{style:?}");
    }
    // Nobody asks for the extensions that are not there.
    assert_eq!(write_as("old.Open", &[], defaults).as_deref(), Ok("{}"));
    // In the careful mode: the number twice, in two lists, and an extension that nobody knows.
    let split = [0xa0, 6, 1, 0xa8, 6, 1, 0xa0, 6, 2, 0xa8, 6, 5, 0xc0, 6, 1];
    let expected = r#"{"[old.number]":2,"[old.sizes]":["SMALL","LARGE"]}"#;
    assert_eq!(write_as("old.Open", &split, defaults).as_deref(), Ok(expected));
}

/// `{"[old.Note.note]":{"text":"x"}}`
const ITEM: &[u8] = &[0x0b, 0x10, 0xe8, 7, 0x1a, 3, 0x0a, 1, b'x', 0x0c];

#[test]
fn a_message_set_from_json() {
    let table: [(&str, &[u8]); 3] = [
        ("{}", &[]),
        (r#"{"[old.Note.note]":{"text":"x"}}"#, ITEM),
        (r#"{"[old.Note.note]":{}}"#, &[0x0b, 0x10, 0xe8, 7, 0x1a, 0, 0x0c]),
    ];
    for (json, expected) in table {
        assert_eq!(read_as("old.Set", json).expect(json), expected, "{json}");
    }
    let json = r#"{"[old.Note.note]":{"number":1,"set":{"[old.Note.note]":{"text":"x"}}}}"#;
    let wire = read_as("old.Set", json).expect(json);
    assert_eq!(write_as("old.Set", &wire, JsonStyle::default()).as_deref(), Ok(json));
    assert_eq!(read_as("old.Set", r#"{"own":1}"#).map_err(|error| error.kind), Err(UnknownMember));
}

#[test]
fn a_message_set_as_json() {
    let x = r#"{"[old.Note.note]":{"text":"x"}}"#;
    let table: [(&[u8], Result<&str, WireErrorKind>); 11] = [
        (&[], Ok("{}")),
        (ITEM, Ok(x)),
        // the message before its number
        (&[0x0b, 0x1a, 3, 0x0a, 1, b'x', 0x10, 0xe8, 7, 0x0c], Ok(x)),
        // as if it were a plain field
        (&[0xc2, 0x3e, 3, 0x0a, 1, b'x'], Ok(x)),
        // two items of one extension are one message
        (
            &[0x0b, 0x10, 0xe8, 7, 0x1a, 3, 0x0a, 1, b'x', 0x0c, 0x0b, 0x10, 0xe8, 7, 0x1a, 2, 0x10, 5, 0x0c],
            Ok(r#"{"[old.Note.note]":{"text":"x","number":5}}"#),
        ),
        // an extension that nobody knows, no number, no message, more than there should be
        (&[0x0b, 0x10, 0xe9, 7, 0x1a, 3, 0x0a, 1, b'x', 0x0c], Ok("{}")),
        (&[0x0b, 0x1a, 3, 0x0a, 1, b'x', 0x0c], Ok("{}")),
        (&[0x0b, 0x10, 0xe8, 7, 0x0c], Ok(r#"{"[old.Note.note]":{}}"#)),
        (&[0x0b, 0x10, 0xe8, 7, 0x10, 5, 0x20, 1, 0x1a, 3, 0x0a, 1, b'x', 0x1a, 0, 0x0c], Ok(x)),
        (&[0x0b, 0x10, 0xe8, 7, 0x1a, 3, 0x0a, 1, b'x'], Err(Truncated)),
        (&[0x0b, 0x10, 0xe8, 7, 0x1a, 2, 0x0a, 1, 0x0c], Err(Truncated)),
    ];
    for (wire, expected) in table {
        let json = write_as("old.Set", wire, JsonStyle::default()).map_err(|error| error.kind);
        assert_eq!(json.as_deref().map_err(|kind| *kind), expected, "{wire:02x?}");
    }
}
