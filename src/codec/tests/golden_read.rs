//! JSON to wire, case by case.

use super::*;
use ReadErrorKind::*;

/// JSON for `t.All`, and the text form of the message that it is.
const GOOD: &[(&str, &str)] = &[
    ("{}", ""),
    (" {\r\n\t} ", ""),
    (r#"{"anInt32":1}"#, "an_int32:1"),
    (r#"{"an_int32" : -1 }"#, "an_int32:-1"),
    (r#"{"anInt32":"12"}"#, "an_int32:12"),
    (r#"{"anInt32":1e3}"#, "an_int32:1000"),
    (r#"{"anInt32":"1e3"}"#, "an_int32:1000"),
    (r#"{"anInt32":1.0}"#, "an_int32:1"),
    (r#"{"anInt32":-2147483648}"#, "an_int32:-2147483648"),
    (r#"{"anInt64":"9223372036854775807"}"#, "an_int64:9223372036854775807"),
    (r#"{"anInt64":-9223372036854775808}"#, "an_int64:-9223372036854775808"),
    (r#"{"aUint64":18446744073709551615}"#, "a_uint64:18446744073709551615"),
    (r#"{"aSint32":-5,"aSint64":"-6"}"#, "a_sint32:-5,a_sint64:-6"),
    (
        r#"{"aFixed32":5,"aFixed64":"6","aSfixed32":-5,"aSfixed64":"-6"}"#,
        "a_fixed32:5,a_fixed64:6,a_sfixed32:-5,a_sfixed64:-6",
    ),
    (r#"{"aFloat":"NaN","aDouble":"-Infinity"}"#, "a_float:NaN,a_double:-inf"),
    (r#"{"aFloat":1.5,"aDouble":"2.5e3"}"#, "a_float:1.5,a_double:2500.0"),
    (r#"{"aBool":true}"#, "a_bool:true"),
    (r#"{"aBool":false,"anInt32":0,"aString":"","aDouble":0,"color":"COLOR_NONE"}"#, ""),
    (r#"{"aString":"a\"\\\u00e9\ud83d\ude00"}"#, r#"a_string:"a\"\\\303\251\360\237\230\200""#),
    (r#"{"someBytes":"AQI="}"#, "some_bytes:\"\\001\\002\""),
    (r#"{"someBytes":"-_8"}"#, "some_bytes:\"\\373\\377\""),
    (r#"{"color":"GREEN"}"#, "color:GREEN"),
    (r#"{"color":2}"#, "color:GREEN"),
    (r#"{"color":77}"#, "color:77"),
    (r#"{"color":"NEGATIVE"}"#, "color:NEGATIVE"),
    (r#"{"color":"FAR"}"#, "color:FAR"),
    (r#"{"inner":{"text":"x","inner":{"number":3}}}"#, "inner{text:\"x\",inner{number:3}}"),
    (r#"{"inner":{}}"#, "inner{}"),
    (r#"{"inner":null,"anInt32":null,"int32s":null,"byString":null,"choiceInt":null}"#, ""),
    (r#"{"int32s":[1,"2",3.0]}"#, "int32s:[1,2,3]"),
    (r#"{"int32s":[ ]}"#, ""),
    (r#"{"loose":[0,1]}"#, "loose:[0,1]"),
    (r#"{"strings":["","b"],"inners":[{},{"number":1}]}"#, "strings:[\"\",\"b\"],inners:[{},{number:1}]"),
    (r#"{"colors":["RED",2,0]}"#, "colors:[RED,GREEN,COLOR_NONE]"),
    (r#"{"maybeInt32":0,"maybeString":""}"#, "maybe_int32:0,maybe_string:\"\""),
    (r#"{"maybeInt32":null}"#, ""),
    (r#"{"choiceInt":0}"#, "choice_int:0"),
    (r#"{"choiceInt":null,"choiceText":"x"}"#, "choice_text:\"x\""),
    (r#"{"choiceNull":null}"#, "choice_null:NULL_VALUE"),
    (r#"{"choiceNull":"NULL_VALUE"}"#, "choice_null:NULL_VALUE"),
    (r#"{"byString":{"a":"b"}}"#, "by_string:[{key:\"a\",value:\"b\"}]"),
    (r#"{"byInt32":{"-1":{"number":1}}}"#, "by_int32:[{key:-1,value{number:1}}]"),
    (r#"{"byBool":{"true":"yes"}}"#, "by_bool:[{key:true,value:\"yes\"}]"),
    (r#"{"byUint32":{"0":"COLOR_NONE"}}"#, "by_uint32:[{key:0,value:COLOR_NONE}]"),
    (r#"{"other \"name\"":"x"}"#, "renamed:\"x\""),
    (r#"{"renamed":"x"}"#, "renamed:\"x\""),
    (r#"{"farAway":7}"#, "far_away:7"),
    (r#"{"a\u0042ool":true}"#, "a_bool:true"),
];

/// JSON that is refused: the kind, and the path of the field at fault.
const BAD: &[(&str, ReadErrorKind, &str)] = &[
    ("", Syntax, ""),
    ("[]", WrongType, ""),
    ("null", WrongType, ""),
    ("{", Syntax, ""),
    ("{}x", TrailingData, ""),
    ("{} {}", TrailingData, ""),
    (r#"{"anInt32":1,}"#, Syntax, ""),
    (r#"{,"anInt32":1}"#, Syntax, ""),
    (r#"{"anInt32" 1}"#, Syntax, ""),
    (r#"{"anInt32":1 "aBool":true}"#, Syntax, ""),
    (r#"{anInt32:1}"#, Syntax, ""),
    (r#"{1:1}"#, Syntax, ""),
    (r#"{"anInt32":01}"#, Syntax, ""),
    (r#"{"anInt32":+1}"#, Syntax, "anInt32"),
    (r#"{"anInt32":1.}"#, Syntax, "anInt32"),
    (r#"{"anInt32":-}"#, Syntax, "anInt32"),
    (r#"{"anInt32":"1 "}"#, BadNumber, "anInt32"),
    (r#"{"anInt32":""}"#, BadNumber, "anInt32"),
    (r#"{"anInt32":1.5}"#, BadNumber, "anInt32"),
    (r#"{"anInt32":2147483648}"#, OutOfRange, "anInt32"),
    (r#"{"aUint32":-1}"#, OutOfRange, "aUint32"),
    (r#"{"anInt64":"9223372036854775808"}"#, OutOfRange, "anInt64"),
    (r#"{"aUint64":18446744073709551616}"#, OutOfRange, "aUint64"),
    (r#"{"anInt32":true}"#, WrongType, "anInt32"),
    (r#"{"anInt32":[1]}"#, WrongType, "anInt32"),
    (r#"{"aFloat":1e39}"#, OutOfRange, "aFloat"),
    (r#"{"aDouble":"1e400"}"#, OutOfRange, "aDouble"),
    (r#"{"aDouble":NaN}"#, Syntax, "aDouble"),
    (r#"{"aDouble":"nan"}"#, BadNumber, "aDouble"),
    (r#"{"aBool":"true"}"#, WrongType, "aBool"),
    (r#"{"aBool":1}"#, WrongType, "aBool"),
    (r#"{"aBool":tru}"#, Syntax, "aBool"),
    (r#"{"aString":1}"#, WrongType, "aString"),
    (r#"{"aString":"\ud800"}"#, Utf8, "aString"),
    (r#"{"someBytes":"A"}"#, BadBase64, "someBytes"),
    (r#"{"color":"BLUE"}"#, BadEnum, "color"),
    (r#"{"color":true}"#, WrongType, "color"),
    (r#"{"color":1.5}"#, BadNumber, "color"),
    (r#"{"nothing":1}"#, UnknownMember, "nothing"),
    (r#"{"inner":{"nothing":1}}"#, UnknownMember, "inner.nothing"),
    (r#"{"inner":[]}"#, WrongType, "inner"),
    (r#"{"inner":nul}"#, Syntax, "inner"),
    (r#"{"anInt32":1,"anInt32":1}"#, DuplicateMember, "anInt32"),
    (r#"{"anInt32":1,"an_int32":1}"#, DuplicateMember, "anInt32"),
    (r#"{"anInt32":null,"anInt32":1}"#, DuplicateMember, "anInt32"),
    (r#"{"choiceInt":1,"choiceText":"x"}"#, SecondOneofMember, "choiceText"),
    (r#"{"int32s":[1,null]}"#, NullInArray, "int32s[1]"),
    (r#"{"int32s":[1,"x"]}"#, BadNumber, "int32s[1]"),
    (r#"{"int32s":1}"#, WrongType, "int32s"),
    (r#"{"int32s":[1,]}"#, Syntax, "int32s[1]"),
    (r#"{"int32s":[1"#, Syntax, "int32s"),
    (r#"{"inners":[{},{"inner":{"many":[1,2,true]}}]}"#, WrongType, "inners[1].inner.many[2]"),
    (r#"{"inners":[null]}"#, NullInArray, "inners[0]"),
    (r#"{"inners":[nul]}"#, Syntax, "inners[0]"),
    (r#"{"byString":{"a":null}}"#, NullInMap, r#"byString["a"]"#),
    (r#"{"byString":{"a":"1","a":"2"}}"#, DuplicateMember, r#"byString["a"]"#),
    (r#"{"byInt64":{"1":1,"1.0":2}}"#, DuplicateMember, r#"byInt64["1.0"]"#),
    (r#"{"byInt32":{"x":{}}}"#, BadNumber, r#"byInt32["x"]"#),
    (r#"{"byInt32":{"4294967296":{}}}"#, OutOfRange, r#"byInt32["4294967296"]"#),
    (r#"{"byInt32":{"7":{"number":"x"}}}"#, BadNumber, r#"byInt32["7"].number"#),
    (r#"{"byBool":{"1":""}}"#, BadBool, r#"byBool["1"]"#),
    (r#"{"byString":[]}"#, WrongType, "byString"),
    (r#"{"byString":{1:""}}"#, Syntax, "byString"),
];

#[test]
fn good() {
    for (json, expected) in GOOD {
        assert_eq!(text_of("t.All", &wire(json)), *expected, "{json}");
    }
}

#[test]
fn bad() {
    for (json, kind, path) in BAD {
        let error = read(json).expect_err(json);
        assert_eq!((error.kind, &*error.path), (*kind, *path), "{json}");
        assert!(error.offset <= json.len(), "{json}");
    }
}

/// Zero without presence is not written; the other zero is.
#[test]
fn negative_zero() {
    assert_eq!(wire(r#"{"aDouble":-0.0}"#), [0x61, 0, 0, 0, 0, 0, 0, 0, 0x80]);
    assert_eq!(wire(r#"{"aDouble":0.0,"aFloat":0,"aFixed64":"0","anInt32":-0}"#), Vec::<u8>::new());
}

#[test]
fn utf8_is_checked() {
    let json = b"{\"aString\":\"a\xff\"}";
    let error =
        read_message(&all(), json, &Splice::new(), &ReadOptions::default(), &mut Vec::new()).unwrap_err();
    assert_eq!((error.kind, error.offset), (Utf8, 13));
}

#[test]
fn errors_speak() {
    let error = read(r#"{"inners":[{"number":1.5}]}"#).unwrap_err();
    assert_eq!(error.kind.reason(), "INVALID_NUMBER");
    assert_eq!(error.to_string(), "inners[0].number: not a valid number for the field's type (at byte 24)");
}

#[test]
fn unknown_members() {
    let json = r#"{"inner":{"extra":{"deep":[1,{"a":null}]},"number":3},"extra":1,"color":"RED"}"#;
    let named = Unknown::IgnoreNamed(["extra".into()].into());
    let other = Unknown::IgnoreNamed(["other".into()].into());
    let table = [
        (&Unknown::Ignore, Ok("color:RED,inner{number:3}")),
        (&named, Ok("color:RED,inner{number:3}")),
        (&other, Err("inner.extra")),
        (&Unknown::Reject, Err("inner.extra")),
    ];
    for (unknown, expected) in table {
        let options = ReadOptions { unknown, ..ReadOptions::default() };
        let result = read_with("t.All", json, &Splice::new(), &options);
        let text = result.map(|wire| text_of("t.All", &wire)).map_err(|error| error.path);
        assert_eq!(text.as_deref().map_err(|path| &**path), expected, "{unknown:?}");
    }
}

#[test]
fn unknown_enum_names_are_ignored_with_unknown_members() {
    let options = ReadOptions { unknown: &Unknown::Ignore, ..ReadOptions::default() };
    let json = r#"{"color":"BLUE","colors":["RED","BLUE","GREEN"],"byUint32":{"1":"BLUE","2":"RED"},"inner":{"color":"X"}}"#;
    let wire = read_with("t.All", json, &Splice::new(), &options).unwrap();
    assert_eq!(text_of("t.All", &wire), "inner{},colors:[RED,GREEN],by_uint32:[{key:2,value:RED}]");
    let wire = read_with("t.All", r#"{"colors":["BLUE"],"byUint32":{"1":"BLUE"}}"#, &Splice::new(), &options);
    assert_eq!(wire, Ok(Vec::new()), "nothing is left to write");
    let bad = read_with("t.All", r#"{"extra":[1,}"#, &Splice::new(), &options).unwrap_err();
    assert_eq!(bad.kind, Syntax, "what is ignored is JSON all the same");
}

#[test]
fn depth_is_limited() {
    let nested =
        |levels: usize| format!("{}{}", r#"{"inner":"#.repeat(levels), "{}".to_owned() + &"}".repeat(levels));
    let shallow = nested(99);
    let wire = read_with("t.Inner", &shallow, &Splice::new(), &ReadOptions::default()).unwrap();
    assert_eq!(write_as("t.Inner", &wire, JsonStyle::default()).unwrap(), shallow);
    let error = read_with("t.Inner", &nested(100), &Splice::new(), &ReadOptions::default()).unwrap_err();
    assert_eq!(error.kind, Depth);
    for hostile in ["[".repeat(100_000), r#"{"a":"#.repeat(100_000)] {
        let json = format!(r#"{{"value":{hostile}"#);
        assert_eq!(read(&json).unwrap_err().kind, Depth);
    }
}

#[test]
fn one_field_as_the_body() {
    type Text<'a> = Result<&'a str, (ReadErrorKind, &'a str)>;
    let table: &[(&str, &str, Text<'_>)] = &[
        ("inner", r#"{"number":1}"#, Ok("inner{number:1}")),
        ("inner", "null", Ok("")),
        ("int32s", "[1,2]", Ok("int32s:[1,2]")),
        ("byString", r#"{"a":"b"}"#, Ok("by_string:[{key:\"a\",value:\"b\"}]")),
        ("aString", r#" "x" "#, Ok("a_string:\"x\"")),
        ("timestamp", r#""1970-01-01T00:00:01Z""#, Ok("timestamp{seconds:1}")),
        ("inner", r#"{"number":"x"}"#, Err((BadNumber, "inner.number"))),
        ("int32s", "[true]", Err((WrongType, "int32s[0]"))),
        ("aString", "1", Err((WrongType, "aString"))),
        ("aString", r#""x" 1"#, Err((TrailingData, ""))),
        ("aString", "", Err((Syntax, "aString"))),
    ];
    for (field, json, expected) in table {
        let field = all().field_by_name(field).unwrap();
        let mut out = Vec::new();
        let result =
            read_field(&all(), field, json.as_bytes(), &Splice::new(), &ReadOptions::default(), &mut out);
        let text = result.map(|()| text_of("t.All", &out)).map_err(|error| (error.kind, error.path));
        let text = text.as_deref().map_err(|(kind, path)| (*kind, &**path));
        assert_eq!(text, *expected, "{json}");
    }
}

#[test]
fn every_truncation_is_an_error() {
    for (json, _) in GOOD {
        let json = json.trim();
        for cut in (0..json.len()).filter(|&cut| json.is_char_boundary(cut)) {
            assert!(read(&json[..cut]).is_err(), "{}", &json[..cut]);
        }
    }
}

#[test]
fn proto2() {
    let table = [
        (r#"{"number":0,"text":""}"#, Ok("number:0,text:\"\"")),
        (r#"{"size":"LARGEST"}"#, Ok("size:LARGE")),
        (r#"{"size":7}"#, Err(BadEnum)),
        (r#"{"part":{"a":1,"old":{"part":{"a":2}}}}"#, Ok("Part{a:1,old{Part{a:2}}}")),
        (r#"{"parts":[{"b":1},{}]}"#, Ok("Parts:[{b:1},{}]")),
        (r#"{"loose":[1,2]}"#, Ok("loose:[1,2]")),
    ];
    for (json, expected) in table {
        let result = read_with("old.Old", json, &Splice::new(), &ReadOptions::default());
        let text = result.map(|wire| text_of("old.Old", &wire)).map_err(|error| error.kind);
        assert_eq!(text.as_deref().map_err(|kind| *kind), expected, "{json}");
    }
}
