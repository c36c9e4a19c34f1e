//! The PROXY protocol, versions 1 and 2: what a load balancer writes before the first byte of a connection, to tell whose it
//! is. (<https://www.haproxy.org/download/1.8/doc/proxy-protocol.txt>)
//!
//! Here it is found out where the header ends, however its bytes come in; `ppp` reads what is in it.

use std::net::SocketAddr;

use ppp::{v1, v2};

/// The longest line of version 1, with its end.
const LONGEST_LINE: usize = 107;
/// Signature, version, family and length of version 2.
const FIXED: usize = 16;
/// The longest header of version 2 that is read. Load balancers add some hundred bytes to the addresses.
const LONGEST: usize = 4096;

/// Whose a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxiedFor {
    /// The client at this address.
    Client(SocketAddr),
    /// The load balancer's own, as for a health check, or one that it knows nothing about.
    Peer,
}

/// Why a header is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadHeader {
    /// The connection begins with something else.
    Missing,
    Malformed,
    TooLong,
    /// It is about a socket of another kind than TCP.
    NotTcp,
}

impl BadHeader {
    /// As metrics and logs have it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Malformed => "malformed",
            Self::TooLong => "too_long",
            Self::NotTcp => "not_tcp",
        }
    }
}

/// A header that is not all there yet.
#[derive(Debug, Default)]
pub struct HeaderReader {
    bytes: Vec<u8>,
}

impl HeaderReader {
    /// Whether nothing of it is there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Takes what belongs to the header of the bytes that came: gives their number, which is at least one where any came,
    /// and what the header says once it is whole.
    ///
    /// # Errors
    /// It is no header.
    pub fn take(&mut self, came: &[u8]) -> Result<(usize, Option<ProxiedFor>), BadHeader> {
        let mut taken = 0;
        loop {
            let rest = came.get(taken..).unwrap_or_default();
            let count = self.count_of(rest)?;
            self.bytes.extend(rest.iter().take(count));
            taken += count;
            self.check_start()?;
            if self.is_whole()? {
                return self.read().map(|found| (taken, Some(found)));
            }
            if taken == came.len() {
                return Ok((taken, None));
            }
        }
    }

    /// How many of the next bytes surely belong to the header.
    fn count_of(&self, rest: &[u8]) -> Result<usize, BadHeader> {
        if is_line(&self.bytes) || (self.bytes.is_empty() && is_line(rest)) {
            let end = memchr::memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
            return Ok(end.min(LONGEST_LINE - self.bytes.len()));
        }
        Ok(rest.len().min(self.end()?.saturating_sub(self.bytes.len())))
    }

    /// How far a header of version 2 surely goes.
    fn end(&self) -> Result<usize, BadHeader> {
        let Some(&[high, low]) = self.bytes.get(FIXED - 2..FIXED) else { return Ok(FIXED) };
        let end = FIXED + usize::from(u16::from_be_bytes([high, low]));
        if end > LONGEST { Err(BadHeader::TooLong) } else { Ok(end) }
    }

    fn is_whole(&self) -> Result<bool, BadHeader> {
        if !is_line(&self.bytes) {
            return Ok(self.bytes.len() >= FIXED && self.bytes.len() == self.end()?);
        }
        match self.bytes.last() {
            Some(b'\n') => Ok(true),
            Some(_) | None if self.bytes.len() == LONGEST_LINE => Err(BadHeader::TooLong),
            Some(_) | None => Ok(false),
        }
    }

    /// Whatever is no header is told by its first bytes.
    fn check_start(&self) -> Result<(), BadHeader> {
        let starts = |known: &[u8]| {
            let length = known.len().min(self.bytes.len());
            known.get(..length) == self.bytes.get(..length)
        };
        if starts(b"PROXY ") || starts(v2::PROTOCOL_PREFIX) { Ok(()) } else { Err(BadHeader::Missing) }
    }

    fn read(&self) -> Result<ProxiedFor, BadHeader> {
        let bytes = self.bytes.as_slice();
        if is_line(bytes) {
            let header = v1::Header::try_from(bytes).map_err(|_| BadHeader::Malformed)?;
            if header.header.len() != bytes.len() {
                return Err(BadHeader::Malformed);
            }
            return Ok(match header.addresses {
                v1::Addresses::Unknown => ProxiedFor::Peer,
                v1::Addresses::Tcp4(of) => ProxiedFor::Client((of.source_address, of.source_port).into()),
                v1::Addresses::Tcp6(of) => ProxiedFor::Client((of.source_address, of.source_port).into()),
            });
        }
        let header = v2::Header::try_from(bytes).map_err(|_| BadHeader::Malformed)?;
        match (header.command, header.protocol, header.addresses) {
            (v2::Command::Local, _, _) | (v2::Command::Proxy, _, v2::Addresses::Unspecified) => {
                Ok(ProxiedFor::Peer)
            }
            (v2::Command::Proxy, v2::Protocol::Stream, v2::Addresses::IPv4(of)) => {
                Ok(ProxiedFor::Client((of.source_address, of.source_port).into()))
            }
            (v2::Command::Proxy, v2::Protocol::Stream, v2::Addresses::IPv6(of)) => {
                Ok(ProxiedFor::Client((of.source_address, of.source_port).into()))
            }
            (v2::Command::Proxy, v2::Protocol::Stream, v2::Addresses::Unix(_))
            | (v2::Command::Proxy, v2::Protocol::Datagram | v2::Protocol::Unspecified, _) => {
                Err(BadHeader::NotTcp)
            }
        }
    }
}

/// Whether it is of version 1.
fn is_line(bytes: &[u8]) -> bool {
    bytes.first() == Some(&b'P')
}

#[cfg(test)]
mod tests {
    use super::*;

    type Found = Result<Option<ProxiedFor>, BadHeader>;

    fn v2_header(command: u8, family: u8, payload: &[u8]) -> Vec<u8> {
        let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
        [v2::PROTOCOL_PREFIX, &[0x20 | command, family], &length, payload].concat()
    }

    /// What comes of a header and what follows it, cut at `cut`; with how many bytes were taken.
    fn read(bytes: &[u8], cut: usize) -> (usize, Found) {
        let mut reader = HeaderReader::default();
        let mut total = 0;
        let (before, after) = bytes.split_at(cut);
        for part in [before, after] {
            match reader.take(part) {
                Ok((taken, None)) => {
                    assert_eq!(taken, part.len(), "a header that goes on takes all");
                    total += taken;
                }
                Ok((taken, found)) => return (total + taken, Ok(found)),
                Err(bad) => return (total, Err(bad)),
            }
        }
        (total, Ok(None))
    }

    #[test]
    fn headers_wherever_they_are_cut() {
        let v4 = [198, 51, 100, 7, 10, 0, 0, 1, 0x12, 0x67, 1, 0xbb];
        let mut v6 = [0; 36];
        v6[..4].copy_from_slice(&[0x20, 1, 0xd, 0xb8]);
        v6[32..34].copy_from_slice(&[0x12, 0x67]);
        let with_tlv = [&v4[..], &[4, 0, 3, 0, 0, 0]].concat();
        let client = |text: &str| Ok(Some(ProxiedFor::Client(text.parse().unwrap())));
        let peer = Ok(Some(ProxiedFor::Peer));
        let four = || client("198.51.100.7:4711");
        let cases: Vec<(Vec<u8>, Found)> = vec![
            (b"PROXY TCP4 198.51.100.7 10.0.0.1 4711 443\r\n".to_vec(), four()),
            (b"PROXY TCP6 2001:db8:: ::1 4711 443\r\n".to_vec(), client("[2001:db8::]:4711")),
            (b"PROXY UNKNOWN\r\n".to_vec(), peer),
            (b"PROXY UNKNOWN ffff:: ::1 65535 443\r\n".to_vec(), peer),
            (v2_header(1, 0x11, &v4), four()),
            (v2_header(1, 0x11, &with_tlv), four()),
            (v2_header(1, 0x21, &v6), client("[2001:db8::]:4711")),
            (v2_header(0, 0, &[]), peer),
            (v2_header(0, 0x11, &v4), peer),
            (v2_header(1, 0, &[1, 2, 3]), peer),
            (b"PROXY TCP4 198.51.100.7 10.0.0.1 4711 443\n".to_vec(), Err(BadHeader::Malformed)),
            (b"PROXY TCP4 198.51.100.7 10.0.0.1 4711 443\r \n".to_vec(), Err(BadHeader::Malformed)),
            (b"PROXY TCP4 198.51.100.7 10.0.0.1 4711 65536\r\n".to_vec(), Err(BadHeader::Malformed)),
            (b"PROXY TCP4 2001:db8::7 ::1 4711 443\r\n".to_vec(), Err(BadHeader::Malformed)),
            (b"PROXY TCP5 198.51.100.7 10.0.0.1 4711 443\r\n".to_vec(), Err(BadHeader::Malformed)),
            (b"PROXY  TCP4 198.51.100.7 10.0.0.1 1 2\r\n".to_vec(), Err(BadHeader::Malformed)),
            (b"PROXY \xff\xfe\r\n".to_vec(), Err(BadHeader::Malformed)),
            (b"PROXY TCP4\r\n".to_vec(), Err(BadHeader::Malformed)),
            (v2_header(2, 0x11, &v4), Err(BadHeader::Malformed)),
            (v2_header(1, 0x11, &v4[..11]), Err(BadHeader::Malformed)),
            (v2_header(1, 0x41, &v4), Err(BadHeader::Malformed)),
            (v2_header(1, 0x12, &v4), Err(BadHeader::NotTcp)),
            (v2_header(1, 0x31, &[0; 216]), Err(BadHeader::NotTcp)),
        ];
        for (header, want) in cases {
            let all = [&header[..], b"GET / HTTP/1.1\r\n"].concat();
            for cut in 0..=all.len() {
                let (taken, found) = read(&all, cut);
                assert_eq!(found, want, "{} cut at {cut}", header.escape_ascii());
                if found.is_ok() {
                    assert_eq!(taken, header.len(), "{} cut at {cut}", header.escape_ascii());
                }
            }
            for end in 0..header.len() {
                let part = read(&header[..end], end / 2).1;
                assert!(matches!(part, Ok(None)) || part == want, "{}", header[..end].escape_ascii());
            }
        }
    }

    #[test]
    fn what_is_no_header_is_told_by_its_first_bytes() {
        for text in
            ["GET / HTTP/1.1\r\n", "POST /", "PRI * HTTP/2.0\r\n", "\x16\x03\x01", "\r\n\r\nx", "PROXX"]
        {
            let results: Vec<_> = (0..=text.len()).map(|cut| read(text.as_bytes(), cut).1).collect();
            assert!(results.iter().all(|result| *result == Err(BadHeader::Missing)), "{text:?} {results:?}");
        }
    }

    #[test]
    fn no_header_is_without_end() {
        let line = [&b"PROXY UNKNOWN "[..], &[b'a'; 200]].concat();
        for cut in 0..=line.len() {
            assert!(read(&line, cut).1.is_err(), "{cut}");
        }
        let long = v2_header(1, 0x11, &[0; LONGEST]);
        assert_eq!(read(&long, 20).1, Err(BadHeader::TooLong));
        let longest = v2_header(1, 0, &[0; LONGEST - FIXED]);
        assert_eq!(read(&longest, 20), (LONGEST, Ok(Some(ProxiedFor::Peer))));
    }
}
