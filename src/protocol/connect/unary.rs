//! A unary call: its message is the body or in the query, its status that of HTTP ("Unary-Request", "Unary-Response").

use std::sync::Arc;

use bytes::Bytes;
use http::Response;
use http::header::{self, HeaderMap, HeaderName};
use http_body::Body;

use super::{content_type, query};
use crate::fault::Fault;
use crate::policy::{Admitted, Call, Cleared, Connect, ConnectForm, put_timeout};
use crate::protocol::body::{BoxError, ReplyBody};
use crate::protocol::compression::{Allowance, Unpacked, decompress};
use crate::protocol::messages::{Exchange, Names, Translator, known};
use crate::protocol::{Reply, metadata, read};
use crate::upstream::UnaryReply;

/// A body is compressed as in all of HTTP; what becomes of the answer is not seen to here.
const NAMES: Names = Names { encoding: header::CONTENT_ENCODING, accept: header::ACCEPT_ENCODING };

/// Reads the message, calls the backend, and gives its answer.
pub(super) async fn run<B>(
    exchange: &Arc<Exchange>,
    connect: Connect,
    mut admitted: Admitted<()>,
    body: B,
) -> Result<Reply, Fault>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError> + Send,
{
    let call = admitted.call_mut();
    let translator = Translator {
        exchange: Arc::clone(exchange),
        method: Arc::clone(&call.resolved.method),
        codec: connect.codec,
    };
    let message = message(exchange, connect, call, body).await?;
    let message = translator.request(&message)?;
    let mut headers = metadata::from_request(std::mem::take(&mut call.head.headers))?;
    metadata::put_call(&mut headers);
    put_timeout(&mut headers, call.limit.deadline);
    let reply = Cleared::with_message(admitted, message)
        .await?
        .unary_whole(exchange.worker, headers, exchange.max_reply)
        .await?;
    let UnaryReply { headers, message, trailers } = reply;
    let mut response = Response::new(ReplyBody::from(translator.reply_alone(message)?));
    let mut headers = metadata::into_response(headers);
    put_trailers(&mut headers, trailers);
    headers.insert(header::CONTENT_TYPE, content_type(connect));
    *response.headers_mut() = headers;
    Ok(response)
}

/// The client's message, as it encoded it.
async fn message<B>(exchange: &Exchange, connect: Connect, call: &Call<()>, body: B) -> Result<Bytes, Fault>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError> + Send,
{
    match connect.form {
        ConnectForm::Get => {
            let query = query::read(call.head.uri.query().unwrap_or_default())?;
            let name = query.compression.as_deref().unwrap_or("identity");
            match known(name, "compression", &NAMES.accept, exchange.unpacking)? {
                Some(coding) => Ok(decompress(coding, query.message, call.max_body)?),
                None => Ok(query.message),
            }
        }
        ConnectForm::Unary | ConnectForm::Stream => {
            let headers = &call.head.headers;
            // An unknown coding is another error here than in HTTP at large.
            exchange.codings(headers, &NAMES)?;
            let body = Unpacked::new(headers, body, Allowance::Whole(call.max_body), exchange.unpacking)?;
            read::whole(body, call.max_body, exchange.body_patience).await
        }
    }
}

/// Puts trailing metadata among the headers ("Prefixed-Trailing-Metadata").
pub(super) fn put_trailers(headers: &mut HeaderMap, trailers: HeaderMap) {
    for (name, value) in &metadata::into_response(trailers) {
        // A name with a prefix of letters is a name.
        if let Ok(prefixed) = HeaderName::try_from(format!("trailer-{name}")) {
            headers.append(prefixed, value.clone());
        }
    }
}
