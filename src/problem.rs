//! What is wrong with the input of an operator: configuration, descriptors, HTTP rules.
//!
//! Loading never stops at the first fault. Every room that reads an operator's input collects [`Problems`] and the
//! command line prints them all, each with the place, the text under a caret, and what to do about it. Faults of single
//! requests are another matter: they are [`crate::fault::Fault`].

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

/// Whether loading can go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The input is usable, but says something that is probably not meant.
    Warning,
    /// The input can't be used.
    Error,
}

/// A piece of the operator's text and the part of it that is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt {
    /// One or several whole lines.
    pub text: String,
    /// Where `text` comes from, as it is printed: a path, or a method's full name.
    pub origin: String,
    /// Line number of the first line of `text`, from 1.
    pub line: usize,
    /// Byte range in `text` that the caret goes under.
    pub span: Range<usize>,
    /// What stands behind the caret; may be empty.
    pub label: String,
}

impl Excerpt {
    /// The lines of `source` that hold `span` (a byte range in `source`), as they stand in the file `origin`.
    #[must_use]
    pub fn in_file(origin: impl Into<String>, source: &str, span: Range<usize>) -> Self {
        let start = floor_boundary(source, span.start);
        let end = floor_boundary(source, span.end).max(start);
        let first = source[..start].rfind('\n').map_or(0, |at| at + 1);
        let last = source[end..].find('\n').map_or(source.len(), |at| end + at);
        Self {
            text: source[first..last].to_owned(),
            origin: origin.into(),
            line: source[..first].matches('\n').count() + 1,
            span: start - first..end - first,
            label: String::new(),
        }
    }

    /// Adds what stands behind the caret.
    #[must_use]
    pub fn labelled(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }
}

fn floor_boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub severity: Severity,
    /// What is wrong, in one line; names the method, key or file that it is about.
    pub what: String,
    /// Files that the problem is about and that have no excerpt.
    pub files: Vec<PathBuf>,
    /// The texts that it is about.
    pub excerpts: Vec<Excerpt>,
    /// What to do about it.
    pub help: Option<String>,
}

impl Problem {
    #[must_use]
    pub fn error(what: impl Into<String>) -> Self {
        Self::new(Severity::Error, what)
    }

    #[must_use]
    pub fn warning(what: impl Into<String>) -> Self {
        Self::new(Severity::Warning, what)
    }

    fn new(severity: Severity, what: impl Into<String>) -> Self {
        Self { severity, what: what.into(), files: Vec::new(), excerpts: Vec::new(), help: None }
    }

    #[must_use]
    pub fn in_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.files.push(file.into());
        self
    }

    #[must_use]
    pub fn excerpt(mut self, excerpt: Excerpt) -> Self {
        self.excerpts.push(excerpt);
        self
    }

    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The report as it is printed, without colours or, for a terminal, with them.
    #[must_use]
    pub fn render(&self, colours: bool) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let files: Vec<String> = self.files.iter().map(|file| format!("in {}", file.display())).collect();
        let mut group: Group<'_> = Group::with_title(level.primary_title(self.what.as_str()));
        for excerpt in &self.excerpts {
            let mut annotation = AnnotationKind::Primary.span(excerpt.span.clone());
            if !excerpt.label.is_empty() {
                annotation = annotation.label(excerpt.label.as_str());
            }
            group = group.element(
                Snippet::source(excerpt.text.as_str())
                    .line_start(excerpt.line)
                    .path(excerpt.origin.as_str())
                    .annotation(annotation),
            );
        }
        for file in &files {
            group = group.element(Level::NOTE.message(file.as_str()));
        }
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        let renderer = if colours { Renderer::styled() } else { Renderer::plain() };
        renderer.decor_style(DecorStyle::Ascii).render(&[group])
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

/// All that is wrong, in the order in which it was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    pub fn push(&mut self, problem: Problem) {
        self.0.push(problem);
    }

    pub fn extend(&mut self, others: Problems) {
        self.0.extend(others.0);
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many problems forbid going on.
    #[must_use]
    pub fn errors(&self) -> usize {
        self.0.iter().filter(|problem| problem.severity == Severity::Error).count()
    }

    /// How many problems are only warnings.
    #[must_use]
    pub fn warnings(&self) -> usize {
        self.0.len() - self.errors()
    }

    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.0.iter()
    }

    /// `Ok` with the warnings where nothing forbids going on.
    pub fn into_result<T>(self, value: T) -> Result<(T, Problems), Problems> {
        if self.errors() == 0 { Ok((value, self)) } else { Err(self) }
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// The name in `known` that `given` is most likely a slip of, if any is near.
#[must_use]
pub fn nearest<'k>(given: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    known
        .into_iter()
        .map(|name| (likeness(given, name), name))
        .filter(|(score, _)| *score > NEAR)
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .map(|(_, name)| name)
}

/// The likeness above which one name may be a slip of another.
const NEAR: f64 = 0.75;

/// From 0 to 1. Jaro-Winkler is blind to swapped letters in names as short as `get`.
fn likeness(given: &str, name: &str) -> f64 {
    let score = strsim::jaro_winkler(given, name);
    let short = 3..=6;
    let one_slip = score <= NEAR
        && short.contains(&given.len())
        && short.contains(&name.len())
        && strsim::osa_distance(given, name) == 1;
    if one_slip { NEAR + 0.01 } else { score }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_place_caret_and_help() {
        let source = "a: 1\nlistners:\n  x: 2\n";
        let problem = Problem::error("unknown key `listners`")
            .excerpt(Excerpt::in_file("transom.yaml", source, 5..13))
            .help("did you mean `listeners`?");
        let text = problem.to_string();
        for want in [
            "unknown key `listners`",
            "transom.yaml:2:1",
            "listners:",
            "^^^^^^^^",
            "did you mean `listeners`?",
        ] {
            assert!(text.contains(want), "{want} is missing in\n{text}");
        }
    }

    #[test]
    fn a_span_outside_the_text_is_cut_to_it() {
        let excerpt = Excerpt::in_file("f", "äb", 1..99);
        assert_eq!(excerpt.span, 0..3);
    }

    #[test]
    fn warnings_let_loading_go_on() {
        let mut problems = Problems::from(Problem::warning("odd"));
        assert!(problems.clone().into_result(()).is_ok());
        problems.push(Problem::error("bad"));
        assert_eq!((problems.errors(), problems.warnings()), (1, 1));
        assert!(problems.into_result(()).is_err());
    }

    #[test]
    fn nearest_finds_slips_and_nothing_far() {
        assert_eq!(nearest("gte", ["put", "get"]), Some("get"));
        assert_eq!(nearest("listners", ["listeners", "admin"]), Some("listeners"));
        assert_eq!(nearest("zzz", ["listeners", "admin"]), None);
    }
}
