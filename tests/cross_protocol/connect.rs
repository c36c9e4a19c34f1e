//! Unary calls of Connect, by POST and by GET, and its errors.

use http::HeaderMap;
use serde_json::Value;
use transom::protocol::compression::Coding;

use crate::coding::{Unpacker, named, pack};
use crate::outcome::{Outcome, code_of, detail_of_bytes, metadata};
use crate::session::{Codec, Form};
use crate::support::Schema;
use crate::table::Call;
use crate::wire::{Head, Opening};

pub struct Unary<'s> {
    by_get: bool,
    codec: Codec,
    coding: Option<Coding>,
    schema: &'s Schema,
    unpacker: Option<Unpacker>,
    status: u16,
    body: Option<Vec<u8>>,
    was_packed: bool,
}

impl<'s> Unary<'s> {
    pub fn new(by_get: bool, codec: Codec, coding: Option<Coding>, schema: &'s Schema) -> Self {
        Self {
            by_get,
            codec,
            coding,
            schema,
            unpacker: None,
            status: 0,
            body: Some(Vec::new()),
            was_packed: false,
        }
    }
}

impl Form for Unary<'_> {
    fn open(&mut self, call: &Call, first: Option<&Value>) -> Opening {
        let message = self.codec.encode(self.schema, first.expect("a unary call has a message"));
        let message = pack(self.coding, &message);
        let mut headers = call.headers();
        let mut put = |name: &str, value: String| headers.push((name.to_owned(), value));
        if let Some(timeout) = call.timeout {
            put("connect-timeout-ms", timeout.as_millis().to_string());
        }
        if let Some(coding) = self.coding {
            put("accept-encoding", coding.name().to_owned());
        }
        let codec = self.codec.name();
        if self.by_get {
            let message = base64_simd::URL_SAFE_NO_PAD.encode_to_string(&message);
            let compression = self.coding.map_or("identity", Coding::name);
            let target = format!(
                "{}?connect=v1&encoding={codec}&base64=1&compression={compression}&message={message}",
                call.path()
            );
            return Opening { method: "GET", target, headers, body: Some(Vec::new()), upgrade: None };
        }
        put("content-type", format!("application/{codec}"));
        put("connect-protocol-version", "1".to_owned());
        if let Some(coding) = self.coding {
            put("content-encoding", coding.name().to_owned());
        }
        Opening { method: "POST", target: call.path(), headers, body: Some(message), upgrade: None }
    }

    fn message(&mut self, _: &Value) -> Vec<u8> {
        unreachable!("it was sent at once")
    }

    fn end(&mut self) -> Vec<u8> {
        Vec::new()
    }

    fn take(&mut self, head: &Head, piece: &[u8]) {
        let coding =
            head.headers.get("content-encoding").and_then(|name| named(name.to_str().expect("a name")));
        self.was_packed |= coding.is_some();
        let piece = self.unpacker.get_or_insert_with(|| Unpacker::new(coding)).piece(piece);
        self.body.as_mut().expect("it is not read yet").extend(piece);
        self.status = head.status;
    }

    fn next(&mut self, ended: bool) -> Option<Value> {
        if !ended || !matches!(self.status, 0 | 200) {
            return None;
        }
        let body = self.body.take()?;
        Some(self.codec.decode(self.schema, &body))
    }

    fn was_packed(&self) -> bool {
        self.was_packed
    }

    fn outcome(&mut self, head: &Head, _: &HeaderMap) -> Outcome {
        let outcome = if head.status == 200 {
            Outcome::default()
        } else {
            let error = self.body.take().expect("an error");
            outcome_of_error(&serde_json::from_slice(&error).expect("JSON"), self.schema)
        };
        let trailers = metadata(&head.headers, "trailer-");
        Outcome { metadata: metadata(&head.headers, ""), trailers, ..outcome }
    }
}

/// What an error says of its call.
pub fn outcome_of_error(error: &Value, schema: &Schema) -> Outcome {
    let detail = |detail: &Value| {
        let value = detail["value"].as_str().expect("a value").as_bytes();
        let value = base64_simd::STANDARD_NO_PAD.decode_to_vec(value).expect("base64 without padding");
        detail_of_bytes(schema, detail["type"].as_str().expect("a type"), &value)
    };
    Outcome {
        code: code_of(error["code"].as_str().expect("a code")),
        message: error["message"].as_str().unwrap_or_default().to_owned(),
        details: error["details"].as_array().into_iter().flatten().map(detail).collect(),
        ..Outcome::default()
    }
}
