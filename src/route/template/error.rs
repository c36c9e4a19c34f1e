//! What can be wrong with a path template, where, and what to write instead.

use std::error::Error;
use std::fmt;
use std::ops::Range;

/// Why a text is no path template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateError {
    /// The bytes of the text under which a caret goes. Empty, at the end, where something is
    /// missing.
    pub span: Range<usize>,
    /// What is wrong there.
    pub kind: TemplateErrorKind,
}

/// The ways in which a text can fail to be a path template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TemplateErrorKind {
    /// It does not start with a slash.
    NoLeadingSlash,
    /// A segment with nothing in it that is not the last one.
    EmptySegment,
    /// A segment that starts with a colon.
    ColonFirst,
    /// A colon that does not start the verb.
    MisplacedColon,
    /// A colon at the end.
    EmptyVerb,
    /// A character that a literal has to escape, or cannot have.
    Character(char),
    /// A `%` that two hexadecimal digits do not follow.
    Escape,
    /// Escapes that stand for a NUL or for no UTF-8.
    EscapedText,
    /// A `*` or `**` that shares its segment with text.
    PartialWildcard,
    /// A variable that shares its segment with text or with another variable.
    PartialVariable,
    /// A `{` without its `}`.
    UnclosedVariable,
    /// A `}` without its `{`.
    StrayBrace,
    /// A variable inside a variable.
    NestedVariable,
    /// Not names with dots between.
    FieldPath,
    /// `{name=}`.
    EmptyPattern,
    /// A field path that an earlier variable has.
    VariableTwice {
        /// Where the earlier variable stands.
        first: Range<usize>,
    },
    /// A second `**`.
    SecondRest {
        /// Where the first one stands.
        first: Range<usize>,
    },
    /// More segments than [`Template::MAX_SEGMENTS`](super::Template::MAX_SEGMENTS).
    TooManySegments,
}

impl TemplateError {
    pub(super) fn new(span: Range<usize>, kind: TemplateErrorKind) -> TemplateError {
        TemplateError { span, kind }
    }

    /// What to write instead.
    pub fn help(&self) -> String {
        let fixed = match &self.kind {
            TemplateErrorKind::Character(character) => return character_help(*character),
            TemplateErrorKind::NoLeadingSlash => "start it with `/`",
            TemplateErrorKind::EmptySegment => "leave out one of the slashes",
            TemplateErrorKind::ColonFirst => {
                "write a variable as `{id}`; a verb follows a segment, as in `/v1/books:archive`"
            }
            TemplateErrorKind::MisplacedColon => {
                "a verb is the end of a template; a colon in a segment is written `%3A`"
            }
            TemplateErrorKind::EmptyVerb => "name the verb, or leave out the colon",
            TemplateErrorKind::Escape => "write two hexadecimal digits after `%`, or `%25` for `%`",
            TemplateErrorKind::EscapedText => "escape the bytes of UTF-8 text without NUL",
            TemplateErrorKind::PartialWildcard => {
                "let `*` or `**` be the whole segment; a literal star is written `%2A`"
            }
            TemplateErrorKind::PartialVariable => "let the variable be the whole segment",
            TemplateErrorKind::UnclosedVariable => "close the variable with `}`",
            TemplateErrorKind::StrayBrace => "open the variable with `{`; a literal brace is written `%7D`",
            TemplateErrorKind::NestedVariable => {
                "inside a variable write the bare segments, as in `{name=shelves/*}`"
            }
            TemplateErrorKind::FieldPath => {
                "write the names of fields with dots between, as in `{book.name}`"
            }
            TemplateErrorKind::EmptyPattern => "write segments after `=`, or leave it out to mean `=*`",
            TemplateErrorKind::VariableTwice { .. } => "give each field to one variable",
            TemplateErrorKind::SecondRest { .. } => "use `*` for one of them",
            TemplateErrorKind::TooManySegments => "shorten the template",
        };
        fixed.to_owned()
    }
}

fn character_help(character: char) -> String {
    match character {
        '?' | '#' => "a template is a path: query parameters need no place in it".to_owned(),
        other => {
            let mut utf8 = [0; 4];
            let escaped: String =
                other.encode_utf8(&mut utf8).bytes().map(|byte| format!("%{byte:02X}")).collect();
            format!("write it as `{escaped}`")
        }
    }
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.kind {
            TemplateErrorKind::Character(character) => {
                return write!(f, "{character:?} cannot stand in a literal");
            }
            TemplateErrorKind::NoLeadingSlash => "a path template starts with a slash",
            TemplateErrorKind::EmptySegment => "an empty segment",
            TemplateErrorKind::ColonFirst => "a segment cannot start with a colon",
            TemplateErrorKind::MisplacedColon => "a colon that does not start the verb",
            TemplateErrorKind::EmptyVerb => "an empty verb",
            TemplateErrorKind::Escape => "a malformed percent-escape",
            TemplateErrorKind::EscapedText => "percent-escapes that stand for no text",
            TemplateErrorKind::PartialWildcard => "a wildcard cannot be part of a segment",
            TemplateErrorKind::PartialVariable => "a variable cannot be part of a segment",
            TemplateErrorKind::UnclosedVariable => "a variable that is not closed",
            TemplateErrorKind::StrayBrace => "a closing brace that closes nothing",
            TemplateErrorKind::NestedVariable => "a variable inside a variable",
            TemplateErrorKind::FieldPath => "not the path of a field",
            TemplateErrorKind::EmptyPattern => "a variable that matches no segments",
            TemplateErrorKind::VariableTwice { .. } => "the same variable a second time",
            TemplateErrorKind::SecondRest { .. } => "a second `**`",
            TemplateErrorKind::TooManySegments => "too many segments",
        })
    }
}

impl Error for TemplateError {}
