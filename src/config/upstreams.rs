//! The part `upstreams` of a configuration: named sets of endpoints, and how they are dialled.

use std::net::Ipv6Addr;

use http::uri::Authority;
use rustls_pki_types::ServerName;

use super::limits;
use super::reader::{Map, Value};
use super::values::{self, Wrong};
use crate::tls::Authorities;
use crate::upstream::{Balance, Endpoint, Roots, TlsSettings, UpstreamSettings};

/// More only cost, see [`UpstreamSettings::connections`].
const MAX_CONNECTIONS: usize = 64;

/// An upstream that was named, whether or not it is right otherwise.
pub(super) struct Named<'r> {
    pub name: String,
    pub value: Value<'r>,
    pub settings: Option<UpstreamSettings>,
}

/// The upstreams, at least one.
pub(super) fn read<'r>(root: &mut Map<'r>) -> Vec<Named<'r>> {
    let help = "add one, as in `upstreams: { api: { endpoints: http://127.0.0.1:50051 } }`";
    let entries = root.required("upstreams", help).map_or_else(Vec::new, |all| all.entries(values::text));
    let mut upstreams = Vec::new();
    for (name, value) in entries {
        let Some(name) = name else { continue };
        let settings = value.map(|map| upstream(map, &name)).flatten();
        upstreams.push(Named { name, value, settings });
    }
    upstreams
}

fn upstream(map: &mut Map<'_>, name: &str) -> Option<UpstreamSettings> {
    let help = "write where it is, as in `endpoints: [http://127.0.0.1:50051]`";
    let mut endpoints = Endpoints::default();
    for item in map.required("endpoints", help).map_or_else(Vec::new, |value| value.items()) {
        item.parse(|text| endpoints.add(origin(text)?));
    }
    let tls = map.get("tls").and_then(|value| {
        if endpoints.scheme == Some(Scheme::Http) {
            value.wrong("TLS is not used for `http://` endpoints", "write `https://`, or leave `tls` out");
        }
        value.map(read_tls)
    });
    let connect_timeout = map.value("connect_timeout", values::duration);
    let connections = map.value("connections", |text| values::positive(text, MAX_CONNECTIONS));
    let balance = map.value("balance", |text| {
        values::choice(text, &[("least_loaded", Balance::LeastLoaded), ("round_robin", Balance::RoundRobin)])
    });
    let concurrency = map.get("concurrency").and_then(|value| value.map(limits::gate).flatten());
    let mut settings = endpoints.into_upstream(name)?;
    settings.concurrency = concurrency;
    if let (Some(tls), Some(slot)) = (tls, &mut settings.tls) {
        *slot = tls;
    }
    settings.connect_timeout = connect_timeout.unwrap_or(settings.connect_timeout);
    settings.connections = connections.unwrap_or(settings.connections);
    settings.balance = balance.unwrap_or(settings.balance);
    Some(settings)
}

/// Endpoints that are collected for one upstream: none twice, all of one scheme.
#[derive(Debug, Default)]
pub struct Endpoints {
    scheme: Option<Scheme>,
    all: Vec<Endpoint>,
}

impl Endpoints {
    /// Adds one.
    ///
    /// # Errors
    /// It is there already, or another one has the other scheme.
    pub fn add(&mut self, origin: Origin) -> Result<(), Wrong> {
        let Origin { scheme, endpoint } = origin;
        if *self.scheme.get_or_insert(scheme) != scheme {
            return Err(Wrong::new("one upstream has `http://` and `https://` endpoints")
                .help("make two upstreams of them"));
        }
        if self.all.contains(&endpoint) {
            return Err(Wrong::new(format!("the endpoint {} is given twice", endpoint.authority)));
        }
        self.all.push(endpoint);
        Ok(())
    }

    /// The upstream with these endpoints and with defaults for all else; `None` without endpoints.
    #[must_use]
    pub fn into_upstream(self, name: &str) -> Option<UpstreamSettings> {
        let tls = match self.scheme? {
            Scheme::Http => None,
            Scheme::Https => Some(TlsSettings::default()),
        };
        Some(UpstreamSettings {
            name: name.to_owned(),
            endpoints: self.all,
            tls,
            connect_timeout: UpstreamSettings::DEFAULT_CONNECT_TIMEOUT,
            connections: UpstreamSettings::DEFAULT_CONNECTIONS,
            balance: Balance::default(),
            concurrency: None,
        })
    }
}

/// Whether an endpoint is reached by TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    Http,
    Https,
}

impl Scheme {
    fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    fn usual_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// Scheme, host and port of a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    pub scheme: Scheme,
    pub endpoint: Endpoint,
}

/// The endpoint in `http://10.0.0.1:50051` or `https://orders.internal:443`.
///
/// # Errors
/// No scheme or another one, no host, no port, user information, or anything after the port.
pub fn origin(text: &str) -> Result<Origin, Wrong> {
    let wrong = |why: &str| Wrong::new(format!("`{text}` is no endpoint: {why}"));
    const FORM: &str = "write scheme, host and port, as in `http://127.0.0.1:50051`";
    let Some((scheme, rest)) = text.split_once("://") else {
        return Err(wrong("it has no scheme").help(format!("did you mean `http://{text}`?")));
    };
    let scheme = match scheme {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        _ => {
            return Err(
                wrong("its scheme is neither http nor https").help(format!("did you mean `http://{rest}`?"))
            );
        }
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    if rest.contains(['/', '?', '#']) {
        return Err(wrong("it has a path or a query").help("gRPC sets the path; end the URL after the port"));
    }
    if rest.contains('@') {
        return Err(
            wrong("it has user information").help("end the scheme with `://` and go on with the host")
        );
    }
    let authority: Authority = rest.parse().map_err(|_| wrong("host and port can't be read").help(FORM))?;
    let host = authority.host();
    let port = match authority.port_u16() {
        Some(port) if port != 0 => port,
        Some(_) | None => {
            let help = format!("name the port, as in `{}://{host}:{}`", scheme.as_str(), scheme.usual_port());
            return Err(wrong("it has no port from 1 to 65535").help(help));
        }
    };
    let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(inner) if inner.parse::<Ipv6Addr>().is_ok() => inner,
        Some(_) => return Err(wrong("there is no IPv6 address in the brackets").help(FORM)),
        None => host,
    };
    // What has no form of a name can't be resolved, and no certificate could be for it.
    if ServerName::try_from(host).is_err() {
        return Err(wrong("the host is neither a name nor an address").help(FORM));
    }
    let host = host.to_owned();
    Ok(Origin { scheme, endpoint: Endpoint { authority, host, port } })
}

/// The keys of `tls`; CA files are read.
fn read_tls(map: &mut Map<'_>) -> TlsSettings {
    let folder = map.path("");
    let roots = match map.value("ca", |text| Ok(Authorities::load(&folder.join(text))?)) {
        Some(authorities) => Roots::Given(authorities.into_certificates()),
        None => Roots::System,
    };
    let server_name = map.value("server_name", |text| {
        let name = ServerName::try_from(text.to_owned());
        name.map_err(|_| Wrong::new(format!("`{text}` is neither a name nor an IP address")))
    });
    TlsSettings { roots, server_name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins() {
        for (text, scheme, authority, host, port) in [
            ("http://10.0.0.1:50051", Scheme::Http, "10.0.0.1:50051", "10.0.0.1", 50051),
            ("https://orders.internal:443", Scheme::Https, "orders.internal:443", "orders.internal", 443),
            ("http://localhost:1/", Scheme::Http, "localhost:1", "localhost", 1),
            ("http://[::1]:50051", Scheme::Http, "[::1]:50051", "::1", 50051),
            ("http://my_service:80", Scheme::Http, "my_service:80", "my_service", 80),
        ] {
            let origin = origin(text).expect(text);
            assert_eq!(origin.scheme, scheme, "{text}");
            assert_eq!(origin.endpoint.authority.as_str(), authority, "{text}");
            assert_eq!((&*origin.endpoint.host, origin.endpoint.port), (host, port), "{text}");
        }
    }

    #[test]
    fn what_is_no_origin() {
        for (text, want) in [
            ("", "it has no scheme"),
            ("10.0.0.1:50051", "it has no scheme"),
            ("grpc://h:1", "its scheme is neither http nor https"),
            ("HTTP://h:1", "its scheme is neither http nor https"),
            ("http://h", "it has no port from 1 to 65535"),
            ("http://h:", "it has no port from 1 to 65535"),
            ("http://h:0", "it has no port from 1 to 65535"),
            ("http://h:65536", "it has no port from 1 to 65535"),
            ("http://h:x", "it has no port from 1 to 65535"),
            ("http://[::1]", "it has no port from 1 to 65535"),
            ("http://::1:80", "host and port can't be read"),
            ("http://[1.2.3.4]:80", "there is no IPv6 address in the brackets"),
            ("http://:80", "the host is neither a name nor an address"),
            ("http://", "host and port can't be read"),
            ("http://a b:80", "host and port can't be read"),
            ("http://a..b:80", "the host is neither a name nor an address"),
            ("http://h:1/x", "it has a path or a query"),
            ("http://h:1?x", "it has a path or a query"),
            ("http://h:1#x", "it has a path or a query"),
            ("http://h:1//", "it has a path or a query"),
            ("http://me:secret@h:1", "it has user information"),
        ] {
            let wrong = origin(text).expect_err(text);
            assert!(wrong.what.ends_with(want), "{text}: {}", wrong.what);
        }
    }
}
