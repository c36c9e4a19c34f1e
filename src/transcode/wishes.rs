//! What a client wishes of the form of its answer.

use crate::codec::{JsonStyle, Selection};

/// The system parameters of a request that are about its answer. The default is none, which costs nothing.
#[derive(Debug, Clone, Default)]
pub struct Wishes {
    /// Enum values as numbers (`$alt=json;enum-encoding=int`).
    pub enum_numbers: bool,
    /// Two spaces for each level (`$prettyPrint=true`). Of no use in framings that give a message one line.
    pub pretty: bool,
    /// Only these fields (`$fields`).
    pub fields: Option<Selection>,
}

impl Wishes {
    /// Whether the answer is the codec's JSON as it is.
    #[must_use]
    pub fn are_plain(&self) -> bool {
        self.fields.is_none() && !self.pretty
    }

    /// The listener's style, changed as wished.
    pub(super) fn style(&self, style: JsonStyle) -> JsonStyle {
        JsonStyle { enum_numbers: style.enum_numbers || self.enum_numbers, ..style }
    }
}
