//! Which types read what others wrote: on the wire by protobuf's groups of compatible types, in JSON by their forms.

use prost_reflect::Kind;

use super::finding::Impact;

/// Types whose bytes are read by each other (the language guide of protobuf, "Updating a message type").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WireGroup {
    Varint,
    ZigZag,
    Fixed32,
    Fixed64,
    Float,
    Double,
    /// A string, bytes, or a message behind its length.
    Delimited(Content),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    Text,
    Bytes,
    Message,
}

fn wire_group(kind: &Kind) -> WireGroup {
    match kind {
        Kind::Int32 | Kind::Int64 | Kind::Uint32 | Kind::Uint64 | Kind::Bool | Kind::Enum(_) => {
            WireGroup::Varint
        }
        Kind::Sint32 | Kind::Sint64 => WireGroup::ZigZag,
        Kind::Fixed32 | Kind::Sfixed32 => WireGroup::Fixed32,
        Kind::Fixed64 | Kind::Sfixed64 => WireGroup::Fixed64,
        Kind::Float => WireGroup::Float,
        Kind::Double => WireGroup::Double,
        Kind::String => WireGroup::Delimited(Content::Text),
        Kind::Bytes => WireGroup::Delimited(Content::Bytes),
        Kind::Message(_) => WireGroup::Delimited(Content::Message),
    }
}

/// What becomes of a value's bytes where the type changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WireChange {
    Same,
    /// They are read, but values that don't fit the other type become others.
    Read,
    /// They are skipped, or are garbage.
    Unread,
}

/// Two messages, and two enums, are the same here: what is in them is compared by itself.
pub(super) fn wire_change(old: &Kind, new: &Kind) -> WireChange {
    if std::mem::discriminant(old) == std::mem::discriminant(new) {
        return WireChange::Same;
    }
    match (wire_group(old), wire_group(new)) {
        (WireGroup::Delimited(was), WireGroup::Delimited(is)) => match (was, is) {
            (Content::Text, Content::Message) | (Content::Message, Content::Text) => WireChange::Unread,
            (Content::Bytes, _) | (_, Content::Bytes) => WireChange::Read,
            (Content::Text, Content::Text) | (Content::Message, Content::Message) => WireChange::Same,
        },
        (was, is) if was == is => WireChange::Read,
        _ => WireChange::Unread,
    }
}

/// What a value is in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum JsonForm {
    /// A number.
    Integer {
        signed: bool,
    },
    /// A text of digits.
    Long {
        signed: bool,
    },
    /// A number, perhaps with a fraction.
    Float,
    Bool,
    Text,
    /// A text that has to look like this one does.
    Formatted(&'static str),
    Base64,
    EnumName,
    Null,
    Object,
    Array,
    /// `google.protobuf.Value`.
    Anything,
}

impl JsonForm {
    pub(super) fn of(kind: &Kind) -> Self {
        match kind {
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Self::Integer { signed: true },
            Kind::Uint32 | Kind::Fixed32 => Self::Integer { signed: false },
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Self::Long { signed: true },
            Kind::Uint64 | Kind::Fixed64 => Self::Long { signed: false },
            Kind::Float | Kind::Double => Self::Float,
            Kind::Bool => Self::Bool,
            Kind::String => Self::Text,
            Kind::Bytes => Self::Base64,
            Kind::Enum(of) if of.full_name() == "google.protobuf.NullValue" => Self::Null,
            Kind::Enum(_) => Self::EnumName,
            Kind::Message(of) => Self::of_message(of.full_name()),
        }
    }

    /// Well-known types have forms of their own (ProtoJSON).
    fn of_message(name: &str) -> Self {
        match name {
            "google.protobuf.Timestamp" => Self::Formatted("timestamp"),
            "google.protobuf.Duration" => Self::Formatted("duration"),
            "google.protobuf.FieldMask" => Self::Formatted("field mask"),
            "google.protobuf.Value" => Self::Anything,
            "google.protobuf.ListValue" => Self::Array,
            "google.protobuf.Int32Value" => Self::Integer { signed: true },
            "google.protobuf.UInt32Value" => Self::Integer { signed: false },
            "google.protobuf.Int64Value" => Self::Long { signed: true },
            "google.protobuf.UInt64Value" => Self::Long { signed: false },
            "google.protobuf.FloatValue" | "google.protobuf.DoubleValue" => Self::Float,
            "google.protobuf.BoolValue" => Self::Bool,
            "google.protobuf.StringValue" => Self::Text,
            "google.protobuf.BytesValue" => Self::Base64,
            _ => Self::Object,
        }
    }

    /// As in "a number".
    pub(super) fn shown(self) -> String {
        match self {
            Self::Integer { .. } | Self::Float => "a number".to_owned(),
            Self::Long { .. } => "a string of digits".to_owned(),
            Self::Bool => "true or false".to_owned(),
            Self::Text => "a string".to_owned(),
            Self::Formatted(what) => format!("a string that is a {what}"),
            Self::Base64 => "a string in base64".to_owned(),
            Self::EnumName => "the name of an enum value".to_owned(),
            Self::Null => "null".to_owned(),
            Self::Object => "an object".to_owned(),
            Self::Array => "an array".to_owned(),
            Self::Anything => "any JSON".to_owned(),
        }
    }
}

/// Who reads a value that another wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reader {
    /// ProtoJSON's parser in the gateway, which takes numbers as strings too and enums by number.
    Gateway,
    /// A client's code, which expects what it always got.
    Client,
}

/// How bad it is for `reader`, which expects `read`, to find `written`.
pub(super) fn misread(written: JsonForm, read: JsonForm, reader: Reader) -> Option<Impact> {
    use JsonForm::{Anything, EnumName, Float, Formatted, Integer, Long, Null, Text};
    let lenient = reader == Reader::Gateway;
    match (written, read) {
        (written, read) if written == read => None,
        (_, Anything) | (Formatted(_), Text) => None,
        (Anything, _) | (Text, Formatted(_)) => Some(Impact::Dangerous),
        (Integer { signed: was }, Integer { signed: is }) | (Long { signed: was }, Long { signed: is }) => {
            (was != is).then_some(Impact::Dangerous)
        }
        (Integer { .. }, Float) => None,
        (Float, Integer { .. }) => Some(Impact::Dangerous),
        (Integer { signed: true }, Long { signed: false }) if lenient => Some(Impact::Dangerous),
        (Integer { .. }, Long { .. }) | (Long { .. }, Float) if lenient => None,
        (Long { .. }, Integer { .. }) | (Float, Long { .. }) if lenient => Some(Impact::Dangerous),
        (Integer { .. }, EnumName) | (Null, _) if lenient => Some(Impact::Dangerous),
        _ => Some(Impact::Breaking),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_of_the_wire() {
        use Kind::{Bool, Bytes, Double, Fixed32, Fixed64, Float, Int32, Int64, Sfixed32, Sfixed64, Sint32};
        use Kind::{Sint64, String, Uint32, Uint64};
        let groups: [&[Kind]; 7] = [
            &[Int32, Int64, Uint32, Uint64, Bool],
            &[Sint32, Sint64],
            &[Fixed32, Sfixed32],
            &[Fixed64, Sfixed64],
            &[Float],
            &[Double],
            &[String, Bytes],
        ];
        for (at, group) in groups.iter().enumerate() {
            for (beside, other) in groups.iter().enumerate() {
                for (was, is) in group.iter().flat_map(|was| other.iter().map(move |is| (was, is))) {
                    let want = match (at == beside, was == is) {
                        (true, true) => WireChange::Same,
                        (true, false) => WireChange::Read,
                        (false, _) => WireChange::Unread,
                    };
                    assert_eq!(wire_change(was, is), want, "{was:?} {is:?}");
                }
            }
        }
    }

    #[test]
    fn forms_in_json() {
        use JsonForm::{Anything, Array, Base64, Bool, EnumName, Float, Formatted, Object, Text};
        const INT: JsonForm = JsonForm::Integer { signed: true };
        const UINT: JsonForm = JsonForm::Integer { signed: false };
        const LONG: JsonForm = JsonForm::Long { signed: true };
        // Written, read, what it is for the gateway, and for a client.
        let (dangerous, breaking) = (Some(Impact::Dangerous), Some(Impact::Breaking));
        for (written, read, gateway, client) in [
            (INT, INT, None, None),
            (INT, UINT, dangerous, dangerous),
            (INT, LONG, None, breaking),
            (LONG, INT, dangerous, breaking),
            (INT, Float, None, None),
            (Float, INT, dangerous, dangerous),
            (LONG, Float, None, breaking),
            (Bool, INT, breaking, breaking),
            (Text, Base64, breaking, breaking),
            (Text, Formatted("timestamp"), dangerous, dangerous),
            (Formatted("timestamp"), Text, None, None),
            (Formatted("timestamp"), Formatted("duration"), breaking, breaking),
            (EnumName, INT, breaking, breaking),
            (INT, EnumName, dangerous, breaking),
            (Object, Anything, None, None),
            (Anything, Object, dangerous, dangerous),
            (Object, Array, breaking, breaking),
        ] {
            assert_eq!(misread(written, read, Reader::Gateway), gateway, "{written:?} {read:?}");
            assert_eq!(misread(written, read, Reader::Client), client, "{written:?} {read:?}");
        }
    }
}
