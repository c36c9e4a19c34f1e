//! Methods that the schema does not have: refused, or passed by their name with the rules that match it.

mod support;

use std::net::SocketAddr;

use support::{
    Behaviour, Came, Choices, Gateway, Http2, Live, Reply, Schema, call, frame, metric, reason, until,
};
use transom::policy::identity::{hash_of, new_key};

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
fn which_pages_may_ask_is_as_the_rules_of_their_names_say() {
    let (schema, main) = (Schema::new(PROTO), echo());
    let rules = "'*': { upstream: main }, 'closed.*': { cors: off }, \
                 'one.*': { cors: { origins: 'https://b.example' } }";
    let gateway = gateway(&schema, main.address, main.address, "unknown_methods: pass", rules);
    for (path, page, want) in [
        ("/old.S/Get", "https://a.example", Some("*")),
        ("/closed.S/Get", "https://a.example", None),
        ("/one.S/Get", "https://a.example", None),
        ("/one.S/Get", "https://b.example", Some("https://b.example")),
    ] {
        let asked = [("origin", page), ("access-control-request-method", "POST")];
        let preflight = call(gateway.address, "OPTIONS", path, &asked, b"");
        let web = call(gateway.address, "POST", path, &[WEB[0], ("origin", page)], &frame(b""));
        // Where there are no choices, a preflight is a request like any other, and leads nowhere.
        let allowed = preflight.header("access-control-allow-origin").filter(|_| preflight.status == 204);
        assert_eq!(allowed, want, "{path} {page}: {preflight:?}");
        assert_eq!(web.header("access-control-allow-origin"), want, "{path} {page}: {web:?}");
    }
}

/// A gateway whose listener lets anybody in, with keys for two callers, before a backend that echoes.
struct Guarded {
    gateway: Gateway,
    main: Live,
    /// One with the scope `read`, one without.
    keys: [String; 2],
    schema: Schema,
}

impl Guarded {
    fn new(rules: &str) -> Self {
        let (schema, main) = (Schema::new(PROTO), echo());
        let mut file = String::from("keys:\n");
        let keys = ["scopes: [read], claims: { role: staff }", "claims: { role: guest }"].map(|more| {
            let (id, key) = new_key().expect("randomness");
            let hash: String = hash_of(&key).iter().map(|byte| format!("{byte:02x}")).collect();
            file += &format!("  {id}: {{ hash: 'sha256:{hash}', owner: a, {more} }}\n");
            key
        });
        schema.write("keys.yaml", &file);
        let yaml = Choices {
            listener: "defaults: { auth: none }, trusted_proxies: { addresses: [127.0.0.1] }",
            schema: "unknown_methods: pass",
            more: &format!(
                "identity: {{ api_keys: {{ file: keys.yaml }} }}\nadmin: {{ address: '127.0.0.1:0' }}\n\
                 rules: {{ {rules} }}"
            ),
            ..Choices::default()
        }
        .yaml(&schema, main.address);
        Self { gateway: Gateway::start(&yaml, schema.folder()), main, keys, schema }
    }

    /// `OK`, or the reason of the refusal, the same in all protocols that pass such methods. What is refused reaches
    /// nobody.
    #[track_caller]
    fn ask(&self, path: &str, headers: &[(&str, &str)]) -> String {
        let said = [0, 1, 2].map(|protocol| self.ask_by(protocol, path, headers));
        assert!(said.iter().all(|one| *one == said[0]), "{path}: {said:?}");
        said[0].clone()
    }

    /// By gRPC, gRPC-Web, or its text form.
    fn ask_by(&self, protocol: usize, path: &str, headers: &[(&str, &str)]) -> String {
        let with = |own: &[(&'static str, &'static str)]| -> Vec<(&str, &str)> {
            own.iter().copied().chain(headers.iter().copied()).collect()
        };
        let (before, body) = (self.main.calls(), frame(b"\xff"));
        let text = base64_simd::STANDARD.encode_to_string(&body);
        let at = self.gateway.address;
        let reply = match protocol {
            0 => Http2::connect(at).call("POST", path, &with(&GRPC), &body),
            1 => call(at, "POST", path, &with(&WEB), &body),
            _ => call(
                at,
                "POST",
                path,
                &with(&[("content-type", "application/grpc-web-text")]),
                text.as_bytes(),
            ),
        };
        let said = reason(&reply).unwrap_or_else(|| "OK".to_owned());
        assert_eq!(self.main.calls() - before, usize::from(said == "OK"), "{path}: {said}: {reply:?}");
        said
    }
}

#[test]
fn who_may_call_them_is_as_the_rules_of_their_names_say() {
    let site = Guarded::new(
        "'*': { auth: required }, 'open.*': { auth: none }, 'open.v1.S/Closed': { deny: true }, \
         'read.*': { scopes: [read] }, 'read.v1.*': { scopes: none }, 'read.v1.S/*': { deny: { role: guest } }, \
         'staff.*': { claims: { role: staff } }, 'near.*': { auth: none, addresses: { allow: [198.51.100.0/24] } }, \
         'near.v1.S/*': { addresses: any }",
    );
    let [reader, guest] = &site.keys;
    for (path, nobody, of_guest, of_reader) in [
        ("/x.S/Get", "KEY_MISSING", "OK", "OK"),
        ("/S/Get", "KEY_MISSING", "OK", "OK"),
        ("/t.S/None", "KEY_MISSING", "OK", "OK"),
        ("/open.S/Get", "OK", "OK", "OK"),
        ("/opener.S/Get", "KEY_MISSING", "OK", "OK"),
        ("/open.v1.S/Closed", "DENIED", "DENIED", "DENIED"),
        ("/open.v1.S/closed", "OK", "OK", "OK"),
        ("/read.S/Get", "KEY_MISSING", "SCOPE_MISSING", "OK"),
        ("/read.v1.Other/Get", "KEY_MISSING", "OK", "OK"),
        ("/read.v1.S/Get", "KEY_MISSING", "DENIED", "OK"),
        ("/staff.a.b.S/Get", "KEY_MISSING", "CLAIM_MISMATCH", "OK"),
        ("/near.S/Get", "ADDRESS_DENIED", "ADDRESS_DENIED", "ADDRESS_DENIED"),
        ("/near.v1.S/Get", "OK", "OK", "OK"),
    ] {
        assert_eq!(site.ask(path, &[]), nobody, "{path}");
        assert_eq!(site.ask(path, &[("x-api-key", guest)]), of_guest, "{path}");
        assert_eq!(site.ask(path, &[("x-api-key", reader)]), of_reader, "{path}");
    }
    assert_eq!(site.ask("/near.S/Get", &[("x-forwarded-for", "198.51.100.7")]), "OK");
    // Other spellings of what is closed are none of what is open.
    for path in [
        "/read.S/Get/",
        "//read.S/Get",
        "/read.S//Get",
        "/read.S/./Get",
        "/read.S/%47et",
        "/open.S/../read.S/Get",
    ] {
        assert_eq!(site.ask(path, &[("x-api-key", reader)]), "NO_ROUTE", "{path}");
    }
}

#[test]
fn what_needs_their_messages_refuses_them() {
    // `Any`, which stands for their messages, has a field of this name.
    let site = Guarded::new(
        "'*': { auth: none }, 'a.*': { fields: { a: x } }, 'b.*': { fields: { type_url: '' } }, \
         'b.v1.S/Get': { fields: none }, 'x.v1.S/*': { fields: { value: '' } }, 'y.v1.S/Get': { fields: { a: x } }",
    );
    for (path, want) in [
        ("/a.S/Get", "NO_ROUTE"),
        ("/b.S/Get", "NO_ROUTE"),
        ("/b.v1.S/Get", "OK"),
        ("/b.v1.S/Put", "NO_ROUTE"),
        ("/x.v1.S/Get", "NO_ROUTE"),
        ("/x.v1.Other/Get", "OK"),
        ("/y.v1.S/Get", "NO_ROUTE"),
        ("/y.v1.S/Put", "OK"),
        ("/c.S/Get", "OK"),
    ] {
        assert_eq!(site.ask(path, &[]), want, "{path}");
    }
    for key in ["a", "type_url"] {
        let rules = format!("rules: {{ 'old.*': {{ limits: [{{ rate: 1/s, key: 'field:{key}' }}] }} }}");
        let choices = Choices { schema: "unknown_methods: pass", more: &rules, ..Choices::default() };
        let said = support::problems_of(&site.schema, choices);
        assert!(said.contains("`old.*`") && said.contains("takes a stream"), "{said}");
    }
}

#[test]
fn limits_count_them_together() {
    let site = Guarded::new(
        "'*': { limits: [{ rate: 3/59m, key: method }] }, 'old.*': { limits: [{ rate: 3/59m, key: global }] }, \
         'old.v1.S/One': { cost: 3 }, 'held.*': { limits: off, concurrency: { calls: 1, key: method } }",
    );
    // Three calls each. Another name is not another count.
    for (path, want) in [
        ("/x.S/Get", "OK"),
        ("/x.S/Get", "RATE_LIMITED"),
        ("/x.S/Other", "RATE_LIMITED"),
        ("/y.T/Get", "RATE_LIMITED"),
        ("/old.S/Get", "OK"),
        ("/old.v1.deep.S/Put", "RATE_LIMITED"),
        ("/old.v1.S/One", "RATE_LIMITED"),
        // The schema has this one, so it is told apart.
        ("/t.S/Get", "OK"),
        ("/t.S/Get", "RATE_LIMITED"),
        ("/held.S/Get", "OK"),
    ] {
        assert_eq!(site.ask(path, &[]), want, "{path}");
    }
    let text = site.gateway.metrics();
    assert!(!text.contains("S/Other") && !text.contains("y.T"), "{text}");
    let mut client = Http2::connect(site.gateway.address);
    let (_response, _stream) = client.begin("POST", "/held.S/Get", &GRPC, false);
    until("it is under way", || site.main.in_flight() == 1);
    for path in ["/held.S/Get", "/held.Other/Put"] {
        assert_eq!(site.ask(path, &[]), "OVERLOADED", "{path}");
    }
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
