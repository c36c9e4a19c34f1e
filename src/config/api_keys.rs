//! The part `identity.api_keys` of a configuration, and the file of keys that it names: the same YAML, with the same care
//! for what is wrong in it.

use std::collections::BTreeMap;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::SystemTime;

use http::HeaderName;
use serde_json::Value as Json;

use super::identity::{list, name};
use super::reader::{Map, Reader, Source, Value};
use super::values::{self, Wrong};
use super::{MAX_BYTES, read_bounded, tree};
use crate::policy::identity::{ApiKey, ApiKeySettings, Identity, KeyHash, Source as From, is_id};
use crate::problem::{Problem, Problems};
use crate::protocol::is_reserved_metadata;
use crate::tls::Mark;

const DEFAULT_HEADER: HeaderName = HeaderName::from_static("x-api-key");
/// Claims that every key has, by other keys of its entry.
const OWN_CLAIMS: [&str; 2] = ["sub", "owner"];

pub(super) fn read(map: &mut Map<'_>) -> Option<ApiKeySettings> {
    let file = map.required("file", "write where the keys' hashes are, as in `file: keys.yaml`");
    let mut header = DEFAULT_HEADER;
    map.set("header", &mut header, header_name);
    let query = map.value("query", |text| name(text, "a parameter"));
    let mut forward = false;
    map.set("forward", &mut forward, values::boolean);
    let file = file?;
    let path = map.path(file.text()?);
    // Before it is read, so that a later write is never taken for an old one.
    let mark = Mark::now(&path);
    match load(&path) {
        Ok(keys) => Some(ApiKeySettings { path, mark, keys, load, header, query, forward }),
        Err(problems) => {
            problems.into_iter().for_each(|problem| file.report(problem.clone()));
            None
        }
    }
}

fn header_name(text: &str) -> Result<HeaderName, Wrong> {
    let name = HeaderName::from_str(text).map_err(|_| Wrong::new(format!("`{text}` is no header")))?;
    if is_reserved_metadata(&name) || text.to_ascii_lowercase().ends_with("-bin") {
        return Err(
            Wrong::new(format!("`{text}` has a meaning of its own")).help("write a name such as `x-api-key`")
        );
    }
    Ok(name)
}

/// Reads a file of keys.
///
/// # Errors
/// Every problem in it, in the order of its lines; or that it can't be read.
pub fn load(path: &Path) -> Result<Vec<ApiKey>, Problems> {
    let cannot = |why: String| Problem::error(format!("the API keys can't be read: {why}")).in_file(path);
    let bytes = read_bounded(path, MAX_BYTES).map_err(cannot)?;
    let text = String::from_utf8(bytes).map_err(|_| cannot("they aren't UTF-8 text".to_owned()))?;
    if text.trim().is_empty() {
        return Err(cannot("the file is empty; write `keys: {}` where nobody has one".to_owned()).into());
    }
    let reader = Reader::new(Source::new(&text, path));
    let keys = tree::read(&reader).and_then(|tree| reader.root(&tree, all));
    let problems = reader.into_problems();
    match keys {
        Some(keys) => problems.into_result(keys).map(|(keys, _)| keys),
        None => Err(problems),
    }
}

fn all(root: &mut Map<'_>) -> Vec<ApiKey> {
    // A file without keys is one that lets nobody in.
    let keys = root.required("keys", "add the entries that `transom key new` prints, or write `keys: {}`");
    let Some(keys) = keys.filter(|keys| !keys.is_empty_map()) else { return Vec::new() };
    let mut hashes = BTreeMap::new();
    let mut good = Vec::new();
    for (id, value) in keys.entries(id) {
        let key = value.map(|map| key(map, id)).flatten();
        let Some(key) = key else { continue };
        if let Some(other) = hashes.insert(key.hash, key.id.clone()) {
            value.wrong(&format!("`{other}` has the same hash"), "make another key by `transom key new`");
        }
        good.push(key);
    }
    good
}

fn id(text: &str) -> Result<String, Wrong> {
    if is_id(text) {
        return Ok(text.to_owned());
    }
    let help = "it is the part of a key between `tsm_` and the next `_`: 12 digits and small letters";
    Err(Wrong::new(format!("`{text}` is no identifier of a key")).help(help))
}

fn key(map: &mut Map<'_>, id: Option<String>) -> Option<ApiKey> {
    let hash = map.required("hash", "write the SHA-256 of the key, as `transom key new` prints it");
    let hash = hash.and_then(|value| value.parse(hash_of));
    let owner = map.required("owner", "write whose key it is").and_then(|value| value.parse(values::text));
    let scopes = map.get("scopes").map_or_else(|| Some(Vec::new()), |value| list(&value, values::text));
    let tier = map.value("tier", values::text);
    let expires = map.value("expires", moment);
    let mut disabled = false;
    map.set("disabled", &mut disabled, values::boolean);
    let claims = map.get("claims");
    let (id, owner) = (id?, owner?);
    let mut identity = Identity::new(From::ApiKey, id.clone());
    for (name, value) in claims.map_or_else(Vec::new, |value| value.entries(claim)) {
        let value = claim_value(&value);
        identity.claims.extend(name.zip(value));
    }
    for (name, value) in OWN_CLAIMS.into_iter().zip([&id, &owner]) {
        identity.claims.insert(name.to_owned(), Json::String(value.clone()));
    }
    identity.scopes = scopes?;
    identity.tier = tier;
    identity.owner = Some(owner);
    identity.expires = expires;
    Some(ApiKey { id, hash: hash?, disabled, identity: Arc::new(identity) })
}

fn claim(text: &str) -> Result<String, Wrong> {
    if OWN_CLAIMS.contains(&text) {
        return Err(Wrong::new(format!("every key has the claim `{text}` already")).help("leave it out"));
    }
    values::text(text)
}

/// A text, or a list of them.
fn claim_value(value: &Value<'_>) -> Option<Json> {
    if value.is_list() {
        list(value, values::text).map(Json::from)
    } else {
        value.parse(values::text).map(Json::from)
    }
}

/// `sha256:` and 64 hexadecimal digits.
fn hash_of(text: &str) -> Result<KeyHash, Wrong> {
    let wrong = || {
        Wrong::new("this is no hash of a key")
            .help("write `sha256:` and 64 hexadecimal digits, as `transom key new` prints them")
    };
    let digits = text.strip_prefix("sha256:").filter(|digits| digits.len() == 64).ok_or_else(wrong)?;
    let mut hash = KeyHash::default();
    for (byte, pair) in hash.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
        let pair =
            std::str::from_utf8(pair).ok().filter(|pair| pair.bytes().all(|digit| digit.is_ascii_hexdigit()));
        *byte = pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()).ok_or_else(wrong)?;
    }
    Ok(hash)
}

/// A day, which begins at midnight in UTC, or a time of it (RFC 3339).
pub fn moment(text: &str) -> Result<SystemTime, Wrong> {
    let day = format!("{text}T00:00:00Z");
    let parsed = humantime::parse_rfc3339(text).or_else(|_| humantime::parse_rfc3339(&day));
    parsed.map_err(|_| {
        Wrong::new(format!("`{text}` is no time")).help("write it as `2027-01-31` or `2027-01-31T12:00:00Z`")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::identity::hash_of as hash_of_key;

    fn loaded(text: &str) -> Result<Vec<ApiKey>, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.yaml");
        std::fs::write(&path, text).unwrap();
        load(&path).map_err(|problems| problems.to_string())
    }

    #[test]
    fn a_file_of_keys() {
        let hex: String = hash_of_key("x").iter().map(|byte| format!("{byte:02x}")).collect();
        let keys = loaded(&format!(
            "keys:\n  abcdefghijk1:\n    hash: sha256:{hex}\n    owner: batch\n    scopes: [a, b]\n    tier: gold\n    \
             expires: 2027-01-31\n    claims: {{ tenant: acme, groups: [x, y] }}\n  abcdefghijk2: {{ hash: 'sha256:{}', owner: o, disabled: true }}\n",
            "0".repeat(64)
        ))
        .unwrap();
        let [first, second] = keys.as_slice() else { panic!("{keys:?}") };
        assert_eq!((first.hash, first.disabled, second.disabled), (hash_of_key("x"), false, true));
        let identity = &first.identity;
        assert_eq!((identity.subject.as_str(), identity.owner.as_deref()), ("abcdefghijk1", Some("batch")));
        assert_eq!((identity.scopes.join(" ").as_str(), identity.tier.as_deref()), ("a b", Some("gold")));
        assert_eq!(identity.expires, Some(moment("2027-01-31T00:00:00Z").unwrap()));
        let claims = serde_json::json!({ "tenant": "acme", "groups": ["x", "y"], "sub": "abcdefghijk1", "owner": "batch" });
        assert_eq!(Json::from(identity.claims.clone()), claims);
        assert_eq!(loaded("keys: {}").unwrap(), []);
    }

    #[test]
    fn what_is_wrong_has_its_line() {
        let hash = format!("sha256:{}", "0".repeat(64));
        for (text, want) in [
            ("", "write `keys: {}` where nobody has one"),
            ("key: {}", "the key `keys` is missing"),
            ("keys:\n  ABC: { hash: x, owner: o }", "`ABC` is no identifier of a key"),
            ("keys:\n  abcdefghijk1: { hash: x, owner: o }", "this is no hash of a key"),
            (&format!("keys:\n  abcdefghijk1: {{ hash: '{hash}' }}"), "the key `owner` is missing"),
            (
                &format!("keys:\n  abcdefghijk1: {{ hash: '{hash}', owner: o, expires: soon }}"),
                "`soon` is no time",
            ),
            (
                &format!("keys:\n  abcdefghijk1: {{ hash: '{hash}', owner: o, scope: a }}"),
                "did you mean `scopes`?",
            ),
            (
                &format!("keys:\n  abcdefghijk1: {{ hash: '{hash}', owner: o, claims: {{ sub: x }} }}"),
                "every key has the claim `sub` already",
            ),
            (
                &format!(
                    "keys:\n  abcdefghijk1: {{ hash: '{hash}', owner: o }}\n  abcdefghijk2: {{ hash: '{hash}', owner: o }}"
                ),
                "`abcdefghijk1` has the same hash",
            ),
        ] {
            let said = loaded(text).unwrap_err();
            assert!(said.contains(want), "{text}: {said}");
        }
    }
}
