//! Backends whose addresses and certificates change while calls are made.

use std::fs;
use std::path::Path;
use std::time::Instant;

use crate::backend::SHOWN_NEXT;
use crate::process::Process;
use crate::report::{Report, millis};
use crate::site::{RETRIES, Site, main_of, schema};
use crate::support::{Authority, Dns, Said, Signed, until};

const NAME: &str = "books.test";

/// Backends 1, 2 and 3 at one port of 127.0.0.1, 127.0.0.2 and 127.0.0.3.
fn at_one_port() -> [Process; 3] {
    loop {
        let first = Process::start(1);
        let at = |last: u8| Process::try_start_at(last, ([127, 0, 0, last], first.address.port()).into());
        let (Some(second), Some(third)) = (at(2), at(3)) else { continue };
        return [first, second, third];
    }
}

/// A name's addresses change, its server fails in three ways, and backends that have left it are killed.
pub fn names(report: &mut Report) {
    let mut backends = at_one_port();
    let dns = Dns::start();
    dns.say_loopback(NAME, &[1, 2], 0);
    let name = format!("{NAME}:{}", backends[0].address.port());
    let upstream =
        format!("main: {{ dns: {{ name: '{name}', server: '{}', min_ttl: 100ms }} }}", dns.address);
    let site = Site::start(&upstream, RETRIES);
    site.load(|load| load.more(200));
    let before = site.held();
    let (load, whole) = site.load(|load| {
        load.more(200);
        dns.say_loopback(NAME, &[2, 3], 0);
        let came = load.answered_by(3, Instant::now());
        backends[0].kill();
        for said in [Said::ServerFailure, Said::Silence, Said::NoSuchName] {
            dns.say(NAME, said);
            let asked = dns.asked(NAME);
            until("it is asked", || dns.asked(NAME) > asked);
            load.more(200);
        }
        backends[0].restart();
        dns.say_loopback(NAME, &[1, 3], 0);
        let back = load.answered_by(1, Instant::now());
        backends[1].kill();
        load.more(200);
        came.max(back)
    });
    load.assert_none_lost();
    let whole = format!("{}: the longest from a new address to its first answer", millis(whole));
    report.add("DNS changes and fails", &site, &load, &whole, &before);
}

/// Puts a file in place in one step.
fn put(folder: &Path, name: &str, text: &str) {
    let next = folder.join("next");
    fs::write(&next, text).and_then(|()| fs::rename(&next, folder.join(name))).expect("written");
}

fn put_pair(folder: &Path, name: &str, signed: &Signed) {
    put(folder, &format!("{name}.key"), &signed.key);
    put(folder, &format!("{name}.pem"), &signed.cert);
}

/// Authority, certificates of both sides and keys are replaced by others, as one does it: roots first, old roots last.
pub fn certificates(report: &mut Report) {
    let (old, new) = (Authority::new(), Authority::new());
    let schema = schema();
    let folder = schema.folder().to_owned();
    let me = new.sign(&["gateway"]);
    put(&folder, "ca.pem", &old.pem);
    put(&folder, "next.pem", &me.cert);
    put_pair(&folder, "server", &old.sign(&["127.0.0.1"]));
    put_pair(&folder, "me", &old.sign(&["gateway"]));
    let backends =
        [1, 2, 3].map(|number| Process::start_at(number, ([127, 0, 0, 1], 0).into(), Some(&folder)));
    let tls = "balance: round_robin, tls: { ca: ca.pem, cert: me.pem, key: me.key }";
    let site = Site::start_in(schema, &main_of(&backends, tls).replace("http:", "https:"), RETRIES);
    site.load(|load| load.more(200));
    let before = site.held();
    let (load, whole) = site.load(|load| {
        load.more(100);
        put(&folder, "ca.pem", &format!("{}{}", old.pem, new.pem));
        load.more(300);
        put_pair(&folder, "server", &new.sign(&["127.0.0.1"]));
        put_pair(&folder, "me", &me);
        let since = Instant::now();
        let shown = [1, 2, 3].map(|number| load.answered_by(number + SHOWN_NEXT, since));
        put(&folder, "ca.pem", &new.pem);
        load.more(300);
        shown.into_iter().max().expect("three")
    });
    load.assert_none_lost();
    let whole = format!("{}: from new files until all three were shown them", millis(whole));
    report.add("certificates, keys and authority rotate", &site, &load, &whole, &before);
}
