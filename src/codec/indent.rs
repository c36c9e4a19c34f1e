//! Finished JSON, laid out for people: one member or element on each line. The last step of an answer whose client has
//! asked for that (`$prettyPrint`).

use super::scan::plain_len;

const INDENT: &[u8] = b"  ";

/// Deeper lines are indented as much as these: else a deep text would grow by its own depth for each of its bytes.
const MAX_LEVELS: usize = 32;

/// Appends `json`, a valid text, to `out` with two spaces for each of the first 32 levels. Empty objects and arrays stay
/// on one line.
pub fn indent(json: &[u8], out: &mut Vec<u8>) {
    out.reserve(json.len() + json.len() / 2);
    let mut depth = 0usize;
    let mut rest = json;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b' ' | b'\n' | b'\r' | b'\t' => {}
            b'"' => rest = string(rest, out),
            b'{' | b'[' => {
                out.push(byte);
                rest = rest.trim_ascii_start();
                match rest.split_first() {
                    Some((&close @ (b'}' | b']'), after)) => {
                        out.push(close);
                        rest = after;
                    }
                    Some(_) | None => {
                        depth += 1;
                        line(depth, out);
                    }
                }
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                line(depth, out);
                out.push(byte);
            }
            b',' => {
                out.push(byte);
                line(depth, out);
            }
            b':' => out.extend_from_slice(b": "),
            _ => out.push(byte),
        }
    }
}

fn line(depth: usize, out: &mut Vec<u8>) {
    out.push(b'\n');
    for _ in 0..depth.min(MAX_LEVELS) {
        out.extend_from_slice(INDENT);
    }
}

/// Appends a string whose opening quote was taken, and gives what stands after its closing one.
fn string<'j>(mut rest: &'j [u8], out: &mut Vec<u8>) -> &'j [u8] {
    out.push(b'"');
    loop {
        let (plain, special) = rest.split_at(plain_len(rest));
        out.extend_from_slice(plain);
        let width = match special.first() {
            None => return special,
            Some(b'"') => {
                out.push(b'"');
                return special.get(1..).unwrap_or_default();
            }
            // What is escaped, be it a quote, belongs to the string.
            Some(b'\\') => special.len().min(2),
            Some(_) => 1,
        };
        let (taken, after) = special.split_at(width);
        out.extend_from_slice(taken);
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn indented(json: &str) -> String {
        let mut out = Vec::new();
        indent(json.as_bytes(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn table() {
        let table = [
            ("null", "null"),
            ("{}", "{}"),
            ("[ ]", "[]"),
            ("\"a:{,}\"", "\"a:{,}\""),
            (r#"{"a":1,"b":[]}"#, "{\n  \"a\": 1,\n  \"b\": []\n}"),
            (r#"[{"a":[1,2]},{}]"#, "[\n  {\n    \"a\": [\n      1,\n      2\n    ]\n  },\n  {}\n]"),
            (r#"{"\"\\":"\\\\\",[1,2]"}"#, "{\n  \"\\\"\\\\\": \"\\\\\\\\\\\",[1,2]\"\n}"),
        ];
        for (json, want) in table {
            assert_eq!(indented(json), want);
        }
    }

    #[test]
    fn deep_texts_do_not_grow_by_their_depth() {
        let json = format!("{}1{}", "[".repeat(1000), "]".repeat(1000));
        let pretty = indented(&json);
        assert_eq!(pretty.lines().map(str::len).max(), Some(2 * MAX_LEVELS + 1));
        assert_eq!(pretty.split_whitespace().collect::<String>(), json);
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "[\\PC\"\\\\\n{}\\[\\],: ]{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(5, 60, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::vec(("[a-z\"\\\\{,:]{0,6}", inner), 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn as_serde_json_has_it(value in value()) {
            let compact = serde_json::to_string(&value).unwrap();
            let pretty = serde_json::to_string_pretty(&value).unwrap();
            prop_assert_eq!(&indented(&compact), &pretty);
            // What is indented already stays as it is.
            prop_assert_eq!(&indented(&pretty), &pretty);
        }
    }
}
