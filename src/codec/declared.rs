//! A field as the schema declares it: of the message itself, or an extension of it. Plans make no difference between
//! them but in the name, which ProtoJSON writes as `[full.name]` for an extension.

use prost_reflect::{ExtensionDescriptor, FieldDescriptor, Kind, MessageDescriptor, Value};

use super::features::{Features, FieldFeatures};

/// A field or an extension of one message.
pub(super) enum Declared {
    Field(FieldDescriptor),
    Extension {
        descriptor: ExtensionDescriptor,
        /// `[full.name]`
        name: Box<str>,
    },
}

impl Declared {
    /// All fields of a message and its extensions, in the order of their numbers.
    pub fn all(message: &MessageDescriptor) -> Vec<Self> {
        let extensions = message.extensions().map(|descriptor| Self::Extension {
            name: format!("[{}]", descriptor.full_name()).into(),
            descriptor,
        });
        let mut all: Vec<Self> = message.fields().map(Self::Field).chain(extensions).collect();
        all.sort_by_key(Self::number);
        all
    }

    /// Where it stands among all fields of its message: in the order of their declaration, extensions last.
    pub fn place(&self) -> (bool, i32) {
        match self {
            // The last step of a descriptor's path is its place of declaration.
            Self::Field(field) => (false, field.path().last().copied().unwrap_or_default()),
            // They come from anywhere, so there is no other order.
            Self::Extension { descriptor, .. } => {
                (true, i32::try_from(descriptor.number()).unwrap_or(i32::MAX))
            }
        }
    }

    pub fn number(&self) -> u32 {
        match self {
            Self::Field(field) => field.number(),
            Self::Extension { descriptor, .. } => descriptor.number(),
        }
    }

    pub fn name(&self) -> &str {
        match self {
            Self::Field(field) => field.name(),
            Self::Extension { name, .. } => name,
        }
    }

    pub fn json_name(&self) -> &str {
        match self {
            Self::Field(field) => field.json_name(),
            Self::Extension { name, .. } => name,
        }
    }

    pub fn kind(&self) -> Kind {
        match self {
            Self::Field(field) => field.kind(),
            Self::Extension { descriptor, .. } => descriptor.kind(),
        }
    }

    /// The full name of the real oneof that it is a member of.
    pub fn oneof(&self) -> Option<String> {
        match self {
            Self::Field(field) => field.containing_oneof().map(|oneof| oneof.full_name().to_owned()),
            Self::Extension { .. } => None,
        }
    }

    pub fn is_list(&self) -> bool {
        match self {
            Self::Field(field) => field.is_list(),
            Self::Extension { descriptor, .. } => descriptor.is_list(),
        }
    }

    pub fn is_map(&self) -> bool {
        match self {
            Self::Field(field) => field.is_map(),
            Self::Extension { descriptor, .. } => descriptor.is_map(),
        }
    }

    pub fn features(&self, features: &Features) -> FieldFeatures {
        match self {
            Self::Field(field) => features.of_field(field),
            Self::Extension { descriptor, .. } => features.of_extension(descriptor),
        }
    }

    /// Extensions are not printed by default, lists of them neither: there may be any number of those that a message
    /// does not have.
    pub fn is_extension(&self) -> bool {
        match self {
            Self::Field(_) => false,
            Self::Extension { .. } => true,
        }
    }

    /// The default value of the field.
    pub fn default_value(&self) -> Value {
        match self {
            Self::Field(field) => field.default_value(),
            Self::Extension { descriptor, .. } => descriptor.default_value(),
        }
    }
}
