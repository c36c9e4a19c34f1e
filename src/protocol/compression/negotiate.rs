//! What a client takes, and what it gets.

use http::header::{self, HeaderMap, HeaderName};

use super::coding::{Coding, Named};
use crate::protocol::weight::weight;

/// What `Accept-Encoding` asks for, of the codings that the gateway offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Data as it is.
    Identity,
    /// This coding, where it is worth it.
    Coded(Coding),
    /// This coding, even where it isn't: the client refuses data as it is.
    OnlyCoded(Coding),
}

/// The coding that a client likes best (RFC 9110, section 12.5.3), and among those that it likes as much the one that
/// stands first in `ours`. A client that refuses everything that there is gets data as it is, as that section advises.
#[must_use]
pub fn wanted(headers: &HeaderMap, ours: &[Coding]) -> Wanted {
    let mut told = Told::default();
    for item in items(headers, &header::ACCEPT_ENCODING) {
        let (name, parameters) = item.split_once(';').unwrap_or((item, ""));
        told.set(name.trim(), weight(parameters));
    }
    let best = ours
        .iter()
        .map(|coding| (*coding, told.coding(*coding).or(told.any).unwrap_or(0)))
        // The first of the largest.
        .reduce(|best, other| if other.1 > best.1 { other } else { best });
    let Some((coding, quality)) = best.filter(|(_, quality)| *quality > 0) else { return Wanted::Identity };
    match told.identity {
        Some(identity) if identity > quality => Wanted::Identity,
        Some(0) => Wanted::OnlyCoded(coding),
        Some(_) => Wanted::Coded(coding),
        None if told.any == Some(0) => Wanted::OnlyCoded(coding),
        None => Wanted::Coded(coding),
    }
}

/// The first coding in a list without weights that is one of `ours`: `grpc-accept-encoding`, `connect-accept-encoding` and
/// Connect's use of `accept-encoding`.
#[must_use]
pub fn first_listed(headers: &HeaderMap, name: &HeaderName, ours: &[Coding]) -> Option<Coding> {
    items(headers, name).find_map(|item| {
        let name = item.split_once(';').map_or(item, |(name, _)| name);
        match Named::of(name.trim()) {
            Named::Coded(coding) => ours.contains(&coding).then_some(coding),
            Named::Identity | Named::Unknown => None,
        }
    })
}

/// The items of a comma-separated list, over all headers of the name. Empty ones mean nothing (RFC 9110, section 5.6.1).
pub(super) fn items<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h str> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim).filter(|item| !item.is_empty())
}

/// Weights in thousandths, as far as the client told them.
#[derive(Default)]
struct Told {
    codings: [Option<u16>; Coding::ALL.len()],
    identity: Option<u16>,
    /// `*`: everything that isn't named.
    any: Option<u16>,
}

impl Told {
    fn set(&mut self, name: &str, quality: u16) {
        let slot = match Named::of(name) {
            Named::Identity => &mut self.identity,
            Named::Coded(coding) => &mut self.codings[coding.index()],
            Named::Unknown if name == "*" => &mut self.any,
            Named::Unknown => return,
        };
        *slot = Some(quality);
    }

    fn coding(&self, coding: Coding) -> Option<u16> {
        self.codings[coding.index()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: [Coding; 3] = [Coding::Zstd, Coding::Br, Coding::Gzip];

    fn map(name: HeaderName, values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(name.clone(), value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn what_accept_encoding_gets() {
        use Coding::{Br, Gzip, Zstd};
        use Wanted::{Coded, Identity, OnlyCoded};
        let cases: &[(&[&str], Wanted)] = &[
            (&[], Identity),
            (&[""], Identity),
            (&[" , "], Identity),
            (&["gzip"], Coded(Gzip)),
            (&["GZip"], Coded(Gzip)),
            (&["x-gzip"], Coded(Gzip)),
            (&["br"], Coded(Br)),
            (&["zstd"], Coded(Zstd)),
            // Browsers: all are liked as much, so ours decides.
            (&["gzip, deflate, br, zstd"], Coded(Zstd)),
            (&["gzip, deflate, br"], Coded(Br)),
            (&["gzip", "br"], Coded(Br)),
            (&["gzip;q=1.0, br;q=0.5"], Coded(Gzip)),
            (&["gzip;q=0.501,br;q=0.5"], Coded(Gzip)),
            (&["gzip ; q=0.3 , br ; Q=0.2"], Coded(Gzip)),
            (&["gzip;q=0"], Identity),
            (&["gzip;q=0.000, br"], Coded(Br)),
            (&["deflate, compress"], Identity),
            // Everything is fine, or everything else.
            (&["*"], Coded(Zstd)),
            (&["zstd;q=0, *"], Coded(Br)),
            (&["gzip, *;q=0.5"], Coded(Gzip)),
            (&["*;q=0"], Identity),
            (&["gzip, *;q=0"], OnlyCoded(Gzip)),
            (&["identity, gzip, *;q=0"], Coded(Gzip)),
            // Data as it is, preferred or refused.
            (&["identity"], Identity),
            (&["identity, gzip;q=0.5"], Identity),
            (&["identity;q=0.5, gzip"], Coded(Gzip)),
            (&["identity, gzip"], Coded(Gzip)),
            (&["identity;q=0, gzip"], OnlyCoded(Gzip)),
            (&["identity;q=0, *"], OnlyCoded(Zstd)),
            (&["identity;q=0"], Identity),
            (&["identity;q=0, deflate"], Identity),
            // No weights: not wished for.
            (&["gzip;q=2"], Identity),
            (&["gzip;q=x, br"], Coded(Br)),
            (&["gzip;level=9"], Coded(Gzip)),
        ];
        for (values, want) in cases {
            let got = wanted(&map(header::ACCEPT_ENCODING, values), &OURS);
            assert_eq!(got, *want, "{values:?}");
        }
    }

    #[test]
    fn only_what_is_offered_is_given() {
        let headers = map(header::ACCEPT_ENCODING, &["gzip, br, zstd"]);
        assert_eq!(wanted(&headers, &[Coding::Gzip]), Wanted::Coded(Coding::Gzip));
        assert_eq!(wanted(&headers, &[Coding::Gzip, Coding::Zstd]), Wanted::Coded(Coding::Gzip));
        assert_eq!(wanted(&headers, &[]), Wanted::Identity);
    }

    #[test]
    fn values_that_are_no_text_are_passed_over() {
        let mut headers = map(header::ACCEPT_ENCODING, &["gzip"]);
        let value = http::HeaderValue::from_bytes(b"br\xff").unwrap();
        headers.append(header::ACCEPT_ENCODING, value);
        assert_eq!(wanted(&headers, &OURS), Wanted::Coded(Coding::Gzip));
    }

    #[test]
    fn lists_without_weights_go_by_their_order() {
        let name = HeaderName::from_static("grpc-accept-encoding");
        let cases: &[(&[&str], Option<Coding>)] = &[
            (&[], None),
            (&["identity"], None),
            (&["identity,deflate,gzip"], Some(Coding::Gzip)),
            (&["br, gzip"], Some(Coding::Br)),
            (&["snappy", "zstd"], Some(Coding::Zstd)),
        ];
        for (values, want) in cases {
            assert_eq!(first_listed(&map(name.clone(), values), &name, &OURS), *want, "{values:?}");
        }
        let headers = map(name.clone(), &["br, gzip"]);
        assert_eq!(first_listed(&headers, &name, &[Coding::Gzip]), Some(Coding::Gzip));
    }
}
