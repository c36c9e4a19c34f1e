//! Messages written in pieces: the same JSON wherever the bytes are cut, and the same value as when written whole.

use proptest::prelude::*;
use prost::Message as _;
use serde_json::Value;

use super::random::random_all;
use super::*;

/// The JSON of `wire`, begun with its first `look` bytes and cut at `cuts`. `None` where it is not written in pieces.
fn in_pieces(
    name: &str,
    field: Option<FieldId>,
    style: JsonStyle,
    wire: &[u8],
    look: usize,
    cuts: &[usize],
) -> Option<Result<String, WireError>> {
    let mut writer = PieceWriter::begin(&plan(name), field, style, wire.len(), wire.get(..look)?)?;
    let mut out = Vec::new();
    let mut start = 0;
    for &end in cuts.iter().chain([&wire.len()]) {
        if let Err(error) = writer.push(&wire[start..end], &mut out) {
            return Some(Err(error));
        }
        start = end;
    }
    Some(writer.finish(&mut out).map(|()| String::from_utf8(out).unwrap()))
}

/// `look` for which the list that begins at `at` is the one that is written as it comes.
fn every_cut(name: &str, field: Option<&str>, wire: &[u8], look: usize, want: &str) {
    let field = field.map(|field| plan(name).field_by_name(field).unwrap());
    let style = JsonStyle::default();
    for first in 0..=wire.len() {
        for second in first..=wire.len() {
            let json = in_pieces(name, field, style, wire, look, &[first, second]);
            assert_eq!(json.unwrap().as_deref(), Ok(want), "cuts {first}, {second}");
        }
        // one byte at a time from here
        let cuts: Vec<usize> = (first..wire.len()).collect();
        let json = in_pieces(name, field, style, wire, look, &cuts);
        assert_eq!(json.unwrap().as_deref(), Ok(want), "bytes from {first}");
    }
}

/// inners[0] = {text: "a", number: 5}, inners[1] = {}
const INNERS: [u8; 11] = [0xaa, 0x02, 0x05, 0x0a, 0x01, 0x61, 0x10, 0x05, 0xaa, 0x02, 0x00];

#[test]
fn wherever_it_is_cut() {
    let an_int = [0x08, 0x07];
    // an unknown group, with a group in it
    let group = [0xfb, 0x3f, 0x08, 0x01, 0x13, 0x14, 0xfc, 0x3f];
    let elements = r#""inners":[{"text":"a","number":5},{}]"#;
    let table: [(Vec<u8>, usize, String); 5] = [
        (INNERS.to_vec(), 4, format!("{{{elements}}}")),
        ([&INNERS[..], &an_int].concat(), 4, format!(r#"{{{elements},"anInt32":7}}"#)),
        // what comes before the list stands behind it
        ([&an_int[..], &INNERS].concat(), 6, format!(r#"{{{elements},"anInt32":7}}"#)),
        ([&INNERS[..], &group, &an_int].concat(), 4, format!(r#"{{{elements},"anInt32":7}}"#)),
        // legal, though no encoder does it: a scalar twice, the list again
        (
            [&INNERS[..], &an_int, &INNERS[..8], &[0x08, 0x09]].concat(),
            4,
            r#"{"inners":[{"text":"a","number":5},{},{"text":"a","number":5}],"anInt32":9}"#.to_owned(),
        ),
    ];
    for (wire, look, want) in table {
        every_cut("t.All", None, &wire, look, &want);
    }
}

#[test]
fn lists_of_submessages() {
    // inner { many, text } and inner { inner } would merge; many is packed, so only strings will do
    let strings = [0x92, 0x02, 0x01, 0x61, 0x92, 0x02, 0x02, 0x62, 0x63];
    every_cut("t.All", None, &strings, 4, r#"{"strings":["a","bc"]}"#);
    every_cut("t.All", Some("strings"), &strings, 4, r#"["a","bc"]"#);

    // page { names: "a", total: 1 }, more: true, page { names: "b", total: 2 }: one page
    let wire = [
        0x0a, 0x05, 0x0a, 0x01, 0x61, 0x10, 0x01, 0x10, 0x01, 0x0a, 0x05, 0x0a, 0x01, 0x62, 0x10, 0x02, 0x0a,
        0x00,
    ];
    every_cut("t.Outer", None, &wire, 5, r#"{"page":{"names":["a","b"],"total":2},"more":true}"#);
    every_cut("t.Outer", Some("page"), &wire, 5, r#"{"names":["a","b"],"total":2}"#);
}

#[test]
fn what_can_be_taken_back_is_not_begun() {
    let begin = |wire: &[u8], field: Option<&str>| {
        let field = field.map(|field| all().field_by_name(field).unwrap());
        PieceWriter::begin(&all(), field, JsonStyle::default(), 1000, wire).is_some()
    };
    assert!(begin(&INNERS[..4], None));
    // a member of a oneof
    assert!(!begin(&[0xaa, 0x03, 0x7f, 0x0a], None));
    // a map, a packed list, a Struct, a single string
    for wire in [&[0xea, 0x03, 0x7f][..], &[0xaa, 0x01, 0x7f], &[0xa2, 0x05, 0x7f, 0x0a, 0x7f], &[0x72, 0x7f]]
    {
        assert!(!begin(wire, None), "{wire:02x?}");
    }
    // another field than the one that is wanted; nothing; no tag
    assert!(!begin(&INNERS[..4], Some("strings")));
    assert!(!begin(&[], None));
    assert!(!begin(&[0x07], None));
}

#[test]
fn what_is_no_message_is_an_error() {
    for (tail, want, path, offset) in [
        (&[0x08][..], WireErrorKind::Truncated, "", 4),
        (&[0x72, 0x05, 0x61], WireErrorKind::Truncated, "", 4),
        (&[0xfb, 0x3f, 0x08], WireErrorKind::Truncated, "", 4),
        (&[0x0c], WireErrorKind::Group, "", 4),
        (&[0x00], WireErrorKind::Tag, "", 4),
        (&[0x92, 0x02, 0x01, 0xff], WireErrorKind::Utf8, "strings[1]", 7),
        // what waits for the end of the list
        (&[0x72, 0x01, 0xff], WireErrorKind::Utf8, "aString", 7),
        (&[0x72, 0x01, 0xff, 0x08, 0x01], WireErrorKind::Utf8, "aString", 9),
    ] {
        let wire = [&[0x92, 0x02, 0x01, 0x61][..], tail].concat();
        refused_at_every_cut("t.All", &wire, 4, &WireError { kind: want, path: path.to_owned(), offset });
    }
}

fn refused_at_every_cut(name: &str, wire: &[u8], look: usize, want: &WireError) {
    for cut in 0..=wire.len() {
        let json = in_pieces(name, None, JsonStyle::default(), wire, look, &[cut]);
        assert_eq!(json.unwrap().as_ref(), Err(want), "{wire:02x?}, cut {cut}");
    }
}

#[test]
fn places_of_what_is_within() {
    let want = |path: &str, offset| WireError { kind: WireErrorKind::Utf8, path: path.to_owned(), offset };
    // inners { text: "a" }, inners { text: not UTF-8 }
    let inners = [0xaa, 0x02, 0x03, 0x0a, 0x01, 0x61, 0xaa, 0x02, 0x03, 0x0a, 0x01, 0xff];
    refused_at_every_cut("t.All", &inners, 4, &want("inners[1].text", 11));
    // page { names: "a" }, page { names: not UTF-8 }
    let page = [0x0a, 0x03, 0x0a, 0x01, 0x61, 0x0a, 0x03, 0x0a, 0x01, 0xff];
    refused_at_every_cut("t.Outer", &page, 5, &want("page.names[1]", 9));
    // page { names: "a" }, page with a tag that is none
    let page = [0x0a, 0x03, 0x0a, 0x01, 0x61, 0x0a, 0x01, 0x00];
    let tag = WireError { kind: WireErrorKind::Tag, ..want("page", 7) };
    refused_at_every_cut("t.Outer", &page, 5, &tag);
}

proptest! {
    /// Two messages, one behind the other, are one in which everything comes twice.
    #[test]
    fn any_message_at_any_cuts(
        first in any::<u64>(),
        second in any::<u64>(),
        look in any::<prop::sample::Index>(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        defaults: bool,
        proto_names: bool,
    ) {
        let wire = [random_all(first).encode_to_vec(), random_all(second).encode_to_vec()].concat();
        let style = JsonStyle { defaults, proto_names, ..JsonStyle::default() };
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(wire.len() + 1)).collect();
        cuts.sort_unstable();
        let json = in_pieces("t.All", None, style, &wire, look.index(wire.len() + 1), &cuts);
        if let Some(json) = json {
            let whole = write_as("t.All", &wire, style).unwrap();
            let json = json.unwrap();
            let (found, want): (Value, Value) =
                (serde_json::from_str(&json).unwrap(), serde_json::from_str(&whole).unwrap());
            prop_assert_eq!(found, want, "{}\n{}", json, whole);
            // No name comes twice.
            prop_assert_eq!(json.len(), whole.len());
        }
    }
}
