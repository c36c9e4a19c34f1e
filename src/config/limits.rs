//! What a configuration says of how often and how many: `limits`, `cost` and `concurrency` of rules, `tiers`, limits of
//! addresses, and `rate_limits` for what concerns them all.

use std::num::NonZeroU32;
use std::path::Path;
use std::time::Duration;

use http::HeaderName;
use http::uri::Authority;

use super::reader::{Map, Value};
use super::values::{self, Wrong};
use crate::policy::{
    ConcurrencyRule, KeyPart, Limit, LimitSettings, Measure, OnFailure, Quota, Rate, RedisSettings,
    RuleLimit, Tier, TierBy, Window,
};
use crate::problem::nearest;
use crate::upstream::GateSettings;

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;
/// Nothing is remembered for longer.
const YEAR: u64 = 366 * DAY;
const MAX_KEYS: usize = 100_000_000;
const MAX_NAME: usize = 64;

/// Units of time with their seconds.
const UNITS: [(&str, u64); 12] = [
    ("s", 1),
    ("sec", 1),
    ("second", 1),
    ("m", 60),
    ("min", 60),
    ("minute", 60),
    ("h", HOUR),
    ("hour", HOUR),
    ("d", DAY),
    ("day", DAY),
    ("w", 7 * DAY),
    ("week", 7 * DAY),
];

/// What is known of limits before rules are read.
pub(super) struct Known {
    pub settings: LimitSettings,
    /// Whether some limit is counted by the shared store.
    uses_store: bool,
    has_store: bool,
    used_tiers: bool,
}

/// The parts `rate_limits` and `tiers`.
pub(super) fn read<'r>(root: &mut Map<'r>) -> (Known, Option<Value<'r>>, Option<Value<'r>>) {
    let mut settings = LimitSettings::default();
    let mut store = None;
    root.map("rate_limits", |map| {
        map.set("keys", &mut settings.keys, |text| values::positive(text, MAX_KEYS));
        store = map.get("redis");
        settings.redis = store.as_ref().and_then(|value| value.map(redis).flatten());
    });
    let has_store = store.is_some();
    let mut known = Known { settings, uses_store: false, has_store, used_tiers: false };
    let tiers = root.get("tiers");
    for (name, value) in tiers.as_ref().map_or_else(Vec::new, |tiers| tiers.entries(values::text)) {
        let limits = list(&value, |item| known.plain(item));
        if let Some(name) = name {
            known.settings.tiers.push(Tier { name, limits });
        }
    }
    (known, store, tiers)
}

impl Known {
    /// Reports what nothing uses, once all rules are read.
    pub(super) fn finish(self, store: Option<&Value<'_>>, tiers: Option<&Value<'_>>) -> LimitSettings {
        if let Some(store) = store.filter(|_| !self.uses_store) {
            store.wrong("no limit is counted there", "add limits without `store: local`, or leave it out");
        }
        if let Some(tiers) = tiers.filter(|_| !self.used_tiers) {
            tiers.wrong(
                "no rule asks for tiers",
                "add one, as in `limits: [{ tier: principal, otherwise: … }]`",
            );
        }
        self.settings
    }

    /// The key `limits` of a rule: a list, or `off` for none, whatever wider rules say.
    pub(super) fn of_rule(&mut self, value: &Value<'_>) -> Vec<RuleLimit> {
        if !value.is_list() && !value.is_map() {
            value.parse(|text| values::choice(text, &[("off", ())]));
            return Vec::new();
        }
        let limits = list(value, |item| self.in_rule(item));
        let tiers = limits.iter().filter(|limit| matches!(limit, RuleLimit::Tier { .. }));
        if tiers.count() > 1 {
            value.wrong("a caller has one tier", "leave one of the items with `tier` out");
        }
        limits
    }

    fn in_rule(&mut self, item: &Value<'_>) -> Option<RuleLimit> {
        item.map(|map| match map.get("tier") {
            Some(tier) => {
                let by = tier.parse(tier_by);
                let help = "write the tier of callers who have none, as in `otherwise: free`";
                let otherwise = map.required("otherwise", help);
                let otherwise = otherwise.and_then(|value| value.parse(|text| self.tier(text)));
                self.used_tiers = true;
                Some(RuleLimit::Tier { by: by?, otherwise: otherwise? })
            }
            None => self.limit(map).map(RuleLimit::Of),
        })
        .flatten()
    }

    fn plain(&mut self, item: &Value<'_>) -> Option<Limit> {
        item.map(|map| self.limit(map)).flatten()
    }

    fn limit(&mut self, map: &mut Map<'_>) -> Option<Limit> {
        let measure = measure(map);
        let key = map.required("key", "write what is counted together, as in `key: principal`");
        let key = key.and_then(|value| key_parts(&value));
        let has_store = self.has_store;
        let shared = map.value("store", |text| {
            let shared = values::choice(text, &[("local", false), ("shared", true)])?;
            if shared && !has_store {
                return Err(Wrong::new("there is no shared store")
                    .help("name one, as in `rate_limits: { redis: { url: redis://127.0.0.1:6379 } }`"));
            }
            Ok(shared)
        });
        let shared = shared.unwrap_or(has_store);
        self.uses_store |= shared;
        let measure = measure?;
        Some(Limit { name: name(map, &measure), measure: measure.0, key: key?, shared })
    }

    /// The name of a tier that there is.
    fn tier(&self, text: &str) -> Result<String, Wrong> {
        let names = || self.settings.tiers.iter().map(|tier| tier.name.as_str());
        if names().any(|name| name == text) {
            return Ok(text.to_owned());
        }
        let wrong = Wrong::new(format!("there is no tier `{text}`"));
        Err(match nearest(text, names()) {
            Some(name) => wrong.help(format!("did you mean `{name}`?")),
            None => wrong.help("name it under `tiers`"),
        })
    }
}

/// The limits of each address, of a listener.
pub(super) fn of_addresses(value: &Value<'_>) -> Vec<Limit> {
    list(value, |item| {
        item.map(|map| {
            let measure = measure(map)?;
            Some(Limit {
                name: name(map, &measure),
                measure: measure.0,
                key: vec![KeyPart::Address],
                shared: false,
            })
        })
        .flatten()
    })
}

/// The items of a list of limits; no two have the same name.
fn list<T: Named>(value: &Value<'_>, mut read: impl FnMut(&Value<'_>) -> Option<T>) -> Vec<T> {
    let mut limits: Vec<T> = Vec::new();
    for item in value.items() {
        let Some(mut limit) = read(&item) else { continue };
        limit.distinguish(&limits);
        limits.push(limit);
    }
    limits
}

/// What has a name that clients see.
trait Named: Sized {
    fn name(&self) -> Option<&str>;
    fn rename(&mut self, name: String);

    /// Gives it a number where another one has its name.
    fn distinguish(&mut self, others: &[Self]) {
        let taken = |name: &str| others.iter().any(|other| other.name() == Some(name));
        let Some(name) = self.name().filter(|name| taken(name)).map(str::to_owned) else { return };
        let free = (2..).map(|number| format!("{name}-{number}")).find(|name| !taken(name));
        self.rename(free.unwrap_or(name));
    }
}

impl Named for Limit {
    fn name(&self) -> Option<&str> {
        Some(&self.name)
    }

    fn rename(&mut self, name: String) {
        self.name = name;
    }
}

impl Named for RuleLimit {
    fn name(&self) -> Option<&str> {
        match self {
            Self::Of(limit) => Some(&limit.name),
            Self::Tier { .. } => None,
        }
    }

    fn rename(&mut self, name: String) {
        match self {
            Self::Of(limit) => limit.name = name,
            Self::Tier { .. } => {}
        }
    }
}

/// A measure, and how it was written.
type Written = (Measure, String);

/// One of `rate` (with `burst`) and `quota`.
fn measure(map: &mut Map<'_>) -> Option<Written> {
    let rate = map.get("rate");
    let quota = map.get("quota");
    let burst = map.get("burst");
    match (rate, quota) {
        (Some(rate), None) => {
            let (text, per) = (rate.text()?, rate.parse(rate_text)?);
            let burst = match burst {
                Some(burst) => burst.parse(count)?,
                None => per.0,
            };
            let rate_of = Rate { count: per.0, per: Duration::from_secs(per.1), burst };
            if rate_of.period().as_secs_f64() * f64::from(burst.get()) > YEAR as f64 {
                rate.wrong("such a burst takes more than a year to come back", "write a smaller `burst`");
                return None;
            }
            Some((Measure::Rate(rate_of), text.to_owned()))
        }
        (None, Some(quota)) => {
            if let Some(burst) = burst {
                burst.wrong("a quota has no burst", "leave `burst` out");
            }
            let (most, length) = quota.parse(quota_text)?;
            // The epoch was a Thursday.
            let before = if length.is_multiple_of(7 * DAY) { 3 * DAY } else { 0 };
            Some((
                Measure::Quota(Quota { most, window: Window { length, before } }),
                quota.text()?.to_owned(),
            ))
        }
        (Some(_), Some(quota)) => {
            quota.wrong("a limit has a `rate` or a `quota`", "make two limits of them");
            None
        }
        (None, None) => {
            map.missing("rate", "write how many in which time, as in `rate: 10/s` or `quota: 1000/day`");
            None
        }
    }
}

/// What clients are told that the limit is called.
fn name(map: &mut Map<'_>, (_, written): &Written) -> String {
    let name = map.value("name", |text| {
        let fits = (1..=MAX_NAME).contains(&text.len());
        if fits && text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
            return Ok(text.to_owned());
        }
        Err(Wrong::new(format!("`{text}` is no name that clients could read"))
            .help(format!("write 1 to {MAX_NAME} characters of ASCII")))
    });
    name.unwrap_or_else(|| written.clone())
}

fn count(text: &str) -> Result<NonZeroU32, Wrong> {
    // The range starts at 1, so the minimum is never put in.
    values::number(text, &(1..=u32::MAX)).map(|number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN))
}

/// `10/s`, `100/10s`: a number, and in how many seconds.
fn per(text: &str, example: &str) -> Result<(NonZeroU32, u64), Wrong> {
    let wrong = || {
        Wrong::new(format!("`{text}` does not say how many in which time"))
            .help(format!("write it as in `{example}`"))
    };
    let (number, time) = text.split_once('/').ok_or_else(wrong)?;
    let number = count(number).map_err(|_| wrong())?;
    let (many, unit) = time.split_at(time.find(|c: char| !c.is_ascii_digit()).unwrap_or(time.len()));
    let many: u64 = if many.is_empty() { 1 } else { many.parse().map_err(|_| wrong())? };
    let seconds = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, seconds)| *seconds);
    let seconds = seconds.and_then(|seconds| seconds.checked_mul(many)).filter(|seconds| *seconds > 0);
    match seconds {
        Some(seconds) if seconds <= YEAR => Ok((number, seconds)),
        Some(_) => Err(Wrong::new(format!("{text} is about more than a year")).help("write a shorter time")),
        None => Err(wrong()),
    }
}

/// A number in less than an hour.
fn rate_text(text: &str) -> Result<(NonZeroU32, u64), Wrong> {
    let (number, seconds) = per(text, "10/s")?;
    if seconds >= HOUR {
        return Err(Wrong::new(format!(
            "{text} is no rate: it could all come in the first moment and again in the last"
        ))
        .help(format!("write `quota: {text}`, or a rate for less than an hour, as in `10/s`")));
    }
    // A call takes a nanosecond at least.
    if u64::from(number.get()) > seconds.saturating_mul(1_000_000) {
        return Err(
            Wrong::new(format!("{text} is more than a million in a second")).help("leave the limit out")
        );
    }
    Ok((number, seconds))
}

/// A number in an hour or more.
fn quota_text(text: &str) -> Result<(NonZeroU32, u64), Wrong> {
    let (number, seconds) = per(text, "1000/day")?;
    if seconds < HOUR {
        return Err(Wrong::new(format!("{text} is no quota: that is for an hour or more"))
            .help(format!("write `rate: {text}`")));
    }
    if !seconds.is_multiple_of(HOUR) {
        return Err(Wrong::new(format!("{text} is not about whole hours")).help("write it as in `1000/day`"));
    }
    Ok((number, seconds))
}

/// What calls are told apart by: one part, or a list of them.
fn key_parts(value: &Value<'_>) -> Option<Vec<KeyPart>> {
    let items = value.items();
    let many = items.len() > 1;
    let mut parts = Vec::new();
    for item in &items {
        let part = item.parse(|text| {
            let part = key_part(text)?;
            if parts.contains(&part) {
                return Err(Wrong::new(format!("`{text}` is there already")).help("leave it out"));
            }
            if many && part == KeyPart::Global {
                return Err(Wrong::new("`global` tells no calls apart").help("leave it out of the list"));
            }
            Ok(part)
        });
        parts.push(part?);
    }
    (!parts.is_empty()).then_some(parts)
}

fn key_part(text: &str) -> Result<KeyPart, Wrong> {
    let table = [
        ("global", KeyPart::Global),
        ("method", KeyPart::Method),
        ("address", KeyPart::Address),
        ("principal", KeyPart::Principal),
        ("api_key", KeyPart::ApiKey),
    ];
    let Some((kind, name)) = text.split_once(':') else {
        return values::choice(text, &table).map_err(|wrong| {
            let help = "write `address`, `principal`, `api_key`, `method`, `global`, `header:…`, `claim:…` or `field:…`";
            match wrong.help {
                Some(_) => wrong,
                None => wrong.help(help),
            }
        });
    };
    match kind {
        "header" => match HeaderName::try_from(name) {
            Ok(name) => Ok(KeyPart::Header(name)),
            Err(_) => Err(Wrong::new(format!("`{name}` is no name of a header"))),
        },
        "claim" => Ok(KeyPart::Claim(path(name)?)),
        "field" => path(name).map(|path| KeyPart::Field(path.join("."))),
        _ => Err(Wrong::new(format!("`{kind}` is none of `header`, `claim`, `field`"))
            .help("write it as in `header:x-tenant`, `claim:tenant` or `field:book.author`")),
    }
}

/// Names with dots between.
fn path(text: &str) -> Result<Vec<String>, Wrong> {
    let names: Vec<String> = text.split('.').map(str::to_owned).collect();
    if names.iter().any(String::is_empty) {
        return Err(Wrong::new(format!("`{text}` is no path")).help("write names with dots between"));
    }
    Ok(names)
}

fn tier_by(text: &str) -> Result<TierBy, Wrong> {
    match text.split_once(':') {
        Some(("claim", name)) => path(name).map(TierBy::Claim),
        Some(_) | None => values::choice(text, &[("principal", TierBy::Principal)])
            .map_err(|wrong| wrong.help("write `principal`, or a claim as in `claim:plan`")),
    }
}

/// The key `cost` of a rule.
pub(super) fn cost(text: &str) -> Result<NonZeroU32, Wrong> {
    count(text)
}

/// The key `concurrency` of a rule: a map, or `off`.
pub(super) fn concurrency(value: &Value<'_>) -> Option<Option<ConcurrencyRule>> {
    if !value.is_map() {
        return value.parse(|text| values::choice(text, &[("off", None)]));
    }
    value
        .map(|map| {
            let key = map.get("key");
            let parts = key.as_ref().map_or_else(|| Some(vec![KeyPart::Principal]), key_parts);
            if let (Some(value), Some(parts)) = (&key, &parts)
                && parts.iter().any(|part| matches!(part, KeyPart::Field(_)))
            {
                value.wrong("a place is needed before the message is read", "leave the field out of the key");
                return None;
            }
            let gate = gate(map)?;
            Some(Some(ConcurrencyRule { gate, key: parts? }))
        })
        .flatten()
}

/// How many at once, and how many wait for how long.
pub(super) fn gate(map: &mut Map<'_>) -> Option<GateSettings> {
    let calls = map.required("calls", "write how many may be under way at once, as in `calls: 100`");
    let calls = calls.and_then(|value| value.parse(|text| values::positive(text, GateSettings::MOST)));
    let queue = map.value("queue", |text| values::number(text, &(0..=GateSettings::MOST))).unwrap_or(0);
    let wait = map.get("wait");
    if let Some(wait) = wait.as_ref().filter(|_| queue == 0) {
        wait.wrong("nobody waits without a queue", "add one, as in `queue: 50`");
    }
    let wait = wait.and_then(|value| value.parse(values::duration)).unwrap_or(GateSettings::DEFAULT_WAIT);
    Some(GateSettings { calls: calls?.get(), queue, wait })
}

fn redis(map: &mut Map<'_>) -> Option<RedisSettings> {
    let url = map.required("url", "write where it is, as in `url: redis://127.0.0.1:6379`");
    let server = url.and_then(|value| value.parse(server));
    let user = map.value("user", values::text);
    let folder = map.path("");
    let password = map.value("password_file", |text| password(&folder.join(text)));
    let prefix =
        map.value("prefix", values::text).unwrap_or_else(|| RedisSettings::DEFAULT_PREFIX.to_owned());
    let timeout = map.value("timeout", values::duration).unwrap_or(RedisSettings::DEFAULT_TIMEOUT);
    let mut on_failure = OnFailure::default();
    map.set("on_failure", &mut on_failure, |text| {
        let table = [("local", OnFailure::Local), ("allow", OnFailure::Allow), ("refuse", OnFailure::Refuse)];
        values::choice(text, &table)
    });
    let (host, port, database) = server?;
    Some(RedisSettings { host, port, user, password, database, prefix, timeout, on_failure })
}

/// Host, port and database of `redis://10.0.0.1:6379/0`.
fn server(text: &str) -> Result<(String, u16, i64), Wrong> {
    let wrong = |why: &str| {
        Wrong::new(format!("`{text}` is no Redis server: {why}"))
            .help("write it as in `redis://127.0.0.1:6379/0`")
    };
    let rest = match text.split_once("://") {
        Some(("redis" | "valkey", rest)) => rest,
        Some(("rediss" | "valkeys", _)) => {
            return Err(wrong("TLS to it is not supported").help("reach it over a network that you trust"));
        }
        Some(_) => return Err(wrong("its scheme is not `redis`")),
        None => return Err(wrong("it has no scheme")),
    };
    let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
    if authority.contains('@') {
        return Err(wrong("it has user information").help("use `user` and `password_file`"));
    }
    let database = if database.is_empty() { "0" } else { database };
    let database =
        values::number(database, &(0..=1_000_000_u32)).map_err(|_| wrong("the database is no number"))?;
    let authority: Authority = authority.parse().map_err(|_| wrong("host and port can't be read"))?;
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() {
        return Err(wrong("it has no host"));
    }
    match authority.port() {
        None => Ok((host.to_owned(), 6379, database.into())),
        Some(_) => match authority.port_u16() {
            Some(port) if port > 0 => Ok((host.to_owned(), port, database.into())),
            Some(_) | None => Err(wrong("it has no port from 1 to 65535")),
        },
    }
}

/// The first line of a file.
fn password(file: &Path) -> Result<String, Wrong> {
    let bytes = super::read_bounded(file, 64 << 10)
        .map_err(|why| Wrong::new(format!("{} can't be read: {why}", file.display())))?;
    let text =
        String::from_utf8(bytes).map_err(|_| Wrong::new(format!("{} isn't UTF-8 text", file.display())))?;
    match text.lines().next() {
        Some(line) if !line.is_empty() => Ok(line.to_owned()),
        Some(_) | None => Err(Wrong::new(format!("{} is empty", file.display()))),
    }
}
