//! Two hundred reloads leave nothing behind: memory, threads, tasks and sockets of the program are where they were after
//! ten.
#![allow(clippy::print_stdout)]

mod support;

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use support::{Answer, Backend, Http1, Schema, frame, get, metric, until};

const SERVICES: usize = 25;
const FIRST: u64 = 10;
const RELOADS: u64 = 200;
/// How much of what a schema takes an allocator may hold back for later.
const NOISE: u64 = 16 << 20;

/// A large schema; `version` changes every message.
fn proto(version: &str) -> String {
    let mut proto = "syntax = \"proto3\";\npackage large;\n".to_owned();
    for service in 0..SERVICES {
        for message in 0..5 {
            writeln!(proto, "message M{service}x{message} {{").expect("text");
            for field in 0..10 {
                let kind = ["string", "int64", "bytes", "double"][field % 4];
                writeln!(proto, "  {kind} f{version}{field} = {};", field + 1).expect("text");
            }
            proto.push_str("}\n");
        }
        writeln!(proto, "service S{service} {{").expect("text");
        for method in 0..10 {
            let message = method % 5;
            let stream = if method == 0 { "stream " } else { "" };
            writeln!(proto, "  rpc M{method}(M{service}x{message}) returns ({stream}M{service}x{message});")
                .expect("text");
        }
        proto.push_str("}\n");
    }
    proto
}

/// The running program.
struct Transom(Child);

impl Transom {
    fn status(&self, key: &str) -> u64 {
        let status = fs::read_to_string(self.folder().join("status")).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix(key)).expect("it is told");
        line.split_ascii_whitespace().next().and_then(|number| number.parse().ok()).expect("a number")
    }

    fn folder(&self) -> PathBuf {
        Path::new("/proc").join(self.0.id().to_string())
    }

    fn open_files(&self) -> usize {
        fs::read_dir(self.folder().join("fd")).expect("it runs").count()
    }
}

impl Drop for Transom {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What the program has.
#[derive(Debug)]
struct Held {
    bytes: u64,
    threads: u64,
    files: usize,
    tasks: usize,
}

#[test]
fn two_hundred_reloads_leave_nothing_behind() {
    if !Path::new("/proc/self/status").exists() {
        assert!(std::env::var_os("CI").is_none(), "there is no /proc");
        println!("skipped: there is no /proc");
        return;
    }
    let schemas = ["a", "b"].map(|version| Schema::new(&proto(version)));
    let sets = schemas.each_ref().map(|schema| fs::read(schema.descriptors()).expect("a descriptor set"));
    let backend = Backend::start(&schemas[0], Answer::Echo);
    let folder = schemas[0].folder();
    let [address, admin] = [(); 2].map(|()| {
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        free.local_addr().expect("it has an address")
    });
    let configure = |round: u64| {
        let text = format!(
            "listeners: {{ a: {{ address: '{address}', limits: {{ body: {}KiB }} }} }}\n\
             schema: {{ descriptors: set.binpb, default_bindings: true }}\n\
             upstreams: {{ main: {{ endpoints: ['http://{}'], connections: {} }} }}\n\
             rules: {{ '*': {{ limits: [{{ rate: {}/s, burst: 100000, key: address }}], addresses: {{ deny: [10.0.0.{}] }} }} }}\n\
             admin: {{ address: '{admin}' }}\naccess_log: ./access.log\nworkers: 2\nreload: {{ interval: 100ms }}\n",
            round % 5 + 1,
            backend.address,
            round % 2 + 1,
            round % 9 + 100_000,
            round % 250,
        );
        for (name, bytes) in
            [("set.binpb", &sets[usize::from(round.is_multiple_of(2))]), ("transom.yaml", &text.into_bytes())]
        {
            let next = folder.join("next");
            fs::write(&next, bytes).and_then(|()| fs::rename(&next, folder.join(name))).expect("written");
        }
    };
    configure(0);
    let transom = Command::new(env!("CARGO_BIN_EXE_transom"))
        .args(["serve", "--config"])
        .arg(folder.join("transom.yaml"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map(Transom)
        .expect("the program starts");
    until("it is ready", || {
        std::net::TcpStream::connect(admin).is_ok() && get(admin, "/readyz").status == 200
    });
    let generation = || metric(get(admin, "/metrics").text(), "transom_generation");
    // Clients that do nothing must keep nothing.
    let _idle: Vec<Http1> = (0..20)
        .map(|_| {
            let mut client = Http1::connect(address);
            client.send(support::request(
                "POST",
                "/large.S0/M1",
                &[("content-type", "application/json")],
                b"{}",
            ));
            client.reply().assert_ok();
            client
        })
        .collect();
    let held = || {
        // Calls and connections of what was replaced have to end first.
        std::thread::sleep(std::time::Duration::from_secs(1));
        Held {
            bytes: transom.status("VmRSS:") << 10,
            threads: transom.status("Threads:"),
            files: transom.open_files(),
            tasks: metric(get(admin, "/metrics").text(), "transom_tasks"),
        }
    };
    let mut after_first = None;
    for round in 1..=RELOADS {
        let before = generation();
        configure(round);
        let told = Command::new("kill").args(["-s", "HUP", &transom.0.id().to_string()]).status();
        assert!(told.expect("there is a kill").success());
        until("it is in force", || generation() > before);
        let headers = [("content-type", "application/grpc-web+proto")];
        support::call(address, "POST", "/large.S1/M1", &headers, &frame(b"")).assert_ok();
        if round == FIRST {
            after_first = Some(held());
        }
    }
    let (first, last) = (after_first.expect("there were more"), held());
    println!("after {FIRST} reloads {first:?}, after {RELOADS} {last:?}");
    assert!(last.bytes <= first.bytes + first.bytes / 4 + NOISE, "{first:?} {last:?}");
    assert_eq!(last.threads, first.threads);
    assert!(last.files <= first.files + 4, "{first:?} {last:?}");
    assert!(last.tasks <= first.tasks + 4, "{first:?} {last:?}");
}
