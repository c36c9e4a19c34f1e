//! What a selection keeps of an answer.

use proptest::strategy::Strategy;

use super::*;

fn kept(answer: Option<&str>, fields: &str, json: &str) -> Result<String, SelectError> {
    let answer = answer.map(|name| all().field_by_name(name).unwrap());
    let selection = Selection::parse(&all(), answer, fields, 4)?;
    let mut out = b"before".to_vec();
    selection.apply(json.as_bytes(), &mut out).unwrap();
    Ok(String::from_utf8(out.split_off(6)).unwrap())
}

const WHOLE: &str = r#"{"anInt32":1,"aString":"a\"{,}","inner":{"text":"x","number":2,"inner":{"text":"y","many":[1,2]}},"int32s":[1,2],"inners":[{"text":"p","number":1},{"number":2},{}],"byString":{"a":"b","c\"":"d"},"byInt32":{"1":{"text":"m","number":3},"2":{"text":"n"}},"timestamp":"1970-01-01T00:00:00Z","aStruct":{"k":{"l":[1]}}}"#;

#[test]
fn table() {
    let table = [
        ("*", WHOLE),
        ("anInt32", r#"{"anInt32":1}"#),
        // both spellings, and the order of the answer
        ("inner.number,a_string", r#"{"aString":"a\"{,}","inner":{"number":2}}"#),
        ("inner", r#"{"inner":{"text":"x","number":2,"inner":{"text":"y","many":[1,2]}}}"#),
        ("inner.*", r#"{"inner":{"text":"x","number":2,"inner":{"text":"y","many":[1,2]}}}"#),
        ("inner.inner.many,inner.text", r#"{"inner":{"text":"x","inner":{"many":[1,2]}}}"#),
        // what is selected twice, as a whole and in part
        ("inner.inner,inner.inner.text", r#"{"inner":{"inner":{"text":"y","many":[1,2]}}}"#),
        ("inner.inner.text,inner.inner", r#"{"inner":{"inner":{"text":"y","many":[1,2]}}}"#),
        ("anInt32,*", WHOLE),
        // each element of a list, each entry or one of a map
        ("inners.text", r#"{"inners":[{"text":"p"},{},{}]}"#),
        ("int32s", r#"{"int32s":[1,2]}"#),
        ("byString.a", r#"{"byString":{"a":"b"}}"#),
        ("byString.c\"", r#"{"byString":{"c\"":"d"}}"#),
        ("byInt32.1.text,byInt32.3", r#"{"byInt32":{"1":{"text":"m"}}}"#),
        ("byInt32", r#"{"byInt32":{"1":{"text":"m","number":3},"2":{"text":"n"}}}"#),
        ("timestamp,aStruct", r#"{"timestamp":"1970-01-01T00:00:00Z","aStruct":{"k":{"l":[1]}}}"#),
        // what is not there
        ("aBool", "{}"),
        ("inner.color", r#"{"inner":{}}"#),
    ];
    for (fields, want) in table {
        assert_eq!(kept(None, fields, WHOLE).as_deref(), Ok(want), "{fields}");
    }
    let proto_names = r#"{"an_int32":1,"a_string":"x"}"#;
    assert_eq!(kept(None, "anInt32", proto_names).as_deref(), Ok(r#"{"an_int32":1}"#));
    let spaced = " { \"anInt32\" : 1 , \"aBool\" : true , \"inners\" : [ { \"text\" : \"x\" } , null ] } ";
    assert_eq!(
        kept(None, "aBool,inners.text", spaced).as_deref(),
        Ok(r#"{"aBool":true,"inners":[{"text":"x"},null]}"#)
    );
}

#[test]
fn one_field_as_the_answer() {
    let table = [
        ("inner", "text", r#"{"text":"x","number":2}"#, r#"{"text":"x"}"#),
        ("inners", "number", r#"[{"text":"x","number":2},{}]"#, r#"[{"number":2},{}]"#),
        ("byInt32", "1", r#"{"1":{"text":"x"},"2":{}}"#, r#"{"1":{"text":"x"}}"#),
        ("byInt32", "2.number", r#"{"1":{"text":"x"},"2":{"number":1,"text":"t"}}"#, r#"{"2":{"number":1}}"#),
        ("aString", "*", r#""x""#, r#""x""#),
        ("timestamp", "*", "null", "null"),
        ("inners", "text", "[]", "[]"),
    ];
    for (answer, fields, json, want) in table {
        assert_eq!(kept(Some(answer), fields, json).as_deref(), Ok(want), "{answer} {fields}");
    }
    assert_eq!(kept(Some("aString"), "text", "\"\""), Err(SelectError::Unknown("text".into())));
}

#[test]
fn what_selects_nothing() {
    let unknown = |path: &str| SelectError::Unknown(path.into());
    let table = [
        ("", SelectError::Empty),
        (",", SelectError::Empty),
        ("anInt32,", SelectError::Empty),
        ("nobody", unknown("nobody")),
        ("anInt32,inner.nobody", unknown("inner.nobody")),
        ("anInt32.x", unknown("anInt32.x")),
        ("timestamp.seconds", unknown("timestamp.seconds")),
        ("aStruct.k", unknown("aStruct.k")),
        ("byString.a.b", unknown("byString.a.b")),
        ("*.text", unknown("*.text")),
        ("inner.", unknown("inner.")),
        (".inner", unknown(".inner")),
        (" inner", unknown(" inner")),
        ("inner.inner.inner.inner.text", SelectError::TooDeep("inner.inner.inner.inner.text".into())),
    ];
    for (fields, want) in table {
        assert_eq!(kept(None, fields, "{}"), Err(want), "{fields}");
    }
}

#[test]
fn a_text_that_is_no_json_is_told() {
    let selection = Selection::parse(&all(), None, "inner.text", 4).unwrap();
    for json in ["{", r#"{"inner":{"text":}}"#, r#"{"inner" 1}"#, ""] {
        assert!(selection.apply(json.as_bytes(), &mut Vec::new()).is_err(), "{json}");
    }
}

/// What is kept of a value, path by path: the oracle.
fn keep(value: &serde_json::Value, paths: &[Vec<&str>]) -> serde_json::Value {
    use serde_json::Value;
    if paths.iter().any(Vec::is_empty) {
        return value.clone();
    }
    match value {
        Value::Array(elements) => elements.iter().map(|element| keep(element, paths)).collect(),
        Value::Object(members) => {
            let kept = members.iter().filter_map(|(name, value)| {
                let deeper: Vec<Vec<&str>> =
                    paths.iter().filter(|path| path[0] == name).map(|path| path[1..].to_vec()).collect();
                (!deeper.is_empty()).then(|| (name.clone(), keep(value, &deeper)))
            });
            Value::Object(kept.collect())
        }
        _ => value.clone(),
    }
}

proptest::proptest! {
    #[test]
    fn agrees_with_a_filter_of_values(
        chosen in proptest::sample::subsequence(
            vec![
                "anInt32", "aString", "inner", "inner.text", "inner.inner.text", "inner.inner.many", "inner.inner",
                "int32s", "inners", "inners.text", "inners.number", "byString.a", "byString.c\"", "byInt32.1",
                "byInt32.2.text", "byInt32.1.number", "timestamp", "aStruct", "aBool",
            ],
            1..8,
        ).prop_shuffle(),
    ) {
        let paths: Vec<Vec<&str>> = chosen.iter().map(|path| path.split('.').collect()).collect();
        let want = keep(&serde_json::from_str(WHOLE).unwrap(), &paths).to_string();
        let kept = kept(None, &chosen.join(","), WHOLE).unwrap();
        // Members keep the order of the answer, which `Value` sorts.
        let kept = serde_json::from_str::<serde_json::Value>(&kept).unwrap().to_string();
        proptest::prop_assert_eq!(kept, want);
    }
}
