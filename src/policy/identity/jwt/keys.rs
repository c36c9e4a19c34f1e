//! The keys of an issuer (RFC 7517), each with the algorithms that it is for.

use base64_simd::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey};
use ring::digest;
use serde::Deserialize;
use smallvec::SmallVec;

/// More than any issuer has.
const MAX_KEYS: usize = 256;
/// In bytes. ring takes no others.
const RSA_SIZES: std::ops::RangeInclusive<usize> = 256..=1024;

/// Keys that can check tokens.
#[derive(Debug, Clone, Default)]
pub struct KeySet {
    keys: Vec<Key>,
    /// The SHA-256 of what they were read from; keys themselves can't be compared.
    read_from: Vec<u8>,
}

impl PartialEq for KeySet {
    fn eq(&self, other: &Self) -> bool {
        self.read_from == other.read_from
    }
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    digest::digest(&digest::SHA256, bytes).as_ref().to_vec()
}

#[derive(Debug, Clone)]
pub(super) struct Key {
    id: Option<String>,
    /// At least one.
    algorithms: SmallVec<[Algorithm; 1]>,
    pub key: DecodingKey,
}

/// A key that is left out, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Its place in the set, from 0.
    pub index: usize,
    pub why: &'static str,
}

#[derive(Deserialize)]
struct Set {
    keys: Vec<serde_json::Value>,
}

/// A JSON Web Key, as far as it matters for signatures (RFC 7518, section 6; RFC 8037).
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    r#use: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl KeySet {
    /// The one key that is a secret, for `algorithms`.
    #[must_use]
    pub fn secret(secret: &[u8], algorithms: &[Algorithm]) -> Self {
        let key = Key { id: None, algorithms: algorithms.into(), key: DecodingKey::from_secret(secret) };
        Self { keys: vec![key], read_from: sha256(secret) }
    }

    /// Reads a JSON Web Key Set. A key without `alg` is for those of `allowed` that its type is made for; keys that can
    /// check no token are left out.
    ///
    /// # Errors
    /// No key set, or nothing in it that can check a token.
    pub fn read(json: &[u8], allowed: &[Algorithm]) -> Result<(Self, Vec<Skipped>), String> {
        let set: Set = serde_json::from_slice(json).map_err(|error| format!("it is no key set: {error}"))?;
        if set.keys.len() > MAX_KEYS {
            return Err(format!("it has more than {MAX_KEYS} keys"));
        }
        let (mut keys, mut skipped) = (Vec::new(), Vec::new());
        for (index, value) in set.keys.into_iter().enumerate() {
            match Key::read(value, allowed) {
                Ok(key) => keys.push(key),
                Err(why) => skipped.push(Skipped { index, why }),
            }
        }
        match (keys.is_empty(), skipped.first()) {
            (false, _) => Ok((Self { keys, read_from: sha256(json) }, skipped)),
            (true, Some(Skipped { index, why })) => {
                Err(format!("key {index} can't be used ({why}), and no other can"))
            }
            (true, None) => Err("it has no keys".to_owned()),
        }
    }

    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The key of this name. Where nothing has the name, or the token names none, it is the only one for the algorithm that
    /// may be meant: a token must not make all keys work.
    pub(super) fn find(&self, id: Option<&str>, algorithm: Option<Algorithm>) -> Found<'_> {
        let fits = |key: &&Key| algorithm.is_some_and(|algorithm| key.algorithms.contains(&algorithm));
        let mut named = self.keys.iter().filter(|key| id.is_some() && key.id.as_deref() == id).peekable();
        if named.peek().is_some() {
            return named.find(fits).map_or(Found::OtherAlgorithm, Found::Key);
        }
        let mut meant = self.keys.iter().filter(|key| id.is_none() || key.id.is_none()).peekable();
        if meant.peek().is_none() {
            return Found::Missing;
        }
        let mut fitting = meant.filter(fits);
        match (fitting.next(), fitting.next()) {
            (Some(key), None) => Found::Key(key),
            (None, _) => Found::OtherAlgorithm,
            (Some(_), Some(_)) => Found::Ambiguous,
        }
    }
}

/// What a token's header leads to.
#[derive(Debug)]
pub(super) enum Found<'k> {
    Key(&'k Key),
    Missing,
    /// There are keys, but none is for this algorithm.
    OtherAlgorithm,
    /// The token names no key, and there are several for its algorithm.
    Ambiguous,
}

impl Key {
    fn read(jwk: serde_json::Value, allowed: &[Algorithm]) -> Result<Self, &'static str> {
        let jwk: Jwk = serde_json::from_value(jwk).map_err(|_| "it is no JSON Web Key")?;
        if jwk.r#use.as_ref().is_some_and(|usage| usage != "sig") {
            return Err("it is not for signatures");
        }
        if jwk.key_ops.as_ref().is_some_and(|uses| !uses.iter().any(|usage| usage == "verify")) {
            return Err("it is not for checking signatures");
        }
        let (key, fitting) = jwk.key()?;
        let algorithms: SmallVec<[Algorithm; 1]> = match &jwk.alg {
            None => allowed.iter().copied().filter(|algorithm| fitting.contains(algorithm)).collect(),
            Some(name) => {
                let own = name.parse::<Algorithm>().ok().filter(|own| fitting.contains(own));
                let own = own.ok_or("its `alg` is none that its type is made for")?;
                allowed.iter().copied().filter(|algorithm| *algorithm == own).collect()
            }
        };
        if algorithms.is_empty() {
            return Err("its algorithms are not among those that are allowed");
        }
        Ok(Self { id: jwk.kid, algorithms, key })
    }
}

impl Jwk {
    /// The key, and the algorithms that keys of its type are made for.
    fn key(&self) -> Result<(DecodingKey, &'static [Algorithm]), &'static str> {
        use Algorithm::{ES256, ES384, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512};
        match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", _) => {
                let (n, e) = (number(self.n.as_ref())?, number(self.e.as_ref())?);
                if !RSA_SIZES.contains(&n.len()) {
                    return Err("RSA keys have 2048 to 8192 bits");
                }
                let key = DecodingKey::from_rsa_raw_components(&n, &e);
                Ok((key, &[RS256, RS384, RS512, PS256, PS384, PS512]))
            }
            ("EC", Some("P-256")) => Ok((self.point(32)?, &[ES256])),
            ("EC", Some("P-384")) => Ok((self.point(48)?, &[ES384])),
            ("OKP", Some("Ed25519")) => {
                let x = bytes(self.x.as_ref())?;
                if x.len() != 32 {
                    return Err("its point has another size than its curve");
                }
                Ok((DecodingKey::from_ed_der(&x), &[EdDSA]))
            }
            ("EC" | "OKP", _) => Err("its curve is none of P-256, P-384 and Ed25519"),
            ("oct", _) => Err("secrets do not belong into a key set"),
            _ => Err("its type is none of RSA, EC and OKP"),
        }
    }

    /// A point on a curve, without compression (SEC 1, section 2.3.3).
    fn point(&self, size: usize) -> Result<DecodingKey, &'static str> {
        let (x, y) = (bytes(self.x.as_ref())?, bytes(self.y.as_ref())?);
        if x.len() != size || y.len() != size {
            return Err("its point has another size than its curve");
        }
        Ok(DecodingKey::from_ec_der(&[&[4], x.as_slice(), y.as_slice()].concat()))
    }
}

/// A number without zeros before it.
fn number(text: Option<&String>) -> Result<Vec<u8>, &'static str> {
    let mut bytes = bytes(text)?;
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    bytes.drain(..zeros);
    Ok(bytes)
}

fn bytes(text: Option<&String>) -> Result<Vec<u8>, &'static str> {
    let text = text.ok_or("a part of it is missing")?;
    // Some issuers pad.
    let text = text.trim_end_matches('=');
    URL_SAFE_NO_PAD.decode_to_vec(text).map_err(|_| "a part of it is no base64url")
}

/// A secret that is written in base64, of either alphabet.
#[must_use]
pub fn secret_of_base64(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches('=');
    STANDARD_NO_PAD.decode_to_vec(text).or_else(|_| URL_SAFE_NO_PAD.decode_to_vec(text)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const ALL: [Algorithm; 4] = [Algorithm::RS256, Algorithm::PS256, Algorithm::ES256, Algorithm::EdDSA];

    fn text(size: usize) -> String {
        URL_SAFE_NO_PAD.encode_to_string(vec![0xa5; size])
    }

    fn rsa(size: usize) -> Value {
        json!({ "kty": "RSA", "n": text(size), "e": "AQAB" })
    }

    fn with(mut key: Value, name: &str, value: Value) -> Value {
        key[name] = value;
        key
    }

    #[test]
    fn the_key_and_the_configuration_fix_the_algorithm() {
        use Algorithm::{ES256, PS256, RS256};
        let ec = json!({ "kty": "EC", "crv": "P-256", "x": text(32), "y": text(32) });
        let cases: [(Value, Result<&[Algorithm], &str>); 18] = [
            (rsa(256), Ok(&[RS256, PS256])),
            (with(rsa(256), "alg", json!("PS256")), Ok(&[PS256])),
            (with(rsa(256), "n", json!(text(256) + "==")), Ok(&[RS256, PS256])),
            (
                with(rsa(256), "alg", json!("RS512")),
                Err("its algorithms are not among those that are allowed"),
            ),
            (with(rsa(256), "alg", json!("ES256")), Err("its `alg` is none that its type is made for")),
            (with(rsa(256), "alg", json!("HS256")), Err("its `alg` is none that its type is made for")),
            (with(rsa(256), "alg", json!("none")), Err("its `alg` is none that its type is made for")),
            (rsa(255), Err("RSA keys have 2048 to 8192 bits")),
            (rsa(1025), Err("RSA keys have 2048 to 8192 bits")),
            (with(rsa(256), "use", json!("enc")), Err("it is not for signatures")),
            (with(rsa(256), "key_ops", json!(["sign"])), Err("it is not for checking signatures")),
            (with(rsa(256), "key_ops", json!(["verify"])), Ok(&[RS256, PS256])),
            (with(rsa(256), "e", Value::Null), Err("a part of it is missing")),
            (ec.clone(), Ok(&[ES256])),
            (with(ec.clone(), "y", json!(text(31))), Err("its point has another size than its curve")),
            (with(ec, "crv", json!("P-521")), Err("its curve is none of P-256, P-384 and Ed25519")),
            (json!({ "kty": "oct", "k": text(32) }), Err("secrets do not belong into a key set")),
            (json!([]), Err("it is no JSON Web Key")),
        ];
        for (key, want) in cases {
            let got = Key::read(key.clone(), &ALL);
            assert_eq!(got.as_ref().map(|key| &key.algorithms[..]).map_err(|why| *why), want, "{key}");
        }
    }

    #[test]
    fn a_token_chooses_among_keys_and_no_more() {
        let keys =
            |keys: Value| KeySet::read(json!({ "keys": keys }).to_string().as_bytes(), &ALL).unwrap().0;
        let of = |set: &KeySet, id: Option<&str>, algorithm| match set.find(id, algorithm) {
            Found::Key(key) => format!("{:?}", key.id),
            other => format!("{other:?}"),
        };
        let ps = with(with(rsa(256), "kid", json!("b")), "alg", json!("PS256"));
        let set = keys(json!([with(rsa(256), "kid", json!("a")), ps]));
        let (rs256, ps256) = (Some(Algorithm::RS256), Some(Algorithm::PS256));
        assert_eq!(of(&set, Some("a"), rs256), "Some(\"a\")");
        assert_eq!(of(&set, Some("b"), rs256), "OtherAlgorithm");
        assert_eq!(of(&set, Some("c"), rs256), "Missing");
        assert_eq!(of(&set, Some("a"), None), "OtherAlgorithm");
        assert_eq!(of(&set, None, rs256), "Some(\"a\")");
        assert_eq!(of(&set, None, ps256), "Ambiguous");
        let unnamed = keys(json!([rsa(256)]));
        assert_eq!(of(&unnamed, Some("c"), rs256), "None");
        let both = keys(json!([rsa(256), with(rsa(256), "kid", json!("a"))]));
        assert_eq!(of(&both, Some("a"), rs256), "Some(\"a\")");
        assert_eq!(of(&both, Some("c"), rs256), "None");
    }

    #[test]
    fn what_is_no_key_set() {
        let many = json!({ "keys": vec![rsa(256); MAX_KEYS + 1] }).to_string();
        for text in ["", "[]", "{}", r#"{"keys":[]}"#, r#"{"keys":[{}]}"#, &many] {
            assert!(KeySet::read(text.as_bytes(), &ALL).is_err(), "{text:.80}");
        }
    }
}
