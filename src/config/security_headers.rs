//! The part `security_headers` of a listener: what browsers are told about its answers.

use http::{HeaderName, HeaderValue};

use super::reader::Value;
use super::values::{self, Wrong};
use crate::policy::{SecurityHeaders, Wins};

/// `safe`, `off`, or a map of choices. `None` where nothing is added, or beside a reported error.
pub(super) fn read(value: &Value<'_>, is_secure: bool) -> Option<SecurityHeaders> {
    let mut headers = if value.is_map() {
        value.map(|map| {
            let preset = [("safe", SecurityHeaders::safe()), ("none", SecurityHeaders::none())];
            let mut headers = SecurityHeaders::safe();
            map.set("preset", &mut headers, |text| values::choice(text, &preset));
            if let Some(set) = map.get("set") {
                for (name, value) in set.entries(name) {
                    let value = value.parse(self::value);
                    if let (Some(name), Some(value)) = (name, value) {
                        headers.set(name, value);
                    }
                }
            }
            for name in map.list("leave_out", name).unwrap_or_default() {
                headers.leave_out(&name);
            }
            let table = [("backend", Wins::Backend), ("gateway", Wins::Gateway)];
            map.set("wins", &mut headers.wins, |text| values::choice(text, &table));
            headers
        })?
    } else {
        let table = [("safe", Some(SecurityHeaders::safe())), ("off", None)];
        value.parse(|text| values::choice(text, &table))??
    };
    if !is_secure {
        // Without TLS browsers must not heed it (RFC 6797, section 8.1).
        headers.leave_out(&http::header::STRICT_TRANSPORT_SECURITY);
    }
    Some(headers)
}

/// The name of a header that is the operator's to choose.
fn name(text: &str) -> Result<HeaderName, Wrong> {
    let name =
        HeaderName::try_from(text).map_err(|_| Wrong::new(format!("`{text}` is no name of a header")))?;
    let is_own =
        ["content-type", "content-length", "content-encoding", "connection", "transfer-encoding", "date"]
            .contains(&name.as_str())
            || name.as_str().starts_with("grpc-")
            || name.as_str().starts_with("access-control-");
    if is_own { Err(Wrong::new(format!("`{name}` is the gateway's own to say"))) } else { Ok(name) }
}

fn value(text: &str) -> Result<HeaderValue, Wrong> {
    HeaderValue::from_str(text).map_err(|_| Wrong::new(format!("`{text}` is no value of a header")))
}
