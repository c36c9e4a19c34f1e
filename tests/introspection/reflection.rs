//! Reflection: what is there, what is left out, and what a reload brings.

use tonic_reflection::pb::v1::ExtensionRequest;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use crate::asking::{ALPHA, V1, ask, bytes, file, listed, pool, symbol};
use crate::health::{SERVING, check};
use crate::support::{Choices, Gateway, Reflecting, Schema, Site, Versions, until};
use crate::{PROTO, assert_status, invoke};

#[test]
fn both_versions_tell_everything_with_its_options() {
    let site = Site::plain(PROTO);
    let gateway = &site.gateway;
    let own = [
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
    ];
    assert_eq!(listed(gateway), [own.as_slice(), &["t.Hidden", "t.S"]].concat());

    let given = site.schema.pool.get_file_by_name("test.proto").expect("it is there").encode_to_vec();
    let extension = MessageRequest::FileContainingExtension(ExtensionRequest {
        containing_type: "google.protobuf.MethodOptions".to_owned(),
        extension_number: 50001,
    });
    let found = [
        file("test.proto"),
        symbol("t.S"),
        symbol("t.S.Get"),
        symbol("t.M"),
        symbol("t.M.a"),
        symbol("t.M.Inner.b"),
        symbol("t.M.Inner.kind"),
        symbol("t.M.Inner.E"),
        symbol("t.M.Inner.E_ZERO"),
        symbol("t.owner"),
        extension,
    ];
    for package in [V1, ALPHA] {
        for (question, answer) in found.iter().zip(ask(gateway, package, &found)) {
            assert_eq!(bytes(&answer).expect("a file"), given, "{question:?}");
        }
    }
    let missing = [
        file("other.proto"),
        symbol("t.S.Put"),
        symbol("t"),
        symbol(""),
        symbol("t.M.a.b"),
        symbol("t.M.Inner."),
    ];
    for (question, answer) in missing.iter().zip(ask(gateway, V1, &missing)) {
        assert_eq!(bytes(&answer), Err(5), "{question:?}");
    }
    let numbers = MessageRequest::AllExtensionNumbersOfType("google.protobuf.MethodOptions".to_owned());
    let nothing = MessageRequest::AllExtensionNumbersOfType("t.Nothing".to_owned());
    let answers = ask(gateway, V1, &[numbers, nothing]);
    match &answers[0] {
        MessageResponse::AllExtensionNumbersResponse(numbers) => {
            assert_eq!(numbers.base_type_name, "google.protobuf.MethodOptions");
            assert_eq!(numbers.extension_number, [50001, 72295728]);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(bytes(&answers[1]), Err(5));
}

#[test]
fn what_is_left_out_is_not_told() {
    let site = Site::new(PROTO, Choices { schema: "services: t.S/Get", ..Choices::default() });
    let gateway = &site.gateway;
    assert!(listed(gateway).contains(&"t.S".to_owned()));
    assert!(!listed(gateway).contains(&"t.Hidden".to_owned()));
    let hidden = [symbol("t.Hidden"), symbol("t.Hidden.Get"), symbol("t.S.Secret")];
    for (question, answer) in hidden.iter().zip(ask(gateway, V1, &hidden)) {
        assert_eq!(bytes(&answer), Err(5), "{question:?}");
    }
    let pool = pool(gateway, "t.S");
    assert_eq!(pool.services().map(|service| service.full_name().to_owned()).collect::<Vec<_>>(), ["t.S"]);
    let methods: Vec<_> = pool.services().flat_map(|service| service.methods().collect::<Vec<_>>()).collect();
    assert_eq!(methods.len(), 1);
    let owner = pool.get_extension_by_name("t.owner").expect("it is there");
    assert_eq!(methods[0].options().get_extension(&owner).as_str(), Some("nobody"));
    let text = ask(gateway, V1, &[symbol("t.S")]);
    let text = String::from_utf8_lossy(bytes(&text[0]).expect("a file")).into_owned();
    assert!(text.contains("Get") && !text.contains("Secret") && !text.contains("Hidden"), "{text:?}");
}

#[test]
fn a_listener_that_shows_nothing_has_no_such_methods() {
    let site = Site::with(PROTO, "reflection: off, health: off");
    for path in [
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        "/grpc.health.v1.Health/Check",
    ] {
        assert_status(&invoke(&site.gateway, path, &[Vec::new()], &[]), "12");
    }
    let site = Site::with(PROTO, "health: off");
    assert!(!listed(&site.gateway).contains(&"grpc.health.v1.Health".to_owned()));
    assert_eq!(bytes(&ask(&site.gateway, V1, &[symbol("grpc.health.v1.Health")])[0]), Err(5));
    let site = Site::plain(PROTO);
    assert!(bytes(&ask(&site.gateway, V1, &[symbol("grpc.health.v1.Health.Check")])[0]).is_ok());
}

#[test]
fn the_schema_that_was_loaded_last_is_told() {
    let schema = |services: &str| {
        let proto = format!("syntax = \"proto3\"; package t; message M {{}} {services}");
        std::fs::read(Schema::new(&proto).descriptors()).expect("it was written")
    };
    let backend =
        Reflecting::start(Versions::Both, schema("service A { rpc Get(M) returns (M); }"), &["t.A"]);
    let yaml = format!(
        "listeners: {{ public: {{ address: '127.0.0.1:0' }} }}\nschema: {{ reflect: {{ every: 20ms }} }}\n\
         upstreams: {{ main: {{ endpoints: 'http://{}' }} }}\naccess_log: off\nworkers: 1\ndrain: 0s\n",
        backend.address
    );
    let gateway = Gateway::start(&yaml, std::path::Path::new(""));
    assert!(listed(&gateway).contains(&"t.A".to_owned()));
    assert_eq!(check(&gateway, "t.B"), None);
    let both = "service A { rpc Get(M) returns (M); } service B { rpc Get(M) returns (M); }";
    backend.tell(schema(both), &["t.A", "t.B"]);
    until("the new service is listed", || listed(&gateway).contains(&"t.B".to_owned()));
    until("the new service is well", || check(&gateway, "t.B") == Some(SERVING));
}
