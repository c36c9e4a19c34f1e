//! Which count a call belongs to: the values of a key's parts, written one after the other so that no two lists of values
//! read the same.

use std::borrow::Cow;
use std::net::IpAddr;

use http::request::Parts;
use serde_json::Value;
use smallvec::SmallVec;

use super::settings::KeyPart;
use crate::policy::identity::{Identity, Principal, Source};

/// What a key is made of.
pub(in crate::policy) struct Caller<'c> {
    /// `package.Service/Method`, or a selector: what nobody outside makes up.
    pub method: &'c str,
    pub head: &'c Parts,
    pub principal: &'c Principal,
    /// None where it isn't known, as in a gateway that is mounted in another server.
    pub address: Option<IpAddr>,
}

/// A key in bytes.
pub(in crate::policy) type Material = SmallVec<[u8; 96]>;

/// The bytes of `parts` for this caller, those of fields left out.
pub(in crate::policy) fn material(parts: &[KeyPart], caller: &Caller<'_>) -> Material {
    let mut material = Material::new();
    for part in parts {
        put(&mut material, part, caller);
    }
    material
}

/// Adds the bytes of fields, whose values are by path.
pub(super) fn add_fields(material: &mut Material, parts: &[KeyPart], fields: &[(&str, Vec<u8>)]) {
    for part in parts {
        let KeyPart::Field(path) = part else { continue };
        match fields.iter().find(|(known, _)| known == path) {
            Some((_, contents)) => value(material, b'f', contents),
            None => nothing(material),
        }
    }
}

fn put(material: &mut Material, part: &KeyPart, caller: &Caller<'_>) {
    match part {
        KeyPart::Global => {}
        KeyPart::Method => value(material, b'm', caller.method.as_bytes()),
        KeyPart::Address => put_address(material, caller.address),
        KeyPart::Principal => match caller.principal {
            Principal::Known(identity) => put_identity(material, identity),
            Principal::Anonymous => put_address(material, caller.address),
        },
        KeyPart::ApiKey => match caller.principal.identity().filter(|known| known.source == Source::ApiKey) {
            Some(identity) => value(material, b'k', identity.subject.as_bytes()),
            None => nothing(material),
        },
        KeyPart::Claim(path) => match claim(caller.principal, path) {
            Some(claim) => value(material, b'c', claim.as_bytes()),
            None => nothing(material),
        },
        KeyPart::Header(name) => {
            let mut values = caller.head.headers.get_all(name).iter().peekable();
            if values.peek().is_none() {
                nothing(material);
            }
            for one in values {
                value(material, b'h', one.as_bytes());
            }
        }
        KeyPart::Field(_) => {}
    }
}

/// A tag, the length, the value: what a client chooses can't look like two values.
fn value(material: &mut Material, tag: u8, bytes: &[u8]) {
    material.push(tag);
    material.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
    material.extend_from_slice(bytes);
}

fn nothing(material: &mut Material) {
    material.push(b'-');
}

fn put_identity(material: &mut Material, identity: &Identity) {
    value(material, b'i', identity.source.name().as_bytes());
    value(material, b's', identity.subject.as_bytes());
}

fn put_address(material: &mut Material, address: Option<IpAddr>) {
    match address.map(|address| address.to_canonical()) {
        Some(IpAddr::V4(address)) => value(material, b'4', &address.octets()),
        // A client of IPv6 has a network of its own.
        Some(IpAddr::V6(address)) => {
            value(material, b'6', address.octets().get(..8).unwrap_or_default());
        }
        None => nothing(material),
    }
}

/// The claim at `path`, as a text; none where it isn't there or is no single value.
pub(super) fn claim<'p>(principal: &'p Principal, path: &[String]) -> Option<Cow<'p, str>> {
    let (first, rest) = path.split_first()?;
    let mut value = principal.identity()?.claims.get(first)?;
    for name in rest {
        value = value.as_object()?.get(name)?;
    }
    match value {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Number(number) => Some(Cow::Owned(number.to_string())),
        Value::Bool(boolean) => Some(Cow::Owned(boolean.to_string())),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http::{HeaderName, Request};
    use serde_json::json;

    use super::*;

    fn parts(headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder();
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn of(parts: &[KeyPart], principal: &Principal, address: &str, headers: &[(&str, &str)]) -> Vec<u8> {
        let head = self::parts(headers);
        let address = address.parse().ok();
        let caller = Caller { method: "a.B/C", head: &head, principal, address };
        material(parts, &caller).to_vec()
    }

    fn known(source: Source, subject: &str) -> Principal {
        let mut identity = Identity::new(source, subject);
        identity.claims =
            json!({ "tenant": { "id": "t-1" }, "n": 5, "list": [1] }).as_object().unwrap().clone();
        Principal::Known(Arc::new(identity))
    }

    #[test]
    fn callers_are_told_apart() {
        use KeyPart::{Address, ApiKey, Claim, Global, Header, Method, Principal as Who};
        let anonymous = Principal::Anonymous;
        let (ann, key) = (known(Source::Jwt("id".into()), "ann"), known(Source::ApiKey, "ann"));
        let tenant = || vec![Claim(vec!["tenant".into(), "id".into()])];
        let header = || vec![Header(HeaderName::from_static("x-tenant"))];
        let pair = || vec![Header(HeaderName::from_static("x-a")), Header(HeaderName::from_static("x-b"))];
        for (same, left, right) in [
            (true, of(&[Global], &ann, "10.0.0.1", &[]), of(&[Global], &anonymous, "10.0.0.2", &[])),
            (true, of(&[Method], &ann, "10.0.0.1", &[]), of(&[Method], &key, "", &[])),
            (false, of(&[Who], &ann, "10.0.0.1", &[]), of(&[Who], &key, "10.0.0.1", &[])),
            (true, of(&[Who], &ann, "10.0.0.1", &[]), of(&[Who], &ann, "10.0.0.2", &[])),
            (false, of(&[Who], &anonymous, "10.0.0.1", &[]), of(&[Who], &anonymous, "10.0.0.2", &[])),
            (true, of(&[Address], &ann, "::ffff:10.0.0.1", &[]), of(&[Address], &ann, "10.0.0.1", &[])),
            (true, of(&[Address], &ann, "2001:db8::1", &[]), of(&[Address], &ann, "2001:db8::2", &[])),
            (false, of(&[Address], &ann, "2001:db8::1", &[]), of(&[Address], &ann, "2001:db8:0:1::1", &[])),
            (true, of(&[ApiKey], &ann, "", &[]), of(&[ApiKey], &anonymous, "", &[])),
            (false, of(&[ApiKey], &key, "", &[]), of(&[ApiKey], &anonymous, "", &[])),
            (true, of(&tenant(), &ann, "", &[]), of(&tenant(), &key, "", &[])),
            (false, of(&tenant(), &ann, "", &[]), of(&tenant(), &anonymous, "", &[])),
            (false, of(&header(), &ann, "", &[("x-tenant", "")]), of(&header(), &ann, "", &[])),
            (
                false,
                of(&header(), &ann, "", &[("x-tenant", "a"), ("x-tenant", "b")]),
                of(&header(), &ann, "", &[("x-tenant", "ab")]),
            ),
            (
                false,
                of(&pair(), &ann, "", &[("x-a", "1h"), ("x-b", "2")]),
                of(&pair(), &ann, "", &[("x-a", "1"), ("x-b", "h2")]),
            ),
        ] {
            assert_eq!(left == right, same, "{left:?} {right:?}");
        }
    }

    #[test]
    fn fields_tell_apart_too() {
        let of = |fields: &[(&str, Vec<u8>)]| {
            let mut material = Material::new();
            let parts = [KeyPart::Field("a".into()), KeyPart::Global, KeyPart::Field("b".into())];
            add_fields(&mut material, &parts, fields);
            material
        };
        let some = |text: &str| text.as_bytes().to_vec();
        assert_eq!(of(&[("b", some("2")), ("a", some("1"))]), of(&[("a", some("1")), ("b", some("2"))]));
        assert_ne!(of(&[("a", some("1")), ("b", some(""))]), of(&[("a", some("")), ("b", some("1"))]));
    }

    #[test]
    fn claims_are_single_values() {
        let principal = known(Source::ApiKey, "");
        for (path, want) in [
            (vec!["tenant", "id"], Some("t-1")),
            (vec!["n"], Some("5")),
            (vec!["tenant"], None),
            (vec!["list"], None),
            (vec!["n", "m"], None),
            (vec![], None),
        ] {
            let path: Vec<String> = path.into_iter().map(str::to_owned).collect();
            assert_eq!(claim(&principal, &path).as_deref(), want, "{path:?}");
        }
    }
}
