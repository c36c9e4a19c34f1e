use std::path::PathBuf;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::codec::{JsonStyle, Overrides, Unknown};
use crate::fault::{Code, ErrorForm};
use crate::introspection::Exposes;
use crate::policy::Rule;
use crate::route::{Decoding, Plus, Selector};
use crate::schema::{ReflectSettings, SameTemplate};
use crate::server::{Limits, Timeouts};
use crate::telemetry::{AccessLogFormat, AccessLogTarget};
use crate::tls::ClientTls;
use crate::tls::{ClientAuth, Versions};
use crate::transcode::{QueryIntoBody, UnexpectedBody};
use crate::upstream::{
    Backoff, Balance, BreakerSettings, BudgetSettings, Codes, Discovery, EjectionSettings, EndpointLimits,
    FailureRate, HealthSettings, Keepalive, NameSettings, Resilience, RetryPolicy, TlsSettings, Wanted,
};

/// The least that a configuration has, by key.
const LEAST: [(&str, &str); 3] = [
    ("listeners", "listeners: { public: { address: 127.0.0.1:8080 } }\n"),
    ("schema", "schema: { descriptors: api.binpb }\n"),
    ("upstreams", "upstreams: { books: { endpoints: http://10.0.0.1:50051 } }\n"),
];

/// `part`, which comes first, with whatever it lacks to be a configuration.
fn completed(part: &str) -> String {
    let mut text = format!("{part}\n");
    for (key, least) in LEAST {
        if !part.lines().any(|line| line.starts_with(key)) {
            text.push_str(least);
        }
    }
    text
}

fn read(text: &str) -> Result<(Settings, Problems), Problems> {
    parse(text, Path::new("/etc/transom/t.yaml"))
}

fn good(part: &str) -> Settings {
    match read(&completed(part)) {
        Ok((settings, warnings)) => {
            assert!(warnings.is_empty(), "{warnings}");
            settings
        }
        Err(problems) => panic!("{part}\n{problems}"),
    }
}

#[test]
fn the_least_has_defaults_everywhere() {
    let settings = good("");
    let [listener] = &settings.listeners[..] else { panic!("one listener") };
    assert_eq!((&*listener.name, listener.address.to_string()), ("public", "127.0.0.1:8080".to_owned()));
    assert_eq!(listener.json, JsonStyle::default());
    assert_eq!(listener.errors, ErrorForm::Google);
    assert_eq!((listener.limits, listener.timeouts), (Limits::default(), Timeouts::default()));
    assert_eq!(listener.request.json_depth, 100);
    assert_eq!(settings.schema.descriptors, ["/etc/transom/api.binpb"]);
    assert_eq!(settings.schema.same_template, SameTemplate::Refuse);
    let [upstream] = &settings.upstreams[..] else { panic!("one upstream") };
    assert_eq!(upstream.tls, None);
    assert_eq!(upstream.connect_timeout, UpstreamSettings::DEFAULT_CONNECT_TIMEOUT);
    assert_eq!(upstream.connections, UpstreamSettings::DEFAULT_CONNECTIONS);
    assert!(settings.admin.is_none() && settings.rules.is_empty() && settings.workers.is_none());
    assert_eq!(settings.access_log, AccessLogSettings::default());
    assert_eq!(settings.drain, DrainSettings::default());
}

#[test]
fn backends_may_be_all_that_says_what_is_served() {
    for text in ["books", "[books]", "\"*\"", "{}", "{ from: books }"] {
        let schema = good(&format!("schema: {{ reflect: {text} }}")).schema;
        assert_eq!(schema.reflect, Some(ReflectSettings::of(vec!["books".to_owned()])), "{text}");
        assert!(schema.descriptors.is_empty());
    }
}

const FULL: &str = r#"
listeners:
  public:
    address: 0.0.0.0:8080
    json: { defaults: print, names: proto, enums: numbers, int64: numbers }
    errors: problem
    request:
      unknown_parameters: ignore
      unknown_members: [utm_source, "utm_medium"]
      plus: space
      path_decoding: all
      query_into_body: reject
      conflicts: reject
      unexpected_body: reject
      max_parameters: 7
      max_parameter_depth: 8
      json_depth: 9
      json_string: 10KiB
    limits: { body: 1MiB, message: 2MiB, head: 32KiB, url: 4kB, connections: 10, streams: 11, requests: 12 }
    timeouts: { head: 1s, body: 2s, idle: 3m, write: 4s }
    reflection: off
    health: on
  inside: { address: "[::1]:8081", json: { defaults: omit, names: json, enums: names, int64: strings } }
admin: { address: 127.0.0.1:9090 }
schema:
  descriptors: [descriptors/*.binpb, /abs/x.binpb]
  protos: proto/
  reflect: { from: [orders, "*"], every: 30s, timeout: 5s, wait: 0s, max_size: 1MiB }
  imports: [third_party]
  http_rules: [service.yaml]
  services: [shop.v1.*, shop.v1.Orders/Create]
  default_bindings: true
  unknown_methods: pass
  same_template: first
upstreams:
  books: { endpoints: [http://10.0.0.1:50051, { url: http://10.0.0.2:50051, weight: 3 }], connect_timeout: 500ms, connections: 2, max_connections: 4, max_connection_age: 1h, keepalive: { every: 30s, timeout: 3s, idle: true }, balance: round_robin, warm_up: 20s }
  orders: { endpoints: https://orders.internal:443, tls: { ca: ca.pem, server_name: orders.example, cert: me.pem, key: me.key } }
  stock: { endpoints: https://stock.internal:443 }
  moving: { dns: "moving.internal:50051" }
  service: { srv: { name: _grpc._tcp.service.internal, server: "127.0.0.1:5353", min_ttl: 1s, max_ttl: 1m }, tls: {} }
rules:
  "*": { upstream: books, timeout: 10s, max_body: 1MiB }
  shop.v1.Orders/*: { upstream: orders }
  shop.v1.Stock/*: { upstream: stock }
  shop.v1.Moving/*: { upstream: moving }
  shop.v1.Service/*: { upstream: service }
access_log: { to: logs/access.log, format: json }
workers: 4
drain: 0s
"#;

#[test]
fn every_key_of_a_full_file_is_in_the_settings() {
    let folder = tempfile::tempdir().expect("a folder");
    let made = rcgen::generate_simple_self_signed(["orders.example".to_owned()]).expect("a certificate");
    std::fs::write(folder.path().join("ca.pem"), made.cert.pem().repeat(2)).expect("written");
    std::fs::write(folder.path().join("me.pem"), made.cert.pem()).expect("written");
    std::fs::write(folder.path().join("me.key"), made.signing_key.serialize_pem()).expect("written");
    let file = folder.path().join("transom.yaml");
    std::fs::write(&file, FULL).expect("written");
    let (settings, warnings) = load(&file).unwrap_or_else(|problems| panic!("{problems}"));
    assert!(warnings.is_empty(), "{warnings}");

    let [public, inside] = &settings.listeners[..] else { panic!("two listeners") };
    assert_eq!(public.address.to_string(), "0.0.0.0:8080");
    let all = JsonStyle { defaults: true, proto_names: true, enum_numbers: true, int64_numbers: true };
    assert_eq!((public.json, inside.json), (all, JsonStyle::default()));
    assert_eq!(public.errors, ErrorForm::Problem);
    let request = &public.request;
    assert_eq!(request.unknown_parameters, Unknown::Ignore);
    assert_eq!(
        request.unknown_members,
        Unknown::IgnoreNamed(["utm_source".into(), "utm_medium".into()].into())
    );
    assert_eq!((request.plus, request.path_decoding), (Plus::Space, Decoding::All));
    assert_eq!(request.query_into_body, QueryIntoBody::Reject);
    assert_eq!(request.conflicts, Overrides::RejectDifferent);
    assert_eq!(request.unexpected_body, UnexpectedBody::Reject);
    assert_eq!((request.max_parameters, request.max_parameter_depth, request.json_depth), (7, 8, 9));
    assert_eq!(request.json_string, 10 << 10);
    let limits = Limits {
        body: 1 << 20,
        message: 2 << 20,
        head: 32 << 10,
        url: 4000,
        connections: 10,
        streams: 11,
        requests: 12,
    };
    assert_eq!(public.limits, limits);
    let seconds = Duration::from_secs;
    assert_eq!(
        public.timeouts,
        Timeouts { head: seconds(1), body: seconds(2), idle: seconds(180), write: Some(seconds(4)) }
    );
    assert_eq!(public.exposes, Exposes { reflection: false, health: true });
    assert_eq!(inside.exposes, Exposes { reflection: true, health: true });
    assert_eq!((&*inside.name, inside.address.to_string()), ("inside", "[::1]:8081".to_owned()));
    assert_eq!(settings.admin.map(|admin| admin.address.to_string()), Some("127.0.0.1:9090".to_owned()));

    let path = |name: &str| folder.path().join(name);
    let text = |name: &str| path(name).display().to_string();
    let schema = &settings.schema;
    assert_eq!(schema.descriptors, [text("descriptors/*.binpb"), "/abs/x.binpb".to_owned()]);
    assert_eq!(
        (&schema.protos[..], &schema.imports[..]),
        (&[text("proto/")][..], &[path("third_party")][..])
    );
    assert_eq!(schema.http_rules, [path("service.yaml")]);
    let reflect = ReflectSettings {
        upstreams: ["orders", "books", "stock", "moving", "service"].map(str::to_owned).to_vec(),
        every: Some(seconds(30)),
        timeout: seconds(5),
        wait: Duration::ZERO,
        max_size: 1 << 20,
    };
    assert_eq!(schema.reflect, Some(reflect));
    let services: Vec<String> = schema.services.iter().map(Selector::to_string).collect();
    assert_eq!(services, ["shop.v1.*", "shop.v1.Orders/Create"]);
    assert_eq!((schema.default_bindings, schema.same_template), (true, SameTemplate::FirstWins));
    assert!(schema.passes_unknown);

    let [books, orders, stock, moving, service] = &settings.upstreams[..] else { panic!("five upstreams") };
    let wanted = Wanted::Addresses {
        authority: http::uri::Authority::from_static("moving.internal:50051"),
        host: "moving.internal".to_owned(),
        port: 50051,
    };
    let names = NameSettings { wanted, server: None, min_ttl: seconds(5), max_ttl: seconds(300) };
    assert_eq!((&moving.endpoints, &moving.tls), (&Discovery::Named(names), &None));
    let wanted = Wanted::Service {
        name: "_grpc._tcp.service.internal".to_owned(),
        domain: "service.internal".to_owned(),
    };
    let server = Some("127.0.0.1:5353".parse().expect("an address"));
    let names = NameSettings { wanted, server, min_ttl: seconds(1), max_ttl: seconds(60) };
    assert_eq!((&service.endpoints, &service.tls), (&Discovery::Named(names), &Some(TlsSettings::default())));
    let Discovery::Listed(listed) = &books.endpoints else { panic!("{books:?}") };
    assert_eq!(listed.iter().map(|listed| listed.weight.get()).collect::<Vec<_>>(), [1, 3]);
    assert_eq!((books.connections.get(), books.max_connections.get()), (2, 4));
    assert_eq!((books.max_connection_age, books.warm_up), (Some(seconds(3600)), seconds(20)));
    let keepalive = Keepalive { every: seconds(30), timeout: seconds(3), idle: true };
    assert_eq!((books.keepalive, books.balance), (Some(keepalive), Balance::RoundRobin));
    assert_eq!(books.connect_timeout, Duration::from_millis(500));
    assert_eq!((&books.tls, &stock.tls), (&None, &Some(TlsSettings::default())));
    let Some(TlsSettings { client: ClientTls { roots: Some(roots), identity: Some(_) }, server_name }) =
        &orders.tls
    else {
        panic!("{:?}", orders.tls)
    };
    assert_eq!(roots.certificates(), [made.cert.der().clone(), made.cert.der().clone()]);
    assert_eq!(server_name.as_ref().map(|name| name.to_str()).as_deref(), Some("orders.example"));

    let rules: Vec<_> = settings
        .rules
        .iter()
        .map(|rule| {
            (rule.selector.to_string(), rule.upstream.as_ref().and_then(|upstream| upstream.names().next()))
        })
        .collect();
    let want = [
        ("*", "books"),
        ("shop.v1.Orders/*", "orders"),
        ("shop.v1.Stock/*", "stock"),
        ("shop.v1.Moving/*", "moving"),
        ("shop.v1.Service/*", "service"),
    ];
    assert_eq!(rules, want.map(|(selector, upstream)| (selector.to_owned(), Some(upstream))));
    assert_eq!((settings.rules[0].timeout, settings.rules[0].max_body), (Some(seconds(10)), Some(1 << 20)));
    assert_eq!(settings.rules[1].excerpt.as_ref().map(|excerpt| excerpt.line), Some(43));
    let log = AccessLogSettings {
        target: AccessLogTarget::File(path("logs/access.log")),
        format: AccessLogFormat::Json,
    };
    assert_eq!(settings.access_log, log);
    assert_eq!((settings.workers.map(NonZeroUsize::get), settings.drain.timeout), (Some(4), Duration::ZERO));
}

#[test]
fn an_alias_is_a_copy() {
    let settings = good(
        "listeners:\n  a: { address: 127.0.0.1:1, limits: &small { body: 1KiB } }\n  b: { address: 127.0.0.1:2, limits: *small }",
    );
    assert!(settings.listeners.iter().all(|listener| listener.limits.body == 1024));
}

#[test]
fn the_access_log_in_one_word() {
    for (word, want) in [
        ("stdout", AccessLogTarget::Stdout),
        ("stderr", AccessLogTarget::Stderr),
        ("off", AccessLogTarget::Off),
        ("./a.log", AccessLogTarget::File(PathBuf::from("/etc/transom/./a.log"))),
        ("/var/log/a", AccessLogTarget::File(PathBuf::from("/var/log/a"))),
    ] {
        assert_eq!(good(&format!("access_log: {word}")).access_log.target, want);
    }
}

/// A part of a configuration, and what its problems say: each text is in the printed report.
const WRONG: &[(&str, &[&str])] = &[
    // Keys.
    ("listners: {}", &["unknown key `listners`", "t.yaml:1:1", "^^^^^^^^", "did you mean `listeners`?"]),
    (
        "zzz: 1",
        &[
            "unknown key `zzz`",
            "the keys here are `identity`, `listeners`, `admin`, `schema`, `upstreams`, `rate_limits`, `tiers`, `rules`",
        ],
    ),
    (
        "workers: 1\nworkers: 2",
        &["the key `workers` is given twice", "t.yaml:2:1", "here again", "first here"],
    ),
    (
        "listeners: { a: { address: 1.1.1.1:1, limits: { bdy: 1 } } }",
        &["unknown key `bdy` in `listeners.a.limits`", "t.yaml:1:49", "did you mean `body`?"],
    ),
    ("listeners: { a: { address: 1.1.1.1:1, tls: {} } }", &["`listeners.a.tls`: the key `cert` is missing"]),
    ("? [a]\n: 1", &["a key is a single text"]),
    // Shapes.
    ("listeners: []", &["`listeners`: this is a list", "t.yaml:1:1"]),
    ("listeners: {}", &["`listeners`: the map is empty"]),
    ("listeners: { a: 127.0.0.1:80 }", &["`listeners.a`: this is a single value", "t.yaml:1:14"]),
    ("listeners: { a: {} }", &["`listeners.a`: the key `address` is missing", "address: 0.0.0.0:8080"]),
    ("admin:", &["`admin`: there is no value"]),
    ("admin: {}", &["`admin`: the key `address` is missing"]),
    ("rules: ~", &["`rules`: there is no value"]),
    ("workers: [1]", &["`workers`: this is a list", "write a single value"]),
    // Values.
    (
        "listeners: { a: { address: localhost:80 } }",
        &["t.yaml:1:28", "^^^^^^^^^^^^", "did you mean `127.0.0.1:80`?"],
    ),
    (
        "listeners: { a: { address: 1.1.1.1:1, errors: gogle } }",
        &["`listeners.a.errors`: `gogle` is none of `google`, `status`, `problem`", "did you mean `google`?"],
    ),
    (
        "listeners: { a: { address: 1.1.1.1:1, limits: { body: 0 } } }",
        &["`listeners.a.limits.body`: 0 is out of range"],
    ),
    (
        "listeners: { a: { address: 1.1.1.1:1, limits: { head: 4KiB } } }",
        &["write a size from 8KiB to 16MiB"],
    ),
    ("listeners: { a: { address: 1.1.1.1:1, limits: { url: 64KiB } } }", &["write a size from 1B to 65534B"]),
    ("listeners: { a: { address: 1.1.1.1:1, limits: { streams: 0 } } }", &["write a number from 1 to"]),
    (
        "listeners: { a: { address: 1.1.1.1:1, timeouts: { idle: 10 } } }",
        &["a duration has a unit, as in `10s`"],
    ),
    (
        "listeners: { a: { address: 1.1.1.1:1, request: { json_depth: 1001 } } }",
        &["write a number from 1 to 1000"],
    ),
    (
        "listeners: { a: { address: 1.1.1.1:1, request: { unknown_members: utm } } }",
        &["to ignore `utm` alone, write `[utm]`"],
    ),
    ("listeners: { a: { address: 1.1.1.1:1, request: { unknown_members: [] } } }", &["the list is empty"]),
    (
        "listeners: { a: { address: 1.1.1.1:1 }, b: { address: 1.1.1.1:1 } }",
        &["`listeners.b.address`: 1.1.1.1:1 is the address of the listener `a`", "t.yaml:1:55"],
    ),
    (
        "admin: { address: 127.0.0.1:8080 }",
        &["`admin.address`: 127.0.0.1:8080 is the address of the listener `public`"],
    ),
    ("workers: 0", &["`workers`: 0 is out of range"]),
    ("drain: soon", &["`drain`: `soon` is no duration"]),
    ("drain: { delay: soon }", &["`drain.delay`: `soon` is no duration"]),
    ("drain: { wait: 5s }", &["unknown key `wait`"]),
    ("access_log: stdot", &["did you mean `stdout`?"]),
    ("access_log: access.log", &["a file in the same folder is `./access.log`"]),
    ("access_log: { to: off, format: json }", &["`access_log.format`: the access log is off"]),
    // Schema.
    ("schema: {}", &["`schema`: the key `descriptors` is missing"]),
    ("schema: { http_rules: a.yaml }", &["`schema`: the key `descriptors` is missing"]),
    ("schema: { descriptors: [] }", &["`schema.descriptors`: the list is empty"]),
    ("schema: { descriptors: a, imports: b }", &["`imports` has no effect without `protos`"]),
    ("schema: { descriptors: a, services: [\"a.B/C/D\"] }", &["a second slash", "t.yaml:1:44"]),
    ("schema: { descriptors: a, unknown_methods: yes }", &["`yes` is none of `refuse`, `pass`"]),
    ("schema: { descriptors: a, default_bindings: yes }", &["`yes` is none of `true`, `false`"]),
    ("schema: { descriptors: a, same_template: last }", &["`last` is none of `refuse`, `first`"]),
    (
        "schema: { reflect: boks }",
        &["`schema.reflect`: there is no upstream `boks`", "did you mean `books`?", "t.yaml:1:20"],
    ),
    ("schema: { reflect: { from: [] } }", &["`schema.reflect.from`: the list is empty"]),
    ("schema: { reflect: { every: 0s } }", &["`schema.reflect.every`: 0s is no time at all"]),
    ("schema: { reflect: { max_size: 1 } }", &["1 is out of range", "write a size from 64KiB to 512MiB"]),
    ("listeners: { a: { address: 127.0.0.1:1, reflection: no } }", &["`no` is none of `on`, `off`"]),
    // Upstreams.
    ("upstreams: { a: {} }", &["`upstreams.a`: the key `endpoints` is missing"]),
    (
        "upstreams: { a: { endpoints: [\"http://h\"] } }",
        &["it has no port", "name the port, as in `http://h:80`", "t.yaml:1:31"],
    ),
    (
        "upstreams: { a: { endpoints: [http://h:1, https://h:2] } }",
        &["endpoints with TLS (`https://`) and without", "t.yaml:1:43"],
    ),
    (
        "upstreams: { a: { endpoints: [http://h:1, http://h:1] } }",
        &["the endpoint h:1 is given twice", "t.yaml:1:43"],
    ),
    (
        "upstreams: { a: { endpoints: http://h:1, tls: {} } }",
        &["TLS is not used for `http://` and `unix://` endpoints"],
    ),
    (
        "upstreams: { a: { endpoints: http://h:1, dns: h:1 } }",
        &["`upstreams.a.dns`: it is said already where the upstream is", "t.yaml:1:42"],
    ),
    ("upstreams: { a: { dns: h } }", &["`upstreams.a.dns`: `h` is no host with a port", "t.yaml:1:24"]),
    (
        "upstreams: { a: { dns: 10.0.0.1:1 } }",
        &["an address needs no lookup", "`endpoints: http://10.0.0.1:1`"],
    ),
    ("upstreams: { a: { dns: { server: 127.0.0.1:53 } } }", &["the key `name` is missing"]),
    (
        "upstreams: { a: { dns: { name: h:1, server: localhost } } }",
        &["`upstreams.a.dns.server`: `localhost` is no address", "as in `10.0.0.2:53`"],
    ),
    (
        "upstreams: { a: { dns: { name: h:1, min_ttl: 10s, max_ttl: 5s } } }",
        &["`upstreams.a.dns.max_ttl`: 5s is less than `min_ttl`"],
    ),
    (
        "upstreams: { a: { dns: { name: h:1, min_ttl: 1ms } } }",
        &["`upstreams.a.dns.min_ttl`: 1ms is too short"],
    ),
    (
        "upstreams: { a: { srv: orders.internal } }",
        &["`orders.internal` is no name of a service", "`_grpc._tcp.orders.internal`"],
    ),
    ("upstreams: { a: { endpoints: [{ weight: 3 }] } }", &["the key `url` is missing", "t.yaml:1:31"]),
    (
        "upstreams: { a: { endpoints: [{ url: http://h:1, weight: 0 }] } }",
        &["0 is out of range", "write a number from 1 to 1000"],
    ),
    ("upstreams: { a: { endpoints: [{ url: http://h:1, wieght: 2 }] } }", &["did you mean `weight`?"]),
    (
        "upstreams: { a: { endpoints: http://h:1, balance: random } }",
        &["`random` is none of `least_loaded`, `round_robin`"],
    ),
    (
        "upstreams: { a: { endpoints: http://h:1, connections: 4, max_connections: 2 } }",
        &["`upstreams.a.max_connections`: 2 is less than `connections`"],
    ),
    (
        "upstreams: { a: { endpoints: http://h:1, keepalive: 100ms } }",
        &["`upstreams.a.keepalive`: 100ms is too often"],
    ),
    ("upstreams: { a: { endpoints: http://h:1, keepalive: {} } }", &["the key `every` is missing"]),
    (
        "upstreams: { a: { endpoints: https://h:1, tls: { ca: no.pem } } }",
        &["`/etc/transom/no.pem` can't be read"],
    ),
    (
        "upstreams: { a: { endpoints: https://h:1, tls: { server_name: 'a b' } } }",
        &["neither a name nor an IP address"],
    ),
    ("upstreams: { a: { endpoints: http://h:1, connections: 65 } }", &["write a number from 1 to 64"]),
    ("upstreams: { a: { endpoints: http://h:1, connect_timeout: 0s } }", &["0s is no time at all"]),
    (
        "upstreams: { a: { endpoints: http://h:1, breaker: { consecutve: 3 } } }",
        &["did you mean `consecutive`?"],
    ),
    (
        "upstreams: { a: { endpoints: http://h:1, breaker: { consecutive: 0 } } }",
        &["write a number from 1 to 1000000"],
    ),
    (
        "upstreams: { a: { endpoints: http://h:1, breaker: { consecutive: off } } }",
        &["nothing opens the breaker"],
    ),
    (
        "upstreams: { a: { endpoints: http://h:1, breaker: { min_calls: 5 } } }",
        &["no share of failures is asked for"],
    ),
    (
        "upstreams: { a: { endpoints: http://h:1, breaker: { failures: 0% } } }",
        &["write a share from 1% to 100%"],
    ),
    (
        "upstreams: { a: { endpoints: http://h:1, breaker: { open: 5s, max_open: 1s } } }",
        &["1s is less than `open`"],
    ),
    ("upstreams: { a: { endpoints: http://h:1, breaker: on } }", &["`on` is none of `off`"]),
    (
        "upstreams: { a: { endpoints: http://h:1, endpoint_breaker: { window: 5s } } }",
        &["no share of failures is asked for"],
    ),
    (
        "upstreams: { a: { endpoints: http://h:1, ejection: { consecutive: off } } }",
        &["nothing ejects an endpoint"],
    ),
    (
        "upstreams: { a: { endpoints: http://h:1, ejection: { base: 10m, max: 5m } } }",
        &["5m is less than `base`"],
    ),
    (
        "upstreams: { a: { endpoints: http://h:1, ejection: off, panic: 10% } }",
        &["no endpoint is ever left out"],
    ),
    ("upstreams: { a: { endpoints: http://h:1, health: { interval: 0s } } }", &["0s is no time at all"]),
    ("upstreams: { a: { endpoints: http://h:1, health: { grpc: 5s } } }", &["unknown key `grpc`"]),
    (
        "upstreams: { a: { endpoints: http://h:1, retry_budget: { share: 20 } } }",
        &["write a share from 0% to 100%"],
    ),
    ("upstreams: { a: { endpoints: http://h:1, retry_budget: {} } }", &["the budget sets nothing"]),
    (
        "upstreams: { a: { endpoints: http://h:1, limits: { max_requests: 0 } } }",
        &["write a number from 1 to 1000000"],
    ),
    ("upstreams: { a: { endpoints: http://h:1, limits: {} } }", &["the limits set nothing"]),
    ("rules: { a.B/C: { retries: { attempts: 1 } } }", &["write `retries: off`"]),
    ("rules: { a.B/C: { retries: { attempts: 11 } } }", &["write a number from 2 to 10"]),
    ("rules: { a.B/C: { retries: { codes: [UNAVAILBLE] } } }", &["did you mean `UNAVAILABLE`?"]),
    ("rules: { a.B/C: { retries: { codes: [] } } }", &["the list is empty"]),
    ("rules: { a.B/C: { retries: { backoff: { base: 1s, max: 10ms } } } }", &["10ms is less than `base`"]),
    (
        "rules: { a.B/C: { retries: { idempotent: true, idempotency_key: true } } }",
        &["calls that may be made twice need no key"],
    ),
    // Rules.
    (
        "rules: { '*': { upstream: boks } }",
        &["`rules.*.upstream`: there is no upstream `boks`", "did you mean `books`?"],
    ),
    ("rules: { '*': { upstream: zzz } }", &["name it under `upstreams`"]),
    (
        "rules: { '*': { upstream: { split: [{ to: boks, weight: 1 }, { to: books, weight: 1 }] } } }",
        &["`rules.*.upstream.split.to`: there is no upstream `boks`", "did you mean `books`?", "t.yaml:1:"],
    ),
    (
        "rules: { '*': { upstream: { split: [{ to: books, weight: 0 }, { to: books, weight: 1 }] } } }",
        &["no call goes there by chance"],
    ),
    (
        "rules: { '*': { upstream: { split: [{ to: books, weight: 1 }, { to: books, weight: 2 }] } } }",
        &["`books` is in the list already", "the sum of both weights"],
    ),
    (
        "rules: { '*': { upstream: { split: [{ to: books, weight: 5 }] } } }",
        &["nothing is split", "`upstream: orders`"],
    ),
    ("rules: { '*': { upstream: { split: [{ to: books }] } } }", &["the key `weight` is missing"]),
    (
        "rules: { '*': { upstream: { split: [{ to: books, weight: 1000001 }] } } }",
        &["write a number from 1 to 1000000"],
    ),
    ("rules: { '*': { upstream: { split: [] } } }", &["the list is empty"]),
    (
        "rules: { '*': { upstream: { when: [{ header: x-a, equals: b, to: books }] } } }",
        &["the key `split` is missing"],
    ),
    (
        "rules: { '*': { upstream: { split: [{ to: books, weight: 5 }], when: [{ header: 'x a', equals: b, to: books }] } } }",
        &["`x a` is no name of a header"],
    ),
    (
        "rules: { '*': { upstream: { split: [{ to: books, weight: 5 }], when: [{ header: x-a, equals: b, to: zzz }] } } }",
        &["there is no upstream `zzz`"],
    ),
    (
        "rules: { '*': { upstream: { split: [{ to: books, weight: 5 }], when: [{ header: x-a, equals: b, to: books }, { header: X-A, equals: b, to: books }] } } }",
        &["an earlier one has this header and value"],
    ),
    (
        "rules: { '*': { upstream: { split: [{ to: books, weight: 5 }], when: [{ header: x-a, equals: b, to: books }], sticky: address } } }",
        &["all calls go to the only one in `split`"],
    ),
    (
        "rules: { '*': { upstream: { split: [{ to: books, weight: 5 }], sticky: user } } }",
        &["write `principal`, `address` or `header:…`"],
    ),
    (
        "rules: { '*': { upstream: { split: [{ to: books, weight: 5 }], when: [{ header: x-a, equals: b, to: books }], stick: address } } }",
        &["did you mean `sticky`?"],
    ),
    ("rules: { '*': {} }", &["the rule sets nothing"]),
    ("rules: { a.B: { timeout: 1s } }", &["`rules`: `a.B` is no selector of RPCs", "t.yaml:1:10"]),
    ("rules: { '*': { max_body: 3GiB } }", &["write a size from 1B to 2GiB"]),
    // YAML itself.
    ("rules:\n  *: { timeout: 1s }", &["t.yaml:2:3", "a text that starts with `*` needs quotes"]),
    ("a: [1", &["this isn't YAML"]),
    ("a: 1\n---\nb: 1", &["a second one starts here", "t.yaml:2:1"]),
    ("a: &x [*x]", &["an alias inside of what it stands for"]),
    ("workers: !!int 4", &["the tag `!!int` has no meaning here", "t.yaml:1:10", "^^^^^"]),
    ("%TAG ! tag:x,2000:\n---\na: 1", &["this isn't YAML"]),
];

#[test]
fn what_is_done_about_endpoints_that_fail() {
    let seconds = Duration::from_secs;
    let of = |keys: &str| {
        let part = format!("upstreams: {{ a: {{ endpoints: http://h:1, {keys} }} }}");
        good(&part).upstreams.remove(0).resilience
    };
    assert_eq!(of(""), Resilience::default());
    let settings = of("breaker: {}, endpoint_breaker: { failures: 30%, window: 1m }, ejection: off, \
                       health: { service: a.B, unhealthy: 1 }, retry_budget: { share: 0% }, panic: off, \
                       limits: { max_pending: 7 }");
    let breaker = BreakerSettings {
        consecutive: Some(10),
        rate: None,
        open: seconds(1),
        max_open: seconds(60),
        probes: 3,
    };
    let rate = FailureRate { percent: 30, min_calls: 20, window: seconds(60) };
    let health = HealthSettings { service: "a.B".into(), unhealthy: 1, ..HealthSettings::default() };
    let want = Resilience {
        health: Some(health),
        ejection: None,
        breaker: Some(breaker),
        endpoint_breaker: Some(BreakerSettings { consecutive: None, rate: Some(rate), ..breaker }),
        panic: 0,
        budget: BudgetSettings { percent: 0, per_second: 10 },
        limits: EndpointLimits { max_requests: None, max_pending: Some(7) },
    };
    assert_eq!(settings, want);
    let settings =
        of("ejection: { consecutive: 2, failures: 20%, min_calls: 5, base: 10m, max_ejected: 34% }");
    let rate = FailureRate { percent: 20, min_calls: 5, window: seconds(10) };
    let want = EjectionSettings {
        consecutive: Some(2),
        rate: Some(rate),
        base: seconds(600),
        max: seconds(600),
        max_ejected: 34,
    };
    assert_eq!(settings.ejection, Some(want));
}

#[test]
fn how_calls_are_tried_again() {
    let of = |keys: &str| good(&format!("rules: {{ a.B/C: {{ retries: {keys} }} }}")).rules.remove(0).retries;
    assert!(matches!(of("off"), Some(None)));
    let Some(Some(rule)) = of("{}") else { panic!("a rule") };
    assert_eq!((rule.policy.attempts.get(), rule.idempotent, rule.by_key), (3, false, false));
    assert!(rule.policy.codes == Codes::default() && rule.policy.backoff == Backoff::default());
    let keys = "{ attempts: 5, codes: [ABORTED], per_try_timeout: 1s, backoff: { base: 1s }, idempotency_key: true }";
    let Some(Some(rule)) = of(keys) else { panic!("a rule") };
    let want = RetryPolicy {
        attempts: 5.try_into().unwrap(),
        codes: Codes::of([Code::Aborted]),
        per_try_timeout: Some(Duration::from_secs(1)),
        backoff: Backoff { base: Duration::from_secs(1), max: Duration::from_secs(1) },
    };
    assert_eq!((&*rule.policy, rule.by_key), (&want, true));
}

#[test]
fn problems_say_what_where_and_what_to_do() {
    for (part, wants) in WRONG {
        let Err(problems) = read(&completed(part)) else { panic!("{part} is taken") };
        let text = problems.to_string();
        for want in *wants {
            assert!(text.contains(want), "{part}: {want}\nis missing in\n{text}");
        }
    }
}

#[test]
fn one_fault_is_one_problem() {
    for (part, _) in WRONG {
        let Err(problems) = read(&completed(part)) else { panic!("{part} is taken") };
        assert_eq!(problems.iter().count(), 1, "{part}\n{problems}");
    }
}

#[test]
fn ten_faults_are_ten_problems_in_the_order_of_the_text() {
    let text = "\
listeners:
  public: { adress: 127.0.0.1:80 }
  inside: { address: 127.0.0.1:81, limits: { body: 4 megs }, timeouts: { head: 10 } }
schema:
  descriptors: [a.binpb]
  same_template: last
upstreams:
  books: { endpoints: [10.0.0.1:50051], connections: none }
rules:
  shop.v1.Orders: { upstream: bokks }
drain: later
";
    let problems = read(text).expect_err("it is wrong");
    let lines: Vec<usize> = problems.iter().map(|problem| problem.excerpts[0].line).collect();
    assert_eq!(lines, [2, 2, 3, 3, 6, 8, 8, 10, 10, 11], "{problems}");
}

#[test]
fn an_upstream_that_nothing_uses_is_a_warning() {
    let part = "upstreams: { a: { endpoints: http://h:1 }, b: { endpoints: http://h:2 } }\nrules: { '*': { upstream: a } }";
    let (_, warnings) = read(&completed(part)).expect("a warning doesn't stop");
    assert_eq!((warnings.errors(), warnings.warnings()), (0, 1));
    assert!(warnings.to_string().contains("`upstreams.b`: no rule names this upstream"), "{warnings}");
}

#[test]
fn files_that_are_no_configuration() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("t.yaml");
    for (bytes, want) in [
        (&b""[..], "the configuration is empty"),
        (b"# nothing\n", "the configuration is empty"),
        (b"- a", "the configuration: this is a list"),
        (b"a", "the configuration: this is a single value"),
        (b"a: \xff", "isn't UTF-8"),
        (&vec![b'#'; (MAX_BYTES + 1) as usize], "it is larger than 4 MiB"),
    ] {
        std::fs::write(&file, bytes).expect("written");
        let problems = load(&file).expect_err(want).to_string();
        assert!(problems.contains(want) && problems.contains("t.yaml"), "{want}\n{problems}");
    }
    let missing = load(Path::new("/no/such/file.yaml")).expect_err("there is none").to_string();
    assert!(missing.contains("can't be read") && missing.contains("/no/such/file.yaml"), "{missing}");
}

#[test]
fn ca_files_that_hold_no_certificates() {
    let folder = tempfile::tempdir().expect("a folder");
    let part = completed("upstreams: { a: { endpoints: https://h:1, tls: { ca: ca.pem } } }");
    for (pem, want) in [
        ("", "has no certificate in it"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n", "is no PEM file"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "certificate 1 of"),
    ] {
        std::fs::write(folder.path().join("ca.pem"), pem).expect("written");
        let problems = parse(&part, &folder.path().join("t.yaml")).expect_err(want).to_string();
        assert!(problems.contains(want) && problems.contains("t.yaml:1:54"), "{want}\n{problems}");
    }
}

#[test]
fn tls_of_a_listener_is_read_with_its_files() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["a", "b"] {
        let made = rcgen::generate_simple_self_signed([format!("{name}.test")]).expect("a certificate");
        std::fs::write(folder.path().join(format!("{name}.crt")), made.cert.pem()).expect("written");
        let key = made.signing_key.serialize_pem();
        std::fs::write(folder.path().join(format!("{name}.key")), key).expect("written");
    }
    let pair = |name: &str| format!("cert: {name}.crt, key: {name}.key");
    let (a, b) = (pair("a"), pair("b"));
    for (tls, names, versions, auth) in [
        (a.clone(), &["a.test"][..], Versions::Tls12And13, None),
        (format!("certificates: [{{ {b} }}, {{ {a} }}]"), &["b.test", "a.test"], Versions::Tls12And13, None),
        (
            format!("{a}, certificates: [{{ {b} }}], versions: [1.3], client: {{ roots: a.crt }}"),
            &["a.test", "b.test"],
            Versions::Tls13,
            Some(ClientAuth::Required),
        ),
        (
            format!("{a}, versions: '1.2', client: {{ roots: a.crt, required: false }}"),
            &["a.test"],
            Versions::Tls12,
            Some(ClientAuth::Optional),
        ),
    ] {
        let part = completed(&format!("listeners: {{ x: {{ address: 1.1.1.1:1, tls: {{ {tls} }} }} }}"));
        let (settings, warnings) = parse(&part, &folder.path().join("t.yaml"))
            .unwrap_or_else(|problems| panic!("{tls}\n{problems}"));
        assert!(warnings.is_empty(), "{tls}\n{warnings}");
        let read = settings.listeners[0].tls.as_ref().expect("it is there");
        let got: Vec<&str> = read.identities.iter().map(|identity| &*identity.chain().names()[0]).collect();
        assert_eq!(got, names, "{tls}");
        let got = read.client.as_ref().map(|check| check.auth);
        assert_eq!((read.versions, got), (versions, auth), "{tls}");
    }
}

#[test]
fn deep_and_swelling_texts_are_refused() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..9 {
        let alias = format!("*a{}", level - 1);
        bomb.push_str(&format!("a{level}: &a{level} [{}]\n", vec![alias; 10].join(", ")));
    }
    for text in ["[".repeat(100_000), "- ".repeat(100_000), bomb] {
        let problems = read(&text).expect_err("it is refused");
        assert_eq!(problems.iter().count(), 1, "{problems}");
    }
}

#[test]
fn calls_may_take_as_long_as_they_like() {
    let settings = good("rules: { '*': { timeout: off } }");
    assert_eq!(settings.rules[0].timeout, Some(Rule::NO_TIMEOUT));
}

#[test]
fn large_files_are_read_in_no_time_and_have_an_end_of_problems() {
    let rules: String = (0..10_000).map(|index| format!("  a.B/M{index}: {{ timeout: 1s }}\n")).collect();
    let settings = good(&format!("rules:\n{rules}"));
    assert_eq!(settings.rules[9_999].excerpt.as_ref().map(|excerpt| excerpt.line), Some(10_001));
    let problems =
        read(&completed(&format!("rules:\n{}", rules.replace("1s", "1")))).expect_err("it is wrong");
    assert_eq!(problems.errors(), 1_001);
    assert!(problems.to_string().contains("there are more problems, which aren't shown"));
}

proptest! {
    /// Whatever stands in a file, reading it ends with settings or with problems that can be printed.
    #[test]
    fn nothing_panics(text in "([a-z*&!:,\\[\\]{}\"'#|>%~é \n-]|listeners|rules|: |\n  ){0,60}") {
        for text in [completed(&text), text] {
            match read(&text) {
                Ok((_, warnings)) => drop(warnings.to_string()),
                Err(problems) => prop_assert!(problems.errors() > 0 && !problems.to_string().is_empty()),
            }
        }
    }

    /// A value cut and changed anywhere in a full file is read or refused with its place.
    #[test]
    fn a_changed_file_is_read_or_refused(at in 0..FULL.len(), with in "[a-z0-9:{}\\[\\] \n]{0,3}") {
        let mut text = FULL.to_owned();
        text.replace_range(at..(at + 2).min(FULL.len()), &with);
        if let Err(problems) = read(&text) {
            prop_assert!(problems.errors() > 0 && !problems.to_string().is_empty());
        }
    }

    #[test]
    fn durations_add_up(hours in 0..100_u64, minutes in 0..999_u64, seconds in 0..999_u64, millis in 1..9999_u64) {
        let text = format!("{hours}h{minutes}m{seconds}s{millis}ms");
        let want = Duration::from_millis(((hours * 60 + minutes) * 60 + seconds) * 1000 + millis);
        prop_assert_eq!(values::duration(&text), Ok(want));
    }
}
