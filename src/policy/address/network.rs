//! Networks in CIDR notation, and sets of them that are asked quickly however many there are.

use std::fmt;
use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};

/// IPv4 addresses as IPv6 has them are below this prefix (RFC 4291, section 2.5.5.2).
const MAPPED_PREFIX: u8 = 96;

/// Why a text names no network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BadNetwork {
    /// It is neither an address nor a network.
    Syntax,
    /// Bits beyond the prefix are set; the network that was probably meant.
    HostBits(IpNet),
}

impl fmt::Display for BadNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax => f.write_str("it is no address and no network, as in `10.0.0.0/8`"),
            Self::HostBits(meant) => write!(f, "it has bits beyond its prefix; the network is `{meant}`"),
        }
    }
}

/// Reads a network (`10.0.0.0/8`, `2001:db8::/32`), or a single address. Mapped IPv4 networks become IPv4.
///
/// # Errors
/// It is no network.
pub fn parse_network(text: &str) -> Result<IpNet, BadNetwork> {
    let network: IpNet = match text.parse::<IpAddr>() {
        Ok(address) => address.into(),
        Err(_) => text.parse().map_err(|_| BadNetwork::Syntax)?,
    };
    if network.trunc() != network {
        return Err(BadNetwork::HostBits(network.trunc()));
    }
    if let IpNet::V6(v6) = network
        && let Some(address) = v6.network().to_ipv4_mapped()
        && let Some(prefix) = v6.prefix_len().checked_sub(MAPPED_PREFIX)
        && let Ok(v4) = Ipv4Net::new(address, prefix)
    {
        return Ok(v4.into());
    }
    Ok(network)
}

/// A set of networks: ranges that are sorted and apart from each other, so that a look takes as many steps as their
/// number has bits.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Networks {
    v4: Box<[(u32, u32)]>,
    v6: Box<[(u128, u128)]>,
}

impl Networks {
    /// Whether an address is in one of the networks. A mapped IPv4 address counts as the IPv4 address.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match address.to_canonical() {
            IpAddr::V4(address) => is_in(&self.v4, address.to_bits()),
            IpAddr::V6(address) => is_in(&self.v6, address.to_bits()),
        }
    }

    /// How many ranges there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.v4.len() + self.v6.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The number of ranges alone: there may be very many.
impl fmt::Debug for Networks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Networks").field("ranges", &self.len()).finish_non_exhaustive()
    }
}

impl FromIterator<IpNet> for Networks {
    fn from_iter<I: IntoIterator<Item = IpNet>>(networks: I) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for network in networks {
            match network {
                IpNet::V4(net) => v4.push((net.network().to_bits(), net.broadcast().to_bits())),
                IpNet::V6(net) => v6.push((net.network().to_bits(), net.broadcast().to_bits())),
            }
        }
        Self { v4: merged(v4, |last| last.checked_add(1)), v6: merged(v6, |last| last.checked_add(1)) }
    }
}

/// Sorted, and what overlaps or adjoins made one.
fn merged<T: Ord + Copy>(mut ranges: Vec<(T, T)>, after: impl Fn(T) -> Option<T>) -> Box<[(T, T)]> {
    ranges.sort_unstable();
    let mut apart: Vec<(T, T)> = Vec::with_capacity(ranges.len());
    for (first, last) in ranges {
        match apart.last_mut() {
            Some(before) if after(before.1).is_none_or(|next| first <= next) => before.1 = before.1.max(last),
            Some(_) | None => apart.push((first, last)),
        }
    }
    apart.into()
}

fn is_in<T: Ord + Copy>(ranges: &[(T, T)], address: T) -> bool {
    let after = ranges.partition_point(|(first, _)| *first <= address);
    after.checked_sub(1).and_then(|at| ranges.get(at)).is_some_and(|(_, last)| address <= *last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(networks: &[&str]) -> Networks {
        networks.iter().map(|text| parse_network(text).unwrap()).collect()
    }

    #[test]
    fn networks_are_read() {
        for (text, want) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("10.1.2.3", "10.1.2.3/32"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("2001:db8::/32", "2001:db8::/32"),
            ("::1", "::1/128"),
            ("::/0", "::/0"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("::ffff:10.1.2.3", "10.1.2.3/32"),
            ("::ffff:0:0/96", "0.0.0.0/0"),
        ] {
            assert_eq!(parse_network(text).unwrap().to_string(), want, "{text}");
        }
        for text in [
            "",
            "10",
            "10.0.0",
            "10.0.0.0/33",
            "10.0.0.0/",
            "/8",
            "10.0.0.0/-1",
            "a/8",
            "fe80::1%1",
            "010.0.0.1",
        ] {
            assert_eq!(parse_network(text), Err(BadNetwork::Syntax), "{text}");
        }
        let meant = BadNetwork::HostBits("10.0.0.0/8".parse().unwrap());
        assert_eq!(parse_network("10.1.2.3/8"), Err(meant));
    }

    #[test]
    fn what_is_in_a_set() {
        let all = set(&[
            "10.0.0.0/8",
            "10.1.0.0/16",
            "11.0.0.0/8",
            "192.0.2.7",
            "255.255.255.255",
            "2001:db8::/32",
        ]);
        assert_eq!(all.len(), 4, "what overlaps or adjoins is one");
        for (address, want) in [
            ("9.255.255.255", false),
            ("10.0.0.0", true),
            ("10.200.0.1", true),
            ("11.255.255.255", true),
            ("12.0.0.0", false),
            ("192.0.2.6", false),
            ("192.0.2.7", true),
            ("192.0.2.8", false),
            ("255.255.255.255", true),
            ("0.0.0.0", false),
            ("::ffff:10.0.0.1", true),
            ("::ffff:12.0.0.1", false),
            ("2001:db8::1", true),
            ("2001:db9::1", false),
            ("::", false),
        ] {
            assert_eq!(all.contains(address.parse().unwrap()), want, "{address}");
        }
        assert!(!Networks::default().contains("10.0.0.1".parse().unwrap()));
    }

    #[test]
    fn the_whole_of_a_family_is_that_family_alone() {
        let (four, six) = (set(&["0.0.0.0/0", "255.0.0.0/8"]), set(&["::/0"]));
        let [v4, v6, mapped] =
            ["203.0.113.9", "2001:db8::1", "::ffff:203.0.113.9"].map(|a| a.parse().unwrap());
        assert_eq!([v4, v6, mapped].map(|address| four.contains(address)), [true, false, true]);
        assert_eq!([v4, v6, mapped].map(|address| six.contains(address)), [false, true, false]);
    }
}
