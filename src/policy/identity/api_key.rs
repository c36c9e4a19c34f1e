//! API keys: what one looks like, the hashes by which they are known, and the file that these are kept in.
//!
//! A key is 256 random bits, so that its SHA-256 is as hard to turn back as the key is to guess; the slow hashes that
//! passwords need would only cost. The file holds no keys, and is read again when it changes.

use std::borrow::Cow;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use http::HeaderName;
use http::header::HeaderMap;
use http::request::Parts;
use http::uri::Uri;
use ring::digest;
use ring::rand::{SecureRandom, SystemRandom};
use rustc_hash::FxHashMap;
use tokio::time::sleep;
use tracing::{info, warn};

use super::Identity;
use super::credentials::{BadQuery, in_query, take_parameter};
use crate::problem::Problems;
use crate::tls::Mark;

/// What every key begins with, for those who look for secrets that leaked.
const PREFIX: &str = "tsm_";
/// Characters of an identifier.
const ID: usize = 12;
/// Characters of a secret: 256 bits.
const SECRET: usize = 43;
/// Characters of a checksum: 32 bits.
const CHECK: usize = 6;
const DIGITS: &[u8; 62] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
/// How many of the digits an identifier has.
const ID_DIGITS: u8 = 36;
/// How long a change of the file may go unnoticed.
const LOOK: Duration = Duration::from_secs(1);

/// The SHA-256 of a whole key.
pub type KeyHash = [u8; 32];

/// A key, as far as it is known.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiKey {
    /// Its identifier, which is no secret.
    pub id: String,
    pub hash: KeyHash,
    pub disabled: bool,
    /// Whom it stands for.
    pub identity: Arc<Identity>,
}

impl ApiKey {
    /// Whom it stands for, as long as it may be used.
    fn usable(&self) -> Result<Arc<Identity>, KeyRefusal> {
        if self.disabled {
            return Err(KeyRefusal::Disabled);
        }
        if self.identity.has_expired() {
            return Err(KeyRefusal::Expired);
        }
        Ok(Arc::clone(&self.identity))
    }
}

/// The file of keys, and where requests show one.
#[derive(Debug, Clone)]
pub struct ApiKeySettings {
    pub path: PathBuf,
    /// As it was before it was read.
    pub mark: Mark,
    /// What was read. No two keys have the same identifier.
    pub keys: Vec<ApiKey>,
    /// Reads it once more.
    pub load: fn(&Path) -> Result<Vec<ApiKey>, Problems>,
    pub header: HeaderName,
    /// The query parameter that may hold a key.
    pub query: Option<String>,
    /// Whether the header goes on to the backend.
    pub forward: bool,
}

/// Why nobody is let in by a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyRefusal {
    /// It is no key at all, or there is more than one.
    Malformed(&'static str),
    Unknown,
    Disabled,
    Expired,
}

impl KeyRefusal {
    /// All that can be told apart from outside.
    pub(super) const REASONS: [&'static str; 4] =
        ["KEY_MALFORMED", "KEY_UNKNOWN", "KEY_DISABLED", "KEY_EXPIRED"];

    /// The stable name of the reason, and what the client is told.
    pub(super) const fn told(self) -> (&'static str, &'static str) {
        match self {
            Self::Malformed(_) => ("KEY_MALFORMED", "this is no API key"),
            Self::Unknown => ("KEY_UNKNOWN", "there is no such API key"),
            Self::Disabled => ("KEY_DISABLED", "the API key is disabled"),
            Self::Expired => ("KEY_EXPIRED", "the API key has expired"),
        }
    }

    /// For the log.
    pub(super) const fn cause(self) -> &'static str {
        match self {
            Self::Malformed(why) => why,
            Self::Unknown | Self::Disabled | Self::Expired => self.told().1,
        }
    }
}

/// All keys that count.
#[derive(Debug)]
pub(super) struct ApiKeys {
    settings: ApiKeySettings,
    keys: ArcSwap<Table>,
}

/// By identifier. Only what is in the file is a key of the map, so a fast hash is safe.
type Table = FxHashMap<String, ApiKey>;

fn table(keys: Vec<ApiKey>) -> Table {
    keys.into_iter().map(|key| (key.id.clone(), key)).collect()
}

impl ApiKeys {
    pub(super) fn new(settings: &ApiKeySettings) -> Self {
        Self { keys: ArcSwap::from_pointee(table(settings.keys.clone())), settings: settings.clone() }
    }

    /// The one key that a request shows.
    pub(super) fn find<'h>(&self, head: &'h Parts) -> Result<Option<Cow<'h, str>>, KeyRefusal> {
        let two = KeyRefusal::Malformed("there are two");
        let mut values = head.headers.get_all(&self.settings.header).iter();
        let in_header = match values.next() {
            Some(value) => {
                let text = value.to_str().map_err(|_| KeyRefusal::Malformed("it is no text"))?;
                Some(Cow::Borrowed(text))
            }
            None => None,
        };
        let in_query = match &self.settings.query {
            Some(name) => {
                in_query(head.uri.query().unwrap_or_default(), name).map_err(|error| match error {
                    BadQuery::Two => two,
                    BadQuery::NoText => KeyRefusal::Malformed("the one in the query is no text"),
                })?
            }
            None => None,
        };
        match (in_header, in_query, values.next()) {
            (_, _, Some(_)) | (Some(_), Some(_), None) => Err(two),
            (one, other, None) => Ok(one.or(other)),
        }
    }

    /// Whom a key stands for.
    pub(super) fn check(&self, text: &str) -> Result<Arc<Identity>, KeyRefusal> {
        let id = id_of(text).ok_or(KeyRefusal::Malformed("it has not the form of a key"))?;
        let hash = hash_of(text);
        let keys = self.keys.load();
        let Some(key) = keys.get(id) else { return Err(KeyRefusal::Unknown) };
        if !is_same(&key.hash, &hash) {
            return Err(KeyRefusal::Unknown);
        }
        key.usable()
    }

    /// The hash of the key that has this identifier.
    pub(super) fn hash(&self, id: &str) -> Option<KeyHash> {
        self.keys.load().get(id).map(|key| key.hash)
    }

    /// Whom a key stands for that was good when it had this hash.
    pub(super) fn recheck(&self, id: &str, hash: Option<&KeyHash>) -> Result<Arc<Identity>, KeyRefusal> {
        let keys = self.keys.load();
        let key = keys.get(id).filter(|key| Some(&key.hash) == hash).ok_or(KeyRefusal::Unknown)?;
        key.usable()
    }

    /// Takes the key out of a head, so that no backend sees it.
    pub(super) fn take_out(&self, headers: &mut HeaderMap, uri: &mut Uri) {
        let ApiKeySettings { header, query, forward, .. } = &self.settings;
        if let Some(name) = query {
            take_parameter(uri, name);
        }
        if !forward {
            headers.remove(header);
            // By this name it would cross as well.
            headers.remove(format!("grpc-metadata-{header}"));
        }
    }

    /// Reads the file again whenever it has changed, without an end. A bad one changes nothing. `tell` hears of each
    /// attempt, and whether it was good.
    pub(super) async fn keep_fresh(&self, tell: impl Fn(bool)) {
        let mut judged = self.settings.mark.clone();
        let mut settling = None;
        loop {
            sleep(LOOK).await;
            let now = judged.again();
            // One that is still written is left alone until the next look.
            if now == judged || settling.as_ref() != Some(&now) {
                settling = Some(now);
                continue;
            }
            let file = self.settings.path.display();
            let loaded = (self.settings.load)(&self.settings.path);
            if now.again() != now {
                continue;
            }
            match loaded {
                Ok(keys) => {
                    info!(%file, keys = keys.len(), "the API keys were read again");
                    self.keys.store(Arc::new(table(keys)));
                    tell(true);
                }
                Err(problems) => {
                    warn!(%file, %problems, "the API keys can't be read again; those from before stay");
                    tell(false);
                }
            }
            judged = now;
        }
    }
}

/// The SHA-256 of a key's text.
#[must_use]
pub fn hash_of(text: &str) -> KeyHash {
    let mut hash = [0; 32];
    let digest = digest::digest(&digest::SHA256, text.as_bytes());
    hash.iter_mut().zip(digest.as_ref()).for_each(|(own, byte)| *own = *byte);
    hash
}

/// Takes as long whatever the difference is.
fn is_same(one: &KeyHash, other: &KeyHash) -> bool {
    black_box(one.iter().zip(other).fold(0, |all, (one, other)| black_box(all | (one ^ other)))) == 0
}

/// The identifier of a text that has the form of a key, its checksum included.
fn id_of(text: &str) -> Option<&str> {
    let (id, rest) = text.strip_prefix(PREFIX)?.split_once('_')?;
    let (secret, check) = rest.split_at_checked(SECRET)?;
    let is_fine = is_id(id)
        && secret.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && check == checksum(text.get(..text.len() - check.len())?);
    is_fine.then_some(id)
}

/// Whether a text is an identifier of a key.
#[must_use]
pub fn is_id(text: &str) -> bool {
    text.len() == ID && text.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase())
}

/// Tells typing errors, and texts that only look like keys, from keys.
fn checksum(text: &str) -> String {
    let [first, second, third, fourth, ..] = hash_of(text);
    let mut left = u32::from_be_bytes([first, second, third, fourth]);
    let digits = std::iter::repeat_with(|| {
        let digit = digit_of(left % 62);
        left /= 62;
        digit
    });
    digits.take(CHECK).collect()
}

fn digit_of(value: u32) -> char {
    let index = usize::try_from(value).unwrap_or_default();
    DIGITS.get(index).map_or('0', |digit| char::from(*digit))
}

/// A new key: its identifier, and all of it.
///
/// # Errors
/// The system has no randomness.
pub fn new_key() -> Result<(String, String), String> {
    let random = SystemRandom::new();
    let id = random_text(&random, ID, ID_DIGITS)?;
    let secret = random_text(&random, SECRET, 62)?;
    let text = format!("{PREFIX}{id}_{secret}");
    let check = checksum(&text);
    Ok((id, text + &check))
}

/// Characters of the first `digits`, each as likely as the others.
fn random_text(random: &SystemRandom, length: usize, digits: u8) -> Result<String, String> {
    // What is left of a byte's values once they are shared out would make some digits likelier.
    let fair = u8::MAX - u8::MAX % digits;
    let mut text = String::with_capacity(length);
    while text.len() < length {
        let mut bytes = [0; 64];
        random.fill(&mut bytes).map_err(|_| "the system has no randomness".to_owned())?;
        let fair = bytes.into_iter().filter(|byte| *byte < fair);
        text.extend(fair.take(length - text.len()).map(|byte| digit_of(u32::from(byte % digits))));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use http::Request;

    use super::super::Source;
    use super::*;

    fn keys(of: &[(&str, bool, Option<SystemTime>)]) -> ApiKeys {
        let keys = of.iter().map(|(text, disabled, expires)| {
            let id = id_of(text).unwrap();
            let identity = Identity { expires: *expires, ..Identity::new(Source::ApiKey, id) };
            ApiKey { id: id.into(), hash: hash_of(text), disabled: *disabled, identity: Arc::new(identity) }
        });
        ApiKeys::new(&ApiKeySettings {
            path: PathBuf::new(),
            mark: Mark::now(Path::new("/")),
            keys: keys.collect(),
            load: |_| Ok(Vec::new()),
            header: HeaderName::from_static("x-api-key"),
            query: Some("key".into()),
            forward: false,
        })
    }

    #[test]
    fn which_keys_count() {
        let [good, off, old, stranger] = [(); 4].map(|()| new_key().unwrap().1);
        let past = SystemTime::now() - Duration::from_secs(1);
        let later = SystemTime::now() + Duration::from_secs(60);
        let all = keys(&[(&good, false, Some(later)), (&off, true, None), (&old, false, Some(past))]);
        let told = |text: &str| all.check(text).map_or_else(|why| why.told().0, |_| "OK");
        let id = &good[PREFIX.len()..PREFIX.len() + ID];
        let forged = {
            // Another secret, with a good checksum.
            let text = format!("{PREFIX}{id}_{}", "a".repeat(SECRET));
            let check = checksum(&text);
            text + &check
        };
        let flipped = good.replace(&good[30..31], if &good[30..31] == "a" { "b" } else { "a" });
        for (text, want) in [
            (good.as_str(), "OK"),
            (&off, "KEY_DISABLED"),
            (&old, "KEY_EXPIRED"),
            (&stranger, "KEY_UNKNOWN"),
            (&forged, "KEY_UNKNOWN"),
            (&flipped, "KEY_MALFORMED"),
            (&good[..good.len() - 1], "KEY_MALFORMED"),
            (&format!("{good}0"), "KEY_MALFORMED"),
            (&format!(" {good}"), "KEY_MALFORMED"),
            (&good.to_uppercase(), "KEY_MALFORMED"),
            (id, "KEY_MALFORMED"),
            ("", "KEY_MALFORMED"),
            ("tsm__", "KEY_MALFORMED"),
            ("tsm_äöüäöü_äöü", "KEY_MALFORMED"),
        ] {
            assert_eq!(told(text), want, "{text}");
        }
    }

    #[test]
    fn where_keys_are() {
        let all = keys(&[]);
        for (target, headers, want) in [
            ("/", &[][..], Ok(None)),
            ("/", &["a"], Ok(Some("a"))),
            ("/?key=b%5f&x=1", &[], Ok(Some("b_"))),
            ("/?k%65y=b", &[], Ok(Some("b"))),
            ("/?key=b&key=b", &[], Err("KEY_MALFORMED")),
            ("/?key=b", &["a"], Err("KEY_MALFORMED")),
            ("/", &["a", "a"], Err("KEY_MALFORMED")),
        ] {
            let mut request = Request::builder().uri(target);
            for value in headers {
                request = request.header("x-api-key", *value);
            }
            let mut head = request.header("grpc-metadata-x-api-key", "z").body(()).unwrap().into_parts().0;
            let found = all.find(&head).map_err(|why| why.told().0);
            assert_eq!(found.as_ref().map(Option::as_deref), want.as_ref().copied(), "{target} {headers:?}");
            all.take_out(&mut head.headers, &mut head.uri);
            assert!(head.headers.is_empty(), "{head:?}");
            assert!(!head.uri.to_string().contains("b"), "{head:?}");
        }
    }

    #[test]
    fn new_keys_have_the_form() {
        let (id, key) = new_key().unwrap();
        assert_eq!(id_of(&key), Some(&*id));
        assert_eq!(key.len(), PREFIX.len() + ID + 1 + SECRET + CHECK);
        assert!(key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'));
    }
}
