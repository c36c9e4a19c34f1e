//! Limits of each client's address, asked before a route is looked for: whoever floods is refused by the head alone.
//! They are counted in this process, since asking another one would cost more than the refusal saves.

use std::num::NonZeroU32;
use std::sync::Arc;

use http::request::Parts;

use super::Limiters;
use super::decide::ask_local;
use super::key::Caller;
use super::set::Group;
use super::settings::Limit;
use crate::fault::Fault;
use crate::policy::address::ClientAddress;
use crate::policy::identity::Principal;

/// The limits of a listener that hold for each address.
#[derive(Clone)]
pub struct AddressLimits {
    group: Arc<Group>,
}

impl AddressLimits {
    /// None where there are no limits. They are all keyed by address.
    #[must_use]
    pub fn new(listener: &str, limits: &[Limit], limiters: &Limiters) -> Option<Self> {
        let scope = format!("listener {listener}");
        let limiters: Vec<_> = limits.iter().map(|limit| limiters.get(&scope, limit)).collect();
        (!limiters.is_empty()).then(|| Self { group: Arc::new(Group::new(limiters)) })
    }

    /// Counts a request.
    ///
    /// # Errors
    /// Its address has no room for it.
    pub fn ask(&self, head: &Parts) -> Result<(), Fault> {
        let address = head.extensions.get::<ClientAddress>().map(|address| address.0);
        let caller = Caller { method: "", head, principal: &Principal::Anonymous, address };
        let keys = self.group.keys(&caller);
        ask_local(&self.group, &keys, NonZeroU32::MIN).map(|asked| drop(asked.passed(&self.group)))
    }
}
