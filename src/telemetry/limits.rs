//! What limits and gates did: counters by rule, held by handles that were resolved at load.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

type ByRule = Vec<(&'static str, String)>;

/// Everything that is counted about limits and gates.
#[derive(Default)]
pub(super) struct LimitMetrics {
    decisions: Family<ByRule, Counter>,
    store_losses: Counter,
    held: Family<ByRule, Gauge>,
    waiting: Family<ByRule, Gauge>,
    shed: Family<ByRule, Counter>,
}

/// The counters of one limit.
pub struct LimitStats {
    passed: Counter,
    refused: Counter,
    unshared: Counter,
}

impl LimitStats {
    /// The limit had room for a call that passed.
    pub fn passed(&self) {
        self.passed.inc();
    }

    /// The limit refused a call.
    pub fn refused(&self) {
        self.refused.inc();
    }

    /// A shared limit was not asked, since nobody could be.
    pub fn unshared(&self) {
        self.unshared.inc();
    }
}

/// What is counted of one gate.
pub struct GateStats {
    /// Calls that have a place.
    pub held: Gauge,
    /// Calls that wait for one.
    pub waiting: Gauge,
    /// Calls that were refused.
    pub shed: Counter,
}

impl LimitMetrics {
    pub(super) fn limit(&self, rule: &str) -> LimitStats {
        let counter = |result: &str| {
            let labels = vec![("rule", rule.to_owned()), ("result", result.to_owned())];
            self.decisions.get_or_create(&labels).clone()
        };
        LimitStats { passed: counter("passed"), refused: counter("refused"), unshared: counter("unshared") }
    }

    pub(super) fn gate(&self, rule: &str) -> GateStats {
        let labels = vec![("rule", rule.to_owned())];
        GateStats {
            held: self.held.get_or_create(&labels).clone(),
            waiting: self.waiting.get_or_create(&labels).clone(),
            shed: self.shed.get_or_create(&labels).clone(),
        }
    }

    pub(super) fn store_lost(&self) {
        self.store_losses.inc();
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "limit_decisions",
            "What limits decided, by rule; unshared ones were made without the shared store",
            self.decisions.clone(),
        );
        registry.register(
            "limit_store_losses",
            "Connections to the store of shared limits that were lost",
            self.store_losses.clone(),
        );
        registry.register("calls_held", "Calls that have a place, by gate", self.held.clone());
        registry.register("calls_waiting", "Calls that wait for a place, by gate", self.waiting.clone());
        registry.register("calls_shed", "Calls that found no place in time, by gate", self.shed.clone());
    }
}
