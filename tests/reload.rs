//! Everything is read again when its files change or somebody says so: what is good is in force for the next request, what
//! is bad is refused, and what has not changed goes on.

mod support;

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use serde_json::json;
use support::{Answer, Backend, Gateway, Http1, Http2, Schema, call, frame, get, post, until};

const PROTO: &str = r#"
syntax = "proto3";
package t;
import "google/api/annotations.proto";
message M { string a = 1; string longer_name = 2; }
service S {
  rpc Get(M) returns (M) { option (google.api.http) = { get: "/g" }; }
  rpc Put(M) returns (M) { option (google.api.http) = { post: "/p" body: "*" }; }
}
"#;

/// A configuration that tests change.
struct Config {
    path: PathBuf,
    listeners: String,
    schema: String,
    upstreams: String,
    more: String,
}

impl Config {
    fn new(schema: &Schema, backend: &Backend) -> Self {
        Self {
            path: schema.folder().join("transom.yaml"),
            listeners: "a: { address: '127.0.0.1:0' }".into(),
            schema: "descriptors: test.binpb".into(),
            upstreams: format!("main: {{ endpoints: ['http://{}'] }}", backend.address),
            more: String::new(),
        }
    }

    fn text(&self) -> String {
        let Self { listeners, schema, upstreams, more, .. } = self;
        format!(
            "listeners: {{ {listeners} }}\nschema: {{ {schema} }}\nupstreams: {{ {upstreams} }}\n\
             admin: {{ address: '127.0.0.1:0' }}\naccess_log: off\nworkers: 2\ndrain: 5s\n\
             reload: {{ interval: 100ms }}\n{more}\n"
        )
    }

    fn write(&self) {
        put(&self.path, self.text());
    }

    fn start(&self) -> Gateway {
        self.write();
        Gateway::from_file(&self.path)
    }

    /// Writes it, and waits until it is in force.
    #[track_caller]
    fn apply(&self, gateway: &Gateway) {
        let before = gateway.running().snapshot().generation();
        self.write();
        gateway.await_generation(before);
    }
}

/// Puts a file in place in one step.
fn put(path: &Path, text: impl AsRef<[u8]>) {
    let next = path.with_extension("next");
    fs::write(&next, text).and_then(|()| fs::rename(&next, path)).expect("the file is written");
}

fn place() -> (Schema, Backend) {
    let schema = Schema::new(PROTO);
    let backend = Backend::start(&schema, Answer::Echo);
    (schema, backend)
}

#[test]
fn rules_and_upstreams_change_and_what_stays_keeps_its_connections() {
    let (schema, first) = place();
    let second = Backend::start(&schema, Answer::Echo);
    let mut config = Config::new(&schema, &first);
    let gateway = config.start();
    until("each worker is connected", || first.connections() == 2);
    get(gateway.address, "/g").assert_ok();
    let connections = first.connections();
    assert_eq!((first.take().len(), second.count()), (1, 0));

    let main = config.upstreams.clone();
    config.upstreams = format!("{main}, other: {{ endpoints: ['http://{}'] }}", second.address);
    config.more = "rules:\n  t.S/*: { upstream: main }\n  t.S/Get: { upstream: other }".into();
    config.apply(&gateway);
    get(gateway.address, "/g").assert_ok();
    post(gateway.address, "/p", "{}").assert_ok();
    assert_eq!((first.take().len(), second.take().len()), (1, 1));
    assert_eq!(first.connections(), connections, "the upstream is as it was");

    // What was added goes again, and its connections with it.
    config.upstreams = main;
    config.more.clear();
    config.apply(&gateway);
    get(gateway.address, "/g").assert_ok();
    assert_eq!((first.take().len(), second.count()), (1, 0));
    assert_eq!(first.connections(), connections);
}

#[test]
fn what_is_bad_is_refused_and_shown_and_the_old_serves_on() {
    let (schema, backend) = place();
    let mut config = Config::new(&schema, &backend);
    let gateway = config.start();
    assert_eq!(gateway.reloads()["generation"], 1);
    assert_eq!(gateway.reloads()["last"], json!(null));
    assert_eq!(gateway.metric("transom_config_reload_success"), 1);

    config.more = "rules:\n  t.S/Get: { upstream: nowhere }".into();
    config.write();
    until("it is refused", || gateway.metric("transom_reloads_total{result=\"refused\"}") == 1);
    let told = gateway.reloads();
    let last = &told["last"];
    assert_eq!(
        (&told["generation"], &last["result"], &last["cause"]),
        (&json!(1), &json!("refused"), &json!("files"))
    );
    let problem = &last["problems"][0];
    assert!(problem["what"].as_str().unwrap().contains("nowhere"), "{told}");
    assert!(problem["places"][0].as_str().unwrap().ends_with("transom.yaml:10"), "{told}");
    assert_eq!(gateway.metric("transom_config_reload_success"), 0);
    get(gateway.address, "/g").assert_ok();

    // It is told once, not with every look.
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert_eq!(gateway.metric("transom_reloads_total{result=\"refused\"}"), 1);

    config.more.clear();
    config.apply(&gateway);
    let told = gateway.reloads();
    assert_eq!((&told["generation"], &told["last"]["result"]), (&json!(2), &json!("done")), "{told}");
    assert_eq!(gateway.metric("transom_config_reload_success"), 1);

    // And a schema, which names no keys.
    put(&schema.descriptors(), "no descriptors");
    until("it is refused", || gateway.metric("transom_reloads_total{result=\"refused\"}") == 2);
    get(gateway.address, "/g").assert_ok();
}

#[test]
fn a_schema_is_taken_as_kubernetes_swaps_it() {
    let (schema, backend) = place();
    let folder = schema.folder();
    let of = |proto: &str| fs::read(Schema::new(proto).descriptors()).expect("a descriptor set");
    let more = PROTO.replace(
        "service S {",
        "service S { rpc New(M) returns (M) { option (google.api.http) = { get: \"/new\" }; }",
    );
    for (version, proto) in [("..v1", PROTO), ("..v2", more.as_str())] {
        fs::create_dir_all(folder.join("mounted").join(version)).expect("a folder");
        fs::write(folder.join("mounted").join(version).join("api.binpb"), of(proto)).expect("a file");
    }
    symlink("..v1", folder.join("mounted/..data")).expect("a link");
    symlink("..data/api.binpb", folder.join("mounted/api.binpb")).expect("a link");
    let mut config = Config::new(&schema, &backend);
    config.schema = "descriptors: mounted".into();
    let gateway = config.start();
    get(gateway.address, "/new").assert_fault(404, "NO_ROUTE", None);
    symlink("..v2", folder.join("mounted/..next")).expect("a link");
    fs::rename(folder.join("mounted/..next"), folder.join("mounted/..data")).expect("swapped");
    gateway.await_generation(1);
    assert_eq!(get(gateway.address, "/new").status, 501, "the backend doesn't have it, the gateway has");

    // A further file in the folder is a change as well.
    put(
        &folder.join("other.proto"),
        "syntax = \"proto3\"; package u; message M {} service S { rpc Get(M) returns (M); }",
    );
    let mut compiler = protox::Compiler::new([folder]).expect("the folder exists");
    compiler.open_file("other.proto").expect("it is well-formed");
    put(&folder.join("mounted/z.binpb"), compiler.encode_file_descriptor_set());
    gateway.await_generation(2);
    let headers = [("content-type", "application/json")];
    assert_eq!(call(gateway.address, "POST", "/u.S/Get", &headers, b"{}").status, 501);
}

#[test]
fn sources_are_watched_with_what_they_import() {
    let (schema, backend) = place();
    let folder = schema.folder();
    fs::create_dir_all(folder.join("api"))
        .and_then(|()| fs::create_dir_all(folder.join("lib")))
        .expect("folders");
    let main = "syntax = \"proto3\"; package t; import \"m.proto\"; service S { rpc Get(M) returns (M); }";
    let message =
        |field: &str| format!("syntax = \"proto3\"; package t; message M {{ string {field} = 1; }}");
    put(&folder.join("api/main.proto"), main);
    put(&folder.join("lib/m.proto"), message("a"));
    let mut config = Config::new(&schema, &backend);
    config.schema = "protos: api, imports: [api, lib], default_bindings: true".into();
    let gateway = config.start();
    post(gateway.address, "/t.S/Get", "{\"a\":\"x\"}").assert_ok();
    put(&folder.join("lib/m.proto"), message("b"));
    gateway.await_generation(1);
    post(gateway.address, "/t.S/Get", "{\"b\":\"x\"}").assert_ok();

    // What is missing is waited for, wherever it may come.
    fs::remove_file(folder.join("lib/m.proto")).expect("it is there");
    until("it is refused", || gateway.metric("transom_reloads_total{result=\"refused\"}") == 1);
    put(&folder.join("api/m.proto"), message("c"));
    gateway.await_generation(2);
    post(gateway.address, "/t.S/Get", "{\"c\":\"x\"}").assert_ok();
}

#[test]
fn policies_of_a_listener_hold_for_requests_on_old_connections() {
    let (schema, backend) = place();
    let mut config = Config::new(&schema, &backend);
    let gateway = config.start();
    let mut http1 = Http1::connect(gateway.address);
    let mut http2 = Http2::connect(gateway.address);
    let body = "{\"longerName\":\"x\"}";
    let mut ask = || {
        http1.send(support::request("POST", "/p", &[("content-type", "application/json")], body.as_bytes()));
        let one = http1.reply();
        let other = http2.call("POST", "/p", &[("content-type", "application/json")], body.as_bytes());
        assert_eq!((one.status, one.body.len()), (other.status, other.body.len()));
        (one.status, String::from_utf8_lossy(&one.body).into_owned())
    };
    assert_eq!(ask(), (200, body.to_owned()));
    config.listeners = "a: { address: '127.0.0.1:0', json: { names: proto } }".into();
    config.apply(&gateway);
    assert_eq!(ask(), (200, "{\"longer_name\":\"x\"}".to_owned()));
    config.listeners =
        "a: { address: '127.0.0.1:0', errors: problem, addresses: { deny: [127.0.0.1] } }".into();
    config.apply(&gateway);
    let (status, text) = ask();
    assert!(status == 403 && text.contains("\"title\""), "{status} {text}");
}

#[test]
fn listeners_come_and_go() {
    let (schema, backend) = place();
    let mut config = Config::new(&schema, &backend);
    let gateway = config.start();
    let first = gateway.address;
    backend.answer(Answer::Held);
    // Two requests are under way: they end, whatever becomes of their listener.
    let mut http1 = Http1::connect(first);
    http1.send(support::request("GET", "/g?a=x", &[], b""));
    let mut http2 = Http2::connect(first);
    let headers = [("content-type", "application/grpc"), ("te", "trailers")];
    let (response, mut stream) = http2.begin("POST", "/t.S/Get", &headers, false);
    assert!(http2.send(&mut stream, &frame(b""), true));
    until("they are under way", || backend.count() == 2);

    config.listeners = "b: { address: '127.0.0.1:0' }".into();
    config.apply(&gateway);
    let second = gateway.listener("b").expect("it was added");
    assert_eq!((gateway.listener("a"), gateway.running().listeners().len()), (None, 1));
    until("the old one takes nobody", || TcpStream::connect(first).is_err());
    assert!(!http2.is_closed());
    (0..2).for_each(|_| backend.release());
    backend.answer(Answer::Echo);
    let reply = http1.reply();
    assert_eq!((reply.assert_ok().text(), reply.header("connection")), ("{\"a\":\"x\"}", Some("close")));
    assert!(http1.is_closed());
    assert_eq!(http2.end(response).expect("an answer").status, 200);
    until("its connection is closed", || http2.is_closed());
    get(second, "/g").assert_ok();

    // One that can't be had changes nothing.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let taken = taken.local_addr().map(|address| (address, taken)).expect("it has an address");
    config.listeners = format!("b: {{ address: '127.0.0.1:0' }}, c: {{ address: '{}' }}", taken.0);
    config.write();
    until("it is refused", || gateway.metric("transom_reloads_total{result=\"refused\"}") == 1);
    get(second, "/g").assert_ok();
    drop(taken);
    gateway.running().reload();
    gateway.await_generation(2);
    for name in ["b", "c"] {
        get(gateway.listener(name).expect("it is served"), "/g").assert_ok();
    }
}

#[test]
fn counts_of_limits_survive_where_they_say_the_same() {
    let (schema, backend) = place();
    let mut config = Config::new(&schema, &backend);
    config.more = "rules:\n  t.S/Get: { limits: [{ quota: 2/day, key: address }] }".into();
    let gateway = config.start();
    get(gateway.address, "/g").assert_ok();
    get(gateway.address, "/g").assert_ok();
    config.more.push_str("\n  t.S/Put: { timeout: 5s }");
    config.apply(&gateway);
    assert_eq!(get(gateway.address, "/g").status, 429);
}

#[test]
fn what_takes_a_restart_is_said_by_its_key() {
    let (schema, backend) = place();
    let mut config = Config::new(&schema, &backend);
    let gateway = config.start();
    config.more = "rate_limits: { keys: 10 }".into();
    let text = config.text().replace("workers: 2", "workers: 3");
    put(&config.path, text);
    gateway.await_generation(1);
    until("it is told", || gateway.reloads()["last"] != json!(null));
    assert_eq!(gateway.reloads()["last"]["restart_needed"], json!(["workers", "rate_limits.keys"]));
    get(gateway.address, "/g").assert_ok();
}

#[test]
fn the_access_log_moves_and_is_opened_again_when_told() {
    let (schema, backend) = place();
    let config = Config::new(&schema, &backend);
    let (one, other) = (schema.folder().join("one.log"), schema.folder().join("other.log"));
    let to = |file: &str| config.text().replace("access_log: off", &format!("access_log: ./{file}"));
    put(&config.path, to("one.log"));
    let gateway = Gateway::from_file(&config.path);
    let lines = |path: &Path| fs::read_to_string(path).unwrap_or_default().lines().count();
    get(gateway.address, "/g").assert_ok();
    until("the line is there", || lines(&one) == 1);
    // As logrotate does it.
    let rotated = schema.folder().join("one.log.1");
    fs::rename(&one, &rotated).expect("it is there");
    gateway.running().reload();
    gateway.await_generation(1);
    get(gateway.address, "/g").assert_ok();
    until("the line is there", || lines(&one) == 1);
    assert_eq!(lines(&rotated), 1);
    put(&config.path, to("other.log"));
    gateway.await_generation(2);
    get(gateway.address, "/g").assert_ok();
    until("the line is there", || lines(&other) == 1);
    config.apply(&gateway);
    get(gateway.address, "/g").assert_ok();
    assert_eq!((lines(&one), lines(&other)), (1, 1));
}

#[test]
fn nothing_is_looked_at_where_that_is_off() {
    let (schema, backend) = place();
    let config = Config::new(&schema, &backend);
    let text = |more: &str| config.text().replace("{ interval: 100ms }", "{ watch: false }") + more;
    put(&config.path, text(""));
    let gateway = Gateway::from_file(&config.path);
    put(&config.path, text("rules:\n  t.S/Get: { deny: true }\n"));
    std::thread::sleep(std::time::Duration::from_millis(1500));
    assert_eq!(gateway.running().snapshot().generation(), 1);
    gateway.running().reload();
    gateway.await_generation(1);
    assert_eq!(call(gateway.address, "GET", "/g", &[], b"").status, 403);
}
