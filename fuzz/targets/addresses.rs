//! What load balancers and proxies say of whom a connection or a request is from.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;

use http::{HeaderValue, Request};
use transom::policy::ClientAddress;
use transom::policy::address::{
    BadHeader, Forward, Forwarding, HeaderReader, Peer, ProxiedFor, ProxyHeader, TrustedProxies, Unreadable,
    parse_network,
};

use super::{choice, pieces};

pub(super) fn addresses(data: &[u8]) {
    match choice(data) {
        (seed, rest) if seed % 3 == 0 => proxied(rest, seed / 3),
        (seed, rest) if seed % 3 == 1 => forwarded(rest, ProxyHeader::XForwardedFor, seed / 3),
        (seed, rest) => forwarded(rest, ProxyHeader::Forwarded, seed / 3),
    }
}

/// How many bytes a header has, and what it says.
fn read<'d>(pieces: impl IntoIterator<Item = &'d [u8]>) -> Result<(usize, Option<ProxiedFor>), BadHeader> {
    let mut reader = HeaderReader::default();
    let mut total = 0;
    for piece in pieces {
        let (taken, found) = reader.take(piece)?;
        total += taken;
        if found.is_some() {
            return Ok((total, found));
        }
        assert_eq!(taken, piece.len(), "a header that goes on takes all");
    }
    Ok((total, None))
}

fn proxied(data: &[u8], seed: usize) {
    let whole = read([data]);
    assert_eq!(whole, read(pieces(data, seed)));
    assert_eq!(whole, read(data.chunks(1)));
}

fn stamped(
    peer: SocketAddr,
    forwarding: &Forwarding,
    name: &'static str,
    value: &HeaderValue,
) -> Request<()> {
    let mut request = Request::new(());
    request.headers_mut().insert(name, value.clone());
    Peer::new(peer, false, forwarding).stamp(&mut request);
    request
}

fn client(request: &Request<()>) -> IpAddr {
    request.extensions().get::<ClientAddress>().expect("every request has one").0
}

fn forwarded(data: &[u8], header: ProxyHeader, seed: usize) {
    let Ok(value) = HeaderValue::from_bytes(data) else { return };
    let (name, forward) = match header {
        ProxyHeader::XForwardedFor => ("x-forwarded-for", Forward::XForwarded),
        ProxyHeader::Forwarded => ("forwarded", Forward::Forwarded),
    };
    let hops = NonZeroUsize::new(1 + seed % 4).expect("more than none");
    let networks = [parse_network("10.0.0.0/8").expect("a network")].into_iter().collect();
    let forwarding = Forwarding { trusted: Some(TrustedProxies { networks, hops, header }), forward };
    let [stranger, proxy] = [[192, 0, 2, 1], [10, 0, 0, 1]].map(|address| SocketAddr::from((address, 1)));

    let from_stranger = stamped(stranger, &forwarding, name, &value);
    assert_eq!(client(&from_stranger), stranger.ip());
    assert!(from_stranger.extensions().get::<Unreadable>().is_none());

    let request = stamped(proxy, &forwarding, name, &value);
    let written = request.headers().get(name).expect("it is written").clone();
    // The list has all that was believed and the proxy itself, so the next one believes one hop more.
    let again = match forwarding.trusted {
        Some(trusted) => {
            let hops = hops.saturating_add(1);
            Forwarding { trusted: Some(TrustedProxies { hops, ..trusted }), forward }
        }
        None => forwarding,
    };
    let next = stamped(SocketAddr::from(([10, 0, 0, 2], 1)), &again, name, &written);
    assert_eq!(client(&next), client(&request), "{written:?}");
    assert!(next.extensions().get::<Unreadable>().is_none());
}
