//! What is counted of TLS on listeners: handshakes, and certificates that are read again.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

type Labels = Vec<(&'static str, String)>;

/// By listener. A handshake costs so much more than finding its counter that no handles are kept.
#[derive(Default)]
pub struct TlsMetrics {
    handshakes: Family<Labels, Counter>,
    failures: Family<Labels, Counter>,
    renewals: Family<Labels, Counter>,
    expiry: Family<Labels, Gauge>,
}

impl TlsMetrics {
    /// A handshake was done, with this version of TLS.
    pub fn handshake(&self, listener: &str, version: &'static str, resumed: bool) {
        let labels = vec![
            ("listener", listener.to_owned()),
            ("version", version.to_owned()),
            ("resumed", resumed.to_string()),
        ];
        self.handshakes.get_or_create(&labels).inc();
    }

    /// A connection ended before it could speak HTTP.
    pub fn failed(&self, listener: &str, reason: &'static str) {
        let labels = vec![("listener", listener.to_owned()), ("reason", reason.to_owned())];
        self.failures.get_or_create(&labels).inc();
    }

    /// Certificates have changed, and were taken or refused.
    pub fn renewed(&self, listener: &str, taken: bool) {
        let result = if taken { "taken" } else { "refused" };
        let labels = vec![("listener", listener.to_owned()), ("result", result.to_owned())];
        self.renewals.get_or_create(&labels).inc();
    }

    /// The certificate in `file` is good until then, in Unix time.
    pub fn expiry(&self, listener: &str, file: &str, not_after: i64) {
        let labels = vec![("listener", listener.to_owned()), ("file", file.to_owned())];
        self.expiry.get_or_create(&labels).set(not_after);
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("tls_handshakes", "TLS handshakes that were done", self.handshakes.clone());
        registry.register(
            "tls_handshake_failures",
            "Connections that ended before they could speak HTTP, by reason",
            self.failures.clone(),
        );
        registry.register(
            "tls_certificate_renewals",
            "Certificate files that changed, and whether they were taken",
            self.renewals.clone(),
        );
        registry.register(
            "tls_certificate_not_after_timestamp_seconds",
            "When the certificate that is served expires",
            self.expiry.clone(),
        );
    }
}
