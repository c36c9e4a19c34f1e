//! What is counted of the addresses of clients: connections that did not tell theirs, and lists that are read again.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

type Labels = Vec<(&'static str, String)>;

/// By listener, or by the place of a list in the configuration.
#[derive(Default)]
pub struct AddressMetrics {
    unproxied: Family<Labels, Counter>,
    loads: Family<Labels, Counter>,
    ranges: Family<Labels, Gauge>,
}

impl AddressMetrics {
    /// A connection was ended, since it did not begin as the PROXY protocol says.
    pub fn unproxied(&self, listener: &str, reason: &'static str) {
        let labels = vec![("listener", listener.to_owned()), ("reason", reason.to_owned())];
        self.unproxied.get_or_create(&labels).inc();
    }

    /// The files of a list have changed, and were taken or refused.
    pub fn loaded(&self, list: &str, taken: bool) {
        let result = if taken { "taken" } else { "refused" };
        let labels = vec![("list", list.to_owned()), ("result", result.to_owned())];
        self.loads.get_or_create(&labels).inc();
    }

    /// A list has so many ranges now.
    pub fn has(&self, list: &str, ranges: usize) {
        let ranges = i64::try_from(ranges).unwrap_or(i64::MAX);
        self.ranges.get_or_create(&vec![("list", list.to_owned())]).set(ranges);
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "proxy_protocol_failures",
            "Connections that did not begin as the PROXY protocol says, by reason",
            self.unproxied.clone(),
        );
        registry.register(
            "address_list_loads",
            "Address lists whose files changed, and whether they were taken",
            self.loads.clone(),
        );
        registry.register("address_list_ranges", "Ranges of addresses in a list", self.ranges.clone());
    }
}
