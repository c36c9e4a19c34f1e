//! Tokens that were made to get in, and ones that are merely wrong: each is refused, and for its own reason.

use serde_json::json;

use crate::ask::{Speaks, ask, reason};
use crate::mint::{ISSUER, Mint, base64, claims, now, sign_with, with};
use crate::place::{ALGORITHMS, Place, Wants};

#[test]
fn good_tokens_of_every_algorithm_are_let_in() {
    let place = Place::new(Wants::default());
    for algorithm in ALGORITHMS {
        let token = place.mint.token(algorithm, &claims(json!({})));
        assert_eq!(place.verdict(&token), "OK", "{algorithm}");
    }
    for good in [
        json!({ "aud": ["other", "shop"] }),
        json!({ "nbf": now() }),
        json!({ "exp": now() + 5, "nbf": now() - 5 }),
        // Within what clocks may be apart.
        json!({ "exp": now() - 10 }),
        json!({ "nbf": now() + 10 }),
        json!({ "exp": (now() + 100) as f64 + 0.5 }),
        json!({ "sub": null }),
    ] {
        assert_eq!(place.verdict(&place.mint.token("ES256", &claims(good.clone()))), "OK", "{good}");
    }
    // The scheme's name in any case.
    let token = place.mint.good();
    for scheme in ["bearer", "BEARER", "Bearer "] {
        assert_eq!(place.get(&[("authorization", &format!("{scheme} {token}"))]).status, 200, "{scheme}");
    }
    assert_eq!(place.metric("transom_tokens_total{issuer=\"main\",result=\"OK\"}"), 15);
}

/// What is tried, the token, and the reason of its refusal.
fn attacks(mint: &Mint) -> Vec<(&'static str, String, &'static str)> {
    let good = mint.good();
    let (head, payload) = (json!({ "alg": "ES256", "kid": "ES256", "typ": "JWT" }), claims(json!({})));
    let [good_head, good_claims, good_signature]: [&str; 3] =
        good.split('.').collect::<Vec<_>>().try_into().expect("three parts");
    let part = |value: &serde_json::Value| base64(value.to_string());
    let none = |name: &str| format!("{}.{good_claims}.", part(&json!({ "alg": name, "typ": "JWT" })));
    let es = |header: serde_json::Value| mint.sign("ES256", &with(head.clone(), header), &payload);
    let says = |changes: serde_json::Value| mint.token("ES256", &claims(changes));
    let stranger = Mint::new();
    let rsa = mint.jwk("RS256");
    let rsa_text = format!("{}{}", rsa["n"].as_str().expect("text"), rsa["e"].as_str().expect("text"));
    let zeros = |size: usize| format!("{good_head}.{good_claims}.{}", base64(vec![0; size]));
    let mut flipped = good_signature.to_owned();
    flipped.replace_range(..1, if flipped.starts_with('A') { "B" } else { "A" });
    let twice = |json: &str| {
        let message = format!("{good_head}.{}", base64(json));
        // Signed, so that nothing but the claims is to blame.
        let signed = mint.sign("ES256", &head, &payload);
        format!("{message}.{}", signed.rsplit('.').next().expect("a part"))
    };
    vec![
        ("alg none", none("none"), "TOKEN_INVALID"),
        ("alg None", none("None"), "TOKEN_INVALID"),
        ("alg nOnE", none("nOnE"), "TOKEN_INVALID"),
        (
            "alg none with a signature",
            format!("{}.{good_claims}.{good_signature}", part(&json!({ "alg": "none", "kid": "ES256" }))),
            "TOKEN_INVALID",
        ),
        ("no alg", mint.sign("ES256", &json!({ "kid": "ES256" }), &payload), "TOKEN_MALFORMED"),
        ("an alg of nobody's", es(json!({ "alg": "XS256" })), "TOKEN_INVALID"),
        ("alg as a number", es(json!({ "alg": 256 })), "TOKEN_MALFORMED"),
        (
            "the public key as a secret",
            sign_with(rsa_text.as_bytes(), &json!({ "alg": "HS256", "kid": "RS256" }), &payload),
            "TOKEN_INVALID",
        ),
        (
            "the key set as a secret",
            sign_with(
                mint.key_set(&["RS256"]).to_string().as_bytes(),
                &json!({ "alg": "HS256", "kid": "RS256" }),
                &payload,
            ),
            "TOKEN_INVALID",
        ),
        (
            "an empty secret",
            sign_with(b"", &json!({ "alg": "HS256", "kid": "ES256" }), &payload),
            "TOKEN_INVALID",
        ),
        (
            "an empty secret, no key named",
            sign_with(b"", &json!({ "alg": "HS256" }), &payload),
            "TOKEN_INVALID",
        ),
        (
            "PS256 by a key for RS256",
            mint.sign("PS256", &json!({ "alg": "PS256", "kid": "RS256" }), &payload),
            "TOKEN_INVALID",
        ),
        (
            "ES384 by a key for ES256",
            mint.sign("ES384", &json!({ "alg": "ES384", "kid": "ES256" }), &payload),
            "TOKEN_INVALID",
        ),
        ("the key of another", stranger.good(), "TOKEN_INVALID"),
        ("a forged kid", es(json!({ "kid": "../../dev/null" })), "KEY_UNKNOWN"),
        ("a kid of SQL", es(json!({ "kid": "x' UNION SELECT 'key" })), "KEY_UNKNOWN"),
        ("an empty kid", es(json!({ "kid": "" })), "KEY_UNKNOWN"),
        ("a kid that is a list", es(json!({ "kid": ["ES256"] })), "TOKEN_MALFORMED"),
        (
            "a jku of the attacker's",
            stranger.sign(
                "ES256",
                &with(head.clone(), json!({ "jku": "http://evil.example/keys" })),
                &payload,
            ),
            "TOKEN_INVALID",
        ),
        (
            "an x5u of the attacker's",
            stranger.sign(
                "ES256",
                &with(head.clone(), json!({ "x5u": "http://evil.example/cert" })),
                &payload,
            ),
            "TOKEN_INVALID",
        ),
        (
            "an embedded jwk",
            stranger.sign("ES256", &with(head.clone(), json!({ "jwk": stranger.jwk("ES256") })), &payload),
            "TOKEN_INVALID",
        ),
        (
            "an embedded jwk and no kid",
            stranger.sign("ES256", &json!({ "alg": "ES256", "jwk": stranger.jwk("ES256") }), &payload),
            "TOKEN_INVALID",
        ),
        (
            "an x5c of the attacker's",
            stranger.sign("ES256", &with(head.clone(), json!({ "x5c": ["AAAA"] })), &payload),
            "TOKEN_INVALID",
        ),
        ("a psychic signature", zeros(64), "TOKEN_INVALID"),
        ("a psychic signature in DER", zeros(8), "TOKEN_INVALID"),
        ("no signature", format!("{good_head}.{good_claims}."), "TOKEN_INVALID"),
        ("another signature", format!("{good_head}.{good_claims}.{flipped}"), "TOKEN_INVALID"),
        ("a truncated signature", good[..good.len() - 6].to_owned(), "TOKEN_INVALID"),
        (
            "other claims",
            format!("{good_head}.{}.{good_signature}", part(&claims(json!({ "sub": "root" })))),
            "TOKEN_INVALID",
        ),
        (
            "truncated claims",
            format!("{good_head}.{}.{good_signature}", &good_claims[..good_claims.len() - 8]),
            "TOKEN_MALFORMED",
        ),
        ("two parts", format!("{good_head}.{good_claims}"), "TOKEN_MALFORMED"),
        ("four parts", format!("{good}."), "TOKEN_MALFORMED"),
        ("an encrypted token", format!("{good}.a.b"), "TOKEN_MALFORMED"),
        ("dots", "..".to_owned(), "TOKEN_MALFORMED"),
        ("no base64url", format!("{good_head}.{good_claims}=.{good_signature}"), "TOKEN_MALFORMED"),
        ("claims twice", twice(&format!("{{\"iss\":\"{ISSUER}\",\"iss\":\"{ISSUER}\"}}")), "TOKEN_MALFORMED"),
        ("claims that are a list", twice("[]"), "TOKEN_MALFORMED"),
        ("claims without an end", twice(&"[".repeat(4_000)), "TOKEN_MALFORMED"),
        ("critical extensions", es(json!({ "crit": ["exp"], "exp": 1 })), "TOKEN_INVALID"),
        ("no critical extensions", es(json!({ "crit": [] })), "TOKEN_INVALID"),
        ("an unencoded payload", es(json!({ "crit": ["b64"], "b64": false })), "TOKEN_INVALID"),
        ("oversized", says(json!({ "x": "y".repeat(8 << 10) })), "TOKEN_MALFORMED"),
        ("expired", says(json!({ "exp": now() - 60 })), "TOKEN_EXPIRED"),
        ("expired in 1970", says(json!({ "exp": 0 })), "TOKEN_EXPIRED"),
        ("no exp", says(json!({ "exp": null })), "TOKEN_INVALID"),
        ("exp as text", says(json!({ "exp": (now() + 100).to_string() })), "TOKEN_INVALID"),
        ("exp below zero", says(json!({ "exp": -1 })), "TOKEN_INVALID"),
        ("exp beyond all clocks", says(json!({ "exp": u64::MAX })), "TOKEN_INVALID"),
        ("exp beyond all numbers", says(json!({ "exp": 1e300 })), "TOKEN_INVALID"),
        ("not valid yet", says(json!({ "nbf": now() + 60 })), "TOKEN_INVALID"),
        ("nbf as text", says(json!({ "nbf": "0" })), "TOKEN_INVALID"),
        ("for another audience", says(json!({ "aud": "else" })), "TOKEN_INVALID"),
        ("for other audiences", says(json!({ "aud": ["else", "SHOP"] })), "TOKEN_INVALID"),
        ("for nobody", says(json!({ "aud": [] })), "TOKEN_INVALID"),
        ("no aud", says(json!({ "aud": null })), "TOKEN_INVALID"),
        ("aud as an object", says(json!({ "aud": { "shop": true } })), "TOKEN_INVALID"),
        ("of another issuer", says(json!({ "iss": "https://evil.example" })), "ISSUER_UNKNOWN"),
        ("of an issuer with a slash more", says(json!({ "iss": format!("{ISSUER}/") })), "ISSUER_UNKNOWN"),
        ("of no issuer", says(json!({ "iss": null })), "ISSUER_UNKNOWN"),
        ("of several issuers", says(json!({ "iss": [ISSUER, "https://evil.example"] })), "TOKEN_MALFORMED"),
        ("wrong typ", es(json!({ "typ": "logout+jwt" })), "TOKEN_INVALID"),
        ("wrong typ, in full", es(json!({ "typ": "application/secevent+jwt" })), "TOKEN_INVALID"),
        ("no kid, but one key", mint.sign("ES384", &json!({ "alg": "ES384" }), &payload), "OK"),
    ]
}

#[test]
fn attacks_are_refused_for_the_right_reason() {
    let place = Place::new(Wants::default());
    let mut wrong = Vec::new();
    for (what, token, want) in attacks(&place.mint) {
        let got = place.verdict(&token);
        if got != want {
            wrong.push(format!("{what}: {got}, not {want}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(place.backend.count(), 1, "only the last one");
    // And once more, in case that something is remembered that shouldn't be.
    for (what, token, want) in attacks(&place.mint) {
        assert_eq!(place.verdict(&token), want, "{what}");
    }
}

#[test]
fn two_headers_are_refused_even_if_both_are_good() {
    let place = Place::new(Wants::default());
    let good = format!("Bearer {}", place.mint.good());
    for other in [good.as_str(), "Bearer x", "Basic YTpi", ""] {
        let reply = place.get(&[("authorization", &good), ("authorization", other)]);
        reply.assert_fault(401, "TOKEN_MALFORMED", None);
    }
    place.get(&[("authorization", "Basic YTpi")]).assert_fault(401, "TOKEN_MISSING", None);
    place.get(&[("authorization", "Bearer")]).assert_fault(401, "TOKEN_MALFORMED", None);
}

#[test]
fn nothing_but_the_reason_is_told() {
    let place = Place::new(Wants::default());
    let token = place.mint.token("ES256", &claims(json!({ "aud": "else" })));
    let reply = place.get(&[("authorization", &format!("Bearer {token}"))]);
    reply.assert_fault(401, "TOKEN_INVALID", None);
    assert_eq!(reply.header("www-authenticate"), Some("Bearer realm=\"transom\", error=\"invalid_token\""));
    for secret in ["audience", "else", ISSUER] {
        assert!(!reply.text().contains(secret), "{secret}: {}", reply.text());
    }
}

#[test]
fn an_access_token_may_be_asked_for_by_its_type() {
    let place = Place::new(Wants { issuer: "type: at+jwt", ..Wants::default() });
    for (header, want) in [
        (json!({ "typ": "at+jwt" }), "OK"),
        (json!({ "typ": "application/AT+JWT" }), "OK"),
        (json!({ "typ": "JWT" }), "TOKEN_INVALID"),
        (json!({}), "TOKEN_INVALID"),
    ] {
        let header = with(json!({ "alg": "ES256", "kid": "ES256" }), header);
        assert_eq!(place.verdict(&place.mint.sign("ES256", &header, &claims(json!({})))), want, "{header}");
    }
}

#[test]
fn every_protocol_decides_alike() {
    let place = Place::new(Wants::default());
    let good = place.mint.good();
    let bad = |changes| place.mint.token("ES256", &claims(changes));
    let cases = [
        (good.clone(), None),
        (bad(json!({ "exp": now() - 60 })), Some("TOKEN_EXPIRED")),
        (bad(json!({ "aud": "else" })), Some("TOKEN_INVALID")),
        (bad(json!({ "iss": "https://evil.example" })), Some("ISSUER_UNKNOWN")),
        (Mint::new().good(), Some("TOKEN_INVALID")),
        (format!("{good}.x"), Some("TOKEN_MALFORMED")),
    ];
    for speaks in Speaks::ALL {
        for (token, want) in &cases {
            // A session that begins has no end here.
            if speaks == Speaks::WebSocket && want.is_none() {
                continue;
            }
            let headers = [("authorization", &*format!("Bearer {token}"))];
            let reply = ask(place.gateway.address, speaks, "Get", "/g/x", &headers);
            assert_eq!(reason(&reply).as_deref(), *want, "{speaks:?}");
            assert_eq!(place.backend.take().len(), usize::from(want.is_none()), "{speaks:?} {want:?}");
        }
    }
}
