//! What is wrong with limits is said at load, with its line.

use crate::support::{Choices, Schema, problems_of};

const PROTO: &str = r#"
syntax = "proto3";
package t;
message M { string a = 1; N n = 2; repeated string list = 3; }
message N { int32 b = 1; }
service S {
  rpc Get(M) returns (M);
  rpc Up(stream M) returns (M);
}
"#;

#[test]
fn problems_say_what_to_write() {
    let schema = Schema::new(PROTO);
    let rule = |text: &str| format!("rules:\n  t.S/Get: {{ {text} }}\n");
    let limit = |text: &str| rule(&format!("limits: [{{ {text} }}]"));
    for (more, wants) in [
        (limit("rate: 10, key: global"), ["`10` does not say how many in which time", "as in `10/s`"]),
        (limit("rate: 0/s, key: global"), ["`0/s` does not say how many", ""]),
        (limit("rate: 10/h, key: global"), ["10/h is no rate", "write `quota: 10/h`"]),
        (limit("quota: 10/s, key: global"), ["10/s is no quota", "write `rate: 10/s`"]),
        (limit("quota: 10/90m, key: global"), ["not about whole hours", ""]),
        (limit("quota: 10/year, key: global"), ["`10/year` does not say how many", "as in `1000/day`"]),
        (limit("quota: 10/367d, key: global"), ["about more than a year", ""]),
        (limit("quota: 10/day, burst: 5, key: global"), ["a quota has no burst", "leave `burst` out"]),
        (limit("rate: 1/s, quota: 10/day, key: global"), ["a limit has a `rate` or a `quota`", "two limits"]),
        (
            limit("rate: 1/59m, burst: 4000000, key: global"),
            ["more than a year to come back", "smaller `burst`"],
        ),
        (limit("rate: 2000000/s, key: global"), ["more than a million in a second", ""]),
        (limit("rate: 1/s"), ["the key `key` is missing", "as in `key: principal`"]),
        (limit("key: global"), ["the key `rate` is missing", "quota: 1000/day"]),
        (limit("rate: 1/s, key: addres"), ["`addres` is none of", "did you mean `address`?"]),
        (limit("rate: 1/s, key: 'cookie:x'"), ["`cookie` is none of `header`, `claim`, `field`", ""]),
        (limit("rate: 1/s, key: 'header:a b'"), ["`a b` is no name of a header", ""]),
        (limit("rate: 1/s, key: [address, address]"), ["`address` is there already", ""]),
        (limit("rate: 1/s, key: [address, global]"), ["`global` tells no calls apart", ""]),
        (limit("rate: 1/s, key: global, store: shared"), ["there is no shared store", "rate_limits"]),
        (limit("rate: 1/s, key: global, bursts: 5"), ["unknown key `bursts`", "did you mean `burst`?"]),
        (limit("tier: principal"), ["the key `otherwise` is missing", ""]),
        (limit("tier: principal, otherwise: free"), ["there is no tier `free`", "name it under `tiers`"]),
        (rule("limits: on"), ["`on` is none of `off`", ""]),
        (rule("cost: 3"), ["has a cost, but no limit takes it", "leave `cost` out"]),
        (
            rule("cost: 3, limits: [{ rate: 2/s, key: global }]"),
            ["costs 3, and the limit `2/s` never has room", ""],
        ),
        (limit("rate: 1/s, key: principal"), ["nobody is asked who calls", "key: address"]),
        (rule("auth: none, limits: [{ rate: 1/s, key: 'claim:tenant' }]"), ["nobody is asked who calls", ""]),
        (limit("rate: 1/s, key: 'field:x'"), ["`t.M` has no field `x`", "a whole number"]),
        (limit("rate: 1/s, key: 'field:n'"), ["the field `n` is a message", ""]),
        (limit("rate: 1/s, key: 'field:list'"), ["the field `list` can have several values", ""]),
        (limit("rate: 1/s, key: 'field:n.b.c'"), ["the field `b` is no message", ""]),
        (
            "rules:\n  t.S/Up: { limits: [{ rate: 1/s, key: 'field:a' }] }\n".into(),
            ["takes a stream", "one message"],
        ),
        (rule("concurrency: { calls: 1 }"), ["nobody is asked who calls", ""]),
        (rule("concurrency: { key: address }"), ["the key `calls` is missing", ""]),
        (
            rule("concurrency: { calls: 1, key: address, wait: 1s }"),
            ["nobody waits without a queue", "queue: 50"],
        ),
        (rule("concurrency: { calls: 1, key: 'field:a' }"), ["before the message is read", ""]),
        (
            "tiers: { free: [{ rate: 1/s, key: address }] }\n".into(),
            ["no rule asks for tiers", "tier: principal"],
        ),
        ("rate_limits: { redis: { url: 'redis://127.0.0.1' } }\n".into(), ["no limit is counted there", ""]),
        ("rate_limits: { redis: { url: 'rediss://h' } }\n".into(), ["TLS to it is not supported", ""]),
        (
            "rate_limits: { redis: { url: 'redis://a:b@h' } }\n".into(),
            ["it has user information", "password_file"],
        ),
        ("rate_limits: { keys: 0 }\n".into(), ["0 is out of range", ""]),
    ] {
        let problems = problems_of(&schema, Choices { more: &more, ..Choices::default() });
        for want in wants {
            assert!(problems.contains(want), "{more}\n{want}\nis not in\n{problems}");
        }
        assert!(problems.contains("test.yaml:"), "a place in {problems}");
    }
}
