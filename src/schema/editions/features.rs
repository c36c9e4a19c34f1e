//! The features of an element: what its edition gives, as files, messages and the element itself change it.
//! <https://protobuf.dev/editions/features/>

use super::raw::FeatureSet;

/// An edition that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Edition {
    Edition2023,
    Edition2024,
}

impl Edition {
    /// By `google.protobuf.Edition`.
    pub fn from_number(number: i32) -> Option<Self> {
        match number {
            1000 => Some(Self::Edition2023),
            1001 => Some(Self::Edition2024),
            _ => None,
        }
    }

    /// What holds where a file says nothing.
    pub fn defaults(self) -> Resolved {
        match self {
            // 2024 changes what compilers check and generate, not what messages are.
            Self::Edition2023 | Self::Edition2024 => Resolved {
                presence: FieldPresence::Explicit,
                enum_type: EnumType::Open,
                lists: RepeatedFieldEncoding::Packed,
                utf8: Utf8Validation::Verify,
                messages: MessageEncoding::LengthPrefixed,
                json: JsonFormat::Allow,
            },
        }
    }
}

/// What an edition is called.
pub(super) fn edition_name(number: i32) -> String {
    match number {
        1002 => "edition 2026".to_owned(),
        9999 => "edition UNSTABLE".to_owned(),
        1 | 2 | 99_997..=99_999 => format!("edition {number}_TEST_ONLY"),
        _ => format!("the edition with the number {number}"),
    }
}

/// All features of one element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Resolved {
    pub presence: FieldPresence,
    pub enum_type: EnumType,
    pub lists: RepeatedFieldEncoding,
    pub utf8: Utf8Validation,
    pub messages: MessageEncoding,
    pub json: JsonFormat,
}

/// Makes the enum of one feature, with its values by number.
macro_rules! feature {
    ($(#[$doc:meta])* $name:ident { $($value:ident = $number:literal),* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum $name { $($value),* }

        impl $name {
            fn from_number(number: i32) -> Option<Self> {
                match number {
                    $($number => Some(Self::$value),)*
                    _ => None,
                }
            }
        }
    };
}

feature!(
    /// `features.field_presence`
    FieldPresence { Explicit = 1, Implicit = 2, LegacyRequired = 3 }
);
feature!(
    /// `features.enum_type`
    EnumType { Open = 1, Closed = 2 }
);
feature!(
    /// `features.repeated_field_encoding`
    RepeatedFieldEncoding { Packed = 1, Expanded = 2 }
);
feature!(
    /// `features.utf8_validation`
    Utf8Validation { Verify = 2, None = 3 }
);
feature!(
    /// `features.message_encoding`
    MessageEncoding { LengthPrefixed = 1, Delimited = 2 }
);
feature!(
    /// `features.json_format`
    JsonFormat { Allow = 1, LegacyBestEffort = 2 }
);

/// What features are set on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    File,
    Message,
    Field,
    Enum,
}

impl Target {
    fn name(self) -> &'static str {
        match self {
            Self::File => "a file",
            Self::Message => "a message",
            Self::Field => "a field",
            Self::Enum => "an enum",
        }
    }
}

impl Resolved {
    /// These features with the ones in `set` in their places.
    ///
    /// # Errors
    /// What is wrong with the first of them that has an unknown value or may not be set on a `target`.
    pub fn with(mut self, set: &FeatureSet, target: Target) -> Result<Self, String> {
        use Target::{Enum, Field, File, Message};
        let put = Put { target };
        let of = |number| put.known("field_presence", number, &[File, Field], FieldPresence::from_number);
        self.presence = set.field_presence.map_or(Ok(self.presence), of)?;
        let of = |number| put.known("enum_type", number, &[File, Enum], EnumType::from_number);
        self.enum_type = set.enum_type.map_or(Ok(self.enum_type), of)?;
        let name = "repeated_field_encoding";
        let of = |number| put.known(name, number, &[File, Field], RepeatedFieldEncoding::from_number);
        self.lists = set.repeated_field_encoding.map_or(Ok(self.lists), of)?;
        let of = |number| put.known("utf8_validation", number, &[File, Field], Utf8Validation::from_number);
        self.utf8 = set.utf8_validation.map_or(Ok(self.utf8), of)?;
        let of = |number| put.known("message_encoding", number, &[File, Field], MessageEncoding::from_number);
        self.messages = set.message_encoding.map_or(Ok(self.messages), of)?;
        let of = |number| put.known("json_format", number, &[File, Message, Enum], JsonFormat::from_number);
        self.json = set.json_format.map_or(Ok(self.json), of)?;
        Ok(self)
    }
}

/// One element whose features are put on what it inherits.
struct Put {
    target: Target,
}

impl Put {
    fn known<T>(
        &self,
        name: &str,
        number: i32,
        allowed: &[Target],
        from_number: impl Fn(i32) -> Option<T>,
    ) -> Result<T, String> {
        if !allowed.contains(&self.target) {
            return Err(format!("`features.{name}` can't be set on {}", self.target.name()));
        }
        from_number(number).ok_or_else(|| format!("`features.{name}` has the unknown value {number}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_stands() {
        let defaults = Edition::Edition2023.defaults();
        assert_eq!(Edition::Edition2024.defaults(), defaults);
        let set = FeatureSet {
            field_presence: Some(2),
            enum_type: Some(2),
            repeated_field_encoding: Some(2),
            utf8_validation: Some(3),
            message_encoding: Some(2),
            json_format: Some(2),
        };
        let changed = Resolved {
            presence: FieldPresence::Implicit,
            enum_type: EnumType::Closed,
            lists: RepeatedFieldEncoding::Expanded,
            utf8: Utf8Validation::None,
            messages: MessageEncoding::Delimited,
            json: JsonFormat::LegacyBestEffort,
        };
        assert_eq!(defaults.with(&set, Target::File), Ok(changed));
        assert_eq!(changed.with(&FeatureSet::default(), Target::Field), Ok(changed));
    }

    #[test]
    fn what_is_set_must_be_known_and_in_place() {
        let defaults = Edition::Edition2023.defaults();
        let presence = |number| FeatureSet { field_presence: Some(number), ..FeatureSet::default() };
        let json = FeatureSet { json_format: Some(1), ..FeatureSet::default() };
        for (set, target, wanted) in [
            (presence(0), Target::File, "`features.field_presence` has the unknown value 0"),
            (presence(4), Target::Field, "`features.field_presence` has the unknown value 4"),
            (presence(1), Target::Message, "`features.field_presence` can't be set on a message"),
            (presence(1), Target::Enum, "`features.field_presence` can't be set on an enum"),
            (json, Target::Field, "`features.json_format` can't be set on a field"),
        ] {
            assert_eq!(defaults.with(&set, target), Err(wanted.to_owned()));
        }
    }
}
