//! Whom a request is from: the peer of its connection, or who trusted proxies say it is; and what the backend is told.
//!
//! What a request says of its way is believed from the peer on, as far as each that says something is a trusted proxy.
//! The backend gets what was believed, and nothing else: so it may take the first address for the client's.

use std::borrow::Cow;
use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::uri::Authority;
use http::{Extensions, Request};
use smallvec::SmallVec;

use super::forwarded::{Element, canonical, last_listed, last_quoted, listed_node, write_node};
use super::{ClientAddress, Networks};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// Whether a header tells of a request's way to the gateway. Only trusted proxies may say such things.
pub(crate) fn is_forwarding(name: &str) -> bool {
    name.starts_with("x-forwarded-") || matches!(name, "forwarded" | "x-real-ip")
}

/// A header of this prefix reaches the backend without it.
const METADATA_PREFIX: &str = "grpc-metadata-";

/// The header that trusted proxies write the client's address into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ProxyHeader {
    #[default]
    XForwardedFor,
    /// RFC 7239.
    Forwarded,
}

/// The proxies of a listener that are believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedProxies {
    pub networks: Networks,
    /// How many of them stand before the gateway, at most.
    pub hops: NonZeroUsize,
    pub header: ProxyHeader,
}

/// What backends are told of the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Forward {
    /// `x-forwarded-for`, `x-forwarded-proto` and `x-forwarded-host`.
    #[default]
    XForwarded,
    /// `forwarded` (RFC 7239).
    Forwarded,
    Both,
    Off,
}

impl Forward {
    const fn writes_x(self) -> bool {
        match self {
            Self::XForwarded | Self::Both => true,
            Self::Forwarded | Self::Off => false,
        }
    }

    const fn writes_forwarded(self) -> bool {
        match self {
            Self::Forwarded | Self::Both => true,
            Self::XForwarded | Self::Off => false,
        }
    }
}

/// The choices of a listener about where requests come from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Forwarding {
    /// None where the peer of the connection is the client.
    pub trusted: Option<TrustedProxies>,
    pub forward: Forward,
}

/// A trusted proxy says something of the client that can't be read. An extension of the request's head, for whoever
/// refuses it; until then the client's address is that of the last one known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unreadable;

/// The other end of a connection.
#[derive(Debug, Clone)]
pub struct Peer {
    address: IpAddr,
    /// There where it is a trusted proxy.
    trusted: Option<TrustedProxies>,
    forward: Forward,
    /// What is written where it is the client.
    written: HeaderValue,
    proto: &'static str,
}

/// From the gateway outwards: the peer first, the client last.
type Hops = SmallVec<[IpAddr; 4]>;

/// What a request's way is believed to be.
struct Way {
    hops: Hops,
    is_readable: bool,
    /// As the farthest trusted proxy says, if it does.
    proto: Option<&'static str>,
    host: Option<HeaderValue>,
}

impl Peer {
    /// The peer of a connection that came in over TLS or not.
    #[must_use]
    pub fn new(address: SocketAddr, is_secure: bool, forwarding: &Forwarding) -> Self {
        let address = canonical(address);
        let trusted = forwarding.trusted.as_ref().filter(|trusted| trusted.networks.contains(address));
        Self {
            address,
            trusted: trusted.cloned(),
            forward: forwarding.forward,
            written: ascii(&address.to_string()),
            proto: if is_secure { "https" } else { "http" },
        }
    }

    /// Settles whom a request is from, and makes its headers say that and no more.
    pub fn stamp<B>(&self, request: &mut Request<B>) {
        let way = match &self.trusted {
            Some(trusted) => trusted.way(self.address, request.headers()),
            None => Way::of(self.address),
        };
        let host = way.host.clone().or_else(|| host(request));
        self.clean(request.headers_mut());
        self.write(&way, host, request.headers_mut());
        way.tell(self.address, request.extensions_mut());
    }

    /// Takes off what is not believed, and what will be written anew.
    fn clean(&self, headers: &mut HeaderMap) {
        let keeps_others = self.trusted.is_some() && self.forward != Forward::Off;
        let is_kept = |name: &str| {
            keeps_others
                && !matches!(name, "forwarded" | "x-forwarded-for" | "x-forwarded-proto" | "x-forwarded-host")
        };
        let going: SmallVec<[HeaderName; 4]> = headers
            .keys()
            .filter(|name| {
                let name = name.as_str();
                match name.strip_prefix(METADATA_PREFIX) {
                    Some(own) => is_forwarding(own),
                    None => is_forwarding(name) && !is_kept(name),
                }
            })
            .cloned()
            .collect();
        for name in &going {
            headers.remove(name);
        }
    }

    fn write(&self, way: &Way, host: Option<HeaderValue>, headers: &mut HeaderMap) {
        let proto = way.proto.unwrap_or(self.proto);
        if self.forward.writes_forwarded() {
            headers.insert(header::FORWARDED, way.as_forwarded(proto, host.as_ref()));
        }
        if self.forward.writes_x() {
            let value = if way.hops.len() == 1 { self.written.clone() } else { way.as_list() };
            headers.insert(X_FORWARDED_FOR, value);
            headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(proto));
            if let Some(host) = host {
                headers.insert(X_FORWARDED_HOST, host);
            }
        }
    }
}

impl TrustedProxies {
    /// The way of a request from a peer that is one of them.
    fn way(&self, peer: IpAddr, headers: &HeaderMap) -> Way {
        match self.header {
            ProxyHeader::XForwardedFor => {
                let name = &X_FORWARDED_FOR;
                let mut way = self.walk(peer, headers, name, last_listed, |element, _| listed_node(element));
                way.proto = only(headers, &X_FORWARDED_PROTO).and_then(|value| scheme(value.as_bytes()));
                way.host = only(headers, &X_FORWARDED_HOST).filter(|host| is_host(host)).cloned();
                way
            }
            ProxyHeader::Forwarded => {
                self.walk(peer, headers, &header::FORWARDED, last_quoted, |element, way| {
                    let element = Element::parse(element)?;
                    way.proto = element.proto.as_deref().and_then(|proto| scheme(proto.as_bytes()));
                    let host = element.host.as_deref().and_then(|host| HeaderValue::from_str(host).ok());
                    way.host = host.filter(is_host);
                    Some(element.address)
                })
            }
        }
    }

    /// Follows the elements of a header from its end, from one trusted proxy to the next.
    fn walk(
        &self,
        peer: IpAddr,
        headers: &HeaderMap,
        name: &HeaderName,
        last: impl Fn(&[u8]) -> (&[u8], &[u8]),
        read: impl Fn(&[u8], &mut Way) -> Option<IpAddr>,
    ) -> Way {
        let mut way = Way::of(peer);
        for line in headers.get_all(name).iter().rev() {
            let mut line = line.as_bytes();
            while !line.is_empty() {
                let is_trusted = way.hops.last().is_some_and(|last| self.networks.contains(*last));
                if !is_trusted || way.hops.len() > self.hops.get() {
                    return way;
                }
                let (rest, element) = last(line);
                line = rest;
                // Lists may have empty elements (RFC 9110, section 5.6.1).
                if element.is_empty() {
                    continue;
                }
                match read(element, &mut way) {
                    Some(address) => way.hops.push(address),
                    None => {
                        way.is_readable = false;
                        return way;
                    }
                }
            }
        }
        way
    }
}

impl Way {
    fn of(peer: IpAddr) -> Self {
        Self { hops: SmallVec::from_slice(&[peer]), is_readable: true, proto: None, host: None }
    }

    fn tell(&self, peer: IpAddr, extensions: &mut Extensions) {
        extensions.insert(ClientAddress(self.hops.last().copied().unwrap_or(peer)));
        if !self.is_readable {
            extensions.insert(Unreadable);
        }
    }

    /// The client first, as `X-Forwarded-For` has it.
    fn as_list(&self) -> HeaderValue {
        let mut list = String::new();
        for hop in self.hops.iter().rev() {
            let comma = if list.is_empty() { "" } else { ", " };
            // Writing to a string does not fail.
            let _ = write!(list, "{comma}{hop}");
        }
        ascii(&list)
    }

    fn as_forwarded(&self, proto: &str, host: Option<&HeaderValue>) -> HeaderValue {
        let mut list = String::new();
        for hop in self.hops.iter().rev() {
            if list.is_empty() {
                let host = host.and_then(|host| host.to_str().ok());
                let host = host.map_or(Cow::Borrowed(""), |host| format!("host=\"{host}\";").into());
                let _ = write!(list, "for={};{host}proto={proto}", write_node(*hop));
            } else {
                let _ = write!(list, ", for={}", write_node(*hop));
            }
        }
        ascii(&list)
    }
}

/// The value of what holds visible ASCII alone.
fn ascii(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// The value of a header that is there once.
fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

fn scheme(bytes: &[u8]) -> Option<&'static str> {
    ["https", "http"].into_iter().find(|known| bytes.eq_ignore_ascii_case(known.as_bytes()))
}

/// Whether a value is a host, with or without a port, and nothing that looks different to the next that reads it.
fn is_host(value: &HeaderValue) -> bool {
    let bytes = value.as_bytes();
    !bytes.is_empty()
        && !bytes.iter().any(|byte| matches!(byte, b'@' | b',' | b'"' | b'\\'))
        && Authority::try_from(bytes).is_ok()
}

/// The host that the request itself is for.
fn host<B>(request: &Request<B>) -> Option<HeaderValue> {
    let host = match request.uri().authority() {
        Some(authority) => HeaderValue::from_str(authority.as_str()).ok(),
        None => only(request.headers(), &header::HOST).cloned(),
    };
    host.filter(is_host)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::address::parse_network;

    fn trusting(hops: usize, header: ProxyHeader) -> Forwarding {
        let networks = ["10.0.0.0/8", "2001:db8::/32"].map(|text| parse_network(text).unwrap());
        let networks = networks.into_iter().collect();
        let trusted = TrustedProxies { networks, hops: NonZeroUsize::new(hops).unwrap(), header };
        Forwarding { trusted: Some(trusted), forward: Forward::XForwarded }
    }

    fn stamped(forwarding: &Forwarding, peer: &str, headers: &[(&str, &str)]) -> Request<()> {
        let mut request = Request::builder().uri("/").header("host", "own.example");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(()).unwrap();
        Peer::new(format!("{peer}:1").parse().unwrap(), false, forwarding).stamp(&mut request);
        request
    }

    /// The client's address, with a mark where something was not readable.
    fn client(request: &Request<()>) -> String {
        let address = request.extensions().get::<ClientAddress>().unwrap().0;
        let mark = if request.extensions().get::<Unreadable>().is_some() { "?" } else { "" };
        format!("{address}{mark}")
    }

    #[test]
    fn whom_x_forwarded_for_names() {
        let cases: &[(usize, &str, &[&str], &str, &str)] = &[
            (1, "192.0.2.1", &[], "192.0.2.1", "192.0.2.1"),
            (1, "192.0.2.1", &["10.0.0.1"], "192.0.2.1", "192.0.2.1"),
            (1, "10.0.0.1", &[], "10.0.0.1", "10.0.0.1"),
            (1, "10.0.0.1", &[""], "10.0.0.1", "10.0.0.1"),
            (1, "10.0.0.1", &["198.51.100.7"], "198.51.100.7", "198.51.100.7, 10.0.0.1"),
            (1, "[::ffff:10.0.0.1]", &["198.51.100.7"], "198.51.100.7", "198.51.100.7, 10.0.0.1"),
            (1, "[2001:db8::9]", &["[2001:db9::1]:80"], "2001:db9::1", "2001:db9::1, 2001:db8::9"),
            (1, "10.0.0.1", &["6.6.6.6, 198.51.100.7"], "198.51.100.7", "198.51.100.7, 10.0.0.1"),
            (1, "10.0.0.1", &["6.6.6.6", "198.51.100.7"], "198.51.100.7", "198.51.100.7, 10.0.0.1"),
            (1, "10.0.0.1", &["garbage, 198.51.100.7,"], "198.51.100.7", "198.51.100.7, 10.0.0.1"),
            // One hop is one, whoever it names.
            (1, "10.0.0.1", &["6.6.6.6, 10.0.0.2"], "10.0.0.2", "10.0.0.2, 10.0.0.1"),
            (
                2,
                "10.0.0.1",
                &["6.6.6.6, 198.51.100.7, 10.0.0.2"],
                "198.51.100.7",
                "198.51.100.7, 10.0.0.2, 10.0.0.1",
            ),
            (
                9,
                "10.0.0.1",
                &["6.6.6.6, 198.51.100.7, 10.0.0.2"],
                "198.51.100.7",
                "198.51.100.7, 10.0.0.2, 10.0.0.1",
            ),
            (9, "10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3", "10.0.0.3, 10.0.0.2, 10.0.0.1"),
            (1, "10.0.0.1", &["198.51.100.7, unknown"], "10.0.0.1?", "10.0.0.1"),
            (1, "10.0.0.1", &["198.51.100.7, 1.2.3"], "10.0.0.1?", "10.0.0.1"),
            (2, "10.0.0.1", &["198.51.100.7 10.0.0.3, 10.0.0.2"], "10.0.0.2?", "10.0.0.2, 10.0.0.1"),
            (1, "10.0.0.1", &["198.51.100.7;10.0.0.2"], "10.0.0.1?", "10.0.0.1"),
        ];
        for (hops, peer, lines, want, written) in cases {
            let headers: Vec<_> = lines.iter().map(|line| ("x-forwarded-for", *line)).collect();
            let headers = [&headers[..], &[("forwarded", "for=9.9.9.9")]].concat();
            let request = stamped(&trusting(*hops, ProxyHeader::XForwardedFor), peer, &headers);
            assert_eq!(client(&request), *want, "{peer} {lines:?}");
            let values: Vec<_> = request.headers().get_all("x-forwarded-for").iter().collect();
            assert_eq!(values, [written], "{peer} {lines:?}");
            assert!(!request.headers().contains_key("forwarded"));
        }
    }

    #[test]
    fn whom_forwarded_names() {
        let cases: &[(&str, &[&str], &str)] = &[
            ("192.0.2.1", &["for=198.51.100.7"], "192.0.2.1"),
            ("10.0.0.1", &["for=198.51.100.7"], "198.51.100.7"),
            ("10.0.0.1", &["for=6.6.6.6, for=198.51.100.7;proto=https"], "198.51.100.7"),
            ("10.0.0.1", &["for=\", for=198.51.100.7"], "198.51.100.7"),
            ("10.0.0.1", &["for=6.6.6.6", "for=\"[2001:db9::1]:1\""], "2001:db9::1"),
            ("10.0.0.1", &["for=unknown"], "10.0.0.1?"),
            ("10.0.0.1", &["for=_hidden"], "10.0.0.1?"),
            ("10.0.0.1", &["by=10.0.0.2"], "10.0.0.1?"),
            ("10.0.0.1", &["for=198.51.100.7, for=\"10.0.0.2"], "10.0.0.1?"),
        ];
        for (peer, lines, want) in cases {
            let headers: Vec<_> = lines.iter().map(|line| ("forwarded", *line)).collect();
            let headers = [&headers[..], &[("x-forwarded-for", "9.9.9.9")]].concat();
            let request = stamped(&trusting(1, ProxyHeader::Forwarded), peer, &headers);
            assert_eq!(client(&request), *want, "{peer} {lines:?}");
        }
    }

    #[test]
    fn what_backends_are_told() {
        let forged = [
            ("x-forwarded-for", "6.6.6.6"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "evil.example"),
            ("x-forwarded-port", "1"),
            ("x-real-ip", "6.6.6.6"),
            ("forwarded", "for=6.6.6.6"),
            ("grpc-metadata-x-forwarded-for", "6.6.6.6"),
            ("grpc-metadata-forwarded", "for=6.6.6.6"),
        ];
        let told = |forwarding: &Forwarding, peer: &str, headers: &[(&str, &str)]| {
            let request = stamped(forwarding, peer, headers);
            let mut told: Vec<_> = request
                .headers()
                .iter()
                .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
                .filter(|line| !line.starts_with("host:"))
                .collect();
            told.sort();
            told
        };
        let mut forwarding = Forwarding::default();
        let x = ["x-forwarded-for: 192.0.2.1", "x-forwarded-host: own.example", "x-forwarded-proto: http"];
        let rfc = "forwarded: for=192.0.2.1;host=\"own.example\";proto=http";
        assert_eq!(told(&forwarding, "192.0.2.1", &forged), x);
        forwarding.forward = Forward::Forwarded;
        assert_eq!(told(&forwarding, "192.0.2.1", &forged), [rfc]);
        forwarding.forward = Forward::Both;
        assert_eq!(told(&forwarding, "192.0.2.1", &forged), [&[rfc], &x[..]].concat());
        forwarding.forward = Forward::Off;
        assert_eq!(told(&forwarding, "192.0.2.1", &forged), [""; 0]);

        let mut forwarding = trusting(1, ProxyHeader::XForwardedFor);
        let believed = [
            "x-forwarded-for: 6.6.6.6, 10.0.0.1",
            "x-forwarded-host: evil.example",
            "x-forwarded-port: 1",
            "x-forwarded-proto: https",
            "x-real-ip: 6.6.6.6",
        ];
        assert_eq!(told(&forwarding, "10.0.0.1", &forged), believed);
        let odd = [("x-forwarded-proto", "https, http"), ("x-forwarded-host", "a@b")];
        let own = ["x-forwarded-for: 10.0.0.1", "x-forwarded-host: own.example", "x-forwarded-proto: http"];
        assert_eq!(told(&forwarding, "10.0.0.1", &odd), own);
        forwarding.forward = Forward::Off;
        assert_eq!(told(&forwarding, "10.0.0.1", &forged), [""; 0]);

        let mut forwarding = trusting(2, ProxyHeader::Forwarded);
        forwarding.forward = Forward::Forwarded;
        let way = [("forwarded", "for=6.6.6.6;proto=https;host=a.example, for=\"[2001:db8::2]\";proto=http")];
        let written =
            "forwarded: for=6.6.6.6;host=\"a.example\";proto=https, for=\"[2001:db8::2]\", for=10.0.0.1";
        assert_eq!(told(&forwarding, "10.0.0.1", &way), [written]);
    }
}
