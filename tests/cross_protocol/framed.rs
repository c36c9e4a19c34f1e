//! Messages in frames: gRPC, gRPC-Web, and the streams of Connect.

use http::HeaderMap;
use percent_encoding::percent_decode_str;
use serde_json::Value;
use transom::protocol::compression::Coding;

use crate::coding::{Packer, Unpacker, named, pack};
use crate::connect::outcome_of_error;
use crate::outcome::{Outcome, details_of_status, metadata, metadata_of_json};
use crate::session::{Codec, Form};
use crate::support::Schema;
use crate::table::Call;
use crate::wire::{Head, Opening};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    Grpc,
    Web { text: bool },
    Connect,
}

/// Where a coding stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Packed {
    Messages,
    Body,
}

pub struct Framed<'s> {
    framing: Framing,
    codec: Codec,
    coding: Option<Coding>,
    schema: &'s Schema,
    packer: Packer,
    /// Of the answer, once its head is there.
    unpacker: Option<Unpacker>,
    answer_coding: Option<Coding>,
    /// What came of a group of four characters.
    text: Vec<u8>,
    frames: Vec<u8>,
    /// The last frame, which is no message.
    last: Option<Vec<u8>>,
    was_packed: bool,
}

impl<'s> Framed<'s> {
    pub fn new(framing: Framing, codec: Codec, coding: Option<Coding>, schema: &'s Schema) -> Self {
        let mut framed = Self {
            framing,
            codec,
            coding,
            schema,
            packer: Packer::new(None),
            unpacker: None,
            answer_coding: None,
            text: Vec::new(),
            frames: Vec::new(),
            last: None,
            was_packed: false,
        };
        if framed.packed() == Packed::Body {
            framed.packer = Packer::new(coding);
        }
        framed
    }

    fn packed(&self) -> Packed {
        match (self.framing, self.codec) {
            // The messages are those of the backend, so that only the body is the gateway's.
            (Framing::Web { .. }, Codec::Proto) => Packed::Body,
            (Framing::Web { .. }, Codec::Json) | (Framing::Grpc | Framing::Connect, _) => Packed::Messages,
        }
    }

    /// The headers of the request's coding and of what the answer may have.
    fn names(&self) -> (&'static str, &'static str) {
        match (self.packed(), self.framing) {
            (Packed::Body, _) => ("content-encoding", "accept-encoding"),
            (Packed::Messages, Framing::Connect) => ("connect-content-encoding", "connect-accept-encoding"),
            (Packed::Messages, Framing::Grpc | Framing::Web { .. }) => {
                ("grpc-encoding", "grpc-accept-encoding")
            }
        }
    }

    fn sent(&mut self, frames: &[u8]) -> Vec<u8> {
        match self.framing {
            Framing::Web { text: true } => {
                self.packer.piece(base64_simd::STANDARD.encode_to_string(frames).as_bytes())
            }
            Framing::Grpc | Framing::Web { text: false } | Framing::Connect => self.packer.piece(frames),
        }
    }
}

impl Form for Framed<'_> {
    fn open(&mut self, call: &Call, first: Option<&Value>) -> Opening {
        let codec = self.codec.name();
        let mut headers = call.headers();
        let mut put = |name: &str, value: String| headers.push((name.to_owned(), value));
        match self.framing {
            Framing::Grpc => {
                put("content-type", format!("application/grpc+{codec}"));
                put("te", "trailers".to_owned());
            }
            Framing::Web { text } => {
                let text = if text { "-text" } else { "" };
                put("content-type", format!("application/grpc-web{text}+{codec}"));
            }
            Framing::Connect => {
                put("content-type", format!("application/connect+{codec}"));
                put("connect-protocol-version", "1".to_owned());
            }
        }
        match (call.timeout, self.framing) {
            (None, _) => {}
            (Some(timeout), Framing::Connect) => put("connect-timeout-ms", timeout.as_millis().to_string()),
            (Some(timeout), Framing::Grpc | Framing::Web { .. }) => {
                put("grpc-timeout", format!("{}m", timeout.as_millis()));
            }
        }
        if let Some(coding) = self.coding {
            let (encoding, accept) = self.names();
            put(encoding, coding.name().to_owned());
            put(accept, coding.name().to_owned());
        }
        let body = first.map(|first| {
            let mut body = self.message(first);
            body.extend(self.end());
            body
        });
        Opening { method: "POST", target: call.path(), headers, body, upgrade: None }
    }

    fn message(&mut self, message: &Value) -> Vec<u8> {
        let mut bytes = self.codec.encode(self.schema, message);
        let mut flags = 0;
        if let Some(coding) = self.coding.filter(|_| self.packed() == Packed::Messages) {
            bytes = pack(Some(coding), &bytes);
            flags = 1;
        }
        let length = u32::try_from(bytes.len()).expect("it is no larger than that");
        let frame = [&[flags], length.to_be_bytes().as_slice(), &bytes].concat();
        self.sent(&frame)
    }

    fn end(&mut self) -> Vec<u8> {
        std::mem::replace(&mut self.packer, Packer::Plain).end()
    }

    fn take(&mut self, head: &Head, piece: &[u8]) {
        let (encoding, _) = self.names();
        let coding = head.headers.get(encoding).and_then(|name| named(name.to_str().expect("a name")));
        self.answer_coding = coding;
        let is_body = self.packed() == Packed::Body;
        self.was_packed |= is_body && coding.is_some();
        let unpacker = self.unpacker.get_or_insert_with(|| Unpacker::new(coding.filter(|_| is_body)));
        let piece = unpacker.piece(piece);
        if self.framing != (Framing::Web { text: true }) {
            self.frames.extend(piece);
            return;
        }
        self.text.extend(piece);
        let whole = self.text.len() / 4 * 4;
        let groups: Vec<u8> = self.text.drain(..whole).collect();
        let mut rest = &groups[..];
        while !rest.is_empty() {
            // Each piece may have padding of its own.
            let end = rest.iter().position(|byte| *byte == b'=').map_or(rest.len(), |at| (at / 4 + 1) * 4);
            let (padded, behind) = rest.split_at(end);
            self.frames.extend(base64_simd::STANDARD.decode_to_vec(padded).expect("groups of base64"));
            rest = behind;
        }
    }

    fn next(&mut self, ended: bool) -> Option<Value> {
        assert!(!ended || self.text.is_empty(), "a group is cut");
        let Some(length) = self.frames.get(1..5) else {
            assert!(!ended || self.frames.is_empty(), "a frame's head is cut");
            return None;
        };
        let length = u32::from_be_bytes(length.try_into().expect("four bytes")) as usize;
        if self.frames.len() < 5 + length {
            assert!(!ended, "a frame is cut");
            return None;
        }
        assert!(self.last.is_none(), "something stands behind the last frame");
        let frame: Vec<u8> = self.frames.drain(..5 + length).collect();
        let (flags, bytes) = (frame[0], frame[5..].to_vec());
        let bytes = if flags & 1 == 0 {
            bytes
        } else {
            self.was_packed = true;
            Unpacker::new(Some(self.answer_coding.expect("a coding is named"))).piece(&bytes)
        };
        match (flags & !1, self.framing) {
            (0, _) => Some(self.codec.decode(self.schema, &bytes)),
            (0x80, Framing::Web { .. }) | (2, Framing::Connect) => {
                self.last = Some(bytes);
                self.next(ended)
            }
            _ => panic!("flags {flags}"),
        }
    }

    fn was_packed(&self) -> bool {
        self.was_packed
    }

    fn outcome(&mut self, head: &Head, trailers: &HeaderMap) -> Outcome {
        match self.framing {
            Framing::Grpc if head.headers.contains_key("grpc-status") => {
                Outcome { ..status(&head.headers, self.schema) }
            }
            Framing::Grpc => {
                Outcome { metadata: metadata(&head.headers, ""), ..status(trailers, self.schema) }
            }
            Framing::Web { .. } => {
                let last = self.last.take().expect("a frame of trailers");
                let text = String::from_utf8(last).expect("lines of text");
                let mut trailers = HeaderMap::new();
                for line in text.split_terminator("\r\n") {
                    let (name, value) = line.split_once(':').expect("a name and a value");
                    let name = http::HeaderName::from_bytes(name.as_bytes()).expect("a name");
                    trailers.append(name, value.trim().parse().expect("a value"));
                }
                Outcome { metadata: metadata(&head.headers, ""), ..status(&trailers, self.schema) }
            }
            Framing::Connect => {
                let last = self.last.take().expect("a last frame");
                let last: Value = serde_json::from_slice(&last).expect("JSON");
                let outcome = match last.get("error") {
                    Some(error) => outcome_of_error(error, self.schema),
                    None => Outcome::default(),
                };
                let trailers = metadata_of_json(&last["metadata"]);
                Outcome { metadata: metadata(&head.headers, ""), trailers, ..outcome }
            }
        }
    }
}

/// What trailers of gRPC say.
fn status(trailers: &HeaderMap, schema: &Schema) -> Outcome {
    let text = |name| trailers.get(name).map(|value: &http::HeaderValue| value.to_str().expect("ASCII"));
    let details = text("grpc-status-details-bin").map(|details| {
        let details = details.trim_end_matches('=');
        let details = base64_simd::STANDARD_NO_PAD.decode_to_vec(details).expect("base64");
        details_of_status(schema, &details)
    });
    Outcome {
        code: text("grpc-status").expect("a status").parse().expect("a number"),
        message: percent_decode_str(text("grpc-message").unwrap_or_default())
            .decode_utf8()
            .expect("a text")
            .into_owned(),
        details: details.unwrap_or_default(),
        trailers: metadata(trailers, ""),
        ..Outcome::default()
    }
}
