//! Which paths the members of a body make.

use super::*;

fn paths(json: &str) -> Result<String, ReadErrorKind> {
    member_paths(&all(), json.as_bytes(), 100).map(|paths| paths.join(" ")).map_err(|error| error.kind)
}

#[test]
fn table() {
    let table = [
        ("null", ""),
        (" {} ", ""),
        // proto names for either spelling, in the order of the body
        (r#"{"aString":"x","an_int32":1}"#, "a_string an_int32"),
        (r#"{"maybeInt32":0,"aBool":false}"#, "maybe_int32 a_bool"),
        // objects by path, however deep
        (r#"{"inner":{"text":"x","inner":{"number":1}}}"#, "inner.text inner.inner.number"),
        (
            r#"{"inner":{"inner":{"color":"RED"},"text":"x"},"aBool":true}"#,
            "inner.inner.color inner.text a_bool",
        ),
        (r#"{"choiceInner":{"number":1}}"#, "choice_inner.number"),
        // what ends a path
        (r#"{"inner":null,"aString":null}"#, "inner a_string"),
        (r#"{"inner":{}}"#, "inner"),
        (r#"{"inner":{"inner":{}}}"#, "inner.inner"),
        (r#"{"inner":{"many":[1]},"inners":[{"text":"x"}]}"#, "inner.many inners"),
        (r#"{"byString":{"a":"b"},"byInt32":{"1":{"text":"x"}}}"#, "by_string by_int32"),
        (r#"{"timestamp":"1970-01-01T00:00:00Z","mask":"a.b"}"#, "timestamp mask"),
        (r#"{"aStruct":{"a":{"b":1}},"value":{"a":1},"empty":{}}"#, "a_struct value empty"),
        (r#"{"any":{"@type":"type.googleapis.com/t.Inner","text":"x"}}"#, "any"),
        (r#"{"other \"name\"":"x"}"#, "renamed"),
        (r#"{"inn\u0065r":{"text":"x"}}"#, "inner.text"),
        // unknown members, which a listener may ignore
        (r#"{"nobody":{"text":1},"aBool":true}"#, "a_bool"),
        (r#"{"inner":{"nobody":1}}"#, "inner"),
    ];
    for (json, want) in table {
        assert_eq!(paths(json).as_deref(), Ok(want), "{json}");
    }
}

#[test]
fn what_is_no_object() {
    let table = [
        ("[]", ReadErrorKind::WrongType),
        ("1", ReadErrorKind::WrongType),
        ("", ReadErrorKind::Syntax),
        (r#"{"inner":{"text"}}"#, ReadErrorKind::Syntax),
    ];
    for (json, want) in table {
        assert_eq!(paths(json), Err(want), "{json}");
    }
    assert_eq!(member_paths(&all(), b"{\"aString\":\"\xff\"}", 9).unwrap_err().kind, ReadErrorKind::Utf8);
}

fn nested(depth: usize) -> String {
    format!("{}{{}}{}", r#"{"inner":"#.repeat(depth - 1), "}".repeat(depth - 1))
}

#[test]
fn depth_is_limited() {
    assert_eq!(paths(&nested(100)), Ok(["inner"; 99].join(".")));
    assert_eq!(paths(&nested(101)), Err(ReadErrorKind::Depth));
}

/// A small body can make long paths; all together they have a limit.
#[test]
fn size_is_limited() {
    let with = |count: usize| {
        let mut plan = "{".to_owned();
        for index in 0..count {
            if index > 0 {
                plan.push(',');
            }
            // The reader refuses members that come twice; this walk takes them as they are.
            plan.push_str(&format!("\"inner\":{}", nested(98)));
        }
        plan + "}"
    };
    let one = ["inner"; 98].join(".").len();
    let most = (1 << 20) / one;
    assert_eq!(member_paths(&all(), with(most).as_bytes(), 100).map(|paths| paths.len()), Ok(most));
    let error = member_paths(&all(), with(most + 1).as_bytes(), 100).unwrap_err();
    assert_eq!(error.kind, ReadErrorKind::MaskTooLarge);
}

#[test]
fn masks_are_written_as_the_schema_has_them() {
    let mask = all().field_by_name("mask").unwrap();
    for (paths, want) in [
        (vec![], "mask{}"),
        (vec!["a".to_owned(), "b.c_d".to_owned()], "mask{paths:[\"a\",\"b.c_d\"]}"),
        (vec!["x".repeat(200)], &*format!("mask{{paths:[\"{}\"]}}", "x".repeat(200))),
    ] {
        let mut out = Vec::new();
        write_mask(&all(), mask, &paths, &mut out);
        assert_eq!(text_of("t.All", &out), want);
    }
}
