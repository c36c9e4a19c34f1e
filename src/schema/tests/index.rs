//! What reflection finds in a schema, and what it must not find.

use bytes::Bytes;
use prost::Message;
use prost_reflect::DescriptorPool;

use super::*;
use crate::schema::Index;

const FIRST: &str = r#"
syntax = "proto3";
package a.b;
import "second.proto";
enum Top { TOP_ZERO = 0; }
message M { M2.N n = 1; }
service S {
  // Says what is said.
  rpc One(M) returns (M);
  // Says nothing.
  rpc Two(M) returns (M);
}
service Empty {}
"#;

const SECOND: &str = r#"
syntax = "proto2";
package a.b;
message M2 {
  message N { optional int32 x = 1; extend M2 { optional string nested = 101; } }
  extensions 100 to 200;
}
extend M2 { optional string top = 100; }
"#;

const THIRD: &str = r#"
syntax = "proto3";
package other;
message Alone {}
service Hidden { rpc Three(Alone) returns (Alone); }
"#;

fn inputs() -> Inputs {
    Inputs::new(&[("first.proto", FIRST), ("second.proto", SECOND), ("third.proto", THIRD)])
}

fn index(services: &[&str]) -> (Index, Schema) {
    let inputs = inputs();
    let services = services.iter().map(|text| Selector::parse(text).unwrap()).collect();
    let (schema, _) = loaded(&SchemaSettings { services, ..inputs.sources() });
    (Index::of_schema(&schema), schema)
}

/// The name of a file that was found.
fn name(file: Option<&Bytes>) -> Option<String> {
    file.map(|file| prost_types::FileDescriptorProto::decode(file.clone()).unwrap().name().to_owned())
}

#[test]
fn symbols_are_found_where_they_are_declared() {
    let (index, schema) = index(&[]);
    for (symbol, want) in [
        ("a.b.M", Some("first.proto")),
        ("a.b.M.n", Some("first.proto")),
        ("a.b.Top", Some("first.proto")),
        ("a.b.TOP_ZERO", Some("first.proto")),
        ("a.b.S", Some("first.proto")),
        ("a.b.S.Two", Some("first.proto")),
        ("a.b.Empty", Some("first.proto")),
        ("a.b.M2.N.x", Some("second.proto")),
        ("a.b.M2.N.nested", Some("second.proto")),
        ("a.b.top", Some("second.proto")),
        ("other.Alone", Some("third.proto")),
        ("google.rpc.ErrorInfo", Some("google/rpc/error_details.proto")),
        ("google.api.http", Some("google/api/annotations.proto")),
        ("a.b", None),
        ("a.b.M.n.x", None),
        ("a.b.S.Two.x", None),
        ("a.b.M2.nested", None),
        (".a.b.M", None),
        ("a..b.M", None),
        ("", None),
        (".", None),
    ] {
        assert_eq!(name(index.file_of_symbol(symbol)).as_deref(), want, "{symbol}");
    }
    assert_eq!(index.services().collect::<Vec<_>>(), ["a.b.S", "other.Hidden"]);
    assert_eq!(index.extensions_of("a.b.M2").collect::<Vec<_>>(), [100, 101]);
    assert_eq!(name(index.file_of_extension("a.b.M2", 101)).as_deref(), Some("second.proto"));
    assert_eq!((name(index.file_of_extension("a.b.M2", 102)), index.extensions_of("x").next()), (None, None));
    for file in &schema.files {
        assert_eq!(index.file(&file.name), Some(&file.encoded), "as it was given");
    }
}

#[test]
fn what_is_not_served_is_cut_out() {
    let (index, _) = index(&["a.b.S/One"]);
    assert_eq!(index.services().collect::<Vec<_>>(), ["a.b.S"]);
    for symbol in ["a.b.S.Two", "other.Hidden", "other.Alone"] {
        assert_eq!(index.file_of_symbol(symbol), None, "{symbol}");
    }
    assert_eq!(index.file("third.proto"), None);
    assert!(index.file("google/rpc/error_details.proto").is_some(), "the gateway's own errors need it");
    let first = index.file("first.proto").unwrap();
    let text = String::from_utf8_lossy(first);
    assert!(!text.contains("Two") && !text.contains("Says"), "{text}");
    let mut pool = DescriptorPool::new();
    for name in ["second.proto", "first.proto"] {
        pool.decode_file_descriptor_proto(index.file(name).unwrap().clone()).unwrap();
    }
    let methods = pool.get_service_by_name("a.b.S").unwrap();
    assert_eq!(methods.methods().map(|method| method.name().to_owned()).collect::<Vec<_>>(), ["One"]);
}

#[test]
fn a_set_lists_what_it_is_told_to() {
    let (_, schema) = index(&[]);
    let mut set = Vec::new();
    for file in &schema.files {
        prost::encoding::bytes::encode(1, &file.encoded.to_vec(), &mut set);
    }
    let index = Index::of_set(&Bytes::from(set), &["other.Hidden"]);
    assert_eq!(index.services().collect::<Vec<_>>(), ["other.Hidden"]);
    assert!(index.file("third.proto").is_some() && index.file("first.proto").is_none());
    assert!(Index::of_set(&Bytes::from_static(b"\x0a\xff"), &["x.Y"]).file_of_symbol("x.Y").is_none());
}
