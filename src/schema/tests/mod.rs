//! Loading as a whole: what is written in, what comes out, and what is said about it.

mod configs;
mod diff;
mod files;
mod hostile;
mod index;
mod rules;

use std::path::{Path, PathBuf};

use super::*;
use crate::route::Selector;

/// A folder with the inputs of one test.
struct Inputs {
    folder: tempfile::TempDir,
}

impl Inputs {
    fn new(files: &[(&str, &str)]) -> Self {
        let inputs = Self { folder: tempfile::tempdir().unwrap() };
        for (name, content) in files {
            inputs.write(name, content.as_bytes());
        }
        inputs
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_string_lossy().into_owned()
    }

    fn write(&self, name: &str, content: &[u8]) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    /// The descriptor set of these sources, as protoc would make it.
    fn set(&self, sources: &[&str], with_imports: bool) -> Vec<u8> {
        let builtin = protox::file::DescriptorSetFileResolver::decode(
            &include_bytes!(concat!(env!("OUT_DIR"), "/builtin.binpb"))[..],
        )
        .unwrap();
        let mut resolver = protox::file::ChainFileResolver::new();
        resolver.add(protox::file::IncludeFileResolver::new(self.folder.path().to_owned()));
        resolver.add(builtin);
        resolver.add(protox::file::GoogleFileResolver::new());
        let mut compiler = protox::Compiler::with_file_resolver(resolver);
        compiler.include_imports(with_imports);
        compiler.open_files(sources).unwrap();
        compiler.encode_file_descriptor_set()
    }

    /// Settings that name everything in the folder that is a source.
    fn sources(&self) -> SchemaSettings {
        SchemaSettings {
            protos: vec![self.folder.path().to_string_lossy().into_owned()],
            ..SchemaSettings::default()
        }
    }

    fn sets(&self, names: &[&str]) -> SchemaSettings {
        SchemaSettings {
            descriptors: names.iter().map(|name| self.text(name)).collect(),
            ..SchemaSettings::default()
        }
    }
}

/// A source with one service `shop.v1.Books` of these methods, and messages to use in them.
fn api(methods: &str) -> String {
    format!("{HEAD}service Books {{\n{methods}\n}}\n")
}

const HEAD: &str = r#"
syntax = "proto3";
package shop.v1;
import "google/api/annotations.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
enum Shade { SHADE_UNSPECIFIED = 0; DARK = 1; }
message Book { string name = 1; string page_count = 2; Author author = 3; }
message Author { string name = 1; repeated string titles = 2; }
message Empty {}
message Request {
  string id = 1;
  Book book = 2;
  repeated string tags = 3;
  repeated Book books = 4;
  map<string, Book> shelf = 5;
  google.protobuf.Timestamp at = 6;
  google.protobuf.Int64Value count = 7;
  Shade shade = 8;
  Empty empty = 9;
  bytes raw = 10;
  oneof kind { string isbn = 11; Book thing = 12; }
  optional string opt = 13;
  optional string other = 14;
}
"#;

/// The schema, which must load, and the warnings.
fn loaded(settings: &SchemaSettings) -> (Schema, Problems) {
    match load(settings, &[]) {
        Ok(loaded) => loaded,
        Err(problems) => panic!("{problems}"),
    }
}

/// All that is said about inputs that must not load.
fn refused(settings: &SchemaSettings) -> Problems {
    match load(settings, &[]) {
        Ok((schema, _)) => panic!("{:?} loaded", schema.pool),
        Err(problems) => problems,
    }
}

/// Checks that there are as many problems as there are groups of fragments, and that each has its
/// own in it.
#[track_caller]
fn assert_told(problems: &Problems, wanted: &[&[&str]]) {
    let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), wanted.len(), "{problems}");
    for (text, fragments) in told.iter().zip(wanted) {
        for fragment in *fragments {
            assert!(text.contains(fragment), "`{fragment}` is missing in\n{text}");
        }
    }
}

/// The bindings, one a line: method, HTTP method, template, body, response body, source.
fn shown(schema: &Schema) -> Vec<String> {
    let binding = |binding: &Binding| {
        let body = match &binding.body {
            BodyRule::None => String::new(),
            BodyRule::Whole => " *".to_owned(),
            BodyRule::Field(field) => format!(" {}", field.name()),
        };
        let response = binding.response_body.as_ref();
        let response = response.map_or(String::new(), |field| format!(" -> {}", field.name()));
        let source = match &binding.source {
            BindingSource::Annotation => "",
            BindingSource::ServiceConfig(_) => " (config)",
            BindingSource::Default => " (default)",
        };
        let method = schema.methods[binding.method].name();
        format!("{method}: {} {}{body}{response}{source}", binding.http_method, binding.template)
    };
    schema.bindings.iter().map(binding).collect()
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}
