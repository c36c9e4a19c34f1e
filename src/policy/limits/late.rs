//! Limits that are keyed by fields of the message: asked once it is there, before it goes to the upstream.

use std::sync::{Arc, Mutex, PoisonError};

use super::decide::ask_local;
use super::fields::Told;
use super::key::{Caller, Material, add_fields};
use super::set::{Group, Keys, Limits, key};
use super::shared::SharedStore;
use crate::fault::Fault;
use crate::policy::identity::Principal;

/// What is left to ask about a call.
pub struct Late {
    limits: Arc<Limits>,
    group: Arc<Group>,
    /// What the keys are made of but for the fields.
    materials: Vec<Material>,
    store: Option<Arc<SharedStore>>,
    worker: usize,
    told: LateTold,
}

/// Where it is left what clients are told, for who writes the answer.
pub(super) type LateTold = Arc<Mutex<Option<Told>>>;

impl Late {
    /// None where all was asked.
    pub(super) fn of(
        limits: &Arc<Limits>,
        principal: &Principal,
        caller: &Caller<'_>,
        store: Option<&Arc<SharedStore>>,
        worker: usize,
    ) -> Option<Self> {
        let group = Arc::clone(limits.late(principal)?);
        let materials = group.materials(caller);
        Some(Self {
            limits: Arc::clone(limits),
            group,
            materials,
            store: store.cloned(),
            worker,
            told: LateTold::default(),
        })
    }

    pub(super) fn told(&self) -> &LateTold {
        &self.told
    }

    /// Asks about a call with this message.
    ///
    /// # Errors
    /// A limit refuses, or the message can't be read.
    pub(in crate::policy) async fn ask(self, message: &[u8]) -> Result<(), Fault> {
        let mut fields = Vec::with_capacity(self.limits.fields().len());
        for (path, field) in self.limits.fields() {
            let value = field
                .value(message)
                .map_err(|_| Fault::invalid_argument("BAD_MESSAGE", "the message can't be read"))?;
            fields.push((path.as_str(), value));
        }
        let limiters = self.group.limiters.iter().zip(self.materials);
        let keys: Keys = limiters
            .map(|(limiter, mut material)| {
                add_fields(&mut material, &limiter.limit.key, &fields);
                key(limiter, &material)
            })
            .collect();
        let cost = self.limits.cost();
        let mut asked = ask_local(&self.group, &keys, cost)?;
        if let Some(store) = self.store.as_ref().filter(|_| self.group.has_shared) {
            asked = asked.ask_shared(&self.group, &keys, cost, store, self.worker).await?;
        }
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) = Some(asked.passed(&self.group));
        Ok(())
    }
}
