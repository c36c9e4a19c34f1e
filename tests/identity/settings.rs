//! What of `identity` is good, and what is refused when it is loaded.

use serde_json::json;

use crate::ask::PROTO;
use crate::mint::{Mint, SECRET, claims, sign_with, with};
use crate::place::{Place, Wants};
use crate::support::{Choices, Gateway, Schema, problems_of};

#[test]
fn a_secret_is_known_to_both_sides() {
    let schema = Schema::new(PROTO);
    let text = String::from_utf8(SECRET.to_vec()).expect("text");
    let file = schema.write("secret", &format!("{text}\n"));
    let packed = schema.write("packed", &base64_simd::STANDARD.encode_to_string(SECRET));
    for secret in [
        format!("secret: {{ file: '{}' }}", file.display()),
        format!("secret: {{ file: '{}', encoding: base64 }}", packed.display()),
    ] {
        let place = Place::new(Wants { keys: &secret, ..Wants::default() });
        let header = json!({ "alg": "HS256" });
        assert_eq!(place.verdict(&sign_with(SECRET, &header, &claims(json!({})))), "OK");
        // A secret has no name, so any will do.
        let named = with(header.clone(), json!({ "kid": "7" }));
        assert_eq!(place.verdict(&sign_with(SECRET, &named, &claims(json!({})))), "OK");
        assert_eq!(place.verdict(&sign_with(b"another", &header, &claims(json!({})))), "TOKEN_INVALID");
        for algorithm in ["none", "HS384", "RS256", "ES256"] {
            let token = sign_with(SECRET, &json!({ "alg": algorithm }), &claims(json!({})));
            assert_eq!(place.verdict(&token), "TOKEN_INVALID", "{algorithm}");
        }
        assert_eq!(place.verdict(&place.mint.good()), "TOKEN_INVALID");
    }
}

#[test]
fn each_issuer_vouches_for_its_own() {
    let (first, second) = (Mint::new(), Mint::new());
    let schema = Schema::new(PROTO);
    let other = schema.write("second.json", &second.key_set(&["ES256"]).to_string());
    let more =
        format!("jwks: keys.json }}, second: {{ issuer: second, audiences: any, jwks: '{}'", other.display());
    let place = Place::of(first, Wants { keys: &more, ..Wants::default() });
    let ours = claims(json!({}));
    let theirs = claims(json!({ "iss": "second", "aud": null }));
    assert_eq!(place.verdict(&place.mint.token("ES256", &ours)), "OK");
    assert_eq!(place.verdict(&second.token("ES256", &theirs)), "OK");
    assert_eq!(place.verdict(&place.mint.token("ES256", &theirs)), "TOKEN_INVALID");
    assert_eq!(place.verdict(&second.token("ES256", &ours)), "TOKEN_INVALID");
    assert_eq!(
        place.verdict(&second.token("ES256", &claims(json!({ "iss": "second", "aud": "else" })))),
        "OK"
    );
    assert_eq!(place.metric("transom_tokens_total{issuer=\"second\",result=\"OK\"}"), 2);
    assert_eq!(place.metric("transom_tokens_total{issuer=\"second\",result=\"TOKEN_INVALID\"}"), 1);
}

#[test]
fn what_can_not_be_meant_is_refused() {
    let schema = Schema::new(PROTO);
    let mint = Mint::new();
    schema.write("keys.json", &mint.key_set(&["ES256"]).to_string());
    schema.write("rsa.json", &mint.key_set(&["RS256"]).to_string());
    schema.write("none.json", "{}");
    schema.write("short", "too short");
    schema.write("long", &"x".repeat(32));
    let issuer =
        |keys: &str| format!("identity: {{ issuers: {{ a: {{ issuer: x, audiences: [y], {keys} }} }} }}");
    schema.write("api-keys.yaml", "keys: {}");
    let idle = |keys: &str| format!("identity: {{ api_keys: {{ file: api-keys.yaml }}, {keys} }}");
    let cases = [
        ("identity: {}".to_owned(), "the key `issuers` is missing"),
        ("identity: { issuers: { a: { audiences: [y] } } }".to_owned(), "the key `issuer` is missing"),
        ("identity: { issuers: { a: { issuer: x, jwks: keys.json } } }".to_owned(), "the key `audiences` is missing"),
        (issuer("jwks: nowhere.json"), "`nowhere.json` can't be used"),
        (issuer("jwks: ."), "it is no file"),
        (issuer("jwks: none.json"), "it is no key set"),
        (issuer("jwks: rsa.json, algorithms: [ES256]"), "its algorithms are not among those that are allowed"),
        (issuer("jwks: keys.json, algorithms: [HS256]"), "`HS256` is none of"),
        (issuer("jwks: keys.json, algorithms: [none]"), "`none` is none of"),
        (issuer("jwks: 'ftp://a/keys'"), "its scheme is neither https nor http"),
        (issuer("jwks: keys.json, secret: { file: short }"), "a secret or a key set, not both"),
        (issuer("secret: { file: short }"), "the secret has 9 bytes"),
        (issuer("secret: { file: short, env: X }"), "in which one place"),
        (issuer("secret: { env: NOBODY_SETS_THIS }"), "the environment has no `NOBODY_SETS_THIS`"),
        (issuer("secret: { file: short }, algorithms: [RS256]"), "`RS256` is none of"),
        (issuer("jwks: keys.json, ca: keys.json"), "has no certificate in it"),
        (issuer("secret: { file: long }, refresh: 1s"), "`identity.issuers.a.refresh`: this does nothing"),
        (issuer("secret: { file: long }, cooldown: 1s"), "`identity.issuers.a.cooldown`: this does nothing"),
        (issuer("leeway: 1s"), "`x/.well-known/openid-configuration` is no URL of keys"),
        (issuer("jwks: keys.json, type: id"), "`id` is none of"),
        (idle("tokens: { cookie: session }"), "`identity.tokens.cookie`: this does nothing where nobody issues tokens"),
        (idle("tokens: { query: token }"), "`identity.tokens.query`: this does nothing"),
        (idle("tokens: { max_size: 1KiB }"), "`identity.tokens.max_size`: this does nothing"),
        (idle("tokens: { cache: 0 }"), "add `issuers`, or leave it out"),
        (idle("forward_token: true"), "`identity.forward_token`: this does nothing"),
        (
            "identity: { issuers: { a: { issuer: x, audiences: [y], jwks: keys.json }, b: { issuer: x, audiences: [y], jwks: keys.json } } }".to_owned(),
            "another issuer has the same `issuer`",
        ),
        (issuer("jwks: keys.json").replace("} } }", "} }, tokens: { cookie: 'a b' } }"), "no name of a cookie"),
        (issuer("jwks: keys.json").replace("} } }", "} }, tokens: { max_size: 1GiB } }"), "out of range"),
        (issuer("jwks: keys.json").replace("} } }", "} }, forward: { grpc-timeout: sub } }"), "has a meaning of its own"),
        (issuer("jwks: keys.json").replace("} } }", "} }, forward: { authorization: sub } }"), "has a meaning of its own"),
        (issuer("jwks: keys.json").replace("} } }", "} }, forward: { x-a: sub, X-A: iss } }"), "the same name in another case"),
    ];
    for (more, want) in cases {
        let problems = problems_of(&schema, Choices { more: &more, ..Choices::default() });
        assert!(problems.contains(want), "{more}\n{want}\nis not in\n{problems}");
    }
    for auth in ["required", "optional"] {
        let rule = format!("rules: {{ '*': {{ auth: {auth} }} }}");
        let listener = format!("defaults: {{ auth: {auth} }}");
        for choices in [
            Choices { more: &rule, ..Choices::default() },
            Choices { listener: &listener, ..Choices::default() },
        ] {
            let problems = problems_of(&schema, choices);
            assert!(problems.contains("but nobody vouches for callers"), "{problems}");
        }
    }
}

#[test]
fn what_is_probably_not_meant_is_a_warning() {
    let schema = Schema::new(PROTO);
    let mint = Mint::new();
    let mut keys = mint.key_set(&["ES256", "RS256", "EdDSA"]);
    keys["keys"][1]["use"] = json!("enc");
    keys["keys"][2] = json!({ "kty": "oct", "k": "AAAA" });
    schema.write("keys.json", &keys.to_string());
    for (keys, wants) in [
        (
            "jwks: keys.json",
            &["key 1 is left out: it is not for signatures", "key 2 is left out: secrets do not belong"][..],
        ),
        ("jwks: 'http://id.internal/keys'", &["can put keys of their own in"]),
    ] {
        let more = format!(
            "identity: {{ issuers: {{ a: {{ issuer: x, audiences: [y], {keys} }} }} }}\nrules: {{ 'no.Such/*': {{ auth: none }} }}"
        );
        let nobody = std::net::SocketAddr::from(([127, 0, 0, 1], 1));
        let yaml = Choices { more: &more, ..Choices::default() }.yaml(&schema, nobody);
        let (_, warnings) =
            Gateway::try_start(&yaml, schema.folder()).unwrap_or_else(|problems| panic!("{problems}"));
        let warnings = warnings.to_string();
        for want in wants.iter().chain(&["the rule `no.Such/*` matches no method"]) {
            assert!(warnings.contains(want), "{want}\nis not in\n{warnings}");
        }
    }
}
