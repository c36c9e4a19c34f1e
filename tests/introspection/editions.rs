//! Reflection of files in editions. The schema's pool has them in a lowered form, which no client may see.

use std::net::SocketAddr;
use std::path::Path;

use bytes::Bytes;
use prost::Message;
use prost_types::{FileDescriptorProto, MethodDescriptorProto, ServiceDescriptorProto};
use serde_json::json;
use tempfile::TempDir;

use crate::asking::{V1, ask, bytes, file, listed, symbol};
use crate::support::{Gateway, Reflecting, Versions, post};

const SET: &[u8] = include_bytes!("../data/editions/editions.binpb");
const NAME: &str = "all2023.proto";

/// `FileDescriptorProto.service`.
const SERVICE: u32 = 6;

/// A set of raw files.
#[derive(Clone, PartialEq, Message)]
struct RawSet {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    files: Vec<Bytes>,
}

/// The committed files; the one of that name has a service with these methods as well.
fn files(methods: &[&str]) -> Vec<(String, Vec<u8>)> {
    let method = |name: &&str| MethodDescriptorProto {
        name: Some((*name).to_owned()),
        input_type: Some(".ed.All".to_owned()),
        output_type: Some(".ed.All".to_owned()),
        ..MethodDescriptorProto::default()
    };
    let service = ServiceDescriptorProto {
        name: Some("S".to_owned()),
        method: methods.iter().map(method).collect(),
        ..ServiceDescriptorProto::default()
    };
    let set = RawSet::decode(SET).expect("a descriptor set");
    let named = set.files.into_iter().map(|file| {
        let mut file = file.to_vec();
        let name = FileDescriptorProto::decode(&file[..]).expect("a readable file").name().to_owned();
        if name == NAME {
            prost::encoding::message::encode(SERVICE, &service, &mut file);
        }
        (name, file)
    });
    named.collect()
}

/// Of those, what the service needs.
fn needed(files: Vec<(String, Vec<u8>)>) -> Vec<(String, Vec<u8>)> {
    let needed = [NAME, "google/protobuf/timestamp.proto", "google/protobuf/wrappers.proto"];
    let found: Vec<_> = files.into_iter().filter(|(name, _)| needed.contains(&name.as_str())).collect();
    assert_eq!(found.len(), needed.len());
    found
}

/// A gateway that has those files from a descriptor set, before a backend that echoes.
struct Site {
    // In the order in which they are dropped.
    gateway: Gateway,
    _backend: Reflecting,
    _folder: TempDir,
}

impl Site {
    fn new(schema: &str) -> Self {
        let backend = Reflecting::start(Versions::None, Vec::new(), &[]);
        let folder = tempfile::tempdir().expect("a folder");
        let files = files(&["Get", "Secret"]).into_iter().map(|(_, file)| file.into()).collect();
        std::fs::write(folder.path().join("set.binpb"), RawSet { files }.encode_to_vec()).expect("written");
        let yaml = yaml(&format!("descriptors: set.binpb, {schema}"), backend.address);
        Self { gateway: Gateway::start(&yaml, folder.path()), _backend: backend, _folder: folder }
    }
}

fn yaml(schema: &str, upstream: SocketAddr) -> String {
    format!(
        "listeners: {{ public: {{ address: '127.0.0.1:0' }} }}\nschema: {{ {schema} }}\n\
         upstreams: {{ main: {{ endpoints: 'http://{upstream}' }} }}\naccess_log: off\nworkers: 1\ndrain: 0s\n"
    )
}

/// Asks for every one of these files by its name.
#[track_caller]
fn assert_told(gateway: &Gateway, files: &[(String, Vec<u8>)]) {
    let questions: Vec<_> = files.iter().map(|(name, _)| file(name)).collect();
    for ((name, want), answer) in files.iter().zip(ask(gateway, V1, &questions)) {
        assert!(bytes(&answer).expect("a file") == want, "{name} is not the file that was given");
    }
}

#[test]
fn files_are_told_as_they_were_given() {
    let site = Site::new("");
    assert!(listed(&site.gateway).contains(&"ed.S".to_owned()));
    let given = files(&["Get", "Secret"]);
    assert_told(&site.gateway, &given);
    let (_, want) = given.iter().find(|(name, _)| name == NAME).expect("it is there");
    let nested = [symbol("ed.S.Get"), symbol("ed.All.implicit_int32"), symbol("ed.CLOSED_TWO")];
    for (question, answer) in nested.iter().zip(ask(&site.gateway, V1, &nested)) {
        assert!(bytes(&answer) == Ok(want), "{question:?}");
    }
}

#[test]
fn what_is_left_out_is_cut_and_all_else_stays() {
    let site = Site::new("services: ed.S/Get");
    // defaults2024.proto declares nothing that is served, nor is it imported.
    assert_told(&site.gateway, &needed(files(&["Get"])));
    assert_eq!(bytes(&ask(&site.gateway, V1, &[file("defaults2024.proto")])[0]), Err(5));
}

#[test]
fn a_gateway_before_a_gateway_has_the_same_files_and_features() {
    let inner = Site::new("");
    let yaml = yaml("reflect: '*', default_bindings: true", inner.gateway.address);
    let outer = Gateway::start(&yaml, Path::new(""));
    assert_told(&outer, &needed(files(&["Get", "Secret"])));
    // Presence is explicit for one field of the message, and implicit for the other.
    let reply = post(outer.address, "/ed.S/Get", r#"{"explicitInt32":0,"implicitInt32":0}"#);
    assert_eq!(reply.assert_ok().json(), json!({ "explicitInt32": 0 }));
}
