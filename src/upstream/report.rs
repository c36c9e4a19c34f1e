//! How upstreams stand at a moment, for the admin address.

use serde::Serialize;

use super::breaker::Breaker;
use super::cluster::Cluster;
use super::guard::Ill;

/// How one upstream stands.
#[derive(Debug, Serialize)]
pub struct UpstreamReport {
    name: String,
    /// Whether a connection takes calls, and an endpoint is healthy.
    reachable: bool,
    /// Whether so few endpoints are well that all are called.
    panic: bool,
    /// `closed`, `half-open` or `open`; null where it has none.
    breaker: Option<&'static str>,
    /// Retries that could be made at once.
    retry_budget: i64,
    /// Calls that wait for a connection.
    pending: usize,
    endpoints: Vec<EndpointReport>,
}

/// How one endpoint stands.
#[derive(Debug, Serialize)]
pub struct EndpointReport {
    endpoint: String,
    weight: u32,
    /// Whether calls go to it.
    takes_calls: bool,
    healthy: bool,
    ejected: bool,
    breaker: Option<&'static str>,
    /// Calls under way.
    in_flight: u32,
}

impl Cluster {
    /// How it stands now.
    #[must_use]
    pub fn report(&self) -> UpstreamReport {
        let guard = self.guard();
        let endpoints = self.members().into_iter().map(|member| {
            let ills = member.standing.ills_now();
            EndpointReport {
                endpoint: member.endpoint.address.to_string(),
                weight: member.weight(),
                takes_calls: member.takes_calls(),
                healthy: !ills.has(Ill::Unhealthy),
                ejected: ills.has(Ill::Ejected),
                breaker: member.standing.breaker_state().map(|state| state.as_str()),
                in_flight: member.load.under_way(),
            }
        });
        UpstreamReport {
            name: self.name().to_string(),
            reachable: self.is_reachable(),
            panic: guard.is_in_panic(),
            breaker: guard.breaker().map(Breaker::state).map(|state| state.as_str()),
            retry_budget: self.budget().left(),
            pending: guard.pending(),
            endpoints: endpoints.collect(),
        }
    }
}
