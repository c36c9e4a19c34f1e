//! Where requests come in: by listeners of the process's own, or by the server of a program that embeds the gateway.

use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::fleet::{self, Fleet, Moves};
use super::load::Load;
use super::renew::Renewal;
use super::run::cores;
use super::stack::Shared;
use super::state::{Process, State};
use super::worker::Order;
use crate::admin::AdminSettings;
use crate::config::Settings;
use crate::problem::{Problem, Problems};
use crate::telemetry::AccessLog;

pub(super) enum Front {
    Fleet {
        fleet: Fleet,
        /// What the process was started with.
        admin: Option<AdminSettings>,
        keys: usize,
        handover: Option<PathBuf>,
    },
    /// Requests are judged by the first listener.
    Mounted { shared: Arc<ArcSwap<Shared>>, load: Arc<Load>, keys: usize },
}

/// What was found out beforehand about other settings.
pub(super) enum Prepared {
    Fleet(fleet::Prepared),
    Mounted,
}

impl Front {
    /// Does all that may fail.
    ///
    /// # Errors
    /// Every address that can't be had, and TLS that can't be set up.
    pub(super) fn prepare(&self, settings: &Settings) -> Result<Prepared, Problems> {
        match self {
            Self::Fleet { fleet, .. } => fleet.prepare(settings).map(Prepared::Fleet),
            Self::Mounted { .. } if settings.listeners.is_empty() => Err(no_listener().into()),
            Self::Mounted { .. } => Ok(Prepared::Mounted),
        }
    }

    /// Puts a state in force, whose settings were prepared.
    pub(super) fn put(
        &mut self,
        process: &Process,
        state: &State,
        prepared: Prepared,
        renewal: &mut Renewal,
    ) -> Moves {
        match (self, prepared) {
            (Self::Fleet { fleet, .. }, Prepared::Fleet(prepared)) => {
                fleet.put(process, state, prepared, renewal)
            }
            (Self::Mounted { shared, load, .. }, _) => {
                if let Some(listener) = state.settings.listeners.first() {
                    load.allow(listener.limits.requests);
                    shared.store(Arc::new(state.shared(process, listener, load, 0)));
                }
                Moves::default()
            }
            // Each is prepared by itself.
            (Self::Fleet { .. }, Prepared::Mounted) => Moves::default(),
        }
    }

    /// Lets workers connect to what calls will need.
    pub(super) fn warm(&self, state: &State) {
        match self {
            Self::Fleet { fleet, .. } => {
                fleet.order(|| Order::Warm(Arc::clone(&state.clusters), state.limit_store.clone()));
            }
            // On whose runtime they live shows with the first call.
            Self::Mounted { .. } => {}
        }
    }

    /// Lets workers gather their lines for this log.
    pub(super) fn log(&self, log: Option<&Arc<AccessLog>>) {
        match self {
            Self::Fleet { fleet, .. } => fleet.order(|| Order::Log(log.cloned())),
            // The program's threads hand over each line by itself.
            Self::Mounted { .. } => {}
        }
    }

    /// The keys that say something else than what the process was started with, and can't be changed under it.
    pub(super) fn restart_needed(&self, process: &Process, settings: &Settings) -> Vec<&'static str> {
        let mut needed = Vec::new();
        match self {
            Self::Fleet { admin, keys, handover, .. } => {
                if settings.handover != *handover {
                    needed.push("handover");
                }
                if settings.workers.unwrap_or_else(cores).get() != process.workers {
                    needed.push("workers");
                }
                if settings.admin != *admin {
                    needed.push("admin.address");
                }
                if settings.limits.keys.get() != *keys {
                    needed.push("rate_limits.keys");
                }
            }
            Self::Mounted { keys, .. } => {
                if settings.limits.keys.get() != *keys {
                    needed.push("rate_limits.keys");
                }
            }
        }
        needed
    }
}

pub(super) fn no_listener() -> Problem {
    Problem::error("a gateway needs a listener to take choices from")
}
