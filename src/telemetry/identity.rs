//! What concerns callers' identity: tokens by issuer and by what became of them, and how issuers' keys are kept fresh.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

type Labels = Vec<(&'static str, String)>;

#[derive(Debug, Default)]
pub struct IdentityMetrics {
    tokens: Family<Labels, Counter>,
    refreshes: Family<Labels, Counter>,
}

/// The counters of one issuer's tokens.
#[derive(Debug)]
pub struct TokenCounters {
    accepted: Counter,
    /// By reason.
    refused: Vec<(&'static str, Counter)>,
}

impl IdentityMetrics {
    /// The counters for tokens of this issuer, which may be refused for these reasons.
    #[must_use]
    pub fn tokens(&self, issuer: &str, reasons: &[&'static str]) -> TokenCounters {
        let counter = |result: &str| {
            let labels = vec![("issuer", issuer.to_owned()), ("result", result.to_owned())];
            self.tokens.get_or_create_owned(&labels)
        };
        TokenCounters {
            accepted: counter("OK"),
            refused: reasons.iter().map(|reason| (*reason, counter(reason))).collect(),
        }
    }

    /// The keys of an issuer were asked for, and there were some or not.
    pub fn refreshed(&self, issuer: &str, is_fresh: bool) {
        let result = if is_fresh { "done" } else { "failed" };
        let labels = vec![("issuer", issuer.to_owned()), ("result", result.to_owned())];
        self.refreshes.get_or_create(&labels).inc();
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("tokens", "Tokens by issuer and by what became of them", self.tokens.clone());
        registry.register(
            "issuer_key_refreshes",
            "Attempts to have the keys of an issuer, by result",
            self.refreshes.clone(),
        );
    }
}

impl TokenCounters {
    pub fn accepted(&self) {
        self.accepted.inc();
    }

    pub fn refused(&self, reason: &'static str) {
        if let Some((_, counter)) = self.refused.iter().find(|(own, _)| *own == reason) {
            counter.inc();
        }
    }
}
