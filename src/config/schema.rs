//! The part `schema` of a configuration: where the methods and their HTTP rules are from.
//!
//! The files themselves are read when the schema is loaded; here paths only become relative to the configuration's folder.

use std::path::Path;

use super::reader::Map;
use super::values::{self, Wrong};
use crate::schema::{SameTemplate, SchemaSettings};

pub(super) fn read(root: &mut Map<'_>) -> Option<SchemaSettings> {
    let help = "say where the methods are from, as in `schema: { descriptors: api.binpb }`";
    root.required("schema", help)?.map(schema)
}

fn schema(map: &mut Map<'_>) -> SchemaSettings {
    let folder = map.path("");
    let descriptors = map.list("descriptors", |text| pattern(text, &folder));
    let protos = map.list("protos", |text| pattern(text, &folder));
    let path = |text: &str| values::text(text).map(|text| folder.join(text));
    let imports = map.list("imports", path);
    let http_rules = map.list("http_rules", path).unwrap_or_default();
    let services = map.list("services", values::selector).unwrap_or_default();
    let mut default_bindings = false;
    map.set("default_bindings", &mut default_bindings, values::boolean);
    let mut same = SameTemplate::default();
    map.set("same_template", &mut same, same_template);
    if descriptors.is_none() && protos.is_none() {
        map.missing(
            "descriptors",
            "name descriptor sets (`descriptors: api.binpb`) or sources (`protos: proto/`)",
        );
    } else if protos.is_none() && imports.is_some() {
        let help = "leave it out; descriptor sets hold their imports";
        map.whole().wrong("`imports` has no effect without `protos`", help);
    }
    SchemaSettings {
        descriptors: descriptors.unwrap_or_default(),
        protos: protos.unwrap_or_default(),
        imports: imports.unwrap_or_default(),
        http_rules,
        services,
        default_bindings,
        same_template: same,
    }
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
