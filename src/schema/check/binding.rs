//! What one HTTP rule says about one method: the checks of google/api/http.proto.

use std::ops::Range;

use http::Method as Verb;
use prost_reflect::FieldDescriptor;

use crate::problem::{Problem, Problems};
use crate::route::{HttpMethod, Template};
use crate::schema::fields::{self, PathError};
use crate::schema::http_rule::{RawKind, RawPattern, RawRule, SourcedRule, Text};
use crate::schema::{Binding, BindingSource, BodyRule, Method};

/// A binding, with the text of its template for what may have to be said about it.
pub(super) struct Checked {
    pub binding: Binding,
    pub path: Text,
}

/// Adds the bindings of a rule: its own, then the additional ones.
pub(super) fn of_rule(
    sourced: &SourcedRule,
    method: &Method,
    index: usize,
    checked: &mut Vec<Checked>,
    problems: &mut Problems,
) {
    let rule = &sourced.rule;
    let inner = rule.additional.iter();
    for (nth, rule) in std::iter::once(rule).chain(inner).enumerate() {
        let mut found = Findings { method, rule, problems };
        if nth > 0 && !rule.additional.is_empty() {
            found.error(
                "has additional bindings inside an additional binding".to_owned(),
                None,
                "list them all in the rule itself",
            );
        }
        let Some(pattern) = found.pattern() else { continue };
        if let Some(binding) = found.binding(pattern, index, &sourced.source) {
            checked.push(Checked { binding, path: pattern.path.clone() });
        }
    }
}

/// One binding while it is checked.
struct Findings<'a> {
    method: &'a Method,
    rule: &'a RawRule,
    problems: &'a mut Problems,
}

impl<'a> Findings<'a> {
    /// The binding's one pattern.
    fn pattern(&mut self) -> Option<&'a RawPattern> {
        match self.rule.patterns.as_slice() {
            [pattern] => return Some(pattern),
            [] => self.error(
                "has an HTTP rule without a pattern".to_owned(),
                None,
                "give it one of get, put, post, delete, patch or custom, with a path",
            ),
            [first, second, ..] => {
                let excerpts = [&first.path, &second.path].map(|path| path.excerpt(self.method.full_name()));
                let [first, second] = excerpts;
                let what =
                    format!("`{}` has an HTTP rule with more than one pattern", self.method.full_name());
                self.problems.push(
                    Problem::error(what)
                        .excerpt(first)
                        .excerpt(second)
                        .help("move all but one of them to `additional_bindings`"),
                );
            }
        }
        None
    }

    /// The binding, if all of it is right. All parts are looked at, so that all faults are told.
    fn binding(&mut self, pattern: &RawPattern, method: usize, source: &BindingSource) -> Option<Binding> {
        let http_method = self.http_method(&pattern.kind);
        let template = self.template(&pattern.path);
        let variables = template.as_ref().and_then(|template| self.variables(template, pattern));
        let body = self.body(template.as_ref());
        let response_body = self.response_body();
        if let (Some(http_method), Some(body)) = (&http_method, &body) {
            self.fits_method(http_method, body, &pattern.path);
        }
        Some(Binding {
            method,
            http_method: http_method?,
            template: template?,
            body: body?,
            response_body: response_body?,
            variables: variables?,
            source: source.clone(),
        })
    }

    fn http_method(&mut self, kind: &RawKind) -> Option<HttpMethod> {
        let exact = match kind {
            RawKind::Get => Verb::GET,
            RawKind::Put => Verb::PUT,
            RawKind::Post => Verb::POST,
            RawKind::Delete => Verb::DELETE,
            RawKind::Patch => Verb::PATCH,
            RawKind::Custom(kind) if kind.value == "*" => return Some(HttpMethod::Any),
            RawKind::Custom(kind) => match Verb::from_bytes(kind.value.as_bytes()) {
                Ok(verb) => verb,
                Err(_) => {
                    self.error(
                        "has a custom pattern whose `kind` is no HTTP method".to_owned(),
                        Some(kind),
                        "name one, such as `HEAD`, or `*` for any",
                    );
                    return None;
                }
            },
        };
        Some(HttpMethod::Exact(exact))
    }

    fn template(&mut self, path: &Text) -> Option<Template> {
        match Template::parse(&path.value) {
            Ok(template) => Some(template),
            Err(error) => {
                if path.value.is_empty() {
                    let what = "has an HTTP rule whose path is empty".to_owned();
                    self.error(what, Some(path), "write one, such as `/v1/books/{id}`");
                } else {
                    let what = format!("has a path template that can't be read: {error}");
                    self.error_at(what, path, error.span.clone(), &error.help());
                }
                None
            }
        }
    }

    fn variables(&mut self, template: &Template, pattern: &RawPattern) -> Option<Vec<Vec<FieldDescriptor>>> {
        let request = self.method.input();
        let mut resolved = Vec::with_capacity(template.variables().len());
        let mut complete = true;
        for variable in template.variables() {
            match fields::resolve(variable, &request) {
                Ok(fields) => {
                    complete &= self.one_of_each(&resolved, &fields, variable.span.clone(), &pattern.path);
                    resolved.push(fields);
                }
                Err(PathError { span, what, help }) => {
                    let what = format!("has a path variable that can't be filled: {what}");
                    self.error_at(what, &pattern.path, span, &help);
                    complete = false;
                }
            }
        }
        complete.then_some(resolved)
    }

    /// Whether a variable leaves alone the oneofs that earlier ones set.
    fn one_of_each(
        &mut self,
        earlier: &[Vec<FieldDescriptor>],
        fields: &[FieldDescriptor],
        span: Range<usize>,
        path: &Text,
    ) -> bool {
        let shared = |with: &Vec<FieldDescriptor>| {
            let at = fields::same_oneof(with, fields)?;
            Some((with.get(at)?.clone(), fields.get(at)?.clone()))
        };
        let Some((one, other)) = earlier.iter().find_map(shared) else { return true };
        let oneof = one.containing_oneof().map_or(String::new(), |oneof| oneof.name().to_owned());
        let what = format!(
            "sets two members of the oneof `{oneof}` from one path, `{}` and `{}`",
            one.name(),
            other.name()
        );
        self.error_at(what, path, span, "a message has at most one of them: use one of the variables");
        false
    }

    fn body(&mut self, template: Option<&Template>) -> Option<BodyRule> {
        let Some(text) = &self.rule.body else { return Some(BodyRule::None) };
        if text.value == "*" {
            return Some(BodyRule::Whole);
        }
        let request = self.method.input();
        let field = self.top_field(text, "body", &request)?;
        let in_path = |template: &Template| {
            template.variables().iter().any(|of| of.path.len() == 1 && of.path[0] == text.value)
        };
        if template.is_some_and(in_path) {
            self.error(
                format!("takes `{}` from the path and from the body", text.value),
                Some(text),
                "name another field as the body, or `*` for all that the path leaves",
            );
            return None;
        }
        Some(BodyRule::Field(field))
    }

    /// `Some(None)`: the whole reply.
    fn response_body(&mut self) -> Option<Option<FieldDescriptor>> {
        let Some(text) = &self.rule.response_body else { return Some(None) };
        if text.value == "*" {
            self.error(
                "has the response body `*`".to_owned(),
                Some(text),
                "leave it out to answer with the whole reply",
            );
            return None;
        }
        let reply = self.method.output();
        self.top_field(text, "response body", &reply).map(Some)
    }

    /// The field of `message` that a `body` or `response_body` names.
    fn top_field(
        &mut self,
        text: &Text,
        role: &str,
        message: &prost_reflect::MessageDescriptor,
    ) -> Option<FieldDescriptor> {
        if let Some(field) = message.get_field_by_name(&text.value) {
            return Some(field);
        }
        if text.value.contains('.') {
            self.error(
                format!("has a {role} that is a nested field, `{}`", text.value),
                Some(text),
                "only a field of the message itself can be one",
            );
            return None;
        }
        let (what, help) = fields::no_such_field(message, &text.value);
        self.error(format!("has a {role} that is no field: {what}"), Some(text), &help);
        None
    }

    fn fits_method(&mut self, http_method: &HttpMethod, body: &BodyRule, path: &Text) {
        let has_body = *body != BodyRule::None;
        let bodiless = match http_method {
            HttpMethod::Exact(verb) => [Verb::GET, Verb::HEAD, Verb::DELETE].contains(verb),
            HttpMethod::Any => false,
        };
        if self.method.client_streaming && (!has_body || bodiless) {
            self.error(
                "takes a stream of messages, but this binding has no body to carry it".to_owned(),
                Some(path),
                "use POST with `body: \"*\"`",
            );
        } else if has_body && bodiless {
            let text = self.rule.body.as_ref().unwrap_or(path);
            let problem = Problem::warning(format!(
                "`{}` takes a body with {http_method}, which many clients and proxies don't send",
                self.method.full_name()
            ));
            self.problems.push(
                problem
                    .excerpt(text.excerpt(self.method.full_name()))
                    .help("leave the body out, or use POST"),
            );
        }
    }

    /// An error about the method, with a caret under all of `text` or, without one, at the rule.
    fn error(&mut self, what: String, text: Option<&Text>, help: &str) {
        match text.or(self.rule.place.as_ref()) {
            Some(text) => self.error_at(what, text, 0..text.value.len(), help),
            None => {
                self.problems.push(Problem::error(format!("`{}` {what}", self.method.full_name())).help(help))
            }
        }
    }

    fn error_at(&mut self, what: String, text: &Text, part: Range<usize>, help: &str) {
        let problem = Problem::error(format!("`{}` {what}", self.method.full_name()));
        let excerpt = text.excerpt_of(part, self.method.full_name());
        // An annotation that is empty has nothing to show.
        let problem = if excerpt.text.is_empty() { problem } else { problem.excerpt(excerpt) };
        self.problems.push(problem.help(help));
    }
}
