//! What callers show: headers, cookies and queries, and key sets that issuers tell.

use std::sync::{Arc, LazyLock};

use base64_simd::URL_SAFE_NO_PAD;
use http::header::{AUTHORIZATION, COOKIE, HeaderValue};
use http::request::Parts;
use http::{Request, Uri};
use ring::hmac;
use serde_json::Value;
use transom::policy::identity::{
    Algorithm, Auth, Authenticator, IdentitySettings, IssuerSettings, Judged, KeySet, KeySource,
    TokenSettings, TokenType,
};
use transom::telemetry::Metrics;

use super::choice;

const SECRET: &[u8] = b"thirty-two bytes that nobody has";

static AUTHENTICATOR: LazyLock<Arc<Authenticator>> = LazyLock::new(|| {
    let issuer = IssuerSettings {
        name: "main".into(),
        issuer: "x".to_owned(),
        audiences: Some(vec!["y".to_owned()]),
        keys: KeySource::Secret(KeySet::secret(SECRET, &[Algorithm::HS256])),
        algorithms: vec![Algorithm::HS256],
        media_type: TokenType::Usual,
        leeway: IssuerSettings::DEFAULT_LEEWAY,
        refresh: IssuerSettings::DEFAULT_REFRESH,
        cooldown: IssuerSettings::DEFAULT_COOLDOWN,
        scope_claim: None,
        tier_claim: None,
    };
    let tokens = TokenSettings {
        cookie: Some("c".to_owned()),
        query: Some("q".to_owned()),
        ..TokenSettings::default()
    };
    let settings = IdentitySettings { issuers: vec![issuer], tokens, ..IdentitySettings::default() };
    Arc::new(Authenticator::new(&settings, Arc::new(Metrics::default())).expect("a good issuer"))
});

/// Nobody is let in by a token that the issuer did not sign, nor by one that it signed for somebody or some time else.
/// The first byte says where the rest stands; for one value the rest is header and claims, one line each, which the issuer
/// signs.
pub(super) fn token(data: &[u8]) {
    let (place, data) = choice(data);
    let mut head = head("/");
    let mut claims = None;
    let shown = match place % 5 {
        0 => HeaderValue::from_bytes(data).is_ok_and(|value| !head.headers.append(AUTHORIZATION, value)),
        1 => HeaderValue::from_bytes(data).is_ok_and(|value| !head.headers.append(COOKIE, value)),
        2 => {
            match std::str::from_utf8(data).ok().and_then(|query| format!("/?{query}").parse::<Uri>().ok()) {
                Some(uri) => {
                    head.uri = uri;
                    true
                }
                None => false,
            }
        }
        3 => {
            let mut lines = data.splitn(2, |byte| *byte == b'\n');
            let (first, second) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
            claims = Some(serde_json::from_slice::<Value>(second));
            let value = HeaderValue::try_from(format!("Bearer {}", sign(first, second)));
            value.is_ok_and(|value| !head.headers.append(AUTHORIZATION, value))
        }
        _ => {
            let all = [Algorithm::RS256, Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA];
            if let Ok((set, _)) = KeySet::read(data, &all) {
                assert!(!set.is_empty());
            }
            false
        }
    };
    if !shown {
        return;
    }
    let Judged::Now(judged) = AUTHENTICATOR.judge(Auth::Required, &head, None) else {
        panic!("a secret is never waited for")
    };
    match judged {
        Err(fault) => assert!(!fault.reason().is_empty()),
        Ok(_) => {
            let claims = claims.expect("nothing else is signed").expect("what is let in is JSON");
            assert_eq!(claims["iss"], "x");
            let audience = &claims["aud"];
            let is_ours = |audience: &Value| audience == "y";
            assert!(is_ours(audience) || audience.as_array().is_some_and(|list| list.iter().any(is_ours)));
            assert!(claims["exp"].as_f64().is_some_and(|exp| exp > 1.7e9), "{claims}");
        }
    }
}

fn head(target: &'static str) -> Parts {
    Request::get(Uri::from_static(target)).body(()).expect("a request").into_parts().0
}

fn sign(header: &[u8], claims: &[u8]) -> String {
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode_to_string(bytes);
    let message = format!("{}.{}", encode(header), encode(claims));
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET), message.as_bytes());
    format!("{message}.{}", encode(signature.as_ref()))
}
