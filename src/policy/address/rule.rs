//! What keeps an RPC to the addresses that its rule lets in.

use super::ClientAddress;
use crate::fault::Fault;
use crate::policy::{Call, Check};

/// Refuses calls by [`Method::addresses`](crate::policy::Method::addresses); those of a listener are judged before.
#[derive(Debug, Clone, Copy, Default)]
pub struct AddressRule;

impl Check for AddressRule {
    fn check<B>(&self, call: &Call<B>) -> Result<(), Fault> {
        match call.resolved.method.addresses.as_deref() {
            Some(lists) => lists.judge(call.head.extensions.get::<ClientAddress>().map(|address| address.0)),
            None => Ok(()),
        }
    }
}
