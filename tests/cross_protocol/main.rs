//! The same calls by every protocol of clients, codec, version of HTTP and coding mean the same.
//!
//! A call is one entry of `table`, a protocol one `Form`. What a protocol can't express is named with its reason in
//! `client`, and told at the end.

#[path = "../support/mod.rs"]
mod support;

mod client;
mod coding;
mod connect;
mod framed;
mod outcome;
mod rest;
mod session;
mod site;
mod table;
mod websocket;
mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;

use client::Client;
use site::Site;
use table::Trailers;

/// Most of a run is waiting, for deadlines above all.
const THREADS: usize = 8;

#[derive(Default)]
struct Report {
    ran: BTreeMap<String, usize>,
    left_out: BTreeSet<(String, String, &'static str)>,
    wrong: Vec<String>,
}

#[test]
fn every_call_means_the_same_by_every_protocol() {
    let clients = Mutex::new(client::all());
    let report = Mutex::new(Report::default());
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let next = clients.lock().expect("no panics").pop();
                    let Some(client) = next else { return };
                    run(client, &report);
                }
            });
        }
    });
    let report = report.into_inner().expect("no panics");
    for (client, call, reason) in &report.left_out {
        eprintln!("left out: {call} by {client}: {reason}");
    }
    assert!(report.wrong.is_empty(), "{} differ:\n{}", report.wrong.len(), report.wrong.join("\n"));
    // Each protocol has shown something, and each call was made by someone.
    for name in client::names() {
        assert!(report.ran.contains_key(name), "{name}");
    }
    for call in table::ALL.iter() {
        assert!(report.ran.get(call.name).is_some_and(|count| *count > 1), "{}", call.name);
    }
}

/// Makes every call of the table by one client.
fn run(client: Client, report: &Mutex<Report>) {
    let mut site = None;
    for call in table::ALL.iter() {
        if let Some(reason) = client.cannot(call) {
            let left_out = (client.to_string(), call.name.to_owned(), reason);
            report.lock().expect("no panics").left_out.insert(left_out);
            continue;
        }
        let played = site.take().unwrap_or_else(Site::new);
        let result = catch_unwind(AssertUnwindSafe(|| call.play(client, &played)));
        let mut report = report.lock().expect("no panics");
        match result {
            Ok(()) => {
                if let Trailers::Nowhere(reason) = client.places_trailers(call) {
                    let left_out = (client.to_string(), format!("trailers of {}", call.name), reason);
                    report.left_out.insert(left_out);
                }
                *report.ran.entry(client.protocol.name().to_owned()).or_default() += 1;
                *report.ran.entry(call.name.to_owned()).or_default() += 1;
                site = Some(played);
            }
            // The rest is tried with a backend that knows nothing of this.
            Err(why) => {
                let why =
                    why.downcast_ref::<String>().map(String::as_str).or(why.downcast_ref::<&str>().copied());
                let why = why.unwrap_or("a panic");
                report.wrong.push(format!("{} by {client}: {why}", call.name));
            }
        }
    }
}
