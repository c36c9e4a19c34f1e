//! What a client selects of an answer.

use serde_json::Value as Json;
use transom::codec::{JsonStyle, Selection, write_message};

use super::{choice, schema};

/// A selection, a line break, and the bytes of an answer: what is kept is JSON, and a part of the answer.
pub(super) fn selection(data: &[u8]) {
    let (message, data) = choice(data);
    let (plan, _) = schema::message(message);
    let cut = data.iter().position(|&byte| byte == b'\n').unwrap_or(data.len());
    let (text, wire) = data.split_at(cut);
    let Ok(text) = std::str::from_utf8(text) else { return };
    let Ok(selection) = Selection::parse(&plan, None, text, 16) else { return };
    let mut json = Vec::new();
    if write_message(&plan, wire.get(1..).unwrap_or_default(), JsonStyle::default(), &mut json).is_err() {
        return;
    }
    let mut kept = Vec::new();
    selection.apply(&json, &mut kept).expect("the codec wrote it");
    let Ok(whole) = serde_json::from_slice::<Json>(&json) else { return };
    let part = serde_json::from_slice::<Json>(&kept).expect("a part of JSON is JSON");
    assert!(is_part(&part, &whole), "{part}\n{whole}");
}

fn is_part(part: &Json, whole: &Json) -> bool {
    match (part, whole) {
        (Json::Object(part), Json::Object(whole)) => {
            part.iter().all(|(name, part)| whole.get(name).is_some_and(|whole| is_part(part, whole)))
        }
        (Json::Array(part), Json::Array(whole)) => {
            part.len() == whole.len() && part.iter().zip(whole).all(|(part, whole)| is_part(part, whole))
        }
        _ => part == whole,
    }
}
