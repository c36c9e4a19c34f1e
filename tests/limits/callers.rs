//! Limits by who calls: principals, claims, and tiers, told by tokens.

use std::time::{SystemTime, UNIX_EPOCH};

use base64_simd::URL_SAFE_NO_PAD;
use ring::hmac;
use serde_json::{Value, json};

use crate::support::{Answer, Backend, Choices, Gateway, Reply, Schema, call};

const PROTO: &str = r#"
syntax = "proto3";
package t;
import "google/api/annotations.proto";
message M { string a = 1; }
service S {
  rpc Get(M) returns (M) { option (google.api.http) = { get: "/g" }; }
}
"#;

const SECRET: &str = "a secret that is long enough for the algorithm, and random";

struct Place {
    // In the order in which they are dropped.
    gateway: Gateway,
    _backend: Backend,
    _schema: Schema,
}

impl Place {
    fn new(more: &str) -> Self {
        let schema = Schema::new(PROTO);
        schema.write("secret", SECRET);
        let backend = Backend::start(&schema, Answer::Echo);
        let identity = "identity: { issuers: { main: { issuer: 'https://id.example', audiences: [shop], secret: { file: secret }, tier_claim: plan } } }";
        let more = format!("{identity}\n{more}");
        let choices = Choices { listener: "defaults: { auth: optional }", more: &more, ..Choices::default() };
        let gateway = Gateway::start(&choices.yaml(&schema, backend.address), schema.folder());
        Self { gateway, _backend: backend, _schema: schema }
    }

    fn get(&self, claims: Option<&Value>) -> Reply {
        let token = claims.map(|claims| format!("Bearer {}", token(claims)));
        let headers: Vec<(&str, &str)> =
            token.iter().map(|token| ("authorization", token.as_str())).collect();
        call(self.gateway.address, "GET", "/g", &headers, b"")
    }

    /// How many of ten calls pass.
    fn passed(&self, claims: Option<&Value>) -> usize {
        (0..10).filter(|_| self.get(claims).status == 200).count()
    }
}

fn token(more: &Value) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let mut claims = json!({ "iss": "https://id.example", "aud": "shop", "exp": now + 600 });
    claims.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    let part = |value: &Value| URL_SAFE_NO_PAD.encode_to_string(value.to_string());
    let message = format!("{}.{}", part(&json!({ "alg": "HS256", "typ": "JWT" })), part(&claims));
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let signature = hmac::sign(&key, message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode_to_string(signature))
}

#[test]
fn each_caller_has_a_count_whatever_token_it_shows() {
    let place = Place::new("rules: { t.S/*: { limits: [{ rate: 3/59m, key: principal }] } }");
    let (ann, bob) = (json!({ "sub": "ann" }), json!({ "sub": "bob" }));
    assert_eq!((place.passed(Some(&ann)), place.passed(Some(&bob))), (3, 3));
    assert_eq!(place.passed(Some(&json!({ "sub": "ann", "jti": "another token" }))), 0);
    assert_eq!(place.passed(None), 3, "nobody is told apart by address");
}

#[test]
fn claims_tell_tenants_apart() {
    let place = Place::new("rules: { t.S/*: { limits: [{ rate: 2/59m, key: 'claim:org.id' }] } }");
    let of = |sub: &str, org: &str| json!({ "sub": sub, "org": { "id": org } });
    assert_eq!(place.passed(Some(&of("ann", "a"))), 2);
    assert_eq!(place.passed(Some(&of("bob", "a"))), 0);
    assert_eq!(place.passed(Some(&of("ann", "b"))), 2);
}

#[test]
fn tiers_have_their_own_limits() {
    let tiers = "tiers: { free: [{ rate: 1/59m, key: principal }], gold: [{ rate: 4/59m, key: principal, name: fourfold }] }";
    for by in ["principal", "'claim:plan'"] {
        let rules = format!(
            "rules: {{ t.S/*: {{ limits: [{{ rate: 1000/59m, key: global }}, {{ tier: {by}, otherwise: free }}] }} }}"
        );
        let place = Place::new(&format!("{tiers}\n{rules}"));
        let of = |sub: &str, plan: &str| json!({ "sub": sub, "plan": plan });
        assert_eq!(place.passed(Some(&of("ann", "gold"))), 4, "{by}");
        assert_eq!(place.passed(Some(&of("bob", "free"))), 1, "{by}");
        assert_eq!(place.passed(Some(&of("cid", "silver"))), 1, "{by}: a tier that is not there");
        assert_eq!(place.passed(Some(&json!({ "sub": "dan" }))), 1, "{by}");
        assert_eq!(place.passed(None), 1, "{by}");
        let reply = place.get(Some(&of("ann", "gold")));
        reply.assert_fault(429, "RATE_LIMITED", None);
        assert!(reply.header("ratelimit-policy").unwrap().contains("\"fourfold\";q=4;"), "{reply:?}");
    }
}

#[test]
fn strangers_cost_nobody_anything() {
    let place = Place::new("rules: { t.S/*: { auth: required, limits: [{ rate: 1/59m, key: global }] } }");
    for _ in 0..5 {
        assert_eq!(place.get(None).status, 401);
    }
    assert_eq!(place.get(Some(&json!({ "sub": "ann" }))).status, 200);
}
