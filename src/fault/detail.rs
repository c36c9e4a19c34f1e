//! The google.rpc messages that the gateway itself makes or reads (google/rpc/{status,error_details}.proto).

use std::collections::HashMap;
use std::time::Duration;

use prost::Message;
use prost::bytes::Bytes;

/// google.protobuf.Any.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Any {
    #[prost(string, tag = "1")]
    pub type_url: String,
    #[prost(bytes = "bytes", tag = "2")]
    pub value: Bytes,
}

impl Any {
    /// The full name behind the last slash of the type URL.
    #[must_use]
    pub fn type_name(&self) -> &str {
        self.type_url.rsplit('/').next().unwrap_or_default()
    }
}

/// google.rpc.Status, as in the `grpc-status-details-bin` trailer.
#[derive(Clone, PartialEq, Message)]
pub struct RpcStatus {
    #[prost(int32, tag = "1")]
    pub code: i32,
    #[prost(string, tag = "2")]
    pub message: String,
    #[prost(message, repeated, tag = "3")]
    pub details: Vec<Any>,
}

/// google.rpc.ErrorInfo.
#[derive(Clone, PartialEq, Message)]
pub struct ErrorInfo {
    #[prost(string, tag = "1")]
    pub reason: String,
    #[prost(string, tag = "2")]
    pub domain: String,
    #[prost(map = "string, string", tag = "3")]
    pub metadata: HashMap<String, String>,
}

/// google.rpc.BadRequest.
#[derive(Clone, PartialEq, Message)]
pub struct BadRequest {
    #[prost(message, repeated, tag = "1")]
    pub field_violations: Vec<FieldViolation>,
}

/// google.rpc.BadRequest.FieldViolation.
#[derive(Clone, PartialEq, Message)]
pub struct FieldViolation {
    #[prost(string, tag = "1")]
    pub field: String,
    #[prost(string, tag = "2")]
    pub description: String,
    #[prost(string, tag = "3")]
    pub reason: String,
}

/// google.rpc.RetryInfo.
#[derive(Clone, PartialEq, Message)]
pub struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    pub retry_delay: Option<prost_types::Duration>,
}

impl RetryInfo {
    #[must_use]
    pub fn new(delay: Duration) -> Self {
        Self { retry_delay: prost_types::Duration::try_from(delay).ok() }
    }

    /// The delay in this detail, if it is a RetryInfo that says one.
    #[must_use]
    pub fn delay_in(any: &Any) -> Option<Duration> {
        Duration::try_from(Self::unpack(any)?.retry_delay?).ok()
    }
}

/// google.rpc.QuotaFailure.
#[derive(Clone, PartialEq, Message)]
pub struct QuotaFailure {
    #[prost(message, repeated, tag = "1")]
    pub violations: Vec<QuotaViolation>,
}

/// google.rpc.QuotaFailure.Violation.
#[derive(Clone, PartialEq, Message)]
pub struct QuotaViolation {
    #[prost(string, tag = "1")]
    pub subject: String,
    #[prost(string, tag = "2")]
    pub description: String,
}

/// A message that can stand among the details of a status.
pub trait Detail: Message + Default {
    /// The message's full name.
    const NAME: &'static str;

    fn pack(&self) -> Any {
        Any { type_url: format!("type.googleapis.com/{}", Self::NAME), value: self.encode_to_vec().into() }
    }

    /// The message in `any`, if it is one of this type and readable.
    fn unpack(any: &Any) -> Option<Self> {
        (any.type_name() == Self::NAME).then(|| Self::decode(any.value.clone()).ok())?
    }
}

impl Detail for ErrorInfo {
    const NAME: &'static str = "google.rpc.ErrorInfo";
}

impl Detail for BadRequest {
    const NAME: &'static str = "google.rpc.BadRequest";
}

impl Detail for QuotaFailure {
    const NAME: &'static str = "google.rpc.QuotaFailure";
}

impl Detail for RetryInfo {
    const NAME: &'static str = "google.rpc.RetryInfo";
}
