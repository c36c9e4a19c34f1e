//! Keys that change while the gateway serves, and issuers that are away.

use std::time::Duration;

use serde_json::json;

use crate::issuer::Issuer;
use crate::mint::{Mint, claims, with};
use crate::place::{ALGORITHMS, Place, Wants};
use crate::support::{Authority, Http2, until};

/// A token by this mint's key, which is called so.
fn token(mint: &Mint, kid: &str) -> String {
    let header = json!({ "alg": "ES256", "kid": kid });
    mint.sign("ES256", &header, &claims(json!({ "jti": kid })))
}

/// The key set with these keys of these mints.
fn keys(of: &[(&Mint, &str)]) -> serde_json::Value {
    let keys: Vec<_> = of.iter().map(|(mint, kid)| with(mint.jwk("ES256"), json!({ "kid": kid }))).collect();
    json!({ "keys": keys })
}

fn url(issuer: &Issuer) -> String {
    format!("jwks: 'http://{}/keys'", issuer.address)
}

const DONE: &str = "transom_issuer_key_refreshes_total{issuer=\"main\",result=\"done\"}";
const FAILED: &str = "transom_issuer_key_refreshes_total{issuer=\"main\",result=\"failed\"}";

#[test]
fn new_keys_fail_no_request_and_are_asked_for_once() {
    let (issuer, old, new) = (Issuer::start(), Mint::new(), Mint::new());
    issuer.tell("/keys", &keys(&[(&old, "old")]));
    let keys_at = url(&issuer);
    let wants = Wants { keys: &keys_at, issuer: "refresh: 1h, cooldown: 0s", ..Wants::default() };
    let place = Place::new(wants);
    // It comes before the keys, and waits for them.
    assert_eq!(place.verdict(&token(&old, "old")), "OK");
    assert_eq!(issuer.asked(), 1);

    issuer.tell("/keys", &keys(&[(&old, "old"), (&new, "new")]));
    issuer.pause(Duration::from_millis(100));
    let bearer = format!("Bearer {}", token(&new, "new"));
    let mut client = Http2::connect(place.gateway.address);
    let began: Vec<_> =
        (0..50).map(|_| client.begin("GET", "/g/x", &[("authorization", &bearer)], true).0).collect();
    for reply in client.end_all(began) {
        assert_eq!(reply.status, 200, "{}", reply.text());
    }
    assert_eq!(issuer.asked(), 2, "all of them share one question");
    assert_eq!(place.verdict(&token(&old, "old")), "OK");

    // A key that is taken back counts no more, though its tokens were found good before.
    issuer.tell("/keys", &keys(&[(&new, "new")]));
    assert_eq!(place.verdict(&token(&new, "nobody's")), "KEY_UNKNOWN");
    assert_eq!(issuer.asked(), 3);
    assert_eq!(place.verdict(&token(&new, "new")), "OK");
    assert_eq!(place.verdict(&token(&old, "old")), "KEY_UNKNOWN");
}

#[test]
fn whatever_clients_send_nobody_is_asked_within_the_cooldown() {
    let (issuer, mint) = (Issuer::start(), Mint::new());
    issuer.tell("/keys", &keys(&[(&mint, "a")]));
    let keys_at = url(&issuer);
    let place = Place::new(Wants { keys: &keys_at, issuer: "refresh: 1h, cooldown: 1h", ..Wants::default() });
    assert_eq!(place.verdict(&token(&mint, "a")), "OK");
    for number in 0..20 {
        assert_eq!(place.verdict(&token(&mint, &number.to_string())), "KEY_UNKNOWN");
    }
    assert_eq!(issuer.asked(), 1);
}

#[test]
fn an_issuer_that_is_away_fails_no_request() {
    let (issuer, old, new) = (Issuer::start(), Mint::new(), Mint::new());
    issuer.tell("/keys", &keys(&[(&old, "old")]));
    let keys_at = url(&issuer);
    let place =
        Place::new(Wants { keys: &keys_at, issuer: "refresh: 20ms, cooldown: 0s", ..Wants::default() });
    assert_eq!(place.verdict(&token(&old, "old")), "OK");
    issuer.is_down(true);
    until("some attempts fail", || place.metric(FAILED) >= 4);
    for number in 0..20 {
        // Each a token of its own, so that none is remembered.
        let claims = claims(json!({ "jti": number }));
        let token = old.sign("ES256", &json!({ "alg": "ES256", "kid": "old" }), &claims);
        assert_eq!(place.verdict(&token), "OK");
    }
    // What is no key set is as good as nothing.
    issuer.is_down(false);
    for document in [
        json!({ "keys": [] }),
        json!("sorry"),
        json!({ "keys": [{ "kty": "oct", "k": "AAAA", "kid": "old" }] }),
    ] {
        issuer.tell("/keys", &document);
        let failed = place.metric(FAILED);
        until("it is read", || place.metric(FAILED) > failed + 1);
        assert_eq!(place.verdict(&token(&old, "old")), "OK", "{document}");
    }
    issuer.tell("/keys", &keys(&[(&new, "new")]));
    assert_eq!(place.verdict(&token(&new, "new")), "OK");
    let done = place.metric(DONE);
    until("keys that stay the same are asked for again", || place.metric(DONE) > done + 2);
    assert_eq!(place.verdict(&token(&new, "new")), "OK");
}

#[test]
fn an_issuer_that_never_was_there_is_the_gateways_trouble() {
    let (issuer, mint) = (Issuer::start(), Mint::new());
    issuer.is_down(true);
    let keys_at = url(&issuer);
    let place = Place::new(Wants { keys: &keys_at, issuer: "cooldown: 1h", ..Wants::default() });
    let bearer = format!("Bearer {}", token(&mint, "a"));
    let reply = place.get(&[("authorization", &bearer)]);
    reply.assert_fault(503, "KEYS_UNAVAILABLE", None);
    assert_eq!(reply.header("www-authenticate"), None, "another token would be no better");
    // Strangers are told what they are told always.
    place.unnamed("/nothing").assert_fault(401, "TOKEN_MISSING", None);
}

#[test]
fn an_issuer_tells_its_keys_by_discovery() {
    let (issuer, mint) = (Issuer::start(), Mint::new());
    let iss = format!("http://{}/realm", issuer.address);
    let metadata =
        json!({ "issuer": iss, "jwks_uri": format!("http://{}/keys?a=b", issuer.address), "x": [1] });
    issuer.tell("/realm/.well-known/openid-configuration", &metadata);
    issuer.tell("/keys?a=b", &keys(&[(&mint, "a")]));
    // No key says where the keys are.
    let place = Place::new(Wants { iss: &iss, keys: "leeway: 1s", ..Wants::default() });
    let token = |iss: &str| {
        mint.sign("ES256", &json!({ "alg": "ES256", "kid": "a" }), &claims(json!({ "iss": iss })))
    };
    assert_eq!(place.verdict(&token(&iss)), "OK");

    issuer.tell(
        "/realm/.well-known/openid-configuration",
        &with(metadata, json!({ "issuer": "https://other.example" })),
    );
    let other = Place::new(Wants { iss: &iss, keys: "leeway: 1s", ..Wants::default() });
    assert_eq!(other.verdict(&token(&iss)), "KEYS_UNAVAILABLE", "metadata of another issuer are nobody's");
}

#[test]
fn keys_come_by_https_from_whom_an_authority_vouches_for() {
    let (authority, mint) = (Authority::new(), Mint::new());
    let issuer = Issuer::over_tls(&authority.sign(&["127.0.0.1"]));
    issuer.tell("/keys", &keys(&[(&mint, "a")]));
    for (ca, want) in [(&authority, "OK"), (&Authority::new(), "KEYS_UNAVAILABLE")] {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("ca.pem");
        std::fs::write(&path, &ca.pem).expect("a file");
        let keys_at = format!("jwks: 'https://{}/keys', ca: '{}'", issuer.address, path.display());
        let place = Place::new(Wants { keys: &keys_at, ..Wants::default() });
        assert_eq!(place.verdict(&token(&mint, "a")), want);
    }
}

#[test]
fn a_file_of_keys_is_looked_at_again() {
    let place = Place::new(Wants { issuer: "refresh: 20ms", ..Wants::default() });
    assert_eq!(place.verdict(&place.mint.good()), "OK");
    let new = Mint::new();
    place.schema.write("keys.json", "{ \"keys\": [");
    until("it is found bad", || place.metric(FAILED) > 0);
    assert_eq!(place.verdict(&place.mint.good()), "OK");
    place.schema.write("keys.json", &new.key_set(&ALGORITHMS).to_string());
    until("the new keys count", || place.verdict(&new.good()) == "OK");
    assert_eq!(place.verdict(&place.mint.good()), "TOKEN_INVALID");
}
