//! Nothing is left behind: however clients and backends go, the gateway has as many tasks, requests and connections
//! afterwards as before.

mod support;

use h2::Reason;
use support::{
    Behaviour, Choices, Gateway, Gauges, Http1, Http2, Schema, Scripted, Stage, Step, frame, get, post,
    request, until,
};

const PROTO: &str = r#"
syntax = "proto3";
package t;
import "google/api/annotations.proto";
message M { string a = 1; }
service S {
  rpc Get(M) returns (M) { option (google.api.http) = { get: "/g" }; }
  rpc Post(M) returns (M) { option (google.api.http) = { post: "/p" body: "*" }; }
  rpc Held(M) returns (M) { option (google.api.http) = { get: "/held" }; }
  rpc Down(M) returns (stream M) { option (google.api.http) = { get: "/down" }; }
  rpc Endless(M) returns (stream M) { option (google.api.http) = { get: "/endless" }; }
  rpc Up(stream M) returns (M) { option (google.api.http) = { post: "/up" body: "*" }; }
  rpc Mirror(stream M) returns (stream M) { option (google.api.http) = { post: "/mirror" body: "*" }; }
}
"#;

/// Connections to the backend of each kind. Each may reset some calls a second, and there are many to reset.
const CONNECTIONS: usize = 4;

fn choices() -> (String, &'static str) {
    (format!("connections: {CONNECTIONS}"), "admin: { address: '127.0.0.1:0' }")
}

/// How much of its request a client sends.
#[derive(Clone, Copy, Debug)]
enum Sends {
    /// Not even that it is one.
    Nothing,
    HalfAHead,
    /// A head that announces a body.
    Head,
    HalfABody,
    /// Messages, and the beginning of one, of a stream.
    Parts,
    All,
}

/// How long it stays then.
#[derive(Clone, Copy, Debug)]
enum Stays {
    /// Not at all.
    Gone,
    /// Until the backend has its call.
    Called,
    /// Until the head of the answer is there.
    Answered,
    /// Until there is something of the answer's body.
    Begun,
    /// Until all of the answer is there.
    Ended,
}

type Moment = (&'static str, &'static str, &'static [(&'static str, &'static str)], Sends, Stays);

const DEADLINE: (&str, &str) = ("grpc-timeout", "300m");
const EVENTS: (&str, &str) = ("accept", "text/event-stream");

/// The moments at which clients leave.
const MOMENTS: &[Moment] = &[
    ("GET", "/g", &[], Sends::Nothing, Stays::Gone),
    ("GET", "/g", &[], Sends::HalfAHead, Stays::Gone),
    ("POST", "/p", &[], Sends::Head, Stays::Gone),
    ("POST", "/p", &[], Sends::HalfABody, Stays::Gone),
    ("POST", "/mirror", &[], Sends::Head, Stays::Called),
    ("POST", "/up", &[], Sends::Parts, Stays::Called),
    ("POST", "/mirror", &[], Sends::Parts, Stays::Begun),
    ("GET", "/g", &[], Sends::All, Stays::Gone),
    ("GET", "/held", &[], Sends::All, Stays::Called),
    ("GET", "/down", &[], Sends::All, Stays::Called),
    ("GET", "/endless", &[], Sends::All, Stays::Gone),
    ("GET", "/endless", &[], Sends::All, Stays::Called),
    ("GET", "/endless", &[], Sends::All, Stays::Answered),
    ("GET", "/endless", &[EVENTS], Sends::All, Stays::Begun),
    ("HEAD", "/endless", &[], Sends::All, Stays::Answered),
    ("GET", "/nothing", &[], Sends::All, Stays::Answered),
    // The deadline passes while the client waits, and when it is long gone.
    ("GET", "/held", &[DEADLINE], Sends::All, Stays::Ended),
    ("GET", "/down", &[DEADLINE], Sends::All, Stays::Ended),
    ("GET", "/endless", &[DEADLINE], Sends::All, Stays::Ended),
    ("GET", "/held", &[DEADLINE], Sends::All, Stays::Called),
    ("GET", "/down", &[DEADLINE], Sends::All, Stays::Called),
];

/// How many clients leave at each moment, in each round and version of HTTP.
const CLIENTS: usize = 4;

fn stage() -> Stage {
    let behaviour = |method: &str| match method {
        "Get" | "Post" | "Mirror" => Behaviour::Echo,
        "Endless" => Behaviour::Endless(4 << 10),
        _ => Behaviour::Silent,
    };
    let (upstream, more) = choices();
    Stage::new(PROTO, behaviour, Choices { upstream: &upstream, more, ..Choices::default() })
}

/// Opens all connections to the backend, and counts what is there without a client.
fn before(stage: &Stage) -> Gauges {
    until("all connections are there", || {
        get(stage.address(), "/g").assert_ok();
        post(stage.address(), "/mirror", "{}").assert_ok();
        stage.backend.connections() == 2 * CONNECTIONS
    });
    settled(&stage.gateway)
}

/// What is there once nobody calls.
fn settled(gateway: &Gateway) -> Gauges {
    until("nobody calls", || {
        let gauges = gateway.gauges();
        (gauges.requests, gauges.connections) == (0, 0)
    });
    gateway.gauges()
}

#[track_caller]
fn nothing_is_left(gateway: &Gateway, before: Gauges) {
    let mut now = before;
    let mut same = || {
        now = gateway.gauges();
        now == before
    };
    // What is left is shown where it does not go away.
    let deadline = std::time::Instant::now() + support::PATIENCE;
    while !same() && std::time::Instant::now() < deadline {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert_eq!(now, before);
}

/// What a client sends of its request.
fn part(method: &str, target: &str, headers: &[(&str, &str)], sends: Sends) -> Vec<u8> {
    let with = |more: (&str, &str), body: &str| {
        let mut bytes = request(method, target, &[headers, &[more]].concat(), b"");
        bytes.extend_from_slice(body.as_bytes());
        bytes
    };
    match sends {
        Sends::Nothing => Vec::new(),
        Sends::HalfAHead => format!("{method} {target} HTTP/1.1\r\nhost: x\r\nx-").into_bytes(),
        Sends::Head => with(("transfer-encoding", "chunked"), ""),
        Sends::HalfABody => with(("content-length", "9"), "{\"a\""),
        Sends::Parts => with(("transfer-encoding", "chunked"), "5\r\n{}{}{\r\n"),
        Sends::All => request(method, target, headers, b""),
    }
}

fn leave_http1(stage: &Stage, &(method, target, headers, sends, stays): &Moment) {
    let calls = stage.backend.calls();
    let mut clients: Vec<Http1> = (0..CLIENTS).map(|_| Http1::connect(stage.address())).collect();
    for client in &mut clients {
        client.send(part(method, target, headers, sends));
    }
    let has_head = method == "HEAD";
    match stays {
        Stays::Gone => {}
        Stays::Called => until("they are called", || stage.backend.calls() >= calls + CLIENTS),
        Stays::Answered => clients.iter_mut().for_each(|client| _ = client.head()),
        Stays::Begun => clients.iter_mut().for_each(|client| {
            client.head().assert_ok();
            client.chunk().expect("a piece of the answer");
        }),
        Stays::Ended => clients.iter_mut().for_each(|client| _ = client.read(has_head).expect("an answer")),
    }
}

fn leave_http2(stage: &Stage, &(method, target, headers, sends, stays): &Moment) {
    let calls = stage.backend.calls();
    let mut client = Http2::connect(stage.address());
    if matches!(sends, Sends::Nothing | Sends::HalfAHead) {
        return;
    }
    let ends = matches!(sends, Sends::All);
    let mut streams: Vec<_> = (0..CLIENTS).map(|_| client.begin(method, target, headers, ends)).collect();
    for (_, sending) in &mut streams {
        match sends {
            Sends::HalfABody => assert!(client.send(sending, b"{\"a\"", false)),
            Sends::Parts => assert!(client.send(sending, b"{}{}{", false)),
            Sends::Nothing | Sends::HalfAHead | Sends::Head | Sends::All => {}
        }
    }
    if matches!(stays, Stays::Called) {
        until("they are called", || stage.backend.calls() >= calls + CLIENTS);
    }
    if matches!(stays, Stays::Ended) {
        client.end_all(streams.into_iter().map(|(response, _)| response));
        return;
    }
    let mut bodies = Vec::new();
    // Half of them are reset, one by one; the others go with their connection.
    for (number, (response, mut sending)) in streams.into_iter().enumerate() {
        match stays {
            Stays::Gone | Stays::Called if number % 2 == 0 => sending.send_reset(Reason::CANCEL),
            Stays::Gone | Stays::Called => bodies.push((None, Some((response, sending)))),
            Stays::Answered | Stays::Begun | Stays::Ended => {
                let (_, mut body) = client.head(response).expect("a head");
                if matches!(stays, Stays::Begun) {
                    client.data(&mut body).expect("data").expect("a piece of the answer");
                }
                if number % 2 == 0 {
                    sending.send_reset(Reason::CANCEL);
                } else {
                    bodies.push((Some(body), None));
                }
            }
        }
    }
    client.settle();
}

#[test]
fn clients_leave_nothing_behind() {
    let stage = stage();
    let before = before(&stage);
    for round in 0..3 {
        for moment in MOMENTS {
            leave_http1(&stage, moment);
            leave_http2(&stage, moment);
        }
        until("no call is left behind", || stage.backend.in_flight() == 0);
        nothing_is_left(&stage.gateway, before);
        assert_eq!(stage.backend.connections(), 2 * CONNECTIONS, "round {round}");
    }
}

#[test]
fn slow_readers_and_writers_leave_nothing_behind() {
    let stage = stage();
    let before = before(&stage);
    let mut readers: Vec<Http1> = (0..20).map(|_| Http1::connect(stage.address())).collect();
    readers.iter_mut().for_each(|client| client.send(request("GET", "/endless", &[], b"")));
    let mut writers: Vec<Http1> = (0..20).map(|_| Http1::connect(stage.address())).collect();
    for writer in &mut writers {
        writer.send(part("POST", "/up", &[], Sends::Parts));
    }
    let mut other = Http2::connect(stage.address());
    let streams: Vec<_> = (0..20).map(|_| other.begin("GET", "/endless", &[], true)).collect();
    until("all are there", || stage.backend.in_flight() == 60);
    let gauges = stage.gateway.gauges();
    assert_eq!((gauges.requests, gauges.connections), (60, 41));
    // One task for each connection, one for each call over HTTP/2, and one for each answer that has begun: it ends the
    // answer when its caller may no longer have it.
    until("each has its tasks", || stage.gateway.gauges().tasks == before.tasks + 41 + 20 + 40);
    drop((readers, writers, streams, other));
    until("no call is left behind", || stage.backend.in_flight() == 0);
    nothing_is_left(&stage.gateway, before);
}

#[test]
fn backends_leave_nothing_behind() {
    const GRPC: &[(&str, &str)] = &[("content-type", "application/grpc")];
    const OK: &[(&str, &str)] = &[("grpc-status", "0")];
    let schema = Schema::new(PROTO);
    let backend = Scripted::start(vec![], None);
    let (upstream, more) = ("", "admin: { address: '127.0.0.1:0' }");
    let choices = Choices { upstream, more, ..Choices::default() };
    let gateway = Gateway::start(&choices.yaml(&schema, backend.address), schema.folder());
    let address = gateway.address;
    let head = || Step::Head(200, GRPC, false);
    let message = || Step::Data(frame(&[0x0a, 1, b'x']));
    let good = vec![head(), message(), Step::Trailers(OK)];
    let works = || {
        backend.play(good.clone());
        until("it works", || get(address, "/g").status == 200 && get(address, "/down").status == 200);
    };
    works();
    let before = settled(&gateway);
    let half = || Step::Data(vec![0, 0, 0, 0, 9, 1]);
    let endings = [
        vec![Step::Reset(Reason::INTERNAL_ERROR)],
        vec![Step::Reset(Reason::REFUSED_STREAM)],
        vec![Step::Abort(Reason::ENHANCE_YOUR_CALM)],
        vec![Step::Cut],
        vec![Step::GoAway, Step::Trailers(OK)],
        vec![half(), Step::Trailers(OK)],
        vec![Step::Data(vec![1, 0, 0, 0, 0]), Step::Hang],
        vec![Step::Hang],
        vec![Step::End],
    ];
    for ending in endings {
        for beginning in [vec![], vec![head()], vec![head(), message()]] {
            backend.play([beginning, ending.clone()].concat());
            let deadline = [("grpc-timeout", "500m")];
            let mut client = Http2::connect(address);
            let mut clients: Vec<Http1> = (0..4).map(|_| Http1::connect(address)).collect();
            for (number, one) in clients.iter_mut().enumerate() {
                one.send(request("GET", ["/g", "/down"][number % 2], &deadline, b""));
            }
            let streams: Vec<_> = ["/g", "/down", "/g", "/down"]
                .into_iter()
                .map(|target| client.begin("GET", target, &deadline, true).0)
                .collect();
            // Half of the clients leave with whatever comes, half of them have it.
            clients.drain(..2);
            clients.iter_mut().for_each(|one| _ = one.reply());
            client.end_all(streams.into_iter().skip(2));
            drop((clients, client));
            works();
            nothing_is_left(&gateway, before);
        }
    }
}
