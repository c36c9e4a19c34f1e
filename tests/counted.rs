//! What is counted of a call: once, with the code that it ended with, however it ended.

mod support;

use std::collections::BTreeMap;

use support::{
    Behaviour, Choices, Gateway, Http1, Http2, Led, Stage, header_map, request, text_message, until,
};

const PROTO: &str = r#"
syntax = "proto3";
package t;
import "google/api/annotations.proto";
import "google/api/httpbody.proto";
message M { string a = 1; }
service S {
  rpc Down(M) returns (stream M) { option (google.api.http) = { get: "/down" }; }
  rpc Raw(M) returns (stream google.api.HttpBody) { option (google.api.http) = { get: "/raw" }; }
  rpc Both(stream M) returns (stream M) { option (google.api.http) = { post: "/both" body: "*" }; }
}
"#;

/// Every counter that says how calls ended.
fn counts(gateway: &Gateway) -> BTreeMap<String, usize> {
    let text = gateway.metrics();
    let counted = ["transom_calls_total", "transom_unrouted", "transom_faults_total", "transom_panics_total"];
    let lines = text.lines().filter(|line| {
        counted.iter().any(|name| line.starts_with(name))
            || line.starts_with("transom_call_duration_seconds_count")
    });
    lines
        .filter_map(|line| {
            let (name, value) = line.rsplit_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        })
        .collect()
}

/// What was counted since then, once nothing is under way.
#[track_caller]
fn counted_since(gateway: &Gateway, before: &BTreeMap<String, usize>) -> Vec<(String, usize)> {
    until("it has ended", || gateway.gauges().requests == 0);
    let now = counts(gateway).into_iter();
    let more = now.map(|(name, count)| {
        let since = count - before.get(&name).copied().unwrap_or(0);
        (name, since)
    });
    more.filter(|(_, count)| *count > 0).collect()
}

/// A stream's client, by either version of HTTP.
enum Client {
    One(Http1),
    Two(
        Http2,
        Box<(Option<h2::client::ResponseFuture>, h2::SendStream<bytes::Bytes>)>,
        Option<h2::RecvStream>,
    ),
}

impl Client {
    fn begin(stage: &Stage, version: u8, target: &str, headers: &[(&str, &str)]) -> Self {
        let method = if target == "/both" { "POST" } else { "GET" };
        if version == 1 {
            let mut client = Http1::connect(stage.address());
            let chunked = ("transfer-encoding", "chunked");
            let headers = if method == "POST" { [headers, &[chunked]].concat() } else { headers.to_vec() };
            client.send(request(method, target, &headers, b""));
            return Self::One(client);
        }
        let mut client = Http2::connect(stage.address());
        let (response, sending) = client.begin(method, target, headers, method == "GET");
        Self::Two(client, Box::new((Some(response), sending)), None)
    }

    /// Sends a part of a request that streams.
    fn say(&mut self, text: &str) {
        match self {
            Self::One(client) => client.send(format!("{:x}\r\n{text}\r\n", text.len())),
            Self::Two(client, stream, _) => assert!(client.send(&mut stream.1, text.as_bytes(), false)),
        }
    }

    /// Reads up to the first piece of the answer.
    fn first(&mut self) {
        match self {
            Self::One(client) => {
                client.head().assert_ok();
                client.chunk().expect("a piece");
            }
            Self::Two(client, stream, body) => {
                let response = stream.0.take().expect("it is asked for once");
                let (head, mut data) = client.head(response).expect("a head");
                assert_eq!(head.status, 200);
                client.data(&mut data).expect("no reset").expect("a piece");
                *body = Some(data);
            }
        }
    }

    /// Reads to the end, whatever it is.
    fn rest(&mut self) {
        match self {
            Self::One(client) => _ = client.chunks(),
            Self::Two(client, _, body) => {
                let _ = client.rest(body.as_mut().expect("the head is read"));
            }
        }
    }
}

/// What happens after the first message, which code it counts with, and which reason and origin.
type Trouble = (&'static str, fn(&mut Led, &mut Client), &'static str, Option<(&'static str, &'static str)>);

#[test]
fn a_stream_that_fails_in_the_middle_counts_once_with_its_code() {
    let more = "admin: { address: '127.0.0.1:0' }";
    let stage = Stage::new(PROTO, |_| Behaviour::Led, Choices { more, ..Choices::default() });
    let troubles: &[Trouble] = &[
        ("/down", |call, _| call.end(), "OK", None),
        ("/down", |call, _| call.end_with(header_map(&[("x-end", "1")])), "OK", None),
        ("/down", |call, _| call.fail(15, "lost"), "DATA_LOSS", Some(("BACKEND_STATUS", "backend"))),
        ("/down", |call, _| _ = call.send(vec![0x0a, 9]), "INTERNAL", Some(("UNREADABLE_REPLY", "backend"))),
        ("/down", |_, _| {}, "DEADLINE_EXCEEDED", Some(("DEADLINE_EXCEEDED", "backend"))),
        ("/raw", |call, _| call.fail(5, "gone"), "NOT_FOUND", Some(("BACKEND_STATUS", "backend"))),
        ("/both", |_, client| client.say("{\"a\":1}"), "INVALID_ARGUMENT", Some(("WRONG_TYPE", "client"))),
        ("/both", |_, client| client.say(",,"), "INVALID_ARGUMENT", Some(("JSON_SYNTAX", "client"))),
    ];
    for accept in ["application/json", "application/x-ndjson", "text/event-stream"] {
        for version in [1, 2] {
            for (target, trouble, code, fault) in troubles {
                let before = counts(&stage.gateway);
                let headers = [("accept", accept), ("grpc-timeout", "700m")];
                // Only where it is what is waited for.
                let headers = if *code == "DEADLINE_EXCEEDED" { &headers[..] } else { &headers[..1] };
                let mut client = Client::begin(&stage, version, target, headers);
                if *target == "/both" {
                    client.say("{}");
                }
                let mut call = stage.backend.call();
                call.send(if *target == "/raw" { vec![0x12, 1, b'x'] } else { text_message(b"x") });
                client.first();
                trouble(&mut call, &mut client);
                client.rest();
                drop(client);
                let rpc = match *target {
                    "/down" => "t.S/Down",
                    "/raw" => "t.S/Raw",
                    _ => "t.S/Both",
                };
                let mut want = vec![
                    (format!("transom_call_duration_seconds_count{{rpc=\"{rpc}\"}}"), 1),
                    (format!("transom_calls_total{{rpc=\"{rpc}\",code=\"{code}\"}}"), 1),
                ];
                if let Some((reason, origin)) = fault {
                    want.push((
                        format!("transom_faults_total{{reason=\"{reason}\",origin=\"{origin}\"}}"),
                        1,
                    ));
                }
                let found = counted_since(&stage.gateway, &before);
                assert_eq!(found, want, "{target} {accept} over HTTP/{version}");
            }
        }
    }
}

#[test]
fn a_call_whose_client_leaves_counts_once_as_cancelled() {
    let more = "admin: { address: '127.0.0.1:0' }";
    let stage = Stage::new(PROTO, |_| Behaviour::Led, Choices { more, ..Choices::default() });
    for version in [1, 2] {
        for begun in [false, true] {
            let before = counts(&stage.gateway);
            let mut client = Client::begin(&stage, version, "/down", &[]);
            let mut call = stage.backend.call();
            if begun {
                call.send(text_message(b"x"));
                client.first();
            }
            drop(client);
            call.wait_gone();
            let want = [
                ("transom_call_duration_seconds_count{rpc=\"t.S/Down\"}".to_owned(), 1),
                ("transom_calls_total{rpc=\"t.S/Down\",code=\"CANCELLED\"}".to_owned(), 1),
            ];
            assert_eq!(counted_since(&stage.gateway, &before), want, "HTTP/{version} {begun}");
        }
    }
}
