//! gRPC-Web (PROTOCOL-WEB): a gRPC call that passes through, in a body that browsers can read. The frames are the same; the
//! trailers are a last frame, and the text form is all of it in base64.

mod body;
mod text;

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use http_body::Body;

use self::body::WebBody;
use super::body::{BoxError, ReplyBody};
use super::carrier::{Carrier, Last};
use super::compression::{Allowance, Unpacked};
use super::messages::Terms;
use super::{Reply, grpc, messages, metadata};
use crate::fault::Fault;
use crate::policy::{Admitted, Codec, WebForm};

/// Begins the call and gives its answer, which goes on while it is sent.
///
/// # Errors
/// As [`grpc::Exchange::run`], but over any HTTP.
pub(super) async fn run<B>(
    exchange: &grpc::Exchange,
    form: WebForm,
    admitted: Admitted<B>,
) -> Result<Reply, Fault>
where
    B: Body<Data = Bytes> + Unpin + Send + 'static,
    B::Error: Into<BoxError> + Send,
{
    let (admitted, body) = admitted.split();
    let call = admitted.call();
    let answer = answer_form(&call.head.headers, form);
    // Messages have their limit in themselves.
    let allowance = Allowance::Stream(call.max_body);
    let body = Unpacked::new(&call.head.headers, body, allowance, exchange.unpacking)?;
    let outgoing = |headers| Ok(outgoing(headers));
    let mut reply = exchange.pass(admitted, WebBody::new(body, form), outgoing, Web(answer)).await?;
    let native = reply.headers().get(header::CONTENT_TYPE);
    let codec = native.and_then(|native| codec_of(native.as_bytes())).unwrap_or("+proto");
    let content_type = content_type(answer, codec);
    reply.headers_mut().insert(header::CONTENT_TYPE, content_type);
    Ok(reply)
}

/// [`run`] of a call whose messages are read.
///
/// # Errors
/// As there, and a message that can't be read.
pub(super) async fn run_read<B>(
    exchange: &Arc<messages::Exchange>,
    form: WebForm,
    codec: Codec,
    admitted: Admitted<B>,
) -> Result<Reply, Fault>
where
    B: Body<Data = Bytes> + Unpin + Send + 'static,
    B::Error: Into<BoxError> + Send,
{
    let (mut admitted, body) = admitted.split();
    let call = admitted.call_mut();
    let allowance = Allowance::Stream(call.max_body);
    let body = Unpacked::new(&call.head.headers, body, allowance, exchange.unpacking)?;
    let headers = &mut call.head.headers;
    let answer = answer_form(headers, form);
    let codings = exchange.codings(headers, &grpc::NAMES)?;
    *headers = outgoing(std::mem::take(headers));
    let terms = Terms {
        codec,
        carrier: Web(answer),
        codings,
        encoding: grpc::NAMES.encoding,
        content_type: content_type(answer, suffix(codec)),
        head: metadata::into_grpc_response,
    };
    exchange.run(admitted, WebBody::new(body, form), terms).await
}

/// A call that failed before it had an answer: a body whose only frame is the trailers.
#[must_use]
pub fn render(form: WebForm, codec: Codec, fault: &mut Fault, request_id: Option<&str>) -> Reply {
    let initial = grpc::initial_of(fault);
    let mut trailers = grpc::trailers_of(fault, request_id);
    // They describe a body that is not there.
    trailers.remove(header::CONTENT_TYPE);
    let mut response = Response::new(ReplyBody::from(Web(form).data(frame(&trailers))));
    *response.status_mut() = StatusCode::OK;
    *response.headers_mut() = initial;
    response.headers_mut().insert(header::CONTENT_TYPE, content_type(form, suffix(codec)));
    response
}

/// The form of the answer: the one that `Accept` names, or that of the request.
fn answer_form(headers: &HeaderMap, request: WebForm) -> WebForm {
    let accept = headers.get(header::ACCEPT).map_or(&b""[..], |accept| accept.as_bytes());
    if super::detect::is_type(accept, b"application/grpc-web-text") {
        WebForm::Text
    } else if super::detect::is_type(accept, b"application/grpc-web") {
        WebForm::Binary
    } else {
        request
    }
}

/// `+proto` of `application/grpc-web+proto`, in all of these types; parameters mean nothing.
fn codec_of(content_type: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(content_type).ok()?;
    let plain = text.split(';').next().unwrap_or_default().trim_end();
    plain.find('+').and_then(|at| plain.get(at..))
}

fn suffix(codec: Codec) -> &'static str {
    match codec {
        Codec::Proto | Codec::Other => "+proto",
        Codec::Json => "+json",
    }
}

fn content_type(form: WebForm, codec: &str) -> HeaderValue {
    let name = match form {
        WebForm::Binary => "application/grpc-web",
        WebForm::Text => "application/grpc-web-text",
    };
    HeaderValue::from_str(&format!("{name}{codec}"))
        .unwrap_or(HeaderValue::from_static("application/grpc-web"))
}

/// The headers of the native call.
fn outgoing(headers: HeaderMap) -> HeaderMap {
    const X_GRPC_WEB: HeaderName = HeaderName::from_static("x-grpc-web");
    let mut headers = metadata::from_grpc_request(headers);
    let codec =
        headers.get(header::CONTENT_TYPE).and_then(|value| codec_of(value.as_bytes())).unwrap_or_default();
    let native = HeaderValue::from_str(&format!("application/grpc{codec}"));
    headers.insert(header::CONTENT_TYPE, native.unwrap_or(HeaderValue::from_static("application/grpc")));
    // What only says that it is gRPC-Web, and what is about the body of HTTP.
    for name in [X_GRPC_WEB, header::ACCEPT, header::ACCEPT_ENCODING, header::CONTENT_ENCODING] {
        headers.remove(name);
    }
    headers
}

/// Frames, with the trailers as a last one.
struct Web(WebForm);

impl Carrier for Web {
    const FLAGS: u8 = 1;

    fn data(&mut self, data: Bytes) -> Bytes {
        match self.0 {
            WebForm::Binary => data,
            // Padding may stand behind every piece.
            WebForm::Text => base64_simd::STANDARD.encode_to_string(&data).into(),
        }
    }

    fn end(&mut self, trailers: Option<HeaderMap>) -> Option<Last> {
        trailers.map(|trailers| Last::Frame(frame(&trailers)))
    }

    fn fail(&mut self, fault: &mut Fault, request_id: Option<&str>) -> Last {
        Last::Frame(frame(&grpc::trailers_of(fault, request_id)))
    }
}

/// The flag of a frame that holds trailers.
const TRAILERS: u8 = 0x80;

/// Trailers as a frame: header lines as HTTP/1.1 writes them, with names in lower case.
fn frame(trailers: &HeaderMap) -> Bytes {
    let mut text = BytesMut::with_capacity(128);
    for (name, value) in trailers {
        text.put_slice(name.as_str().as_bytes());
        text.put_slice(b": ");
        text.put_slice(value.as_bytes());
        text.put_slice(b"\r\n");
    }
    let mut frame = BytesMut::with_capacity(5 + text.len());
    frame.put_u8(TRAILERS);
    // A head is limited to far less than 4 GiB.
    frame.put_u32(u32::try_from(text.len()).unwrap_or(u32::MAX));
    frame.put_slice(&text);
    frame.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trailers_are_lines_in_a_frame() {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from_static("0"));
        assert_eq!(frame(&trailers), &b"\x80\0\0\0\x10grpc-status: 0\r\n"[..]);
    }

    #[test]
    fn codecs_stay() {
        for (from, to) in [
            ("application/grpc-web", "application/grpc"),
            ("application/grpc-web+proto", "application/grpc+proto"),
            ("application/grpc-web-text+proto; a=b", "application/grpc+proto"),
            ("application/grpc-web+thrift", "application/grpc+thrift"),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(from));
            assert_eq!(outgoing(headers)[header::CONTENT_TYPE], to);
        }
    }

    #[test]
    fn accept_may_ask_for_the_other_form() {
        for (accept, request, answer) in [
            ("", WebForm::Text, WebForm::Text),
            ("*/*", WebForm::Binary, WebForm::Binary),
            ("application/grpc-web-text", WebForm::Binary, WebForm::Text),
            ("application/grpc-web+proto", WebForm::Text, WebForm::Binary),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            assert_eq!(answer_form(&headers, request), answer, "{accept}");
        }
    }
}
