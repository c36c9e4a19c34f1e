//! A request and its answer over either version of HTTP, piece by piece in both directions.

use std::net::SocketAddr;

use bytes::Bytes;
use h2::client::ResponseFuture;
use h2::{RecvStream, SendStream};
use http::HeaderMap;

use crate::support::{Http1, Http2, Reply};

/// How a request begins.
pub struct Opening {
    pub method: &'static str,
    pub target: String,
    pub headers: Vec<(String, String)>,
    /// All of the body; none where it comes piece by piece.
    pub body: Option<Vec<u8>>,
    /// The connection becomes one for this protocol.
    pub upgrade: Option<&'static str>,
}

#[derive(Debug, Clone)]
pub struct Head {
    pub status: u16,
    pub headers: HeaderMap,
}

pub enum Wire {
    One(Box<One>),
    Two(Box<Two>),
}

pub struct One {
    client: Http1,
    reply: Option<Reply>,
    /// Nothing has a frame of HTTP any more.
    raw: bool,
}

pub struct Two {
    // In the order in which they are dropped.
    stream: SendStream<Bytes>,
    response: Option<ResponseFuture>,
    answer: Option<(Head, RecvStream)>,
    client: Http2,
}

impl Wire {
    pub fn open(address: SocketAddr, version: u8, opening: &Opening) -> Self {
        if version == 1 { Self::one(address, opening) } else { Self::two(address, opening) }
    }

    fn one(address: SocketAddr, opening: &Opening) -> Self {
        let mut client = Http1::connect(address);
        let mut head = format!("{} {} HTTP/1.1\r\nhost: transom.test\r\n", opening.method, opening.target);
        for (name, value) in &opening.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        match (&opening.body, opening.upgrade) {
            (_, Some(protocol)) => head.push_str(&format!("connection: upgrade\r\nupgrade: {protocol}\r\n")),
            (None, None) => head.push_str("transfer-encoding: chunked\r\n"),
            (Some(body), None) if opening.method == "GET" => assert!(body.is_empty()),
            (Some(body), None) => head.push_str(&format!("content-length: {}\r\n", body.len())),
        }
        head.push_str("\r\n");
        client.send(head);
        // A server that has refused it needn't take it.
        client.try_send(opening.body.as_deref().unwrap_or_default());
        Self::One(Box::new(One { client, reply: None, raw: false }))
    }

    fn two(address: SocketAddr, opening: &Opening) -> Self {
        let mut client = Http2::connect(address);
        let headers: Vec<_> =
            opening.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let (response, mut stream) = match opening.upgrade {
            Some(protocol) => client.extended_connect(protocol, &opening.target, &headers),
            None => {
                let ends = opening.body.as_ref().is_some_and(Vec::is_empty);
                client.begin(opening.method, &opening.target, &headers, ends)
            }
        };
        if let Some(body) = opening.body.as_ref().filter(|body| !body.is_empty()) {
            client.send(&mut stream, body, true);
        }
        Self::Two(Box::new(Two { stream, response: Some(response), answer: None, client }))
    }

    /// Sends a piece of the body. A server that has answered needn't take it.
    pub fn send(&mut self, piece: &[u8]) {
        match self {
            Self::One(one) if one.raw => drop(one.client.try_send(piece)),
            Self::One(_) if piece.is_empty() => {}
            Self::One(one) => {
                let chunk = [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat();
                one.client.try_send(chunk);
            }
            Self::Two(two) => drop(two.client.send(&mut two.stream, piece, false)),
        }
    }

    /// Nothing more comes.
    pub fn end(&mut self) {
        match self {
            Self::One(one) if one.raw => {}
            Self::One(one) => drop(one.client.try_send("0\r\n\r\n")),
            Self::Two(two) => drop(two.stream.send_data(Bytes::new(), true)),
        }
    }

    /// The head of the answer, once it has come.
    pub fn head(&mut self) -> Head {
        match self {
            Self::One(one) => {
                let reply = one.reply.get_or_insert_with(|| one.client.head());
                one.raw = reply.status == 101;
                Head { status: reply.status, headers: reply.headers.clone() }
            }
            Self::Two(two) => {
                if let Some(response) = two.response.take() {
                    let (head, body) = two.client.head(response).expect("an answer");
                    let head = Head { status: head.status.as_u16(), headers: head.headers };
                    two.answer = Some((head, body));
                }
                two.answer.as_ref().expect("it has come").0.clone()
            }
        }
    }

    /// The next piece of the answer's body; none at its end.
    pub fn data(&mut self) -> Option<Vec<u8>> {
        self.head();
        match self {
            Self::One(one) if one.raw => one.client.some(),
            Self::One(one) => one.client.piece(one.reply.as_mut().expect("it has come")),
            Self::Two(two) => {
                let body = &mut two.answer.as_mut().expect("it has come").1;
                two.client.data(body).expect("no reset").map(|data| data.to_vec())
            }
        }
    }

    /// What stands behind a body that was read.
    pub fn trailers(&mut self) -> HeaderMap {
        match self {
            Self::One(one) => one.reply.as_ref().expect("it has come").trailers.clone(),
            Self::Two(two) => {
                let body = &mut two.answer.as_mut().expect("it has come").1;
                two.client.trailers(body).expect("no reset")
            }
        }
    }

    /// Leaves in the middle of it.
    pub fn leave(self) {
        match self {
            Self::One(one) => drop(one),
            Self::Two(mut two) => {
                two.stream.send_reset(h2::Reason::CANCEL);
                two.client.settle();
            }
        }
    }
}
