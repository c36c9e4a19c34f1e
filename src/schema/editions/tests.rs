//! Resolving and lowering: the committed sets as a whole, and files built here for what compilers refuse to write.

use prost_reflect::Syntax;

use super::raw::{
    DescribedEnum, DescribedMessage, EnumOptions, EnumValue, FeatureSet, Field, FieldOptions, FileOptions,
    MessageOptions,
};
use super::*;
use crate::codec::FieldFeatures;
use crate::schema::{FileOrigin, Schema, SchemaSettings, load};

const INT32: i32 = 5;
const STRING: i32 = 9;
const GROUP: i32 = 10;
const MESSAGE: i32 = 11;
const ENUM: i32 = 14;

/// The schema of tests/data/editions.
fn committed() -> Schema {
    let set = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/editions/editions.binpb");
    let settings = SchemaSettings { descriptors: vec![set.to_owned()], ..SchemaSettings::default() };
    let (schema, warnings) = load(&settings, &[]).unwrap_or_else(|problems| panic!("{problems}"));
    assert!(warnings.is_empty(), "{warnings}");
    schema
}

/// The features of a field: presence, and of packed, checked and delimited those that hold, by their first letters.
fn shown(features: FieldFeatures) -> String {
    let presence = match features.presence {
        Presence::Explicit => "explicit",
        Presence::Implicit => "implicit",
        Presence::Required => "required",
    };
    let flag = |holds: bool, name: &'static str| if holds { name } else { "" };
    let flags =
        [flag(features.packed, "p"), flag(features.utf8, "u"), flag(features.delimited, "d")].concat();
    format!("{presence} {flags}")
}

#[test]
fn features_of_files_messages_and_fields() {
    let schema = committed();
    for (field, wanted) in [
        ("ed.All.explicit_int32", "explicit u"),
        ("ed.All.defaulted", "explicit u"),
        ("ed.All.implicit_int32", "implicit u"),
        ("ed.All.packed_int32", "implicit pu"),
        ("ed.All.strings", "implicit u"),
        ("ed.All.expanded_int32", "implicit u"),
        ("ed.All.delimited", "explicit ud"),
        ("ed.All.delimited_list", "implicit ud"),
        ("ed.All.explicit_inner", "explicit u"),
        ("ed.All.by_int32", "implicit u"),
        ("ed.All.choice_int", "explicit u"),
        ("ed.All.choice_delimited", "explicit ud"),
        ("ed.All.unchecked", "explicit "),
        ("ed.All.UncheckedMapEntry.key", "explicit "),
        ("ed.All.UncheckedMapEntry.value", "explicit "),
        ("ed.All.delimited_time", "explicit ud"),
        ("ed.extended", "explicit u"),
        ("ed.extended_list", "implicit pu"),
        ("ed.extended_expanded", "implicit u"),
        ("ed.extended_delimited", "explicit ud"),
        ("ed.extended_unchecked", "explicit "),
        ("ed.Scope.inner", "explicit u"),
        ("ed.Needs.id", "required u"),
        ("ed.Needs.inner", "required ud"),
        // What the file says for all of it.
        ("ed24.Box.implicit_int32", "implicit "),
        ("ed24.Box.explicit_int32", "explicit "),
        ("ed24.Box.checked", "implicit u"),
        ("ed24.Box.leaf", "explicit d"),
        ("ed24.Box.prefixed", "explicit "),
        ("ed24.Box.leaves", "implicit d"),
        ("ed24.Box.by_name", "implicit "),
        ("ed24.Box.ByNameEntry.value", "explicit "),
        ("ed24.Box.TextsEntry.value", "implicit u"),
        ("ed24.Box.expanded", "implicit "),
        ("ed24.Box.packed", "implicit p"),
        ("ed24.Box.choice_int", "explicit "),
        ("ed24.Box.choice_leaf", "explicit d"),
        ("ed24.Box.Nested.leaf", "explicit d"),
        ("ed24.extended_leaf", "explicit d"),
        ("ed24.extended_int32", "explicit "),
    ] {
        assert_eq!(schema.features.says(field).map(shown), Some(wanted.to_owned()), "{field}");
    }
    for (name, wanted) in [
        ("ed.Open", false),
        ("ed.Closed", true),
        ("ed24.Shade", false),
        ("ed24.Size", true),
        ("ed24.Box.Nested.Kind", true),
        // By their syntax.
        ("google.protobuf.NullValue", false),
        ("google.protobuf.FieldDescriptorProto.Type", true),
    ] {
        let en = schema.pool.get_enum_by_name(name).unwrap();
        assert_eq!(schema.features.is_closed(&en), wanted, "{name}");
    }
}

/// All that proto2 can say of presence, lists and groups is in the pool too.
#[test]
fn the_pool_reads_the_same() {
    let schema = committed();
    for file in ["all2023.proto", "defaults2024.proto"] {
        let file = schema.pool.get_file_by_name(file).unwrap();
        // Enums whose first value is not 0 can't be in proto3.
        assert_eq!(file.syntax(), Syntax::Proto2);
        for field in file.messages().flat_map(|message| message.fields().collect::<Vec<_>>()) {
            let features = schema.features.says(field.full_name()).unwrap();
            assert_eq!(field.is_packed(), features.packed, "{}", field.full_name());
            assert_eq!(field.is_group(), features.delimited, "{}", field.full_name());
            assert_eq!(field.is_required(), features.presence == Presence::Required, "{}", field.full_name());
        }
        for extension in file.extensions() {
            let features = schema.features.says(extension.full_name()).unwrap();
            assert_eq!(extension.is_packed(), features.packed, "{}", extension.full_name());
            assert_eq!(extension.is_group(), features.delimited, "{}", extension.full_name());
        }
    }
    let names = schema.pool.get_message_by_name("ed.BestEffort").unwrap();
    let json: Vec<String> = names.fields().map(|field| field.json_name().to_owned()).collect();
    assert_eq!(json, ["fooBar", "foo_bar"]);
}

#[test]
fn bytes_are_kept_as_they_came() {
    let set = include_bytes!("../../../tests/data/editions/editions.binpb");
    for file in committed().files.iter().filter(|file| file.origin != FileOrigin::BuiltIn) {
        assert!(set.windows(file.encoded.len()).any(|window| window == file.encoded), "{}", file.name);
    }
}

/// A source of the other kind may import a file in an edition that a set brings.
#[test]
fn sources_import_what_is_lowered() {
    let folder = tempfile::tempdir().unwrap();
    let source = "syntax = \"proto3\";\nimport \"all2023.proto\";\nmessage Holder { ed.All all = 1; ed.Open open = 2; }";
    std::fs::write(folder.path().join("holder.proto"), source).unwrap();
    let settings = SchemaSettings {
        descriptors: vec![
            concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/editions/editions.binpb").to_owned(),
        ],
        protos: vec![folder.path().to_string_lossy().into_owned()],
        ..SchemaSettings::default()
    };
    let (schema, _) = load(&settings, &[]).unwrap_or_else(|problems| panic!("{problems}"));
    let holder = schema.pool.get_message_by_name("Holder").unwrap();
    let all = holder.get_field_by_name("all").unwrap().kind();
    assert_eq!(all.as_message().map(prost_reflect::MessageDescriptor::full_name), Some("ed.All"));
    assert!(schema.features.says("ed.All.delimited").is_some());
}

/// `e.proto` in edition 2023, as encoded.
fn encoded(build: impl FnOnce(&mut raw::File)) -> Vec<u8> {
    let mut file = raw::File {
        name: Some("e.proto".to_owned()),
        package: Some("e".to_owned()),
        syntax: Some("editions".to_owned()),
        ..raw::File::default()
    };
    build(&mut file);
    let mut encoded = file.encode_to_vec();
    // edition: EDITION_2023
    encoded.extend_from_slice(&[0x70, 0xe8, 0x07]);
    encoded
}

fn raw_file(encoded: Vec<u8>) -> RawFile {
    RawFile::decode(Bytes::from(encoded), FileOrigin::BuiltIn).unwrap()
}

fn field(name: &str, kind: i32, features: FeatureSet) -> Field {
    Field {
        name: Some(name.to_owned()),
        number: Some(1),
        label: Some(1),
        kind: Some(kind),
        options: vec![FieldOptions { features: Some(features) }.encode_to_vec()],
        ..Field::default()
    }
}

fn presence(number: i32) -> FeatureSet {
    FeatureSet { field_presence: Some(number), ..FeatureSet::default() }
}

const IMPLICIT: i32 = 2;
const LEGACY_REQUIRED: i32 = 3;

fn message(fields: Vec<Field>) -> DescribedMessage {
    DescribedMessage {
        name: Some("M".to_owned()),
        fields,
        oneofs: vec![b"\x0a\x01o".to_vec()],
        ..DescribedMessage::default()
    }
}

fn enumeration(first: i32, closed: bool) -> DescribedEnum {
    let features = FeatureSet { enum_type: Some(if closed { 2 } else { 1 }), ..FeatureSet::default() };
    DescribedEnum {
        name: Some("E".to_owned()),
        values: vec![EnumValue {
            name: Some("FIRST".to_owned()),
            number: Some(first),
            ..EnumValue::default()
        }],
        options: vec![EnumOptions { features: Some(features) }.encode_to_vec()],
        ..DescribedEnum::default()
    }
}

#[test]
fn what_contradicts_itself_is_told() {
    let with = |changed: fn(&mut Field), kind, features| {
        let mut field = field("f", kind, features);
        changed(&mut field);
        encoded(|file| file.messages = vec![message(vec![field])])
    };
    let keep: fn(&mut Field) = |_| {};
    let defaults = |features: FeatureSet| {
        encoded(|file| file.options = vec![FileOptions { features: Some(features) }.encode_to_vec()])
    };
    let no_edition = |text: &str| {
        let file = raw::File {
            name: Some("e.proto".to_owned()),
            syntax: Some(text.to_owned()),
            ..raw::File::default()
        };
        file.encode_to_vec()
    };
    let in_edition = |syntax: &str, number: u64| {
        let mut encoded = no_edition(syntax);
        prost::encoding::uint64::encode(14, &number, &mut encoded);
        encoded
    };
    let extension = |features| {
        let extension = Field { extendee: Some(".e.M".to_owned()), ..field("x", INT32, features) };
        encoded(|file| file.extensions = vec![extension])
    };
    for (encoded, wanted) in [
        (no_edition("editions"), "`e.proto` is not valid: it does not say in which edition it is"),
        (in_edition("proto3", 1000), "`e.proto` is not valid: it is in `proto3` and in an edition"),
        (in_edition("editions", 1002), "`e.proto` is written in edition 2026"),
        (in_edition("editions", 9999), "`e.proto` is written in edition UNSTABLE"),
        (in_edition("editions", 99_997), "`e.proto` is written in edition 99997_TEST_ONLY"),
        (in_edition("editions", 998), "`e.proto` is written in the edition with the number 998"),
        (in_edition("", 7), "`e.proto` is written in the edition with the number 7"),
        (defaults(presence(LEGACY_REQUIRED)), "fields can't be required by default"),
        (defaults(presence(9)), "`e.proto`: `features.field_presence` has the unknown value 9"),
        (
            with(|field| field.oneof_index = Some(0), INT32, presence(1)),
            "`e.M.f`: a member of a oneof can't set `features.field_presence`",
        ),
        (
            with(|field| field.label = Some(3), INT32, presence(1)),
            "`e.M.f`: a repeated field can't set `features.field_presence`",
        ),
        (with(keep, MESSAGE, presence(IMPLICIT)), "`e.M.f`: a message can't be without presence"),
        (
            with(|field| field.default_value = Some("1".to_owned()), INT32, presence(IMPLICIT)),
            "`e.M.f`: a field without presence can't have a default value",
        ),
        (with(|field| field.kind = None, INT32, presence(1)), "`e.M.f` has no type"),
        (
            with(|field| field.options = vec![b"\xaa\x01\x7f".to_vec()], INT32, presence(1)),
            "the options of `e.M.f` can't be read",
        ),
        (
            with(keep, INT32, FeatureSet { json_format: Some(1), ..FeatureSet::default() }),
            "`e.M.f`: `features.json_format` can't be set on a field",
        ),
        (extension(presence(LEGACY_REQUIRED)), "`e.x`: an extension can't be required"),
        (extension(presence(IMPLICIT)), "`e.x`: an extension can't be without presence"),
        (
            encoded(|file| file.enums = vec![enumeration(1, false)]),
            "`e.E` is open, and its first value is not 0",
        ),
        (
            encoded(|file| {
                let options = MessageOptions { features: Some(presence(1)), ..MessageOptions::default() };
                file.messages =
                    vec![DescribedMessage { options: vec![options.encode_to_vec()], ..message(vec![]) }];
            }),
            "`e.M`: `features.field_presence` can't be set on a message",
        ),
    ] {
        let problems = lower(&raw_file(encoded)).err().unwrap_or_default();
        let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(told.len(), 1, "{wanted}: {told:?}");
        assert!(told[0].contains(wanted), "`{wanted}` is missing in\n{}", told[0]);
    }
}

/// The pool of one lowered file and its features.
fn pool_of(encoded: Vec<u8>) -> (DescriptorPool, Features) {
    let lowered = lower(&raw_file(encoded)).unwrap_or_else(|problems| panic!("{problems:?}"));
    let mut pool = DescriptorPool::new();
    pool.decode_file_descriptor_proto(lowered.encoded).unwrap();
    (pool, lowered.features)
}

#[test]
fn fields_without_presence_go_down_to_proto3_where_it_allows_the_rest() {
    let fields = |names: [&str; 2]| {
        let mut fields = vec![
            field(names[0], INT32, presence(IMPLICIT)),
            field(names[1], STRING, FeatureSet::default()),
            field("needed", INT32, presence(LEGACY_REQUIRED)),
        ];
        for (number, field) in (1..).zip(&mut fields) {
            field.number = Some(number);
        }
        message(fields)
    };
    let (pool, _) = pool_of(encoded(|file| file.messages = vec![fields(["a", "b"])]));
    assert_eq!(pool.get_file_by_name("e.proto").unwrap().syntax(), Syntax::Proto3);
    let described = pool.get_message_by_name("e.M").unwrap();
    let presences: Vec<bool> = described.fields().map(|field| field.supports_presence()).collect();
    assert_eq!(presences, [false, true, true]);
    assert!(described.get_field_by_name("needed").unwrap().is_required());

    for file in [
        encoded(|file| file.messages = vec![fields(["a_b", "aB"])]),
        encoded(|file| {
            file.messages = vec![fields(["a", "b"])];
            file.enums = vec![enumeration(1, true)];
        }),
    ] {
        let described = raw_file(file);
        let lowered = lower(&described).unwrap_or_else(|problems| panic!("{problems:?}"));
        let syntax = raw::File::decode(lowered.encoded).unwrap().syntax;
        assert_eq!(syntax.as_deref(), Some("proto2"));
    }
}

/// Libraries that rebuild descriptors write the label and the type that the features stand for.
#[test]
fn labels_and_groups_of_old_stand_for_features() {
    let mut required = field("required", INT32, FeatureSet::default());
    required.label = Some(2);
    let mut group = field("group", GROUP, FeatureSet::default());
    (group.number, group.type_name) = (Some(2), Some(".e.M".to_owned()));
    let (pool, features) = pool_of(encoded(|file| file.messages = vec![message(vec![required, group])]));
    assert_eq!(features.says("e.M.required").unwrap().presence, Presence::Required);
    assert!(features.says("e.M.group").unwrap().delimited);
    assert!(pool.get_message_by_name("e.M").unwrap().get_field_by_name("group").unwrap().is_group());
}

#[test]
fn a_closed_enum_needs_presence() {
    let of = |features| {
        let field = Field { type_name: Some(".e.E".to_owned()), ..field("f", ENUM, features) };
        let (pool, features) = pool_of(encoded(|file| {
            file.messages = vec![message(vec![field])];
            file.enums = vec![enumeration(0, true)];
        }));
        check(&pool, &features).iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert!(of(presence(1)).is_empty());
    let told = of(presence(IMPLICIT));
    assert_eq!(told.len(), 1);
    assert!(told[0].contains("`e.M.f` has no presence and a closed enum as its type"), "{}", told[0]);
}
