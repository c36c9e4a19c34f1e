//! The messages of the benchmark: volumes of about 1.3 KB of JSON, every field set, and no two alike.

use prost_reflect::DescriptorPool;
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

const WORDS: [&str; 20] = [
    "harbour", "pilot", "chart", "silt", "lantern", "north", "quay", "survey", "tide", "guide", "coast",
    "anchor", "drowned", "basin", "gull", "winter", "rope", "stone", "ferry", "signal",
];
const FIRST_NAMES: [&str; 5] = ["Ingrid", "Tomás", "Zoë", "Ravi", "Mia"];
const LAST_NAMES: [&str; 5] = ["Solheim", "Arriaga", "Sørensen", "O'Brien", "Okafor"];

/// Numbers that look random and are the same in every run (splitmix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len() as u64) as usize]
    }

    fn words(&mut self, count: usize) -> String {
        (0..count).map(|_| self.one(&WORDS)).collect::<Vec<_>>().join(" ")
    }
}

/// A volume in JSON, as the codec writes it.
pub(super) fn volume(number: u64) -> String {
    let mut dice = Dice(number);
    let writers: Vec<String> = (0..2)
        .map(|_| {
            format!(
                r#"{{"firstName":"{}","lastName":"{}","birthYear":{},"penNames":["{} \"{}\""]}}"#,
                dice.one(&FIRST_NAMES),
                dice.one(&LAST_NAMES),
                1900 + dice.below(100),
                dice.one(&WORDS),
                dice.one(&WORDS)
            )
        })
        .collect();
    let pages: Vec<String> = (0..12).map(|_| (1 + dice.below(60)).to_string()).collect();
    let digest = (0..43).map(|_| (b'a' + dice.below(26) as u8) as char).collect::<String>();
    format!(
        r#"{{"name":"shelves/{}/volumes/{number}","title":"{}.","writers":[{}],"code":"978-{}-{:02}-{:06}-{}","cost":{{"currency":"EUR","whole":"{}","nano":{}0000000}},"score":{},"binding":"{}","available":true,"copies":"{}","keywords":["{}","{}","{}"],"annotations":{{"genre":"{}","language":"{}","series":"{}"}},"printedAt":"20{}-0{}-17T08:30:0{}.250Z","reading":"{}.500s","printing":{},"visible":"title,writers.lastName,cost","checksum":"{digest}=","summary":"{}.","pages":[{}]}}"#,
        number % 40 + 1,
        dice.words(4),
        writers.join(","),
        dice.below(10),
        dice.below(100),
        dice.below(1_000_000),
        dice.below(10),
        5 + dice.below(85),
        1 + dice.below(99),
        1.0 + dice.below(4000) as f64 / 1000.0,
        dice.one(&["CLOTH", "PAPER", "DIGITAL"]),
        1 + dice.below(1 << 40),
        dice.one(&WORDS),
        dice.one(&WORDS),
        dice.one(&WORDS),
        dice.one(&WORDS),
        dice.one(&WORDS),
        dice.one(&WORDS),
        10 + dice.below(15),
        1 + dice.below(9),
        dice.below(10),
        3600 + dice.below(80_000),
        1 + dice.below(8),
        dice.words(34),
        pages.join(",")
    )
    // The last character of such a digest has four bits.
    .replace(&format!("{digest}="), &format!("{}E=", &digest[..42]))
}

/// A page of volumes.
pub(super) fn volumes(count: u64) -> String {
    let volumes: Vec<String> = (0..count).map(volume).collect();
    format!(r#"{{"volumes":[{}],"nextPageToken":"next"}}"#, volumes.join(","))
}

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
pub(super) struct Sample {
    pub pool: DescriptorPool,
    pub plan: Plan,
    pub json: String,
    pub wire: Vec<u8>,
}

impl Sample {
    pub(super) fn new(name: &str, json: String) -> Self {
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
        assert_eq!(json, String::from_utf8(written).expect("JSON is UTF-8"));
        Self { pool, plan, json, wire }
    }
}
