//! The part `upstreams` of a configuration: named sets of endpoints, and how they are dialled.

use std::net::Ipv6Addr;
use std::num::NonZeroU32;
use std::time::{Duration, SystemTime};

use http::uri::Authority;
use rustls_pki_types::ServerName;

use super::breakers;
use super::limits;
use super::names;
use super::reader::{Map, Value};
use super::tls;
use super::values::{self, Wrong};
use crate::problem::Problem;
use crate::tls::{Authorities, ClientTls};
use crate::upstream::{
    Address, Balance, Discovery, Endpoint, Keepalive, Listed, NameSettings, TlsSettings, UpstreamSettings,
};

/// More only cost, see [`UpstreamSettings::connections`].
const MAX_CONNECTIONS: usize = 64;
const MAX_WEIGHT: u32 = 1_000;
/// Of pings.
const MOST_OFTEN: Duration = Duration::from_secs(1);
/// `sun_path` of unix(7), with the zero at its end.
const LONGEST_SOCKET_PATH: usize = 107;

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
    let place = place(map);
    let tls = map.get("tls").and_then(|value| {
        if matches!(&place, Some(Place::Listed(endpoints)) if endpoints.is_plain()) {
            let what = "TLS is not used for `http://` and `unix://` endpoints";
            value.wrong(what, "write `https://`, or leave `tls` out");
        }
        value.map(read_tls)
    });
    let connect_timeout = map.value("connect_timeout", values::duration);
    let connections = map.value("connections", |text| values::positive(text, MAX_CONNECTIONS));
    let connections = connections.unwrap_or(UpstreamSettings::DEFAULT_CONNECTIONS);
    let max_connections = map.value("max_connections", |text| {
        let most = values::positive(text, MAX_CONNECTIONS)?;
        let help = "leave it out, or allow as many as are always there";
        let less = || Wrong::new(format!("{text} is less than `connections`")).help(help);
        if most < connections { Err(less()) } else { Ok(most) }
    });
    let max_connection_age = map.value("max_connection_age", values::duration);
    let keepalive = map.get("keepalive").and_then(|value| keepalive(&value));
    let balance = map.value("balance", |text| {
        values::choice(text, &[("least_loaded", Balance::LeastLoaded), ("round_robin", Balance::RoundRobin)])
    });
    let warm_up = map.value("warm_up", values::duration_or_zero);
    let concurrency = map.get("concurrency").and_then(|value| value.map(limits::gate).flatten());
    let resilience = breakers::resilience(map);
    let mut settings = match place? {
        Place::Listed(endpoints) => {
            let mut settings = endpoints.into_upstream(name)?;
            if let (Some(tls), Some(slot)) = (tls, &mut settings.tls) {
                *slot = tls;
            }
            settings
        }
        // There is no scheme that could say so.
        Place::Named(names) => UpstreamSettings::new(name, Discovery::Named(names), tls),
    };
    settings.concurrency = concurrency;
    settings.resilience = resilience;
    settings.connect_timeout = connect_timeout.unwrap_or(settings.connect_timeout);
    settings.connections = connections;
    settings.max_connections = max_connections.unwrap_or(settings.max_connections).max(connections);
    settings.max_connection_age = max_connection_age;
    settings.keepalive = keepalive;
    settings.balance = balance.unwrap_or(settings.balance);
    settings.warm_up = warm_up.unwrap_or(settings.warm_up);
    Some(settings)
}

/// Where an upstream is, as it is said.
enum Place {
    Listed(Endpoints),
    Named(NameSettings),
}

/// One of `endpoints`, `dns` and `srv`.
fn place(map: &mut Map<'_>) -> Option<Place> {
    let given = [map.get("endpoints"), map.get("dns"), map.get("srv")];
    let (listed, dns, srv) = match &given {
        [None, None, None] => {
            let help = "write `endpoints: [http://127.0.0.1:50051]`, or `dns: orders.internal:50051`";
            map.missing("endpoints", help);
            return None;
        }
        [listed, dns, srv] => (listed, dns, srv),
    };
    for more in given.iter().flatten().skip(1) {
        more.wrong(
            "it is said already where the upstream is",
            "one of `endpoints`, `dns` and `srv` is enough",
        );
    }
    if let Some(listed) = listed {
        let mut endpoints = Endpoints::default();
        for item in listed.items() {
            if item.is_map() {
                item.map(|map| weighted(map, &mut endpoints));
            } else {
                item.parse(|text| endpoints.add(origin(text)?));
            }
        }
        return Some(Place::Listed(endpoints));
    }
    if let Some(dns) = dns {
        return names::read(dns, names::addresses).map(Place::Named);
    }
    names::read(srv.as_ref()?, names::service).map(Place::Named)
}

/// `30s`, or a map that says more.
fn keepalive(value: &Value<'_>) -> Option<Keepalive> {
    let every = |text: &str| match values::duration(text)? {
        every if every < MOST_OFTEN => {
            let help = "servers take frequent pings for an attack; write `1s` or more, better `30s`";
            Err(Wrong::new(format!("{text} is too often")).help(help))
        }
        every => Ok(every),
    };
    if !value.is_map() {
        let every = value.parse(every)?;
        return Some(Keepalive { every, timeout: Keepalive::DEFAULT_TIMEOUT, idle: false });
    }
    value.map(|map| {
        let required = map.required("every", "say after how much silence, as in `every: 30s`");
        let (mut timeout, mut idle) = (Keepalive::DEFAULT_TIMEOUT, false);
        map.set("timeout", &mut timeout, values::duration);
        map.set("idle", &mut idle, values::boolean);
        Some(Keepalive { every: required?.parse(every)?, timeout, idle })
    })?
}

/// `{ url: http://10.0.0.1:50051, weight: 3 }`.
fn weighted(map: &mut Map<'_>, endpoints: &mut Endpoints) {
    let mut weight = NonZeroU32::MIN;
    map.set("weight", &mut weight, |text| {
        let number = values::number(text, &(1..=MAX_WEIGHT))?;
        // The range starts at 1, so the minimum is never put in.
        Ok(NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN))
    });
    if let Some(url) = map.required("url", "write where it is, as in `url: http://127.0.0.1:50051`") {
        url.parse(|text| endpoints.add_weighted(origin(text)?, weight));
    }
}

/// Endpoints that are collected for one upstream: none twice, all with TLS or all without.
#[derive(Debug, Default)]
pub struct Endpoints {
    scheme: Option<Scheme>,
    all: Vec<Listed>,
}

impl Endpoints {
    /// Adds one that has the same part of the calls as others.
    ///
    /// # Errors
    /// It is there already, or another one has another scheme.
    pub fn add(&mut self, origin: Origin) -> Result<(), Wrong> {
        self.add_weighted(origin, NonZeroU32::MIN)
    }

    fn add_weighted(&mut self, origin: Origin, weight: NonZeroU32) -> Result<(), Wrong> {
        let Origin { scheme, endpoint } = origin;
        if self.scheme.get_or_insert(scheme).is_tls() != scheme.is_tls() {
            return Err(Wrong::new("one upstream has endpoints with TLS (`https://`) and without")
                .help("make two upstreams of them"));
        }
        if self.all.iter().any(|known| known.endpoint == endpoint) {
            return Err(Wrong::new(format!("the endpoint {} is given twice", endpoint.address)));
        }
        self.all.push(Listed { endpoint, weight });
        Ok(())
    }

    fn is_plain(&self) -> bool {
        self.scheme.is_some_and(|scheme| !scheme.is_tls())
    }

    /// The upstream with these endpoints and with defaults for all else; `None` without endpoints.
    #[must_use]
    pub fn into_upstream(self, name: &str) -> Option<UpstreamSettings> {
        let tls = self.scheme?.is_tls().then(TlsSettings::default);
        Some(UpstreamSettings::new(name, Discovery::Listed(self.all), tls))
    }
}

/// How an endpoint is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    Http,
    Https,
    Unix,
}

impl Scheme {
    fn is_tls(self) -> bool {
        match self {
            Self::Https => true,
            Self::Http | Self::Unix => false,
        }
    }
}

/// Scheme and place of a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    pub scheme: Scheme,
    pub endpoint: Endpoint,
}

/// The endpoint in `http://10.0.0.1:50051`, `https://orders.internal:443` or `unix:///run/orders.sock`.
///
/// # Errors
/// No scheme or another one, no host, no port, user information, or anything after the port; a path that is not absolute.
pub fn origin(text: &str) -> Result<Origin, Wrong> {
    let wrong = |why: &str| Wrong::new(format!("`{text}` is no endpoint: {why}"));
    const FORM: &str = "write scheme, host and port, as in `http://127.0.0.1:50051`";
    let Some((scheme, rest)) = text.split_once("://") else {
        return Err(wrong("it has no scheme").help(format!("did you mean `http://{text}`?")));
    };
    let (scheme, usual_port) = match scheme {
        "http" => (Scheme::Http, 80),
        "https" => (Scheme::Https, 443),
        "unix" => return Ok(Origin { scheme: Scheme::Unix, endpoint: unix(rest).map_err(wrong)? }),
        _ => {
            let help = format!("did you mean `http://{rest}`?");
            return Err(wrong("its scheme is neither http, https nor unix").help(help));
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
            let scheme = if scheme.is_tls() { "https" } else { "http" };
            let help = format!("name the port, as in `{scheme}://{host}:{usual_port}`");
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
    let address = Address::Host(host.to_owned(), port);
    Ok(Origin { scheme, endpoint: Endpoint { authority, address } })
}

/// What follows `unix://`, or why it is no path.
fn unix(path: &str) -> Result<Endpoint, &'static str> {
    if !path.starts_with('/') || path.ends_with('/') {
        return Err("after `unix://` comes the whole path of a socket, as in `unix:///run/orders.sock`");
    }
    if path.len() > LONGEST_SOCKET_PATH {
        return Err("the path of a socket has 107 bytes at most");
    }
    // What gRPC clients send over such sockets, which have no host.
    let authority = Authority::from_static("localhost");
    Ok(Endpoint { authority, address: Address::Unix(path.into()) })
}

/// The keys of `tls`; the files are read.
fn read_tls(map: &mut Map<'_>) -> TlsSettings {
    let folder = map.path("");
    let roots = map.value("ca", |text| Ok(Authorities::load(&folder.join(text))?));
    let identity = match (map.get("cert"), map.get("key")) {
        (None, None) => None,
        pair => tls::identity(map, pair).map(|(place, identity)| {
            if let Some(what) = identity.chain().untimely(SystemTime::now()) {
                place.report(Problem::warning(what));
            }
            identity
        }),
    };
    let server_name = map.value("server_name", |text| {
        let name = ServerName::try_from(text.to_owned());
        name.map_err(|_| Wrong::new(format!("`{text}` is neither a name nor an IP address")))
    });
    TlsSettings { client: ClientTls { roots, identity }, server_name }
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
            assert_eq!(origin.endpoint.address, Address::Host(host.to_owned(), port), "{text}");
            assert_eq!(origin.endpoint.host(), host, "{text}");
        }
    }

    #[test]
    fn sockets_of_the_file_system() {
        let origin = origin("unix:///run/my orders.sock").expect("a path");
        assert_eq!(origin.scheme, Scheme::Unix);
        assert_eq!(origin.endpoint.address, Address::Unix("/run/my orders.sock".into()));
        assert_eq!(origin.endpoint.authority.as_str(), "localhost");
    }

    #[test]
    fn what_is_no_origin() {
        for (text, want) in [
            ("", "it has no scheme"),
            ("10.0.0.1:50051", "it has no scheme"),
            ("grpc://h:1", "its scheme is neither http, https nor unix"),
            ("HTTP://h:1", "its scheme is neither http, https nor unix"),
            ("unix://run/x.sock", "as in `unix:///run/orders.sock`"),
            ("unix://", "as in `unix:///run/orders.sock`"),
            ("unix:///run/", "as in `unix:///run/orders.sock`"),
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
