//! Messages that are compressed, each by itself. Backends get and give them as they are.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName};

use crate::fault::{Fault, Kind};
use crate::protocol::compression::{Coding, Named, Packing, Unpacking, compress, decompress, first_listed};

/// The flag of a message that is compressed.
pub(super) const COMPRESSED: u8 = 1;

/// How the messages of a call are compressed.
#[derive(Clone, Default)]
pub(in crate::protocol) struct Codings {
    /// Those of the client, where their flags say so.
    pub request: Option<Coding>,
    /// Replies, where it is worth it.
    pub reply: Option<(Coding, Arc<Packing>)>,
}

/// The headers by which a protocol agrees on codings.
pub(in crate::protocol) struct Names {
    /// The coding of the messages that follow.
    pub encoding: HeaderName,
    /// What may be sent back.
    pub accept: HeaderName,
}

impl Codings {
    /// What the headers of a request say, and the listener chooses. A client that doesn't say what it accepts accepts what
    /// it sends.
    ///
    /// # Errors
    /// A coding that is not known.
    pub(in crate::protocol) fn of(
        headers: &HeaderMap,
        names: &Names,
        unpacking: Unpacking,
        packing: Option<&Arc<Packing>>,
    ) -> Result<Self, Fault> {
        let mut request = None;
        for value in headers.get_all(&names.encoding) {
            let value = value.to_str().unwrap_or_default();
            if let Some(coding) = known(value, names.encoding.as_str(), &names.accept, unpacking)?
                && request.replace(coding).is_some()
            {
                return Err(unknown(names.encoding.as_str(), &names.accept, unpacking));
            }
        }
        let reply = packing.and_then(|packing| {
            let ours = &packing.algorithms;
            let coding = if headers.contains_key(&names.accept) {
                first_listed(headers, &names.accept, ours)
            } else {
                request.filter(|coding| ours.contains(coding))
            };
            Some((coding?, Arc::clone(packing)))
        });
        Ok(Self { request, reply })
    }

    /// Whether messages pass as they are.
    pub(in crate::protocol) fn are_none(&self) -> bool {
        self.request.is_none() && self.reply.is_none()
    }

    /// The largest flags of a client's message.
    pub(super) fn flags(&self) -> u8 {
        if self.request.is_some() { COMPRESSED } else { 0 }
    }

    /// A client's message as it was before it was compressed. `max` is the largest that may be, in bytes.
    pub(super) fn unpack(&self, flags: u8, message: Bytes, max: usize) -> Result<Bytes, Fault> {
        match self.request {
            Some(coding) if flags == COMPRESSED => Ok(decompress(coding, message, max)?),
            Some(_) | None => Ok(message),
        }
    }

    /// A reply's message made smaller, where it is worth it.
    pub(super) fn pack(&self, message: &[u8]) -> Option<Vec<u8>> {
        let (coding, packing) = self.reply.as_ref()?;
        if message.len() < packing.min_size {
            return None;
        }
        // Without memory for it the message goes as it is.
        let packed = compress(*coding, packing.level, message).ok()?;
        (packed.len() < message.len()).then_some(packed)
    }
}

/// The coding of this name, which stands in the header or parameter `at`; none for data as it is.
///
/// # Errors
/// One that is not known (UNIMPLEMENTED); `accept` is where the fault says which ones are.
pub(in crate::protocol) fn known(
    name: &str,
    at: &str,
    accept: &HeaderName,
    unpacking: Unpacking,
) -> Result<Option<Coding>, Fault> {
    match (Named::of(name.trim()), unpacking) {
        (Named::Identity, _) => Ok(None),
        (Named::Coded(coding), Unpacking::On) => Ok(Some(coding)),
        (Named::Coded(_), Unpacking::Off) | (Named::Unknown, _) => Err(unknown(at, accept, unpacking)),
    }
}

fn unknown(at: &str, accept: &HeaderName, unpacking: Unpacking) -> Fault {
    let (list, offer) = match unpacking {
        Unpacking::On => ("identity, gzip, br, zstd", Some((accept.clone(), Coding::OFFER))),
        Unpacking::Off => ("identity", None),
    };
    let message = format!("the message is in a coding that is not known here; known are: {list}");
    Fault::new(Kind::Unsupported, "UNKNOWN_CODING", message).at(at).with_headers(offer.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn names() -> Names {
        Names {
            encoding: HeaderName::from_static("grpc-encoding"),
            accept: HeaderName::from_static("grpc-accept-encoding"),
        }
    }

    fn of(
        headers: &[(&'static str, &'static str)],
        packing: bool,
    ) -> Result<(Option<Coding>, Option<Coding>), Fault> {
        let headers = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .fold(HeaderMap::new(), |mut map, (name, value)| {
                map.append(name, value);
                map
            });
        let packing = packing.then(|| Arc::new(Packing::default()));
        let codings = Codings::of(&headers, &names(), Unpacking::On, packing.as_ref())?;
        Ok((codings.request, codings.reply.map(|(coding, _)| coding)))
    }

    #[test]
    fn what_is_agreed_on() {
        const ENCODING: &str = "grpc-encoding";
        const ACCEPT: &str = "grpc-accept-encoding";
        use Coding::{Br, Gzip};
        for (headers, packing, want) in [
            (&[][..], true, (None, None)),
            (&[(ENCODING, "identity")], true, (None, None)),
            (&[(ENCODING, "gzip")], true, (Some(Gzip), Some(Gzip))),
            (&[(ENCODING, "gzip")], false, (Some(Gzip), None)),
            (&[(ENCODING, "gzip"), (ACCEPT, "identity")], true, (Some(Gzip), None)),
            (&[(ACCEPT, "snappy, br, gzip")], true, (None, Some(Br))),
        ] {
            assert_eq!(of(headers, packing).ok(), Some(want), "{headers:?}");
        }
        for headers in
            [&[(ENCODING, "lzw")][..], &[(ENCODING, "gzip"), (ENCODING, "br")], &[(ENCODING, "gzip, gzip")]]
        {
            let mut fault = of(headers, true).unwrap_err();
            assert_eq!(fault.kind(), Kind::Unsupported);
            assert_eq!(fault.take_headers()[ACCEPT], "gzip, br, zstd");
        }
    }

    #[test]
    fn small_messages_are_left_alone() {
        let codings = Codings { request: None, reply: Some((Coding::Gzip, Arc::new(Packing::default()))) };
        assert_eq!(codings.pack(&[b'a'; 1000]), None);
        let packed = codings.pack(&[b'a'; 5000]).unwrap();
        let request = Codings { request: Some(Coding::Gzip), reply: None };
        assert_eq!(request.unpack(1, packed.clone().into(), 5000).unwrap(), [b'a'; 5000].as_slice());
        assert_eq!(request.unpack(1, packed.clone().into(), 4999).unwrap_err().kind(), Kind::TooLarge);
        assert_eq!(request.unpack(0, packed.clone().into(), 5000).unwrap(), packed);
    }
}
