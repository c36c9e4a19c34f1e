//! Inputs that nobody meant: damaged bytes must lead to problems and never to a panic.

use proptest::prelude::*;

use super::*;

fn api_set() -> Vec<u8> {
    let methods = r#"
        rpc Get(Request) returns (Book) { option (google.api.http) = {
          get: "/v1/{book.author.name=a/*}"
          additional_bindings { post: "/v1/{id}:x" body: "book" response_body: "author" }
        }; }
        rpc Put(stream Request) returns (stream Book) {
          option (google.api.http) = { put: "/v1/{id}" body: "*" };
        }
    "#;
    let inputs = Inputs::new(&[("shop.proto", &api(methods))]);
    inputs.set(&["shop.proto"], false)
}

const EDITIONS: &[u8] = include_bytes!("../../../tests/data/editions/editions.binpb");

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(debug_assertions) { 100 } else { 20_000 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn damaged_sets_never_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in prop::option::of(any::<prop::sample::Index>()),
        editions: bool,
    ) {
        static SET: std::sync::LazyLock<Vec<u8>> = std::sync::LazyLock::new(api_set);
        let mut set = if editions { EDITIONS.to_vec() } else { SET.clone() };
        for (at, byte) in changes {
            let at = at.index(set.len());
            set[at] = byte;
        }
        if let Some(cut) = cut {
            set.truncate(cut.index(set.len()));
        }
        let inputs = Inputs::new(&[]);
        inputs.write("x.pb", &set);
        match load(&inputs.sets(&["x.pb"]), &[]) {
            Ok((schema, _)) => prop_assert!(!schema.files.is_empty()),
            Err(problems) => prop_assert!(problems.errors() > 0 && !problems.to_string().is_empty()),
        }
    }
}

/// Names of one kind of definition: few, so that they meet, and hardly ever malformed.
fn name(names: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop_oneof![
        100 => prop::sample::select(names),
        1 => prop::sample::select(&["", ".a", "a.", "ä", "1", "A.B"][..]),
    ]
    .prop_map(str::to_owned)
}

const MESSAGES: &[&str] = &["A", "B", "C", "M", "N"];
const FIELDS: &[&str] = &["a", "b", "c", "d_e", "dE", "key", "value"];

/// References to definitions, as they should be and otherwise.
fn reference() -> impl Strategy<Value = String> {
    let names = vec![
        "", ".", "A", "B", "E", "A.B", "a.A", ".a.A", ".A", ".A.M", ".a.E", ".a.B", "..A", "google", "ä",
    ];
    prop::sample::select(names).prop_map(str::to_owned)
}

fn field(numbers: &'static [i32]) -> impl Strategy<Value = prost_types::FieldDescriptorProto> {
    let number = prop::sample::select(numbers);
    let small = prop::option::of(-2..20);
    let defaults = ["", "1", "-1", "inf", "true", "X", "\\", "\\777", "\\x", "\\u12", "\\U0011ffff", "é"];
    let default = prop::option::of(prop::sample::select(defaults.to_vec()).prop_map(str::to_owned));
    let indexes = (prop::option::of(-1..3), prop::option::of(any::<bool>()));
    let names = (
        name(FIELDS),
        prop::option::of(reference()),
        prop::option::of(reference()),
        prop::option::of(name(FIELDS)),
    );
    (names, number, small.clone(), small, default, indexes).prop_map(
        |(
            (name, type_name, extendee, json_name),
            number,
            label,
            kind,
            default_value,
            (oneof_index, optional),
        )| {
            prost_types::FieldDescriptorProto {
                name: Some(name),
                number: Some(number),
                label,
                r#type: kind,
                type_name,
                extendee,
                default_value,
                oneof_index,
                json_name,
                options: None,
                proto3_optional: optional,
            }
        },
    )
}

fn enumeration() -> impl Strategy<Value = prost_types::EnumDescriptorProto> {
    let numbers = prop_oneof![10 => Just(vec![0, 1]), 1 => prop::collection::vec(-1..2, 0..3)];
    (name(&["E", "F", "G"]), numbers).prop_map(|(name, numbers)| prost_types::EnumDescriptorProto {
        value: numbers
            .into_iter()
            .enumerate()
            .map(|(nth, number)| prost_types::EnumValueDescriptorProto {
                name: Some(format!("{name}_{nth}")),
                number: Some(number),
                options: None,
            })
            .collect(),
        name: Some(name),
        ..Default::default()
    })
}

fn message() -> impl Strategy<Value = prost_types::DescriptorProto> {
    let fields = prop::collection::vec(field(&[1, 2, 3, 4, 5, 5, 6, 7, 8, 9, -1, i32::MAX]), 0..3);
    let parts = (
        name(MESSAGES),
        fields,
        prop::collection::vec(enumeration(), 0..2),
        prop::bool::weighted(0.1),
        prop::option::of(name(&["o", "p"])),
    );
    let leaf = parts.prop_map(|(name, field, enum_type, map_entry, oneof)| prost_types::DescriptorProto {
        name: Some(name),
        field: field.clone(),
        enum_type,
        extension: field.into_iter().skip(2).collect(),
        oneof_decl: oneof
            .into_iter()
            .map(|name| prost_types::OneofDescriptorProto { name: Some(name), options: None })
            .collect(),
        extension_range: vec![prost_types::descriptor_proto::ExtensionRange {
            start: Some(10),
            end: Some(12),
            options: None,
        }],
        options: Some(prost_types::MessageOptions { map_entry: Some(map_entry), ..Default::default() }),
        ..Default::default()
    });
    leaf.prop_recursive(2, 6, 2, |inner| {
        (inner.clone(), prop::collection::vec(inner, 0..2))
            .prop_map(|(outer, nested_type)| prost_types::DescriptorProto { nested_type, ..outer })
    })
}

fn file() -> impl Strategy<Value = prost_types::FileDescriptorProto> {
    let methods = prop::collection::vec((name(&["Get", "Put", "List"]), reference(), reference()), 0..3);
    let lists = (
        prop::collection::vec(message(), 0..3),
        prop::collection::vec(enumeration(), 0..2),
        prop::collection::vec(field(&[10, 11, 12, 0, 536_870_912]), 0..2),
        prop_oneof![10 => Just(vec![]), 1 => prop::collection::vec(-1..3, 0..2)],
    );
    let syntax = prop::sample::select(vec![None, Some("proto2"), Some("proto3"), Some("editions")]);
    (name(&["1", "2"]), prop::option::of(name(&["a", "a", "A"])), syntax, name(&["S"]), methods, lists)
        .prop_map(
            |(
                name,
                package,
                syntax,
                service,
                methods,
                (message_type, enum_type, extension, public_dependency),
            )| {
                let method = methods
                    .into_iter()
                    .map(|(name, input, output)| prost_types::MethodDescriptorProto {
                        name: Some(name),
                        input_type: Some(input),
                        output_type: Some(output),
                        ..Default::default()
                    })
                    .collect();
                prost_types::FileDescriptorProto {
                    name: Some(format!("file{name}")),
                    package,
                    syntax: syntax.map(str::to_owned),
                    message_type,
                    enum_type,
                    extension,
                    public_dependency,
                    service: vec![prost_types::ServiceDescriptorProto {
                        name: Some(service),
                        method,
                        options: None,
                    }],
                    ..Default::default()
                }
            },
        )
}

/// Asks all that is asked of a pool that loaded.
fn touch(schema: &Schema) {
    for message in schema.pool.all_messages() {
        if message.is_map_entry() {
            assert_eq!(message.map_entry_key_field().number() + message.map_entry_value_field().number(), 3);
        }
        for field in message.fields() {
            assert_eq!(message.get_field(field.number()).as_ref(), Some(&field));
            assert!(
                !field.is_map() || field.kind().as_message().is_some_and(MessageDescriptor::is_map_entry)
            );
            let _ = (field.default_value(), field.is_list(), field.is_packed(), field.options());
            assert!(
                field.containing_oneof().is_none_or(|oneof| oneof.fields().any(|member| member == field))
            );
        }
    }
    for of in schema.pool.all_enums() {
        assert!(of.values().any(|value| of.default_value() == value));
    }
    for method in &schema.methods {
        assert_eq!(method.path, format!("/{}/{}", method.service(), method.name()));
        let _ = (method.input(), method.output());
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(debug_assertions) { 100 } else { 20_000 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn absurd_descriptors_never_panic(file in prop::collection::vec(file(), 1..3)) {
        use prost::Message;
        let inputs = Inputs::new(&[]);
        let mut set = Vec::new();
        for file in file {
            let mut encoded = file.encode_to_vec();
            if file.syntax() == "editions" {
                prost::encoding::int32::encode(14, &1000, &mut encoded);
            }
            prost::encoding::bytes::encode(1, &encoded, &mut set);
        }
        inputs.write("x.pb", &set);
        let settings = SchemaSettings { default_bindings: true, ..inputs.sets(&["x.pb"]) };
        match load(&settings, &[]) {
            Ok((schema, _)) => touch(&schema),
            Err(problems) => prop_assert!(problems.errors() > 0 && !problems.to_string().is_empty()),
        }
    }
}

#[test]
fn deeply_nested_rules_and_documents_are_refused() {
    use prost::Message;
    let mut rule = outline::HttpRule::default();
    for _ in 0..500 {
        rule = outline::HttpRule { additional_bindings: vec![rule], ..Default::default() };
    }
    let mut options = Vec::new();
    prost::encoding::message::encode(72_295_728, &rule, &mut options);
    let mut method = Vec::new();
    prost::encoding::bytes::encode(4, &options, &mut method);
    let mut service = Vec::new();
    prost::encoding::bytes::encode(2, &method, &mut service);
    let mut file =
        prost_types::FileDescriptorProto { name: Some("a.proto".to_owned()), ..Default::default() }
            .encode_to_vec();
    prost::encoding::bytes::encode(6, &service, &mut file);
    let mut set = Vec::new();
    prost::encoding::bytes::encode(1, &file, &mut set);

    let inputs = Inputs::new(&[("shop.proto", &api("")), ("deep.yaml", &"[".repeat(100_000))]);
    inputs.write("x.pb", &set);
    assert_told(&refused(&inputs.sets(&["x.pb"])), &[&["damaged"]]);
    let deep = SchemaSettings { http_rules: vec![inputs.path("deep.yaml")], ..inputs.sources() };
    assert_told(&refused(&deep), &[&["deep.yaml"]]);
}
