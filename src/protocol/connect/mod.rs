//! Connect (connectrpc.com, "Connect Protocol Reference"): one message in a body or a query, and streams in frames. The
//! status of a unary call is HTTP's; a stream has it in its last frame.

mod end;
mod error;
mod query;
mod stream;
mod unary;

use std::sync::Arc;

use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Response, StatusCode};
use http_body::Body;

pub(super) use query::asks_by_query;

use self::error::Described;
use super::body::{BoxError, ReplyBody};
use super::{Exchanges, Reply, metadata, rest};
use crate::codec::PlanSet;
use crate::fault::{Fault, Kind};
use crate::policy::{Admitted, Codec, Connect, ConnectForm, Method};

const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("connect-protocol-version");

/// Reads the request, calls the backend, and gives its answer.
///
/// # Errors
/// A request that can't be understood, and whatever the backend fails with before the answer has begun.
pub(super) async fn run<B>(
    exchanges: &Exchanges,
    connect: Connect,
    admitted: Admitted<B>,
) -> Result<Reply, Fault>
where
    B: Body<Data = Bytes> + Unpin + Send + 'static,
    B::Error: Into<BoxError> + Send,
{
    let call = admitted.call();
    check_version(&call.head)?;
    check_form(connect, &call.resolved.method)?;
    let (admitted, body) = admitted.split();
    match connect.form {
        ConnectForm::Unary | ConnectForm::Get => {
            unary::run(&exchanges.messages, connect, admitted, body).await
        }
        ConnectForm::Stream => stream::run(exchanges, connect.codec, admitted, body).await,
    }
}

/// There is one version, which a client may leave unsaid.
fn check_version(head: &Parts) -> Result<(), Fault> {
    let message = "the only version of the Connect protocol is 1";
    let bad = || Fault::invalid_argument("PROTOCOL_VERSION", message);
    if head.headers.get_all(PROTOCOL_VERSION).iter().any(|version| version != "1") {
        return Err(bad().at(PROTOCOL_VERSION.as_str()));
    }
    match head.uri.query().and_then(query::version) {
        Some(version) if version != "v1" && head.method == http::Method::GET => Err(bad().at("connect")),
        Some(_) | None => Ok(()),
    }
}

/// Unary methods and streams have content types of their own, so that no client takes the 200 of a failed stream for
/// success.
fn check_form(connect: Connect, method: &Method) -> Result<(), Fault> {
    let unsupported = |message| Err(Fault::new(Kind::MediaType, "UNSUPPORTED_MEDIA_TYPE", message));
    let fits = match connect.form {
        ConnectForm::Unary | ConnectForm::Get => method.is_unary(),
        ConnectForm::Stream => !method.is_unary(),
    };
    match (connect.codec, method.is_unary()) {
        (Codec::Proto | Codec::Json, _) if fits => Ok(()),
        (Codec::Proto | Codec::Json | Codec::Other, true) => {
            unsupported("this method takes application/json and application/proto")
        }
        (Codec::Proto | Codec::Json | Codec::Other, false) => {
            unsupported("this method takes application/connect+json and application/connect+proto")
        }
    }
}

fn content_type(connect: Connect) -> HeaderValue {
    HeaderValue::from_static(match (connect.form, connect.codec) {
        (ConnectForm::Unary | ConnectForm::Get, Codec::Json) => "application/json",
        (ConnectForm::Unary | ConnectForm::Get, Codec::Proto | Codec::Other) => "application/proto",
        (ConnectForm::Stream, Codec::Json) => "application/connect+json",
        (ConnectForm::Stream, Codec::Proto | Codec::Other) => "application/connect+proto",
    })
}

/// A call that failed before it had an answer.
#[must_use]
pub fn render(
    connect: Connect,
    fault: &mut Fault,
    request_id: Option<&str>,
    schema: Option<&Arc<PlanSet>>,
    builtin: &Arc<PlanSet>,
) -> Reply {
    let (headers, trailers) = fault.take_metadata();
    let described = Described { fault, request_id, schema, builtin };
    let mut headers = metadata::into_response(headers);
    let is_stream = match (connect.form, fault.kind()) {
        // Whoever sends these doesn't speak the streaming form.
        (ConnectForm::Unary | ConnectForm::Get, _) | (_, Kind::MediaType | Kind::WrongMethod) => false,
        (ConnectForm::Stream, _) => true,
    };
    let (status, content_type, body) = if is_stream {
        (StatusCode::OK, content_type(connect), end::frame(Some(&described), trailers))
    } else {
        let status = error::http_status(fault);
        unary::put_trailers(&mut headers, trailers);
        rest::say_more(&mut headers, fault, status);
        (status, HeaderValue::from_static("application/json"), described.json())
    };
    headers.insert(header::CONTENT_TYPE, content_type);
    let mut response = Response::new(ReplyBody::from(body));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}
