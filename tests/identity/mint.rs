//! An issuer in the test's hands: keys of every kind, the key set that tells them, and tokens good and bad.

use std::time::{SystemTime, UNIX_EPOCH};

use base64_simd::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
    RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaKeyPair,
};
use ring::{hmac, rsa};
use serde_json::{Map, Value, json};

pub const ISSUER: &str = "https://id.example";
pub const AUDIENCE: &str = "shop";
pub const SECRET: &[u8] = b"a secret of forty-eight bytes, more or less random";

pub struct Mint {
    es256: EcdsaKeyPair,
    es384: EcdsaKeyPair,
    ed: Ed25519KeyPair,
    rsa: RsaKeyPair,
    random: SystemRandom,
}

pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

pub fn base64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode_to_string(bytes)
}

/// The claims of a good token, with others in the place of some; null takes one away.
pub fn claims(changes: Value) -> Value {
    let mut claims =
        json!({ "iss": ISSUER, "aud": AUDIENCE, "sub": "ann", "exp": now() + 600, "scope": "read write" });
    for (name, value) in changes.as_object().cloned().unwrap_or_default() {
        match value {
            Value::Null => drop(claims.as_object_mut().expect("an object").remove(&name)),
            value => claims[name] = value,
        }
    }
    claims
}

impl Mint {
    pub fn new() -> Self {
        let random = SystemRandom::new();
        let ec = |algorithm| {
            let key = EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("a key");
            EcdsaKeyPair::from_pkcs8(algorithm, key.as_ref(), &random).expect("a key")
        };
        let ed = Ed25519KeyPair::generate_pkcs8(&random).expect("a key");
        Self {
            es256: ec(&ECDSA_P256_SHA256_FIXED_SIGNING),
            es384: ec(&ECDSA_P384_SHA384_FIXED_SIGNING),
            ed: Ed25519KeyPair::from_pkcs8(ed.as_ref()).expect("a key"),
            rsa: RsaKeyPair::from_pkcs8(include_bytes!("data/rsa.pk8")).expect("a key"),
            random,
        }
    }

    /// The public key of an algorithm, as a JWK without `kid` and `alg`.
    pub fn jwk(&self, algorithm: &str) -> Value {
        let ec = |key: &EcdsaKeyPair, curve: &str| {
            let point = &key.public_key().as_ref()[1..];
            let (x, y) = point.split_at(point.len() / 2);
            json!({ "kty": "EC", "crv": curve, "x": base64(x), "y": base64(y) })
        };
        match algorithm {
            "ES256" => ec(&self.es256, "P-256"),
            "ES384" => ec(&self.es384, "P-384"),
            "EdDSA" => {
                json!({ "kty": "OKP", "crv": "Ed25519", "x": base64(self.ed.public_key()) })
            }
            "RS256" | "PS256" => {
                let rsa::PublicKeyComponents { n, e } =
                    rsa::PublicKeyComponents::<Vec<u8>>::from(self.rsa.public());
                json!({ "kty": "RSA", "n": base64(n), "e": base64(e) })
            }
            other => panic!("{other}"),
        }
    }

    /// A key set with a key for each of these algorithms, which it is named by.
    pub fn key_set(&self, algorithms: &[&str]) -> Value {
        let keys: Vec<Value> = algorithms
            .iter()
            .map(|algorithm| {
                let mut key = self.jwk(algorithm);
                key["kid"] = json!(algorithm);
                key["alg"] = json!(algorithm);
                key["use"] = json!("sig");
                key
            })
            .collect();
        json!({ "keys": keys })
    }

    /// A token that is signed with the key of `algorithm`, whatever its header says of that.
    pub fn sign(&self, algorithm: &str, header: &Value, claims: &Value) -> String {
        let message = format!("{}.{}", base64(header.to_string()), base64(claims.to_string()));
        let bytes = message.as_bytes();
        let rsa = |padding| {
            let mut signature = vec![0; self.rsa.public().modulus_len()];
            self.rsa.sign(padding, &self.random, bytes, &mut signature).expect("a signature");
            signature
        };
        let signature = match algorithm {
            "ES256" => self.es256.sign(&self.random, bytes).expect("a signature").as_ref().to_vec(),
            "ES384" => self.es384.sign(&self.random, bytes).expect("a signature").as_ref().to_vec(),
            "EdDSA" => self.ed.sign(bytes).as_ref().to_vec(),
            "RS256" => rsa(&RSA_PKCS1_SHA256),
            "PS256" => rsa(&RSA_PSS_SHA256),
            "HS256" => by_secret(SECRET, bytes),
            other => panic!("{other}"),
        };
        format!("{message}.{}", base64(signature))
    }

    /// A token as the issuer makes it, with these claims.
    pub fn token(&self, algorithm: &str, claims: &Value) -> String {
        self.sign(algorithm, &json!({ "alg": algorithm, "kid": algorithm, "typ": "JWT" }), claims)
    }

    /// A good token of Ann's.
    pub fn good(&self) -> String {
        self.token("ES256", &claims(json!({})))
    }
}

fn by_secret(secret: &[u8], message: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message).as_ref().to_vec()
}

/// A token that is signed with a secret of the attacker's choice.
pub fn sign_with(secret: &[u8], header: &Value, claims: &Value) -> String {
    let message = format!("{}.{}", base64(header.to_string()), base64(claims.to_string()));
    let signature = by_secret(secret, message.as_bytes());
    format!("{message}.{}", base64(signature))
}

/// With further members.
pub fn with(mut object: Value, more: Value) -> Value {
    let more: Map<String, Value> = more.as_object().cloned().expect("an object");
    object.as_object_mut().expect("an object").extend(more);
    object
}
