//! The parts of a configuration that name networks: trusted proxies, and lists of who may come in.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use ipnet::IpNet;

use super::reader::{Map, Value};
use super::values::{self, Wrong};
use crate::policy::address::{
    AddressLists, BadNetwork, Forward, Forwarding, Networks, ProxyHeader, Sources, TrustedProxies,
    parse_network,
};

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

/// `proxy_protocol` of a listener. `None` is only returned beside a reported error.
pub(super) fn proxy_protocol(value: &Value<'_>) -> Option<Networks> {
    let help = "list the networks that your load balancers are in, as in `from: [10.0.0.0/8]`";
    let from = value.map(|map| map.required("from", help).map(|value| networks(&value)));
    Some(from??.into_iter().collect())
}

/// `addresses` of a rule: lists, or `any` for everybody that the listener lets in.
pub(super) fn of_rule(value: &Value<'_>) -> Option<Option<Arc<AddressLists>>> {
    if value.is_map() {
        return lists(value).map(|lists| Some(Arc::new(lists)));
    }
    value.parse(|text| values::choice(text, &[("any", ())])).map(|()| None)
}

/// `addresses`: who is allowed and who is denied. `None` is only returned beside a reported error.
pub(super) fn lists(value: &Value<'_>) -> Option<AddressLists> {
    let (allow, deny) = value.map(|map| {
        let folder = map.path("");
        let (allow, deny) = (map.get("allow"), map.get("deny"));
        if allow.is_none() && deny.is_none() {
            map.missing("allow", "list who is let in under `allow`, or who is not under `deny`");
        }
        (allow.map(|value| sources(&value, &folder)), deny.map(|value| sources(&value, &folder)))
    })?;
    let read = AddressLists::new(value.path(), allow, deny.unwrap_or_default());
    read.map_err(|unusable| value.wrong(&unusable.what, "put one network or address on each line")).ok()
}

/// A list of networks, and of files with more of them (`{ file: blocked.txt }`).
fn sources(value: &Value<'_>, folder: &Path) -> Sources {
    let mut sources = Sources::default();
    for item in value.items() {
        if item.is_map() {
            let help = "name the file, as in `{ file: blocked.txt }`";
            let file = item.map(|map| map.required("file", help).and_then(|file| file.parse(values::text)));
            sources.files.extend(file.flatten().map(|file| folder.join(file)));
        } else {
            sources.networks.extend(item.parse(network));
        }
    }
    sources
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
