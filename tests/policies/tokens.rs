//! Tokens of an issuer that shares a secret with the gateway.

use std::time::{SystemTime, UNIX_EPOCH};

use base64_simd::URL_SAFE_NO_PAD;
use ring::hmac;
use serde_json::{Value, json};

/// What the file `secret` holds.
pub const SECRET: &str = "a secret of more than thirty-two bytes";

/// The issuer, as keys of `identity`.
pub const ISSUER: &str =
    "issuers: { main: { issuer: 'https://id.example', audiences: [shop], secret: { file: secret } } }";

/// A token by what it is for; good but for what its name says.
pub fn token(name: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let mut claims = json!({
        "iss": "https://id.example", "aud": "shop", "sub": "ann", "exp": now + 600, "scope": "read",
    });
    match name {
        "good" | "forged" => {}
        "expired" => claims["exp"] = json!(now - 3600),
        "of another audience" => claims["aud"] = json!("mall"),
        "of a stranger" => claims["iss"] = json!("https://else.example"),
        other => panic!("{other}"),
    }
    let secret = if name == "forged" { "another" } else { SECRET };
    sign(secret, &claims)
}

fn sign(secret: &str, claims: &Value) -> String {
    let base64 = |text: String| URL_SAFE_NO_PAD.encode_to_string(text);
    let header = json!({ "alg": "HS256", "typ": "JWT" });
    let message = format!("{}.{}", base64(header.to_string()), base64(claims.to_string()));
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let signature = hmac::sign(&key, message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode_to_string(signature))
}
