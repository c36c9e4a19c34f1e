//! `transom check --against`: what clients of an older schema or configuration meet at the new one.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde_json::{Map, Value, json};

use super::report;
use crate::config::{self, Settings};
use crate::problem::{Problem, Problems};
use crate::schema::diff::{Finding, Impact};
use crate::schema::{Schema, SchemaSettings};
use crate::server::{self, Side};

/// The exit status where clients may be surprised, and nothing is worse.
const DANGEROUS: u8 = 3;
/// The exit status where clients break.
const BREAKING: u8 = 4;

/// Loads the old one, and prints what differs. The exit status is that of the worst.
pub(super) fn run(old: &str, schema: &Schema, settings: &Settings, as_json: bool) -> ExitCode {
    report::or_exit(load(old, &settings.schema), |old, warnings| {
        report::print(&warnings);
        let old = Side { schema: &old.schema, settings: old.settings.as_ref() };
        let findings = server::compare(&old, &Side { schema, settings: Some(settings) });
        let text = if as_json { as_object(&findings) } else { as_text(&findings) };
        let printed = report::output(text);
        match findings.iter().map(|finding| finding.impact).max() {
            None | Some(Impact::Notice) => printed,
            Some(Impact::Dangerous) => ExitCode::from(DANGEROUS),
            Some(Impact::Breaking) => ExitCode::from(BREAKING),
        }
    })
}

/// What clients know.
struct Old {
    schema: Schema,
    settings: Option<Settings>,
}

/// What an older one is given as.
#[derive(Debug, PartialEq, Eq)]
enum Kind {
    Configuration,
    Sources,
    DescriptorSets,
}

impl Kind {
    /// By the name of a file, or by what a folder holds.
    fn of(path: &Path) -> Self {
        let extension = path.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase());
        match extension.as_deref() {
            Some("yaml" | "yml") => Self::Configuration,
            Some("proto") => Self::Sources,
            _ if path.is_dir() && holds_sources(path) => Self::Sources,
            _ => Self::DescriptorSets,
        }
    }
}

/// Whether a folder holds a `.proto` file, at any depth.
fn holds_sources(folder: &Path) -> bool {
    let pattern = format!("{}/**/*.proto", glob::Pattern::escape(&folder.to_string_lossy()));
    glob::glob(&pattern).is_ok_and(|mut paths| paths.any(|path| path.is_ok()))
}

fn load(old: &str, new: &SchemaSettings) -> Result<(Old, Problems), Problems> {
    let path = PathBuf::from(old);
    let kind = Kind::of(&path);
    if kind == Kind::Configuration {
        let (settings, mut warnings) = config::load(&path)?;
        let (schema, more) = server::load_schema(&settings.schema, &settings.upstreams)?;
        warnings.extend(more);
        return Ok((Old { schema, settings: Some(settings) }, warnings));
    }
    let folder = if path.is_dir() { path.clone() } else { path.parent().unwrap_or(Path::new("")).to_owned() };
    let mut settings = SchemaSettings {
        default_bindings: new.default_bindings,
        same_template: new.same_template,
        ..SchemaSettings::default()
    };
    if kind == Kind::Sources {
        settings.protos.push(old.to_owned());
        // What it has itself comes first; what it takes from others is where the new one has it.
        if !new.imports.is_empty() {
            settings.imports.push(folder);
            settings.imports.extend(new.imports.iter().cloned());
        }
    } else {
        settings.descriptors.push(old.to_owned());
    }
    let (schema, mut warnings) = server::load_schema(&settings, &[])?;
    // Methods that are not served now were perhaps never: only a configuration could tell.
    settings.services.extend(new.services.iter().filter(|selector| matches_any(selector, &schema)).cloned());
    let schema = if new.services.is_empty() {
        schema
    } else if settings.services.is_empty() {
        let what = format!("`{old}` has none of the methods that are served now");
        return Err(Problem::error(what)
            .help("compare it with another schema, or choose other services")
            .into());
    } else {
        server::load_schema(&settings, &[])?.0
    };
    if !new.http_rules.is_empty() {
        let what =
            format!("the routes of `{old}` are those of its own HTTP rules, without service configurations");
        warnings.push(
            Problem::warning(what).help("give `--against` the older configuration file, which names them"),
        );
    }
    Ok((Old { schema, settings: None }, warnings))
}

fn matches_any(selector: &crate::route::Selector, schema: &Schema) -> bool {
    schema.methods.iter().any(|method| selector.matches(method.service(), method.name()))
}

fn of_impact(findings: &[Finding], impact: Impact) -> usize {
    findings.iter().filter(|finding| finding.impact == impact).count()
}

/// One report for each, and how many there are.
fn as_text(findings: &[Finding]) -> String {
    let mut text: String = findings.iter().map(|finding| format!("{}\n\n", rendered(finding))).collect();
    let counts: Vec<String> = Impact::ALL
        .into_iter()
        .map(|impact| (of_impact(findings, impact), impact))
        .filter(|(count, _)| *count > 0)
        .map(|(count, impact)| match impact {
            Impact::Notice => report::number(count, "notice"),
            Impact::Breaking | Impact::Dangerous => format!("{count} {}", impact.as_str()),
        })
        .collect();
    text +=
        &if counts.is_empty() { "ok: clients find nothing changed".to_owned() } else { counts.join(", ") };
    text.push('\n');
    text
}

fn rendered(finding: &Finding) -> String {
    let level = match finding.impact {
        Impact::Breaking => Level::ERROR,
        Impact::Dangerous => Level::WARNING,
        Impact::Notice => Level::INFO,
    };
    let level = level.with_name(finding.impact.as_str());
    let title = format!("{} [{}]", finding.what, finding.change.code());
    let mut group: Group<'_> = Group::with_title(level.primary_title(title.as_str()));
    if let Some(excerpt) = &finding.excerpt {
        group = group.element(
            Snippet::source(excerpt.text.as_str())
                .line_start(excerpt.line)
                .path(excerpt.origin.as_str())
                .annotation(AnnotationKind::Primary.span(excerpt.span.clone())),
        );
    }
    let file = finding.file.as_ref().map(|file| format!("in {file}"));
    if let Some(file) = &file {
        group = group.element(Level::NOTE.message(file.as_str()));
    }
    for (audience, effect) in &finding.effects {
        group = group.element(Level::NOTE.with_name(audience.title()).message(effect.as_str()));
    }
    if let Some(help) = &finding.help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    let renderer = if report::stdout_colours() { Renderer::styled() } else { Renderer::plain() };
    renderer.decor_style(DecorStyle::Ascii).render(&[group])
}

fn as_object(findings: &[Finding]) -> String {
    let found: Vec<Value> = findings
        .iter()
        .map(|finding| {
            let effects: Map<String, Value> = finding
                .effects
                .iter()
                .map(|(audience, effect)| (audience.as_str().to_owned(), json!(effect)))
                .collect();
            json!({
                "impact": finding.impact.as_str(),
                "code": finding.change.code(),
                "place": finding.place,
                "what": finding.what,
                "file": finding.file.clone().or_else(|| Some(finding.excerpt.as_ref()?.origin.clone())),
                "line": finding.excerpt.as_ref().map(|excerpt| excerpt.line),
                "clients": effects,
                "help": finding.help,
            })
        })
        .collect();
    let counts: Map<String, Value> = Impact::ALL
        .into_iter()
        .map(|impact| (impact.as_str().to_owned(), json!(of_impact(findings, impact))))
        .collect();
    format!("{:#}\n", json!({ "findings": found, "counts": counts }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_one_is_what_it_looks_like() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("sources/deep")).unwrap();
        std::fs::create_dir_all(folder.path().join("sets")).unwrap();
        std::fs::write(folder.path().join("sources/deep/a.proto"), "").unwrap();
        for (path, want) in [
            ("transom.yaml", Kind::Configuration),
            ("transom.YML", Kind::Configuration),
            ("a.proto", Kind::Sources),
            ("sources", Kind::Sources),
            ("sets", Kind::DescriptorSets),
            ("api.binpb", Kind::DescriptorSets),
            ("api", Kind::DescriptorSets),
        ] {
            assert_eq!(Kind::of(&folder.path().join(path)), want, "{path}");
        }
    }
}
