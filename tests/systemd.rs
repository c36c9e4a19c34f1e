//! What systemd passes and hears: sockets that are open already, and how the process is.

mod support;

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use support::{Answer, Backend, Http1, Schema, Transom, get, program, request};

const PROTO: &str = r#"
syntax = "proto3";
package t;
import "google/api/annotations.proto";
message M { string a = 1; }
service S { rpc Get(M) returns (M) { option (google.api.http) = { get: "/g" }; } }
"#;

fn backend() -> (Schema, Backend) {
    let schema = Schema::new(PROTO);
    let backend = Backend::start(&schema, Answer::Echo);
    (schema, backend)
}

/// The service manager's end of what it is told.
struct Manager(UnixDatagram);

impl Manager {
    fn at(path: &Path) -> Self {
        let socket = UnixDatagram::bind(path).expect("it is bound");
        socket.set_read_timeout(Some(Duration::from_secs(20))).expect("a time-out");
        Self(socket)
    }

    /// What is told next, but for signs of life; it has to begin so.
    fn until_heard(&self, what: &str) -> String {
        loop {
            let mut bytes = [0; 512];
            let length = self.0.recv(&mut bytes).unwrap_or_else(|error| panic!("{what}: {error}"));
            let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
            if text.starts_with(what) {
                return text;
            }
            assert_eq!(text, "WATCHDOG=1\n", "instead of {what}");
        }
    }
}

fn words(schema: &Schema, backend: &Backend, listen: &str) -> String {
    let descriptors = schema.descriptors();
    format!(
        "serve --descriptors {} --upstream http://{} --listen {listen} --workers 3 --access-log off",
        descriptors.display(),
        backend.address
    )
}

/// The program with a socket that it is passed by this name, as systemd does.
fn passed(socket: TcpListener, name: &str, serve: &str) -> Transom {
    let line = format!(
        "exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES={name} exec {} {serve}",
        program()
    );
    Transom::run(
        Command::new("sh")
            .args(["-c", &line])
            .env_remove("RUST_LOG")
            .stdin(Stdio::from(OwnedFd::from(socket))),
    )
}

#[test]
fn one_socket_that_is_passed_serves_all_workers() {
    let (schema, backend) = backend();
    let socket = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = socket.local_addr().expect("it is bound");
    // One that comes before there is a process.
    let mut early = Http1::connect(address);
    early.send(request("GET", "/g?a=x", &[], b""));
    let serve = words(&schema, &backend, &address.to_string());
    let transom = passed(socket, "public", &serve);
    early.reply().assert_ok();
    assert_eq!(transom.address(), address);
    for _ in 0..30 {
        get(address, "/g?a=x").assert_ok();
    }
    let ended = transom.stop();
    assert!(!ended.err.contains("warning"), "{}", ended.err);
}

#[test]
fn a_socket_of_no_listener_is_told() {
    let (schema, backend) = backend();
    let socket = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let serve = words(&schema, &backend, "127.0.0.1:0");
    let transom = passed(socket, "other", &serve);
    get(transom.address(), "/g?a=x").assert_ok();
    let ended = transom.stop();
    assert!(ended.err.contains("that was passed (`other`) is no listener's"), "{}", ended.err);
}

#[test]
fn the_service_manager_hears_how_it_is() {
    let (schema, backend) = backend();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("notify");
    let manager = Manager::at(&path);
    let until_heard = |what: &str| manager.until_heard(what);
    let serve = words(&schema, &backend, "127.0.0.1:0");
    let mut command = Command::new(program());
    command
        .args(serve.split_ascii_whitespace())
        .stdin(Stdio::null())
        .env_remove("RUST_LOG")
        .env("NOTIFY_SOCKET", &path)
        .env("WATCHDOG_USEC", "200000");
    let transom = Transom::run(&mut command);
    let ready = until_heard("READY=1");
    assert!(ready.contains("\nMAINPID="), "{ready}");
    for _ in 0..3 {
        until_heard("WATCHDOG=1");
    }
    transom.signal("HUP");
    let reloading = until_heard("RELOADING=1");
    let micros =
        reloading.trim_end().rsplit("MONOTONIC_USEC=").next().and_then(|text| text.parse::<u64>().ok());
    assert!(micros.is_some_and(|micros| micros > 0), "{reloading}");
    until_heard("READY=1");
    transom.signal("TERM");
    until_heard("STOPPING=1");
    assert_eq!(transom.wait().status.code(), Some(0));
}

#[test]
fn the_process_that_takes_over_becomes_the_main_one() {
    let (schema, backend) = backend();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("notify");
    let manager = Manager::at(&path);
    let yaml = format!(
        "listeners: {{ public: {{ address: '127.0.0.1:0' }} }}\nschema: {{ descriptors: test.binpb }}\n\
         upstreams: {{ books: {{ endpoints: 'http://{}' }} }}\nworkers: 1\naccess_log: off\n\
         handover: ./transom.sock\n",
        backend.address
    );
    let file = schema.write("transom.yaml", &yaml);
    let start = || {
        let mut command = Command::new(program());
        command.args(["serve".as_ref(), "--config".as_ref(), file.as_os_str()]);
        Transom::run(command.stdin(Stdio::null()).env_remove("RUST_LOG").env("NOTIFY_SOCKET", &path))
    };
    let old = start();
    let first = manager.until_heard("READY=1");
    let address = old.address();
    let new = start();
    // The old one names it while the manager still takes its word, and never says that the service stops.
    let named = manager.until_heard("MAINPID=");
    let ready = manager.until_heard("READY=1");
    assert!(ready.ends_with(&named) && !first.ends_with(&named), "{first}{named}{ready}");
    assert_eq!(old.wait().status.code(), Some(0));
    get(address, "/g?a=x").assert_ok();
    new.signal("TERM");
    manager.until_heard("STOPPING=1");
    assert_eq!(new.wait().status.code(), Some(0));
}
