//! How a session tells its end: a last text frame with the status, and the close code.

use std::sync::Arc;

use http::HeaderMap;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::codec::PlanSet;
use crate::fault::Fault;
use crate::protocol::metadata;
use crate::protocol::rest::ErrorRenderer;

/// Close codes from here on are an application's own (RFC 6455, section 7.4.2); the status is added.
const STATUS: u16 = 4000;
/// What fits into a close frame beside its code.
const MAX_REASON: usize = 123;

/// A session's end, as its client is told.
pub(super) struct End {
    pub text: String,
    pub close: CloseFrame,
}

#[derive(Serialize)]
struct Last<'a> {
    #[serde(rename = "@status")]
    status: Status<'a>,
    #[serde(skip_serializing_if = "serde_json::Map::is_empty")]
    headers: serde_json::Map<String, serde_json::Value>,
    #[serde(skip_serializing_if = "serde_json::Map::is_empty")]
    trailers: serde_json::Map<String, serde_json::Value>,
}

#[derive(Serialize)]
struct Status<'a> {
    /// google.rpc.Code.
    code: u32,
    status: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    message: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    details: &'a [Box<RawValue>],
}

impl End {
    /// A call that ended well.
    pub(super) fn ok(headers: HeaderMap, trailers: HeaderMap) -> Self {
        let status = Status { code: 0, status: "OK", message: "", details: &[] };
        let close = CloseFrame { code: CloseCode::Normal, reason: "".into() };
        Self { text: text(&Last { status, headers: map(headers), trailers: map(trailers) }), close }
    }

    /// A call that failed.
    pub(super) fn failed(
        fault: &mut Fault,
        headers: HeaderMap,
        errors: &ErrorRenderer,
        request_id: Option<&str>,
        schema: &Arc<PlanSet>,
    ) -> Self {
        let details = errors.details(fault, request_id, Some(schema));
        // Initial metadata came before, and is in `headers`.
        let trailers = map(fault.take_metadata().1);
        let code = fault.rpc_code();
        let status =
            Status { code: code.number(), status: code.name(), message: fault.message(), details: &details };
        // The code has two digits.
        let number = STATUS + u16::try_from(code.number()).unwrap_or_default();
        let reason = fault.message();
        let reason = reason.get(..reason.floor_char_boundary(MAX_REASON)).unwrap_or_default().to_owned();
        let close = CloseFrame { code: CloseCode::from(number), reason: reason.into() };
        Self { text: text(&Last { status, headers: map(headers), trailers }), close }
    }
}

fn text(last: &Last<'_>) -> String {
    // Texts, numbers and ready JSON can always be written.
    serde_json::to_string(last).unwrap_or_default()
}

/// Metadata as lists of texts by name. What is no text is left out; binary values are base64 already.
fn map(headers: HeaderMap) -> serde_json::Map<String, serde_json::Value> {
    let headers = metadata::into_response(headers);
    let mut map = serde_json::Map::new();
    for name in headers.keys() {
        let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        map.insert(name.as_str().to_owned(), values.collect());
    }
    map
}
