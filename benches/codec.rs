//! The codec in both directions, beside prost-reflect's `DynamicMessage`, on one book and on a list of them.
//! Throughput is in bytes of JSON.

use std::sync::LazyLock;

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage};
use protox::file::{ChainFileResolver, File, FileResolver, GoogleFileResolver};
use transom::codec::{JsonStyle, Plan, PlanSet, ReadOptions, Splice, read_message, write_message};

const SCHEMA: &str = r#"
syntax = "proto3";
package shelf;
import "google/protobuf/duration.proto";
import "google/protobuf/field_mask.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";

enum Binding { BINDING_UNKNOWN = 0; CLOTH = 1; PAPER = 2; DIGITAL = 3; }

message Person { string first_name = 1; string last_name = 2; int32 birth_year = 3; repeated string pen_names = 4; }

message Money { string currency = 1; int64 whole = 2; int32 nano = 3; }

message Volume {
  string name = 1;
  string title = 2;
  repeated Person writers = 3;
  string code = 4;
  Money cost = 5;
  double score = 6;
  Binding binding = 7;
  bool available = 8;
  int64 copies = 9;
  repeated string keywords = 10;
  map<string, string> annotations = 11;
  google.protobuf.Timestamp printed_at = 12;
  google.protobuf.Duration reading = 13;
  google.protobuf.Int32Value printing = 14;
  google.protobuf.FieldMask visible = 15;
  bytes checksum = 16;
  string summary = 17;
  repeated int32 pages = 18;
}

message Volumes { repeated Volume volumes = 1; string next_page_token = 2; }
"#;

const VOLUME: &str = r#"{"name":"shelves/history-42/volumes/7731","title":"A Field Guide to Lost Harbours","writers":[{"firstName":"Ingrid","lastName":"Solheim","birthYear":1948,"penNames":["I. S. Holm","The Pilot"]},{"firstName":"Tomás","lastName":"Arriaga","birthYear":1961}],"code":"978-3-16-148410-0","cost":{"currency":"EUR","whole":"34","nano":950000000},"score":4.375,"binding":"CLOTH","available":true,"copies":"128450","keywords":["harbours","maps","seafaring","nineteenth century"],"annotations":{"origin":"estate sale","condition":"very good","room":"north wing"},"printedAt":"1987-09-14T08:30:00Z","reading":"27000s","printing":3,"visible":"title,writers.lastName,cost","checksum":"6Fw9r1yQ0mZ3k8sT1uVxPqLwB2nC4dEf","summary":"Between the maps of the old pilots and the soundings of the survey ships lie some forty harbours that no longer exist. This guide walks along each of them, from the silted basins of the north to the drowned quays of the gulf, and tells who built them, who left last, and what can still be seen at low tide. \"A book to get lost with,\" as one reader put it.","pages":[12,34,28,41,19,22,37,30,26,44,18,9]}"#;

struct OneFile;

impl FileResolver for OneFile {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        match name {
            "shelf.proto" => File::from_source(name, SCHEMA),
            _ => Err(protox::Error::file_not_found(name)),
        }
    }
}

/// One message in both forms.
struct Sample {
    pool: DescriptorPool,
    plan: Plan,
    json: String,
    wire: Vec<u8>,
}

impl Sample {
    fn new(name: &str, json: String) -> Self {
        let mut resolver = ChainFileResolver::new();
        resolver.add(OneFile);
        resolver.add(GoogleFileResolver::new());
        let mut compiler = protox::Compiler::with_file_resolver(resolver);
        compiler.include_imports(true);
        compiler.open_file("shelf.proto").expect("the schema is valid");
        let pool = compiler.descriptor_pool();
        let plan = PlanSet::compile(&pool).message(name).expect("the schema has the message");
        let mut wire = Vec::new();
        read_message(&plan, json.as_bytes(), &Splice::new(), &ReadOptions::default(), &mut wire)
            .expect("the sample is valid");
        let mut written = Vec::new();
        write_message(&plan, &wire, JsonStyle::default(), &mut written)
            .expect("what was read can be written");
        assert_eq!(json.as_bytes(), written);
        Self { pool, plan, json, wire }
    }

    fn bytes(&self) -> BytesCount {
        BytesCount::new(self.json.len())
    }
}

static ONE: LazyLock<Sample> = LazyLock::new(|| Sample::new("shelf.Volume", VOLUME.to_owned()));
static LIST: LazyLock<Sample> = LazyLock::new(|| {
    let volumes = vec![VOLUME; 700].join(",");
    Sample::new("shelf.Volumes", format!(r#"{{"volumes":[{volumes}],"nextPageToken":"next"}}"#))
});

fn main() {
    divan::main();
}

fn to_json(bencher: Bencher<'_, '_>, sample: &Sample) {
    let mut out = Vec::with_capacity(sample.json.len() * 2);
    bencher.counter(sample.bytes()).bench_local(|| {
        out.clear();
        write_message(&sample.plan, black_box(&sample.wire), JsonStyle::default(), &mut out)
    });
}

fn from_json(bencher: Bencher<'_, '_>, sample: &Sample) {
    let mut out = Vec::with_capacity(sample.json.len() * 2);
    let (splice, options) = (Splice::new(), ReadOptions::default());
    bencher.counter(sample.bytes()).bench_local(|| {
        out.clear();
        read_message(&sample.plan, black_box(sample.json.as_bytes()), &splice, &options, &mut out)
    });
}

fn dynamic_to_json(bencher: Bencher<'_, '_>, sample: &Sample) {
    let descriptor = sample.pool.get_message_by_name(sample.plan.full_name()).expect("known");
    bencher.counter(sample.bytes()).bench_local(|| {
        let message = DynamicMessage::decode(descriptor.clone(), black_box(&sample.wire[..]));
        serde_json::to_vec(&message.expect("valid"))
    });
}

fn dynamic_from_json(bencher: Bencher<'_, '_>, sample: &Sample) {
    let descriptor = sample.pool.get_message_by_name(sample.plan.full_name()).expect("known");
    bencher.counter(sample.bytes()).bench_local(|| {
        let mut deserializer = serde_json::Deserializer::from_str(black_box(&sample.json));
        let message = DynamicMessage::deserialize(descriptor.clone(), &mut deserializer);
        message.expect("valid").encode_to_vec()
    });
}

mod one {
    use super::*;

    #[divan::bench]
    fn to_json(bencher: Bencher<'_, '_>) {
        super::to_json(bencher, &ONE);
    }

    #[divan::bench]
    fn from_json(bencher: Bencher<'_, '_>) {
        super::from_json(bencher, &ONE);
    }

    #[divan::bench]
    fn dynamic_to_json(bencher: Bencher<'_, '_>) {
        super::dynamic_to_json(bencher, &ONE);
    }

    #[divan::bench]
    fn dynamic_from_json(bencher: Bencher<'_, '_>) {
        super::dynamic_from_json(bencher, &ONE);
    }
}

mod list {
    use super::*;

    #[divan::bench]
    fn to_json(bencher: Bencher<'_, '_>) {
        super::to_json(bencher, &LIST);
    }

    #[divan::bench]
    fn from_json(bencher: Bencher<'_, '_>) {
        super::from_json(bencher, &LIST);
    }

    #[divan::bench]
    fn dynamic_to_json(bencher: Bencher<'_, '_>) {
        super::dynamic_to_json(bencher, &LIST);
    }

    #[divan::bench]
    fn dynamic_from_json(bencher: Bencher<'_, '_>) {
        super::dynamic_from_json(bencher, &LIST);
    }
}
