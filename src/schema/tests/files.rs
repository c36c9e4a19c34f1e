//! Inputs: descriptor sets and sources, what they lack, and where they contradict each other.

use super::*;

const ONE: &str = r#"
syntax = "proto3";
package a;
import "google/protobuf/empty.proto";
// What it is.
message One { string first_name = 1; google.protobuf.Empty nothing = 2; }
"#;

const TWO: &str = r#"
syntax = "proto3";
package a;
import "one.proto";
import "google/api/annotations.proto";
service Ones {
  rpc Get(One) returns (One) { option (google.api.http) = { get: "/{first_name}" }; }
}
"#;

#[test]
fn sets_with_and_without_imports_and_sources_load_alike() {
    let inputs = Inputs::new(&[("one.proto", ONE), ("two.proto", TWO)]);
    inputs.write("all.binpb", &inputs.set(&["two.proto"], true));
    inputs.write("sets/both.pb", &inputs.set(&["one.proto", "two.proto"], false));
    inputs.write("one.bin", &inputs.set(&["one.proto"], false));
    inputs.write("two.bin", &inputs.set(&["two.proto"], false));
    let sources = |names: &[&str], imports: &[&str]| SchemaSettings {
        protos: names.iter().map(|name| inputs.text(name)).collect(),
        imports: imports.iter().map(|name| inputs.path(name)).collect(),
        ..SchemaSettings::default()
    };
    let mixed = SchemaSettings { descriptors: vec![inputs.text("one.bin")], ..sources(&["two.proto"], &[]) };
    for settings in [
        inputs.sets(&["all.binpb"]),
        inputs.sets(&["sets"]),
        inputs.sets(&["two.bin", "one.bin"]),
        inputs.sets(&["*.bin*", "sets/*"]),
        sources(&[""], &[]),
        sources(&["two.proto"], &[]),
        sources(&["t*.proto"], &["", "sets"]),
        mixed,
    ] {
        let (schema, warnings) = loaded(&settings);
        assert_told(&warnings, &[]);
        assert_eq!(shown(&schema), ["Get: GET /{first_name}"]);
        assert_eq!(schema.methods[0].full_name(), "a.Ones.Get");
        // Options survive in the pool and in the bytes.
        let options = schema.methods[0].descriptor.options();
        assert_eq!(options.extensions().count(), 1);
        let two = schema.files.iter().find(|file| file.name == "two.proto").unwrap();
        assert!(two.encoded.windows(13).any(|bytes| bytes == b"/{first_name}"));
        // Everything of Google's is there, imported or not.
        for name in ["google.rpc.ErrorInfo", "google.api.HttpBody", "google.protobuf.FieldMask"] {
            assert!(schema.pool.get_message_by_name(name).is_some(), "{name}");
        }
        assert_eq!(schema.files.len(), schema.pool.files().len());
    }
}

#[test]
fn rules_are_read_without_the_file_that_declares_them() {
    // What is left when a tool strips what it takes for unused.
    let inputs = Inputs::new(&[("one.proto", ONE), ("two.proto", TWO)]);
    let set = Bytes::from(inputs.set(&["one.proto", "two.proto"], false));
    let mut stripped = Vec::new();
    for file in load::split_set(&set).unwrap() {
        let import = b"\x1a\x1cgoogle/api/annotations.proto";
        let at = file.windows(import.len()).position(|bytes| bytes == import);
        let mut file = file.to_vec();
        if let Some(at) = at {
            file.drain(at..at + import.len());
        }
        prost::encoding::bytes::encode(1, &file, &mut stripped);
    }
    inputs.write("stripped.pb", &stripped);
    assert_eq!(shown(&loaded(&inputs.sets(&["stripped.pb"])).0), ["Get: GET /{first_name}"]);
}

#[test]
fn origins_are_kept() {
    let inputs = Inputs::new(&[("one.proto", ONE), ("two.proto", TWO)]);
    inputs.write("one.bin", &inputs.set(&["one.proto"], false));
    let settings = SchemaSettings { protos: vec![inputs.text("two.proto")], ..inputs.sets(&["one.bin"]) };
    let (schema, _) = loaded(&settings);
    let origin = |name: &str| {
        let file = schema.files.iter().find(|file| file.name == name).unwrap();
        match &file.origin {
            FileOrigin::DescriptorSet(path) | FileOrigin::Source(path) => file_name(path),
            FileOrigin::Reflected(upstream) => upstream.to_string(),
            FileOrigin::BuiltIn => "-".to_owned(),
        }
    };
    // The descriptor set comes first in the order of inputs; the source of the same name is equal.
    assert_eq!(origin("one.proto"), "one.bin");
    assert_eq!(origin("two.proto"), "two.proto");
    assert_eq!(origin("google/api/http.proto"), "-");
}

#[test]
fn what_is_no_difference() {
    let inputs = Inputs::new(&[("one.proto", ONE)]);
    let mut set = prost_types::FileDescriptorSet::default();
    {
        use prost::Message;
        let bytes = inputs.set(&["one.proto"], false);
        set.merge(bytes.as_slice()).unwrap();
        inputs.write("a.pb", &bytes);
        for field in &mut set.file[0].message_type[0].field {
            field.json_name = None;
        }
        set.file[0].options =
            Some(prost_types::FileOptions { go_package: Some("x".to_owned()), ..Default::default() });
        set.file[0].source_code_info = Some(prost_types::SourceCodeInfo::default());
        inputs.write("b.pb", &set.encode_to_vec());
    }
    let (_, warnings) = loaded(&inputs.sets(&["a.pb", "b.pb"]));
    assert_told(&warnings, &[]);
}

#[test]
fn one_file_name_with_two_contents() {
    let cases = [
        (ONE.replace("= 1;", "= 3;"), "message_type / `One` / field / `first_name` / number: 1 and 3"),
        (ONE.replace("string first", "bytes first"), "`first_name` / type"),
        (format!("{ONE}message More {{}}"), "message_type: only one has `More`"),
        (ONE.replace("package a;", "package b;"), "package: \"a\" and \"b\""),
        (
            ONE.replace("= 1;", "= 1 [deprecated = true];"),
            "`first_name` / options: nothing and {deprecated:true}",
        ),
    ];
    for (other, wanted) in cases {
        let inputs = Inputs::new(&[("one.proto", ONE)]);
        inputs.write("a.pb", &inputs.set(&["one.proto"], false));
        inputs.write("one.proto", other.as_bytes());
        inputs.write("b.pb", &inputs.set(&["one.proto"], false));
        let told = ["`one.proto` differently", "a.pb", "b.pb", wanted];
        assert_told(&refused(&inputs.sets(&["a.pb", "b.pb"])), &[&told]);
    }
}

#[test]
fn a_rule_is_a_difference() {
    let inputs = Inputs::new(&[("one.proto", ONE), ("two.proto", TWO)]);
    inputs.write("a.pb", &inputs.set(&["one.proto", "two.proto"], false));
    inputs.write("two.proto", TWO.replace("/{first_name}", "/x/{first_name}").as_bytes());
    inputs.write("b.pb", &inputs.set(&["two.proto"], false));
    assert_told(
        &refused(&inputs.sets(&["a.pb", "b.pb"])),
        &[&["`two.proto` differently", "`Ones` / method / `Get` / options / (google.api.http)"]],
    );
}

#[test]
fn one_symbol_in_two_files() {
    let inputs = Inputs::new(&[("one.proto", ONE), ("sub/one.proto", ONE)]);
    inputs.write("a.pb", &inputs.set(&["one.proto"], false));
    inputs.write("b.pb", &inputs.set(&["sub/one.proto"], false));
    assert_told(
        &refused(&inputs.sets(&["a.pb", "b.pb"])),
        &[&["`one.proto` and `sub/one.proto` both define `a.One`", "a.pb", "b.pb", "same import path"]],
    );
}

#[test]
fn given_files_stand_before_built_in_ones() {
    let http = "syntax = \"proto3\"; package google.api; message HttpBody { string own = 1; }";
    let own = "syntax = \"proto3\"; package b; import \"third/body.proto\"; \
               message B { google.api.HttpBody body = 1; }";
    // Under its usual name, and under another one.
    let usual = Inputs::new(&[
        ("google/api/httpbody.proto", http),
        ("own.proto", &own.replace("third/body", "google/api/httpbody")),
    ]);
    let moved = Inputs::new(&[("third/body.proto", http), ("own.proto", own)]);
    for inputs in [usual, moved] {
        let (schema, warnings) = loaded(&inputs.sources());
        assert_told(&warnings, &[]);
        let body = schema.pool.get_message_by_name("google.api.HttpBody").unwrap();
        assert!(body.get_field_by_name("own").is_some());
    }
}

#[test]
fn what_a_set_lacks() {
    let inputs = Inputs::new(&[("one.proto", ONE), ("two.proto", TWO)]);
    inputs.write("two.pb", &inputs.set(&["two.proto"], false));
    assert_told(
        &refused(&inputs.sets(&["two.pb"])),
        &[&[
            "`two.proto` imports `one.proto`, which no input has",
            "two.pb",
            "buf build",
            "--include_imports",
        ]],
    );
}

#[test]
fn a_circle_of_imports() {
    use prost::Message;
    let file = |name: &str, import: &str| prost_types::FileDescriptorProto {
        name: Some(name.to_owned()),
        dependency: vec![import.to_owned()],
        ..Default::default()
    };
    let set = prost_types::FileDescriptorSet {
        file: vec![file("a", "b"), file("b", "c"), file("c", "b"), file("d", "d")],
    };
    let inputs = Inputs::new(&[]);
    inputs.write("a.pb", &set.encode_to_vec());
    assert_told(
        &refused(&inputs.sets(&["a.pb"])),
        &[&["a circle of imports: b imports c imports b"], &["a circle of imports: d imports d"]],
    );
}

#[test]
fn what_is_no_descriptor_set() {
    let inputs = Inputs::new(&[("one.proto", ONE)]);
    let set = inputs.set(&["one.proto"], true);
    let single = load::split_set(&Bytes::from(set.clone())).unwrap().pop().unwrap();
    let cases: [(&[u8], &str); 11] = [
        (b"", "it is empty"),
        (b"\x1f\x8b\x08\x00", "compressed with gzip"),
        (b"PK\x03\x04zip", "zip archive"),
        (b"\x28\xb5\x2f\xfd\x00", "zstd"),
        (b"{\"file\": []}", "it is JSON"),
        (b"// hi\nsyntax = \"proto3\";", "name it under `protos`"),
        (b"hello world\n", "it is text"),
        (&single, "a single file descriptor"),
        (&set[..set.len() - 3], "cut short or damaged"),
        (b"\x0a\x02\x0a\x00", "cut short or damaged"),
        (b"\x7fELF\x02\x01\x01\x00", "no protobuf of that kind"),
    ];
    for (bytes, wanted) in cases {
        inputs.write("x.pb", bytes);
        assert_told(&refused(&inputs.sets(&["x.pb"])), &[&["x.pb` is not a descriptor set", wanted]]);
    }
}

#[test]
fn editions_are_told() {
    use prost::Message;
    let inputs = Inputs::new(&[
        ("p/e.proto", "// x\nedition = \"2023\";\npackage e;\n"),
        ("p/i.proto", "syntax = \"proto3\";\nimport \"e.proto\";\n"),
    ]);
    let sources = SchemaSettings { protos: vec![inputs.text("p")], ..SchemaSettings::default() };
    assert_told(
        &refused(&sources),
        &[&["p/e.proto` is written in an edition", "e.proto:2:1", "buf build", "protoc"]],
    );
    let set = prost_types::FileDescriptorSet {
        file: vec![
            prost_types::FileDescriptorProto {
                name: Some("e.proto".to_owned()),
                syntax: Some("editions".to_owned()),
                ..Default::default()
            },
            // What imports it is not told.
            prost_types::FileDescriptorProto {
                name: Some("i.proto".to_owned()),
                dependency: vec!["e.proto".to_owned()],
                ..Default::default()
            },
        ],
    };
    inputs.write("e.pb", &set.encode_to_vec());
    assert_told(&refused(&inputs.sets(&["e.pb"])), &[&["`e.proto` is not valid: it does not say", "e.pb"]]);
}

#[test]
fn faults_of_sources_have_a_place() {
    for (text, wanted) in [
        ("syntax = \"proto3\";\nmesage A {}", &["a.proto:2:1", "mesage", "^^^^^^"][..]),
        ("syntax = \"proto3\";\nmessage A { B b = 1; }", &["a.proto:2:13", "'B' is not defined"]),
        (
            "syntax = \"proto3\";\nimport \"x/y.proto\";",
            &["a.proto:2:", "'x/y.proto' not found", "set `imports`"],
        ),
    ] {
        let inputs = Inputs::new(&[("a.proto", text)]);
        assert_told(&refused(&inputs.sources()), &[wanted]);
    }
}

#[test]
fn sources_outside_or_behind_an_import_path() {
    let inputs = Inputs::new(&[("a/x.proto", ONE), ("b/x.proto", ONE), ("b/z.proto", "")]);
    let settings = |imports: &[&str]| SchemaSettings {
        protos: vec![inputs.text("b/x.proto")],
        imports: imports.iter().map(|name| inputs.path(name)).collect(),
        ..SchemaSettings::default()
    };
    let outside = ["b/x.proto' is not in any include path", "looked for in", "set `imports`"];
    assert_told(&refused(&settings(&["c"])), &[&outside]);
    assert_told(&refused(&settings(&["a", "b"])), &[&["b/x.proto", "is shadowed by", "a/x.proto"]]);
    assert_eq!(loaded(&settings(&["b", "a"])).0.methods.len(), 0);
}

#[test]
fn a_descriptor_proto_that_is_too_new_does_no_harm() {
    let new = "syntax = \"proto2\"; message M { extensions 4 [declaration = { number: 4 }]; }";
    let inputs =
        Inputs::new(&[("one.proto", ONE), ("two.proto", TWO), ("google/protobuf/descriptor.proto", new)]);
    assert_eq!(shown(&loaded(&inputs.sources()).0), ["Get: GET /{first_name}"]);
}

#[test]
fn comments_are_in_the_bytes_of_a_file() {
    let inputs = Inputs::new(&[("one.proto", ONE)]);
    let (schema, _) = loaded(&inputs.sources());
    let has = |bytes: &[u8]| bytes.windows(11).any(|part| part == b"What it is.");
    let file = schema.files.iter().find(|file| file.name == "one.proto").unwrap();
    assert!(has(&file.encoded));
    assert!(!has(&schema.pool.encode_to_vec()));
}

#[test]
fn every_input_that_fails_is_told() {
    let inputs = Inputs::new(&[("a.pb", "text"), ("b.proto", "nothing"), ("empty/x.txt", "")]);
    let settings = SchemaSettings {
        protos: vec![inputs.text("b.proto"), inputs.text("*.prot")],
        ..inputs.sets(&["a.pb", "gone.pb", "empty"])
    };
    assert_told(
        &refused(&settings),
        &[
            &["gone.pb` can't be read"],
            &["empty` holds no descriptor sets", "*.binpb"],
            &["a.pb` is not a descriptor set: it is text"],
            &["*.prot` matches no file"],
            &["b.proto", "nothing"],
        ],
    );
    assert_told(&refused(&SchemaSettings::default()), &[&["no schema is given"]]);
}

#[test]
fn an_invalid_file_does_not_hide_another() {
    use prost::Message;
    use prost_types::field_descriptor_proto::{Label, Type};
    let file = |name: &str, of: &str| prost_types::FileDescriptorProto {
        name: Some(name.to_owned()),
        message_type: vec![prost_types::DescriptorProto {
            name: Some(format!("In{}", of.to_uppercase())),
            field: vec![prost_types::FieldDescriptorProto {
                name: Some("f".to_owned()),
                number: Some(1),
                label: Some(Label::Optional.into()),
                r#type: Some(Type::Message.into()),
                type_name: Some(format!(".{of}")),
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    };
    let set = prost_types::FileDescriptorSet { file: vec![file("a", "x"), file("b", "y")] };
    let inputs = Inputs::new(&[]);
    inputs.write("a.pb", &set.encode_to_vec());
    assert_told(
        &refused(&inputs.sets(&["a.pb"])),
        &[&["`a` is not valid", "'.x' is not defined", "a.pb"], &["`b` is not valid", "'.y' is not defined"]],
    );
}

#[test]
fn descriptors_that_no_compiler_makes() {
    use prost::Message;
    let entry = prost_types::DescriptorProto {
        name: Some("Entry".to_owned()),
        options: Some(prost_types::MessageOptions { map_entry: Some(true), ..Default::default() }),
        ..Default::default()
    };
    let service = prost_types::ServiceDescriptorProto { name: Some("a.B".to_owned()), ..Default::default() };
    let file =
        |name: &str| prost_types::FileDescriptorProto { name: Some(name.to_owned()), ..Default::default() };
    let set = prost_types::FileDescriptorSet {
        file: vec![
            prost_types::FileDescriptorProto { message_type: vec![entry], ..file("entry") },
            prost_types::FileDescriptorProto { service: vec![service], ..file("name") },
            prost_types::FileDescriptorProto { syntax: Some("proto9".to_owned()), ..file("syntax") },
            prost_types::FileDescriptorProto { dependency: vec!["x/entry".to_owned()], ..file("import") },
        ],
    };
    let inputs = Inputs::new(&[]);
    inputs.write("a.pb", &set.encode_to_vec());
    assert_told(
        &refused(&inputs.sets(&["a.pb"])),
        &[
            &["`name` is not valid: `a.B` is no name", "a.pb"],
            &["`syntax` has the unknown syntax `proto9`", "a.pb"],
            &["`import` imports `x/entry`, which no input has (there is `entry`)"],
            &["`entry` is not valid: `Entry` is no map entry"],
        ],
    );
}
