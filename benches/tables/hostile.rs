//! Inputs that mean harm, each at four sizes: the time for each byte must not grow with the size.

use transom::codec::{
    JsonStyle, ReadOptions, Selection, Splice, Unknown, indent, member_paths, read_message, write_message,
};
use transom::transcode::Elements;
use transom::upstream::Deframer;

use super::measure::{best, each};
use super::schema::plan;
use super::wire::{bytes, group, number};

/// A family of inputs: its name, an input of about so many bytes, and what is done with it.
type Family = (&'static str, fn(usize) -> Vec<u8>, fn(&[u8]));

const SIZES: [usize; 4] = [64 << 10, 256 << 10, 1 << 20, 4 << 20];

pub(super) fn table() {
    println!("| family | ns/B at {} | {} | {} | {} |", size(0), size(1), size(2), size(3));
    println!("|---|---:|---:|---:|---:|");
    for (name, make, run) in FAMILIES {
        let cells = SIZES.map(|size| {
            let input = make(size);
            format!("{:.2}", each(best(|| run(&input)), input.len()))
        });
        println!("| {name} | {} |", cells.join(" | "));
    }
}

fn size(index: usize) -> String {
    format!("{} KiB", SIZES[index] >> 10)
}

fn read_as(message: &str, json: &[u8]) {
    let options = ReadOptions { unknown: &Unknown::Ignore, ..ReadOptions::default() };
    let mut out = Vec::new();
    // Some are refused, at their end.
    let _refused = read_message(&plan(message), json, &Splice::new(), &options, &mut out);
}

fn read(json: &[u8]) {
    read_as("shapes.Shape", json);
}

fn write_as(message: &str, wire: &[u8]) {
    let mut out = Vec::new();
    let _refused = write_message(&plan(message), wire, JsonStyle::default(), &mut out);
}

fn write(wire: &[u8]) {
    write_as("shapes.Shape", wire);
}

fn write_old(wire: &[u8]) {
    write_as("old.Old", wire);
}

/// `before`, as many elements as fit with commas between them, `after`.
fn list(before: &str, element: impl Fn(usize) -> String, after: &str, size: usize) -> Vec<u8> {
    let mut out = before.as_bytes().to_vec();
    for index in 0.. {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(element(index).as_bytes());
        if out.len() >= size {
            break;
        }
    }
    out.extend_from_slice(after.as_bytes());
    out
}

fn many(element: impl Fn(usize) -> Vec<u8>, size: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for index in 0.. {
        out.extend(element(index));
        if out.len() >= size {
            break;
        }
    }
    out
}

fn deep(open: &str, innermost: &str, close: &str, levels: usize) -> String {
    format!("{}{innermost}{}", open.repeat(levels), close.repeat(levels))
}

fn nested(levels: usize, innermost: Vec<u8>, wrap: impl Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    (0..levels).fold(innermost, |inner, _| wrap(&inner))
}

fn any(inner: &[u8]) -> Vec<u8> {
    [bytes(1, b"t/google.protobuf.Any"), bytes(2, inner)].concat()
}

const FAMILIES: &[Family] = &[
    (
        "JSON: messages 97 deep",
        |n| list(r#"{"leaves":["#, |_| deep(r#"{"leaf":"#, "{}", "}", 96), "]}", n),
        read,
    ),
    (
        "JSON: one text, 97 deep",
        |n| {
            format!(
                r#"{{"leaf":{}}}"#,
                deep(r#"{"leaf":"#, &format!(r#"{{"text":"{}"}}"#, "x".repeat(n)), "}", 96)
            )
            .into()
        },
        read,
    ),
    ("JSON: lists 95 deep in a Value", |n| list(r#"{"list":["#, |_| deep("[", "", "]", 95), "]}", n), read),
    (
        "JSON: objects 48 deep in a Struct",
        |n| list(r#"{"list":["#, |_| deep(r#"{"a":"#, "1", "}", 48), "]}", n),
        read,
    ),
    (
        "JSON: unknown members, 95 deep",
        |n| list(r#"{"x":["#, |_| deep(r#"{"y":"#, "1", "}", 95), "]}", n),
        read,
    ),
    ("JSON: an unknown member again and again", |n| list("{", |_| r#""x":1"#.into(), "}", n), read),
    ("JSON: unknown names of enum values", |n| list(r#"{"hues":["#, |_| r#""PINK""#.into(), "]}", n), read),
    (
        "JSON: integers of 2,000 digits",
        |n| list(r#"{"u64s":["#, |_| format!("1.{}", "0".repeat(1998)), "]}", n),
        read,
    ),
    (
        "JSON: doubles of 2,000 digits",
        |n| list(r#"{"doubles":["#, |_| format!("0.{}", "7".repeat(1998)), "]}", n),
        read,
    ),
    (
        "JSON: exponents of 2,000 digits",
        |n| list(r#"{"doubles":["#, |_| format!("1e-{}7", "0".repeat(1996)), "]}", n),
        read,
    ),
    (
        "JSON: quoted integers with exponents",
        |n| list(r#"{"u64s":["#, |_| r#""0.00000000017e19""#.into(), "]}", n),
        read,
    ),
    ("JSON: one number without end", |n| format!(r#"{{"double":{}}}"#, "7".repeat(n)).into(), read),
    ("JSON: a map of texts", |n| list(r#"{"byText":{"#, |i| format!(r#""{i}":"""#), "}}", n), read),
    ("JSON: a map of numbers", |n| list(r#"{"byS64":{"#, |i| format!(r#""{i}":"""#), "}}", n), read),
    (
        "JSON: a map whose last key comes twice",
        |n| list(r#"{"byText":{"#, |i| format!(r#""{i}":"""#), r#","0":""}}"#, n),
        read,
    ),
    (
        "JSON: Any in Any, `@type` first",
        |n| {
            list(
                r#"{"anys":["#,
                |_| deep(r#"{"@type":"t/google.protobuf.Any","value":"#, "{}", "}", 90),
                "]}",
                n,
            )
        },
        read,
    ),
    (
        "JSON: Any in Any, `@type` last",
        |n| {
            list(
                r#"{"anys":["#,
                |_| deep(r#"{"value":"#, "{}", r#","@type":"t/google.protobuf.Any"}"#, 90),
                "]}",
                n,
            )
        },
        read,
    ),
    (
        "JSON: an Any of many members, `@type` last",
        |n| list(r#"{"any":{"leaves":["#, |_| "{}".into(), r#"],"@type":"t/shapes.Leaf"}}"#, n),
        read,
    ),
    (
        "JSON: `@type` everywhere",
        |n| list(r#"{"any":{"x":["#, |_| r#"{"@type":1}"#.into(), r#"],"@type":"t/shapes.Leaf"}}"#, n),
        read,
    ),
    ("JSON: escapes", |n| format!(r#"{{"text":"{}"}}"#, r"\u00e9\n".repeat(n / 8)).into(), read),
    (
        "JSON: names with escapes",
        |n| list(r#"{"leaves":["#, |_| r#"{"t\u0065xt":"","\u0068ue":0}"#.into(), "]}", n),
        read,
    ),
    ("JSON: white space", |n| format!("{{{}}}", " \n\t".repeat(n / 3)).into(), read),
    ("JSON: a mask of short paths", |n| format!(r#"{{"mask":"a{}"}}"#, ",a".repeat(n / 2)).into(), read),
    ("JSON: a mask of capitals", |n| format!(r#"{{"mask":"{}"}}"#, "A".repeat(n)).into(), read),
    ("JSON: empty messages", |n| list(r#"{"leaves":["#, |_| "{}".into(), "]}", n), read),
    ("JSON: nulls", |n| list(r#"{"leaves":["#, |_| r#"{"leaf":null,"hue":null}"#.into(), "]}", n), read),
    (
        "JSON: groups",
        |n| list(r#"{"parts":["#, |_| r#"{"b":1}"#.into(), "]}", n),
        |json| read_as("old.Old", json),
    ),
    (
        "JSON: one text in groups 48 deep",
        |n| deep(r#"{"part":{"old":"#, &format!(r#"{{"text":"{}"}}"#, "x".repeat(n)), "}}", 48).into(),
        |json| read_as("old.Old", json),
    ),
    (
        "wire: messages 97 deep",
        |n| many(|_| bytes(30, &nested(96, Vec::new(), |inner| bytes(3, inner))), n),
        write,
    ),
    (
        "wire: one text, 97 deep",
        |n| bytes(17, &nested(96, bytes(1, &vec![b'x'; n]), |inner| bytes(3, inner))),
        write,
    ),
    (
        "wire: groups 49 deep",
        |n| many(|_| group(6, &nested(48, Vec::new(), |inner| bytes(2, &group(6, inner)))), n),
        write_old,
    ),
    (
        "wire: unknown groups 99 deep",
        |n| many(|_| nested(99, Vec::new(), |inner| group(999, inner)), n),
        write,
    ),
    (
        "wire: one text in groups 49 deep",
        |n| group(6, &nested(48, bytes(2, &bytes(2, &vec![b'x'; n])), |inner| bytes(2, &group(6, inner)))),
        write_old,
    ),
    (
        "wire: many values in groups 49 deep",
        |n| group(6, &nested(48, bytes(2, &many(|_| number(8, 1), n)), |inner| bytes(2, &group(6, inner)))),
        write_old,
    ),
    ("wire: two lists by turns", |n| many(|_| [number(21, 1), bytes(27, b"b")].concat(), n), write),
    (
        "wire: one list, packed and not by turns",
        |n| many(|_| [number(21, 1), bytes(21, &[1, 2])].concat(), n),
        write,
    ),
    ("wire: a number again and again", |n| many(|_| number(1, 1), n), write),
    ("wire: a text again and again", |n| many(|_| bytes(14, b"x"), n), write),
    ("wire: a message in pieces", |n| many(|_| bytes(17, &number(2, 1)), n), write),
    (
        "wire: each level in two pieces, 20 deep",
        |n| {
            many(
                |_| {
                    bytes(
                        30,
                        &nested(19, number(2, 1), |inner| {
                            [bytes(3, &number(2, 1)), bytes(3, inner)].concat()
                        }),
                    )
                },
                n,
            )
        },
        write,
    ),
    ("wire: a oneof by turns", |n| many(|_| [number(51, 1), bytes(53, &[])].concat(), n), write),
    ("wire: a map of texts", |n| many(|i| bytes(61, &bytes(1, i.to_string().as_bytes())), n), write),
    ("wire: a map with one key", |n| many(|_| bytes(61, &bytes(2, b"x")), n), write),
    ("wire: a map whose entries have many keys", |n| bytes(61, &many(|_| bytes(1, b"x"), n)), write),
    ("wire: Any in Any", |n| many(|_| bytes(97, &nested(90, Vec::new(), any)), n), write),
    ("wire: an Any of many types", |n| bytes(88, &many(|_| bytes(1, b"t/shapes.Leaf"), n)), write),
    ("wire: empty messages", |n| many(|_| bytes(30, &[]), n), write),
    ("wire: varints of ten bytes", |n| many(|_| number(21, u64::MAX), n), write),
    ("wire: unknown fields", |n| many(|_| number(999, 1), n), write),
    (
        "wire: a Struct",
        |n| {
            bytes(
                84,
                &many(
                    |i| bytes(1, &[bytes(1, i.to_string().as_bytes()), bytes(2, &number(4, 1))].concat()),
                    n,
                ),
            )
        },
        write,
    ),
    ("wire: a ListValue", |n| bytes(86, &many(|_| bytes(1, &number(4, 1)), n)), write),
    (
        "wire: a Value of many kinds",
        |n| bytes(85, &many(|_| [number(4, 1), bytes(6, &[])].concat(), n)),
        write,
    ),
    ("wire: a Timestamp of many seconds", |n| bytes(81, &many(|_| number(1, 1), n)), write),
    ("wire: a mask", |n| bytes(83, &many(|_| bytes(1, b"a_b"), n)), write),
    ("wire: control characters", |n| bytes(14, &vec![1; n]), write),
    ("wire: unknown numbers of a closed enum", |n| many(|_| number(4, 9), n), write_old),
    ("stream: elements of one byte, byte by byte", |n| list("[", |_| "1".into(), "]", n), elements_by_byte),
    (
        "stream: one element, byte by byte",
        |n| format!(r#"[{{"a":"{}"}}]"#, "x".repeat(n)).into(),
        elements_by_byte,
    ),
    ("stream: white space, byte by byte", |n| vec![b' '; n], elements_by_byte),
    ("stream: empty gRPC messages", |n| vec![0; n / 5 * 5], |data| frames(data, data.len())),
    (
        "stream: one gRPC message, byte by byte",
        |n| [&[0][..], &(n as u32).to_be_bytes(), &vec![7; n]].concat(),
        |data| frames(data, 1),
    ),
    (
        "answer: selected fields",
        |n| list(r#"{"leaves":["#, |_| r#"{"text":"x","leaf":{"hue":"RED"},"number":1}"#.into(), "]}", n),
        select,
    ),
    (
        "answer: line breaks, 95 deep",
        |n| list("[", |_| deep("[", "", "]", 95), "]", n),
        |json| indent(json, &mut Vec::new()),
    ),
    (
        "PATCH: paths of the members",
        |n| list("{", |_| r#""leaf":{"text":"x"}"#.into(), "}", n),
        |json| {
            let _too_many = member_paths(&plan("shapes.Shape"), json, 100);
        },
    ),
];

fn elements_by_byte(body: &[u8]) {
    let mut elements = Elements::new(usize::MAX);
    for byte in body.chunks(1) {
        elements.push(byte);
        while let Ok(Some(_)) = elements.next_element() {}
    }
}

fn frames(data: &[u8], piece: usize) {
    let mut deframer = Deframer::new(usize::MAX, 0);
    for piece in data.chunks(piece) {
        deframer.push(::bytes::Bytes::copy_from_slice(piece));
        while let Ok(Some(_)) = deframer.next_message() {}
    }
}

fn select(json: &[u8]) {
    let selection = Selection::parse(&plan("shapes.Shape"), None, "leaves.leaf.hue,leaves.text", 16);
    let _valid = selection.expect("the fields exist").apply(json, &mut Vec::new());
}
