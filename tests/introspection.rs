//! What the gateway tells of itself: reflection from raw descriptors, and health by whether backends can be reached.

mod support;

use std::net::TcpListener;

use h2::RecvStream;
use prost::Message;
use prost_reflect::DescriptorPool;
use support::{
    Answer, Backend, Choices, Gateway, Http2, Reflecting, Reply, Schema, Site, Versions, call, frame, until,
};
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::{ExtensionRequest, ServerReflectionRequest, ServerReflectionResponse};

const PROTO: &str = r#"
syntax = "proto3";
package t;
import "google/api/annotations.proto";
import "google/protobuf/descriptor.proto";
extend google.protobuf.MethodOptions { string owner = 50001; }
message M { string a = 1; message Inner { oneof kind { string b = 1; } enum E { E_ZERO = 0; } } }
service S {
  rpc Get(M) returns (M) { option (google.api.http) = { get: "/g/{a}" }; option (owner) = "nobody"; }
  rpc Secret(M) returns (M);
}
service Hidden { rpc Get(M) returns (M); }
"#;

const GRPC: [(&str, &str); 2] = [("content-type", "application/grpc"), ("te", "trailers")];
const V1: &str = "grpc.reflection.v1";
const ALPHA: &str = "grpc.reflection.v1alpha";

/// Sends messages to a method and reads everything that comes back.
fn invoke(gateway: &Gateway, path: &str, messages: &[Vec<u8>], more: &[(&str, &str)]) -> Reply {
    let headers = [&GRPC, more].concat();
    let frames: Vec<u8> = messages.iter().flat_map(|message| frame(message)).collect();
    Http2::connect(gateway.address).call("POST", path, &headers, &frames)
}

#[track_caller]
fn assert_status(reply: &Reply, code: &str) {
    let status = reply.trailers.get("grpc-status").or_else(|| reply.headers.get("grpc-status"));
    assert_eq!(status.map(|status| status.to_str().expect("ASCII")), Some(code), "{reply:?}");
}

/// The messages in a body.
fn messages(mut body: &[u8]) -> Vec<&[u8]> {
    let mut messages = Vec::new();
    while let Some((head, rest)) = body.split_first_chunk::<5>() {
        let length = u32::from_be_bytes(head[1..].try_into().expect("four bytes")) as usize;
        messages.push(&rest[..length]);
        body = &rest[length..];
    }
    messages
}

/// Asks everything on one stream.
#[track_caller]
fn ask(gateway: &Gateway, package: &str, questions: &[MessageRequest]) -> Vec<MessageResponse> {
    let requests = questions.iter().map(|question| {
        let request =
            ServerReflectionRequest { host: "h".to_owned(), message_request: Some(question.clone()) };
        request.encode_to_vec()
    });
    let requests: Vec<Vec<u8>> = requests.collect();
    let path = format!("/{package}.ServerReflection/ServerReflectionInfo");
    let reply = invoke(gateway, &path, &requests, &[]);
    assert_status(&reply, "0");
    let responses = messages(&reply.body).into_iter().map(|message| {
        let response = ServerReflectionResponse::decode(message).expect("a readable answer");
        assert_eq!(response.valid_host, "h");
        assert!(response.original_request.is_some());
        response.message_response.expect("an answer")
    });
    let responses: Vec<MessageResponse> = responses.collect();
    assert_eq!(responses.len(), questions.len());
    responses
}

#[track_caller]
fn listed(gateway: &Gateway) -> Vec<String> {
    match &ask(gateway, V1, &[MessageRequest::ListServices(String::new())])[0] {
        MessageResponse::ListServicesResponse(list) => {
            list.service.iter().map(|service| service.name.clone()).collect()
        }
        other => panic!("{other:?}"),
    }
}

fn symbol(name: &str) -> MessageRequest {
    MessageRequest::FileContainingSymbol(name.to_owned())
}

fn file(name: &str) -> MessageRequest {
    MessageRequest::FileByFilename(name.to_owned())
}

/// The one file of an answer, or the code of a refusal.
fn bytes(answer: &MessageResponse) -> Result<&[u8], i32> {
    match answer {
        MessageResponse::FileDescriptorResponse(files) => {
            assert_eq!(files.file_descriptor_proto.len(), 1);
            Ok(&files.file_descriptor_proto[0])
        }
        MessageResponse::ErrorResponse(error) => Err(error.error_code),
        other => panic!("{other:?}"),
    }
}

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

/// All files that a client needs for a symbol, as it would ask for them.
fn pool(gateway: &Gateway, name: &str) -> DescriptorPool {
    let mut open = vec![symbol(name)];
    let mut files: Vec<prost_types::FileDescriptorProto> = Vec::new();
    let mut set = Vec::new();
    while let Some(question) = open.pop() {
        let answers = ask(gateway, V1, &[question]);
        let encoded = bytes(&answers[0]).expect("a file");
        let decoded = prost_types::FileDescriptorProto::decode(encoded).expect("a readable file");
        if files.iter().all(|known| known.name != decoded.name) {
            open.extend(decoded.dependency.iter().map(|name| file(name)));
            files.push(decoded);
            prost::encoding::bytes::encode(1, &encoded.to_vec(), &mut set);
        }
    }
    DescriptorPool::decode(set.as_slice()).expect("the files fit together")
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

const SERVING: i32 = 1;
const NOT_SERVING: i32 = 2;
const SERVICE_UNKNOWN: i32 = 3;

/// HealthCheckRequest has a name and HealthCheckResponse a status, both in field 1.
#[derive(Clone, PartialEq, Message)]
struct Named {
    #[prost(string, tag = "1")]
    service: String,
}

#[derive(Clone, PartialEq, Message)]
struct Health {
    #[prost(int32, tag = "1")]
    status: i32,
}

#[derive(Clone, PartialEq, Message)]
struct AllHealth {
    #[prost(btree_map = "string, message", tag = "1")]
    statuses: std::collections::BTreeMap<String, Health>,
}

fn named(service: &str) -> Vec<u8> {
    Named { service: service.to_owned() }.encode_to_vec()
}

/// A service's status; none where it is not known.
#[track_caller]
fn check(gateway: &Gateway, service: &str) -> Option<i32> {
    let reply = invoke(gateway, "/grpc.health.v1.Health/Check", &[named(service)], &[]);
    if reply.body.is_empty() {
        assert_status(&reply, "5");
        return None;
    }
    assert_status(&reply, "0");
    Some(Health::decode(messages(&reply.body)[0]).expect("a readable answer").status)
}

/// A client that watches a service.
struct Watcher {
    client: Http2,
    body: RecvStream,
    unread: Vec<u8>,
}

impl Watcher {
    fn new(address: std::net::SocketAddr, service: &str) -> Self {
        let mut client = Http2::connect(address);
        let (response, mut stream) = client.begin("POST", "/grpc.health.v1.Health/Watch", &GRPC, false);
        assert!(client.send(&mut stream, &frame(&named(service)), true));
        let (_, body) = client.head(response).expect("a head");
        Self { client, body, unread: Vec::new() }
    }

    /// What it is told next; none at the end.
    fn next(&mut self) -> Option<i32> {
        loop {
            if let Some(message) = messages(&self.unread).first() {
                let status = Health::decode(*message).expect("a readable answer").status;
                self.unread.drain(..5 + message.len());
                return Some(status);
            }
            self.unread.extend_from_slice(&self.client.data(&mut self.body).expect("an open stream")?);
        }
    }
}

#[test]
fn health_follows_the_backend() {
    let schema = Schema::new(PROTO);
    let backend = Backend::start(&schema, Answer::Echo);
    let address = backend.address;
    let gateway = Gateway::start(&Choices::default().yaml(&schema, address), schema.folder());
    until("the backend is reached", || check(&gateway, "t.S") == Some(SERVING));
    assert_eq!(check(&gateway, ""), Some(SERVING));
    assert_eq!(check(&gateway, "t.Nothing"), None);
    let (mut watcher, mut unknown) =
        (Watcher::new(gateway.address, "t.S"), Watcher::new(gateway.address, "t.Nothing"));
    assert_eq!((watcher.next(), unknown.next()), (Some(SERVING), Some(SERVICE_UNKNOWN)));

    drop(backend);
    assert_eq!(watcher.next(), Some(NOT_SERVING));
    assert_eq!((check(&gateway, "t.S"), check(&gateway, "")), (Some(NOT_SERVING), Some(SERVING)));
    let listener = TcpListener::bind(address).expect("it is free again");
    let _backend = Backend::start_on(listener, &schema, Answer::Echo);
    assert_eq!(watcher.next(), Some(SERVING));

    let reply = invoke(&gateway, "/grpc.health.v1.Health/List", &[Vec::new()], &[]);
    let all = AllHealth::decode(messages(&reply.body)[0]).expect("a readable answer").statuses;
    let all: Vec<(&str, i32)> = all.iter().map(|(name, health)| (&**name, health.status)).collect();
    assert_eq!(all, [("", SERVING), ("t.Hidden", SERVING), ("t.S", SERVING)]);
}

#[test]
fn nobody_who_watches_holds_up_the_end() {
    let schema = Schema::new(PROTO);
    let backend = Backend::start(&schema, Answer::Echo);
    let yaml = Choices::default().yaml(&schema, backend.address).replace("drain: 0s", "drain: 300s");
    let (settings, _) = transom::config::parse(&yaml, &schema.folder().join("t.yaml")).expect("it is valid");
    let (running, _) = transom::server::start(&settings).expect("it starts");
    let mut watcher = Watcher::new(running.listeners()[0].1, "");
    let mut client = Http2::connect(running.listeners()[0].1);
    let path = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
    let (asking, mut questions) = client.begin("POST", path, &GRPC, false);
    let question = ServerReflectionRequest { message_request: Some(symbol("t.S")), ..Default::default() };
    assert!(client.send(&mut questions, &frame(&question.encode_to_vec()), false));
    let (_, mut answers) = client.head(asking).expect("a head");
    assert!(client.data(&mut answers).expect("an open stream").is_some());
    assert_eq!(watcher.next(), Some(SERVING));

    let stopping = std::thread::spawn(move || running.stop());
    assert_eq!((watcher.next(), watcher.next()), (Some(NOT_SERVING), None));
    assert!(client.rest(&mut answers).expect("an orderly end").is_empty());
    until("it has stopped", || {
        watcher.client.settle();
        client.settle();
        stopping.is_finished()
    });
}

#[test]
fn any_number_may_watch() {
    let site = Site::plain(PROTO);
    let mut clients = [Http2::connect(site.address()), Http2::connect(site.address())];
    let mut watching = Vec::new();
    for client in &mut clients {
        let begin = |_| {
            let (response, mut stream) = client.begin("POST", "/grpc.health.v1.Health/Watch", &GRPC, false);
            assert!(client.send(&mut stream, &frame(&named("")), true));
            response
        };
        let responses: Vec<_> = (0..150).map(begin).collect();
        for response in responses {
            let (_, mut body) = client.head(response).expect("a head");
            assert!(client.data(&mut body).expect("an open stream").is_some());
            watching.push(body);
        }
    }
    assert_eq!(check(&site.gateway, ""), Some(SERVING));
}

#[test]
fn policies_and_protocols_treat_them_like_other_methods() {
    let more = "rules: { 'grpc.health.v1.Health/*': { max_body: 4B } }";
    let site = Site::new(PROTO, Choices { more, ..Choices::default() });
    assert_eq!(check(&site.gateway, ""), Some(SERVING));
    assert_status(&invoke(&site.gateway, "/grpc.health.v1.Health/Check", &[named("long")], &[]), "8");
    // Compression that the server does not know is refused, with what it knows.
    let mut compressed = frame(&named(""));
    compressed[0] = 1;
    let headers = [&GRPC[..], &[("grpc-encoding", "gzip")]].concat();
    let reply =
        Http2::connect(site.address()).call("POST", "/grpc.health.v1.Health/Check", &headers, &compressed);
    assert_status(&reply, "12");
    let web = [("content-type", "application/grpc-web+proto")];
    let reply = call(site.address(), "POST", "/grpc.health.v1.Health/Check", &web, &frame(&named("")));
    let [status, trailers] = messages(&reply.body)[..] else { panic!("{reply:?}") };
    assert_eq!(Health::decode(status).expect("a readable answer").status, SERVING);
    assert!(String::from_utf8_lossy(trailers).contains("grpc-status:"), "{reply:?}");
    // No HTTP rule leads to them.
    let reply = call(site.address(), "POST", "/grpc.health.v1.Health/Check", &[], b"{}");
    assert_eq!(reply.status, 404);
}
