//! What loading a large schema again costs the calls that are under way: one client calls again and again, in turns while
//! nothing happens and while the schema is compiled and swapped.
//!
//! `cargo bench --bench reload [-- SERVICES]`; the default is 1000 services of 10 methods and 10 messages of 20 fields each.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use transom::config;
use transom::server::{Running, start};

/// How long each turn lasts in which nothing happens.
const QUIET: Duration = Duration::from_secs(2);
const TURNS: usize = 5;

fn main() {
    let services = std::env::args().filter_map(|arg| arg.parse().ok()).next().unwrap_or(1000);
    let folder = tempfile::tempdir().unwrap();
    write_schema(folder.path(), services);
    let yaml = "listeners: { a: { address: '127.0.0.1:0' } }\nschema: { descriptors: large.binpb }\n\
                upstreams: { a: { endpoints: ['http://127.0.0.1:1'] } }\naccess_log: off\nworkers: 1\n";
    let (settings, _) = config::parse(yaml, &folder.path().join("transom.yaml")).unwrap();
    let (running, _) = start(&settings).unwrap_or_else(|problems| panic!("{problems}"));
    println!("{services} services, {} methods, one worker", running.snapshot().methods());

    let mut client = Client::connect(running.listeners()[0].1);
    client.calls(|_, began| began.elapsed() < QUIET);
    let (mut quiet, mut busy, mut reloads) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..TURNS {
        quiet.extend(client.calls(|_, began| began.elapsed() < QUIET));
        let began = Instant::now();
        busy.extend(client.calls(until_reloaded(&running)));
        reloads.push(began.elapsed());
        // Whatever is freed later is part of it.
        busy.extend(client.calls(|_, began| began.elapsed() < Duration::from_millis(500)));
    }
    print("quiet", quiet);
    print("reloading", busy);
    println!("a reload took {:.0?} on average", reloads.iter().sum::<Duration>() / TURNS as u32);
    running.stop();
}

/// Begins a reload, and goes on until it is in force.
fn until_reloaded(running: &Running) -> impl FnMut(usize, Instant) -> bool {
    let before = running.snapshot().generation();
    running.reload();
    move |_, _| running.snapshot().generation() == before
}

fn print(what: &str, mut took: Vec<Duration>) {
    took.sort_unstable();
    let at = |share: f64| took[((took.len() - 1) as f64 * share) as usize];
    println!(
        "{what:>10}: {:>7} calls, median {:>9.1?}, 99 % {:>9.1?}, 99.9 % {:>9.1?}, longest {:>9.1?}",
        took.len(),
        at(0.5),
        at(0.99),
        at(0.999),
        at(1.0)
    );
}

/// One connection of HTTP/1.1.
struct Client(TcpStream);

impl Client {
    fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(stream)
    }

    /// Calls for as long as `goes_on`, with the number of the call and the time of the first; gives how long each took.
    /// Each is resolved and has its message read, which is refused then, so that no backend is a part of it.
    fn calls(&mut self, mut goes_on: impl FnMut(usize, Instant) -> bool) -> Vec<Duration> {
        const CALL: &[u8] = b"POST /large.S0.S/M0 HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n\
                              connect-protocol-version: 1\r\ncontent-length: 10\r\n\r\n{\"f0\":\"\"]}";
        let (began, mut took) = (Instant::now(), Vec::new());
        let mut buffer = [0; 4096];
        while goes_on(took.len(), began) {
            let start = Instant::now();
            self.0.write_all(CALL).unwrap();
            let length = self.0.read(&mut buffer).unwrap();
            took.push(start.elapsed());
            assert!(buffer[..length].starts_with(b"HTTP/1.1 400"), "{:?}", &buffer[..length]);
        }
        took
    }
}

fn write_schema(folder: &Path, services: usize) {
    for service in 0..services {
        let mut proto = format!("syntax = \"proto3\";\npackage large.S{service};\n");
        for message in 0..10 {
            writeln!(proto, "message M{message} {{").unwrap();
            for field in 0..20 {
                let kind = ["string", "int64", "bytes", "double"][field % 4];
                writeln!(proto, "  {kind} f{field} = {};", field + 1).unwrap();
            }
            proto.push_str("}\n");
        }
        proto.push_str("service S {\n");
        for method in 0..10 {
            writeln!(proto, "  rpc M{method}(M{method}) returns (M{});", (method + 1) % 10).unwrap();
        }
        proto.push_str("}\n");
        std::fs::write(folder.join(format!("s{service}.proto")), proto).unwrap();
    }
    let mut compiler = protox::Compiler::new([folder]).unwrap();
    for service in 0..services {
        compiler.open_file(format!("s{service}.proto")).unwrap();
    }
    std::fs::write(folder.join("large.binpb"), compiler.encode_file_descriptor_set()).unwrap();
}
