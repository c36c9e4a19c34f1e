//! The keys `dns` and `srv` of an upstream: names whose endpoints DNS tells.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use http::uri::Authority;
use rustls_pki_types::ServerName;

use super::reader::{Map, Value};
use super::values::{self, Wrong};
use crate::upstream::{NameSettings, Wanted};

/// Of what is relied on. A server that is asked more often takes it for an attack.
const SHORTEST: Duration = Duration::from_millis(100);

/// A name alone, or a map that says more; `wanted` reads the name.
pub(super) fn read(value: &Value<'_>, wanted: fn(&str) -> Result<Wanted, Wrong>) -> Option<NameSettings> {
    let settings = |wanted| NameSettings {
        wanted,
        server: None,
        min_ttl: NameSettings::DEFAULT_MIN_TTL,
        max_ttl: NameSettings::DEFAULT_MAX_TTL,
    };
    if !value.is_map() {
        return value.parse(wanted).map(settings);
    }
    value.map(|map| {
        let name = map.required("name", "write what is looked up, as in `name: orders.internal:50051`");
        let server = map.value("server", server);
        let (min_ttl, max_ttl) = ttls(map);
        Some(NameSettings { server, min_ttl, max_ttl, ..settings(name?.parse(wanted)?) })
    })?
}

fn ttls(map: &mut Map<'_>) -> (Duration, Duration) {
    let mut min = NameSettings::DEFAULT_MIN_TTL;
    map.set("min_ttl", &mut min, |text| match values::duration(text)? {
        short if short < SHORTEST => {
            Err(Wrong::new(format!("{text} is too short")).help("write a duration from `100ms`"))
        }
        ttl => Ok(ttl),
    });
    let mut max = NameSettings::DEFAULT_MAX_TTL.max(min);
    map.set("max_ttl", &mut max, |text| match values::duration(text)? {
        less if less < min => {
            let help = "answers are relied on from `min_ttl` to `max_ttl`";
            Err(Wrong::new(format!("{text} is less than `min_ttl`")).help(help))
        }
        ttl => Ok(ttl),
    });
    (min, max)
}

/// The address of a DNS server.
fn server(text: &str) -> Result<SocketAddr, Wrong> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(SocketAddr::new(address, 53));
    }
    text.parse().map_err(|_| {
        Wrong::new(format!("`{text}` is no address"))
            .help("write the IP address of a DNS server, and its port if it isn't 53, as in `10.0.0.2:53`")
    })
}

/// A host and a port, as in `orders.internal:50051`.
pub(super) fn addresses(text: &str) -> Result<Wanted, Wrong> {
    let wrong = || {
        Wrong::new(format!("`{text}` is no host with a port"))
            .help("write both, as in `orders.internal:50051`")
    };
    if text.contains("://") {
        return Err(wrong().help("a name has no scheme; for TLS there is the key `tls`"));
    }
    let authority: Authority = text.parse().map_err(|_| wrong())?;
    let port = authority.port_u16().filter(|port| *port != 0).ok_or_else(wrong)?;
    let host = authority.host().to_owned();
    if text.contains(['@', '/']) {
        return Err(wrong());
    }
    if host.starts_with('[') || host.parse::<IpAddr>().is_ok() {
        let help = format!("write `endpoints: http://{text}`");
        return Err(Wrong::new("an address needs no lookup").help(help));
    }
    if ServerName::try_from(host.as_str()).is_err() {
        return Err(wrong());
    }
    Ok(Wanted::Addresses { authority, host, port })
}

/// A service, its protocol and the domain that they are in, as in `_grpc._tcp.orders.internal` (RFC 2782).
pub(super) fn service(text: &str) -> Result<Wanted, Wrong> {
    let wrong = || {
        Wrong::new(format!("`{text}` is no name of a service"))
            .help("write service, protocol and domain, as in `_grpc._tcp.orders.internal`")
    };
    let mut labels = text.splitn(3, '.');
    let (Some(service), Some(protocol), Some(domain)) = (labels.next(), labels.next(), labels.next()) else {
        return Err(wrong());
    };
    let marked = |label: &str| label.len() > 1 && label.starts_with('_');
    if !marked(service) || !marked(protocol) || ServerName::try_from(domain).is_err() {
        return Err(wrong());
    }
    let domain = domain.trim_end_matches('.').to_owned();
    Ok(Wanted::Service { name: text.to_owned(), domain })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_hosts() {
        for (text, want) in [
            ("orders.internal:50051", Some(("orders.internal", 50051))),
            ("orders:1", Some(("orders", 1))),
            ("my_orders.svc.:1", Some(("my_orders.svc.", 1))),
            ("orders.internal", None),
            ("orders.internal:0", None),
            ("orders.internal:65536", None),
            (":1", None),
            ("", None),
            ("a b:1", None),
            ("me@orders:1", None),
            ("orders:1/x", None),
            ("http://orders:1", None),
            ("10.0.0.1:1", None),
            ("[::1]:1", None),
        ] {
            let got = addresses(text).ok().map(|wanted| match wanted {
                Wanted::Addresses { host, port, .. } => (host, port),
                Wanted::Service { .. } => panic!("{text}"),
            });
            assert_eq!(got, want.map(|(host, port)| (host.to_owned(), port)), "{text}");
        }
    }

    #[test]
    fn names_of_services() {
        for (text, want) in [
            ("_grpc._tcp.orders.internal", Some("orders.internal")),
            ("_grpc._tcp.orders.internal.", Some("orders.internal")),
            ("_grpc._tcp.orders", Some("orders")),
            ("_grpc._tcp", None),
            ("_grpc._tcp.", None),
            ("grpc._tcp.orders", None),
            ("_._tcp.orders", None),
            ("_grpc.tcp.orders", None),
            ("_grpc._tcp.a b", None),
            ("", None),
        ] {
            let got = service(text).ok().map(|wanted| match wanted {
                Wanted::Service { domain, .. } => domain,
                Wanted::Addresses { .. } => panic!("{text}"),
            });
            assert_eq!(got.as_deref(), want, "{text}");
        }
    }
}
