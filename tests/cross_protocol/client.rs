//! Who calls: every protocol in every codec, over both versions of HTTP, with every coding; and what of it there isn't.

use std::fmt;

use transom::protocol::compression::Coding;

use crate::connect::Unary;
use crate::framed::{Framed, Framing};
use crate::rest::{Rest, Stream};
use crate::session::{Codec, Form};
use crate::support::Schema;
use crate::table::{Call, Shape, Size, Trailers};
use crate::websocket::WebSocket;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    Rest(Stream),
    Grpc(Codec),
    GrpcWeb { text: bool, codec: Codec },
    Connect { by_get: bool, codec: Codec },
    WebSocket,
}

const PROTOCOLS: [Protocol; 14] = [
    Protocol::Rest(Stream::Array),
    Protocol::Rest(Stream::Lines),
    Protocol::Rest(Stream::Events),
    Protocol::Grpc(Codec::Proto),
    Protocol::Grpc(Codec::Json),
    Protocol::GrpcWeb { text: false, codec: Codec::Proto },
    Protocol::GrpcWeb { text: false, codec: Codec::Json },
    Protocol::GrpcWeb { text: true, codec: Codec::Proto },
    Protocol::GrpcWeb { text: true, codec: Codec::Json },
    Protocol::Connect { by_get: false, codec: Codec::Proto },
    Protocol::Connect { by_get: false, codec: Codec::Json },
    Protocol::Connect { by_get: true, codec: Codec::Proto },
    Protocol::Connect { by_get: true, codec: Codec::Json },
    Protocol::WebSocket,
];

const CODINGS: [Option<Coding>; 4] = [None, Some(Coding::Gzip), Some(Coding::Br), Some(Coding::Zstd)];

impl Protocol {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rest(Stream::Array) => "REST, array",
            Self::Rest(Stream::Lines) => "REST, lines",
            Self::Rest(Stream::Events) => "REST, events",
            Self::Grpc(Codec::Proto) => "gRPC, proto",
            Self::Grpc(Codec::Json) => "gRPC, json",
            Self::GrpcWeb { text: false, codec: Codec::Proto } => "gRPC-Web, proto",
            Self::GrpcWeb { text: false, codec: Codec::Json } => "gRPC-Web, json",
            Self::GrpcWeb { text: true, codec: Codec::Proto } => "gRPC-Web in text, proto",
            Self::GrpcWeb { text: true, codec: Codec::Json } => "gRPC-Web in text, json",
            Self::Connect { by_get: false, codec: Codec::Proto } => "Connect, proto",
            Self::Connect { by_get: false, codec: Codec::Json } => "Connect, json",
            Self::Connect { by_get: true, codec: Codec::Proto } => "Connect by GET, proto",
            Self::Connect { by_get: true, codec: Codec::Json } => "Connect by GET, json",
            Self::WebSocket => "WebSocket",
        }
    }
}

#[derive(Debug, Clone, Copy)]
pub struct Client {
    pub protocol: Protocol,
    pub version: u8,
    pub coding: Option<Coding>,
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let coding = self.coding.map_or("identity", Coding::name);
        write!(f, "{} over HTTP/{}, {coding}", self.protocol.name(), self.version)
    }
}

/// Those that there are; the others are told by [`Client::cannot`].
pub fn all() -> Vec<Client> {
    let mut clients = Vec::new();
    for protocol in PROTOCOLS {
        for version in [1, 2] {
            clients.extend(CODINGS.map(|coding| Client { protocol, version, coding }));
        }
    }
    clients
}

pub fn names() -> [&'static str; PROTOCOLS.len()] {
    PROTOCOLS.map(Protocol::name)
}

impl Client {
    /// Why this client can't make this call.
    pub fn cannot(&self, call: &Call) -> Option<&'static str> {
        match self.protocol {
            Protocol::Grpc(_) if self.version == 1 => Some("gRPC is spoken over HTTP/2 alone"),
            Protocol::Grpc(Codec::Proto) if self.coding.is_some() => {
                Some("its compression is an affair of client and backend")
            }
            Protocol::WebSocket if self.coding.is_some() => {
                Some("WebSocket messages are not compressed here")
            }
            Protocol::Connect { by_get: true, .. } if call.shape != Shape::Unary => {
                Some("a query calls unary methods alone")
            }
            Protocol::Connect { by_get: true, .. } if call.size == Size::Large => {
                Some("no URL is of several MiB")
            }
            Protocol::Rest(_)
            | Protocol::Grpc(_)
            | Protocol::GrpcWeb { .. }
            | Protocol::Connect { .. }
            | Protocol::WebSocket => None,
        }
    }

    /// Whether it names methods by paths of HTTP, which are not found where gRPC's are not implemented.
    pub fn calls_by_path(&self) -> bool {
        matches!(self.protocol, Protocol::Rest(_) | Protocol::WebSocket)
    }

    /// Where it has the trailing metadata of a call.
    pub fn places_trailers(&self, call: &Call) -> Trailers {
        match self.protocol {
            Protocol::Rest(_) if call.fails_at_once() => Trailers::AmongHeaders,
            Protocol::Rest(_) if self.version == 1 && !call.shape.gives_one() => {
                Trailers::Nowhere("HTTP/1.1 has to announce their names before they are known")
            }
            Protocol::Rest(_)
            | Protocol::Grpc(_)
            | Protocol::GrpcWeb { .. }
            | Protocol::Connect { .. }
            | Protocol::WebSocket => Trailers::Own,
        }
    }

    /// Its form of a call.
    pub fn form<'s>(&self, call: &Call, schema: &'s Schema) -> Box<dyn Form + 's> {
        let coding = self.coding;
        let framed = |framing, codec| Box::new(Framed::new(framing, codec, coding, schema));
        match self.protocol {
            Protocol::Rest(stream) => Box::new(Rest::new(stream, call.shape, self.version, coding)),
            Protocol::Grpc(codec) => framed(Framing::Grpc, codec),
            Protocol::GrpcWeb { text, codec } => framed(Framing::Web { text }, codec),
            Protocol::Connect { by_get, codec } if call.shape == Shape::Unary => {
                Box::new(Unary::new(by_get, codec, coding, schema))
            }
            Protocol::Connect { codec, .. } => framed(Framing::Connect, codec),
            Protocol::WebSocket => Box::new(WebSocket::new(self.version)),
        }
    }
}
