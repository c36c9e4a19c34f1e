//! Methods that the schema does not have: refused, or passed by their name with the rules that match it.

mod support;

use std::net::SocketAddr;

use support::{Behaviour, Came, Choices, Gateway, Http2, Live, Reply, Schema, call, frame, metric, until};

const PROTO: &str = r#"
syntax = "proto3";
package t;
message M { string a = 1; }
service S { rpc Get(M) returns (M); }
"#;

const GRPC: [(&str, &str); 2] = [("content-type", "application/grpc"), ("te", "trailers")];
const WEB: [(&str, &str); 1] = [("content-type", "application/grpc-web+proto")];

/// A gateway before two backends, `main` and `old`.
fn gateway(schema: &Schema, main: SocketAddr, old: SocketAddr, keys: &str, rules: &str) -> Gateway {
    let yaml = format!(
        "listeners: {{ public: {{ address: '127.0.0.1:0', cors: {{ origins: '*' }} }} }}\nadmin: {{ address: '127.0.0.1:0' }}\n\
         schema: {{ descriptors: '{}', {keys} }}\n\
         upstreams: {{ main: {{ endpoints: ['http://{main}'] }}, old: {{ endpoints: ['http://{old}'] }} }}\n\
         rules: {{ {rules} }}\naccess_log: off\nworkers: 1\ndrain: 0s\n",
        schema.descriptors().display()
    );
    Gateway::start(&yaml, schema.folder())
}

const RULES: &str = "'*': { upstream: main }, 'old.*': { upstream: old, max_body: 10B }, \
                     'old.v1.Slow/*': { timeout: 200ms }, 'old.v1.Slow/Large': { max_body: 20B }";

fn echo() -> Live {
    Live::start(|method| if method == "Silent" { Behaviour::Silent } else { Behaviour::Echo })
}

/// What a gRPC call came to: its status and its body.
fn status(reply: &Reply) -> (&str, &[u8]) {
    let status = reply.trailers.get("grpc-status").or_else(|| reply.headers.get("grpc-status"));
    (status.map_or("none", |status| status.to_str().expect("ASCII")), &reply.body)
}

#[test]
fn they_are_refused_by_default() {
    let (schema, main) = (Schema::new(PROTO), echo());
    let gateway = gateway(&schema, main.address, main.address, "", "'*': { upstream: main }");
    let mut client = Http2::connect(gateway.address);
    for path in ["/old.v1.S/Get", "/t.S/None"] {
        let reply = client.call("POST", path, &GRPC, &frame(b"x"));
        assert_eq!(status(&reply), ("12", &b""[..]), "{path}");
    }
    assert_eq!(main.calls(), 0);
}

#[test]
fn they_pass_in_grpc_and_grpc_web_and_by_the_rules_of_their_names() {
    let (schema, main, old) = (Schema::new(PROTO), echo(), echo());
    let gateway = gateway(&schema, main.address, old.address, "unknown_methods: pass", RULES);
    let mut client = Http2::connect(gateway.address);
    let two = [frame(b"\xff\xff"), frame(b"")].concat();
    let large = frame(&[1; 11]);
    for (path, body, code, calls) in [
        ("/t.S/Get", &frame(b"")[..], "0", (1, 0)),
        // Whatever they take and give.
        ("/t.S/None", &two, "0", (1, 0)),
        ("/Other/None", b"", "0", (1, 0)),
        ("/older.S/Get", &large, "0", (1, 0)),
        ("/old.S/Get", &two, "0", (0, 1)),
        // Their backend has the head by then.
        ("/old.v1.deep.S/Get", &large, "8", (0, 1)),
        ("/old.v1.Slow/Large", &large, "0", (0, 1)),
        ("/old.v1.Slow/Silent", &two, "4", (0, 1)),
        ("/old.v1.Slow/Get/", &two, "12", (0, 0)),
        ("/old.v1..Slow/Get", &two, "12", (0, 0)),
        ("/old.v1.Slow%2fGet", &two, "12", (0, 0)),
        ("/old.v1.Slow/G%65t", &two, "12", (0, 0)),
        ("/old", &two, "12", (0, 0)),
    ] {
        let before = (main.calls(), old.calls());
        let reply = client.call("POST", path, &GRPC, body);
        assert_eq!(status(&reply).0, code, "{path}");
        if code == "0" {
            assert_eq!(reply.body, body, "{path}");
        }
        assert_eq!((main.calls() - before.0, old.calls() - before.1), calls, "{path}");
    }
    for form in ["application/grpc-web", "application/grpc-web-text"] {
        let headers = [("content-type", form)];
        let text = form.ends_with("text");
        let body = if text { base64_simd::STANDARD.encode_to_string(&two).into_bytes() } else { two.clone() };
        let reply = call(gateway.address, "POST", "/old.S/Get", &headers, &body);
        assert!(reply.status == 200 && reply.body.starts_with(&body[..4]), "{reply:?}");
    }
    assert_eq!(client.call("PUT", "/old.S/Get", &GRPC, b"").headers["grpc-status"], "12");
    // Who needs a schema is told that there is no such method.
    for content_type in ["application/grpc+json", "application/grpc-web+json"] {
        let reply = client.call("POST", "/old.S/Get", &[("content-type", content_type)], &frame(b"{}"));
        // Among the headers, or in a last frame.
        let told = format!("{:?} {}", reply.headers.get("grpc-status"), String::from_utf8_lossy(&reply.body));
        assert!(told.contains("\"12\"") || told.contains("grpc-status: 12"), "{content_type}: {told}");
    }
    for headers in [
        [("content-type", "application/connect+proto")],
        [("content-type", "application/proto")],
        [("content-type", "application/json")],
    ] {
        let reply = call(gateway.address, "POST", "/old.S/Get", &headers, b"");
        assert!(reply.status == 404 || reply.text().contains("unimplemented"), "{reply:?}");
    }
}

#[test]
fn streams_pass_message_by_message() {
    let (schema, main) = (Schema::new(PROTO), Live::start(|_| Behaviour::Led));
    let gateway =
        gateway(&schema, main.address, main.address, "unknown_methods: pass", "'*': { upstream: main }");
    let mut client = Http2::connect(gateway.address);
    let (response, mut stream) = client.begin("POST", "/x.Y/Talk", &GRPC, false);
    let mut led = main.call();
    assert!(client.send(&mut stream, &frame(b"1"), false));
    assert_eq!(led.message(), &b"1"[..]);
    led.send(&b"a"[..]);
    let (_, mut body) = client.head(response).expect("a head");
    assert_eq!(client.data(&mut body).expect("data").expect("a message"), frame(b"a"));
    drop((stream, body));
    assert_eq!(led.came(), Came::Broken);
    led.wait_gone();
}

#[test]
fn services_that_are_not_chosen_do_not_pass() {
    let (schema, main) = (Schema::new(PROTO), echo());
    let keys = "unknown_methods: pass, services: ['t.S/Get', 'old.*']";
    let gateway = gateway(&schema, main.address, main.address, keys, "'*': { upstream: main }");
    let mut client = Http2::connect(gateway.address);
    for (path, code) in [("/t.S/Get", "0"), ("/t.S/None", "12"), ("/old.S/Get", "0"), ("/new.S/Get", "12")] {
        assert_eq!(status(&client.call("POST", path, &GRPC, &frame(b""))).0, code, "{path}");
    }
}

#[test]
fn names_of_strangers_are_no_counters() {
    let (schema, main) = (Schema::new(PROTO), echo());
    let gateway = gateway(&schema, main.address, main.address, "unknown_methods: pass", RULES);
    let mut client = Http2::connect(gateway.address);
    for number in 0..50 {
        for package in ["x", "old"] {
            let path = format!("/{package}.S{number}/Get");
            assert_eq!(status(&client.call("POST", &path, &GRPC, b"")).0, "0", "{path}");
        }
    }
    let text = gateway.metrics();
    assert!(!text.contains("S1/Get"), "{text}");
    for selector in ["*", "old.*"] {
        let label = format!("rpc=\"{selector}\"");
        let counted = text.lines().filter(|line| line.contains(&label) && line.contains("_total{"));
        let sum: usize = counted.filter_map(|line| line.rsplit(' ').next()?.parse::<usize>().ok()).sum();
        assert_eq!(sum, 50, "{selector}:\n{text}");
    }
    assert!(metric(&text, "transom_requests") <= 1);
}

#[test]
fn pages_may_ask_for_them() {
    let (schema, main) = (Schema::new(PROTO), echo());
    let gateway =
        gateway(&schema, main.address, main.address, "unknown_methods: pass", "'*': { upstream: main }");
    let asked = [("origin", "https://a.example"), ("access-control-request-method", "POST")];
    let reply = call(gateway.address, "OPTIONS", "/old.S/Get", &asked, b"");
    let allowed = reply.header("access-control-allow-methods").unwrap_or_default();
    assert!(reply.status == 204 && allowed.contains("POST"), "{reply:?}");
    let web =
        call(gateway.address, "POST", "/old.S/Get", &[WEB[0], ("origin", "https://a.example")], &frame(b""));
    assert_eq!(web.header("access-control-allow-origin"), Some("*"));
    until("nothing is left", || main.in_flight() == 0);
}

#[test]
fn an_upstream_is_needed() {
    let schema = Schema::new(PROTO);
    let yaml = |rules: &str| {
        let descriptors = schema.descriptors();
        format!(
            "listeners: {{ public: {{ address: '127.0.0.1:0' }} }}\nschema: {{ descriptors: '{}', unknown_methods: pass }}\n\
             upstreams: {{ main: {{ endpoints: ['http://127.0.0.1:1'] }}, old: {{ endpoints: ['http://127.0.0.1:1'] }} }}\n\
             rules: {{ {rules} }}\naccess_log: off\nworkers: 1\n",
            descriptors.display()
        )
    };
    for (rules, warned) in [
        ("'t.S/Get': { upstream: main }, 'x.*': { timeout: 1s }", true),
        ("'t.S/*': { upstream: main }, 'old.*': { upstream: old }", false),
    ] {
        let (_gateway, warnings) =
            Gateway::try_start(&yaml(rules), schema.folder()).unwrap_or_else(|problems| panic!("{problems}"));
        assert_eq!(warnings.to_string().contains("no rule says which upstream gets"), warned, "{warnings}");
    }
    assert!(
        support::problems_of(&schema, Choices { schema: "unknown_methods: yes", ..Choices::default() })
            .contains("`pass`")
    );
}
