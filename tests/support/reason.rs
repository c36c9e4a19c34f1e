//! Why the gateway refused a call, in whatever protocol it told so.

use base64_simd::{STANDARD, STANDARD_NO_PAD};
use prost::Message;
use transom::fault::{Detail, ErrorInfo, RpcStatus};

use super::reply::Reply;

/// The reason of a refusal, in whatever form it was told; none where there is no ErrorInfo of the gateway's.
pub fn reason(reply: &Reply) -> Option<String> {
    let of_status = |text: &str| {
        let status = RpcStatus::decode(STANDARD_NO_PAD.decode_to_vec(text).ok()?.as_slice()).ok()?;
        Some(ErrorInfo::unpack(status.details.first()?)?.reason)
    };
    const DETAILS: &str = "grpc-status-details-bin";
    for fields in [&reply.headers, &reply.trailers] {
        if let Some(details) = fields.get(DETAILS) {
            return of_status(details.to_str().ok()?);
        }
    }
    let body = match reply.headers.get("content-type").map(|value| value.as_bytes()) {
        Some(kind) if kind.starts_with(b"application/grpc-web-text") => {
            STANDARD.decode_to_vec(&reply.body).ok()?
        }
        Some(_) | None => reply.body.clone(),
    };
    let text = String::from_utf8_lossy(&body);
    if let Some((_, details)) = text.split_once(&format!("{DETAILS}:")) {
        return of_status(details.split("\r\n").next()?.trim());
    }
    let json: serde_json::Value = serde_json::from_slice(&body).ok()?;
    let details = json["error"]["details"].as_array().or(json["details"].as_array())?.first()?;
    let reason = details["reason"].as_str().or(details["debug"]["reason"].as_str())?;
    Some(reason.to_owned())
}
