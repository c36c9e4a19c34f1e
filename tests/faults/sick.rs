//! Backends that are there and do badly: they hang, are slow, or fail.

use std::time::{Duration, Instant};

use crate::backend::Manner;
use crate::load::Load;
use crate::process::Process;
use crate::report::{Report, millis};
use crate::site::{DEADLINE, RETRIES, Site, main_of};
use crate::support::until;

/// One of three accepts and never answers: its calls are made elsewhere, and it is ejected.
pub fn black_hole(report: &mut Report) {
    let backends = Process::three();
    let upstream =
        main_of(&backends, "balance: round_robin, ejection: { consecutive: 3, base: 300ms, max: 1s }");
    let rules = RETRIES.replace("retries: {", "retries: { per_try_timeout: 500ms,");
    let site = Site::start(&upstream, &rules);
    site.load(|load| load.more(200));
    let before = site.held();
    let (load, (out, whole)) = site.load(|load| {
        load.more(100);
        backends[0].stop();
        let began = Instant::now();
        until("it is ejected", || site.metric("transom_upstream_ejections_total") > 0);
        let out = began.elapsed();
        load.more(600);
        backends[0].go_on();
        (out, load.answered_by(1, Instant::now()))
    });
    load.assert_none_lost();
    let whole = format!("out after {}; {} from its return to its first answer", millis(out), millis(whole));
    report.add("a black hole as one of three", &site, &load, &whole, &before);
}

/// The same without retries: calls on it fail at their deadline, until its breaker opens.
pub fn black_hole_without_retries(report: &mut Report) {
    let deadline = Duration::from_secs(1);
    let backends = Process::three();
    let breaker = "endpoint_breaker: { consecutive: 3, open: 500ms, max_open: 1s }";
    let upstream = main_of(&backends, &format!("balance: round_robin, ejection: off, {breaker}"));
    let site = Site::start(&upstream, "'*': { timeout: 1s }");
    site.load(|load| load.more(200));
    let before = site.held();
    let (load, (out, whole)) = Load::during(site.address, 'A', deadline, |load| {
        load.more(100);
        backends[0].stop();
        let began = Instant::now();
        until("its breaker opens", || site.metric("transom_upstream_breaker_openings_total") > 0);
        let out = began.elapsed();
        load.more(300);
        backends[0].go_on();
        (out, load.answered_by(1, Instant::now()))
    });
    load.assert_none_hung();
    let failures = load.failures();
    let are_deadlines =
        failures.keys().all(|kind| kind == "504 DEADLINE_EXCEEDED" || kind == "grpc-status 4");
    assert!(!failures.is_empty() && are_deadlines, "{failures:?}");
    let whole = format!("out after {}; {} from its return to its first answer", millis(out), millis(whole));
    report.add("a black hole, no retries, calls of 1 s", &site, &load, &whole, &before);
}

/// One of three becomes slow: calls move to the others.
pub fn slow(report: &mut Report) {
    let mut backends = Process::three();
    let site = Site::start(&main_of(&backends, ""), RETRIES);
    site.load(|load| load.more(200));
    let before = site.held();
    let (load, (shares, whole)) = site.load(|load| {
        load.more(600);
        let fair = load.share(1, 0);
        backends[0].tell(Manner::Slow(Duration::from_millis(50)));
        load.more(100);
        let from = load.calls();
        load.more(900);
        let avoided = load.share(1, from);
        backends[0].tell(Manner::Good);
        ((fair, avoided), load.answered_by(1, Instant::now()))
    });
    load.assert_none_lost();
    let (fair, avoided) = shares;
    assert!(avoided * 2 < fair, "it gets {avoided} % of the calls, and got {fair} %");
    let whole = format!(
        "its part fell from {fair} % to {avoided} %; {} from its recovery to its first answer",
        millis(whole)
    );
    report.add("one of three takes 50 ms a call, not 5", &site, &load, &whole, &before);
}

/// One of three fails half of its calls: it is ejected by rate, and comes back.
pub fn half_fails(report: &mut Report) {
    let mut backends = Process::three();
    let ejection = "ejection: { failures: 40%, window: 1s, min_calls: 10, base: 300ms, max: 1s }";
    let site = Site::start(&main_of(&backends, &format!("balance: round_robin, {ejection}")), RETRIES);
    site.load(|load| load.more(200));
    let before = site.held();
    let (load, (out, whole)) = Load::during(site.address, 'A', DEADLINE, |load| {
        load.more(100);
        backends[0].tell(Manner::HalfFails);
        let began = Instant::now();
        until("it is ejected", || site.metric("transom_upstream_ejections_total") > 0);
        let out = began.elapsed();
        load.more(600);
        backends[0].tell(Manner::Good);
        let over = Instant::now();
        let whole = load.answered_by(1, over);
        until("it is in again", || site.metric("transom_upstream_endpoint_ejected") == 0);
        (out, whole)
    });
    load.assert_none_lost();
    let whole = format!("out after {}; {} from its recovery to its first answer", millis(out), millis(whole));
    report.add("one of three fails half of its calls", &site, &load, &whole, &before);
}
