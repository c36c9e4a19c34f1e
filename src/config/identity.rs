//! The part `identity` of a configuration: who vouches for callers, and what is made of it; and the key `auth` of rules
//! and of listeners' defaults. Files of keys and secrets are read, so that what is wrong with them is said with its place.

use std::env;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use http::HeaderName;

use super::api_keys;
use super::reader::{Map, Value};
use super::values::{self, Wrong};
use crate::policy::Auth;
use crate::policy::identity::{
    Algorithm, CertificateName, CertificateSettings, ExpiredStreams, IdentitySettings, IssuerSettings,
    KeyFile, KeySet, KeySource, KeyUrl, Source, TokenSettings, TokenType, read_file, secret_of_base64,
    well_known,
};
use crate::problem::Problem;
use crate::protocol::is_reserved_metadata;
use crate::server::ListenerSettings;
use crate::tls::Authorities;
use crate::upstream::Roots;

/// Those that work with public keys, which an issuer may use where nothing else is said.
const ASYMMETRIC: [(&str, Algorithm); 9] = [
    ("RS256", Algorithm::RS256),
    ("RS384", Algorithm::RS384),
    ("RS512", Algorithm::RS512),
    ("PS256", Algorithm::PS256),
    ("PS384", Algorithm::PS384),
    ("PS512", Algorithm::PS512),
    ("ES256", Algorithm::ES256),
    ("ES384", Algorithm::ES384),
    ("EdDSA", Algorithm::EdDSA),
];

/// Those that work with a secret, with the bytes that it has at least (RFC 7518, section 3.2).
const SYMMETRIC: [(&str, (Algorithm, usize)); 3] =
    [("HS256", (Algorithm::HS256, 32)), ("HS384", (Algorithm::HS384, 48)), ("HS512", (Algorithm::HS512, 64))];

const MAX_TOKEN: usize = 64 << 10;
const MAX_CACHE: usize = 10_000_000;
/// A file costs nothing to look at.
const FILE_REFRESH: Duration = Duration::from_secs(5);

/// Whether callers have to say who they are. Nobody can where `has_sources` is false.
pub(super) fn auth(text: &str, has_sources: bool) -> Result<Auth, Wrong> {
    let table = [("required", Auth::Required), ("optional", Auth::Optional), ("none", Auth::None)];
    let auth = values::choice(text, &table)?;
    match auth {
        Auth::Required | Auth::Optional if !has_sources => {
            Err(Wrong::new(format!("`{text}`, but nobody vouches for callers"))
                .help("say under `identity` who does, as in `identity: { issuers: { … } }`"))
        }
        Auth::Required | Auth::Optional | Auth::None => Ok(auth),
    }
}

/// And where certificates are said to tell who calls, if they are.
pub(super) fn read<'r>(root: &mut Map<'r>) -> (IdentitySettings, Option<Value<'r>>) {
    let mut settings = IdentitySettings::default();
    let mut mtls = None;
    root.map("identity", |map| {
        let issuers = map.get("issuers");
        for (name, value) in issuers.as_ref().map_or_else(Vec::new, |all| all.entries(issuer_name)) {
            let issuer = value.map(|map| issuer(map, name.unwrap_or_default())).flatten();
            if let Some(issuer) = issuer {
                if settings.issuers.iter().any(|other| other.issuer == issuer.issuer) {
                    value.wrong(
                        "another issuer has the same `issuer`",
                        "a token names its issuer by this text; give one of them several `audiences`",
                    );
                }
                settings.issuers.push(issuer);
            }
        }
        settings.api_keys = map.get("api_keys").and_then(|value| value.map(api_keys::read).flatten());
        mtls = map.get("mtls");
        settings.certificates = mtls.as_ref().and_then(certificates);
        // Where nobody vouches for callers at all, that alone is said.
        let takes_tokens = issuers.is_some() || !settings.has_sources();
        map.map("tokens", |map| tokens(map, &mut settings.tokens, takes_tokens));
        if let Some(value) = map.get("forward") {
            settings.forward.claims = forward(&value);
        }
        if let Some(value) = map.get("forward_token") {
            if !takes_tokens {
                idle_token(&value);
            }
            settings.forward.token = value.parse(values::boolean).unwrap_or_default();
        }
        if !settings.has_sources() {
            map.missing("issuers", "say who vouches for callers, as in `issuers: { main: { issuer: https://id.example.com, audiences: [shop] } }`");
        }
    });
    (settings, mtls)
}

/// Says of what is about tokens that there are none.
fn idle_token(value: &Value<'_>) {
    value.wrong("this does nothing where nobody issues tokens", "add `issuers`, or leave it out");
}

/// Says of `mtls` that no client shows a certificate where no listener asks for one.
pub(super) fn expect_certificates(mtls: &Value<'_>, listeners: &[ListenerSettings]) {
    let mut secure = listeners.iter().filter_map(|listener| listener.tls.as_ref());
    if !secure.any(|tls| tls.client.is_some()) {
        let help = "let one do so, as in `tls: { …, client: { roots: clients.pem } }`";
        mtls.wrong("no listener asks clients for certificates", help);
    }
}

fn certificates(value: &Value<'_>) -> Option<CertificateSettings> {
    value.map(|map| {
        let mut settings = CertificateSettings::default();
        let kinds = [
            ("spiffe", CertificateName::Spiffe),
            ("dns", CertificateName::Dns),
            ("cn", CertificateName::Common),
        ];
        if let Some(value) = map.get("names") {
            settings.names = list(&value, |text| values::choice(text, &kinds))?;
        }
        Some(settings)
    })?
}

/// A name that no other source of identities has in logs and metrics.
fn issuer_name(text: &str) -> Result<String, Wrong> {
    if [Source::ApiKey, Source::Certificate].iter().any(|source| source.name() == text) {
        return Err(
            Wrong::new(format!("`{text}` is what logs call something else")).help("choose another name")
        );
    }
    values::text(text)
}

fn issuer(map: &mut Map<'_>, name: String) -> Option<IssuerSettings> {
    let named = map.required(
        "issuer",
        "write what the claim `iss` of its tokens is, as in `issuer: https://id.example.com`",
    );
    let issuer = named.as_ref().and_then(|value| value.parse(values::text));
    let audiences = map.required(
        "audiences",
        "write what the claim `aud` of tokens for you is, as in `audiences: [shop]`, or `any`",
    );
    let audiences = audiences.map(|value| audiences_of(&value));
    let (jwks, secret) = (map.get("jwks"), map.get("secret"));
    let algorithms = map.get("algorithms");
    let folder = map.path("");
    let [ca, said_refresh, said_cooldown] = ["ca", "refresh", "cooldown"].map(|name| map.get(name));
    let authorities =
        ca.as_ref().and_then(|value| value.parse(|text| Ok(Authorities::load(&folder.join(text))?)));
    let roots =
        authorities.map_or(Roots::System, |authorities| Roots::Given(authorities.into_certificates()));
    let mut media_type = TokenType::default();
    map.set("type", &mut media_type, |text| {
        values::choice(
            text,
            &[("jwt", TokenType::Usual), ("at+jwt", TokenType::AccessToken), ("any", TokenType::Any)],
        )
    });
    let mut leeway = IssuerSettings::DEFAULT_LEEWAY;
    map.set("leeway", &mut leeway, values::duration_or_zero);
    let refresh = said_refresh.as_ref().and_then(|value| value.parse(values::duration));
    let cooldown = said_cooldown.as_ref().and_then(|value| value.parse(values::duration_or_zero));
    let scope_claim = map.value("scope_claim", values::text);
    let tier_claim = map.value("tier_claim", values::text);

    let (algorithms, keys) = match (&jwks, &secret) {
        (Some(_), Some(value)) => {
            value.wrong("an issuer has a secret or a key set, not both", "leave one of them out");
            return None;
        }
        (None, Some(value)) => shared_secret(value, algorithms.as_ref())?,
        (Some(value), None) => {
            let algorithms = asymmetric(algorithms.as_ref())?;
            let keys = key_set(value, &folder, roots, &algorithms)?;
            (algorithms, keys)
        }
        (None, None) => {
            let algorithms = asymmetric(algorithms.as_ref())?;
            (algorithms, discovery(named.as_ref()?, issuer.as_ref()?, roots)?)
        }
    };
    let idle = match &keys {
        KeySource::Secret(_) => vec![ca, said_refresh, said_cooldown],
        KeySource::File(_) => vec![ca],
        KeySource::Url(_) | KeySource::Discovery(_) => Vec::new(),
    };
    for value in idle.into_iter().flatten() {
        value.wrong("this does nothing where nobody is asked for keys", "leave it out");
    }
    let usual =
        if matches!(keys, KeySource::File(_)) { FILE_REFRESH } else { IssuerSettings::DEFAULT_REFRESH };
    Some(IssuerSettings {
        name: name.into(),
        issuer: issuer?,
        audiences: audiences??,
        keys,
        algorithms,
        media_type,
        leeway,
        refresh: refresh.unwrap_or(usual),
        cooldown: cooldown.unwrap_or(IssuerSettings::DEFAULT_COOLDOWN),
        scope_claim,
        tier_claim,
    })
}

/// `any`, or those that count; `None` where one is bad.
fn audiences_of(value: &Value<'_>) -> Option<Option<Vec<String>>> {
    if !value.is_list() && value.text() == Some("any") {
        return Some(None);
    }
    let items = value.items();
    let audiences: Vec<String> = items.iter().filter_map(|item| item.parse(values::text)).collect();
    (audiences.len() == items.len() && !audiences.is_empty()).then_some(Some(audiences))
}

fn asymmetric(value: Option<&Value<'_>>) -> Option<Vec<Algorithm>> {
    let Some(value) = value else { return Some(ASYMMETRIC.map(|(_, algorithm)| algorithm).to_vec()) };
    list(value, |text| values::choice(text, &ASYMMETRIC))
}

/// A list that has no bad item.
pub(super) fn list<T>(value: &Value<'_>, parse: impl Fn(&str) -> Result<T, Wrong>) -> Option<Vec<T>> {
    let items = value.items();
    let good: Vec<T> = items.iter().filter_map(|item| item.parse(&parse)).collect();
    (good.len() == items.len() && !good.is_empty()).then_some(good)
}

/// The secret of `{ env: NAME }` or `{ file: path }`.
fn shared_secret(value: &Value<'_>, algorithms: Option<&Value<'_>>) -> Option<(Vec<Algorithm>, KeySource)> {
    let algorithms = match algorithms {
        Some(value) => list(value, |text| values::choice(text, &SYMMETRIC))?,
        None => vec![(Algorithm::HS256, 32)],
    };
    let text = value.map(|map| {
        let folder = map.path("");
        let (env, file) = (map.get("env"), map.get("file"));
        let mut is_base64 = false;
        map.set("encoding", &mut is_base64, |text| {
            values::choice(text, &[("text", false), ("base64", true)])
        });
        let text = match (env, file) {
            (Some(name), None) => name.parse(|name| {
                env::var(name)
                    .map_err(|_| Wrong::new(format!("the environment has no `{name}` that is text")))
            }),
            (None, Some(file)) => file.parse(|name| {
                let bytes = read_file(&folder.join(name))
                    .map_err(|why| Wrong::new(format!("`{name}` can't be read: {why}")))?;
                let text = String::from_utf8(bytes.into());
                text.map_err(|_| {
                    Wrong::new(format!("`{name}` is no text")).help("put the secret in as base64")
                })
            }),
            (Some(_), Some(_)) | (None, None) => {
                map.whole().wrong(
                    "say in which one place the secret is",
                    "write `{ env: NAME }` or `{ file: path }`",
                );
                None
            }
        };
        Some((text?, is_base64))
    });
    let (text, is_base64) = text.flatten()?;
    // Editors end files with a line.
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    let bytes = if is_base64 { secret_of_base64(text) } else { Some(text.as_bytes().to_vec()) };
    let Some(bytes) = bytes else {
        value.wrong("the secret is no base64", "leave `encoding` out where it is text");
        return None;
    };
    let least = algorithms.iter().map(|(_, least)| *least).max().unwrap_or_default();
    if bytes.len() < least {
        value.wrong(
            &format!("the secret has {} bytes", bytes.len()),
            format!("for these algorithms it has at least {least}, from a good source of randomness (RFC 7518, section 3.2)"),
        );
        return None;
    }
    let algorithms: Vec<Algorithm> = algorithms.into_iter().map(|(algorithm, _)| algorithm).collect();
    let set = KeySet::secret(&bytes, &algorithms);
    Some((algorithms, KeySource::Secret(set)))
}

/// A URL, or a file.
fn key_set(value: &Value<'_>, folder: &Path, roots: Roots, algorithms: &[Algorithm]) -> Option<KeySource> {
    if value.text()?.contains("://") {
        let url = value.parse(|text| url(text, roots))?;
        warn_of_plain(value, &url);
        return Some(KeySource::Url(url));
    }
    let (file, skipped) = value.parse(|name| {
        let path = folder.join(name);
        let wrong = |why: String| Wrong::new(format!("`{name}` can't be used: {why}"));
        let bytes = read_file(&path).map_err(wrong)?;
        let (set, skipped) = KeySet::read(&bytes, algorithms).map_err(wrong)?;
        Ok((KeyFile { path, bytes, set }, skipped))
    })?;
    for skipped in skipped {
        let what = format!("`{}`: key {} is left out: {}", value.path(), skipped.index, skipped.why);
        value.report(Problem::warning(what));
    }
    Some(KeySource::File(file))
}

fn discovery(named: &Value<'_>, issuer: &str, roots: Roots) -> Option<KeySource> {
    let url = named.parse(|_| {
        url(&well_known(issuer), roots).map_err(|wrong| {
            wrong.help(
                "an issuer that tells its keys by itself is a URL; name them by `jwks` or `secret` otherwise",
            )
        })
    })?;
    warn_of_plain(named, &url);
    Some(KeySource::Discovery(url))
}

fn url(text: &str, roots: Roots) -> Result<KeyUrl, Wrong> {
    KeyUrl::new(text, roots).map_err(|why| Wrong::new(format!("`{text}` is no URL of keys: {why}")))
}

fn warn_of_plain(value: &Value<'_>, url: &KeyUrl) {
    if !url.is_safe() {
        let what = format!("`{}`: whoever is between can put keys of their own in", value.path());
        value.report(Problem::warning(what).help("use https"));
    }
}

/// `taken` says whether there are any.
fn tokens(map: &mut Map<'_>, tokens: &mut TokenSettings, taken: bool) {
    let [cookie, query, max_size, cache] = ["cookie", "query", "max_size", "cache"].map(|name| {
        map.get(name).inspect(|value| {
            if !taken {
                idle_token(value);
            }
        })
    });
    tokens.cookie = cookie.and_then(|value| value.parse(|text| name(text, "a cookie")));
    tokens.query = query.and_then(|value| value.parse(|text| name(text, "a parameter")));
    let max_size = max_size.and_then(|value| value.parse(|text| values::size(text, &(1..=MAX_TOKEN))));
    tokens.max_size = max_size.unwrap_or(tokens.max_size);
    let cache = cache.and_then(|value| value.parse(|text| values::number(text, &(0..=MAX_CACHE))));
    tokens.cache = cache.unwrap_or(tokens.cache);
    // Holds for whatever expires.
    map.set("expired_streams", &mut tokens.expired_streams, |text| {
        values::choice(text, &[("end", ExpiredStreams::End), ("keep", ExpiredStreams::Keep)])
    });
}

/// A name that needs no encoding, neither as a cookie's nor as a parameter's.
pub(super) fn name(text: &str, what: &str) -> Result<String, Wrong> {
    let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    if text.is_empty() || !text.bytes().all(is_fine) {
        return Err(Wrong::new(format!("`{text}` is no name of {what}"))
            .help("write letters, digits, `-`, `.`, `_` and `~`"));
    }
    Ok(text.to_owned())
}

/// Names of metadata, each with a claim, or with the names that lead to one from the outside in.
fn forward(value: &Value<'_>) -> ForwardClaims {
    let mut claims = ForwardClaims::new();
    for (name, value) in value.entries(metadata) {
        let path: Vec<String> = value.items().iter().filter_map(|item| item.parse(values::text)).collect();
        if let Some(name) = name {
            if claims.iter().any(|(other, _)| *other == name) {
                value.wrong("the same name in another case", "names of metadata are in lower case");
            }
            claims.push((name, path));
        }
    }
    claims
}

type ForwardClaims = Vec<(HeaderName, Vec<String>)>;

fn metadata(text: &str) -> Result<HeaderName, Wrong> {
    let name =
        HeaderName::from_str(text).map_err(|_| Wrong::new(format!("`{text}` is no name of metadata")))?;
    if is_reserved_metadata(&name) {
        return Err(
            Wrong::new(format!("`{text}` has a meaning of its own")).help("write a name such as `x-user-id`")
        );
    }
    Ok(name)
}
