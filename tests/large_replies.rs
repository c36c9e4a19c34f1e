//! Large replies of unary calls: they are answered while they arrive, with the same JSON, and one that fails after its
//! beginning was sent is cut off.

mod support;

use std::time::Duration;

use h2::Reason;
use prost::encoding::encode_varint;
use serde_json::{Value, json};
use support::{Choices, Gateway, Http1, Http2, Schema, Scripted, Step, call, frame, get, request, until};

const PROTO: &str = r#"
syntax = "proto3";
package t;
import "google/api/annotations.proto";
message Q {}
message Item { string text = 1; int64 number = 2; }
message Items { int32 total = 1; repeated Item items = 2; string next = 3; }
message Page { Items page = 1; bytes blob = 2; map<string, string> map = 3; }
service S {
  rpc List(Q) returns (Items) { option (google.api.http) = { get: "/list" }; }
  rpc Only(Q) returns (Items) { option (google.api.http) = { get: "/only" response_body: "items" }; }
  rpc Paged(Q) returns (Page) { option (google.api.http) = { get: "/page" }; }
}
"#;

type Pairs = &'static [(&'static str, &'static str)];

const GRPC: Pairs = &[("content-type", "application/grpc")];
const OK: Pairs = &[("grpc-status", "0")];

fn field(number: u8, contents: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    encode_varint(contents.len() as u64, &mut out);
    out.extend_from_slice(contents);
    out
}

/// An element of the list, of about a kilobyte.
fn item(number: u8) -> (Vec<u8>, Value) {
    let text = format!("\"{}\"é", "x".repeat(1000 + usize::from(number)));
    let message = [field(1, text.as_bytes()), vec![0x10, number]].concat();
    let json = if number == 0 {
        json!({ "text": text })
    } else {
        json!({ "text": text, "number": number.to_string() })
    };
    (message, json)
}

/// A list of so many elements, with a field before it and one behind.
fn list(count: usize) -> (Vec<u8>, Value) {
    let (mut wire, mut items) = (vec![0x08, 7], Vec::new());
    for index in 0..count {
        let (message, json) = item((index % 100) as u8);
        wire.extend(field(2, &message));
        items.push(json);
    }
    wire.extend(field(3, b"next"));
    (wire, json!({ "total": 7, "items": items, "next": "next" }))
}

/// A message as DATA of this size.
fn data(message: &[u8], size: usize) -> Vec<Step> {
    frame(message).chunks(size).map(|piece| Step::Data(piece.to_vec())).collect()
}

fn script(message: &[u8], size: usize, end: Vec<Step>) -> Vec<Step> {
    [vec![Step::Head(200, GRPC, false)], data(message, size), end].concat()
}

fn good(message: &[u8], size: usize) -> Vec<Step> {
    script(message, size, vec![Step::Trailers(OK)])
}

struct Site {
    gateway: Gateway,
    backend: Scripted,
    schema: Schema,
}

/// A site with an access log.
fn site(listener: &str) -> Site {
    let schema = Schema::new(PROTO);
    let backend = Scripted::start(vec![], None);
    let yaml = Choices { listener, ..Choices::default() }.yaml(&schema, backend.address);
    let log = schema.folder().join("access.log");
    let yaml = yaml.replace("access_log: off", &format!("access_log: '{}'", log.display()));
    let gateway = Gateway::start(&yaml, schema.folder());
    Site { gateway, backend, schema }
}

#[test]
fn ten_megabytes_are_the_same_however_they_come() {
    let site = site("");
    let (wire, want) = list(10_000);
    for size in [4_000, 1 << 20] {
        site.backend.play(good(&wire, size));
        let reply = get(site.gateway.address, "/list");
        reply.assert_ok();
        assert_eq!(reply.header("content-type"), Some("application/json"));
        assert_eq!(reply.header("transfer-encoding"), Some("chunked"), "its length is not known beforehand");
        assert!(reply.json() == want, "pieces of {size}");
        let reply = get(site.gateway.address, "/only");
        assert!(reply.assert_ok().json() == want["items"], "pieces of {size}");
        let reply = Http2::connect(site.gateway.address).call("GET", "/list", &[], b"");
        assert!(reply.assert_ok().json() == want, "pieces of {size}");
    }
}

#[test]
fn whatever_is_legal_is_answered() {
    let site = site("");
    let (wire, want) = list(400);
    // everything twice: a scalar is replaced, the list goes on
    let twice = [wire.clone(), vec![0x08, 9], wire.clone()].concat();
    let items = want["items"].as_array().expect("a list");
    let items = [items.clone(), items.clone()].concat();
    site.backend.play(good(&twice, 16 << 10));
    let found = get(site.gateway.address, "/list").json();
    assert!(found == json!({ "total": 7, "items": items, "next": "next" }));

    // a list in a submessage, in two parts; and what is no list
    let blob = vec![0xff; 300 << 10];
    let map = field(3, &[field(1, b"k"), field(2, &vec![b'v'; 300 << 10])].concat());
    let paged = [field(1, &wire), field(2, b"\xff"), field(1, &wire)].concat();
    let merged = json!({ "total": 7, "items": items, "next": "next" });
    for (message, want) in [
        (paged, json!({ "page": merged, "blob": "/w==" })),
        (field(2, &blob), json!({ "blob": "/".repeat(400 << 10) })),
        (map, json!({ "map": { "k": "v".repeat(300 << 10) } })),
    ] {
        site.backend.play(good(&message, 16 << 10));
        assert!(get(site.gateway.address, "/page").assert_ok().json() == want);
    }
}

#[test]
fn where_an_answer_needs_its_end_it_is_waited_for() {
    let small = list(100).0;
    let (wire, want) = list(400);
    let lengthy = |site: &Site, target: &str, headers: &[(&str, &str)]| {
        let reply = call(site.gateway.address, "GET", target, headers, b"");
        reply.assert_ok();
        reply.header("content-length").is_some()
    };
    let site_of = |listener: &str, wire: &[u8]| {
        let site = site(listener);
        site.backend.play(good(wire, 16 << 10));
        site
    };
    assert!(lengthy(&site_of("", &small), "/list", &[]));
    assert!(!lengthy(&site_of("json: { stream_above: 1KiB }", &small), "/list", &[]));
    assert!(!lengthy(&site_of("", &wire), "/list", &[]));
    assert!(lengthy(&site_of("json: { stream_above: off }", &wire), "/list", &[]));
    assert!(lengthy(&site_of("", &wire), "/list?$prettyPrint=true", &[]));
    assert!(lengthy(&site_of("", &wire), "/list?$fields=total", &[]));

    let site = site_of("", &wire);
    let head = call(site.gateway.address, "HEAD", "/list", &[], b"");
    assert_eq!(head.header("content-length"), Some(want.to_string().len().to_string().as_str()));
    // HTTP/1.0 could not tell the end from a cut.
    let mut client = Http1::connect(site.gateway.address);
    client.send("GET /list HTTP/1.0\r\n\r\n");
    assert!(client.reply().header("content-length").is_some());
    // HTTP/1.1 announces trailers by their names.
    let trailers: Pairs = &[("grpc-status", "0"), ("x-cost", "5")];
    site.backend.play(script(&wire, 16 << 10, vec![Step::Trailers(trailers)]));
    let reply = call(site.gateway.address, "GET", "/list", &[("te", "trailers")], b"");
    assert_eq!(reply.trailers["x-cost"], "5");
}

#[test]
fn a_failure_behind_the_beginning_is_a_cut_and_is_logged() {
    const LATE: Pairs = &[("grpc-status", "15"), ("grpc-message", "lost")];
    let (wire, _) = list(1000);
    let (part, _) = wire.split_at(600_000);
    let bad = [wire.clone(), field(3, b"\xff")].concat();
    let missing = [frame(&wire)[..5].to_vec(), part.to_vec()].concat();
    let cut =
        |end: Vec<Step>| [vec![Step::Head(200, GRPC, false), Step::Data(missing.clone())], end].concat();
    let site = site("");
    let table = [
        ("a status behind the message", script(&wire, 16 << 10, vec![Step::Trailers(LATE)]), "DATA_LOSS"),
        (
            "a second message",
            script(&wire, 16 << 10, [data(b"", 9), vec![Step::Trailers(OK)]].concat()),
            "INTERNAL",
        ),
        ("too few bytes", cut(vec![Step::Trailers(OK)]), "INTERNAL"),
        ("no status", cut(vec![Step::End]), "UNKNOWN"),
        ("text that is no UTF-8", good(&bad, 16 << 10), "INTERNAL"),
        ("a reset", cut(vec![Step::Reset(Reason::CANCEL)]), "CANCELLED"),
        ("a lost connection", cut(vec![Step::Cut]), "UNAVAILABLE"),
    ];
    for (name, script, _) in &table {
        site.backend.play(script.clone());
        let mut client = Http1::connect(site.gateway.address);
        client.send(request("GET", "/list", &[], b""));
        client.head().assert_ok();
        let (body, whole) = client.chunks();
        assert!(!whole, "{name}: no last chunk");
        assert!(body.starts_with(br#"{"items":[{"text":"#), "{name}");
        assert!(client.is_closed(), "{name}");
        let mut client = Http2::connect(site.gateway.address);
        let (response, _) = client.begin("GET", "/list", &[], true);
        let (_, mut body) = client.head(response).expect("a head");
        assert!(client.rest(&mut body).expect_err(name).is_reset(), "{name}");
    }
    // One that fails before is told as ever.
    let early = [field(2, b"\xff"), wire.clone()].concat();
    site.backend.play(good(&early, 16 << 10));
    let reply = get(site.gateway.address, "/list");
    let reason = &reply.json()["error"]["details"][0]["reason"];
    assert_eq!((reply.status, reason), (500, &json!("UNREADABLE_REPLY")));
    let path = site.schema.folder().join("access.log");
    drop(site.gateway);
    let log = std::fs::read_to_string(path).expect("there is a log");
    let lines: Vec<&str> = log.lines().collect();
    for ((name, _, code), lines) in table.iter().zip(lines.chunks(2)) {
        for line in lines {
            assert!(
                line.contains(" status=200 ") && line.contains(&format!(" code={code} ")),
                "{name}: {line}"
            );
        }
    }
}

#[test]
fn the_deadline_holds_behind_the_beginning() {
    let (wire, _) = list(1000);
    let part = frame(&wire)[..600_000].to_vec();
    let site = site("");
    site.backend.play(vec![Step::Head(200, GRPC, false), Step::Data(part), Step::Hang]);
    let mut client = Http1::connect(site.gateway.address);
    client.send(request("GET", "/list", &[("x-server-timeout", "0.3")], b""));
    client.head().assert_ok();
    assert!(!client.chunks().1, "no last chunk");
    // What has come in time is for the client to take, however slow it is.
    site.backend.play(good(&wire, 16 << 10));
    let mut client = Http1::connect(site.gateway.address);
    client.send(request("GET", "/list", &[("x-server-timeout", "0.3")], b""));
    client.head().assert_ok();
    std::thread::sleep(Duration::from_millis(500));
    assert!(client.chunks().1, "all of it");
}

/// A client that does not read gets all of it later, and holds up nobody else.
#[test]
fn a_slow_reader_holds_up_nobody() {
    let (wire, want) = list(15_000);
    let site = site("");
    site.backend.play(good(&wire, 16 << 10));
    let mut client = Http1::connect(site.gateway.address);
    client.send(request("GET", "/list", &[], b""));
    client.head().assert_ok();
    // Others are served meanwhile, over the same connection to the backend.
    let small = list(1).0;
    site.backend.play(good(&small, 16 << 10));
    until("another call is answered", || get(site.gateway.address, "/list").status == 200);
    let (body, whole) = client.chunks();
    assert!(whole && serde_json::from_slice::<Value>(&body).expect("JSON") == want);
}
