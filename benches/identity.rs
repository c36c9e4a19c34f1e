//! What it costs to find out who calls: a token that is known by its digest, and one that is seen for the first time.
//!
//! `cargo bench --bench identity`

use std::cell::Cell;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use base64_simd::URL_SAFE_NO_PAD;
use divan::{Bencher, black_box};
use http::Request;
use http::request::Parts;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::json;
use transom::policy::identity::{
    Algorithm, Auth, Authenticator, IdentitySettings, IssuerSettings, Judged, KeyFile, KeySet, KeySource,
    TokenSettings, TokenType,
};
use transom::telemetry::Metrics;

fn main() {
    divan::main();
}

struct Issuer {
    authenticator: Arc<Authenticator>,
    ec: EcdsaKeyPair,
    rsa: RsaKeyPair,
    random: SystemRandom,
}

impl Issuer {
    /// One whose tokens are remembered, or not.
    fn new(cache: usize) -> Self {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let ec = EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("a key");
        let ec = EcdsaKeyPair::from_pkcs8(algorithm, ec.as_ref(), &random).expect("a key");
        let rsa = RsaKeyPair::from_pkcs8(include_bytes!("../tests/identity/data/rsa.pk8")).expect("a key");
        let base64 = |bytes: &[u8]| URL_SAFE_NO_PAD.encode_to_string(bytes);
        let point = &ec.public_key().as_ref()[1..];
        let (x, y) = point.split_at(32);
        let public = ring::rsa::PublicKeyComponents::<Vec<u8>>::from(rsa.public());
        let keys = json!({ "keys": [
            { "kty": "EC", "crv": "P-256", "x": base64(x), "y": base64(y), "kid": "ES256", "alg": "ES256" },
            { "kty": "RSA", "n": base64(&public.n), "e": base64(&public.e), "kid": "RS256", "alg": "RS256" },
        ] });
        let algorithms = vec![Algorithm::ES256, Algorithm::RS256];
        let bytes = keys.to_string().into_bytes();
        let (set, _) = KeySet::read(&bytes, &algorithms).expect("a key set");
        let issuer = IssuerSettings {
            name: "main".into(),
            issuer: "https://id.example".to_owned(),
            audiences: Some(vec!["shop".to_owned()]),
            keys: KeySource::File(KeyFile { path: "keys.json".into(), bytes: bytes.into(), set }),
            algorithms,
            media_type: TokenType::Usual,
            leeway: IssuerSettings::DEFAULT_LEEWAY,
            refresh: IssuerSettings::DEFAULT_REFRESH,
            cooldown: IssuerSettings::DEFAULT_COOLDOWN,
            scope_claim: None,
            tier_claim: None,
        };
        let settings = IdentitySettings {
            issuers: vec![issuer],
            tokens: TokenSettings { cache, ..TokenSettings::default() },
            ..IdentitySettings::default()
        };
        let authenticator =
            Authenticator::new(&settings, Arc::new(Metrics::default())).expect("a good issuer");
        Self { authenticator: Arc::new(authenticator), ec, rsa, random }
    }

    /// A request with a token such as identity providers make.
    fn head(&self, algorithm: &str) -> Parts {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
        let claims = json!({
            "iss": "https://id.example", "aud": ["shop"], "sub": "5be86359-073c-434b-ad2d-a3932222dabe", "iat": now,
            "exp": now + 3600, "jti": "8f2c6b1e-3a53-4f2c-9a3d-6f2a1e7d9b10", "azp": "web", "scope": "openid read write",
            "email": "ann@example.com", "realm_access": { "roles": ["customer", "staff"] },
        });
        let encode = |value: serde_json::Value| URL_SAFE_NO_PAD.encode_to_string(value.to_string());
        let message = format!(
            "{}.{}",
            encode(json!({ "alg": algorithm, "kid": algorithm, "typ": "JWT" })),
            encode(claims)
        );
        let signature = if algorithm == "ES256" {
            self.ec.sign(&self.random, message.as_bytes()).expect("a signature").as_ref().to_vec()
        } else {
            let mut signature = vec![0; self.rsa.public().modulus_len()];
            self.rsa
                .sign(&RSA_PKCS1_SHA256, &self.random, message.as_bytes(), &mut signature)
                .expect("a signature");
            signature
        };
        let bearer = format!("Bearer {message}.{}", URL_SAFE_NO_PAD.encode_to_string(signature));
        Request::get("/v1/books/1")
            .header("authorization", bearer)
            .body(())
            .expect("a request")
            .into_parts()
            .0
    }

    fn judge(&self, head: &Parts) {
        let judged = self.authenticator.judge(Auth::Required, black_box(head), None);
        assert!(matches!(judged, Judged::Now(Ok(_))), "a good token");
    }
}

#[divan::bench(args = ["ES256", "RS256"])]
fn known(bencher: Bencher<'_, '_>, algorithm: &str) {
    let issuer = Issuer::new(10_000);
    let head = issuer.head(algorithm);
    bencher.bench_local(|| issuer.judge(&head));
}

#[divan::bench(args = ["ES256", "RS256"])]
fn first_seen(bencher: Bencher<'_, '_>, algorithm: &str) {
    let issuer = Issuer::new(0);
    let head = issuer.head(algorithm);
    bencher.bench_local(|| issuer.judge(&head));
}

/// Tokens of a thousand callers, in turn.
#[divan::bench]
fn known_among_a_thousand(bencher: Bencher<'_, '_>) {
    let issuer = Issuer::new(10_000);
    let heads: Vec<Parts> = (0..1_000).map(|_| issuer.head("ES256")).collect();
    let next = Cell::new(0);
    bencher.bench_local(|| {
        next.set((next.get() + 1) % heads.len());
        issuer.judge(&heads[next.get()]);
    });
}
