//! Streams that are open obey what changes meanwhile: keys that are revoked, lists of addresses, and a configuration that
//! lets their callers in no more. All others go on.

mod support;

use std::fmt::Write;
use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;

use bytes::Bytes;
use h2::SendStream;
use h2::client::ResponseFuture;
use support::{Behaviour, Gateway, Http1, Http2, Led, Live, PATIENCE, Schema, frame, reason, request};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Message, WebSocket, client};
use transom::policy::identity::{hash_of, new_key};

const PROTO: &str = r#"
syntax = "proto3";
package t;
import "google/api/annotations.proto";
message M { string a = 1; }
service S {
  rpc Down(M) returns (stream M) { option (google.api.http) = { get: "/down" }; }
  rpc Both(stream M) returns (stream M) { option (google.api.http) = { post: "/both" body: "*" }; }
  rpc Get(M) returns (M) { option (google.api.http) = { get: "/get" }; }
}
"#;

/// Puts a file in place in one step.
fn put(path: &Path, text: impl AsRef<[u8]>) {
    let next = path.with_extension("next");
    fs::write(&next, text).and_then(|()| fs::rename(&next, path)).expect("the file is written");
}

/// A file of keys, each with its scopes.
fn keys(of: &[(&str, &str, &str)]) -> String {
    let mut text = "keys:\n".to_owned();
    for (id, key, scopes) in of {
        let hash: String = hash_of(key).iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(text, "  {id}: {{ hash: 'sha256:{hash}', owner: o, scopes: [{scopes}] }}").expect("text");
    }
    text
}

struct Place {
    gateway: Gateway,
    backend: Live,
    schema: Schema,
}

impl Place {
    /// With keys of its listener, other parts, and files beside the configuration.
    fn new(listener: &str, more: &str, files: &[(&str, &str)]) -> Self {
        let (schema, backend) = (Schema::new(PROTO), Live::start(|_| Behaviour::Led));
        for (name, text) in files {
            schema.write(name, text);
        }
        let path = schema.write("transom.yaml", &text(backend.address, listener, more));
        let gateway = Gateway::from_file(&path);
        Self { gateway, backend, schema }
    }

    fn put(&self, name: &str, text: &str) {
        put(&self.schema.folder().join(name), text);
    }

    /// Puts another configuration in force.
    fn apply(&self, listener: &str, more: &str) {
        let before = self.gateway.running().snapshot().generation();
        self.put("transom.yaml", &text(self.backend.address, listener, more));
        self.gateway.await_generation(before);
    }
}

fn text(backend: SocketAddr, listener: &str, more: &str) -> String {
    format!(
        "listeners: {{ a: {{ address: '127.0.0.1:0', {listener} }} }}\nschema: {{ descriptors: test.binpb }}\n\
         upstreams: {{ main: {{ endpoints: ['http://{backend}'] }} }}\nadmin: {{ address: '127.0.0.1:0' }}\n\
         access_log: off\nworkers: 1\ndrain: 0s\nreload: {{ interval: 300ms }}\n{more}\n"
    )
}

/// Streams in every protocol, all of which have begun to answer; and one that hasn't.
struct Open {
    http2: Http2,
    waiting: Vec<(&'static str, ResponseFuture)>,
    both: SendStream<Bytes>,
    http1: Vec<(&'static str, Http1)>,
    socket: WebSocket<TcpStream>,
    calls: Vec<Led>,
}

impl Open {
    fn new(place: &Place, header: (&str, &str)) -> Self {
        let address = place.gateway.address;
        let mut calls = Vec::new();
        let mut begin = |says: bool| {
            let mut led = place.backend.call();
            if says {
                led.send(b"\x0a\x01x".to_vec());
            }
            calls.push(led);
        };
        let mut http1 = Vec::new();
        for kind in ["application/json", "text/event-stream"] {
            let mut client = Http1::connect(address);
            client.send(request("GET", "/down", &[header, ("accept", kind)], b""));
            http1.push((kind, client));
            begin(true);
        }
        let mut http2 = Http2::connect(address);
        let mut waiting = Vec::new();
        for kind in ["application/grpc", "application/grpc-web+proto", "application/connect+json"] {
            let headers = [("content-type", kind), ("te", "trailers"), header];
            let (response, mut stream) = http2.begin("POST", "/t.S/Down", &headers, false);
            let message: &[u8] = if kind.ends_with("json") { b"{}" } else { b"" };
            assert!(http2.send(&mut stream, &frame(message), true));
            waiting.push((kind, response));
            begin(true);
        }
        let headers = [("content-type", "application/grpc"), ("te", "trailers"), header];
        let (response, both) = http2.begin("POST", "/t.S/Both", &headers, false);
        waiting.push(("both ways", response));
        begin(true);
        let (response, mut stream) = http2.begin("POST", "/t.S/Down", &headers, false);
        assert!(http2.send(&mut stream, &frame(b""), true));
        waiting.push(("not begun", response));
        begin(false);
        let stream = TcpStream::connect(address).expect("somebody listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("an open socket");
        let mut request = "ws://transom.test/t.S/Both".into_client_request().expect("a request");
        request.headers_mut().insert(
            http::HeaderName::from_bytes(header.0.as_bytes()).expect("a name"),
            header.1.parse().expect("a value"),
        );
        let socket = client(request, stream).expect("a handshake").0;
        begin(true);
        Self { http2, waiting, both, http1, socket, calls }
    }

    /// Whether none of them has ended.
    fn goes_on(&self) -> bool {
        self.http2.settle();
        self.calls.iter().all(|call| !call.is_gone())
    }

    /// All end for this reason, with this code of gRPC.
    #[track_caller]
    fn assert_ended(self, why: &str, code: u16) {
        let Self { http2, waiting, both, http1, mut socket, calls } = self;
        for (kind, mut client) in http1 {
            let text = client.reply().text().to_owned();
            assert!(text.contains(why) && text.contains('x'), "{kind}: {text}");
        }
        for (kind, response) in waiting {
            let reply = http2.end(response).expect("an answer");
            let text = String::from_utf8_lossy(&reply.body);
            let is_told = reason(&reply).as_deref() == Some(why) || text.contains(&format!("\"{why}\""));
            assert!(is_told, "{kind}: {reply:?}");
            if let Some(status) = reply.trailers.get("grpc-status") {
                assert_eq!(status.to_str().ok(), Some(&*code.to_string()), "{kind}");
            }
        }
        drop(both);
        let mut texts = Vec::new();
        let closed = loop {
            match socket.read().expect("a frame") {
                Message::Text(text) => texts.push(text.to_string()),
                Message::Close(Some(close)) => break u16::from(close.code),
                _ => {}
            }
        };
        assert_eq!(closed, 4000 + code);
        assert!(texts.last().is_some_and(|last| last.contains(why)), "{texts:?}");
        for call in &calls {
            call.wait_gone();
        }
    }

    /// All end well.
    #[track_caller]
    fn assert_well(mut self) {
        self.calls.iter_mut().for_each(Led::end);
        for (kind, response) in self.waiting {
            let reply = self.http2.end(response).expect("an answer");
            assert_eq!((reply.status, reason(&reply)), (200, None), "{kind}");
        }
        for (kind, mut client) in self.http1 {
            let text = client.reply().text().to_owned();
            assert!(!text.contains("error"), "{kind}: {text}");
        }
    }
}

const IDENTITY: &str = "identity: { api_keys: { file: keys.yaml } }";
const REQUIRED: &str = "defaults: { auth: required }";

#[test]
fn streams_end_with_the_key_that_is_revoked() {
    let [one, other] = [(); 2].map(|()| new_key().expect("randomness"));
    let all = [(&*one.0, &*one.1, "a"), (&*other.0, &*other.1, "a")];
    let place = Place::new(REQUIRED, IDENTITY, &[("keys.yaml", &keys(&all))]);
    let (first, second) =
        (Open::new(&place, ("x-api-key", &one.1)), Open::new(&place, ("x-api-key", &other.1)));
    place.put("keys.yaml", &keys(&all[1..]));
    first.assert_ended("KEY_UNKNOWN", 16);
    assert!(second.goes_on());
    // One that is disabled, by a file that is read with all the rest.
    place.put("keys.yaml", &keys(&all[1..]).replace("owner: o", "owner: o, disabled: true"));
    place.gateway.running().reload();
    second.assert_ended("KEY_DISABLED", 16);
}

#[test]
fn streams_end_with_the_rights_of_their_key() {
    let (id, key) = new_key().expect("randomness");
    let more = format!("{IDENTITY}\nrules:\n  t.S/*: {{ scopes: [a] }}");
    let place = Place::new(REQUIRED, &more, &[("keys.yaml", &keys(&[(&id, &key, "a, b")]))]);
    let open = Open::new(&place, ("x-api-key", &key));
    place.put("keys.yaml", &keys(&[(&id, &key, "a, c")]));
    place.gateway.running().reload();
    place.gateway.await_generation(1);
    assert!(open.goes_on());
    place.put("keys.yaml", &keys(&[(&id, &key, "b")]));
    open.assert_ended("SCOPE_MISSING", 7);
}

#[test]
fn streams_end_where_their_address_is_denied() {
    let listener = "trusted_proxies: { addresses: [127.0.0.1] }, addresses: { deny: [{ file: denied }] }";
    let more = "rules:\n  t.S/*: { addresses: { deny: [{ file: more }] } }";
    let place = Place::new(listener, more, &[("denied", ""), ("more", "")]);
    let open = |address| Open::new(&place, ("x-forwarded-for", address));
    let [first, second, third, fourth] = ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"].map(open);
    place.put("denied", "192.0.2.1\n");
    first.assert_ended("ADDRESS_DENIED", 7);
    place.put("more", "192.0.2.2\n");
    second.assert_ended("ADDRESS_DENIED", 7);
    // By another configuration, whose lists are others.
    place.apply(listener, "rules:\n  t.S/*: { addresses: { deny: [192.0.2.3] } }");
    third.assert_ended("ADDRESS_DENIED", 7);
    assert!(fourth.goes_on());
    place.apply("trusted_proxies: { addresses: [127.0.0.1] }, addresses: { allow: [198.51.100.1] }", "");
    fourth.assert_ended("ADDRESS_DENIED", 7);
}

#[test]
fn streams_go_on_through_reloads_as_they_began() {
    let (id, key) = new_key().expect("randomness");
    let place = Place::new(REQUIRED, IDENTITY, &[("keys.yaml", &keys(&[(&id, &key, "a")]))]);
    let open = Open::new(&place, ("x-api-key", &key));
    // Their method is gone, and then there is another one that is closed to everybody.
    for more in ["rules:\n  t.S/Get: { timeout: 1s }", "rules:\n  t.S/*: { deny: true }"] {
        place.apply(REQUIRED, &format!("{IDENTITY}\n{more}"));
        assert!(open.goes_on());
    }
    place.put("test.binpb", "");
    open.assert_well();
}

#[test]
fn streams_end_where_nobody_vouches_for_their_caller_any_more() {
    let (id, key) = new_key().expect("randomness");
    let place = Place::new(REQUIRED, IDENTITY, &[("keys.yaml", &keys(&[(&id, &key, "a")]))]);
    let open = Open::new(&place, ("x-api-key", &key));
    place.apply("", "");
    open.assert_ended("KEY_UNKNOWN", 16);
}
