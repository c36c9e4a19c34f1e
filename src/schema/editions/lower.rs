//! The walk through one file: resolves the features of every element, checks them, notes them down for the codec and
//! changes the descriptor so that it says the same in proto2 or proto3.

use prost::Message;
use rustc_hash::FxHashSet;

use super::features::{
    Edition, EnumType, FieldPresence, JsonFormat, MessageEncoding, RepeatedFieldEncoding, Resolved, Target,
    Utf8Validation,
};
use super::raw::{
    DescribedEnum, DescribedMessage, EnumOptions, FeatureSet, Field, FieldOptions, File, FileOptions,
    MessageOptions, Pieces, from_pieces,
};
use crate::codec::{Features, FieldFeatures, Presence};
use crate::schema::compare::json_name;

/// `google.protobuf.FieldDescriptorProto.Label`
const REQUIRED: i32 = 2;
const REPEATED: i32 = 3;

/// `google.protobuf.FieldDescriptorProto.Type`
const STRING: i32 = 9;
const GROUP: i32 = 10;
const MESSAGE: i32 = 11;
const BYTES: i32 = 12;

/// `google.protobuf.FieldOptions.packed`, without its value.
const PACKED: u8 = 2 << 3;

/// What a walk finds.
pub(super) struct Lowering {
    pub features: Features,
    /// What is wrong, as `what` of `which element`.
    pub faults: Vec<String>,
    /// Whether a field is without presence.
    implicit: bool,
    /// Whether nothing is there that proto3 does not allow.
    fits_proto3: bool,
}

/// What a field is part of.
struct Parent<'p> {
    full_name: &'p str,
    features: Resolved,
    kind: ParentKind<'p>,
}

enum ParentKind<'p> {
    /// The types of the message's own map entries, by full name.
    Message {
        entries: &'p FxHashSet<String>,
    },
    MapEntry,
    /// Where an extension is declared.
    Scope,
}

impl Lowering {
    /// Lowers `file` in place. If there are faults it is of no use after.
    pub fn of_file(file: &mut File, edition: Edition) -> Self {
        let mut walk =
            Self { features: Features::default(), faults: Vec::new(), implicit: false, fits_proto3: true };
        let name = file.name.clone().unwrap_or_default();
        let options: FileOptions = walk.options(&file.options, &name);
        let features = walk.resolve(edition.defaults(), options.features.as_ref(), Target::File, &name);
        if features.presence == FieldPresence::LegacyRequired {
            walk.faults.push("fields can't be required by default".to_owned());
        }
        let package = file.package.clone().unwrap_or_default();
        for message in &mut file.messages {
            walk.message(message, &package, features);
        }
        for en in &file.enums {
            walk.enumeration(en, &package, features);
        }
        let scope = Parent { full_name: &package, features, kind: ParentKind::Scope };
        for extension in &mut file.extensions {
            walk.field(extension, &scope);
        }
        let proto3 = walk.implicit && walk.fits_proto3;
        file.syntax = Some(if proto3 { "proto3" } else { "proto2" }.to_owned());
        walk
    }

    /// The recursion is no deeper than the decoder's, which has a limit.
    fn message(&mut self, message: &mut DescribedMessage, scope: &str, inherited: Resolved) {
        let full_name = joined(scope, message.name.as_deref());
        let options: MessageOptions = self.options(&message.options, &full_name);
        let features = self.resolve(inherited, options.features.as_ref(), Target::Message, &full_name);

        let mut entries = FxHashSet::default();
        for nested in &mut message.nested {
            self.message(nested, &full_name, features);
            if from_pieces::<MessageOptions>(&nested.options).is_ok_and(|options| options.map_entry) {
                entries.insert(joined(&full_name, nested.name.as_deref()));
            }
        }
        for en in &message.enums {
            self.enumeration(en, &full_name, features);
        }
        let kind = match options.map_entry {
            true => ParentKind::MapEntry,
            false => ParentKind::Message { entries: &entries },
        };
        let parent = Parent { full_name: &full_name, features, kind };
        for field in &mut message.fields {
            self.field(field, &parent);
        }
        let scope = Parent { full_name: &full_name, features, kind: ParentKind::Scope };
        for extension in &mut message.extensions {
            self.field(extension, &scope);
        }
        self.names(message, features.json);
    }

    fn field(&mut self, field: &mut Field, parent: &Parent<'_>) {
        let full_name = joined(parent.full_name, field.name.as_deref());
        let options: FieldOptions = self.options(&field.options, &full_name);
        let own = options.features.unwrap_or_default();
        let mut resolved = self.resolve(parent.features, Some(&own), Target::Field, &full_name);
        // Protoc writes neither in an edition; libraries that rebuild descriptors do.
        if field.label == Some(REQUIRED) {
            resolved.presence = FieldPresence::LegacyRequired;
        }
        if field.kind == Some(GROUP) {
            resolved.messages = MessageEncoding::Delimited;
        }
        let Some(kind) = field.kind else {
            self.faults.push(format!("`{full_name}` has no type"));
            return;
        };
        if let Some(fault) = fault(field, &own, resolved, parent) {
            self.faults.push(format!("`{full_name}`: {fault}"));
            return;
        }

        let repeated = field.label == Some(REPEATED);
        let is_message = matches!(kind, MESSAGE | GROUP);
        let packable = !matches!(kind, STRING | BYTES | MESSAGE | GROUP);
        let (extension, entry) = match &parent.kind {
            ParentKind::Message { .. } => (false, false),
            ParentKind::MapEntry => (false, true),
            ParentKind::Scope => (true, false),
        };
        let always = is_message || extension || field.oneof_index.is_some();
        let features = FieldFeatures {
            presence: match resolved.presence {
                _ if repeated => Presence::Implicit,
                FieldPresence::LegacyRequired => Presence::Required,
                FieldPresence::Implicit if !always => Presence::Implicit,
                FieldPresence::Implicit | FieldPresence::Explicit => Presence::Explicit,
            },
            packed: repeated && packable && resolved.lists == RepeatedFieldEncoding::Packed,
            utf8: resolved.utf8 == Utf8Validation::Verify,
            // Maps and their values always have a length.
            delimited: is_message
                && !entry
                && !parent.is_entry_type(field.type_name.as_deref())
                && resolved.messages == MessageEncoding::Delimited,
        };
        self.features.set_field(&full_name, features);

        match features.presence {
            Presence::Implicit => self.implicit |= !repeated && !entry,
            Presence::Explicit => field.proto3_optional = (!always).then_some(true),
            Presence::Required => {
                field.proto3_optional = (!always).then_some(true);
                field.label = Some(REQUIRED);
            }
        }
        if is_message {
            field.kind = Some(if features.delimited { GROUP } else { MESSAGE });
        }
        if repeated && packable {
            field.options.push(vec![PACKED, u8::from(features.packed)]);
        }
    }

    fn enumeration(&mut self, en: &DescribedEnum, scope: &str, inherited: Resolved) {
        let full_name = joined(scope, en.name.as_deref());
        let options: EnumOptions = self.options(&en.options, &full_name);
        let features = self.resolve(inherited, options.features.as_ref(), Target::Enum, &full_name);
        let closed = features.enum_type == EnumType::Closed;
        self.features.set_enum(&full_name, closed);
        if en.values.first().is_some_and(|value| value.number.unwrap_or_default() != 0) {
            self.fits_proto3 = false;
            if !closed {
                self.faults.push(format!("`{full_name}` is open, and its first value is not 0"));
            }
        }
    }

    /// The pool refuses two fields with one JSON name, and proto3 two that differ in case and underscores alone.
    fn names(&mut self, message: &mut DescribedMessage, json: JsonFormat) {
        let mut plain = FxHashSet::default();
        let mut taken = FxHashSet::default();
        for field in &mut message.fields {
            let name = field.name.clone().unwrap_or_default();
            self.fits_proto3 &= plain.insert(name.replace('_', "").to_ascii_lowercase());
            let json_name = field.json_name.get_or_insert_with(|| json_name(&name));
            match json {
                JsonFormat::Allow => {}
                // Best effort: the first has the JSON name, those after it go by their own.
                JsonFormat::LegacyBestEffort => {
                    if taken.contains(json_name) {
                        *json_name = name;
                    }
                    taken.insert(json_name.clone());
                }
            }
        }
    }

    fn options<T: Message + Default>(&mut self, pieces: &Pieces, of: &str) -> T {
        from_pieces(pieces).unwrap_or_else(|error| {
            self.faults.push(format!("the options of `{of}` can't be read: {error}"));
            T::default()
        })
    }

    fn resolve(
        &mut self,
        inherited: Resolved,
        own: Option<&FeatureSet>,
        target: Target,
        of: &str,
    ) -> Resolved {
        match own.map(|own| inherited.with(own, target)) {
            None => inherited,
            Some(Ok(resolved)) => resolved,
            Some(Err(fault)) => {
                self.faults.push(format!("`{of}`: {fault}"));
                inherited
            }
        }
    }
}

impl Parent<'_> {
    /// Whether a field of this type is a map. Compilers write full names, with a dot before them.
    fn is_entry_type(&self, type_name: Option<&str>) -> bool {
        match (&self.kind, type_name) {
            (ParentKind::Message { entries }, Some(name)) => match name.strip_prefix('.') {
                Some(full_name) => entries.contains(full_name),
                None => entries.contains(&joined(self.full_name, Some(name))),
            },
            (_, _) => false,
        }
    }
}

/// What contradicts itself in a field.
fn fault(field: &Field, own: &FeatureSet, resolved: Resolved, parent: &Parent<'_>) -> Option<&'static str> {
    let extension = match parent.kind {
        // Compilers give the fields of entries the features of their map.
        ParentKind::MapEntry => return None,
        ParentKind::Message { .. } => false,
        ParentKind::Scope => true,
    };
    if own.field_presence.is_some() {
        if field.oneof_index.is_some() {
            return Some("a member of a oneof can't set `features.field_presence`");
        }
        if field.label == Some(REPEATED) {
            return Some("a repeated field can't set `features.field_presence`");
        }
    }
    match resolved.presence {
        FieldPresence::LegacyRequired if extension => Some("an extension can't be required"),
        FieldPresence::Implicit
            if own.field_presence.is_some() && matches!(field.kind, Some(MESSAGE | GROUP)) =>
        {
            Some("a message can't be without presence")
        }
        FieldPresence::Implicit if own.field_presence.is_some() && extension => {
            Some("an extension can't be without presence")
        }
        FieldPresence::Implicit
            if field.default_value.is_some() && field.oneof_index.is_none() && !extension =>
        {
            Some("a field without presence can't have a default value")
        }
        FieldPresence::LegacyRequired | FieldPresence::Implicit | FieldPresence::Explicit => None,
    }
}

/// `name` in a scope, which may be empty.
fn joined(scope: &str, name: Option<&str>) -> String {
    let name = name.unwrap_or_default();
    if scope.is_empty() { name.to_owned() } else { format!("{scope}.{name}") }
}
