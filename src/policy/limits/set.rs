//! What the rules say of one method, compiled: the limits of its calls, by the tier of who calls.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use http::HeaderValue;
use smallvec::SmallVec;

use super::fields::{list, policy};
use super::key::{Caller, Material, claim, material};
use super::limiter::{Limiter, Limiters};
use super::settings::{KeyPart, Limit, RuleLimit, Tier, TierBy};
use super::shared::Digest;
use crate::codec::FieldPath;
use crate::policy::identity::Principal;

/// The limits of a method.
pub struct Limits {
    /// What a call takes of each.
    cost: NonZeroU32,
    /// Of callers without a tier, and of all where there are none.
    plain: Set,
    tiers: Option<(TierBy, HashMap<String, Set>)>,
    /// The fields of the message that some limit is keyed by.
    fields: Vec<(String, FieldPath)>,
}

/// The limits of one call.
struct Set {
    /// Asked before the body is read.
    early: Arc<Group>,
    /// Asked once the message is there, since their keys are in it.
    late: Option<Arc<Group>>,
}

/// Limits that are asked together.
pub(super) struct Group {
    pub limiters: Vec<Arc<Limiter>>,
    pub has_shared: bool,
    /// What they allow, for clients.
    pub policy: Option<HeaderValue>,
}

/// A call's key in one limit.
pub(super) struct Key {
    pub local: u64,
    /// For limits that gateways share.
    pub shared: Option<Digest>,
}

pub(super) type Keys = SmallVec<[Key; 4]>;

impl Limits {
    /// Compiles what rules say of a method. `scope` is the selector that says it; `fields` are the paths that
    /// [`KeyPart::Field`]s name. None where nothing is limited.
    #[must_use]
    pub fn compile(
        scope: &str,
        limits: &[RuleLimit],
        tiers: &[Tier],
        cost: NonZeroU32,
        fields: Vec<(String, FieldPath)>,
        limiters: &Limiters,
    ) -> Option<Self> {
        let fixed: Vec<Arc<Limiter>> = limits
            .iter()
            .filter_map(|limit| match limit {
                RuleLimit::Of(limit) => Some(limiters.get(scope, limit)),
                RuleLimit::Tier { .. } => None,
            })
            .collect();
        let tier = limits.iter().find_map(|limit| match limit {
            RuleLimit::Of(_) => None,
            RuleLimit::Tier { by, otherwise } => Some((by, otherwise)),
        });
        let with = |tier: &Tier| {
            let scope = format!("tier {}", tier.name);
            let more = tier.limits.iter().map(|limit| limiters.get(&scope, limit));
            Set::new(fixed.iter().cloned().chain(more))
        };
        let plain = match tier.and_then(|(_, name)| tiers.iter().find(|tier| tier.name == *name)) {
            Some(otherwise) => with(otherwise),
            None => Set::new(fixed.iter().cloned()),
        };
        let sets = tier
            .map(|(by, _)| (by.clone(), tiers.iter().map(|tier| (tier.name.clone(), with(tier))).collect()));
        if plain.early.limiters.is_empty() && plain.late.is_none() {
            return None;
        }
        Some(Self { cost, plain, tiers: sets, fields })
    }

    pub(super) fn cost(&self) -> NonZeroU32 {
        self.cost
    }

    /// Whether some limit is keyed by what is in the message.
    #[must_use]
    pub fn need_message(&self) -> bool {
        !self.fields.is_empty()
    }

    pub(super) fn fields(&self) -> &[(String, FieldPath)] {
        &self.fields
    }

    pub(super) fn early(&self, principal: &Principal) -> &Arc<Group> {
        &self.set(principal).early
    }

    pub(super) fn late(&self, principal: &Principal) -> Option<&Arc<Group>> {
        self.set(principal).late.as_ref()
    }

    fn set(&self, principal: &Principal) -> &Set {
        let Some((by, sets)) = &self.tiers else { return &self.plain };
        let set = match by {
            TierBy::Principal => {
                principal.identity().and_then(|known| known.tier.as_deref()).and_then(|tier| sets.get(tier))
            }
            TierBy::Claim(path) => claim(principal, path).and_then(|tier| sets.get(&*tier)),
        };
        set.unwrap_or(&self.plain)
    }
}

impl Set {
    fn new(limiters: impl Iterator<Item = Arc<Limiter>>) -> Self {
        let needs_message = |limiter: &Arc<Limiter>| needs_message(&limiter.limit);
        let (late, early): (Vec<_>, Vec<_>) = limiters.partition(needs_message);
        let late = (!late.is_empty()).then(|| Arc::new(Group::new(late)));
        Self { early: Arc::new(Group::new(early)), late }
    }
}

/// Whether a limit is keyed by what is in the message.
fn needs_message(limit: &Limit) -> bool {
    limit.key.iter().any(|part| matches!(part, KeyPart::Field(_)))
}

impl Group {
    pub(super) fn new(limiters: Vec<Arc<Limiter>>) -> Self {
        Self {
            has_shared: limiters.iter().any(|limiter| limiter.limit.shared),
            policy: list(limiters.iter().map(|limiter| policy(&limiter.limit))),
            limiters,
        }
    }

    /// The call's keys, in the order of the limits.
    pub(super) fn keys(&self, caller: &Caller<'_>) -> Keys {
        self.limiters.iter().map(|limiter| key(limiter, &material(&limiter.limit.key, caller))).collect()
    }

    /// What the keys are made of but for fields of the message, in the order of the limits.
    pub(super) fn materials(&self, caller: &Caller<'_>) -> Vec<Material> {
        self.limiters.iter().map(|limiter| material(&limiter.limit.key, caller)).collect()
    }
}

/// The key that is made of this.
pub(super) fn key(limiter: &Limiter, material: &Material) -> Key {
    let shared = limiter.limit.shared.then(|| limiter.shared_digest(material));
    Key { local: limiter.digest(material), shared }
}
