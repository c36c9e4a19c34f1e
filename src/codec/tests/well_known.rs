//! The well-known types in both directions.

use super::*;
use ReadErrorKind::*;

/// JSON that is read and written back the same.
#[test]
fn there_and_back() {
    let table = [
        r#"{"timestamp":"2024-02-29T01:02:03.004Z","duration":"-1.500s"}"#,
        r#"{"timestamp":"1970-01-01T00:00:00Z","duration":"0s"}"#,
        r#"{"mask":"fooBar,a.bC"}"#,
        r#"{"mask":""}"#,
        r#"{"aStruct":{}}"#,
        r#"{"aStruct":{"a":null,"b":1.5,"c":"x","d":true,"e":{"f":{}},"g":[1,[],{}]}}"#,
        r#"{"value":null}"#,
        r#"{"value":-1}"#,
        r#"{"value":"x"}"#,
        r#"{"value":false}"#,
        r#"{"value":{"a":[]}}"#,
        r#"{"value":[]}"#,
        r#"{"list":[]}"#,
        r#"{"list":[1,null,"x",[true]]}"#,
        r#"{"valueList":[null,1,[null]],"values":{"a":null}}"#,
        r#"{"empty":{}}"#,
        r#"{"boolValue":false,"int32Value":0,"int64Value":"0","uint32Value":0,"uint64Value":"0"}"#,
        r#"{"floatValue":"NaN","doubleValue":"-Infinity","stringValue":"","bytesValue":""}"#,
        r#"{"int32Value":-1,"int64Value":"-1","floatValue":1.5,"stringValue":"x","bytesValue":"AQI="}"#,
        r#"{"timestamps":["1970-01-01T00:00:00Z"],"times":{"a":"0001-01-01T00:00:00Z"},"names":["","x"]}"#,
        r#"{"any":{}}"#,
        r#"{"any":{"@type":"type.googleapis.com/t.Inner","text":"x","inner":{"number":1}}}"#,
        r#"{"any":{"@type":"type.googleapis.com/t.Inner"}}"#,
        r#"{"any":{"@type":"type.googleapis.com/google.protobuf.Timestamp","value":"1970-01-01T00:00:00Z"}}"#,
        r#"{"any":{"@type":"type.googleapis.com/google.protobuf.Int32Value","value":0}}"#,
        r#"{"any":{"@type":"type.googleapis.com/google.protobuf.Value","value":null}}"#,
        r#"{"any":{"@type":"type.googleapis.com/google.protobuf.Struct","value":{"a":1}}}"#,
        r#"{"any":{"@type":"type.googleapis.com/google.protobuf.Empty","value":{}}}"#,
        r#"{"anys":[{"@type":"a/google.protobuf.Any","value":{"@type":"b/t.Inner","number":1}},{}]}"#,
    ];
    for json in table {
        assert_eq!(write(&wire(json)).as_deref(), Ok(json));
    }
}

#[test]
fn other_spellings() {
    let table = [
        (
            r#"{"any":{"value":{"number":1,"@type":"x/t.Inner"},"@type":"x/google.protobuf.Any"}}"#,
            r#"{"any":{"@type":"x/google.protobuf.Any","value":{"@type":"x/t.Inner","number":1}}}"#,
        ),
        (
            r#"{"anys":[{"number":1,"@type":"x/t.Inner"},{},{"text":"@type", "@type" : "y/t.Inner"}]}"#,
            r#"{"anys":[{"@type":"x/t.Inner","number":1},{},{"@type":"y/t.Inner","text":"@type"}]}"#,
        ),
        (r#"{"any":{"number":1,"@type":"x/t.Inner"}}"#, r#"{"any":{"@type":"x/t.Inner","number":1}}"#),
        (
            r#"{"any":{"value":"1s","@type":"x/google.protobuf.Duration"}}"#,
            r#"{"any":{"@type":"x/google.protobuf.Duration","value":"1s"}}"#,
        ),
        (
            r#"{"any":{"@type":"x/google.protobuf.Empty"}}"#,
            r#"{"any":{"@type":"x/google.protobuf.Empty","value":{}}}"#,
        ),
        (
            r#"{"int64Value":5,"int32Value":"5","duration":"1.000000001s"}"#,
            r#"{"int64Value":"5","int32Value":5,"duration":"1.000000001s"}"#,
        ),
        (r#"{"timestamp":"2024-05-01T02:00:00+02:00"}"#, r#"{"timestamp":"2024-05-01T00:00:00Z"}"#),
        (
            r#"{"timestamp":null,"aStruct":null,"list":null,"int32Value":null,"any":null,"nullValue":null}"#,
            "{}",
        ),
    ];
    for (json, expected) in table {
        let wire = wire(json);
        // a oneof member or a null value may be on the wire, but nothing else may
        assert_eq!(write(&wire).as_deref(), Ok(expected), "{json}");
    }
}

#[test]
fn bad_json() {
    let table = [
        (r#"{"timestamp":"2024-02-30T00:00:00Z"}"#, BadTimestamp, "timestamp"),
        (r#"{"timestamp":1}"#, WrongType, "timestamp"),
        (r#"{"timestamps":[null]}"#, NullInArray, "timestamps[0]"),
        (r#"{"duration":"1"}"#, BadDuration, "duration"),
        (r#"{"mask":"foo_bar"}"#, BadFieldMask, "mask"),
        (r#"{"mask":["a"]}"#, WrongType, "mask"),
        (r#"{"aStruct":[]}"#, WrongType, "aStruct"),
        (r#"{"aStruct":{"a":1,"a":2}}"#, DuplicateMember, r#"aStruct["a"]"#),
        (r#"{"aStruct":{"a":{"b":1e999}}}"#, OutOfRange, r#"aStruct["a"]["b"]"#),
        (r#"{"list":{}}"#, WrongType, "list"),
        (r#"{"list":[1,x]}"#, Syntax, "list[1]"),
        (r#"{"value":x}"#, Syntax, "value"),
        (r#"{"value":nul}"#, Syntax, "value"),
        (r#"{"nullValue":"X"}"#, BadEnum, "nullValue"),
        (r#"{"empty":{"a":1}}"#, UnknownMember, "empty.a"),
        (r#"{"int32Value":{"value":1}}"#, WrongType, "int32Value"),
        (r#"{"int32Value":4294967296}"#, OutOfRange, "int32Value"),
        (r#"{"any":{"number":1}}"#, BadAny, "any"),
        (r#"{"any":{"@type":"x/t.Nothing"}}"#, BadAny, "any.@type"),
        (r#"{"any":{"@type":"t.Inner"}}"#, BadAny, "any.@type"),
        (r#"{"any":{"@type":1}}"#, WrongType, "any"),
        (r#"{"any":{"number":1,"@type":1}}"#, WrongType, "any"),
        (r#"{"any":{"inner":{"@type":"x/t.Inner"}}}"#, BadAny, "any"),
        (r#"{"any":{"number":1,"@type":"x/t.Inner"]}"#, Syntax, "any"),
        (r#"{"any":{"number":1,2:3}}"#, Syntax, "any"),
        (r#"{"any":{"@type":"x/t.Inner","@type":"x/t.Inner"}}"#, DuplicateMember, "any.@type"),
        (r#"{"any":{"@type":"x/t.Inner","numbers":1}}"#, UnknownMember, "any.numbers"),
        (r#"{"any":{"@type":"x/google.protobuf.Duration"}}"#, BadAny, "any"),
        (r#"{"any":{"@type":"x/google.protobuf.Duration","value":"x"}}"#, BadDuration, "any.value"),
        (
            r#"{"any":{"@type":"x/google.protobuf.Duration","value":"1s","value":"1s"}}"#,
            DuplicateMember,
            "any.value",
        ),
        (r#"{"any":{"@type":"x/google.protobuf.Duration","value":"1s","a":1}}"#, UnknownMember, "any.a"),
        (r#"{"any":[]}"#, WrongType, "any"),
    ];
    for (json, kind, path) in table {
        let error = read(json).expect_err(json);
        assert_eq!((error.kind, &*error.path), (kind, path), "{json}");
    }
}

/// A message of `t.All` with one field of these contents.
fn with(name: &str, contents: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    all().inner().field(path(name)[0]).tag.push(&mut out);
    wire::push_bytes(&mut out, contents);
    out
}

#[test]
fn wire_that_has_no_json() {
    use WireErrorKind::*;
    let far = [0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
    let nan: Vec<u8> = [&[0x11][..], &f64::NAN.to_le_bytes()].concat();
    let table: [(&str, &[u8], WireErrorKind); 7] = [
        ("timestamp", &far, Timestamp),
        ("timestamp", &[0x10, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], Timestamp),
        ("duration", &far, Duration),
        (
            "duration",
            &[0x08, 0x01, 0x10, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
            Duration,
        ),
        ("mask", b"\x0a\x03a_1", FieldMask),
        ("mask", b"\x0a\x01\xff", Utf8),
        ("value", &nan, Value),
    ];
    for (name, contents, kind) in table {
        assert_eq!(write(&with(name, contents)).map_err(|error| error.kind), Err(kind), "{name}");
    }
}

#[test]
fn wire_that_encoders_rarely_make() {
    let table: [(&str, &[u8], &str); 12] = [
        ("timestamp", &[0x08, 0x01, 0x08, 0x02], r#""1970-01-01T00:00:02Z""#),
        ("value", &[], "null"),
        ("value", &[0x20, 0x01, 0x1a, 0x01, 0x61], r#""a""#),
        ("value", &[0x78, 0x01, 0x1a, 0x01, 0x61], r#""a""#),
        // a struct in two parts, with a key that comes twice
        ("value", b"\x2a\x08\x0a\x06\x0a\x01a\x12\x01\x20\x2a\x09\x0a\x07\x0a\x01b\x12\x02\x20\x01", "bad"),
        (
            "value",
            b"\x2a\x09\x0a\x07\x0a\x01a\x12\x02\x20\x00\x2a\x09\x0a\x07\x0a\x01b\x12\x02\x20\x01",
            r#"{"a":false,"b":true}"#,
        ),
        ("aStruct", b"\x0a\x07\x0a\x01a\x12\x02\x20\x00\x0a\x07\x0a\x01a\x12\x02\x20\x01", r#"{"a":true}"#),
        ("aStruct", b"\x78\x01\x0a\x07\x0a\x01a\x12\x02\x20\x00", r#"{"a":false}"#),
        ("list", b"\x0a\x02\x20\x01\x78\x01\x0a\x00", "[true,null]"),
        ("any", b"\x0a\x03x/y\x12\x02ab", r#"{"@type":"x/y","value":"YWI="}"#),
        ("any", b"\x12\x02ab", r#"{"@type":"","value":"YWI="}"#),
        ("any", b"\x12\x04\x10\x01\x10\x02\x0a\x09x/t.Inner", r#"{"@type":"x/t.Inner","number":2}"#),
    ];
    for (name, contents, expected) in table {
        let written = write(&with(name, contents)).unwrap_or_else(|_| format!(r#"{{"{name}":bad}}"#));
        assert_eq!(written, format!(r#"{{"{name}":{expected}}}"#));
    }
}

#[test]
fn as_the_whole_message() {
    let table = [
        ("google.protobuf.Timestamp", r#""1970-01-01T00:00:01Z""#),
        ("google.protobuf.Value", "[null]"),
        ("google.protobuf.Struct", r#"{"a":1}"#),
        ("google.protobuf.Int32Value", "5"),
        ("google.protobuf.Empty", "{}"),
    ];
    for (name, json) in table {
        let wire = read_with(name, json, &Splice::new(), &ReadOptions::default()).unwrap();
        assert_eq!(write_as(name, &wire, JsonStyle::default()).as_deref(), Ok(json), "{name}");
    }
}

#[test]
fn nested_values_are_limited() {
    let json = |levels: usize| format!(r#"{{"value":{}{}}}"#, "[".repeat(levels), "]".repeat(levels));
    assert!(read(&json(40)).is_ok());
    assert_eq!(read(&json(200)).unwrap_err().kind, Depth);
    let any = |levels: usize| {
        let open = r#"{"@type":"x/google.protobuf.Any","value":"#.repeat(levels);
        format!(r#"{{"any":{open}{{}}{}}}"#, "}".repeat(levels))
    };
    assert!(read(&any(40)).is_ok());
    assert_eq!(read(&any(200)).unwrap_err().kind, Depth);
}
