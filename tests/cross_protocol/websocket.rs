//! A WebSocket at the RPC's own path, by hand, so that it goes over both versions of HTTP.

use http::HeaderMap;
use serde_json::Value;

use crate::outcome::{Outcome, code_of, metadata, metadata_of_json, neutral};
use crate::session::Form;
use crate::table::Call;
use crate::wire::{Head, Opening};

pub struct WebSocket {
    version: u8,
    bytes: Vec<u8>,
    /// The message whose first fragments have come.
    fragments: Vec<u8>,
    status: Option<Value>,
    close: Option<u16>,
    is_refused: bool,
}

const TEXT: u8 = 1;
const CLOSE: u8 = 8;

impl WebSocket {
    pub fn new(version: u8) -> Self {
        Self {
            version,
            bytes: Vec::new(),
            fragments: Vec::new(),
            status: None,
            close: None,
            is_refused: false,
        }
    }

    /// The next whole frame: its opcode, whether it ends its message, and its data.
    fn frame(&mut self) -> Option<(u8, bool, Vec<u8>)> {
        let (first, second) = (*self.bytes.first()?, *self.bytes.get(1)?);
        assert_eq!(second & 0x80, 0, "servers don't mask");
        let (start, length) = match second {
            126 => (4, u64::from(u16::from_be_bytes(self.bytes.get(2..4)?.try_into().expect("two")))),
            127 => (10, u64::from_be_bytes(self.bytes.get(2..10)?.try_into().expect("eight"))),
            short => (2, u64::from(short)),
        };
        let end = start + usize::try_from(length).expect("it is in memory");
        self.bytes.get(start..end)?;
        let data = self.bytes.drain(..end).skip(start).collect();
        Some((first & 0xf, first & 0x80 != 0, data))
    }

    fn error(&self) -> Value {
        serde_json::from_slice(&self.bytes).expect("JSON")
    }
}

/// A text frame, with a mask that changes nothing.
fn text(data: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x80 | TEXT];
    match data.len() {
        short @ 0..126 => frame.push(0x80 | u8::try_from(short).expect("it is short")),
        long => {
            frame.push(0x80 | 127);
            frame.extend(u64::try_from(long).expect("it is in memory").to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(data);
    frame
}

impl Form for WebSocket {
    fn open(&mut self, call: &Call, _: Option<&Value>) -> Opening {
        let mut headers = call.headers();
        let mut put = |name: &str, value: String| headers.push((name.to_owned(), value));
        put("sec-websocket-version", "13".to_owned());
        if self.version == 1 {
            put("sec-websocket-key", base64_simd::STANDARD.encode_to_string([7; 16]));
        }
        if let Some(timeout) = call.timeout {
            put("x-server-timeout", format!("{}.{:03}", timeout.as_secs(), timeout.subsec_millis()));
        }
        Opening { method: "GET", target: call.path(), headers, body: None, upgrade: Some("websocket") }
    }

    fn message(&mut self, message: &Value) -> Vec<u8> {
        text(message.to_string().as_bytes())
    }

    fn end(&mut self) -> Vec<u8> {
        text(b"")
    }

    fn take(&mut self, head: &Head, piece: &[u8]) {
        self.is_refused = !matches!((self.version, head.status), (1, 101) | (2, 200));
        self.bytes.extend(piece);
    }

    fn next(&mut self, _: bool) -> Option<Value> {
        while !self.is_refused && self.close.is_none() {
            let (opcode, is_last, data) = self.frame()?;
            match opcode {
                0 | TEXT => {
                    assert!(self.status.is_none(), "something stands behind the status");
                    self.fragments.extend(data);
                    if !is_last {
                        continue;
                    }
                    let value: Value = serde_json::from_slice(&self.fragments).expect("JSON");
                    self.fragments.clear();
                    if value.get("@status").is_none() {
                        return Some(value);
                    }
                    self.status = Some(value);
                }
                CLOSE => self.close = Some(u16::from_be_bytes([data[0], data[1]])),
                9 | 10 => {}
                opcode => panic!("opcode {opcode}"),
            }
        }
        None
    }

    fn is_over(&self) -> bool {
        self.close.is_some()
    }

    fn was_packed(&self) -> bool {
        false
    }

    fn outcome(&mut self, head: &Head, _: &HeaderMap) -> Outcome {
        let details =
            |error: &Value| error["details"].as_array().into_iter().flatten().cloned().map(neutral).collect();
        let message = |error: &Value| error["message"].as_str().unwrap_or_default().to_owned();
        if self.is_refused {
            let error = &self.error()["error"];
            assert_eq!(error["code"], head.status, "{error}");
            return Outcome {
                code: code_of(error["status"].as_str().expect("a status")),
                message: message(error),
                details: details(error),
                metadata: metadata(&head.headers, ""),
                ..Outcome::default()
            };
        }
        let told = self.status.take().expect("a last frame with the status");
        let status = &told["@status"];
        let code = code_of(status["status"].as_str().expect("a status"));
        assert_eq!(status["code"], code, "{status}");
        let close = match status["details"][0]["reason"].as_str() {
            // As WebSocket itself has it.
            Some("BODY_TOO_LARGE") => 1009,
            _ if code == 0 => 1000,
            _ => 4000 + code,
        };
        assert_eq!(self.close.map(u32::from), Some(close), "{status}");
        Outcome {
            code,
            message: message(status),
            details: details(status),
            metadata: metadata_of_json(&told["headers"]),
            trailers: metadata_of_json(&told["trailers"]),
            ..Outcome::default()
        }
    }
}
