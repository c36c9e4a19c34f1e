//! How endpoints are asked for their health: the key `health` of an upstream.

use super::reader::Value;
use super::values;
use crate::upstream::HealthSettings;

/// More checks in a row than anybody waits for.
const MOST_CHECKS: u32 = 1000;

/// A map, or `off`.
pub(super) fn read(value: &Value<'_>) -> Option<HealthSettings> {
    if !value.is_map() {
        value.parse(|text| values::choice(text, &[("off", ())]));
        return None;
    }
    value.map(|map| {
        let mut settings = HealthSettings::default();
        map.set("interval", &mut settings.interval, values::duration);
        map.set("timeout", &mut settings.timeout, values::duration);
        map.set("healthy", &mut settings.healthy, |text| values::number(text, &(1..=MOST_CHECKS)));
        map.set("unhealthy", &mut settings.unhealthy, |text| values::number(text, &(1..=MOST_CHECKS)));
        map.set("service", &mut settings.service, values::text);
        settings
    })
}
