//! A native gRPC call from its head to the moment that its answer begins.

use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::{Response, Version};
use http_body::Body;

use super::forward::Forward;
use super::pass::{Begun, Native, Pass};
use crate::fault::{Fault, Kind};
use crate::policy::{Admitted, Cleared, put_timeout};
use crate::protocol::body::{BoxError, ReplyBody};
use crate::protocol::carrier::Carrier;
use crate::protocol::compression::Unpacking;
use crate::protocol::in_time::in_time;
use crate::protocol::metadata;
use crate::telemetry::REQUEST_ID;
use crate::upstream::FrameWalk;

/// Carries gRPC calls.
pub struct Exchange {
    /// Whose connections are used.
    pub worker: usize,
    /// The largest message of a reply, in bytes.
    pub max_reply: usize,
    /// How long the next piece of a single message may take.
    pub body_patience: Duration,
    /// Whether compressed bodies of gRPC-Web are read. gRPC itself packs messages, not bodies.
    pub unpacking: Unpacking,
}

impl Exchange {
    /// Begins the call and gives its answer, which goes on while it is sent.
    ///
    /// # Errors
    /// No HTTP/2, no connection, or a call that fails before the backend answers.
    pub async fn run<B>(&self, admitted: Admitted<B>) -> Result<Response<ReplyBody>, Fault>
    where
        B: Body<Data = Bytes> + Unpin + Send + 'static,
        B::Error: Into<BoxError> + Send,
    {
        check_version(admitted.call().head.version)?;
        let (admitted, body) = admitted.split();
        self.pass(admitted, body, |headers| Ok(metadata::from_grpc_request(headers)), Native).await
    }

    /// Passes a call through whose body is gRPC frames, whatever carries them. `outgoing` makes the backend's metadata of
    /// the client's headers.
    pub(in crate::protocol) async fn pass<B, C>(
        &self,
        mut admitted: Admitted<()>,
        body: B,
        outgoing: impl FnOnce(HeaderMap) -> Result<HeaderMap, Fault>,
        carrier: C,
    ) -> Result<Response<ReplyBody>, Fault>
    where
        B: Body<Data = Bytes> + Unpin + Send + 'static,
        B::Error: Into<BoxError> + Send,
        C: Carrier + 'static,
    {
        let call = admitted.call_mut();
        let method = &call.resolved.method;
        let (max, limit, single) = (call.max_body, call.limit.clone(), !method.server_streaming);
        let max_reply = method.max_reply.unwrap_or(self.max_reply);
        let patience = (!method.client_streaming).then_some(self.body_patience);
        let request_id = call.head.headers.get(REQUEST_ID).cloned();
        let mut headers = outgoing(std::mem::take(&mut call.head.headers))?;
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
        put_timeout(&mut headers, limit.deadline);
        let (sender, reply, again) = Cleared::unread(admitted)?.pass(self.worker, headers).await?;
        let forward = Forward::new(body, sender, FrameWalk::new(max, C::FLAGS), patience);
        let mut pass = Pass::new(forward, reply, carrier, single, max_reply, limit.clone()).with_again(again);
        let (head, body) = loop {
            let head = metadata::into_grpc_response(pass.head().await?);
            match pass.begin().await {
                Begun::Whole(body) => break (head, body),
                Begun::Live => {
                    pass.identify(request_id.as_ref().and_then(|id| id.to_str().ok()));
                    break (head, in_time(pass, &limit));
                }
                Begun::Again => {}
            }
        };
        let mut response = Response::new(body);
        *response.headers_mut() = head;
        Ok(response)
    }
}

/// gRPC needs trailers, and messages both ways at once.
pub(super) fn check_version(version: Version) -> Result<(), Fault> {
    if version < Version::HTTP_2 {
        let message = "gRPC needs HTTP/2; over HTTP/1.1 there is gRPC-Web";
        return Err(Fault::new(Kind::BadRequest, "HTTP2_NEEDED", message));
    }
    Ok(())
}
