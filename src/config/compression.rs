//! The part `compression` of a listener: how answers are compressed.

use super::reader::Value;
use super::values;
use crate::protocol::compression::{Coding, Level, Packing};

/// `off`, `on`, or a map that says how. `None` where answers are not compressed.
pub(super) fn read(value: &Value<'_>) -> Option<Packing> {
    if !value.is_map() {
        return value
            .parse(|text| values::choice(text, &[("off", None), ("on", Some(Packing::default()))]))?;
    }
    let mut packing = Packing::default();
    value.map(|map| {
        if let Some(value) = map.get("algorithms") {
            packing.algorithms = algorithms(&value);
        }
        map.set("min_size", &mut packing.min_size, |text| {
            values::size(text, &(0..=super::listeners::MAX_SIZE))
        });
        map.set("level", &mut packing.level, |text| {
            let levels = [("fast", Level::Fast), ("balanced", Level::Balanced), ("small", Level::Small)];
            values::choice(text, &levels)
        });
    });
    Some(packing)
}

/// A list of codings, each of them once.
fn algorithms(value: &Value<'_>) -> Vec<Coding> {
    let names = Coding::ALL.map(|coding| (coding.name(), coding));
    let mut algorithms = Vec::new();
    for item in value.items() {
        match item.parse(|text| values::choice(text, &names)) {
            Some(coding) if algorithms.contains(&coding) => {
                item.wrong(&format!("`{}` is given twice", coding.name()), "take one of them out");
            }
            Some(coding) => algorithms.push(coding),
            None => {}
        }
    }
    algorithms
}
