//! Two upstreams behind one gateway: what happens to the one is nothing to the other.

use std::time::{Duration, Instant};

use crate::backend::Manner;
use crate::load::Load;
use crate::process::Process;
use crate::report::{Report, millis};
use crate::site::{DEADLINE, Site};
use crate::support::until;

/// Calls of the healthy one in each phase.
const CALLS: usize = 500;

/// The sick one is killed, stopped, and fails half of its calls, under load on both.
pub fn beside(report: &mut Report) {
    let [well, mut sick] = [1, 2].map(Process::start);
    let upstreams = [("well", &well), ("sick", &sick)]
        .map(|(name, backend)| format!("{name}: {{ endpoints: 'http://{}' }}", backend.address));
    let rules = "'t.A/*': { upstream: well, timeout: 5s }, 't.B/*': { upstream: sick, timeout: 1s }";
    let site = Site::start(&upstreams.join(", "), rules);
    site.load(|load| load.more(200));
    let before = site.held();
    let (load, (other, phases)) = site.load(|load| {
        Load::during(site.address, 'B', Duration::from_secs(1), |other| {
            let phase = || {
                let began = Instant::now();
                load.more(CALLS);
                load.percentiles(began, Instant::now())
            };
            let up = phase();
            sick.kill();
            let killed = phase();
            sick.restart();
            other.answered_by(2, Instant::now());
            sick.tell(Manner::HalfFails);
            let failing = phase();
            sick.tell(Manner::Good);
            sick.stop();
            let stopped = phase();
            until("its calls reach their deadline", || other.failures().contains_key("grpc-status 4"));
            sick.go_on();
            other.answered_by(2, Instant::now());
            let again = phase();
            [
                ("up", up),
                ("killed", killed),
                ("failing half", failing),
                ("stopped", stopped),
                ("up again", again),
            ]
        })
    });
    load.assert_none_lost();
    other.assert_none_hung();
    assert!(!other.failures().is_empty(), "the other one was down");
    let up = phases[0].1;
    let whole: Vec<_> = phases
        .iter()
        .map(|(name, (median, most))| {
            let ratio = |now: &Duration, then: Duration| now.as_secs_f64() / then.as_secs_f64();
            let (p50, p99) = (millis(*median), millis(*most));
            format!("{name}: p50 {p50} ({:.2}), p99 {p99} ({:.2})", ratio(median, up.0), ratio(most, up.1))
        })
        .collect();
    let scenario = format!("a healthy upstream beside a sick one (deadline {} s)", DEADLINE.as_secs());
    report.add(&scenario, &site, &load, &whole.join("; "), &before);
    report.add("the sick one itself, calls of 1 s", &site, &other, "", &before);
}
