//! The parts of a configuration that name networks: trusted proxies, and what backends are told of clients.

use std::num::NonZeroUsize;

use ipnet::IpNet;

use super::reader::{Map, Value};
use super::values::{self, Wrong};
use crate::policy::address::{BadNetwork, Forward, Forwarding, ProxyHeader, TrustedProxies, parse_network};

/// More proxies than any request passes.
const MAX_HOPS: usize = 32;

/// `trusted_proxies` and `forward` of a listener.
pub(super) fn forwarding(map: &mut Map<'_>) -> Forwarding {
    let mut forward = Forward::default();
    let trusted = map.get("trusted_proxies").and_then(|value| value.map(trusted).flatten());
    map.set("forward", &mut forward, |text| {
        let table = [
            ("x_forwarded", Forward::XForwarded),
            ("forwarded", Forward::Forwarded),
            ("both", Forward::Both),
            ("off", Forward::Off),
        ];
        values::choice(text, &table)
    });
    Forwarding { trusted, forward }
}

fn trusted(map: &mut Map<'_>) -> Option<TrustedProxies> {
    let help = "list the networks that your proxies are in, as in `addresses: [10.0.0.0/8]`";
    let listed = map.required("addresses", help).map(|value| networks(&value));
    let mut hops = NonZeroUsize::MIN;
    map.set("hops", &mut hops, |text| values::positive(text, MAX_HOPS));
    let mut header = ProxyHeader::default();
    map.set("header", &mut header, |text| {
        let table = [("x-forwarded-for", ProxyHeader::XForwardedFor), ("forwarded", ProxyHeader::Forwarded)];
        values::choice(text, &table)
    });
    Some(TrustedProxies { networks: listed?.into_iter().collect(), hops, header })
}

/// A list of networks that isn't empty.
pub(super) fn networks(value: &Value<'_>) -> Vec<IpNet> {
    value.items().iter().filter_map(|item| item.parse(network)).collect()
}

/// A network, or a single address.
///
/// # Errors
/// It is neither.
pub(super) fn network(text: &str) -> Result<IpNet, Wrong> {
    parse_network(text).map_err(|bad| match bad {
        BadNetwork::Syntax => Wrong::new(format!("`{text}` is no network and no address"))
            .help("write an address and the length of its prefix, as in `10.0.0.0/8` or `2001:db8::/32`"),
        BadNetwork::HostBits(meant) => Wrong::new(format!("`{text}` has bits beyond its prefix"))
            .help(format!("did you mean `{meant}`?")),
    })
}
