//! One process takes over from another: the sockets are passed, so nobody is refused, and nothing is lost on the way.

mod support;

use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;

use support::{Answer, Backend, Http1, Schema, Transom, get, request, until};

const PROTO: &str = r#"
syntax = "proto3";
package t;
import "google/api/annotations.proto";
message M { string a = 1; }
service S {
  rpc Get(M) returns (M) { option (google.api.http) = { get: "/g" }; }
}
"#;

struct Place {
    schema: Schema,
    backend: Backend,
    file: PathBuf,
}

impl Place {
    fn new(more: &str) -> Self {
        let schema = Schema::new(PROTO);
        let backend = Backend::start(&schema, Answer::Echo);
        let yaml = format!(
            "listeners: {{ public: {{ address: '127.0.0.1:0' }} }}\nadmin: {{ address: '127.0.0.1:0' }}\n\
             schema: {{ descriptors: test.binpb }}\nupstreams: {{ books: {{ endpoints: 'http://{}' }} }}\n\
             workers: 2\naccess_log: off\n{more}\n",
            backend.address
        );
        let file = schema.write("transom.yaml", &yaml);
        Self { schema, backend, file }
    }

    fn serve(&self) -> Transom {
        Transom::spawn(["serve".as_ref(), "--config".as_ref(), self.file.as_os_str()])
    }
}

/// What clients have met.
#[derive(Default)]
struct Tally {
    stop: AtomicBool,
    answers: AtomicUsize,
    connections: AtomicUsize,
    failures: std::sync::Mutex<Vec<String>>,
}

impl Tally {
    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }

    fn failed(&self, what: String) {
        self.failures.lock().expect("no panics").push(what);
    }
}

/// Asks again and again on one connection, until an answer says that it is the last.
fn keeps(address: SocketAddr, tally: &Tally) {
    while tally.goes_on() {
        if TcpStream::connect(address).is_err() {
            tally.failed("a connection is refused".to_owned());
            continue;
        }
        let mut client = Http1::connect(address);
        tally.connections.fetch_add(1, Ordering::Relaxed);
        while tally.goes_on() {
            let sent = client.try_send(request("GET", "/g?a=x", &[], b""));
            let Some(reply) = sent.then(|| client.read(false)).flatten() else {
                tally.failed("a connection ended instead of an answer".to_owned());
                break;
            };
            if reply.status != 200 {
                tally.failed(format!("{}: {}", reply.status, reply.text()));
            }
            tally.answers.fetch_add(1, Ordering::Relaxed);
            if reply.header("connection") == Some("close") {
                break;
            }
        }
    }
}

/// One connection for each request.
fn comes_once(address: SocketAddr, tally: &Tally) {
    while tally.goes_on() {
        let mut client = Http1::connect(address);
        tally.connections.fetch_add(1, Ordering::Relaxed);
        client.send(request("GET", "/g?a=x", &[("connection", "close")], b""));
        match client.read(false) {
            Some(reply) if reply.status == 200 => drop(tally.answers.fetch_add(1, Ordering::Relaxed)),
            other => tally.failed(format!("{:?}", other.map(|reply| reply.status))),
        }
    }
}

/// Asks again and again on one connection of HTTP/2, until that takes no more.
fn streams(address: SocketAddr, tally: &Tally) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        while tally.goes_on() {
            let Ok(stream) = tokio::net::TcpStream::connect(address).await else {
                tally.failed("a connection is refused".to_owned());
                continue;
            };
            let (mut send, connection) = h2::client::handshake(stream).await.expect("HTTP/2 is spoken");
            tokio::spawn(connection);
            tally.connections.fetch_add(1, Ordering::Relaxed);
            while tally.goes_on() {
                // A connection that goes away takes no new request; it was told in time.
                let Ok(mut ready) = send.ready().await else { break };
                let request =
                    http::Request::get(format!("http://{address}/g?a=x")).body(()).expect("a request");
                let Ok((response, _)) = ready.send_request(request, true) else { break };
                send = ready;
                match response.await {
                    Ok(response) if response.status() == 200 => {
                        let mut body = response.into_body();
                        while let Some(data) = body.data().await {
                            if let Err(error) = data {
                                tally.failed(format!("a body: {error}"));
                            }
                        }
                        tally.answers.fetch_add(1, Ordering::Relaxed);
                    }
                    other => tally.failed(format!("{other:?}")),
                }
            }
        }
    });
}

#[test]
fn ten_processes_in_a_row_lose_nothing() {
    let place = Place::new("handover: ./transom.sock");
    let mut serving = place.serve();
    let address = serving.address();
    until("it serves", || get(serving.admin(), "/readyz").status == 200);
    let tally = Arc::new(Tally::default());
    let clients: [fn(SocketAddr, &Tally); 4] = [keeps, keeps, comes_once, streams];
    let clients: Vec<JoinHandle<()>> = (clients.into_iter())
        .map(|client| {
            let tally = Arc::clone(&tally);
            std::thread::spawn(move || client(address, &tally))
        })
        .collect();
    let mut gone = Vec::new();
    for number in 0..10 {
        let before = tally.answers.load(Ordering::Relaxed);
        let next = place.serve();
        assert_eq!(next.address(), address, "{number}: it has the same port");
        until("it answers", || tally.answers.load(Ordering::Relaxed) > before + 200);
        gone.push(std::mem::replace(&mut serving, next));
    }
    for (number, old) in gone.into_iter().enumerate() {
        let ended = old.wait();
        assert_eq!(ended.status.code(), Some(0), "{number}: {}", ended.err);
        assert!(ended.err.contains("another process serves now"), "{number}: {}", ended.err);
        assert!(!ended.err.contains("cut off"), "{number}: {}", ended.err);
    }
    // Its predecessors are gone, so nobody else answers at its admin address.
    assert_eq!(get(serving.admin(), "/healthz").status, 200);
    tally.stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.join().expect("no panics");
    }
    let failures = tally.failures.lock().expect("no panics");
    let (answers, connections) = (&tally.answers, &tally.connections);
    eprintln!(
        "10 handovers: {answers:?} answers on {connections:?} connections, {} failures",
        failures.len()
    );
    assert!(failures.is_empty(), "{failures:?}");
    let path = place.schema.folder().join("transom.sock");
    assert!(path.exists());
    serving.stop();
    assert!(!path.exists(), "the last one takes its path away");
    drop(place.backend);
}

#[test]
fn one_that_can_not_serve_changes_nothing() {
    let place = Place::new("handover: ./transom.sock");
    let serving = place.serve();
    let address = serving.address();
    let good = std::fs::read_to_string(&place.file).expect("it is there");
    // One is wrong before it asks, one has the sockets already.
    for bad in [
        "listenrs: {}\n",
        "listeners: { public: { address: '127.0.0.1:0' }, other: { address: '192.0.2.1:1' } }\n",
    ] {
        let text = good.replace("listeners: { public: { address: '127.0.0.1:0' } }\n", bad);
        let file = place.schema.write("bad.yaml", &text);
        let ended = Transom::spawn(["serve".as_ref(), "--config".as_ref(), file.as_os_str()]).wait();
        assert_eq!(ended.status.code(), Some(1), "{}", ended.err);
        for _ in 0..20 {
            get(address, "/g?a=x").assert_ok();
        }
    }
    // And it can still be replaced.
    let next = place.serve();
    assert_eq!(next.address(), address);
    assert_eq!(serving.wait().status.code(), Some(0));
    get(address, "/g?a=x").assert_ok();
    next.stop();
}

#[test]
fn calls_under_way_end_where_they_began() {
    let place = Place::new("handover: ./transom.sock\ndrain: 300s");
    place.backend.answer(Answer::Held);
    let serving = place.serve();
    let address = serving.address();
    let mut client = Http1::connect(address);
    client.send(request("GET", "/g?a=x", &[], b""));
    until("the call arrives", || place.backend.count() == 1);
    let next = place.serve();
    assert_eq!(next.address(), address);
    until("it is told", || serving.said().contains("another process serves now"));
    place.backend.release();
    client.reply().assert_ok();
    assert_eq!(serving.wait().status.code(), Some(0));
    next.stop();
}

#[test]
fn a_signal_starts_the_program_again() {
    let place = Place::new("handover: ./transom.sock");
    let serving = place.serve();
    let address = serving.address();
    serving.signal("USR2");
    // Its child has taken over, and writes to the same pipe.
    until("another one serves", || serving.said().matches("transom 0").count() == 2);
    get(address, "/g?a=x").assert_ok();
    let said = serving.said();
    let pid = said.split("pid=").nth(1).and_then(|rest| rest.split_whitespace().next()).expect("its number");
    let pid: u32 = pid.trim_matches(|c: char| !c.is_ascii_digit()).parse().expect("a number");
    let status = std::process::Command::new("kill").args(["-s", "TERM", &pid.to_string()]).status();
    assert!(status.expect("there is a kill").success());
    assert_eq!(serving.wait().status.code(), Some(0));
    until("both are gone", || TcpStream::connect(address).is_err());
}

#[test]
fn sockets_of_others_are_left_alone() {
    let place = Place::new("handover: ./taken");
    place.schema.write("taken", "a file");
    let ended = place.serve().wait();
    assert_eq!(ended.status.code(), Some(1));
    assert!(ended.err.contains("is there, and is no socket"), "{}", ended.err);
}
