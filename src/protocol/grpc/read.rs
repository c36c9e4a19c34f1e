//! gRPC whose messages are read: those that are JSON (`application/grpc+json`), which are translated, and those that rules
//! are about. All else is as in any gRPC call.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderName;
use http_body::Body;

use super::exchange::check_version;
use super::pass::Native;
use super::status::content_type;
use crate::fault::Fault;
use crate::policy::{Admitted, Codec};
use crate::protocol::body::BoxError;
use crate::protocol::messages::{Exchange, Names, Terms};
use crate::protocol::{Reply, metadata};

/// How messages are compressed (gRPC's compression.md).
pub(in crate::protocol) const NAMES: Names = Names {
    encoding: HeaderName::from_static("grpc-encoding"),
    accept: HeaderName::from_static("grpc-accept-encoding"),
};

/// Begins the call and gives its answer, which goes on while it is sent.
///
/// # Errors
/// As [`super::Exchange::run`], and a message that can't be read.
pub(in crate::protocol) async fn run_read<B>(
    exchange: &Arc<Exchange>,
    codec: Codec,
    admitted: Admitted<B>,
) -> Result<Reply, Fault>
where
    B: Body<Data = Bytes> + Unpin + Send + 'static,
    B::Error: Into<BoxError> + Send,
{
    check_version(admitted.call().head.version)?;
    let (mut admitted, body) = admitted.split();
    let headers = &mut admitted.call_mut().head.headers;
    let codings = exchange.codings(headers, &NAMES)?;
    *headers = metadata::from_grpc_request(std::mem::take(headers));
    let terms = Terms {
        codec,
        carrier: Native,
        codings,
        encoding: NAMES.encoding,
        content_type: content_type(codec),
        head: metadata::into_grpc_response,
    };
    exchange.run(admitted, body, terms).await
}
