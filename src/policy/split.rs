//! Which upstream a call goes to. As a rule there is one. Where a rule splits the calls of its methods, each call is given
//! to one of several, once: by a header, or else by chance, which may be the same for all calls of a caller. The gate, the
//! breaker, the retries, the log and the metrics are those of the chosen one from then on.

use std::num::NonZeroU32;
use std::sync::Arc;

use http::{HeaderName, HeaderValue};

use super::call::Call;
use super::limits::{Caller, KeyPart, caller, material};
use crate::telemetry::{Chosen, ServedBy};
use crate::upstream::{Cluster, Clusters};

/// What a rule says of where calls go. All names are of upstreams that exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpstreamRule {
    One(String),
    Split(SplitRule),
}

impl UpstreamRule {
    /// Whoever may get a call.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let (one, split) = match self {
            Self::One(name) => (Some(name), None),
            Self::Split(split) => (None, Some(split)),
        };
        let shares = split.into_iter().flat_map(|split| &split.shares).map(|(name, _)| name);
        let when = split.into_iter().flat_map(|split| &split.when).map(|when| &when.to);
        one.into_iter().chain(shares).chain(when).map(String::as_str)
    }
}

/// Several upstreams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SplitRule {
    /// At least one, each with its weight.
    pub shares: Vec<(String, NonZeroU32)>,
    /// Asked before, in this order.
    pub when: Vec<When>,
    /// By what chance is the same; by nothing where there is none.
    pub sticky: Option<Stick>,
}

/// A header that decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct When {
    pub header: HeaderName,
    /// One of its values is exactly this.
    pub equals: HeaderValue,
    pub to: String,
}

/// What callers are told apart by: principal, address or a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stick(pub KeyPart);

/// Where calls of a method go.
#[derive(Clone)]
pub enum Target {
    One(Arc<Cluster>),
    Split(Arc<Split>),
}

/// A [`SplitRule`] that is compiled.
pub struct Split {
    /// Each once; at least one.
    clusters: Box<[Arc<Cluster>]>,
    names: Arc<[Arc<str>]>,
    /// Behind each share the sum of it and those before, and the cluster.
    shares: Box<[(u64, usize)]>,
    when: Box<[(HeaderName, HeaderValue, usize)]>,
    sticky: Option<[KeyPart; 1]>,
}

impl Target {
    /// None where an upstream is not there.
    #[must_use]
    pub fn compile(rule: &UpstreamRule, clusters: &Clusters) -> Option<Self> {
        match rule {
            UpstreamRule::One(name) => clusters.get(name).map(|cluster| Self::One(Arc::clone(cluster))),
            UpstreamRule::Split(split) => {
                let mut names: Vec<&str> = Vec::new();
                for name in rule.names() {
                    if !names.contains(&name) {
                        names.push(name);
                    }
                }
                let index = |name: &str| names.iter().position(|known| *known == name);
                let mut sum = 0_u64;
                let shares = split.shares.iter().map(|(name, weight)| {
                    sum += u64::from(weight.get());
                    Some((sum, index(name)?))
                });
                let shares = shares.collect::<Option<_>>()?;
                let when = split.when.iter();
                let when =
                    when.map(|when| Some((when.header.clone(), when.equals.clone(), index(&when.to)?)));
                let all: Option<Box<[_]>> = names.iter().map(|name| clusters.get(name).cloned()).collect();
                let all = all?;
                Some(Self::Split(Arc::new(Split {
                    names: all.iter().map(|cluster| Arc::clone(cluster.name())).collect(),
                    clusters: all,
                    shares,
                    when: when.collect::<Option<_>>()?,
                    sticky: split.sticky.clone().map(|Stick(part)| [part]),
                })))
            }
        }
    }

    /// Whoever may get a call.
    #[must_use]
    pub fn all(&self) -> &[Arc<Cluster>] {
        match self {
            Self::One(cluster) => std::slice::from_ref(cluster),
            Self::Split(split) => &split.clusters,
        }
    }

    /// Where the choice for one call will be kept; none where there is no choice.
    #[must_use]
    pub fn undecided(&self) -> Option<Arc<Chosen>> {
        match self {
            Self::One(_) => None,
            Self::Split(_) => Some(Arc::default()),
        }
    }

    /// The upstream of a call, as logs and metrics have it.
    #[must_use]
    pub fn served_by(&self, chosen: Option<&Arc<Chosen>>) -> ServedBy {
        match (self, chosen) {
            (Self::Split(split), Some(chosen)) => {
                ServedBy::OneOf { names: Arc::clone(&split.names), chosen: Arc::clone(chosen) }
            }
            (Self::One(_) | Self::Split(_), _) => ServedBy::One(Arc::clone(self.of(None).name())),
        }
    }

    /// The upstream of a call that has chosen so.
    pub(super) fn of(&self, chosen: Option<&Chosen>) -> &Arc<Cluster> {
        match self {
            Self::One(cluster) => cluster,
            Self::Split(split) => split.at(chosen.and_then(Chosen::get).unwrap_or_default()),
        }
    }
}

/// Chooses the upstream of a call.
pub(super) fn choose<B>(call: &Call<B>) -> &Arc<Cluster> {
    match &call.resolved.method.upstream {
        Target::One(cluster) => cluster,
        Target::Split(split) => {
            let index = split.choose(&caller(call), |sum| fastrand::u64(..sum));
            split.at(call.chosen.as_ref().map_or(index, |chosen| chosen.set(index)))
        }
    }
}

impl Split {
    fn at(&self, index: usize) -> &Arc<Cluster> {
        // It is an index of theirs.
        self.clusters.get(index).unwrap_or(&self.clusters[0])
    }

    fn choose(&self, caller: &Caller<'_>, chance: impl FnOnce(u64) -> u64) -> usize {
        let is_so = |name, equals| caller.head.headers.get_all(name).iter().any(|value| value == equals);
        if let Some((.., index)) = self.when.iter().find(|(name, equals, _)| is_so(name, equals)) {
            return *index;
        }
        let Some((sum, last)) = self.shares.last().copied() else { return 0 };
        let drawn = match self.sticky.as_ref().and_then(|parts| hash_of(parts, caller)) {
            Some(hash) => u64::try_from((u128::from(hash) * u128::from(sum)) >> 64).unwrap_or_default(),
            None => chance(sum),
        };
        self.shares.iter().find(|(end, _)| drawn < *end).map_or(last, |(_, index)| *index)
    }
}

/// A number for each caller, evenly spread, and the same in every process; none where nothing tells the caller.
fn hash_of(parts: &[KeyPart], caller: &Caller<'_>) -> Option<u64> {
    let material = material(parts, caller);
    (*material != *b"-").then(|| hash(&material))
}

/// FNV-1a, finished as splitmix64 does: the first spreads short texts badly over the high bits.
fn hash(bytes: &[u8]) -> u64 {
    let mut hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

#[cfg(test)]
mod tests {
    use http::Request;
    use http::request::Parts;

    use super::*;
    use crate::policy::Principal;

    fn split(weights: &[u64], sticky: Option<KeyPart>) -> Split {
        let mut sum = 0;
        let shares = weights.iter().enumerate().map(|(index, weight)| {
            sum += weight;
            (sum, index)
        });
        let canary = (HeaderName::from_static("x-canary"), HeaderValue::from_static("1"), 1);
        Split {
            clusters: Box::default(),
            names: Arc::default(),
            shares: shares.collect(),
            when: Box::new([canary]),
            sticky: sticky.map(|part| [part]),
        }
    }

    fn head(headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder();
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn chosen(split: &Split, headers: &[(&str, &str)], drawn: u64) -> usize {
        let head = head(headers);
        let caller = Caller { method: "a.B/C", head: &head, principal: &Principal::Anonymous, address: None };
        split.choose(&caller, |_| drawn)
    }

    #[test]
    fn headers_come_before_chance() {
        let split = split(&[95, 5], None);
        for (headers, drawn, want) in [
            (&[][..], 0, 0),
            (&[], 94, 0),
            (&[], 95, 1),
            (&[], 99, 1),
            (&[("x-canary", "1")], 0, 1),
            (&[("x-canary", "0"), ("x-canary", "1")], 0, 1),
            (&[("x-canary", "10")], 0, 0),
        ] {
            assert_eq!(chosen(&split, headers, drawn), want, "{headers:?} {drawn}");
        }
    }

    #[test]
    fn sticky_callers_are_spread_by_weight_and_stay_as_a_share_grows() {
        let user = || Some(KeyPart::Header(HeaderName::from_static("x-user")));
        let (small, large) = (split(&[90, 10], user()), split(&[60, 40], user()));
        let mut canary = [0_u32; 2];
        for number in 0..10_000 {
            let name = format!("user-{number}");
            let headers = [("x-user", name.as_str())];
            let (before, after) = (chosen(&small, &headers, 0), chosen(&large, &headers, 0));
            assert_eq!(before, chosen(&small, &headers, 99), "chance has no say");
            assert!(after >= before, "{name} is sent back");
            canary[0] += u32::try_from(before).unwrap();
            canary[1] += u32::try_from(after).unwrap();
        }
        assert!((800..1_200).contains(&canary[0]) && (3_700..4_300).contains(&canary[1]), "{canary:?}");
        // Without the header nobody is told apart.
        assert_eq!((chosen(&small, &[], 0), chosen(&small, &[], 99)), (0, 1));
    }
}
