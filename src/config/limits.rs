//! What a configuration says of how often and how many: `limits`, `cost` and `concurrency` of rules, `tiers`, limits of
//! addresses, and `rate_limits` for what concerns them all.

use std::num::NonZeroU32;

use http::HeaderName;

use super::measures::{Written, count, measure};
use super::reader::{Map, Value};
use super::shared_store;
use super::values::{self, Wrong};
use crate::policy::{ConcurrencyRule, KeyPart, Limit, LimitSettings, RuleLimit, Tier, TierBy};
use crate::problem::nearest;
use crate::upstream::GateSettings;

const MAX_KEYS: usize = 100_000_000;
const MAX_NAME: usize = 64;

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
        settings.redis = store.as_ref().and_then(|value| value.map(shared_store::read).flatten());
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
