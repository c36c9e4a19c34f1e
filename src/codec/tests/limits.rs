//! What the codec takes at most: each limit at its last value, and one beyond.

use super::*;
use ReadErrorKind::*;

fn limited(json: &str, options: &ReadOptions<'_>) -> Result<(), (ReadErrorKind, String)> {
    read_with("t.All", json, &Splice::new(), options).map(|_| ()).map_err(|error| (error.kind, error.path))
}

/// Whether reading is refused for this reason, at this field, and only there.
fn refused(json: &str, options: &ReadOptions<'_>, wanted: (ReadErrorKind, &str)) -> bool {
    limited(json, options).is_err_and(|(kind, path)| (kind, &*path) == wanted)
}

/// In all that opens an object or an array: messages, lists, maps, well-known types, and what is ignored.
#[test]
fn depth() {
    let options = ReadOptions { depth: 5, unknown: &Unknown::Ignore, ..ReadOptions::default() };
    let table = [
        (r#"{"inner":"#, r#"{"inner":"#, "{}", "}", 5),
        (r#"{"list":"#, "[", "[]", "]", 5),
        (r#"{"value":"#, r#"{"a":"#, "{}", "}", 5),
        (r#"{"aStruct":{"a":"#, r#"{"a":"#, "{}", "}", 4),
        (r#"{"nothing":"#, "[", "[]", "]", 5),
        (r#"{"byInt32":{"1":"#, r#"{"inner":"#, "{}", "}", 4),
        (r#"{"inners":["#, r#"{"inner":"#, "{}", "}", 4),
    ];
    for (start, open, innermost, close, levels) in table {
        let json = |levels: usize| {
            let repeated = levels - 2;
            let ends = match (start.contains(":["), start.matches('{').count()) {
                (true, _) => "]}",
                (false, 1) => "}",
                (false, _) => "}}",
            };
            format!("{start}{}{innermost}{}{ends}", open.repeat(repeated), close.repeat(repeated))
        };
        assert_eq!(limited(&json(levels), &options), Ok(()), "{}", json(levels));
        let error = limited(&json(levels + 1), &options);
        assert_eq!(error.map_err(|(kind, _)| kind), Err(Depth), "{}", json(levels + 1));
    }
}

/// An `Any` is an object like any other; its `value` is one level further in.
#[test]
fn depth_of_any() {
    let any = |levels: usize| {
        let url = "t/google.protobuf.Any";
        let open = format!(r#"{{"@type":"{url}","value":"#).repeat(levels);
        format!(r#"{{"any":{open}{{}}{}}}"#, "}".repeat(levels))
    };
    let options = ReadOptions { depth: 5, ..ReadOptions::default() };
    assert_eq!(limited(&any(3), &options), Ok(()));
    assert_eq!(limited(&any(4), &options).map_err(|(kind, _)| kind), Err(Depth));
}

#[test]
fn strings() {
    let options = ReadOptions { max_string: 8, unknown: &Unknown::Ignore, ..ReadOptions::default() };
    // A string as it is spelled, of 8 bytes; with one more letter it is refused at this field.
    let table = [
        (r#"{"aString":"#, "12345678", "}", "aString"),
        (r#"{"aString":"#, r"1\u00e9x", "}", "aString"),
        (r#"{"strings":["","#, "12345678", "]}", "strings[1]"),
        (r#"{"byString":{"#, "12345678", r#":""}}"#, "byString"),
        (r#"{"byString":{"a":"#, "12345678", "}}", r#"byString["a"]"#),
        (r#"{"someB":"#, "AQIDAQID", "}", ""),
        (r#"{"x":{"#, "12345678", ":1}}", ""),
        ("{", "12345678", ":1}", ""),
        (r#"{"value":"#, "12345678", "}", "value"),
    ];
    for (before, text, after, path) in table {
        let json = format!("{before}\"{text}\"{after}");
        assert_eq!(limited(&json, &options), Ok(()), "{json}");
        let json = format!("{before}\"{text}9\"{after}");
        assert!(refused(&json, &options, (StringTooLong, path)), "{json} {:?}", limited(&json, &options));
    }
    let error = read_with("t.All", r#"{"aString":"123456789"}"#, &Splice::new(), &options).unwrap_err();
    assert_eq!(error.to_string(), "aString: a string is longer than allowed (at byte 21)");
}

#[test]
fn numbers() {
    let options = ReadOptions { unknown: &Unknown::Ignore, ..ReadOptions::default() };
    let number = |len: usize| format!("1.{}", "0".repeat(len - 2));
    for (before, after, path) in [
        (r#"{"anInt32":"#, "}", "anInt32"),
        (r#"{"anInt32":""#, "\"}", "anInt32"),
        (r#"{"aDouble":"#, "}", "aDouble"),
        (r#"{"aFloat":""#, "\"}", "aFloat"),
        (r#"{"value":"#, "}", "value"),
        (r#"{"byInt32":{""#, "\":{}}}", ""),
        (r#"{"nothing":["#, "]}", ""),
    ] {
        let json = |len| format!("{before}{}{after}", number(len));
        assert_eq!(limited(&json(MAX_NUMBER_LEN), &options), Ok(()), "{before}");
        let (kind, found) = limited(&json(MAX_NUMBER_LEN + 1), &options).unwrap_err();
        assert_eq!(kind, NumberTooLong, "{before}");
        assert!(found == path || found.starts_with("byInt32["), "{found}");
    }
    let field = path("an_int32")[0];
    let text = write_text(&all(), field, &number(MAX_NUMBER_LEN + 1), &mut Vec::new());
    assert_eq!(text, Err(TextError::Invalid(BadNumber)), "without fractions, these are refused before");
    let field = path("a_double")[0];
    let text = write_text(&all(), field, &number(MAX_NUMBER_LEN + 1), &mut Vec::new());
    assert_eq!(text, Err(TextError::Invalid(NumberTooLong)));
    assert!(write_text(&all(), field, &number(MAX_NUMBER_LEN), &mut Vec::new()).is_ok());
}

/// The exact value of the smallest double is still short enough.
#[test]
fn exact_values_of_doubles_are_no_long_numbers() {
    let exact = format!("{:.1074}", f64::from_bits(1));
    assert!(exact.len() < MAX_NUMBER_LEN);
    let wire = wire(&format!(r#"{{"aDouble":-{exact}}}"#));
    assert_eq!(write(&wire).unwrap(), r#"{"aDouble":-5e-324}"#);
}

#[test]
fn size_of_the_text() {
    let json = r#"{"aString":"x"}"#;
    let with = |max_len| ReadOptions { max_len, ..ReadOptions::default() };
    assert_eq!(limited(json, &with(json.len())), Ok(()));
    assert!(refused(json, &with(json.len() - 1), (TooLarge, "")));
}

/// Eight bytes on the wire take two in JSON.
#[test]
fn size_of_the_message() {
    let json = format!(r#"{{"fixed64s":[{}]}}"#, vec!["0"; 100].join(","));
    let len = wire(&json).len();
    assert!(len > json.len());
    let with = |max_len| ReadOptions { max_len, ..ReadOptions::default() };
    assert_eq!(limited(&json, &with(len)), Ok(()));
    assert!(refused(&json, &with(len - 1), (TooLarge, "")));
}

/// The memory is never touched: a length is enough to be refused, and a zero is no tag.
#[test]
fn size_of_wire_bytes() {
    let bytes = vec![0; MAX_MESSAGE_LEN + 1];
    let write = |bytes: &[u8]| {
        write_message(&all(), bytes, JsonStyle::default(), &mut Vec::new()).map_err(|error| error.kind)
    };
    assert_eq!(write(&bytes), Err(WireErrorKind::TooLarge));
    assert_eq!(write(&bytes[..MAX_MESSAGE_LEN]), Err(WireErrorKind::Tag));
}

#[test]
fn depth_on_the_wire() {
    let nested = |levels: u32| {
        let mut bytes = Vec::new();
        for _ in 1..levels {
            let mut outer = vec![0x1a];
            wire::push_bytes(&mut outer, &bytes);
            bytes = outer;
        }
        bytes
    };
    let write = |levels| write_as("t.Inner", &nested(levels), JsonStyle::default());
    assert!(write(MAX_MESSAGE_DEPTH).is_ok());
    let error = write(MAX_MESSAGE_DEPTH + 1).unwrap_err();
    assert_eq!(error.kind, WireErrorKind::Depth);
    assert_eq!(error.path.matches("inner").count() as u32, MAX_MESSAGE_DEPTH);
    assert_eq!(error.offset, nested(MAX_MESSAGE_DEPTH + 1).len());
}
