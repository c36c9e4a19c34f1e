//! What backends are told of who calls: metadata made of the principal, which no client can set.
//!
//! It is put in at the last moment before a call goes out, when nothing that a client sent has a say any more: neither
//! headers of these names, nor such as lose a prefix, nor a `Connection` that lists them.

use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::Value;

use super::{ForwardSettings, Identity, Principal, Source};

/// As in `grpc-message`: all but printable ASCII, and the percent sign itself.
const TEXT: &AsciiSet = &CONTROLS.add(b'%');

#[derive(Debug)]
pub struct Forward {
    claims: Vec<Claim>,
}

#[derive(Debug)]
struct Claim {
    name: HeaderName,
    /// The name by which it would cross from other gateways' clients.
    prefixed: Option<HeaderName>,
    path: Vec<String>,
}

impl Forward {
    /// None where nothing is told.
    #[must_use]
    pub fn new(settings: &ForwardSettings) -> Option<Self> {
        let claim = |(name, path): &(HeaderName, Vec<String>)| Claim {
            prefixed: HeaderName::try_from(format!("grpc-metadata-{name}")).ok(),
            name: name.clone(),
            path: path.clone(),
        };
        let claims: Vec<Claim> = settings.claims.iter().map(claim).collect();
        (!claims.is_empty()).then_some(Self { claims })
    }

    /// Puts into the metadata of a call what is known of its principal, and takes out what anybody else says of it.
    pub fn put(&self, principal: &Principal, headers: &mut HeaderMap) {
        for Claim { name, prefixed, path } in &self.claims {
            headers.remove(name);
            if let Some(prefixed) = prefixed {
                headers.remove(prefixed);
            }
            if let Some(value) = principal.identity().and_then(|identity| value(identity, name, path)) {
                headers.insert(name, value);
            }
        }
    }
}

/// A claim as metadata: texts as they are, lists and objects as JSON. Names that end in `-bin` have base64 of it.
fn value(identity: &Identity, name: &HeaderName, path: &[String]) -> Option<HeaderValue> {
    let text = match claim(identity, path)? {
        Value::Null => return None,
        Value::String(text) => text,
        other @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => other.to_string(),
    };
    let text = if name.as_str().ends_with("-bin") {
        base64_simd::STANDARD_NO_PAD.encode_to_string(text)
    } else {
        // Spaces at either end don't survive every server.
        let rest = text.trim_start_matches(' ');
        let inner = rest.trim_end_matches(' ');
        let spaces = |longer: &str, shorter: &str| "%20".repeat(longer.len() - shorter.len());
        format!("{}{}{}", spaces(&text, rest), utf8_percent_encode(inner, TEXT), spaces(rest, inner))
    };
    HeaderValue::from_str(&text).ok()
}

/// What a credential says under these names, from the outside in. One that isn't a token has no claims of its own, but
/// what it proves goes by the same names.
fn claim(identity: &Identity, path: &[String]) -> Option<Value> {
    let (first, rest) = path.split_first()?;
    if let Some(outer) = identity.claims.get(first) {
        return rest.iter().try_fold(outer, |value, name| value.get(name)).cloned();
    }
    let is_token = match identity.source {
        Source::Jwt(_) => true,
        Source::ApiKey | Source::Certificate => false,
    };
    if is_token || !rest.is_empty() {
        return None;
    }
    match first.as_str() {
        "sub" => Some(identity.subject.clone().into()),
        "scope" => Some(identity.scopes.join(" ").into()),
        "tier" => identity.tier.clone().map(Value::from),
        "owner" => identity.owner.clone().map(Value::from),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use serde_json::json;

    fn told(identity: Identity, claims: &[(&str, &[&str])], headers: &[(&str, &str)]) -> Vec<String> {
        let claims = claims.iter().map(|(name, path)| {
            (HeaderName::try_from(*name).unwrap(), path.iter().map(|name| (*name).to_owned()).collect())
        });
        let forward = Forward::new(&ForwardSettings { claims: claims.collect(), token: false }).unwrap();
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::try_from(*name).unwrap(), HeaderValue::try_from(*value).unwrap());
        }
        forward.put(&Principal::Known(Arc::new(identity)), &mut map);
        let mut told: Vec<String> =
            map.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        told.sort();
        told
    }

    #[test]
    fn claims_become_metadata_of_every_type() {
        let mut identity = Identity::new(Source::Jwt("main".into()), "ann");
        let Value::Object(claims) = json!({
            "sub": "ann", "n": 7, "is": true, "none": null, "list": ["a", 1], "text": "Bär 100%\n", "space": " a b ",
            "https://a.example/tenant": "t", "deep": { "er": { "est": "d" } }, "empty": "", "blank": "  ",
        }) else {
            panic!()
        };
        identity.claims = claims;
        identity.tier = Some("gold".into());
        for (path, want) in [
            (&["sub"][..], Some("ann")),
            (&["n"], Some("7")),
            (&["is"], Some("true")),
            (&["none"], None),
            (&["nothing"], None),
            (&["list"], Some("[\"a\",1]")),
            (&["text"], Some("B%C3%A4r 100%25%0A")),
            (&["space"], Some("%20a b%20")),
            (&["https://a.example/tenant"], Some("t")),
            (&["deep", "er", "est"], Some("d")),
            (&["deep", "er"], Some("{\"est\":\"d\"}")),
            (&["deep", "other"], None),
            (&["sub", "deeper"], None),
            (&["tier"], None),
            (&["empty"], Some("")),
            (&["blank"], Some("%20%20")),
        ] {
            let want = Vec::from_iter(want.map(|value| format!("x-a: {value}")));
            assert_eq!(told(identity.clone(), &[("x-a", path)], &[]), want, "{path:?}");
        }
        assert_eq!(told(identity, &[("x-a-bin", &["text"])], &[]), ["x-a-bin: QsOkciAxMDAlCg"]);
    }

    #[test]
    fn other_credentials_go_by_the_same_names() {
        let mut identity = Identity::new(Source::ApiKey, "key-1");
        identity.owner = Some("ann".into());
        identity.scopes = vec!["a".into(), "b".into()];
        let wants: [(&str, &[&str]); 4] =
            [("x-a", &["sub"]), ("x-b", &["scope"]), ("x-c", &["owner"]), ("x-d", &["tier"])];
        assert_eq!(told(identity, &wants, &[]), ["x-a: key-1", "x-b: a b", "x-c: ann"]);
    }

    #[test]
    fn what_a_client_says_of_itself_is_dropped() {
        let identity = Identity::new(Source::Certificate, "ann");
        let forged =
            [("x-a", "root"), ("x-a", "root"), ("grpc-metadata-x-a", "root"), ("x-b", "root"), ("x-c", "1")];
        let told = told(identity, &[("x-a", &["sub"]), ("x-b", &["tier"])], &forged);
        assert_eq!(told, ["x-a: ann", "x-c: 1"]);
    }
}
