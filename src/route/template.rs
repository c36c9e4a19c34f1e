//! Path templates: the whole grammar of google/api/http.proto, parsed once, at load.
//!
//! ```text
//! Template = "/" [ Segments ] [ Verb ] ;        Segments  = Segment { "/" Segment } ;
//! Segment  = "*" | "**" | LITERAL | Variable ;  Variable  = "{" FieldPath [ "=" Segments ] "}" ;
//! Verb     = ":" LITERAL ;                      FieldPath = IDENT { "." IDENT } ;
//! ```
//! LITERAL is RFC 3986's `pchar` without `:` and `*`. Beyond http.proto: `**` may stand before
//! other segments, once in a template; `/` alone matches `/`; a last segment may be empty.

mod error;

use std::fmt;
use std::ops::Range;

pub use self::error::{TemplateError, TemplateErrorKind};
use super::decode::{escaped_byte, unescape_into};
use TemplateErrorKind as Kind;

/// A parsed path template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    source: String,
    segments: Vec<Segment>,
    verb: Option<String>,
    variables: Vec<Variable>,
}

/// What one segment of a template matches. Variables are flattened into the segments they cover.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Segment {
    /// This text, decoded. Empty only as the last segment: a trailing slash.
    Literal(String),
    /// `*`: one segment that is not empty.
    Single,
    /// `**`: any number of segments, none of them empty; at most once in a template.
    Rest,
}

/// A variable of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// The names of the field path, outermost first; never empty.
    pub path: Vec<String>,
    /// The bytes of the template's text that are the variable, braces included.
    pub span: Range<usize>,
    /// The segments of the template that the variable covers.
    pub segments: Range<usize>,
    /// Whether it may match more than one segment of a path.
    pub multi: bool,
}

impl Template {
    /// The most segments that a template may have.
    pub const MAX_SEGMENTS: usize = 128;

    /// Parses a template.
    ///
    /// # Errors
    /// The first thing that the grammar does not allow, with the bytes to blame.
    pub fn parse(source: &str) -> Result<Template, TemplateError> {
        let mut parser = Parser { source, at: 0, segments: Vec::new(), variables: Vec::new(), rest: None };
        let verb = parser.template()?;
        let Parser { segments, variables, .. } = parser;
        Ok(Template { source: source.to_owned(), segments, verb, variables })
    }

    /// The text that was parsed.
    pub fn as_str(&self) -> &str {
        &self.source
    }

    /// The segments, variables flattened; none for `/`.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The verb, decoded.
    pub fn verb(&self) -> Option<&str> {
        self.verb.as_deref()
    }

    /// The variables, in the order in which they stand.
    pub fn variables(&self) -> &[Variable] {
        &self.variables
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

/// Whether this is protobuf's IDENT.
pub(crate) fn is_identifier(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

struct Parser<'a> {
    source: &'a str,
    /// Always on a character boundary.
    at: usize,
    segments: Vec<Segment>,
    variables: Vec<Variable>,
    /// Where the `**` stands.
    rest: Option<Range<usize>>,
}

/// Where a segment stands, which decides what may end it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Outside,
    /// In the variable whose `{` is at this byte.
    InVariable(usize),
}

impl<'a> Parser<'a> {
    /// The whole template; gives the verb.
    fn template(&mut self) -> Result<Option<String>, TemplateError> {
        if self.peek() != Some(b'/') {
            let end = self.source.chars().next().map_or(0, char::len_utf8);
            return Err(TemplateError::new(0..end, Kind::NoLeadingSlash));
        }
        if self.source.len() == 1 {
            return Ok(None);
        }
        while self.peek() == Some(b'/') {
            self.at += 1;
            let start = self.at;
            if self.peek() == Some(b'{') {
                self.variable()?;
            } else {
                self.segment(Place::Outside)?;
            }
            let (span, kind) = match self.peek() {
                None | Some(b'/' | b':') => continue,
                Some(b'}') => (self.at..self.at + 1, Kind::StrayBrace),
                Some(_) => (start..self.segment_end(), Kind::PartialVariable),
            };
            return Err(TemplateError::new(span, kind));
        }
        if self.peek().is_none() { Ok(None) } else { self.verb().map(Some) }
    }

    /// A segment that is no variable.
    fn segment(&mut self, place: Place) -> Result<(), TemplateError> {
        let start = self.at;
        let text = self.take_until(b"/:{}");
        let span = start..self.at;
        let segment = match text {
            "" => match (self.peek(), place) {
                (None, Place::Outside) => Segment::Literal(String::new()),
                (Some(b':'), _) => {
                    return Err(TemplateError::new(start..self.segment_end(), Kind::ColonFirst));
                }
                (Some(b'}'), Place::Outside) => {
                    return Err(TemplateError::new(start..start + 1, Kind::StrayBrace));
                }
                (Some(b'{'), _) => {
                    return Err(TemplateError::new(start..start + 1, Kind::NestedVariable));
                }
                (None, Place::InVariable(open)) => {
                    return Err(TemplateError::new(open..start, Kind::UnclosedVariable));
                }
                (Some(_), _) => {
                    return Err(TemplateError::new(self.slashes(), Kind::EmptySegment));
                }
            },
            "*" => Segment::Single,
            "**" => {
                if let Some(first) = self.rest.clone() {
                    return Err(TemplateError::new(span, Kind::SecondRest { first }));
                }
                self.rest = Some(span.clone());
                Segment::Rest
            }
            partial if partial.contains('*') => {
                return Err(TemplateError::new(span, Kind::PartialWildcard));
            }
            literal => Segment::Literal(literal_text(literal, start)?),
        };
        self.push(segment, span)
    }

    /// A variable, from its `{` to behind its `}`.
    fn variable(&mut self) -> Result<(), TemplateError> {
        let start = self.at;
        self.at += 1;
        let field_path = self.take_until(b"={}/:");
        let path_end = self.at;
        let covered = self.segments.len();
        let next = self.expect_in_variable(start, b"=}")?;
        let path = names(field_path, start + 1)?;
        self.at += 1;
        if next == b'}' {
            self.push(Segment::Single, start..self.at)?;
        } else {
            if self.peek() == Some(b'}') {
                return Err(TemplateError::new(path_end..self.at + 1, Kind::EmptyPattern));
            }
            self.segment(Place::InVariable(start))?;
            while self.expect_in_variable(start, b"/}")? == b'/' {
                self.at += 1;
                self.segment(Place::InVariable(start))?;
            }
            self.at += 1;
        }
        let span = start..self.at;
        if let Some(earlier) = self.variables.iter().find(|variable| variable.path == path) {
            let kind = Kind::VariableTwice { first: earlier.span.clone() };
            return Err(TemplateError::new(span, kind));
        }
        let segments = covered..self.segments.len();
        let multi = segments.len() > 1 || self.segments.last() == Some(&Segment::Rest);
        self.variables.push(Variable { path, span, segments, multi });
        Ok(())
    }

    /// The character here, which has to be one of `wanted`, in the variable that `open` opens.
    fn expect_in_variable(&self, open: usize, wanted: &[u8]) -> Result<u8, TemplateError> {
        let here = self.at..self.at + 1;
        Err(match self.peek() {
            Some(byte) if wanted.contains(&byte) => return Ok(byte),
            Some(b'{') => TemplateError::new(here, Kind::NestedVariable),
            Some(b':') => TemplateError::new(here, Kind::MisplacedColon),
            Some(_) | None => TemplateError::new(open..self.segment_end(), Kind::UnclosedVariable),
        })
    }

    /// The verb, from its colon to the end.
    fn verb(&mut self) -> Result<String, TemplateError> {
        let colon = self.at;
        let start = colon + 1;
        let text = self.source.get(start..).unwrap_or_default();
        if text.is_empty() {
            return Err(TemplateError::new(colon..start, Kind::EmptyVerb));
        }
        if text.contains(['/', ':']) {
            return Err(TemplateError::new(colon..start, Kind::MisplacedColon));
        }
        literal_text(text, start)
    }

    fn push(&mut self, segment: Segment, span: Range<usize>) -> Result<(), TemplateError> {
        if self.segments.len() == Template::MAX_SEGMENTS {
            return Err(TemplateError::new(span, Kind::TooManySegments));
        }
        self.segments.push(segment);
        Ok(())
    }

    /// The slashes directly before and behind the cursor.
    fn slashes(&self) -> Range<usize> {
        let before = self.source.get(..self.at).is_some_and(|text| text.ends_with('/'));
        let behind = self.peek() == Some(b'/');
        self.at - usize::from(before)..self.at + usize::from(behind)
    }

    fn peek(&self) -> Option<u8> {
        self.source.as_bytes().get(self.at).copied()
    }

    /// Everything up to one of these ASCII characters, or to the end.
    fn take_until(&mut self, stops: &[u8]) -> &'a str {
        let text = self.source.get(self.at..).unwrap_or_default();
        let end = text.bytes().position(|byte| stops.contains(&byte)).unwrap_or(text.len());
        self.at += end;
        text.get(..end).unwrap_or_default()
    }

    /// Where the segment ends that the cursor is in.
    fn segment_end(&self) -> usize {
        let text = self.source.get(self.at..).unwrap_or_default();
        self.at + text.find('/').unwrap_or(text.len())
    }
}

/// Checks a literal that stands at byte `offset` of the template, and decodes it.
fn literal_text(text: &str, offset: usize) -> Result<String, TemplateError> {
    for (at, character) in text.char_indices() {
        let start = offset + at;
        if character == '%' {
            let rest = text.as_bytes().get(at..).unwrap_or_default();
            if escaped_byte(rest).is_none() {
                let end = text.len().min(at + 3);
                // The escape may be cut short by the end, or by a character of several bytes.
                let end = (at + 1..=end).rev().find(|&end| text.is_char_boundary(end));
                let span = start..offset + end.unwrap_or(at + 1);
                return Err(TemplateError::new(span, Kind::Escape));
            }
        } else if !is_literal(character) {
            let span = start..start + character.len_utf8();
            return Err(TemplateError::new(span, Kind::Character(character)));
        }
    }
    let not_text = || TemplateError::new(offset..offset + text.len(), Kind::EscapedText);
    let mut bytes = Vec::with_capacity(text.len());
    unescape_into(text.as_bytes(), &mut bytes);
    match String::from_utf8(bytes) {
        Ok(decoded) if !decoded.contains('\0') => Ok(decoded),
        Ok(_) | Err(_) => Err(not_text()),
    }
}

/// RFC 3986's unreserved and sub-delims, and `@`; but no `*`.
fn is_literal(character: char) -> bool {
    character.is_ascii_alphanumeric()
        || matches!(
            character,
            '-' | '.' | '_' | '~' | '!' | '$' | '&' | '\'' | '(' | ')' | '+' | ',' | ';' | '=' | '@'
        )
}

/// The names of a field path that stands at byte `offset` of the template, behind a brace.
fn names(field_path: &str, offset: usize) -> Result<Vec<String>, TemplateError> {
    let end = offset + field_path.len();
    if field_path.is_empty() {
        return Err(TemplateError::new(offset - 1..end + 1, Kind::FieldPath));
    }
    let mut names = Vec::new();
    let mut at = offset;
    for name in field_path.split('.') {
        if name.is_empty() {
            return Err(TemplateError::new(offset..end, Kind::FieldPath));
        }
        if !is_identifier(name) {
            return Err(TemplateError::new(at..at + name.len(), Kind::FieldPath));
        }
        names.push(name.to_owned());
        at += name.len() + 1;
    }
    Ok(names)
}

#[cfg(test)]
mod tests;
