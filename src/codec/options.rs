//! What a caller may choose about reading and writing JSON. The REST translation fills these from the settings of the
//! listener and of the route; the codec only obeys them.

/// How deep messages and groups may be nested on the wire, as in other implementations of protobuf.
pub const MAX_MESSAGE_DEPTH: u32 = 100;

/// The most bytes of a message in either form: protobuf's own limit.
pub const MAX_MESSAGE_LEN: usize = (1 << 31) - 1;

/// The most characters of a number in JSON, quoted or not. The exact value of any double takes 1,077 at most.
pub const MAX_NUMBER_LEN: usize = 2_048;

/// How JSON is written. The default is the default of ProtoJSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JsonStyle {
    /// Print fields without presence even where they have their default value.
    pub defaults: bool,
    /// Name fields as in the `.proto` file, not in lowerCamelCase.
    pub proto_names: bool,
    /// Write enum values as numbers.
    pub enum_numbers: bool,
    /// Write 64-bit integers as JSON numbers. Readers that hold numbers as doubles lose what is above 2^53.
    pub int64_numbers: bool,
}

/// What happens to JSON members that the schema does not know. Whatever is ignored must still be JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Unknown {
    /// They are errors.
    #[default]
    Reject,
    /// They are skipped, and so are enum values of unknown name (ProtoJSON: "ignore unknown fields").
    Ignore,
    /// Members of these names are skipped, at any depth; all others are errors.
    IgnoreNamed(Box<[Box<str>]>),
}

impl Unknown {
    /// Whether this name may stand where nothing has it.
    pub fn ignores(&self, member: &str) -> bool {
        match self {
            Self::Reject => false,
            Self::Ignore => true,
            Self::IgnoreNamed(names) => names.iter().any(|name| &**name == member),
        }
    }

    pub(crate) fn ignores_enum_names(&self) -> bool {
        match self {
            Self::Reject | Self::IgnoreNamed(_) => false,
            Self::Ignore => true,
        }
    }
}

/// What happens where two of path variable, body and query set the same singular field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overrides {
    /// The stronger one stands: path variable, then body, then query.
    #[default]
    Stronger,
    /// As above, but values that differ are an error.
    RejectDifferent,
}

/// How a JSON body is read. What has no setting here is limited by [`MAX_NUMBER_LEN`].
#[derive(Clone, Copy, Debug)]
pub struct ReadOptions<'a> {
    /// What happens to unknown members.
    pub unknown: &'a Unknown,
    /// How many objects and arrays may be open at once. Those of one level more are
    /// [`Depth`](super::ReadErrorKind::Depth).
    pub depth: u32,
    /// The most bytes that the text, and the message made of it, may have. More are
    /// [`TooLarge`](super::ReadErrorKind::TooLarge).
    pub max_len: usize,
    /// The most bytes that a string or a name may have as it is spelled, quotes not counted. More are
    /// [`StringTooLong`](super::ReadErrorKind::StringTooLong).
    pub max_string: usize,
    /// What happens to fields set twice.
    pub overrides: Overrides,
    /// Whether required fields may be missing, as more is to come; see [`check_complete`](super::check_complete).
    pub partial: bool,
}

impl Default for ReadOptions<'_> {
    fn default() -> Self {
        Self {
            unknown: &Unknown::Reject,
            depth: 100,
            max_len: MAX_MESSAGE_LEN,
            max_string: MAX_MESSAGE_LEN,
            overrides: Overrides::Stronger,
            partial: false,
        }
    }
}
