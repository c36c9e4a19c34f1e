//! Leaves of path and query in the message that the body fills.

use super::*;
use Rank::{Body, Path, Query};
use ReadErrorKind::OverrideDiffers;

/// A leaf: the path from `t.All`, its rank and its text; of a map, the key and the value with `=` between them.
type Given<'a> = (&'a str, Rank, &'a str);

fn splice(leaves: &[Given<'_>]) -> Splice {
    let mut splice = Splice::new();
    for &(names, rank, text) in leaves {
        let path = path(names);
        let (field, parents) = path.split_last().unwrap();
        let mut plan = all();
        for parent in parents {
            plan = plan.nested(*parent).unwrap();
        }
        let pushed = splice.push(&path, rank, |out| match text.split_once('=') {
            Some((key, value)) if plan.field(*field).is_map() => {
                write_map_text(&plan, *field, key, value, out)
            }
            _ => write_text(&plan, *field, text, out),
        });
        pushed.unwrap();
    }
    splice.seal();
    splice
}

/// Body, leaves, the message, and whether it is one also where different values are refused, or the field at fault.
type Case<'a> = (&'a str, &'a [Given<'a>], &'a str, Result<(), &'a str>);

const TABLE: &[Case<'_>] = &[
    // fields that the body does not have
    ("{}", &[("anInt32", Path, "5")], "an_int32:5", Ok(())),
    ("{}", &[("anInt32", Query, "5")], "an_int32:5", Ok(())),
    (
        "{}",
        &[("inner.inner.number", Path, "5"), ("inner.text", Query, "x")],
        "inner{text:\"x\",inner{number:5}}",
        Ok(()),
    ),
    (
        r#"{"aBool":true}"#,
        &[("strings", Query, "a"), ("strings", Query, "b")],
        "a_bool:true,strings:[\"a\",\"b\"]",
        Ok(()),
    ),
    (
        "{}",
        &[("timestamp", Query, "1970-01-01T00:00:01Z"), ("int32Value", Query, "0")],
        "timestamp{seconds:1},int32_value{}",
        Ok(()),
    ),
    ("{}", &[("byString", Query, "a=b")], "by_string:[{key:\"a\",value:\"b\"}]", Ok(())),
    // path, body, query
    (r#"{"anInt32":1}"#, &[("anInt32", Path, "5")], "an_int32:5", Err("anInt32")),
    (r#"{"anInt32":5}"#, &[("anInt32", Path, "5")], "an_int32:5", Ok(())),
    (r#"{"anInt32":1}"#, &[("anInt32", Query, "5")], "an_int32:1", Err("anInt32")),
    (r#"{"anInt32":5}"#, &[("anInt32", Query, "5")], "an_int32:5", Ok(())),
    (r#"{"anInt32":0}"#, &[("anInt32", Query, "5")], "", Err("anInt32")),
    (r#"{"anInt32":null}"#, &[("anInt32", Query, "5")], "", Err("anInt32")),
    (r#"{"anInt32":null}"#, &[("anInt32", Path, "5")], "an_int32:5", Err("anInt32")),
    (r#"{"aString":""}"#, &[("aString", Path, "p")], "a_string:\"p\"", Err("aString")),
    // inside the body's submessage
    (r#"{"inner":{"text":"b"}}"#, &[("inner.number", Path, "5")], "inner{text:\"b\",number:5}", Ok(())),
    (r#"{"inner":{"text":"b"}}"#, &[("inner.text", Path, "p")], "inner{text:\"p\"}", Err("inner.text")),
    (
        r#"{"inner":{"text":"b"}}"#,
        &[("inner.text", Query, "q"), ("inner.number", Query, "5")],
        "inner{text:\"b\",number:5}",
        Err("inner.text"),
    ),
    (
        r#"{"inner":{"inner":{"text":"b"}}}"#,
        &[("inner.inner.number", Path, "5"), ("inner.inner.text", Query, "q")],
        "inner{inner{text:\"b\",number:5}}",
        Err("inner.inner.text"),
    ),
    (r#"{"inner":{}}"#, &[("inner.inner.number", Query, "5")], "inner{inner{number:5}}", Ok(())),
    (r#"{"inner":null}"#, &[("inner.number", Query, "5")], "", Err("inner")),
    (
        r#"{"inner":null}"#,
        &[("inner.number", Path, "5"), ("inner.text", Query, "q")],
        "inner{number:5}",
        Err("inner"),
    ),
    (
        r#"{"inner":{"inner":null}}"#,
        &[("inner.inner.number", Path, "5")],
        "inner{inner{number:5}}",
        Err("inner.inner"),
    ),
    // lists and maps
    (r#"{"int32s":[1]}"#, &[("int32s", Query, "2"), ("int32s", Query, "3")], "int32s:[1,2,3]", Ok(())),
    (r#"{"int32s":null}"#, &[("int32s", Query, "2")], "int32s:[2]", Ok(())),
    (r#"{"int32s":[]}"#, &[("int32s", Query, "2")], "int32s:[2]", Ok(())),
    (r#"{"int32s":[1]}"#, &[("int32s", Path, "2")], "int32s:[2]", Err("int32s")),
    (r#"{"int32s":[2,3]}"#, &[("int32s", Path, "2"), ("int32s", Path, "3")], "int32s:[2,3]", Ok(())),
    (r#"{"inner":{"many":[1]}}"#, &[("inner.many", Query, "2")], "inner{many:[1,2]}", Ok(())),
    (
        r#"{"byString":{"a":"body"}}"#,
        &[("byString", Query, "a=query")],
        "by_string:[{key:\"a\",value:\"body\"}]",
        Err(r#"byString["a"]"#),
    ),
    (r#"{"byInt64":{"1":2}}"#, &[("byInt64", Query, "1=2")], "by_int64:[{key:1,value:2}]", Ok(())),
    (r#"{"byInt64":{}}"#, &[("byInt64", Query, "2=2")], "by_int64:[{key:2,value:2}]", Ok(())),
    // oneofs
    (r#"{"choiceInt":1}"#, &[("choiceText", Path, "p")], "choice_text:\"p\"", Err("choiceInt")),
    (r#"{"choiceInt":1}"#, &[("choiceText", Query, "q")], "choice_int:1", Err("choiceText")),
    (r#"{"choiceInt":null}"#, &[("choiceText", Query, "q")], "choice_text:\"q\"", Ok(())),
    (
        r#"{"choiceInner":{"text":"b"}}"#,
        &[("choiceInner.number", Path, "5")],
        "choice_inner{text:\"b\",number:5}",
        Ok(()),
    ),
    (r#"{"choiceInt":1}"#, &[("choiceInner.number", Path, "5")], "choice_inner{number:5}", Err("choiceInt")),
    (
        r#"{"choiceInner":{"text":"b"}}"#,
        &[("choiceInt", Query, "5")],
        "choice_inner{text:\"b\"}",
        Err("choiceInt"),
    ),
    (
        "{}",
        &[("choiceInt", Query, "5"), ("choiceInner.number", Path, "1")],
        "choice_inner{number:1}",
        Err("choiceInt"),
    ),
    // messages with a scalar form stand or fall as a whole
    (
        r#"{"timestamp":"1970-01-01T00:00:01Z"}"#,
        &[("timestamp", Path, "1970-01-01T00:00:02Z")],
        "timestamp{seconds:2}",
        Err("timestamp"),
    ),
    (
        r#"{"timestamp":"1970-01-01T00:00:01Z"}"#,
        &[("timestamp", Path, "1970-01-01T01:00:01+01:00")],
        "timestamp{seconds:1}",
        Ok(()),
    ),
    (
        r#"{"timestamp":"1970-01-01T00:00:01Z"}"#,
        &[("timestamp.seconds", Path, "7")],
        "timestamp{seconds:7}",
        Err("timestamp"),
    ),
    (
        r#"{"timestamp":"1970-01-01T00:00:01Z"}"#,
        &[("timestamp.nanos", Query, "7")],
        "timestamp{seconds:1}",
        Err("timestamp"),
    ),
    (r#"{"int32Value":3}"#, &[("int32Value", Query, "4")], "int32_value{value:3}", Err("int32Value")),
    (r#"{"mask":"a,b"}"#, &[("mask", Query, "c_d")], "mask{paths:[\"a\",\"b\"]}", Err("mask")),
    // path and query in one field
    ("{}", &[("anInt32", Query, "1"), ("anInt32", Path, "2")], "an_int32:2", Err("anInt32")),
    ("{}", &[("anInt32", Query, "2"), ("anInt32", Path, "2")], "an_int32:2", Ok(())),
    ("{}", &[("int32s", Query, "1"), ("int32s", Path, "2")], "int32s:[2,1]", Ok(())),
    (
        "{}",
        &[("inner.inner.text", Query, "q"), ("inner.inner.text", Path, "p")],
        "inner{inner{text:\"p\"}}",
        Err("inner.inner.text"),
    ),
];

#[test]
fn table() {
    for (body, leaves, expected, same) in TABLE {
        let splice = splice(leaves);
        let wire = read_with("t.All", body, &splice, &ReadOptions::default()).unwrap();
        assert_eq!(text_of("t.All", &wire), *expected, "{body} {leaves:?}");

        let options = ReadOptions { overrides: Overrides::RejectDifferent, ..ReadOptions::default() };
        let strict = read_with("t.All", body, &splice, &options);
        let strict = strict.map(|_| ()).map_err(|error| (error.kind, error.path));
        assert_eq!(strict, same.map_err(|path| (OverrideDiffers, path.to_owned())), "{body} {leaves:?}");
    }
}

/// Without a body, and with a body that is an empty object, the same is written.
#[test]
fn no_body() {
    for (_, leaves, _, _) in TABLE {
        let splice = splice(leaves);
        let mut out = Vec::new();
        write_splice(&all(), &splice, &mut out);
        let wire = read_with("t.All", "{}", &splice, &ReadOptions::default()).unwrap();
        assert_eq!(out, wire, "{leaves:?}");
    }
}

/// Where the body is a form, its leaves stand between those of path and query.
#[test]
fn forms() {
    let table: &[(&[Given<'_>], &str)] = &[
        (&[("anInt32", Query, "1"), ("anInt32", Body, "2")], "an_int32:2"),
        (&[("anInt32", Body, "2"), ("anInt32", Path, "3")], "an_int32:3"),
        (&[("inner.text", Body, "b"), ("inner.number", Query, "1")], "inner{text:\"b\",number:1}"),
        // lists: the path's takes the place of the body's, the query's is added
        (&[("int32s", Query, "3"), ("int32s", Body, "1"), ("int32s", Body, "2")], "int32s:[1,2,3]"),
        (&[("int32s", Query, "3"), ("int32s", Body, "2"), ("int32s", Path, "1")], "int32s:[1,3]"),
        // a message as a whole and in part
        (
            &[("timestamp.seconds", Body, "7"), ("timestamp", Query, "1970-01-01T00:00:01Z")],
            "timestamp{seconds:7}",
        ),
        (
            &[("timestamp", Body, "1970-01-01T00:00:01Z"), ("timestamp.seconds", Query, "7")],
            "timestamp{seconds:1}",
        ),
        (
            &[("timestamp", Body, "1970-01-01T00:00:01Z"), ("timestamp", Path, "1970-01-01T00:00:02Z")],
            "timestamp{seconds:2}",
        ),
    ];
    for (leaves, want) in table {
        let splice = splice(leaves);
        let mut out = Vec::new();
        write_splice(&all(), &splice, &mut out);
        assert_eq!(text_of("t.All", &out), *want, "{leaves:?}");
        let touched = |name: &str| splice.touches(all().field_by_name(name).unwrap());
        let (first, _) = leaves[0].0.split_once('.').unwrap_or((leaves[0].0, ""));
        assert!(touched(first) && !touched("aBool"), "{leaves:?}");
    }
}

/// The field that the body is, the body, the leaves and the message.
const FIELD: &[(&str, &str, &[Given<'_>], &str)] = &[
    (
        "inner",
        r#"{"text":"b"}"#,
        &[("aString", Path, "p"), ("anInt32", Query, "2")],
        "an_int32:2,a_string:\"p\",inner{text:\"b\"}",
    ),
    (
        "inner",
        r#"{"text":"b"}"#,
        &[("inner.text", Path, "p"), ("inner.number", Query, "2")],
        "inner{text:\"p\",number:2}",
    ),
    ("int32s", "[1]", &[("int32s", Query, "2"), ("aBool", Path, "true")], "a_bool:true,int32s:[1,2]"),
    ("choiceInner", r#"{"text":"b"}"#, &[("choiceInt", Query, "2")], "choice_inner{text:\"b\"}"),
    ("choiceInner", r#"{"text":"b"}"#, &[("choiceInt", Path, "2")], "choice_int:2"),
];

#[test]
fn one_field_as_the_body() {
    for (field, body, leaves, expected) in FIELD {
        let field = all().field_by_name(field).unwrap();
        let mut out = Vec::new();
        read_field(&all(), field, body.as_bytes(), &splice(leaves), &ReadOptions::default(), &mut out)
            .unwrap();
        assert_eq!(text_of("t.All", &out), *expected, "{body} {leaves:?}");
    }
}

#[test]
fn what_is_dropped_is_checked() {
    let splice = splice(&[("anInt32", Path, "5"), ("choiceText", Path, "x")]);
    for (body, path) in [(r#"{"anInt32":"x"}"#, "anInt32"), (r#"{"choiceInt":"x"}"#, "choiceInt")] {
        let error = read_with("t.All", body, &splice, &ReadOptions::default()).unwrap_err();
        assert_eq!((error.kind, &*error.path), (ReadErrorKind::BadNumber, path), "{body}");
    }
}

/// Each singular message is on the wire once.
#[test]
fn once() {
    let splice =
        splice(&[("inner.number", Path, "5"), ("inner.inner.text", Query, "x"), ("anInt32", Path, "1")]);
    let wire = read_with(
        "t.All",
        r#"{"inner":{"inner":{"number":1}},"aBool":true}"#,
        &splice,
        &ReadOptions::default(),
    );
    let mut fields = wire::Wire::new(wire.as_deref().unwrap());
    let mut numbers = Vec::new();
    while !fields.is_empty() {
        let (number, wire_type) = fields.tag().unwrap();
        fields.value(number, wire_type).unwrap();
        numbers.push(number);
    }
    assert_eq!(numbers, [17, 13, 1]);
}

/// Entries of path and query come after those of the body, and none that the body has.
#[test]
fn maps() {
    let splice = splice(&[("byString", Query, "a=query"), ("byString", Query, "b=query")]);
    let wire =
        read_with("t.All", r#"{"byString":{"a":"body","c":"body"}}"#, &splice, &ReadOptions::default())
            .unwrap();
    assert_eq!(write(&wire).unwrap(), r#"{"byString":{"a":"body","c":"body","b":"query"}}"#);

    let splice = self::splice(&[("byString", Query, "b=query"), ("byString", Body, "a=form")]);
    let mut out = Vec::new();
    write_splice(&all(), &splice, &mut out);
    assert_eq!(write(&out).unwrap(), r#"{"byString":{"a":"form","b":"query"}}"#);
}

#[test]
fn a_failed_push_leaves_nothing() {
    let mut splice = Splice::new();
    let field = path("anInt32");
    let failed = splice.push(&field, Path, |out| {
        out.push(1);
        Err("no")
    });
    assert_eq!(failed, Err("no"));
    assert!(splice.is_empty());
    let mut out = Vec::new();
    write_splice(&all(), &splice, &mut out);
    assert!(out.is_empty());
}
