//! Plain text as the value of a field.

use super::*;
use ReadErrorKind::*;
use TextError::{Invalid, NotALeaf};

#[test]
fn values() {
    let table: &[(&str, &str, Result<&str, TextError>)] = &[
        ("anInt32", "-5", Ok("an_int32:-5")),
        ("anInt32", "0", Ok("an_int32:0")),
        ("anInt32", "1e3", Err(Invalid(BadNumber))),
        ("anInt32", "1.0", Err(Invalid(BadNumber))),
        ("anInt32", "0x10", Err(Invalid(BadNumber))),
        ("anInt32", "", Err(Invalid(BadNumber))),
        ("anInt32", " 1", Err(Invalid(BadNumber))),
        ("anInt32", "2147483648", Err(Invalid(OutOfRange))),
        ("aUint64", "18446744073709551615", Ok("a_uint64:18446744073709551615")),
        ("aDouble", "1.5e3", Ok("a_double:1500.0")),
        ("aDouble", "-Infinity", Ok("a_double:-inf")),
        ("aFloat", "NaN", Ok("a_float:NaN")),
        ("aFloat", "x", Err(Invalid(BadNumber))),
        ("aBool", "true", Ok("a_bool:true")),
        ("aBool", "1", Err(Invalid(BadBool))),
        ("aString", "é\"", Ok(r#"a_string:"\303\251\"""#)),
        ("someBytes", "-_8", Ok("some_bytes:\"\\373\\377\"")),
        ("someBytes", "+/8=", Ok("some_bytes:\"\\373\\377\"")),
        ("someBytes", "?", Err(Invalid(BadBase64))),
        ("color", "RED", Ok("color:RED")),
        ("color", "2", Ok("color:GREEN")),
        ("color", "-1", Ok("color:NEGATIVE")),
        ("color", "red", Err(Invalid(BadEnum))),
        ("int32s", "3", Ok("int32s:[3]")),
        ("strings", "", Ok("strings:[\"\"]")),
        ("timestamp", "1970-01-01T00:00:01.5Z", Ok("timestamp{seconds:1,nanos:500000000}")),
        ("timestamp", "yesterday", Err(Invalid(BadTimestamp))),
        ("timestamps", "1970-01-01T00:00:01Z", Ok("timestamps:[{seconds:1}]")),
        ("duration", "1.5s", Ok("duration{seconds:1,nanos:500000000}")),
        ("duration", "1", Err(Invalid(BadDuration))),
        ("mask", "a_b,cD.e", Ok("mask{paths:[\"a_b\",\"c_d.e\"]}")),
        ("mask", "a,,b", Err(Invalid(BadFieldMask))),
        ("int32Value", "0", Ok("int32_value{value:0}")),
        ("stringValue", "", Ok("string_value{value:\"\"}")),
        ("boolValue", "x", Err(Invalid(BadBool))),
        ("names", "n", Ok("names:[{value:\"n\"}]")),
        ("inner", "x", Err(NotALeaf)),
        ("aStruct", "{}", Err(NotALeaf)),
        ("value", "1", Err(NotALeaf)),
        ("any", "x", Err(NotALeaf)),
        ("empty", "", Err(NotALeaf)),
        ("byString", "x", Err(NotALeaf)),
    ];
    for (name, text, expected) in table {
        let field = all().field_by_name(name).unwrap();
        let mut out = Vec::new();
        let result = write_text(&all(), field, text, &mut out);
        assert!(result.is_ok() || out.is_empty());
        let written = result.map(|()| text_of("t.All", &out));
        // prost-reflect prints zeros without presence as unset
        let expected = match *expected {
            Ok("an_int32:0") => Ok(""),
            Ok("int32_value{value:0}") => Ok("int32_value{}"),
            Ok("string_value{value:\"\"}") => Ok("string_value{}"),
            other => other,
        };
        assert_eq!(written.as_deref().map_err(|error| *error), expected, "{name}={text}");
        assert_eq!(takes_text(&all(), field), result != Err(NotALeaf), "{name}");
    }
}

/// Spellings of one key are the same bytes.
#[test]
fn map_keys() {
    let key = |name: &str, text: &str| {
        let mut out = b"kept".to_vec();
        let result = write_map_key(&all(), all().field_by_name(name).unwrap(), text, &mut out);
        let key = out.split_off(4);
        assert_eq!(out, b"kept");
        assert!(result.is_ok() || key.is_empty(), "an error leaves nothing behind");
        result.map(|()| key)
    };
    assert_ne!(key("byString", "a").unwrap(), key("byString", "b").unwrap());
    assert_ne!(key("byInt64", "1").unwrap(), key("byInt64", "-1").unwrap());
    assert_eq!(key("byInt64", "-0").unwrap(), key("byInt64", "0").unwrap());
    assert_eq!(key("byBool", "true"), Ok(vec![1]));
    assert_eq!(key("byBool", "1"), Err(Invalid(BadBool)));
    assert_eq!(key("byInt32", "x"), Err(Invalid(BadNumber)));
    assert_eq!(key("aString", "a"), Err(NotALeaf));
}

#[test]
fn map_entries() {
    let table: &[(&str, &str, &str, Result<&str, TextError>)] = &[
        ("byString", "a", "b", Ok("by_string:[{key:\"a\",value:\"b\"}]")),
        ("byInt64", "-1", "2", Ok("by_int64:[{key:-1,value:2}]")),
        ("byInt64", "x", "2", Err(Invalid(BadNumber))),
        ("byInt64", "1", "x", Err(Invalid(BadNumber))),
        ("byBool", "true", "x", Ok("by_bool:[{key:true,value:\"x\"}]")),
        ("byUint32", "1", "RED", Ok("by_uint32:[{key:1,value:RED}]")),
        ("times", "a", "1970-01-01T00:00:01Z", Ok("times:[{key:\"a\",value{seconds:1}}]")),
        ("byInt32", "1", "x", Err(NotALeaf)),
        ("values", "a", "x", Err(NotALeaf)),
        ("aString", "a", "x", Err(NotALeaf)),
        ("inner", "a", "x", Err(NotALeaf)),
    ];
    for (name, key, value, expected) in table {
        let field = all().field_by_name(name).unwrap();
        let mut out = Vec::new();
        let result = write_map_text(&all(), field, key, value, &mut out);
        assert!(result.is_ok() || out.is_empty());
        let written = result.map(|()| text_of("t.All", &out));
        assert_eq!(written.as_deref().map_err(|error| *error), *expected, "{name}[{key}]={value}");
    }
}

#[test]
fn plans_tell_about_fields() {
    let plan = all();
    let field = |name: &str| plan.field(plan.field_by_name(name).unwrap());
    assert_eq!((field("anInt32").name(), field("an_int32").json_name()), ("an_int32", "anInt32"));
    assert_eq!(field("farAway").number(), 536_870_911);
    assert!(field("int32s").is_repeated() && !field("int32s").is_map() && !field("int32s").is_message());
    assert!(
        field("byString").is_map() && !field("byString").is_repeated() && !field("byString").is_message()
    );
    assert!(field("inner").is_message() && field("inners").is_message());
    assert_eq!(field("choiceInt").oneof(), Some(0));
    assert_eq!(field("maybeInt32").oneof(), None);
    assert!(field("maybeInt32").has_presence() && !field("anInt32").has_presence());
    assert_eq!(field("mask").kind(), FieldKind::Message(Some(WellKnown::FieldMask)));
    assert_eq!(field("aSint64").kind(), FieldKind::Int64);
    assert_eq!(field("byString").kind(), FieldKind::Map);
    let nested = plan.nested(plan.field_by_name("inner").unwrap()).unwrap();
    assert_eq!((nested.full_name(), nested.well_known()), ("t.Inner", None));
    assert_eq!(plan.nested(plan.field_by_name("anInt32").unwrap()), None);
    assert_eq!(plan.field_by_name("nothing"), None);
    assert_eq!(PLANS.message("t.Nothing"), None);
    let numbers: Vec<u32> = plan.fields().map(|(_, field)| field.number()).collect();
    assert!(numbers.is_sorted() && numbers.len() == plan.field_count());
}
