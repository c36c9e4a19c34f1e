//! HTTP rules as they were written, from annotations and service configurations alike: one shape
//! for both, with the place of every text.

use std::ops::Range;
use std::path::PathBuf;
use std::rc::Rc;

use super::BindingSource;
use super::outline::{HttpRule, Pattern};
use crate::problem::Excerpt;

/// A rule (google/api/http.proto, `HttpRule`) before it is checked.
#[derive(Debug, Clone)]
pub(super) struct RawRule {
    /// As many as were written; one is right.
    pub patterns: Vec<RawPattern>,
    pub body: Option<Text>,
    pub response_body: Option<Text>,
    pub additional: Vec<RawRule>,
    /// Where the rule as a whole stands. None: an annotation, which has no place of its own.
    pub place: Option<Text>,
}

/// An HTTP method and a path.
#[derive(Debug, Clone)]
pub(super) struct RawPattern {
    pub kind: RawKind,
    pub path: Text,
}

#[derive(Debug, Clone)]
pub(super) enum RawKind {
    Get,
    Put,
    Post,
    Delete,
    Patch,
    /// `custom`, with its `kind`.
    Custom(Text),
}

/// A text of the operator, and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Text {
    pub value: String,
    place: Place,
}

#[derive(Debug, Clone)]
enum Place {
    /// In the options of the method that the rule is for.
    Annotation,
    /// In a file, at these bytes.
    File { file: Rc<ConfigFile>, span: Range<usize> },
}

/// A service configuration's text.
#[derive(Debug)]
pub(super) struct ConfigFile {
    pub path: PathBuf,
    pub text: String,
}

impl Text {
    pub fn annotated(value: &str) -> Self {
        Self { value: value.to_owned(), place: Place::Annotation }
    }

    pub fn in_file(value: String, file: &Rc<ConfigFile>, span: Range<usize>) -> Self {
        Self { value, place: Place::File { file: Rc::clone(file), span } }
    }

    /// The text with a caret under `part` of it, in a rule for `method`.
    pub fn excerpt_of(&self, part: Range<usize>, method: &str) -> Excerpt {
        match &self.place {
            Place::Annotation => Excerpt::in_file(method, &self.value, part),
            Place::File { file, span } => {
                let origin = file.path.display().to_string();
                // In a plain or simply quoted scalar the parts of the value can be told apart.
                let written = file.text.get(span.clone()).unwrap_or_default();
                match written.find(&self.value) {
                    Some(at) if at <= 1 => {
                        let start = span.start + at;
                        Excerpt::in_file(origin, &file.text, start + part.start..start + part.end)
                    }
                    Some(_) | None => Excerpt::in_file(origin, &file.text, span.clone()),
                }
            }
        }
    }

    /// The text with a caret under all of it.
    pub fn excerpt(&self, method: &str) -> Excerpt {
        self.excerpt_of(0..self.value.len(), method)
    }
}

impl RawRule {
    /// The rule of an annotation.
    pub fn annotated(rule: &HttpRule) -> Self {
        // protobuf's decoder limits how deep rules nest.
        let pattern = rule.pattern.as_ref().map(|pattern| {
            let (kind, path) = match pattern {
                Pattern::Get(path) => (RawKind::Get, path),
                Pattern::Put(path) => (RawKind::Put, path),
                Pattern::Post(path) => (RawKind::Post, path),
                Pattern::Delete(path) => (RawKind::Delete, path),
                Pattern::Patch(path) => (RawKind::Patch, path),
                Pattern::Custom(custom) => (RawKind::Custom(Text::annotated(&custom.kind)), &custom.path),
            };
            RawPattern { kind, path: Text::annotated(path) }
        });
        let text = |value: &String| (!value.is_empty()).then(|| Text::annotated(value));
        Self {
            patterns: pattern.into_iter().collect(),
            body: text(&rule.body),
            response_body: text(&rule.response_body),
            additional: rule.additional_bindings.iter().map(Self::annotated).collect(),
            place: None,
        }
    }

    /// `POST /pkg.Service/Method`, the path of the method in gRPC, with the whole body.
    pub fn default_for(path: &str) -> Self {
        Self {
            patterns: vec![RawPattern { kind: RawKind::Post, path: Text::annotated(path) }],
            body: Some(Text::annotated("*")),
            response_body: None,
            additional: Vec::new(),
            place: None,
        }
    }
}

/// A rule and who says so.
#[derive(Debug, Clone)]
pub(super) struct SourcedRule {
    pub rule: RawRule,
    pub source: BindingSource,
}
