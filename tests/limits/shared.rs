//! Limits that gateways share by a Redis server, under load, and while it is away.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use crate::redis::Redis;
use crate::support::{Answer, Backend, Choices, Gateway, Http1, Schema, get, request, until};

const PROTO: &str = r#"
syntax = "proto3";
package t;
import "google/api/annotations.proto";
message M { string a = 1; }
service S {
  rpc Get(M) returns (M) { option (google.api.http) = { get: "/g" }; }
}
"#;

struct Pair {
    // In the order in which they are dropped.
    gateways: Vec<Gateway>,
    _backend: Backend,
    _schema: Schema,
}

impl Pair {
    fn start(redis: SocketAddr, redis_keys: &str, limits: &str) -> Self {
        let schema = Schema::new(PROTO);
        let backend = Backend::start(&schema, Answer::Echo);
        // Long enough for a loaded machine.
        let timeout = if redis_keys.contains("timeout") { "" } else { "timeout: 2s," };
        let more = format!(
            "admin: {{ address: '127.0.0.1:0' }}\n\
             rate_limits: {{ redis: {{ url: 'redis://{redis}', {timeout} {redis_keys} }} }}\n\
             rules:\n  t.S/*: {{ limits: [{limits}] }}\n"
        );
        let yaml = Choices { more: &more, ..Choices::default() }.yaml(&schema, backend.address);
        // Two workers each, so that their connections differ as well.
        let yaml = yaml.replace("workers: 1", "workers: 2");
        let gateways = (0..2).map(|_| Gateway::start(&yaml, schema.folder())).collect();
        Self { gateways, _backend: backend, _schema: schema }
    }

    fn status(&self, gateway: usize) -> u16 {
        get(self.gateways[gateway].address, "/g").status
    }

    fn alone(&self) -> u64 {
        let name = |limit: &str| {
            format!("transom_limit_decisions_total{{rule=\"t.S/* {limit}\",result=\"unshared\"}}")
        };
        self.gateways.iter().map(|gateway| gateway.metric(&name("shared"))).sum()
    }
}

/// Calls as fast as one connection goes, until the time is over; how many passed, and how many there were.
fn press(address: SocketAddr, until: Instant) -> (u64, u64) {
    let mut client = Http1::connect(address);
    let (mut passed, mut all) = (0, 0);
    while Instant::now() < until {
        client.send(request("GET", "/g", &[], b""));
        let status = client.reply().status;
        assert!(matches!(status, 200 | 429), "{status}");
        passed += u64::from(status == 200);
        all += 1;
    }
    (passed, all)
}

#[test]
fn two_gateways_let_through_what_one_limit_allows_and_no_more() {
    let Some(redis) = Redis::start() else { return };
    let (rate, burst) = (50, 20);
    let pair = Pair::start(
        redis.address,
        "",
        &format!("{{ rate: {rate}/s, burst: {burst}, key: global, name: shared }}"),
    );
    let before = Instant::now();
    // A first call, so that the script is known and all are connected.
    assert_eq!(pair.status(0), 200);
    let began = Instant::now();
    let end = began + Duration::from_secs(4);
    let threads: Vec<_> = (0..6)
        .map(|number| {
            let address = pair.gateways[number % 2].address;
            thread::spawn(move || press(address, end))
        })
        .collect();
    let (mut passed, mut all) = (1, 1);
    for thread in threads {
        let (more, of) = thread.join().expect("it presses");
        passed += more;
        all += of;
    }
    let (least, most) = (began.elapsed(), before.elapsed());
    assert_eq!(pair.alone(), 0, "all was decided together");
    let allowed = burst as f64 + f64::from(rate) * most.as_secs_f64();
    assert!(passed as f64 <= allowed, "{passed} of {all} passed, {allowed} are allowed");
    // The pressure was there all the time: hardly any of what was allowed was left.
    let wanted = f64::from(burst - 1) + f64::from(rate) * (least.as_secs_f64() - 1.0);
    assert!(
        all > 2 * passed && passed as f64 >= wanted,
        "{passed} of {all} passed, at least {wanted} should"
    );
}

#[test]
fn quotas_and_costs_are_shared_and_a_refusal_takes_nothing() {
    let Some(redis) = Redis::start() else { return };
    let pair = Pair::start(
        redis.address,
        "",
        "{ quota: 4/day, key: global }, { rate: 100/59m, key: global }, { rate: 3/59m, key: address }",
    );
    for number in 0..3 {
        assert_eq!(pair.status(number % 2), 200);
    }
    for number in 0..10 {
        let reply = get(pair.gateways[number % 2].address, "/g");
        reply.assert_fault(429, "RATE_LIMITED", None);
        let told = reply.header("ratelimit").unwrap();
        assert!(told.contains("\"4/day\";r=1;") && told.contains("\"100/59m\";r=97;"), "{told}");
    }
    let keys = redis.ask("KEYS transom:*").unwrap();
    assert_eq!(keys.matches("transom:").count(), 3, "{keys}");
    assert!(!keys.contains("127.0.0.1"), "who calls is nobody's business: {keys}");
    for key in keys.lines().filter(|line| line.starts_with("transom:")) {
        let left: i64 =
            redis.ask(&format!("PTTL {key}")).unwrap().lines().next().unwrap()[1..].parse().unwrap();
        assert!(left > 0, "each key is forgotten by itself");
    }
}

/// The server is killed and comes back: what holds meanwhile is as configured, and then the limit is shared again.
fn outage(redis_keys: &str, limit: &str, meanwhile: impl Fn(&Pair)) {
    let Some(mut redis) = Redis::start() else { return };
    let pair = Pair::start(redis.address, redis_keys, limit);
    assert_eq!((pair.status(0), pair.status(1)), (200, 200));
    assert_eq!(pair.alone(), 0);
    redis.kill();
    meanwhile(&pair);
    assert!(pair.alone() > 0);
    redis.run();
    // Each worker finds out for itself.
    let mut last = pair.alone();
    let mut same = 0;
    until("both are back", || {
        pair.status(0);
        pair.status(1);
        let now = pair.alone();
        same = if now == last { same + 1 } else { 0 };
        last = now;
        same == 20
    });
    // What was counted is gone with the server, so that a fresh burst is shared by both.
    redis.ask("FLUSHALL");
    let passed = (0..40).filter(|number| pair.status(number % 2) == 200).count();
    assert_eq!((passed, pair.alone()), (4, last));
}

#[test]
fn without_the_server_each_gateway_counts_for_itself() {
    outage("on_failure: local", "{ rate: 4/59m, key: global, name: shared }", |pair| {
        for gateway in 0..2 {
            let passed = (0..30).filter(|_| pair.status(gateway) == 200).count();
            assert_eq!(passed, 4, "gateway {gateway}");
        }
    });
}

#[test]
fn without_the_server_all_may_pass() {
    outage("on_failure: allow", "{ rate: 4/59m, key: global, name: shared }", |pair| {
        assert!((0..30).all(|number| pair.status(number % 2) == 200));
    });
}

#[test]
fn without_the_server_all_may_be_refused() {
    outage("on_failure: refuse", "{ rate: 4/59m, key: global, name: shared }", |pair| {
        for number in 0..30 {
            let reply = get(pair.gateways[number % 2].address, "/g");
            reply.assert_fault(503, "LIMITS_UNAVAILABLE", None);
            assert_eq!(reply.header("retry-after"), None);
        }
    });
}

#[test]
fn a_server_that_says_nothing_is_as_one_that_is_away() {
    let Some(redis) = Redis::start() else { return };
    let limit = "{ rate: 4/59m, key: global, name: shared }";
    let pair = Pair::start(redis.address, "timeout: 100ms, on_failure: allow", limit);
    until("both have asked it", || {
        pair.status(0);
        pair.status(1);
        (0..2).all(|gateway| pair.status(gateway) == 429)
    });
    redis.pause(true);
    assert!((0..30).all(|number| pair.status(number % 2) == 200));
    redis.pause(false);
    until("the limit is shared again", || (0..10).all(|number| pair.status(number % 2) == 429));
}

#[test]
fn under_load_the_limit_is_shared_again_soon_after_the_server_is_back() {
    let Some(mut redis) = Redis::start() else { return };
    let (rate, burst) = (40, 10);
    let limit = format!("{{ rate: {rate}/s, burst: {burst}, key: global, name: shared }}");
    let pair = Pair::start(redis.address, "on_failure: refuse", &limit);
    assert_eq!(pair.status(0), 200);
    let end = Instant::now() + Duration::from_secs(6);
    let presses: Vec<_> = (0..4)
        .map(|number| {
            let address = pair.gateways[number % 2].address;
            thread::spawn(move || {
                let mut client = Http1::connect(address);
                let mut passed = Vec::new();
                while Instant::now() < end {
                    client.send(request("GET", "/g", &[], b""));
                    if client.reply().status == 200 {
                        passed.push(Instant::now());
                    }
                }
                passed
            })
        })
        .collect();
    thread::sleep(Duration::from_millis(1500));
    redis.kill();
    let killed = Instant::now();
    thread::sleep(Duration::from_millis(1000));
    let starting = Instant::now();
    redis.run();
    let back = Instant::now();
    let passed: Vec<Instant> =
        presses.into_iter().flat_map(|press| press.join().expect("it presses")).collect();
    let between = |from: Instant, to: Instant| passed.iter().filter(|at| (from..to).contains(*at)).count();
    let margin = Duration::from_millis(200);
    assert_eq!(between(killed + margin, starting), 0, "none passes without the server");
    // From one second after the server is back, the whole rate passes again, of which half is asked for here.
    let after = back + Duration::from_secs(1);
    let wanted = (end - after).as_secs_f64() * f64::from(rate) / 2.0;
    assert!(between(after, end) as f64 >= wanted, "{} passed, {wanted} are wanted", between(after, end));
    let allowed = f64::from(burst) + f64::from(rate) * (end - starting).as_secs_f64() + f64::from(rate);
    assert!(between(starting, end + margin) as f64 <= allowed, "{allowed} are allowed");
}
