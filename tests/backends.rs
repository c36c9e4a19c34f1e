//! Backends that misbehave, come and go, share calls, or speak TLS.

mod support;

use std::net::{SocketAddr, TcpListener};

use h2::Reason;
use serde_json::json;
use socket2::{Domain, Socket, Type};
use support::{
    Answer, Authority, Backend, Behaviour, Choices, Gateway, Live, Schema, Scripted, Site, Step, frame, get,
    post, until,
};

const PROTO: &str = r#"
syntax = "proto3";
package t;
import "google/api/annotations.proto";
message M { string a = 1; }
service S {
  rpc Get(M) returns (M) { option (google.api.http) = { get: "/g" }; }
  rpc Post(M) returns (M) { option (google.api.http) = { post: "/p" body: "*" }; }
  rpc Mirror(stream M) returns (stream M) { option (google.api.http) = { post: "/mirror" body: "*" }; }
}
service Other {
  rpc Get(M) returns (M) { option (google.api.http) = { get: "/o" }; }
}
"#;

type Pairs = &'static [(&'static str, &'static str)];

const GRPC: Pairs = &[("content-type", "application/grpc")];
const OK: Pairs = &[("grpc-status", "0")];

/// A head of gRPC.
fn head() -> Step {
    Step::Head(200, GRPC, false)
}

/// A whole message whose field `a` is `x`, in its frame.
fn message() -> Vec<u8> {
    frame(&[0x0a, 1, b'x'])
}

/// A head of something else.
fn html(status: u16) -> Vec<Step> {
    let head = Step::Head(status, &[("content-type", "text/html")], false);
    vec![head, Step::Data(b"<html>no</html>".to_vec()), Step::End]
}

/// HTTP status, code, and the reason of the gateway's own faults.
type Want = (u16, &'static str, Option<&'static str>);

const GOOD: Want = (200, "", None);
const BROKEN: Want = (500, "INTERNAL", Some("BAD_REPLY"));
const SILENT: Want = (500, "UNKNOWN", Some("NO_STATUS"));
const LOST: Want = (503, "UNAVAILABLE", Some("CONNECTION_LOST"));

fn reset(status: u16, code: &'static str) -> Want {
    (status, code, Some("BACKEND_RESET"))
}

fn by_http(status: u16, code: &'static str) -> Want {
    (status, code, Some("BACKEND_HTTP_STATUS"))
}

/// Plays each script once and compares; after each, a call to a backend in order must do.
#[track_caller]
fn check(cases: Vec<(&str, Vec<Step>, Want)>) {
    let schema = Schema::new(PROTO);
    let choices = Choices { listener: "limits: { message: 1000 }", ..Choices::default() };
    let backend = Scripted::start(vec![], None);
    let gateway = Gateway::start(&choices.yaml(&schema, backend.address), schema.folder());
    let good = vec![head(), Step::Echo, Step::Trailers(OK)];
    for (name, script, (status, code, reason)) in cases {
        backend.play(script);
        let reply = get(gateway.address, "/g?a=x");
        assert_eq!(reply.status, status, "{name}: {}", String::from_utf8_lossy(&reply.body));
        if status == 200 {
            assert_eq!(reply.json(), json!({ "a": "x" }), "{name}");
        } else {
            assert_eq!(reply.json()["error"]["status"], code, "{name}");
            match reason {
                Some(reason) => assert_eq!(reply.reason(), reason, "{name}"),
                None => assert_eq!(reply.json()["error"]["details"], json!([]), "{name}"),
            }
        }
        backend.play(good.clone());
        until("it works again", || get(gateway.address, "/g?a=x").status == 200);
    }
}

#[test]
fn a_status_counts_wherever_it_stands() {
    let gone: Want = (404, "NOT_FOUND", None);
    check(vec![
        ("in order", vec![head(), Step::Data(message()), Step::Trailers(OK)], GOOD),
        (
            "trailers-only",
            vec![Step::Head(200, &[("content-type", "application/grpc"), ("grpc-status", "5")], true)],
            gone,
        ),
        ("trailers-only without a content type", vec![Step::Head(200, &[("grpc-status", "5")], true)], gone),
        ("trailers-only with an HTTP status", vec![Step::Head(503, &[("grpc-status", "5")], true)], gone),
        ("after the head", vec![head(), Step::Trailers(&[("grpc-status", "5")])], gone),
        (
            "after a message",
            vec![head(), Step::Data(message()), Step::Trailers(&[("grpc-status", "5")])],
            gone,
        ),
        (
            "after half a message",
            vec![head(), Step::Data(vec![0, 0, 0]), Step::Trailers(&[("grpc-status", "5")])],
            gone,
        ),
        (
            "details that are no base64",
            vec![head(), Step::Trailers(&[("grpc-status", "5"), ("grpc-status-details-bin", "*")])],
            gone,
        ),
        (
            "a codec in the content type",
            vec![
                Step::Head(200, &[("content-type", "application/grpc+proto")], false),
                Step::Data(message()),
                Step::Trailers(OK),
            ],
            GOOD,
        ),
        (
            "a parameter in the content type",
            vec![
                Step::Head(200, &[("content-type", "application/grpc; x=y")], false),
                Step::Data(message()),
                Step::Trailers(OK),
            ],
            GOOD,
        ),
    ]);
}

#[test]
fn a_status_that_is_none_is_unknown() {
    let unknown: Want = (500, "UNKNOWN", None);
    let with = |trailers: Pairs| vec![head(), Step::Data(message()), Step::Trailers(trailers)];
    check(vec![
        ("no trailers", vec![head(), Step::Data(message()), Step::End], SILENT),
        ("nothing at all", vec![head(), Step::End], SILENT),
        ("a head alone", vec![Step::Head(200, GRPC, true)], SILENT),
        ("other trailers", with(&[("x-late", "1")]), SILENT),
        ("17", with(&[("grpc-status", "17")]), unknown),
        ("99", with(&[("grpc-status", "99")]), unknown),
        ("a word", with(&[("grpc-status", "abc")]), unknown),
        ("negative", with(&[("grpc-status", "-1")]), unknown),
        ("empty", with(&[("grpc-status", "")]), unknown),
        ("huge", with(&[("grpc-status", "99999999999999999999")]), unknown),
    ]);
}

#[test]
fn http_statuses_without_a_grpc_status() {
    check(vec![
        ("400", html(400), by_http(500, "INTERNAL")),
        ("401", html(401), by_http(401, "UNAUTHENTICATED")),
        ("403", html(403), by_http(403, "PERMISSION_DENIED")),
        ("404", html(404), by_http(501, "UNIMPLEMENTED")),
        ("429", html(429), by_http(503, "UNAVAILABLE")),
        ("431", html(431), by_http(500, "INTERNAL")),
        ("500", html(500), by_http(500, "UNKNOWN")),
        ("502", html(502), by_http(503, "UNAVAILABLE")),
        ("503", html(503), by_http(503, "UNAVAILABLE")),
        ("504", html(504), by_http(503, "UNAVAILABLE")),
        ("302", html(302), by_http(500, "UNKNOWN")),
        ("200 with a page", html(200), (500, "UNKNOWN", Some("BACKEND_NOT_GRPC"))),
        (
            "200 without a type",
            vec![Step::Head(200, &[], false), Step::Data(message()), Step::Trailers(OK)],
            (500, "UNKNOWN", Some("BACKEND_NOT_GRPC")),
        ),
        (
            "gRPC-Web",
            vec![
                Step::Head(200, &[("content-type", "application/grpc-web+proto")], false),
                Step::Data(message()),
                Step::End,
            ],
            (500, "UNKNOWN", Some("BACKEND_NOT_GRPC")),
        ),
    ]);
}

#[test]
fn resets_have_a_table_of_their_own() {
    let mut cases = Vec::new();
    for (reason, want) in [
        (Reason::REFUSED_STREAM, reset(503, "UNAVAILABLE")),
        (Reason::CANCEL, reset(499, "CANCELLED")),
        (Reason::ENHANCE_YOUR_CALM, reset(429, "RESOURCE_EXHAUSTED")),
        (Reason::INADEQUATE_SECURITY, reset(403, "PERMISSION_DENIED")),
        (Reason::NO_ERROR, reset(500, "INTERNAL")),
        (Reason::PROTOCOL_ERROR, reset(500, "INTERNAL")),
        (Reason::INTERNAL_ERROR, reset(500, "INTERNAL")),
        (Reason::FLOW_CONTROL_ERROR, reset(500, "INTERNAL")),
        (Reason::STREAM_CLOSED, reset(500, "INTERNAL")),
        (Reason::HTTP_1_1_REQUIRED, reset(500, "INTERNAL")),
    ] {
        cases.push(("before the head", vec![Step::Reset(reason)], want));
        cases.push(("after the head", vec![head(), Step::Reset(reason)], want));
        cases.push((
            "in a message",
            vec![head(), Step::Data(vec![0, 0, 0, 0, 9, 1]), Step::Reset(reason)],
            want,
        ));
        cases.push(("after the message", vec![head(), Step::Data(message()), Step::Reset(reason)], want));
    }
    check(cases);
}

#[test]
fn lost_connections_are_unavailable() {
    check(vec![
        ("before the head", vec![Step::Cut], LOST),
        ("after the head", vec![head(), Step::Cut], LOST),
        ("in a message", vec![head(), Step::Data(vec![0, 0, 0, 0, 9, 1]), Step::Cut], LOST),
        ("after the message", vec![head(), Step::Data(message()), Step::Cut], LOST),
        ("by GOAWAY", vec![Step::Abort(Reason::ENHANCE_YOUR_CALM)], LOST),
        ("by GOAWAY after the head", vec![head(), Step::Abort(Reason::INTERNAL_ERROR)], LOST),
    ]);
}

#[test]
fn a_unary_reply_is_one_whole_message() {
    let with = |data: Vec<Vec<u8>>| {
        let data = data.into_iter().map(Step::Data);
        [head()].into_iter().chain(data).chain([Step::Trailers(OK)]).collect::<Vec<_>>()
    };
    let twice = [message(), message()].concat();
    let bytes = |message: Vec<u8>| message.into_iter().map(|byte| vec![byte]).collect::<Vec<_>>();
    let compressed = {
        let mut frame = message();
        frame[0] = 1;
        frame
    };
    let large = |text: usize| {
        let mut message = vec![
            0x0a,
            0x80 | u8::try_from(text & 0x7f).expect("7 bits"),
            u8::try_from(text >> 7).expect("small"),
        ];
        message.extend(vec![b'y'; text]);
        frame(&message)
    };
    let too_large: Want = (502, "RESOURCE_EXHAUSTED", Some("REPLY_TOO_LARGE"));
    check(vec![
        ("none", with(vec![]), BROKEN),
        (
            "trailers-only OK",
            vec![Step::Head(200, &[("content-type", "application/grpc"), ("grpc-status", "0")], true)],
            BROKEN,
        ),
        ("byte by byte", with(bytes(message())), GOOD),
        ("a head and a message apart", with(vec![message()[..5].to_vec(), message()[5..].to_vec()]), GOOD),
        ("part of a head", with(vec![vec![0, 0, 0]]), BROKEN),
        ("truncated", with(vec![vec![0, 0, 0, 0, 9, 0x0a, 1, b'x']]), BROKEN),
        ("two in one piece", with(vec![twice]), BROKEN),
        ("two in two pieces", with(vec![message(), message()]), BROKEN),
        ("bytes behind it", with(vec![[message(), vec![0]].concat()]), BROKEN),
        ("bytes behind it, later", with(vec![message(), vec![0]]), BROKEN),
        ("compressed", with(vec![compressed]), BROKEN),
        ("no valid flag", with(vec![vec![2, 0, 0, 0, 0]]), BROKEN),
        ("unreadable", with(vec![frame(&[0x0a, 9, b'x'])]), (500, "INTERNAL", Some("UNREADABLE_REPLY"))),
        ("over the limit", with(vec![large(1001 - 3)]), too_large),
        (
            "over the limit by announcement",
            vec![head(), Step::Data(vec![0, 0xff, 0xff, 0xff, 0xff]), Step::Hang],
            too_large,
        ),
        ("over the limit, byte by byte", with(bytes(large(1001 - 3))), too_large),
    ]);
    // Just within the limit.
    let schema = Schema::new(PROTO);
    let backend = Scripted::start(vec![vec![head(), Step::Data(large(1000 - 3)), Step::Trailers(OK)]], None);
    let choices = Choices { listener: "limits: { message: 1000 }", ..Choices::default() };
    let gateway = Gateway::start(&choices.yaml(&schema, backend.address), schema.folder());
    assert_eq!(get(gateway.address, "/g").assert_ok().json()["a"].as_str().map(str::len), Some(997));
    // And nothing in the frame.
    backend.play(vec![head(), Step::Data(frame(&[])), Step::Trailers(OK)]);
    assert_eq!(get(gateway.address, "/g").assert_ok().json(), json!({}));
}

#[test]
fn a_backend_that_says_nothing_is_given_up() {
    let schema = Schema::new(PROTO);
    let backend = Scripted::start(vec![], None);
    let choices = Choices { more: "rules: { '*': { timeout: 50ms } }", ..Choices::default() };
    let gateway = Gateway::start(&choices.yaml(&schema, backend.address), schema.folder());
    // The connection may need longer than the time-out.
    backend.play(vec![head(), Step::Echo, Step::Trailers(OK)]);
    until("it is connected", || get(gateway.address, "/g").status == 200);
    for script in
        [vec![Step::Hang], vec![head(), Step::Hang], vec![head(), Step::Data(message()), Step::Hang]]
    {
        backend.play(script);
        get(gateway.address, "/g").assert_fault(504, "DEADLINE_EXCEEDED", None);
    }
    assert_eq!(backend.connections(), 1);
}

/// A port that nobody can take and at which nobody listens yet.
fn reserve() -> (Socket, SocketAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.set_reuse_address(true).expect("an open socket");
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("a free port");
    let address = socket.local_addr().expect("it is bound").as_socket().expect("an IP address");
    (socket, address)
}

fn listen(socket: Socket) -> TcpListener {
    socket.listen(128).expect("the port is ours");
    socket.into()
}

#[test]
fn a_backend_that_comes_late_is_found() {
    let schema = Schema::new(PROTO);
    let (socket, address) = reserve();
    let gateway = Gateway::start(&Choices::default().yaml(&schema, address), schema.folder());
    for _ in 0..3 {
        get(gateway.address, "/g").assert_fault(503, "UPSTREAM_UNREACHABLE", None);
    }
    let backend = Backend::start_on(listen(socket), &schema, Answer::Echo);
    // Without a call.
    until("it is connected", || backend.connections() == 1);
    until("it serves", || get(gateway.address, "/g").status == 200);
}

#[test]
fn a_lost_backend_is_replaced() {
    let schema = Schema::new(PROTO);
    let first = Backend::start(&schema, Answer::Held);
    let address = first.address;
    let gateway = Gateway::start(&Choices::default().yaml(&schema, address), schema.folder());
    let gateway = gateway.address;
    std::thread::scope(|scope| {
        let call = scope.spawn(move || get(gateway, "/g"));
        until("the call arrives", || first.count() == 1);
        drop(first);
        call.join().expect("an answer").assert_fault(503, "CONNECTION_LOST", None);
    });
    get(gateway, "/g").assert_fault(503, "UPSTREAM_UNREACHABLE", None);
    let listener = TcpListener::bind(address).expect("the port is free again");
    let second = Backend::start_on(listener, &schema, Answer::Echo);
    until("it is connected", || second.connections() == 1);
    until("it serves", || get(gateway, "/g").status == 200);
}

#[test]
fn calls_go_on_over_a_goaway() {
    let schema = Schema::new(PROTO);
    let after = vec![head(), Step::Echo, Step::Trailers(OK), Step::GoAway];
    let before = vec![Step::GoAway, head(), Step::Echo, Step::Trailers(OK)];
    let backend = Scripted::start(vec![], None);
    let gateway = Gateway::start(&Choices::default().yaml(&schema, backend.address), schema.folder());
    for script in [after, before] {
        backend.play(script);
        for number in 0..5 {
            let reply = get(gateway.address, &format!("/g?a=n{number}"));
            assert_eq!(reply.assert_ok().json(), json!({ "a": format!("n{number}") }));
        }
    }
    assert!(backend.connections() > 5, "{}", backend.connections());
}

/// A configuration with these upstreams and rules.
fn yaml(schema: &Schema, upstreams: &str, rules: &str) -> String {
    let rules = if rules.is_empty() { String::new() } else { format!("rules: {{ {rules} }}\n") };
    format!(
        "listeners: {{ public: {{ address: '127.0.0.1:0' }} }}\nschema: {{ descriptors: '{}' }}\n\
         upstreams: {{ {upstreams} }}\n{rules}access_log: off\nworkers: 1\ndrain: 0s\n",
        schema.descriptors().display()
    )
}

#[test]
fn endpoints_share_calls() {
    let schema = Schema::new(PROTO);
    let mut backends: Vec<Backend> = (0..3).map(|_| Backend::start(&schema, Answer::Echo)).collect();
    let endpoints: Vec<String> =
        backends.iter().map(|backend| format!("'http://{}'", backend.address)).collect();
    let upstreams = format!("main: {{ endpoints: [{}], balance: round_robin }}", endpoints.join(", "));
    let gateway = Gateway::start(&yaml(&schema, &upstreams, ""), schema.folder());
    until("all are connected", || {
        get(gateway.address, "/g").assert_ok();
        backends.iter().all(|backend| backend.count() > 0)
    });
    backends.iter().for_each(|backend| drop(backend.take()));
    for _ in 0..9 {
        get(gateway.address, "/g").assert_ok();
    }
    assert_eq!(backends.iter().map(Backend::count).collect::<Vec<_>>(), [3, 3, 3]);
    // One that is gone takes none.
    backends.remove(0);
    until("it is noticed", || (0..6).all(|_| get(gateway.address, "/g").status == 200));
    backends.iter().for_each(|backend| drop(backend.take()));
    for _ in 0..10 {
        get(gateway.address, "/g").assert_ok();
    }
    assert_eq!(backends.iter().map(Backend::count).sum::<usize>(), 10);
}

#[test]
fn endpoints_share_streams() {
    let schema = Schema::new(PROTO);
    let backends = [0, 1, 2].map(|_| Live::start(|_| Behaviour::Echo));
    let endpoints = backends.each_ref().map(|backend| format!("'http://{}'", backend.address));
    let upstreams = format!("main: {{ endpoints: [{}], balance: round_robin }}", endpoints.join(", "));
    let gateway = Gateway::start(&yaml(&schema, &upstreams, ""), schema.folder());
    // The connections for streams begin with the first streams.
    until("all are called", || {
        post(gateway.address, "/mirror", "{}").assert_ok();
        backends.iter().all(|backend| backend.calls() > 0)
    });
    let before = backends.each_ref().map(Live::calls);
    for _ in 0..9 {
        post(gateway.address, "/mirror", "{}").assert_ok();
    }
    assert_eq!(backends.each_ref().map(Live::calls), before.map(|calls| calls + 3));
}

#[test]
fn connections_are_as_many_as_chosen() {
    for (choice, want) in [("", 1), ("connections: 1", 1), ("connections: 3", 3)] {
        let site = Site::new(PROTO, Choices { upstream: choice, ..Choices::default() });
        until("all are connected", || site.backend.connections() == want);
        for _ in 0..20 {
            site.get("/g").assert_ok();
        }
        assert_eq!(site.backend.connections(), want, "{choice}");
    }
}

#[test]
fn rules_choose_the_upstream() {
    let schema = Schema::new(PROTO);
    let [left, right] = [0, 1].map(|_| Backend::start(&schema, Answer::Echo));
    let upstreams = format!(
        "left: {{ endpoints: 'http://{}' }}, right: {{ endpoints: 'http://{}' }}",
        left.address, right.address
    );
    for (rules, get_left, post_left, other_left) in [
        ("'*': { upstream: left }, t.Other/*: { upstream: right }", true, true, false),
        ("t.Other/*: { upstream: right }, '*': { upstream: left }", true, true, false),
        (
            "'*': { upstream: left }, t.S/*: { upstream: right }, t.S/Post: { upstream: left }",
            false,
            true,
            true,
        ),
        ("t.*: { upstream: right }, t.S/Get: { upstream: left }", true, false, false),
    ] {
        let gateway = Gateway::start(&yaml(&schema, &upstreams, rules), schema.folder());
        let went_left = || {
            let counts = (left.take().len(), right.take().len());
            assert_eq!(counts.0 + counts.1, 1);
            counts.0 == 1
        };
        get(gateway.address, "/g").assert_ok();
        assert_eq!(went_left(), get_left, "{rules}");
        post(gateway.address, "/p", "{}").assert_ok();
        assert_eq!(went_left(), post_left, "{rules}");
        get(gateway.address, "/o").assert_ok();
        assert_eq!(went_left(), other_left, "{rules}");
    }
}

#[test]
fn tls_backends_are_checked() {
    let schema = Schema::new(PROTO);
    let authority = Authority::new();
    let (pem, stranger) = (&authority.pem, Authority::new().pem);
    schema.write("ca.pem", pem);
    schema.write("stranger.pem", &stranger);
    schema.write("both.pem", &format!("{stranger}{pem}"));
    let script = vec![vec![head(), Step::Echo, Step::Trailers(OK)]];
    let by_address = Scripted::start(script.clone(), Some(authority.sign(&["127.0.0.1"]).der()));
    let by_name = Scripted::start(script, Some(authority.sign(&["books.internal"]).der()));
    for (backend, tls, good) in [
        (&by_address, "ca: ca.pem", true),
        (&by_address, "ca: both.pem", true),
        (&by_address, "ca: stranger.pem", false),
        (&by_address, "", false),
        (&by_address, "ca: ca.pem, server_name: books.internal", false),
        (&by_name, "ca: ca.pem, server_name: books.internal", true),
        (&by_name, "ca: ca.pem, server_name: other.internal", false),
        (&by_name, "ca: ca.pem", false),
    ] {
        let upstreams = format!("main: {{ endpoints: 'https://{}', tls: {{ {tls} }} }}", backend.address);
        let gateway = Gateway::start(&yaml(&schema, &upstreams, ""), schema.folder());
        let reply = get(gateway.address, "/g?a=x");
        if good {
            assert_eq!(reply.assert_ok().json(), json!({ "a": "x" }), "{tls}");
        } else {
            reply.assert_fault(503, "UPSTREAM_UNREACHABLE", None);
        }
    }
    // Plain text to a TLS port, and TLS to a plain port.
    let plain = Backend::start(&schema, Answer::Echo);
    for upstream in [
        format!("'http://{}'", by_address.address),
        format!("'https://{}', tls: {{ ca: ca.pem }}", plain.address),
    ] {
        let upstreams = format!("main: {{ endpoints: {upstream} }}");
        let gateway = Gateway::start(&yaml(&schema, &upstreams, ""), schema.folder());
        assert_eq!(get(gateway.address, "/g").status, 503, "{upstream}");
    }
}

#[test]
fn a_backend_that_does_not_answer_the_connection_is_given_up() {
    let schema = Schema::new(PROTO);
    // It accepts by the kernel's queue and never says a word of TLS.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = silent.local_addr().expect("it is bound");
    let upstreams = format!("main: {{ endpoints: 'https://{address}', connect_timeout: 100ms }}");
    let gateway = Gateway::start(&yaml(&schema, &upstreams, ""), schema.folder());
    get(gateway.address, "/g").assert_fault(503, "UPSTREAM_UNREACHABLE", None);
}

#[test]
fn large_messages_go_both_ways() {
    let site = Site::with(PROTO, "limits: { body: 16MiB, message: 16MiB }");
    let text = "0123456789abcdef".repeat(400_000);
    let body = json!({ "a": text }).to_string();
    let address = site.address();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| assert!(post(address, "/p", &body).assert_ok().json() == json!({ "a": text })));
        }
    });
    // Beside them small ones find their way.
    site.get("/g").assert_ok();
    assert_eq!(site.backend.connections(), 1);
}

#[test]
fn metadata_over_its_limit_is_a_fault() {
    let sized = |size: usize| -> &'static str { "y".repeat(size).leak() };
    let only = |headers: Vec<(&'static str, &'static str)>| -> Pairs { headers.leak() };
    // What is far over it ends the connection: all of it would have to be decoded to keep the tables of HPACK.
    for (size, head_fault, trailers_fault) in [(300 << 10, BROKEN, SILENT), (2 << 20, LOST, LOST)] {
        let huge = sized(size);
        let many = || (0..size / 1500).map(|number| (format!("x-{number}").leak() as &str, sized(1500)));
        let grpc = ("content-type", "application/grpc");
        check(vec![
            (
                "a head",
                vec![
                    Step::Head(200, only(vec![grpc, ("x-huge", huge)]), false),
                    Step::Data(message()),
                    Step::Trailers(OK),
                ],
                head_fault,
            ),
            (
                "a head of many",
                vec![
                    Step::Head(200, only(many().chain([grpc]).collect()), false),
                    Step::Data(message()),
                    Step::Trailers(OK),
                ],
                head_fault,
            ),
            (
                "trailers, OK last",
                vec![
                    head(),
                    Step::Data(message()),
                    Step::Trailers(only(vec![("x-huge", huge), ("grpc-status", "0")])),
                ],
                trailers_fault,
            ),
            (
                "trailers of many, OK last",
                vec![
                    head(),
                    Step::Data(message()),
                    Step::Trailers(only(many().chain([("grpc-status", "0")]).collect())),
                ],
                trailers_fault,
            ),
        ]);
    }
}
