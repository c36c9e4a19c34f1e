//! Health, and how policies and protocols treat it.

use std::net::TcpListener;

use h2::RecvStream;
use prost::Message;
use tonic_reflection::pb::v1::ServerReflectionRequest;

use crate::asking::symbol;
use crate::support::{Answer, Backend, Choices, Gateway, Http2, Schema, Site, call, frame, until};
use crate::{GRPC, PROTO, assert_status, invoke, messages};

pub const SERVING: i32 = 1;
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
pub fn check(gateway: &Gateway, service: &str) -> Option<i32> {
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
    // No HTTP rule leads to them, so that JSON is Connect's.
    let json = [("content-type", "application/json")];
    let reply = call(site.address(), "POST", "/grpc.health.v1.Health/Check", &json, b"{}");
    assert_eq!((reply.status, reply.text()), (200, r#"{"status":"SERVING"}"#));
    let reply = call(site.address(), "GET", "/grpc.health.v1.Health/Check", &[], b"");
    assert_eq!(reply.status, 404);
}
