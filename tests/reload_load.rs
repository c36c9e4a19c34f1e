//! Reloads under load: clients of HTTP/1.1 and HTTP/2 call without a pause while descriptors, rules and upstreams change
//! two hundred times, and none of their calls fails.
#![allow(clippy::print_stdout)]

mod support;

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use support::{Answer, Backend, Gateway, Http1, Http2, Schema, frame, request};

const RELOADS: u64 = 200;

const PROTO: &str = r#"
syntax = "proto3";
package t;
import "google/api/annotations.proto";
message M { string a = 1; }
service S { rpc Get(M) returns (M) { option (google.api.http) = { get: "/g" }; } }
"#;

/// Puts a file in place in one step.
fn put(path: &Path, text: impl AsRef<[u8]>) {
    let next = path.with_extension("next");
    fs::write(&next, text).and_then(|()| fs::rename(&next, path)).expect("the file is written");
}

/// The configuration of a round: which upstreams there are, which one is called, and what else rules say.
fn text(round: u64, backends: &[Backend; 2]) -> String {
    let [first, second] = backends;
    let other = match round % 3 {
        0 => String::new(),
        // The same backend by another name is another upstream.
        1 => format!(", other: {{ endpoints: ['http://{}'] }}", second.address),
        _ => format!(", other: {{ endpoints: ['http://{}'], connections: 2 }}", second.address),
    };
    let upstream = if other.is_empty() || round.is_multiple_of(2) { "main" } else { "other" };
    format!(
        "listeners: {{ a: {{ address: '127.0.0.1:0', limits: {{ body: {}KiB }} }} }}\n\
         schema: {{ descriptors: set.binpb }}\n\
         upstreams: {{ main: {{ endpoints: ['http://{}'] }}{other} }}\n\
         rules: {{ '*': {{ upstream: {upstream}, timeout: {}s }} }}\n\
         admin: {{ address: '127.0.0.1:0' }}\naccess_log: off\nworkers: 2\ndrain: 5s\nreload: {{ watch: false }}\n",
        round % 7 + 1,
        first.address,
        round % 11 + 10,
    )
}

#[test]
fn two_hundred_reloads_cost_no_request() {
    let schemas = [PROTO.to_owned(), PROTO.replace("service S {", "service S { rpc New(M) returns (M);")];
    let schemas = schemas.map(|proto| Schema::new(&proto));
    let sets = schemas.each_ref().map(|schema| fs::read(schema.descriptors()).expect("a descriptor set"));
    let backends = [Answer::Echo, Answer::Echo].map(|answer| Backend::start(&schemas[1], answer));
    let folder = schemas[0].folder();
    put(&folder.join("set.binpb"), &sets[0]);
    let path = folder.join("transom.yaml");
    put(&path, text(0, &backends));
    let gateway = Gateway::from_file(&path);
    let (address, is_over, calls) = (gateway.address, AtomicBool::new(false), AtomicUsize::new(0));
    let goes_on = &|| !is_over.load(Ordering::Relaxed);
    thread::scope(|scope| {
        let over = Over(&is_over);
        let mut clients = Vec::new();
        for keeps in [true, true, false] {
            clients.push(scope.spawn(move || {
                let mut client = Http1::connect(address);
                let (mut count, mut failed) = (0, Vec::new());
                while goes_on() {
                    if !keeps {
                        client = Http1::connect(address);
                    }
                    client.send(request("GET", "/g?a=x", &[], b""));
                    let reply = client.read(false);
                    count += 1;
                    if reply.as_ref().is_none_or(|reply| reply.body != b"{\"a\":\"x\"}") {
                        failed.push(format!("{reply:?}"));
                        client = Http1::connect(address);
                    }
                }
                (count, failed)
            }));
        }
        clients.push(scope.spawn(move || {
            let mut client = Http2::connect(address);
            let (mut count, mut failed) = (0, Vec::new());
            let headers = [("content-type", "application/grpc"), ("te", "trailers")];
            let message = frame(b"\x0a\x01x");
            while goes_on() {
                let mut begun = Vec::new();
                for _ in 0..8 {
                    let (response, mut stream) = client.begin("POST", "/t.S/Get", &headers, false);
                    assert!(client.send(&mut stream, &message, true));
                    begun.push(response);
                }
                for response in begun {
                    let reply = client.end(response);
                    count += 1;
                    let is_good = reply.as_ref().is_ok_and(|reply| {
                        reply.body == message
                            && reply.trailers.get("grpc-status").is_some_and(|status| status == "0")
                    });
                    if !is_good {
                        failed.push(format!("{reply:?}"));
                    }
                }
            }
            (count, failed)
        }));
        for round in 1..=RELOADS {
            put(&folder.join("set.binpb"), &sets[usize::from(round % 4 < 2)]);
            put(&path, text(round, &backends));
            gateway.running().reload();
            gateway.await_generation(round);
        }
        drop(over);
        for client in clients {
            let (count, failed) = client.join().expect("the client did not panic");
            assert!(failed.is_empty(), "{} of {count} calls failed, such as {}", failed.len(), failed[0]);
            assert!(count > 0);
            calls.fetch_add(count, Ordering::Relaxed);
        }
    });
    assert_eq!(gateway.running().snapshot().generation(), RELOADS + 1);
    assert_eq!(gateway.metric("transom_reloads_total{result=\"refused\"}"), 0);
    println!("{} calls, {RELOADS} reloads, no failure", calls.into_inner());
}

/// Lets clients end, whatever becomes of the test.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
