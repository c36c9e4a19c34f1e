//! Counters, held by handles that were resolved at load: counting a call is a few atomic additions.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::registry::Registry;
use tokio::runtime::RuntimeMetrics;

use super::addresses::AddressMetrics;
use super::identity::IdentityMetrics;
use super::limits::{GateStats, LimitMetrics, LimitStats};
use super::tls::TlsMetrics;
use super::upstreams::{UpstreamMetrics, UpstreamStats};
use crate::fault::{Code, Origin};

/// Upper bounds of the buckets of a call's duration, in microseconds.
const BOUNDS: [u64; 14] = [
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    5_000_000, 10_000_000,
];

/// The counters of one RPC. They outlive reloads.
pub struct CallStats {
    rpc: Arc<str>,
    /// The name that it is counted under.
    counted: Arc<str>,
    /// Nothing is held for RPCs that are never called: a schema may have tens of thousands.
    counts: Arc<OnceLock<Box<Counts>>>,
}

#[derive(Default)]
struct Counts {
    /// By code; OK is 0.
    codes: [AtomicU64; 17],
    /// By bound; the last one is without.
    buckets: [AtomicU64; BOUNDS.len() + 1],
    micros: AtomicU64,
}

impl CallStats {
    #[must_use]
    pub fn new(rpc: &str) -> Self {
        let rpc: Arc<str> = rpc.into();
        Self { counted: Arc::clone(&rpc), rpc, counts: Arc::default() }
    }

    /// Counts for an RPC of another name here, so that names which strangers choose don't become counters.
    #[must_use]
    pub fn of_other(&self, rpc: &str) -> Self {
        Self { rpc: rpc.into(), counted: Arc::clone(&self.counted), counts: Arc::clone(&self.counts) }
    }

    /// `package.Service/Method`.
    #[must_use]
    pub fn rpc(&self) -> &str {
        &self.rpc
    }

    /// The name that calls are counted under: the RPC's own, or that of many together whose names strangers choose.
    #[must_use]
    pub fn counted(&self) -> &str {
        &self.counted
    }

    /// Counts a call that ended with `code` (none: OK).
    pub fn record(&self, code: Option<Code>, took: Duration) {
        let counts = self.counts.get_or_init(Box::default);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS.iter().position(|bound| micros <= *bound).unwrap_or(BOUNDS.len());
        for counter in [counts.codes.get(number(code)), counts.buckets.get(bucket)].into_iter().flatten() {
            counter.fetch_add(1, Ordering::Relaxed);
        }
        counts.micros.fetch_add(micros, Ordering::Relaxed);
    }
}

fn number(code: Option<Code>) -> usize {
    code.map_or(0, |code| code as usize)
}

fn name(number: usize) -> &'static str {
    u32::try_from(number).ok().and_then(Code::from_number).map_or("OK", Code::name)
}

/// What became of an attempt to load configuration and schema again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reload {
    /// It is in force.
    Done,
    /// It is bad; the last good one stays.
    Refused,
    /// An upstream does not tell what it serves; what it said last stays.
    Untold,
}

impl Reload {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Untold => "untold",
        }
    }
}

/// Everything that is counted.
#[derive(Default)]
pub struct Metrics {
    calls: Mutex<HashMap<String, Arc<CallStats>>>,
    /// By code; OK is 0. Requests that reached no RPC.
    unrouted: [AtomicU64; 17],
    faults: Family<Vec<(&'static str, &'static str)>, Counter>,
    decisions: Family<Vec<(&'static str, String)>, Counter>,
    splits: Family<Vec<(&'static str, String)>, Counter>,
    connections: Gauge,
    requests: Gauge,
    /// The runtimes of the workers, by number.
    workers: Mutex<Vec<(usize, RuntimeMetrics)>>,
    generation: Gauge,
    reloads: Family<Vec<(&'static str, &'static str)>, Counter>,
    reload_good: Gauge,
    reload_time: Gauge,
    panics: Counter,
    access_log_dropped: Counter,
    tls: TlsMetrics,
    upstreams: UpstreamMetrics,
    addresses: AddressMetrics,
    identity: IdentityMetrics,
    limits: LimitMetrics,
}

impl Metrics {
    /// The counters of this RPC (`package.Service/Method`), for a route to keep.
    pub fn call(&self, rpc: &str) -> Arc<CallStats> {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(stats) = calls.get(rpc) {
            return Arc::clone(stats);
        }
        let stats = Arc::new(CallStats::new(rpc));
        calls.insert(rpc.to_owned(), Arc::clone(&stats));
        stats
    }

    pub(super) fn unrouted(&self, code: Option<Code>) {
        if let Some(counter) = self.unrouted.get(number(code)) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn fault(&self, reason: &'static str, origin: Origin) {
        self.faults.get_or_create(&vec![("reason", reason), ("origin", origin.as_str())]).inc();
    }

    /// A rule has refused a call. There are as many as the configuration has.
    pub(super) fn decided(&self, rule: &str, reason: &'static str) {
        let labels = vec![("rule", rule.to_owned()), ("reason", reason.to_owned())];
        self.decisions.get_or_create(&labels).inc();
    }

    /// A call of a method whose calls are split ended at one of its upstreams. There are as many as the configuration has.
    pub(super) fn split(&self, rpc: &str, upstream: &str, code: Option<Code>) {
        let code = name(number(code)).to_owned();
        let labels = vec![("rpc", rpc.to_owned()), ("upstream", upstream.to_owned()), ("code", code)];
        self.splits.get_or_create(&labels).inc();
    }

    pub(super) fn access_log_dropped(&self, lines: u64) {
        self.access_log_dropped.inc_by(lines);
    }

    /// Counts a client's connection as open, until what this gives is dropped.
    pub fn connection(&self) -> Open {
        Open::new(&self.connections)
    }

    /// Counts a request as open, until what this gives is dropped.
    pub(super) fn request(&self) -> Open {
        Open::new(&self.requests)
    }

    /// Tells of the tasks on a worker's runtime from now on.
    pub fn worker(&self, number: usize, runtime: RuntimeMetrics) {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner).push((number, runtime));
    }

    /// What concerns TLS on listeners.
    pub fn tls(&self) -> &TlsMetrics {
        &self.tls
    }

    /// What concerns the addresses of clients.
    pub fn addresses(&self) -> &AddressMetrics {
        &self.addresses
    }

    /// What concerns callers' identity.
    pub fn identity(&self) -> &IdentityMetrics {
        &self.identity
    }

    /// The counters of the limit that logs call so, for it to keep.
    pub fn limit(&self, rule: &str) -> LimitStats {
        self.limits.limit(rule)
    }

    /// What is counted of the gate that logs call so, for it to keep.
    pub fn gate(&self, rule: &str) -> GateStats {
        self.limits.gate(rule)
    }

    /// What is counted of this upstream, for it to keep. `has_breaker`: whether one holds all of its calls.
    pub fn upstream(&self, name: &str, has_breaker: bool) -> UpstreamStats {
        self.upstreams.upstream(name, has_breaker)
    }

    /// A connection to the store of shared limits was lost.
    pub fn limits_store_lost(&self) {
        self.limits.store_lost();
    }

    /// A bug that one call met.
    pub fn panicked(&self) {
        self.panics.inc();
    }

    /// The snapshot that is in force.
    pub fn generation(&self, generation: u64) {
        self.generation.set(i64::try_from(generation).unwrap_or(i64::MAX));
    }

    /// The number of the snapshot in force.
    #[must_use]
    pub fn generation_in_force(&self) -> i64 {
        self.generation.get()
    }

    /// Something was loaded, or was to be.
    pub fn reloaded(&self, result: Reload) {
        match result {
            Reload::Done => self.loaded(),
            Reload::Refused => drop(self.reload_good.set(0)),
            Reload::Untold => {}
        }
        self.reloads.get_or_create(&vec![("result", result.as_str())]).inc();
    }

    /// What was loaded last is in force.
    pub fn loaded(&self) {
        self.reload_good.set(1);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        self.reload_time.set(i64::try_from(now).unwrap_or(i64::MAX));
    }

    /// Forgets methods that were never called and that nobody holds any more.
    pub fn forget_uncalled(&self) {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls.retain(|_, stats| Arc::strong_count(stats) > 1 || stats.counts.get().is_some());
    }

    /// The text that Prometheus reads (OpenMetrics 1.0).
    ///
    /// # Errors
    /// The text can't be written.
    pub fn encode(self: &Arc<Self>) -> Result<String, fmt::Error> {
        let mut registry = Registry::with_prefix("transom");
        registry.register("faults", "Failed calls by reason and by who is to blame", self.faults.clone());
        registry.register(
            "refusals",
            "Calls that a rule refused, by rule and reason",
            self.decisions.clone(),
        );
        registry.register(
            "split_calls",
            "Ended calls of methods that several upstreams share, by the one that was chosen",
            self.splits.clone(),
        );
        registry.register("connections", "Client connections that are open", self.connections.clone());
        registry.register(
            "requests",
            "Requests under way, up to the last byte of their answer",
            self.requests.clone(),
        );
        registry.register("generation", "The snapshot of schema and rules in force", self.generation.clone());
        registry.register(
            "reloads",
            "Loads of configuration and schema after the first, by result",
            self.reloads.clone(),
        );
        registry.register(
            "config_reload_success",
            "Whether what was loaded last is in force (1), or was refused (0)",
            self.reload_good.clone(),
        );
        registry.register(
            "config_reload_success_timestamp_seconds",
            "When what is in force was loaded",
            self.reload_time.clone(),
        );
        registry.register("panics", "Calls that met a bug of the gateway", self.panics.clone());
        registry.register(
            "access_log_dropped_lines",
            "Lines that the access log could not take",
            self.access_log_dropped.clone(),
        );
        self.tls.register(&mut registry);
        self.addresses.register(&mut registry);
        self.identity.register(&mut registry);
        self.limits.register(&mut registry);
        self.upstreams.register(&mut registry);
        registry.register_collector(Box::new(Calls(Arc::clone(self))));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry)?;
        Ok(text)
    }
}

/// Something that is open and counted for as long as this lives.
pub struct Open(Gauge);

impl Open {
    fn new(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

type NoLabels = [(&'static str, &'static str); 0];

#[derive(Debug)]
struct Calls(Arc<Metrics>);

impl Collector for Calls {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let calls: Vec<Arc<CallStats>> =
            self.0.calls.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        let mut called: Vec<(&str, &Counts)> =
            calls.iter().filter_map(|stats| Some((stats.rpc(), &**stats.counts.get()?))).collect();
        called.sort_unstable_by_key(|(rpc, _)| *rpc);

        let mut counters =
            encoder.encode_descriptor("calls", "Ended calls by RPC and code", None, MetricType::Counter)?;
        for (rpc, counts) in &called {
            for (number, count) in counts.codes.iter().enumerate() {
                let count = count.load(Ordering::Relaxed);
                if count > 0 {
                    let labels = [("rpc", *rpc), ("code", name(number))];
                    ConstCounter::new(count).encode(counters.encode_family(&labels)?)?;
                }
            }
        }
        let mut counters = encoder.encode_descriptor(
            "unrouted_requests",
            "Requests that reached no RPC, by code",
            None,
            MetricType::Counter,
        )?;
        for (number, count) in self.0.unrouted.iter().enumerate() {
            let count = count.load(Ordering::Relaxed);
            if count > 0 {
                ConstCounter::new(count).encode(counters.encode_family(&[("code", name(number))])?)?;
            }
        }
        let mut histograms = encoder.encode_descriptor(
            "call_duration_seconds",
            "From a call's head to its answer's last byte",
            None,
            MetricType::Histogram,
        )?;
        for (rpc, counts) in &called {
            let counted: Vec<(f64, u64)> = BOUNDS
                .iter()
                .map(|micros| *micros as f64 / 1e6)
                .chain([f64::INFINITY])
                .zip(counts.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)))
                .collect();
            let total = counted.iter().map(|(_, count)| count).sum();
            let seconds = counts.micros.load(Ordering::Relaxed) as f64 / 1e6;
            histograms
                .encode_family(&[("rpc", *rpc)])?
                .encode_histogram::<NoLabels>(seconds, total, &counted, None)?;
        }
        let mut gauges = encoder.encode_descriptor(
            "tasks",
            "Tasks that live on a worker's runtime: connections, HTTP/2 requests, calls that are drained",
            None,
            MetricType::Gauge,
        )?;
        for (number, runtime) in self.0.workers.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let tasks = i64::try_from(runtime.num_alive_tasks()).unwrap_or(i64::MAX);
            ConstGauge::new(tasks).encode(gauges.encode_family(&[("worker", *number)])?)?;
        }
        let gauge = encoder.encode_descriptor("rpcs", "RPCs that are routed", None, MetricType::Gauge)?;
        ConstGauge::new(i64::try_from(calls.len()).unwrap_or(i64::MAX)).encode(gauge)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_is_in_the_text() {
        let metrics = Arc::new(Metrics::default());
        let stats = metrics.call("a.B/C");
        assert!(Arc::ptr_eq(&stats, &metrics.call("a.B/C")));
        stats.record(None, Duration::from_micros(700));
        stats.record(Some(Code::NotFound), Duration::from_secs(60));
        metrics.unrouted(Some(Code::NotFound));
        metrics.fault("NO_ROUTE", Origin::Client);
        let text = metrics.encode().unwrap();
        for line in [
            "transom_calls_total{rpc=\"a.B/C\",code=\"OK\"} 1",
            "transom_calls_total{rpc=\"a.B/C\",code=\"NOT_FOUND\"} 1",
            "transom_unrouted_requests_total{code=\"NOT_FOUND\"} 1",
            "transom_faults_total{reason=\"NO_ROUTE\",origin=\"client\"} 1",
            "transom_call_duration_seconds_bucket{le=\"0.0005\",rpc=\"a.B/C\"} 0",
            "transom_call_duration_seconds_bucket{le=\"0.001\",rpc=\"a.B/C\"} 1",
            "transom_call_duration_seconds_bucket{le=\"+Inf\",rpc=\"a.B/C\"} 2",
        ] {
            assert!(text.contains(line), "{line} is missing in\n{text}");
        }
    }
}
