//! Tests of the codec as a whole: golden tables per direction, splices, and random messages against prost-reflect.

mod extensions;
mod field_path;
mod golden_read;
mod golden_write;
mod limits;
mod member_paths;
mod pieces;
mod places;
mod random;
mod select;
mod splice;
mod text;
mod well_known;

use std::sync::{Arc, LazyLock};

use prost_reflect::{DescriptorPool, DynamicMessage};
use protox::file::{ChainFileResolver, File, FileResolver, GoogleFileResolver};

use super::*;

const PROTO3: &str = r#"
syntax = "proto3";
package t;
import "google/protobuf/any.proto";
import "google/protobuf/duration.proto";
import "google/protobuf/empty.proto";
import "google/protobuf/field_mask.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";

enum Color { COLOR_NONE = 0; RED = 1; GREEN = 2; NEGATIVE = -1; FAR = 100000; }

message Inner { string text = 1; int32 number = 2; Inner inner = 3; repeated int32 many = 4; Color color = 5; }

message All {
  int32 an_int32 = 1;
  int64 an_int64 = 2;
  uint32 a_uint32 = 3;
  uint64 a_uint64 = 4;
  sint32 a_sint32 = 5;
  sint64 a_sint64 = 6;
  fixed32 a_fixed32 = 7;
  fixed64 a_fixed64 = 8;
  sfixed32 a_sfixed32 = 9;
  sfixed64 a_sfixed64 = 10;
  float a_float = 11;
  double a_double = 12;
  bool a_bool = 13;
  string a_string = 14;
  bytes some_bytes = 15;
  Color color = 16;
  Inner inner = 17;

  repeated int32 int32s = 21;
  repeated int64 int64s = 22;
  repeated uint32 uint32s = 23;
  repeated uint64 uint64s = 24;
  repeated sint32 sint32s = 25;
  repeated sint64 sint64s = 26;
  repeated fixed32 fixed32s = 27;
  repeated fixed64 fixed64s = 28;
  repeated sfixed32 sfixed32s = 29;
  repeated sfixed64 sfixed64s = 30;
  repeated float floats = 31;
  repeated double doubles = 32;
  repeated bool bools = 33;
  repeated string strings = 34;
  repeated bytes bytess = 35;
  repeated Color colors = 36;
  repeated Inner inners = 37;
  repeated int32 loose = 38 [packed = false];

  optional int32 maybe_int32 = 41;
  optional string maybe_string = 42;
  optional Color maybe_color = 43;

  oneof choice {
    int32 choice_int = 51;
    string choice_text = 52;
    Inner choice_inner = 53;
    google.protobuf.NullValue choice_null = 54;
  }

  map<string, string> by_string = 61;
  map<int32, Inner> by_int32 = 62;
  map<int64, int64> by_int64 = 63;
  map<uint32, Color> by_uint32 = 64;
  map<uint64, double> by_uint64 = 65;
  map<sint32, bytes> by_sint32 = 66;
  map<sint64, bool> by_sint64 = 67;
  map<fixed32, float> by_fixed32 = 68;
  map<fixed64, uint64> by_fixed64 = 69;
  map<sfixed32, sint32> by_sfixed32 = 70;
  map<sfixed64, string> by_sfixed64 = 71;
  map<bool, string> by_bool = 72;
  map<string, google.protobuf.Timestamp> times = 73;
  map<string, google.protobuf.Value> values = 74;

  google.protobuf.Timestamp timestamp = 81;
  google.protobuf.Duration duration = 82;
  google.protobuf.FieldMask mask = 83;
  google.protobuf.Struct a_struct = 84;
  google.protobuf.Value value = 85;
  google.protobuf.ListValue list = 86;
  google.protobuf.NullValue null_value = 87;
  google.protobuf.Any any = 88;
  google.protobuf.Empty empty = 89;
  google.protobuf.BoolValue bool_value = 90;
  google.protobuf.Int32Value int32_value = 91;
  google.protobuf.Int64Value int64_value = 92;
  google.protobuf.UInt32Value uint32_value = 93;
  google.protobuf.UInt64Value uint64_value = 94;
  google.protobuf.FloatValue float_value = 95;
  google.protobuf.DoubleValue double_value = 96;
  google.protobuf.StringValue string_value = 97;
  google.protobuf.BytesValue bytes_value = 98;
  repeated google.protobuf.Timestamp timestamps = 99;
  repeated google.protobuf.Value value_list = 100;
  repeated google.protobuf.Any anys = 101;
  repeated google.protobuf.StringValue names = 102;

  string renamed = 201 [json_name = "other \"name\""];
  int32 far_away = 536870911;
}

message Page { repeated string names = 1; int32 total = 2; }
message Outer { Page page = 1; bool more = 2; }
"#;

const PROTO2: &str = r#"
syntax = "proto2";
package old;
enum Size { SMALL = 1; LARGE = 5; LARGEST = 5; option allow_alias = true; }
message Old {
  optional int32 number = 1 [default = -7];
  optional string text = 2 [default = "x"];
  optional Size size = 3;
  repeated Size sizes = 4;
  map<string, Size> by_name = 5;
  optional group Part = 6 { optional int32 a = 1; optional Old old = 2; }
  repeated group Parts = 7 { optional int32 b = 1; }
  repeated int32 loose = 8;
  optional sint64 zig = 9 [default = -3];
  optional double half = 10 [default = 0.5];
  optional bytes raw = 11 [default = "ab"];
}
message Open {
  optional int32 own = 1;
  extensions 100 to 200;
  message Holder { extend Open { optional Old held = 102; } }
}
extend Open {
  optional int32 number = 100 [default = 7];
  repeated Size sizes = 101;
  optional group Extra = 103 { optional int32 a = 1; }
}
message Set { option message_set_wire_format = true; extensions 4 to max; }
message Note {
  extend Set { optional Note note = 1000; }
  optional string text = 1;
  optional int32 number = 2;
  optional Set set = 3;
}
"#;

struct Sources;

impl FileResolver for Sources {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        let source = match name {
            "three.proto" => PROTO3,
            "two.proto" => PROTO2,
            _ => return Err(protox::Error::file_not_found(name)),
        };
        File::from_source(name, source)
    }
}

static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
    let mut resolver = ChainFileResolver::new();
    resolver.add(Sources);
    resolver.add(GoogleFileResolver::new());
    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    compiler.include_imports(true);
    compiler.open_files(["three.proto", "two.proto"]).unwrap();
    compiler.descriptor_pool()
});

static PLANS: LazyLock<Arc<PlanSet>> = LazyLock::new(|| PlanSet::compile(&POOL));

fn plan(name: &str) -> Plan {
    PLANS.message(name).unwrap()
}

fn all() -> Plan {
    plan("t.All")
}

/// The path of fields with these names, from `t.All`.
fn path(names: &str) -> Vec<FieldId> {
    let mut plan = all();
    let mut path = Vec::new();
    for name in names.split('.') {
        let field = plan.field_by_name(name).unwrap();
        path.push(field);
        plan = plan.nested(field).unwrap_or(plan);
    }
    path
}

/// The text form of a message, from its wire bytes, by prost-reflect.
fn text_of(name: &str, wire: &[u8]) -> String {
    let descriptor = POOL.get_message_by_name(name).unwrap();
    DynamicMessage::decode(descriptor, wire).unwrap().to_text_format()
}

fn read_with(
    name: &str,
    json: &str,
    splice: &Splice,
    options: &ReadOptions<'_>,
) -> Result<Vec<u8>, ReadError> {
    let mut out = b"kept".to_vec();
    let result = read_message(&plan(name), json.as_bytes(), splice, options, &mut out);
    assert!(out.starts_with(b"kept"));
    let wire = out.split_off(4);
    assert!(result.is_ok() || wire.is_empty(), "an error leaves nothing behind");
    result.map(|()| wire)
}

fn read(json: &str) -> Result<Vec<u8>, ReadError> {
    read_with("t.All", json, &Splice::new(), &ReadOptions::default())
}

fn write_as(name: &str, wire: &[u8], style: JsonStyle) -> Result<String, WireError> {
    let mut out = b"kept".to_vec();
    let result = write_message(&plan(name), wire, style, &mut out);
    assert!(out.starts_with(b"kept"));
    let json = out.split_off(4);
    assert!(result.is_ok() || json.is_empty(), "an error leaves nothing behind");
    result.map(|()| String::from_utf8(json).unwrap())
}

fn write(wire: &[u8]) -> Result<String, WireError> {
    write_as("t.All", wire, JsonStyle::default())
}

/// Reads what is good and cannot fail.
fn wire(json: &str) -> Vec<u8> {
    read(json).unwrap_or_else(|error| panic!("{json}: {error}"))
}
