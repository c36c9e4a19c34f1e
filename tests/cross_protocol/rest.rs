//! REST: one JSON object each way, or streams as an array, as lines, or as events.

use http::HeaderMap;
use serde_json::Value;
use transom::protocol::compression::Coding;

use crate::coding::{Packer, Unpacker, named};
use crate::outcome::{Outcome, code_of, metadata, neutral};
use crate::session::Form;
use crate::table::{Call, Shape};
use crate::wire::{Head, Opening};

/// The form of streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    Array,
    Lines,
    Events,
}

pub struct Rest {
    stream: Stream,
    shape: Shape,
    version: u8,
    coding: Option<Coding>,
    packer: Packer,
    unpacker: Option<Unpacker>,
    sent: usize,
    /// Of an answer whose head has come.
    status: u16,
    body: Vec<u8>,
    is_read: bool,
    /// The error, or the end, behind a stream's messages.
    error: Option<Value>,
    has_end: bool,
    was_packed: bool,
}

impl Rest {
    pub fn new(stream: Stream, shape: Shape, version: u8, coding: Option<Coding>) -> Self {
        Self {
            stream,
            shape,
            version,
            coding,
            packer: Packer::new(coding),
            unpacker: None,
            sent: 0,
            status: 0,
            body: Vec::new(),
            is_read: false,
            error: None,
            // Lines have none.
            has_end: stream == Stream::Lines,
            was_packed: false,
        }
    }

    /// The next element of a stream, and whether it is the last word.
    fn element(&mut self) -> Option<Value> {
        match self.stream {
            Stream::Array => {
                let start = self.body.iter().position(|byte| !b"[,\n".contains(byte))?;
                if !self.body.ends_with(b"}") && !self.body.ends_with(b"\n") {
                    // It would be read in vain again and again.
                    return None;
                }
                if self.body[start] == b']' {
                    self.has_end = true;
                    self.body.clear();
                    return None;
                }
                let mut values =
                    serde_json::Deserializer::from_slice(&self.body[start..]).into_iter::<Value>();
                match values.next()? {
                    Ok(value) => {
                        let end = start + values.byte_offset();
                        self.body.drain(..end);
                        Some(value)
                    }
                    Err(error) => {
                        assert!(error.is_eof(), "{error}");
                        None
                    }
                }
            }
            Stream::Lines => {
                let line = self.until(b"\n")?;
                Some(serde_json::from_slice(&line).expect("JSON"))
            }
            Stream::Events => {
                let event = self.until(b"\n\n")?;
                let event = String::from_utf8(event).expect("text");
                let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name));
                match (field("event: "), field("data: ")) {
                    (Some("end"), _) => {
                        self.has_end = true;
                        None
                    }
                    (None, Some(data)) => Some(serde_json::from_str(data).expect("JSON")),
                    (Some("error"), Some(data)) => {
                        self.has_end = true;
                        Some(serde_json::from_str(data).expect("JSON"))
                    }
                    (None, None) if event.starts_with(": ") => self.element(),
                    _ => panic!("{event}"),
                }
            }
        }
    }

    fn until(&mut self, end: &[u8]) -> Option<Vec<u8>> {
        if !self.body.ends_with(b"\n") {
            return None;
        }
        let at = self.body.windows(end.len()).position(|window| window == end)?;
        Some(self.body.drain(..at + end.len()).collect())
    }
}

impl Form for Rest {
    fn open(&mut self, call: &Call, first: Option<&Value>) -> Opening {
        let mut headers = call.headers();
        let mut put = |name: &str, value: String| headers.push((name.to_owned(), value));
        put("content-type", "application/json".to_owned());
        let accept = match self.stream {
            Stream::Array => "application/json",
            Stream::Lines => "application/x-ndjson",
            Stream::Events => "text/event-stream",
        };
        put("accept", if self.shape.gives_one() { "application/json" } else { accept }.to_owned());
        put("te", "trailers".to_owned());
        if self.version == 1 {
            put("connection", "te".to_owned());
        }
        if let Some(timeout) = call.timeout {
            put("x-server-timeout", format!("{}.{:03}", timeout.as_secs(), timeout.subsec_millis()));
        }
        if let Some(coding) = self.coding {
            put("content-encoding", coding.name().to_owned());
            put("accept-encoding", coding.name().to_owned());
        }
        let body = first.map(|first| {
            let mut packer = Packer::new(self.coding);
            let mut body = packer.piece(first.to_string().as_bytes());
            body.extend(packer.end());
            body
        });
        Opening { method: "POST", target: call.url(), headers, body, upgrade: None }
    }

    fn message(&mut self, message: &Value) -> Vec<u8> {
        let text = match (self.stream, self.sent) {
            (Stream::Array, 0) => format!("[{message}"),
            (Stream::Array, _) => format!(",{message}"),
            (Stream::Lines | Stream::Events, _) => format!("{message}\n"),
        };
        self.sent += 1;
        self.packer.piece(text.as_bytes())
    }

    fn end(&mut self) -> Vec<u8> {
        let mut packer = std::mem::replace(&mut self.packer, Packer::Plain);
        let end: &[u8] = match (self.stream, self.sent) {
            (Stream::Array, 0) => b"[]",
            (Stream::Array, _) => b"]",
            (Stream::Lines | Stream::Events, _) => b"",
        };
        let mut last = packer.piece(end);
        last.extend(packer.end());
        last
    }

    fn take(&mut self, head: &Head, piece: &[u8]) {
        let coding =
            head.headers.get("content-encoding").and_then(|name| named(name.to_str().expect("a name")));
        self.was_packed |= coding.is_some();
        self.status = head.status;
        self.body.extend(self.unpacker.get_or_insert_with(|| Unpacker::new(coding)).piece(piece));
    }

    fn next(&mut self, ended: bool) -> Option<Value> {
        if self.status != 200 || self.is_read {
            return None;
        }
        if self.shape.gives_one() {
            self.is_read = ended;
            return ended.then(|| serde_json::from_slice(&self.body).expect("JSON"));
        }
        match self.element() {
            Some(element) if element.get("error").is_some() => {
                self.error = Some(element);
                self.next(ended)
            }
            element => {
                assert!(element.is_none() || self.error.is_none(), "something stands behind the error");
                element
            }
        }
    }

    fn was_packed(&self) -> bool {
        self.was_packed
    }

    fn outcome(&mut self, head: &Head, trailers: &HeaderMap) -> Outcome {
        if head.status != 200 {
            self.error = Some(serde_json::from_slice(&self.body).expect("JSON"));
        } else if !self.shape.gives_one() {
            assert!(self.has_end, "the stream was cut");
        }
        let mut outcome = Outcome {
            metadata: metadata(&head.headers, ""),
            trailers: metadata(trailers, ""),
            ..Outcome::default()
        };
        if let Some(error) = &self.error {
            let error = &error["error"];
            let number = u16::try_from(error["code"].as_u64().expect("a code")).expect("a status");
            outcome.code = code_of(error["status"].as_str().expect("a status"));
            assert!(head.status == 200 || head.status == number, "{error}");
            error["message"].as_str().unwrap_or_default().clone_into(&mut outcome.message);
            outcome.details =
                error["details"].as_array().into_iter().flatten().cloned().map(neutral).collect();
        }
        outcome
    }
}
