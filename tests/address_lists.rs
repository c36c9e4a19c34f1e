//! Who may come in by address: lists of listeners and rules, from the configuration and from files that change.

mod support;

use std::fs;
use std::path::Path;

use support::{
    Answer, Backend, Choices, Gateway, Http1, Reply, Schema, Site, call, frame, problems_of, until,
};
use transom::config;

const PROTO: &str = r#"
syntax = "proto3";
package t;
import "google/api/annotations.proto";
message M { string a = 1; }
service S {
  rpc Get(M) returns (M) { option (google.api.http) = { get: "/g" }; }
  rpc Open(M) returns (M) { option (google.api.http) = { get: "/open" }; }
  rpc Put(M) returns (M) { option (google.api.http) = { post: "/p" body: "*" }; }
}
"#;

/// The client is whom the header names, so that a test can come from anywhere.
const TRUSTING: &str = "trusted_proxies: { addresses: [127.0.0.1] }";

fn from(site: &Site, address: &str, target: &str) -> Reply {
    site.call("GET", target, &[("x-forwarded-for", address)], b"")
}

/// What the decision about an address is: its status.
fn statuses<const N: usize>(site: &Site, target: &str, addresses: [&str; N]) -> [u16; N] {
    addresses.map(|address| from(site, address, target).status)
}

#[test]
fn listeners_refuse_before_there_is_a_route() {
    let lists = "addresses: { allow: [198.51.100.0/24, '2001:db8::/32'], deny: [198.51.100.66] }";
    let site = Site::with(PROTO, &format!("{TRUSTING}, {lists}"));
    let addresses = ["198.51.100.7", "2001:db8::7", "::ffff:198.51.100.7", "198.51.100.66", "192.0.2.1"];
    for (target, good) in [("/g", 200), ("/nowhere", 404)] {
        assert_eq!(statuses(&site, target, addresses), [good, good, good, 403, 403], "{target}");
    }
    let refused = from(&site, "192.0.2.1", "/g");
    refused.assert_fault(403, "ADDRESS_DENIED", None);
    let text = refused.text();
    assert!(!text.contains("allow:") && !text.contains("listeners.") && !text.contains("192.0.2"), "{text}");
}

#[test]
fn rules_are_judged_by_the_most_specific_one_in_every_protocol() {
    let site = Site::new(
        PROTO,
        Choices {
            listener: TRUSTING,
            more: "rules:\n  t.S/*: { addresses: { allow: [198.51.100.0/24] } }\n  t.S/Open: { addresses: any }",
            ..Choices::default()
        },
    );
    let addresses = ["198.51.100.7", "192.0.2.1"];
    assert_eq!(statuses(&site, "/g", addresses), [200, 403]);
    assert_eq!(statuses(&site, "/open", addresses), [200, 200]);
    let (good, bad) = (("x-forwarded-for", "198.51.100.7"), ("x-forwarded-for", "192.0.2.1"));
    let empty = frame(b"");
    let kinds: [(&str, &[u8]); 3] = [
        ("application/json", b"{}"),
        ("application/grpc-web+proto", &empty),
        ("application/connect+json", &empty),
    ];
    for (kind, body) in kinds {
        site.backend.take();
        site.call("POST", "/t.S/Get", &[bad, ("content-type", kind)], body);
        assert_eq!(site.backend.count(), 0, "{kind}");
    }
    site.call("POST", "/t.S/Get", &[good, ("content-type", "application/json")], b"{}").assert_ok();
    let grpc = |way| {
        let headers = [way, ("content-type", "application/grpc"), ("te", "trailers")];
        let reply = site.http2().call("POST", "/t.S/Get", &headers, &empty);
        let status = reply.trailers.get("grpc-status").or(reply.headers.get("grpc-status"));
        status.expect("a status").to_str().expect("ASCII").to_owned()
    };
    assert_eq!((grpc(good), grpc(bad)), ("0".to_owned(), "7".to_owned()));
}

#[test]
fn nothing_of_a_body_is_read_from_who_is_refused() {
    let site = Site::with(PROTO, "addresses: { deny: [127.0.0.1] }");
    let mut client = Http1::connect(site.address());
    client
        .send("POST /p HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n");
    let reply = client.reply();
    reply.assert_fault(403, "ADDRESS_DENIED", None);
    assert_eq!(reply.header("connection"), Some("close"));
}

fn put(path: &Path, text: &str) {
    let next = path.with_extension("next");
    fs::write(&next, text).and_then(|()| fs::rename(&next, path)).expect("the folder can be written");
}

#[test]
fn files_are_taken_while_the_gateway_serves() {
    let schema = Schema::new(PROTO);
    let [blocked, partners] = ["blocked.txt", "partners.txt"].map(|name| schema.folder().join(name));
    put(&blocked, "# nobody yet\n");
    put(&partners, "192.0.2.0/24\n");
    let backend = Backend::start(&schema, Answer::Echo);
    let choices = Choices {
        listener: &format!("{TRUSTING}, addresses: {{ deny: [203.0.113.0/24, {{ file: blocked.txt }}] }}"),
        more: "rules: { t.S/Get: { addresses: { allow: [{ file: partners.txt }] } } }\n\
               admin: { address: '127.0.0.1:0' }",
        ..Choices::default()
    };
    let yaml = choices.yaml(&schema, backend.address);
    let site = Site { gateway: Gateway::start(&yaml, schema.folder()), backend, schema };
    let now = || statuses(&site, "/g", ["192.0.2.1", "198.51.100.7", "203.0.113.1"]);
    assert_eq!(now(), [200, 403, 403]);
    put(&blocked, "192.0.2.1\n");
    until("the listener's list is taken", || now() == [403, 403, 403]);
    put(&partners, "192.0.2.0/24\n198.51.100.7\n");
    until("the rule's list is taken", || now() == [403, 200, 403]);
    let refused = "transom_address_list_loads_total{list=\"listeners.public.addresses\",result=\"refused\"}";
    put(&blocked, "all of them\n");
    until("a bad list is seen", || site.gateway.metric(refused) == 1);
    assert_eq!(now(), [403, 200, 403]);
    let text = site.gateway.metrics();
    for line in [
        "transom_address_list_ranges{list=\"listeners.public.addresses.deny\"} 2",
        "transom_address_list_ranges{list=\"rules.t.S/Get.addresses.allow\"} 2",
        "transom_address_list_loads_total{list=\"listeners.public.addresses\",result=\"taken\"} 1",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}

#[test]
fn logs_and_metrics_say_which_list_it_was() {
    let schema = Schema::new(PROTO);
    let log = schema.folder().join("access.log");
    let backend = Backend::start(&schema, Answer::Echo);
    let choices = Choices {
        listener: &format!("{TRUSTING}, addresses: {{ deny: [203.0.113.0/24] }}"),
        more: "rules: { t.S/Get: { addresses: { allow: [198.51.100.0/24] } } }\n\
               admin: { address: '127.0.0.1:0' }",
        ..Choices::default()
    };
    let yaml = choices.yaml(&schema, backend.address);
    let yaml = yaml.replace("access_log: off", &format!("access_log: '{}'", log.display()));
    let gateway = Gateway::start(&yaml, schema.folder());
    for address in ["203.0.113.1", "192.0.2.1"] {
        let reply = call(gateway.address, "GET", "/g", &[("x-forwarded-for", address)], b"");
        assert_eq!(reply.status, 403);
    }
    let metrics = gateway.metrics();
    drop(gateway);
    let log = fs::read_to_string(log).expect("a log");
    for (rule, client) in
        [("listeners.public.addresses.deny", "203.0.113.1"), ("rules.t.S/Get.addresses.allow", "192.0.2.1")]
    {
        let count = format!("transom_refusals_total{{rule=\"{rule}\",reason=\"ADDRESS_DENIED\"}} 1");
        assert!(metrics.contains(&count), "{count} is not in\n{metrics}");
        let line = log.lines().find(|line| line.contains(client)).expect("a line");
        assert!(line.contains(&format!(" reason=ADDRESS_DENIED origin=client rule={rule} ")), "{line}");
    }
}

#[test]
fn bad_choices_are_refused() {
    let schema = Schema::new(PROTO);
    fs::write(schema.folder().join("bad.txt"), "10.0.0.0/8\nten\n").expect("the folder can be written");
    for (lists, problem) in [
        ("{ }", "the key `allow` is missing"),
        ("{ allow: [] }", "the list is empty"),
        ("{ deny: [ten] }", "is no network and no address"),
        ("{ deny: [{ file: none.txt }] }", "can't be read"),
        ("{ deny: [{ file: bad.txt }] }", "line 2 of"),
        ("{ deny: [{ }] }", "the key `file` is missing"),
        ("{ block: [10.0.0.1] }", "unknown key `block`"),
    ] {
        let listener = format!("addresses: {lists}");
        let problems = problems_of(&schema, Choices { listener: &listener, ..Choices::default() });
        assert!(problems.contains(problem), "{lists}: {problems}");
        let more = format!("rules: {{ t.S/Get: {{ addresses: {lists} }} }}");
        let problems = problems_of(&schema, Choices { more: &more, ..Choices::default() });
        assert!(problems.contains(problem), "{lists}: {problems}");
    }
}

#[test]
fn what_is_printed_can_be_loaded() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("partners.txt"), "192.0.2.0/24\n").expect("a file");
    let descriptors = concat!(env!("CARGO_MANIFEST_DIR"), "/descriptors/bookstore.binpb");
    for (text, count) in [(include_str!("../docs/addresses.md"), 4), (include_str!("../docs/browsers.md"), 2)]
    {
        let printed = text.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
        let printed: Vec<&str> = printed.collect();
        assert_eq!(printed.len(), count);
        for printed in printed {
            let yaml = format!(
                "schema: {{ descriptors: '{descriptors}' }}\n\
                 upstreams: {{ main: {{ endpoints: 'http://127.0.0.1:1' }} }}\n{printed}"
            );
            let (settings, warnings) = config::parse(&yaml, &folder.path().join("transom.yaml"))
                .unwrap_or_else(|problems| panic!("{problems}\n{yaml}"));
            assert!(warnings.is_empty(), "{warnings}");
            transom::server::compile(&settings).unwrap_or_else(|problems| panic!("{problems}\n{yaml}"));
        }
    }
}
