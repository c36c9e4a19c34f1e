//! A fault as Connect tells it ("Error Codes", "Error and EndStreamResponse").

use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::codec::{self, JsonStyle, PlanSet};
use crate::fault::{Any, Code, Fault, Kind};

/// A fault, and what its details are read by.
pub(super) struct Described<'f> {
    pub fault: &'f Fault,
    pub request_id: Option<&'f str>,
    /// Of the method.
    pub schema: Option<&'f Arc<PlanSet>>,
    /// The google.rpc types, which print whether or not the schema has them.
    pub builtin: &'f Arc<PlanSet>,
}

impl Described<'_> {
    /// The JSON of the error.
    pub(super) fn json(&self) -> Bytes {
        // Texts and ready JSON can always be written.
        serde_json::to_vec(self).unwrap_or_default().into()
    }

    fn detail(&self, detail: &Any) -> Detail {
        Detail {
            r#type: detail.type_name().to_owned(),
            value: base64_simd::STANDARD_NO_PAD.encode_to_string(&detail.value),
            debug: self.debug(detail),
        }
    }

    /// The detail as JSON, where its type is known.
    fn debug(&self, detail: &Any) -> Option<Box<RawValue>> {
        let name = detail.type_name();
        let plan =
            self.schema.and_then(|plans| plans.message(name)).or_else(|| self.builtin.message(name))?;
        let mut json = Vec::new();
        codec::write_message(&plan, &detail.value, JsonStyle::default(), &mut json).ok()?;
        RawValue::from_string(String::from_utf8(json).ok()?).ok()
    }
}

impl Serialize for Described<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let details = self.fault.details(self.request_id);
        let error = Error {
            code: name(self.fault.rpc_code()),
            message: self.fault.message(),
            details: details.iter().map(|detail| self.detail(detail)).collect(),
        };
        error.serialize(serializer)
    }
}

#[derive(Serialize)]
struct Error<'f> {
    code: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    message: &'f str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    details: Vec<Detail>,
}

#[derive(Serialize)]
struct Detail {
    r#type: String,
    /// Base64 without padding.
    value: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    debug: Option<Box<RawValue>>,
}

/// The HTTP status of a unary call. Three of the gateway's own cases have one that no code stands for; clients that see
/// nothing but a 404 take it for `unimplemented` too ("HTTP to Error Code").
pub(super) fn http_status(fault: &Fault) -> StatusCode {
    match fault.kind() {
        Kind::WrongMethod => StatusCode::METHOD_NOT_ALLOWED,
        Kind::MediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Kind::NoRoute => StatusCode::NOT_FOUND,
        Kind::Backend
        | Kind::BadRequest
        | Kind::TooLarge
        | Kind::UrlTooLong
        | Kind::ForeignOrigin
        | Kind::Denied
        | Kind::Unauthenticated
        | Kind::Stopping
        | Kind::RateLimited
        | Kind::Overloaded
        | Kind::Unsupported
        | Kind::Incomplete
        | Kind::SlowClient
        | Kind::Deadline
        | Kind::Unreachable
        | Kind::Lost
        | Kind::BadReply
        | Kind::ReplyTooLarge
        | Kind::Bug => {
            StatusCode::from_u16(row(fault.rpc_code()).1).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
        }
    }
}

fn name(code: Code) -> &'static str {
    row(code).0
}

/// The table of the protocol.
const fn row(code: Code) -> (&'static str, u16) {
    match code {
        Code::Cancelled => ("canceled", 499),
        Code::Unknown => ("unknown", 500),
        Code::InvalidArgument => ("invalid_argument", 400),
        Code::DeadlineExceeded => ("deadline_exceeded", 504),
        Code::NotFound => ("not_found", 404),
        Code::AlreadyExists => ("already_exists", 409),
        Code::PermissionDenied => ("permission_denied", 403),
        Code::ResourceExhausted => ("resource_exhausted", 429),
        Code::FailedPrecondition => ("failed_precondition", 400),
        Code::Aborted => ("aborted", 409),
        Code::OutOfRange => ("out_of_range", 400),
        Code::Unimplemented => ("unimplemented", 501),
        Code::Internal => ("internal", 500),
        Code::Unavailable => ("unavailable", 503),
        Code::DataLoss => ("data_loss", 500),
        Code::Unauthenticated => ("unauthenticated", 401),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::{Detail as _, ErrorInfo};
    use crate::schema::builtin_pool;
    use serde_json::{Value, json};

    fn told(fault: &Fault) -> Value {
        let builtin = PlanSet::compile(&builtin_pool());
        let described = Described { fault, request_id: None, schema: None, builtin: &builtin };
        serde_json::from_slice(&described.json()).unwrap()
    }

    #[test]
    fn only_a_code_is_needed() {
        let fault = Fault::from_backend(Code::Cancelled, "", Vec::new());
        assert_eq!(told(&fault), json!({ "code": "canceled" }));
        assert_eq!(http_status(&fault).as_u16(), 499);
    }

    #[test]
    fn details_have_their_bytes_and_what_they_mean() {
        let info = ErrorInfo { reason: "R".into(), domain: "d".into(), ..ErrorInfo::default() }.pack();
        let other =
            Any { type_url: "type.googleapis.com/a.B".into(), value: Bytes::from_static(b"\x08\x01") };
        let fault = Fault::from_backend(Code::NotFound, "none", vec![info.clone(), other]);
        assert_eq!(
            told(&fault),
            json!({ "code": "not_found", "message": "none", "details": [
                {
                    "type": "google.rpc.ErrorInfo",
                    "value": base64_simd::STANDARD_NO_PAD.encode_to_string(&info.value),
                    "debug": { "reason": "R", "domain": "d" },
                },
                { "type": "a.B", "value": "CAE" },
            ] })
        );
    }

    #[test]
    fn own_cases_have_their_codes() {
        for (kind, code, status) in [
            (Kind::NoRoute, "unimplemented", 404),
            (Kind::WrongMethod, "unimplemented", 405),
            (Kind::MediaType, "invalid_argument", 415),
            (Kind::TooLarge, "resource_exhausted", 429),
            (Kind::Unsupported, "unimplemented", 501),
            (Kind::Deadline, "deadline_exceeded", 504),
        ] {
            let fault = Fault::new(kind, "R", "m");
            assert_eq!(told(&fault)["code"], code, "{kind:?}");
            assert_eq!(http_status(&fault).as_u16(), status, "{kind:?}");
        }
    }
}
