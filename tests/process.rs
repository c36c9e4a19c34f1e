//! The program as it runs: flags and files, logs, the admin address, signals, and ports that are taken.

mod support;

use std::net::{SocketAddr, TcpListener, TcpStream};

use serde_json::{Value, json};
use support::{
    Answer, Authority, Backend, Http1, Reflecting, Schema, TlsChoices, TlsClient, Transom, Versions, call,
    get, post, request, until,
};

const PROTO: &str = r#"
syntax = "proto3";
package t;
import "google/api/annotations.proto";
message M { string a = 1; }
service S {
  rpc Get(M) returns (M) { option (google.api.http) = { get: "/g" }; }
  rpc Bare(M) returns (M);
}
"#;

fn backend() -> (Schema, Backend) {
    let schema = Schema::new(PROTO);
    let backend = Backend::start(&schema, Answer::Echo);
    (schema, backend)
}

#[test]
fn flags_alone_serve() {
    let (schema, backend) = backend();
    let transom = Transom::serve(&schema, &backend, &["--errors", "status", "--timeout", "7s"]);
    let address = transom.address();
    assert_eq!(get(address, "/g?a=x").assert_ok().json(), json!({ "a": "x" }));
    let seen = backend.only();
    let timeout = seen.header("grpc-timeout").expect("a deadline");
    assert!(timeout.ends_with('u') && timeout <= "7000000u", "{timeout}");
    assert_eq!(get(address, "/nothing").json()["code"], 5);
    let ended = transom.stop();
    for word in ["serves 2 methods", "try it: curl ", &format!("http://{address}/g")] {
        assert!(ended.err.contains(word), "{word} in {}", ended.err);
    }
}

#[test]
fn flags_say_what_a_configuration_says() {
    let (schema, left) = backend();
    let right = Backend::start(&schema, Answer::Echo);
    let rules = schema.write(
        "service.yaml",
        "type: google.api.Service\nconfig_version: 3\nhttp:\n  rules:\n  - { selector: t.S.Get, get: '/v2/{a}' }\n",
    );
    let flags = [
        "serve",
        "--proto",
        &schema.folder().join("test.proto").display().to_string(),
        "--import",
        &schema.folder().display().to_string(),
        "-I",
        concat!(env!("CARGO_MANIFEST_DIR"), "/proto"),
        "--http-rules",
        &rules.display().to_string(),
        "--service",
        "t.S/*",
        "--default-bindings",
        "--same-template",
        "first",
        "--upstream",
        &format!("http://{}", left.address),
        "--upstream",
        &format!("t.S/Bare=http://{}", right.address),
        "--listen",
        "127.0.0.1:0",
        "--listen",
        "127.0.0.1:0",
        "--access-log",
        "off",
    ];
    let transom = Transom::spawn(flags);
    let said =
        || transom.said().lines().filter_map(|line| line.split("http://").nth(1)?.parse().ok()).collect();
    until("it says where it listens", || Vec::<SocketAddr>::len(&said()) == 2);
    let addresses: Vec<SocketAddr> = said();
    for address in addresses {
        assert_eq!(get(address, "/v2/x").assert_ok().json(), json!({ "a": "x" }));
        assert_eq!(get(address, "/g").status, 404);
        post(address, "/t.S/Bare", "{}").assert_ok();
        assert_eq!((left.take().len(), right.take().len()), (1, 1));
    }
    transom.stop();
}

#[test]
fn a_certificate_by_flags_serves_by_tls() {
    let (schema, backend) = backend();
    let authority = Authority::new();
    let signed = authority.sign(&["api.test"]);
    let cert = schema.write("tls.crt", &signed.cert).display().to_string();
    let key = schema.write("tls.key", &signed.key).display().to_string();
    let more = ["--tls-cert", &cert, "--tls-key", &key, "--access-log", "off"];
    let transom = Transom::serve(&schema, &backend, &more);
    let address = transom.address();
    let client = TlsClient::new(&authority, TlsChoices::default());
    let connection = client.connect(address, "api.test").expect("a handshake");
    assert_eq!(connection.certificate(), signed.certificate());
    let mut http1 = Http1::over_tls(connection);
    http1.send(request("GET", "/g", &[], b""));
    http1.reply().assert_ok();
    let url = format!("try it: curl 'https://{address}/");
    until("it says how to try it", || transom.said().contains(&url));
    transom.stop();
}

#[test]
fn backends_are_asked_what_they_serve_and_again_by_a_signal() {
    let set = |methods: &str| {
        let proto = PROTO.replace("rpc Bare(M) returns (M);", methods);
        std::fs::read(Schema::new(&proto).descriptors()).expect("it was written")
    };
    let backend = Reflecting::start(Versions::Both, set(""), &["t.S"]);
    let upstream = format!("http://{}", backend.address);
    let flags = ["--reflect", "--upstream", &upstream];
    let serve = ["serve", "--listen", "127.0.0.1:0", "--workers", "1", "--admin", "127.0.0.1:0"];
    let transom = Transom::spawn(serve.iter().chain(&flags));
    let address = transom.address();
    assert_eq!(get(address, "/g?a=x").assert_ok().json(), json!({ "a": "x" }));
    backend.tell(set("rpc Bare(M) returns (M) { option (google.api.http) = { get: \"/bare\" }; }"), &["t.S"]);
    transom.signal("HUP");
    until("the new route is there", || get(address, "/bare").status == 200);
    assert_eq!(get(transom.admin(), "/readyz").text(), "ready\ngeneration 2\n");
    transom.stop();

    let check = Transom::spawn(["check"].iter().chain(&flags)).wait();
    assert!(check.out.starts_with("ok: 2 methods, 2 bindings, 1 upstream"), "{}{}", check.out, check.err);
    let routes = Transom::spawn(["routes"].iter().chain(&flags)).wait();
    assert!(routes.out.contains("/bare") && routes.status.success(), "{}{}", routes.out, routes.err);
    drop(backend);
    let refused = Transom::spawn(["check"].iter().chain(&flags)).wait();
    assert_eq!(refused.status.code(), Some(1));
    assert!(refused.err.contains("the upstream `default` does not tell"), "{}", refused.err);
}

#[test]
fn a_configuration_serves() {
    let (schema, backend) = backend();
    let transom = Transom::configured(&schema, &backend, "access_log: off");
    assert_eq!(get(transom.address(), "/g?a=x").assert_ok().json(), json!({ "a": "x" }));
    assert_eq!(transom.stop().out, "");
}

/// One call that succeeds, one that fails and one that reaches nothing.
fn three_calls(transom: &Transom) {
    let mut client = Http1::connect(transom.address());
    for target in ["/g?a=secret", "/g?a=x&b=y", "/nothing\"=%0a"] {
        client.send(request("GET", target, &[], b""));
        client.reply();
    }
}

/// Where a test looks for the access log.
enum Place {
    Stdout,
    Stderr,
    File,
    Nowhere,
}

#[test]
fn the_access_log_has_one_line_a_call() {
    let (schema, backend) = backend();
    let path = schema.folder().join("access.log");
    let file = path.display().to_string();
    // By flags, and the same in a configuration.
    let cases: &[(&[&str], &str, Place)] = &[
        (&[], "", Place::Stdout),
        (&["--access-log", "stdout"], "access_log: stdout", Place::Stdout),
        (&["--access-log", "stderr"], "access_log: { to: stderr, format: text }", Place::Stderr),
        (&["--access-log", &file], "access_log: ./access.log", Place::File),
        (&["--access-log", "off"], "access_log: off", Place::Nowhere),
    ];
    for (flags, yaml, place) in cases {
        for by_flags in [true, false] {
            let transom = if by_flags {
                Transom::serve(&schema, &backend, flags)
            } else {
                Transom::configured(&schema, &backend, yaml)
            };
            three_calls(&transom);
            let ended = transom.stop();
            let in_file = std::fs::read_to_string(&path).unwrap_or_default();
            // The next one appends.
            let _ = std::fs::remove_file(&path);
            let written = match place {
                Place::Stdout => &ended.out,
                Place::Stderr => &ended.err,
                Place::File => &in_file,
                Place::Nowhere => "",
            };
            let all = [ended.out.as_str(), &ended.err, &in_file].concat();
            // Queries may hold secrets.
            assert!(!all.contains("secret"), "{all}");
            let lines: Vec<&str> = written.lines().filter(|line| line.contains(" status=")).collect();
            assert_eq!(all.matches(" status=").count(), lines.len(), "{yaml}: nowhere else");
            let [good, bad, lost] = lines.as_slice() else {
                assert!(matches!(place, Place::Nowhere), "{yaml}: {all}");
                continue;
            };
            assert!(
                good.contains(" status=200 code=OK method=GET path=/g protocol=rest rpc=t.S/Get upstream="),
                "{good}"
            );
            assert!(
                bad.contains(
                    " status=400 code=INVALID_ARGUMENT method=GET path=/g protocol=rest rpc=t.S/Get"
                ),
                "{bad}"
            );
            assert!(bad.contains(" reason=UNKNOWN_PARAMETER origin=client"), "{bad}");
            assert!(lost.contains(" status=404 code=NOT_FOUND") && !lost.contains("rpc="), "{lost}");
        }
    }
}

#[test]
fn the_access_log_can_be_json() {
    let (schema, backend) = backend();
    for transom in [
        Transom::serve(&schema, &backend, &["--access-log-format", "json"]),
        Transom::configured(&schema, &backend, "access_log: { format: json }"),
    ] {
        three_calls(&transom);
        let out = transom.stop().out;
        let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!(lines.len(), 3, "{out}");
        for (line, status) in lines.iter().zip([200, 400, 404]) {
            assert_eq!((&line["status"], &line["method"]), (&json!(status), &json!("GET")), "{line}");
            assert!(line["request_id"].is_string() && line["us"].is_u64() && line["sent"].is_u64(), "{line}");
            assert!(line["peer"].as_str().is_some_and(|peer| peer.starts_with("127.0.0.1:")), "{line}");
        }
        assert_eq!((&lines[0]["rpc"], &lines[0]["code"]), (&json!("t.S/Get"), &json!("OK")));
        assert_eq!(
            (&lines[1]["reason"], &lines[1]["origin"]),
            (&json!("UNKNOWN_PARAMETER"), &json!("client"))
        );
        assert_eq!((lines[2].get("rpc"), &lines[2]["path"]), (None, &json!("/nothing\"=%0a")));
    }
}

#[test]
fn a_failed_call_says_in_the_log_what_a_client_does_not_see() {
    let (schema, backend) = backend();
    let transom = Transom::serve(&schema, &backend, &[]);
    let address = transom.address();
    let port = backend.address.port();
    drop(backend);
    until("it is noticed", || get(address, "/g").status == 503);
    let log = transom.stop().out;
    assert!(log.contains("reason=UPSTREAM_UNREACHABLE origin=backend cause="), "{port}: {log}");
}

#[test]
fn answers_without_a_body_are_whole() {
    let (schema, backend) = backend();
    let transom = Transom::serve(&schema, &backend, &[]);
    let address = transom.address();
    for (method, target, status) in [("HEAD", "/g", 200), ("HEAD", "/nothing", 404), ("OPTIONS", "/g", 204)] {
        assert_eq!(call(address, method, target, &[], b"").status, status);
    }
    let log = transom.stop().out;
    assert_eq!(log.lines().count(), 3, "{log}");
    assert!(!log.contains("aborted") && !log.contains("CANCELLED"), "{log}");
    assert_eq!(log.lines().filter(|line| line.contains(" code=OK ")).count(), 2, "{log}");
}

#[test]
fn an_abandoned_call_is_in_the_log_too() {
    let (schema, backend) = backend();
    backend.answer(Answer::Held);
    let transom = Transom::serve(&schema, &backend, &[]);
    let mut client = Http1::connect(transom.address());
    client.send(request("GET", "/g", &[], b""));
    until("the call arrives", || backend.count() == 1);
    drop(client);
    until("the backend is told", || backend.cancelled() == 1);
    let log = transom.stop().out;
    assert_eq!(log.lines().count(), 1, "{log}");
    assert!(log.contains(" rpc=t.S/Get ") && log.contains(" aborted=true "), "{log}");
}

#[test]
fn the_admin_address_tells_how_it_is() {
    let (schema, backend) = backend();
    let transom = Transom::serve(&schema, &backend, &["--admin", "127.0.0.1:0", "--access-log", "off"]);
    let (address, admin) = (transom.address(), transom.admin());
    assert_eq!(get(admin, "/healthz").assert_ok().text(), "ok\n");
    until("it is connected", || get(admin, "/readyz").status == 200);
    get(address, "/g").assert_ok();
    get(address, "/g?x=1");
    get(address, "/nothing");
    call(address, "DELETE", "/g", &[], b"");
    let reply = get(admin, "/metrics");
    assert!(
        reply.header("content-type").is_some_and(|text| text.starts_with("application/openmetrics-text"))
    );
    let metrics = reply.assert_ok().text();
    for line in [
        "transom_calls_total{rpc=\"t.S/Get\",code=\"OK\"} 1",
        "transom_calls_total{rpc=\"t.S/Get\",code=\"INVALID_ARGUMENT\"} 1",
        "transom_unrouted_requests_total{code=\"NOT_FOUND\"} 1",
        "transom_unrouted_requests_total{code=\"UNIMPLEMENTED\"} 1",
        "transom_call_duration_seconds_count{rpc=\"t.S/Get\"} 2",
        "transom_generation 1",
        "transom_panics_total 0",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line} in {metrics}");
    }
    assert!(
        metrics.contains("transom_faults_total{reason=\"UNKNOWN_PARAMETER\",origin=\"client\"} 1"),
        "{metrics}"
    );
    assert!(metrics.ends_with("# EOF\n"));
    // Nobody behind it: alive, but not ready.
    drop(backend);
    until("it is noticed", || get(admin, "/readyz").status == 503);
    get(admin, "/healthz").assert_ok();
    // The two addresses serve nothing of each other's.
    assert_eq!(get(admin, "/g").status, 404);
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(get(address, path).status, 404, "{path}");
    }
    transom.stop();
}

#[test]
fn there_is_no_admin_address_unless_it_is_asked_for() {
    let (schema, backend) = backend();
    let transom = Transom::serve(&schema, &backend, &["--access-log", "off"]);
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(get(transom.address(), path).status, 404, "{path}");
    }
    assert!(!transom.stop().err.contains("admin:"));
}

#[test]
fn two_instances_run_side_by_side() {
    let (schema, left) = backend();
    let right = Backend::start(&schema, Answer::Echo);
    let [first, second] =
        [&left, &right].map(|backend| Transom::serve(&schema, backend, &["--access-log", "off"]));
    get(first.address(), "/g").assert_ok();
    get(second.address(), "/g").assert_ok();
    get(second.address(), "/g").assert_ok();
    assert_eq!((left.take().len(), right.take().len()), (1, 2));
    first.stop();
    get(second.address(), "/g").assert_ok();
    second.stop();
}

#[test]
fn a_call_under_way_is_finished_before_the_end() {
    for signal in ["TERM", "INT"] {
        let (schema, backend) = backend();
        backend.answer(Answer::Held);
        let transom = Transom::serve(&schema, &backend, &["--admin", "127.0.0.1:0"]);
        let (address, admin) = (transom.address(), transom.admin());
        let mut idle = Http1::connect(address);
        let mut client = Http1::connect(address);
        client.send(request("GET", "/g?a=x", &[], b""));
        until("the call arrives", || backend.count() == 1);
        transom.signal(signal);
        until("nobody else is let in", || TcpStream::connect(address).is_err());
        assert!(idle.is_closed());
        // Whoever sends it traffic can see that it goes.
        let ready = get(admin, "/readyz");
        assert_eq!((ready.status, ready.text()), (503, "stopping\ngeneration 1\n"));
        get(admin, "/healthz").assert_ok();
        backend.release();
        let reply = client.reply();
        assert_eq!(reply.assert_ok().json(), json!({ "a": "x" }));
        assert!(client.is_closed());
        let ended = transom.wait();
        assert_eq!(ended.status.code(), Some(0), "{}", ended.err);
        assert_eq!(ended.out.lines().count(), 1, "its line is in the log: {}", ended.out);
    }
}

#[test]
fn the_end_does_not_wait_for_ever() {
    let (schema, backend) = backend();
    backend.answer(Answer::Held);
    let transom = Transom::configured(&schema, &backend, "drain: 100ms\naccess_log: off");
    let mut client = Http1::connect(transom.address());
    client.send(request("GET", "/g", &[], b""));
    until("the call arrives", || backend.count() == 1);
    transom.stop();
    assert!(client.read(false).is_none());
    until("the backend is told", || backend.cancelled() == 1);
}

#[test]
fn a_taken_port_is_an_error_that_says_so() {
    let (schema, backend) = backend();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("it is bound").to_string();
    for flags in [["--listen", address.as_str()], ["--admin", &address]] {
        let upstream = format!("http://{}", backend.address);
        let descriptors = schema.descriptors().display().to_string();
        let usual = ["serve", "--descriptors", &descriptors, "--upstream", &upstream];
        let listen = ["--listen", "127.0.0.1:0"];
        let listen = if flags[0] == "--listen" { &[][..] } else { &listen };
        let ended = Transom::spawn(usual.iter().chain(&flags).chain(listen)).wait();
        assert_eq!(ended.status.code(), Some(1), "{}", ended.err);
        assert!(ended.err.contains(&address) && ended.err.contains("can't be bound"), "{}", ended.err);
        assert!(!ended.err.contains("panicked"), "{}", ended.err);
    }
}
