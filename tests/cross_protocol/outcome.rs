//! What a call comes to, in terms of no protocol.

use std::collections::BTreeMap;

use http::HeaderMap;
use prost::Message;
use prost_reflect::DynamicMessage;
use serde_json::{Value, json};
use transom::fault::{Any, RpcStatus};

use crate::support::Schema;

/// Metadata by name. Binary values are base64 without padding.
pub type Metadata = BTreeMap<String, Vec<String>>;

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outcome {
    /// As ProtoJSON, defaults left out.
    pub messages: Vec<Value>,
    /// google.rpc.Code.
    pub code: u32,
    pub message: String,
    /// Each as ProtoJSON with its `@type`, the request's id left out.
    pub details: Vec<Value>,
    pub metadata: Metadata,
    pub trailers: Metadata,
}

/// The metadata of the calls in the table begin with this; all else is up to the protocols.
const PREFIX: &str = "t-";

/// The metadata among these headers. `prefix` stands before their names, and is not part of them.
pub fn metadata(headers: &HeaderMap, prefix: &str) -> Metadata {
    let mut found = Metadata::new();
    for (name, value) in headers {
        let is_ours = |name: &&str| name.starts_with(PREFIX) || *name == "authorization";
        let name = name.as_str().strip_prefix(prefix).filter(is_ours);
        if let Some(name) = name {
            let value = value.to_str().expect("metadata in ASCII");
            found.entry(name.to_owned()).or_default().extend(values(name, value));
        }
    }
    found
}

/// Metadata as an object of lists.
pub fn metadata_of_json(object: &Value) -> Metadata {
    let mut found = Metadata::new();
    for (name, list) in object.as_object().into_iter().flatten() {
        if name.starts_with(PREFIX) {
            for value in list.as_array().expect("a list of values") {
                let value = value.as_str().expect("a text");
                found.entry(name.clone()).or_default().extend(values(name, value));
            }
        }
    }
    found
}

/// Binary values may be joined with commas, and padded or not.
fn values(name: &str, value: &str) -> Vec<String> {
    if name.ends_with("-bin") {
        value.split(',').map(|value| value.trim().trim_end_matches('=').to_owned()).collect()
    } else {
        vec![value.to_owned()]
    }
}

/// These pairs as metadata.
pub fn pairs(pairs: &[(&str, &str)]) -> Metadata {
    let mut found = Metadata::new();
    for (name, value) in pairs {
        found.entry((*name).to_owned()).or_default().extend(values(name, value));
    }
    found
}

/// The number of a code by its name.
pub fn code_of(name: &str) -> u32 {
    let upper = name.to_ascii_uppercase();
    if upper == "OK" {
        return 0;
    }
    // The spelling of the Connect protocol.
    let upper = if upper == "CANCELED" { "CANCELLED" } else { &upper };
    let code = transom::fault::Code::ALL.into_iter().find(|code| code.name() == upper);
    code.unwrap_or_else(|| panic!("{name} is no code")).number()
}

/// A detail in its bytes.
pub fn detail_of_bytes(schema: &Schema, name: &str, value: &[u8]) -> Value {
    let message = schema.pool.get_message_by_name(name).unwrap_or_else(|| panic!("no type {name}"));
    let message = DynamicMessage::decode(message, value).expect("the detail is readable");
    let mut detail = serde_json::to_value(&message).expect("a message has a JSON form");
    detail["@type"] = json!(format!("type.googleapis.com/{name}"));
    neutral(detail)
}

/// A detail without what differs from call to call.
pub fn neutral(mut detail: Value) -> Value {
    if detail["domain"] == "transom" {
        let metadata = detail["metadata"].take();
        assert!(metadata["request_id"].is_string() || metadata["requestId"].is_string(), "{metadata}");
        detail.as_object_mut().expect("an object").remove("metadata");
    }
    detail
}

/// The details of a google.rpc.Status.
pub fn details_of_status(schema: &Schema, status: &[u8]) -> Vec<Value> {
    let status = RpcStatus::decode(status).expect("a google.rpc.Status");
    status.details.iter().map(|any: &Any| detail_of_bytes(schema, any.type_name(), &any.value)).collect()
}
