//! What a schema says about fields and enums that a descriptor pool can't tell: the features of files in editions.
//! Whoever reads the schema resolves them and fills the table; the plans are compiled with it.
//! <https://protobuf.dev/editions/features/>

use prost_reflect::{EnumDescriptor, ExtensionDescriptor, FieldDescriptor, FileDescriptor, Syntax};
use rustc_hash::FxHashMap;

/// The features of fields, extensions and enums by full name. What is not in it is in proto2 or proto3 and has the
/// features that these stand for.
#[derive(Debug, Clone, Default)]
pub struct Features {
    fields: FxHashMap<Box<str>, FieldFeatures>,
    /// Whether an enum is closed.
    enums: FxHashMap<Box<str>, bool>,
}

/// How one field, or extension, behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldFeatures {
    /// Whether unset differs from the default value; of a list or a map `Implicit`.
    pub presence: Presence,
    /// Whether a list is written packed.
    pub packed: bool,
    /// Whether text must be UTF-8 on the wire.
    pub utf8: bool,
    /// Whether a message stands between a start and an end tag (a group), not behind its length.
    pub delimited: bool,
}

/// Whether unset differs from the default value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// It does.
    Explicit,
    /// It does not: the default value is not written.
    Implicit,
    /// It does, and a message without the field is incomplete.
    Required,
}

impl Features {
    /// Sets the features of the field or extension with this full name.
    pub fn set_field(&mut self, full_name: &str, features: FieldFeatures) {
        self.fields.insert(full_name.into(), features);
    }

    /// Says whether the enum with this full name is closed.
    pub fn set_enum(&mut self, full_name: &str, closed: bool) {
        self.enums.insert(full_name.into(), closed);
    }

    /// Whether all is in proto2 or proto3.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty() && self.enums.is_empty()
    }

    /// Adds what another table says.
    pub fn extend(&mut self, other: Self) {
        self.fields.extend(other.fields);
        self.enums.extend(other.enums);
    }

    /// What is said of the field or extension with this full name.
    pub(crate) fn says(&self, full_name: &str) -> Option<FieldFeatures> {
        self.fields.get(full_name).copied()
    }

    /// The features of a field.
    pub fn of_field(&self, field: &FieldDescriptor) -> FieldFeatures {
        self.says(field.full_name()).unwrap_or_else(|| FieldFeatures {
            presence: match (field.is_required(), field.supports_presence()) {
                (true, _) => Presence::Required,
                (false, true) => Presence::Explicit,
                (false, false) => Presence::Implicit,
            },
            packed: field.is_packed(),
            utf8: checks_utf8(&field.parent_file()),
            delimited: field.is_group(),
        })
    }

    /// The features of an extension. It has presence if it is no list, and is never required.
    pub fn of_extension(&self, extension: &ExtensionDescriptor) -> FieldFeatures {
        self.says(extension.full_name()).unwrap_or_else(|| FieldFeatures {
            presence: if extension.is_list() { Presence::Implicit } else { Presence::Explicit },
            packed: extension.is_packed(),
            utf8: checks_utf8(&extension.parent_file()),
            delimited: extension.is_group(),
        })
    }

    /// Whether a number that the enum does not name is no value of it.
    pub fn is_closed(&self, en: &EnumDescriptor) -> bool {
        let said = self.enums.get(en.full_name()).copied();
        said.unwrap_or_else(|| en.parent_file().syntax() == Syntax::Proto2)
    }
}

fn checks_utf8(file: &FileDescriptor) -> bool {
    file.syntax() == Syntax::Proto3
}
