//! What an operator says of endpoints that fail: how they are checked, left out and spared.

use std::time::Duration;

use super::breaker::BreakerSettings;
use super::budget::BudgetSettings;
use super::ejection::EjectionSettings;

/// What is done about the endpoints of an upstream that fail.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Resilience {
    /// How endpoints are asked for their health, where they are.
    pub health: Option<HealthSettings>,
    /// When an endpoint is left out because its calls fail.
    pub ejection: Option<EjectionSettings>,
    /// When all calls of the upstream are refused.
    pub breaker: Option<BreakerSettings>,
    /// When one endpoint gets no calls.
    pub endpoint_breaker: Option<BreakerSettings>,
    /// Below this share of endpoints that take calls, in per cent, all are used.
    pub panic: u8,
    pub budget: BudgetSettings,
    pub limits: EndpointLimits,
}

impl Resilience {
    pub const DEFAULT_PANIC: u8 = 50;
}

impl Default for Resilience {
    fn default() -> Self {
        Self {
            health: None,
            ejection: Some(EjectionSettings::default()),
            breaker: None,
            endpoint_breaker: None,
            panic: Self::DEFAULT_PANIC,
            budget: BudgetSettings::default(),
            limits: EndpointLimits::default(),
        }
    }
}

/// How an endpoint is asked for its health (grpc.health.v1).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HealthSettings {
    /// Between the end of a check and the beginning of the next one, more or less a tenth.
    pub interval: Duration,
    /// Connecting included.
    pub timeout: Duration,
    /// Checks in a row that make an unhealthy endpoint healthy.
    pub healthy: u32,
    /// Checks in a row that make a healthy endpoint unhealthy.
    pub unhealthy: u32,
    /// The service that is asked for; empty for the server as a whole.
    pub service: String,
}

impl Default for HealthSettings {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(5),
            timeout: Duration::from_secs(1),
            healthy: 2,
            unhealthy: 3,
            service: String::new(),
        }
    }
}

/// How much an endpoint is given at once, over all workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct EndpointLimits {
    /// Calls under way at one endpoint.
    pub max_requests: Option<u32>,
    /// Calls of the upstream that wait for a connection.
    pub max_pending: Option<usize>,
}
