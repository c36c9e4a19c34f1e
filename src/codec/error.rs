//! What can go wrong in the codec: bad JSON from a client (`ReadError`), bad text in a path or query (`TextError`),
//! bad bytes from a backend (`WireError`). The REST translation turns the first two into 400 answers that name the
//! field, the last into an internal fault.

use std::fmt;

/// Why a JSON text is not a message of the wanted type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReadErrorKind {
    /// Not JSON (RFC 8259).
    Syntax,
    /// Not UTF-8, or an escape that is half of a surrogate pair.
    Utf8,
    /// More objects and arrays open at once than allowed.
    Depth,
    /// A text, or a message made of it, of more bytes than allowed.
    TooLarge,
    /// A string of more bytes than allowed.
    StringTooLong,
    /// A number of more characters than [`MAX_NUMBER_LEN`](super::MAX_NUMBER_LEN).
    NumberTooLong,
    /// Something stands after the JSON value.
    TrailingData,
    /// A member that the message does not have.
    UnknownMember,
    /// A field or a map key that was already given, under this or its other name.
    DuplicateMember,
    /// A second member of a oneof.
    SecondOneofMember,
    /// A JSON value of the wrong type.
    WrongType,
    /// A number that the field's type cannot hold.
    OutOfRange,
    /// Text that is not a number, or not an integer where one is wanted.
    BadNumber,
    /// Text that is neither `true` nor `false`.
    BadBool,
    /// No such value in the enum.
    BadEnum,
    /// Bytes that are not base64.
    BadBase64,
    /// Not an RFC 3339 timestamp from year 1 to 9999.
    BadTimestamp,
    /// Not a duration such as `1.5s`, or longer than 10,000 years.
    BadDuration,
    /// Not a list of lowerCamelCase paths.
    BadFieldMask,
    /// An `Any` without `@type`, with an unknown one, or without its `value`.
    BadAny,
    /// `null` as an element of a list.
    NullInArray,
    /// `null` as the value of a map entry.
    NullInMap,
    /// Path, body and query give this field different values, and that is refused.
    OverrideDiffers,
    /// A required field that is not set.
    MissingRequired,
    /// The members of a body make a field mask of more than a mebibyte.
    MaskTooLarge,
}

impl ReadErrorKind {
    /// A stable name for machines.
    pub fn reason(self) -> &'static str {
        self.texts().0
    }

    /// A sentence fragment for people.
    pub fn message(self) -> &'static str {
        self.texts().1
    }

    fn texts(self) -> (&'static str, &'static str) {
        match self {
            Self::Syntax => ("JSON_SYNTAX", "invalid JSON"),
            Self::Utf8 => ("JSON_UTF8", "text is not valid UTF-8"),
            Self::Depth => ("JSON_DEPTH", "JSON is nested too deeply"),
            Self::TooLarge => {
                ("JSON_TOO_LARGE", "the JSON text, or the message in it, is larger than allowed")
            }
            Self::StringTooLong => ("JSON_STRING_TOO_LONG", "a string is longer than allowed"),
            Self::NumberTooLong => ("JSON_NUMBER_TOO_LONG", "a number has more than 2,048 characters"),
            Self::TrailingData => ("JSON_TRAILING_DATA", "unexpected data after the JSON value"),
            Self::UnknownMember => ("UNKNOWN_FIELD", "no such field"),
            Self::DuplicateMember => ("DUPLICATE_FIELD", "given more than once"),
            Self::SecondOneofMember => ("ONEOF_CONFLICT", "another field of the same oneof is already set"),
            Self::WrongType => ("WRONG_TYPE", "JSON value of the wrong type"),
            Self::OutOfRange => ("OUT_OF_RANGE", "number out of range for the field's type"),
            Self::BadNumber => ("INVALID_NUMBER", "not a valid number for the field's type"),
            Self::BadBool => ("INVALID_BOOL", "neither true nor false"),
            Self::BadEnum => ("INVALID_ENUM_VALUE", "no such enum value"),
            Self::BadBase64 => ("INVALID_BASE64", "invalid base64"),
            Self::BadTimestamp => ("INVALID_TIMESTAMP", "not an RFC 3339 timestamp between years 1 and 9999"),
            Self::BadDuration => {
                ("INVALID_DURATION", "not a duration in seconds such as \"1.5s\", of at most 10,000 years")
            }
            Self::BadFieldMask => {
                ("INVALID_FIELD_MASK", "not a comma-separated list of lowerCamelCase field paths")
            }
            Self::BadAny => {
                ("INVALID_ANY", "needs an \"@type\" that is known here, and the contents of that type")
            }
            Self::NullInArray => ("NULL_IN_LIST", "null is not allowed in a list"),
            Self::NullInMap => ("NULL_IN_MAP", "null is not allowed as the value of a map entry"),
            Self::OverrideDiffers => ("CONFLICTING_VALUES", "path, body and query give different values"),
            Self::MissingRequired => ("MISSING_REQUIRED_FIELD", "a required field is missing"),
            Self::MaskTooLarge => ("MASK_TOO_LARGE", "the members make a field mask of more than a mebibyte"),
        }
    }
}

/// A JSON text that is not a message of the wanted type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadError {
    /// What is wrong.
    pub kind: ReadErrorKind,
    /// The field, as in `book.authors[2].givenName`; map keys as in `labels["a"]`. Empty for the message itself. Names
    /// and keys that the text has and the schema has not are cut to 100 bytes.
    pub path: String,
    /// Where in the JSON text, in bytes from its start; the end of what was read when it was noticed. What is missing
    /// has no place: 0.
    pub offset: usize,
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(self.kind.message())?;
        if self.kind == ReadErrorKind::MissingRequired {
            return Ok(());
        }
        write!(f, " (at byte {})", self.offset)
    }
}

impl std::error::Error for ReadError {}

/// One step of the way to the field at fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Member(Box<str>),
    Index(usize),
    Key(Box<str>),
}

/// A `ReadError` on its way out of the open messages, each of which adds its step.
#[derive(Debug)]
pub(crate) struct Fail {
    pub(crate) kind: ReadErrorKind,
    pub(crate) offset: usize,
    /// Innermost first.
    pub(crate) steps: Vec<Step>,
}

impl Fail {
    #[cold]
    pub(crate) fn new(kind: ReadErrorKind, offset: usize) -> Box<Self> {
        Box::new(Self { kind, offset, steps: Vec::new() })
    }

    #[cold]
    pub(crate) fn within(mut self: Box<Self>, step: Step) -> Box<Self> {
        self.steps.push(step);
        self
    }

    #[cold]
    pub(crate) fn finish(self) -> ReadError {
        ReadError { kind: self.kind, path: path_of(&self.steps), offset: self.offset }
    }
}

/// The most bytes that one step of a path takes from outside: a path is for people, and it comes back in answers.
const MAX_STEP: usize = 100;

/// The way to a field as text, from its steps, the innermost first.
pub(crate) fn path_of(steps: &[Step]) -> String {
    let mut path = String::new();
    for step in steps.iter().rev() {
        match step {
            Step::Member(name) => {
                if !path.is_empty() {
                    path.push('.');
                }
                push_cut(&mut path, name, str::to_owned);
            }
            Step::Index(index) => path.push_str(&format!("[{index}]")),
            Step::Key(key) => {
                path.push('[');
                push_cut(&mut path, key, |key| format!("{key:?}"));
                path.push(']');
            }
        }
    }
    path
}

/// Appends `text`, as `form` puts it, or its beginning and dots.
fn push_cut(path: &mut String, text: &str, form: impl Fn(&str) -> String) {
    let cut = text.floor_char_boundary(MAX_STEP);
    path.push_str(&form(text.get(..cut).unwrap_or_default()));
    if cut < text.len() {
        path.push('…');
    }
}

/// Why a text is not a value of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextError {
    /// The field is a map or a message without a scalar form: no text can be its value.
    NotALeaf,
    /// The text is no value of the field's type.
    Invalid(ReadErrorKind),
}

impl TextError {
    /// A stable name for machines.
    pub fn reason(self) -> &'static str {
        match self {
            Self::NotALeaf => "NOT_A_SCALAR",
            Self::Invalid(kind) => kind.reason(),
        }
    }
}

impl From<ReadErrorKind> for TextError {
    fn from(kind: ReadErrorKind) -> Self {
        Self::Invalid(kind)
    }
}

impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotALeaf => "the field is a message or a map, and cannot be set from text",
            Self::Invalid(kind) => kind.message(),
        })
    }
}

impl std::error::Error for TextError {}

/// Why bytes are not a message that can be written as JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WireErrorKind {
    /// The bytes end within a field.
    Truncated,
    /// A varint of more than 64 bits.
    Varint,
    /// A field number of zero or above 2^29 - 1, or an unknown wire type.
    Tag,
    /// A group that ends without having begun, or as another one.
    Group,
    /// Messages nested deeper than [`MAX_MESSAGE_DEPTH`](super::MAX_MESSAGE_DEPTH).
    Depth,
    /// A message of more than [`MAX_MESSAGE_LEN`](super::MAX_MESSAGE_LEN) bytes.
    TooLarge,
    /// A string that is not UTF-8.
    Utf8,
    /// A Timestamp outside the years 1 to 9999, or with nanoseconds outside 0 to 999,999,999.
    Timestamp,
    /// A Duration of more than 315,576,000,000 seconds (10,000 years), or of mixed signs.
    Duration,
    /// A FieldMask path that lowerCamelCase cannot express.
    FieldMask,
    /// A `google.protobuf.Value` that is NaN or infinite, which JSON cannot express.
    Value,
    /// A required field is missing.
    Incomplete,
}

impl WireErrorKind {
    /// A stable name for machines.
    pub fn reason(self) -> &'static str {
        self.texts().0
    }

    /// Whether the bytes are a message, but one that says something for which JSON has no form.
    pub fn has_no_json(self) -> bool {
        match self {
            Self::Timestamp | Self::Duration | Self::FieldMask | Self::Value => true,
            Self::Truncated
            | Self::Varint
            | Self::Tag
            | Self::Group
            | Self::Depth
            | Self::TooLarge
            | Self::Utf8
            | Self::Incomplete => false,
        }
    }

    fn texts(self) -> (&'static str, &'static str) {
        match self {
            Self::Truncated => ("WIRE_TRUNCATED", "the message ends within a field"),
            Self::Varint => ("WIRE_VARINT", "a varint is longer than 64 bits"),
            Self::Tag => ("WIRE_TAG", "an invalid field number or wire type"),
            Self::Group => ("WIRE_GROUP", "the end of a group that is not open"),
            Self::Depth => ("WIRE_DEPTH", "messages are nested too deeply"),
            Self::TooLarge => ("WIRE_TOO_LARGE", "the message is larger than 2 GiB"),
            Self::Utf8 => ("WIRE_UTF8", "a string is not valid UTF-8"),
            Self::Timestamp => ("WIRE_TIMESTAMP", "a Timestamp is out of range"),
            Self::Duration => ("WIRE_DURATION", "a Duration is out of range"),
            Self::FieldMask => ("WIRE_FIELD_MASK", "a FieldMask path has no JSON form"),
            Self::Value => ("WIRE_VALUE", "a Value is not a finite number"),
            Self::Incomplete => ("WIRE_INCOMPLETE", "a required field is missing"),
        }
    }
}

/// Bytes that are not a message that can be written as JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WireError {
    /// What is wrong.
    pub kind: WireErrorKind,
    /// The field, as in [`ReadError::path`], by JSON names; a well-known type is one field as a whole. Empty for the
    /// message itself.
    pub path: String,
    /// Where in the wire bytes, from their start: the value at fault, or the record that can't be read. What is missing
    /// has no place: 0.
    pub offset: usize,
}

impl From<WireErrorKind> for WireError {
    /// An error of the message itself.
    fn from(kind: WireErrorKind) -> Self {
        Self { kind, path: String::new(), offset: 0 }
    }
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(self.kind.texts().1)?;
        if self.kind == WireErrorKind::Incomplete {
            return Ok(());
        }
        write!(f, " (at byte {})", self.offset)
    }
}

impl std::error::Error for WireError {}
