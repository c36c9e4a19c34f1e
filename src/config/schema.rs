//! The part `schema` of a configuration: where the methods and their HTTP rules are from.
//!
//! The files themselves are read when the schema is loaded; here paths only become relative to the configuration's folder.

use std::path::Path;

use super::reader::{Map, Value};
use super::rules::known;
use super::upstreams::Named;
use super::values::{self, Wrong};
use crate::schema::{ReflectSettings, SameTemplate, SchemaSettings};

/// The least and the most that one upstream may be allowed to tell.
const MAX_SIZE: std::ops::RangeInclusive<usize> = 64 << 10..=512 << 20;

pub(super) fn find<'r>(root: &mut Map<'r>) -> Option<Value<'r>> {
    let help = "say where the methods are from, as in `schema: { descriptors: api.binpb }`";
    root.required("schema", help)
}

pub(super) fn read(value: &Value<'_>, upstreams: &[Named<'_>]) -> Option<SchemaSettings> {
    value.map(|map| schema(map, upstreams))
}

fn schema(map: &mut Map<'_>, upstreams: &[Named<'_>]) -> SchemaSettings {
    let folder = map.path("");
    let descriptors = map.list("descriptors", |text| pattern(text, &folder));
    let protos = map.list("protos", |text| pattern(text, &folder));
    let path = |text: &str| values::text(text).map(|text| folder.join(text));
    let reflected = map.get("reflect");
    let reflect = reflected.map(|value| reflect(&value, upstreams));
    let imports = map.list("imports", path);
    let http_rules = map.list("http_rules", path).unwrap_or_default();
    let services = map.list("services", values::selector).unwrap_or_default();
    let mut default_bindings = false;
    map.set("default_bindings", &mut default_bindings, values::boolean);
    let mut passes_unknown = false;
    map.set("unknown_methods", &mut passes_unknown, |text| {
        values::choice(text, &[("refuse", false), ("pass", true)])
    });
    let mut same = SameTemplate::default();
    map.set("same_template", &mut same, same_template);
    if descriptors.is_none() && protos.is_none() && reflect.is_none() {
        map.missing(
            "descriptors",
            "name descriptor sets (`descriptors: api.binpb`) or sources (`protos: proto/`), or ask the backends \
             (`reflect: \"*\"`)",
        );
    } else if protos.is_none() && imports.is_some() {
        let help = "leave it out; descriptor sets hold their imports";
        map.whole().wrong("`imports` has no effect without `protos`", help);
    }
    SchemaSettings {
        descriptors: descriptors.unwrap_or_default(),
        protos: protos.unwrap_or_default(),
        reflect,
        imports: imports.unwrap_or_default(),
        http_rules,
        services,
        default_bindings,
        passes_unknown,
        same_template: same,
    }
}

/// `reflect: "*"`, the names of upstreams, or a map that says more.
fn reflect(value: &Value<'_>, upstreams: &[Named<'_>]) -> ReflectSettings {
    let everyone = || upstreams.iter().map(|upstream| upstream.name.clone()).collect();
    if !value.is_map() {
        return ReflectSettings::of(asked(value, upstreams));
    }
    let mut settings = ReflectSettings::of(Vec::new());
    value.map(|map| {
        settings.upstreams = map.get("from").map_or_else(everyone, |value| asked(&value, upstreams));
        settings.every = map.value("every", values::duration);
        map.set("timeout", &mut settings.timeout, values::duration);
        map.set("wait", &mut settings.wait, values::duration_or_zero);
        map.set("max_size", &mut settings.max_size, |text| values::size(text, &MAX_SIZE));
    });
    settings
}

/// The upstreams that are named, each once; `*` names them all.
fn asked(value: &Value<'_>, upstreams: &[Named<'_>]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for item in value.items() {
        let more = item.parse(|text| match text {
            "*" => Ok(upstreams.iter().map(|upstream| upstream.name.clone()).collect()),
            name => known(name, upstreams).map(|name| vec![name]),
        });
        for name in more.unwrap_or_default() {
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    names
}

/// A file, a folder or a glob pattern that starts at `folder`, whose own name is meant literally.
fn pattern(text: &str, folder: &Path) -> Result<String, Wrong> {
    let text = values::text(text)?;
    if folder.as_os_str().is_empty() || Path::new(&text).is_absolute() {
        return Ok(text);
    }
    let folder = folder.display().to_string();
    let folder = if text.contains(['*', '?', '[']) { glob::Pattern::escape(&folder) } else { folder };
    Ok(Path::new(&folder).join(text).display().to_string())
}

/// What happens where two methods have the same template.
///
/// # Errors
/// Any other text than `refuse` or `first`.
pub fn same_template(text: &str) -> Result<SameTemplate, Wrong> {
    values::choice(text, &[("refuse", SameTemplate::Refuse), ("first", SameTemplate::FirstWins)])
}
