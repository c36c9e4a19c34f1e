//! Whether a member may be called: what calls and checks have told of it.

use std::time::Duration;

use super::member::Outcome;

/// What is known of how one member does.
#[derive(Debug, Default)]
pub(super) struct Standing;

impl Standing {
    /// Takes in how a call ended, and how long it took to its end.
    pub(super) fn record(&self, _outcome: Outcome, _took: Duration) {}

    /// Whether it is among those that calls go to.
    pub(super) fn takes_calls(&self) -> bool {
        true
    }
}
