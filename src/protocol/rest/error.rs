//! A fault as a REST client sees it: one of three JSON forms.

use std::sync::Arc;

use http::header::{self, HeaderMap, HeaderValue};
use http::{Response, StatusCode};
use prost::Message;
use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::answer;
use crate::codec::{self, JsonStyle, PlanSet};
use crate::fault::{Any, ErrorForm, Fault};
use crate::protocol::body::ReplyBody;
use crate::protocol::metadata;

const ANY: &str = "google.protobuf.Any";

/// What an answer needs to know of its request.
#[derive(Debug, Clone, Copy)]
pub struct Client<'r> {
    pub request_id: Option<&'r str>,
    pub is_head: bool,
    /// Whether it takes the trailers of HTTP.
    pub wants_trailers: bool,
}

/// Renders faults in a listener's form.
pub struct ErrorRenderer {
    pub form: ErrorForm,
    /// The google.rpc types, which print whether or not the schema has them.
    pub builtin: Arc<PlanSet>,
}

impl ErrorRenderer {
    /// The answer that tells of `fault`. Details are printed by the method's own schema where it knows their types.
    #[must_use]
    pub fn render(
        &self,
        fault: &mut Fault,
        client: Client<'_>,
        schema: Option<&Arc<PlanSet>>,
    ) -> Response<ReplyBody> {
        let status = fault.http_status();
        let details = self.details(fault, client.request_id, schema);
        let body = self.body(fault, status, &details);
        // What a backend says all at once are headers.
        let mut headers = metadata::into_response(fault.take_headers());
        let trailers = if client.wants_trailers { fault.take_trailers() } else { HeaderMap::new() };
        headers.insert(header::CONTENT_TYPE, self.content_type());
        say_more(&mut headers, fault, status);
        let trailers = metadata::into_response(trailers);
        answer::whole(status, headers, body.into(), trailers, client.is_head)
    }

    /// The last element of a stream that fails when its status is sent already: `{"error":…}` around the listener's form.
    #[must_use]
    pub fn element(&self, fault: &Fault, request_id: Option<&str>, schema: Option<&Arc<PlanSet>>) -> String {
        let body = self.body(fault, fault.http_status(), &self.details(fault, request_id, schema));
        match self.form {
            ErrorForm::Google => body,
            ErrorForm::Status | ErrorForm::Problem => format!("{{\"error\":{body}}}"),
        }
    }

    /// The details of a fault, each as JSON.
    #[must_use]
    pub fn details(
        &self,
        fault: &Fault,
        request_id: Option<&str>,
        schema: Option<&Arc<PlanSet>>,
    ) -> Vec<Box<RawValue>> {
        fault.details(request_id).iter().filter_map(|detail| self.detail(detail, schema)).collect()
    }

    fn body(&self, fault: &Fault, status: StatusCode, details: &[Box<RawValue>]) -> String {
        let (message, name) = (fault.message(), fault.code().name());
        let written = match self.form {
            ErrorForm::Google => {
                let error = Google { code: status.as_u16(), message, status: name, details };
                serde_json::to_string(&Envelope { error })
            }
            ErrorForm::Status => {
                serde_json::to_string(&Status { code: fault.code().number(), message, details })
            }
            ErrorForm::Problem => serde_json::to_string(&Problem {
                r#type: "about:blank",
                title: status.canonical_reason().unwrap_or(name),
                status: status.as_u16(),
                detail: message,
                code: name,
                details,
            }),
        };
        // Texts, numbers and ready JSON can always be written.
        written.unwrap_or_default()
    }

    fn content_type(&self) -> HeaderValue {
        match self.form {
            ErrorForm::Google | ErrorForm::Status => HeaderValue::from_static("application/json"),
            ErrorForm::Problem => HeaderValue::from_static("application/problem+json"),
        }
    }

    /// One detail as JSON. An `Any` whose type nobody knows is kept in base64, so nothing that a backend says is lost.
    fn detail(&self, detail: &Any, schema: Option<&Arc<PlanSet>>) -> Option<Box<RawValue>> {
        let name = detail.type_name();
        let plans = schema.filter(|plans| plans.message(name).is_some()).unwrap_or(&self.builtin);
        let any = plans.message(ANY).or_else(|| self.builtin.message(ANY))?;
        let mut text = Vec::new();
        if codec::write_message(&any, &detail.encode_to_vec(), JsonStyle::default(), &mut text).is_err() {
            let value = base64_simd::STANDARD.encode_to_string(&detail.value);
            text = json!({ "@type": detail.type_url, "value": value }).to_string().into_bytes();
        }
        RawValue::from_string(String::from_utf8(text).ok()?).ok()
    }
}

/// AIP-193.
#[derive(Serialize)]
struct Envelope<'a> {
    error: Google<'a>,
}

#[derive(Serialize)]
struct Google<'a> {
    code: u16,
    message: &'a str,
    status: &'a str,
    details: &'a [Box<RawValue>],
}

/// google/rpc/status.proto.
#[derive(Serialize)]
struct Status<'a> {
    code: u32,
    message: &'a str,
    details: &'a [Box<RawValue>],
}

/// RFC 9457, with the code and the details as extension members.
#[derive(Serialize)]
struct Problem<'a> {
    r#type: &'a str,
    title: &'a str,
    status: u16,
    detail: &'a str,
    code: &'a str,
    details: &'a [Box<RawValue>],
}

/// The headers that HTTP wants with some statuses.
pub(in crate::protocol) fn say_more(headers: &mut HeaderMap, fault: &Fault, status: StatusCode) {
    if let Some(allow) = fault.allow().and_then(|allow| HeaderValue::from_str(allow).ok()) {
        headers.insert(header::ALLOW, allow);
    }
    if status == StatusCode::UNAUTHORIZED && !headers.contains_key(header::WWW_AUTHENTICATE) {
        // RFC 9110, section 11.6.1: a 401 has a challenge.
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if let Some(delay) = fault.retry_delay() {
        let seconds = delay.as_secs() + u64::from(delay.subsec_nanos() > 0);
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
}
