//! API keys: where they are shown, that they stay with the gateway, and that a change of their file counts.

use serde_json::json;

use crate::ask::Speaks;
use crate::site::{HOLDERS, Keys, Policy, Site, entry, problems_of};
use crate::support::{call, until};

#[test]
fn a_key_stays_with_the_gateway() {
    let site = Site::new(Policy { api_keys: "header: X-Shop-Key, query: key", ..Policy::default() });
    let key = site.keys.get("reader").to_owned();
    for speaks in Speaks::ALL {
        assert_eq!(site.ask(speaks, "Do", &[("x-shop-key", &key)], &json!({})), "OK", "{speaks:?}");
        for query in [format!("key={key}"), format!("%6bey={key}")] {
            assert_eq!(site.ask_with(speaks, "Do", &[], &query, &json!({})), "OK", "{speaks:?}");
        }
        // By the header of other gateways it is none.
        assert_eq!(site.ask(speaks, "Do", &[("x-api-key", &key)], &json!({})), "KEY_MISSING", "{speaks:?}");
        let prefixed = [("x-shop-key", key.as_str()), ("grpc-metadata-x-shop-key", key.as_str())];
        assert_eq!(site.ask(speaks, "Do", &prefixed, &json!({})), "OK", "{speaks:?}");
        let query = format!("key={key}");
        let both = site.ask_with(speaks, "Do", &[("x-shop-key", &key)], &query, &json!({}));
        assert_eq!(both, "KEY_MALFORMED", "{speaks:?}");
    }
    for seen in site.backend.all() {
        let told = format!("{:?}", seen.metadata);
        assert!(!told.contains(&key) && !seen.metadata.contains_key("x-shop-key"), "{told}");
    }
    let log = site.log();
    assert!(log.lines().count() > 50 && !log.contains("tsm_"), "{log}");
}

#[test]
fn a_key_goes_on_where_that_is_wanted() {
    let site = Site::new(Policy { api_keys: "forward: true", ..Policy::default() });
    let key = site.keys.get("reader").to_owned();
    assert_eq!(site.ask(Speaks::Grpc, "Do", &[("x-api-key", &key)], &json!({})), "OK");
    assert_eq!(site.backend.last().header("x-api-key"), Some(&*key));
}

#[test]
fn what_is_not_looked_at_does_not_go_on_either() {
    let site = Site::new(Policy {
        rules: "'t.S/Open': { auth: none }",
        api_keys: "query: key",
        ..Policy::default()
    });
    let key = site.keys.get("reader").to_owned();
    let target = format!("/open?key={key}");
    call(site.gateway.address, "POST", &target, &[("x-api-key", &key)], b"{}").assert_ok();
    assert_eq!(site.backend.last().header("x-api-key"), None);
}

#[test]
fn the_file_is_read_again() {
    let site = Site::new(Policy::default());
    let folder = site.schema.folder().to_owned();
    let ask = |key: &str| site.ask(Speaks::Rest, "Do", &[("x-api-key", key)], &json!({}));
    let (old, fresh) = (site.keys.get("reader").to_owned(), transom::policy::identity::new_key().unwrap());
    assert_eq!((ask(&old).as_str(), ask(&fresh.1).as_str()), ("OK", "KEY_UNKNOWN"));
    let put = |text: &str| {
        std::fs::write(folder.join("next"), text).unwrap();
        std::fs::rename(folder.join("next"), folder.join("keys.yaml")).unwrap();
    };
    put(&format!("keys:\n{}", entry(&fresh.0, &fresh.1, "fresh", "")));
    until("the new key counts", || ask(&fresh.1) == "OK");
    assert_eq!(ask(&old), "KEY_UNKNOWN");
    // A bad file changes nothing, and is told of.
    put("keys: { x: y }");
    let failed = "transom_issuer_key_refreshes_total{issuer=\"api-key\",result=\"failed\"}";
    until("the bad file is noticed", || site.gateway.metric(failed) == 1);
    assert_eq!(ask(&fresh.1), "OK");
    put("keys: {}");
    until("no key counts any more", || ask(&fresh.1) == "KEY_UNKNOWN");
}

#[test]
fn what_is_wrong_is_said_at_load() {
    for (api_keys, want) in [
        ("header: authorization", "`authorization` has a meaning of its own"),
        ("header: te", "`te` has a meaning of its own"),
        ("header: 'a b'", "`a b` is no header"),
        ("query: 'a b'", "`a b` is no name of a parameter"),
        ("cookie: a", "unknown key `cookie`"),
    ] {
        let said = problems_of(Policy { api_keys, ..Policy::default() });
        assert!(said.contains(want), "{api_keys}: {said}");
    }
    let folder = tempfile::tempdir().unwrap();
    let keys = Keys::new(folder.path(), &HOLDERS);
    assert!(keys.get("reader").starts_with("tsm_"));
}
