//! Service configurations: the `http` section of a `google.api.Service`, in YAML or JSON.
//!
//! ```yaml
//! type: google.api.Service
//! http:
//!   rules:
//!   - { selector: shop.v1.Orders.Create, post: /v1/orders, body: "*" }
//! ```
//! The other sections are none of ours and are skipped. Keys are read in both of protobuf's JSON
//! spellings (`response_body`, `responseBody`).

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::rc::Rc;

use serde::Deserialize;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde_saphyr::{Location, Spanned};

use super::http_rule::{ConfigFile, RawKind, RawPattern, RawRule, Text};
use super::inputs;
use crate::problem::{Excerpt, Problem, Problems, nearest};

/// The rules of all service configurations, in the order in which they were written.
#[derive(Debug, Default)]
pub(super) struct ServiceConfigs {
    pub rules: Vec<ConfigRule>,
    /// See [`super::Schema::fully_decode_reserved_expansion`].
    pub fully_decode_reserved_expansion: bool,
}

/// A rule and the method that it is for.
#[derive(Debug)]
pub(super) struct ConfigRule {
    pub selector: Text,
    pub file: Rc<ConfigFile>,
    pub rule: RawRule,
}

/// Reads service configurations. What is wrong with a rule's content is found later.
pub(super) fn read(paths: &[PathBuf], problems: &mut Problems) -> ServiceConfigs {
    let mut configs = ServiceConfigs::default();
    for path in paths {
        let text = match inputs::read_text(path) {
            Ok(text) => text,
            Err(problem) => {
                problems.push(problem);
                continue;
            }
        };
        let file = Rc::new(ConfigFile { path: path.clone(), text });
        match serde_saphyr::from_str::<ServiceShape>(&file.text) {
            Ok(shape) => configs.add(shape, &file, problems),
            Err(error) => problems.push(malformed(&error, &file)),
        }
    }
    configs
}

fn malformed(error: &serde_saphyr::Error, file: &ConfigFile) -> Problem {
    let shown = file.path.display().to_string();
    let what = error.without_snippet().to_string();
    // What is wrong stands in the first line, and its place is shown anyway.
    let what = what.lines().next().unwrap_or_default();
    let what = what.split(" at line ").next().unwrap_or_default();
    let problem = Problem::error(format!("`{shown}` is no service configuration: {what}"));
    match error.location() {
        Some(location) => problem.excerpt(Excerpt::in_file(shown, &file.text, bytes(&location, file))),
        None => problem.in_file(&file.path),
    }
}

/// The bytes of a place in a file; one character where the parser doesn't know more.
fn bytes(location: &Location, file: &ConfigFile) -> Range<usize> {
    let span = location.span();
    let number = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
    if let (Some(start), Some(length)) = (span.byte_offset(), span.byte_len()) {
        let (start, length) = (number(start), number(length));
        return start..start.saturating_add(length);
    }
    let line = number(location.line()).saturating_sub(1);
    let before: usize = file.text.split_inclusive('\n').take(line).map(str::len).sum();
    let columns = number(location.column()).saturating_sub(1);
    let within: usize = file
        .text
        .get(before..)
        .map_or(0, |rest| rest.chars().take_while(|c| *c != '\n').take(columns).map(char::len_utf8).sum());
    before + within..before + within + 1
}

/// The file, of which everything but `http` is skipped.
#[derive(Deserialize)]
struct ServiceShape {
    #[serde(rename = "type")]
    kind: Option<Spanned<String>>,
    http: Option<HttpShape>,
}

/// `google.api.Http`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HttpShape {
    rules: Option<Vec<Spanned<RuleShape>>>,
    #[serde(alias = "fullyDecodeReservedExpansion")]
    fully_decode_reserved_expansion: Option<bool>,
}

/// `google.api.HttpRule`. Unknown keys are kept, so that all of them can be told.
#[derive(Default)]
struct RuleShape {
    selector: Option<Spanned<String>>,
    patterns: Vec<(KindShape, Spanned<String>)>,
    body: Option<Spanned<String>>,
    response_body: Option<Spanned<String>>,
    additional: Vec<Spanned<RuleShape>>,
    unknown: Vec<Spanned<String>>,
}

enum KindShape {
    Fixed(RawKind),
    Custom(Spanned<String>),
}

/// `google.api.CustomHttpPattern`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CustomShape {
    kind: Spanned<String>,
    path: Spanned<String>,
}

/// The keys of a rule, in the spelling that hints use.
const KEYS: [&str; 10] = [
    "selector",
    "get",
    "put",
    "post",
    "delete",
    "patch",
    "custom",
    "body",
    "response_body",
    "additional_bindings",
];

impl<'de> Deserialize<'de> for RuleShape {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(RuleVisitor)
    }
}

struct RuleVisitor;

impl<'de> Visitor<'de> for RuleVisitor {
    type Value = RuleShape;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an HTTP rule")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RuleShape, A::Error> {
        let mut rule = RuleShape::default();
        while let Some(key) = map.next_key::<Spanned<String>>()? {
            let fixed = match key.value.as_str() {
                "get" => Some(RawKind::Get),
                "put" => Some(RawKind::Put),
                "post" => Some(RawKind::Post),
                "delete" => Some(RawKind::Delete),
                "patch" => Some(RawKind::Patch),
                _ => None,
            };
            if let Some(kind) = fixed {
                rule.patterns.push((KindShape::Fixed(kind), map.next_value()?));
                continue;
            }
            match key.value.as_str() {
                "selector" => rule.selector = map.next_value()?,
                "custom" => {
                    let custom: CustomShape = map.next_value()?;
                    rule.patterns.push((KindShape::Custom(custom.kind), custom.path));
                }
                "body" => rule.body = map.next_value()?,
                "response_body" | "responseBody" => rule.response_body = map.next_value()?,
                "additional_bindings" | "additionalBindings" => {
                    rule.additional =
                        map.next_value::<Option<Vec<Spanned<RuleShape>>>>()?.unwrap_or_default();
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    rule.unknown.push(key);
                }
            }
        }
        Ok(rule)
    }
}

impl ServiceConfigs {
    fn add(&mut self, shape: ServiceShape, file: &Rc<ConfigFile>, problems: &mut Problems) {
        let shown = file.path.display();
        if let Some(kind) = shape.kind.filter(|kind| kind.value != "google.api.Service") {
            problems.push(
                Problem::error(format!("`{shown}` is a `{}`", kind.value))
                    .excerpt(spanned(kind, file).excerpt(""))
                    .help("a service configuration has `type: google.api.Service`"),
            );
            return;
        }
        let Some(http) = shape.http else {
            problems.push(
                Problem::warning(format!("`{shown}` has no `http` section"))
                    .help("a service configuration without one says nothing about HTTP rules"),
            );
            return;
        };
        self.fully_decode_reserved_expansion |= http.fully_decode_reserved_expansion.unwrap_or_default();
        for mut rule in http.rules.unwrap_or_default() {
            let selector = rule.value.selector.take();
            let whole = place(&rule, file);
            let Some(selector) = selector else {
                problems.push(
                    Problem::error("an HTTP rule has no `selector`")
                        .excerpt(whole.excerpt(""))
                        .help("name the method, as in `selector: pkg.Service.Method`"),
                );
                continue;
            };
            let selector = spanned(selector, file);
            let rule = convert(rule, whole, file, problems);
            self.rules.push(ConfigRule { selector, file: Rc::clone(file), rule });
        }
    }
}

/// The parser limits how deep rules nest.
fn convert(rule: Spanned<RuleShape>, whole: Text, file: &Rc<ConfigFile>, problems: &mut Problems) -> RawRule {
    let shape = rule.value;
    for key in shape.unknown {
        let help = match nearest(&key.value, KEYS) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("a rule has {}", KEYS.join(", ")),
        };
        let text = spanned(key, file);
        problems.push(
            Problem::error(format!("unknown key `{}` in an HTTP rule", text.value))
                .excerpt(text.excerpt(""))
                .help(help),
        );
    }
    let patterns = shape.patterns.into_iter().map(|(kind, path)| {
        let kind = match kind {
            KindShape::Fixed(kind) => kind,
            KindShape::Custom(kind) => RawKind::Custom(spanned(kind, file)),
        };
        RawPattern { kind, path: spanned(path, file) }
    });
    let said = |text: Option<Spanned<String>>| {
        text.filter(|text| !text.value.is_empty()).map(|text| spanned(text, file))
    };
    let patterns = patterns.collect();
    let (body, response_body) = (said(shape.body), said(shape.response_body));
    let mut additional = Vec::with_capacity(shape.additional.len());
    for mut rule in shape.additional {
        if let Some(selector) = rule.value.selector.take() {
            problems.push(
                Problem::error("an additional binding has a `selector`")
                    .excerpt(spanned(selector, file).excerpt(""))
                    .help("leave it out: it is for the method of the rule around it"),
            );
        }
        let whole = place(&rule, file);
        additional.push(convert(rule, whole, file, problems));
    }
    RawRule { patterns, body, response_body, additional, place: Some(whole) }
}

fn spanned(text: Spanned<String>, file: &Rc<ConfigFile>) -> Text {
    let span = bytes(&text.referenced, file);
    Text::in_file(text.value, file, span)
}

/// The first line of a rule.
fn place(rule: &Spanned<RuleShape>, file: &Rc<ConfigFile>) -> Text {
    let start = bytes(&rule.referenced, file).start;
    let line = file.text.get(start..).and_then(|rest| rest.lines().next()).unwrap_or_default();
    Text::in_file(line.to_owned(), file, start..start + line.len())
}
