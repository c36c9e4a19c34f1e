//! The protocols of clients: each turns a request into messages and the answer, or a [`Fault`], back.

mod body;
mod carrier;
pub mod compression;
pub mod connect;
mod detect;
pub mod grpc;
pub mod grpc_web;
mod in_time;
pub mod messages;
mod metadata;
mod read;
pub mod rest;
pub mod websocket;
mod weight;

use std::future::ready;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http_body::Body;

pub use body::{Aborted, BoxError, LiveBody, ReplyBody};
pub use detect::{detect, unsaid_connect};
pub use metadata::is_reserved_metadata;

use crate::codec::PlanSet;
use crate::fault::{Fault, Kind};
use crate::policy::{Admitted, Codec, Method, Protocol, Way};

/// The answer to a request.
pub type Reply = http::Response<ReplyBody>;

/// What carries an admitted call, by the client's protocol.
pub struct Exchanges {
    pub rest: Arc<rest::Exchange>,
    pub grpc: grpc::Exchange,
    pub websocket: websocket::Exchange,
    pub messages: Arc<messages::Exchange>,
}

/// An answer on its way.
type Answering = Pin<Box<dyn Future<Output = Result<Reply, Fault>> + Send>>;

impl Exchanges {
    /// Reads the request, calls the backend, and gives its answer: or fails by a request that can't be understood, and
    /// with whatever the backend fails with.
    ///
    /// Boxed at once, since every layer above moves the future of what is below it: one allocation is cheaper than a call
    /// that is moved ten times.
    pub fn run<B>(self: &Arc<Self>, admitted: Admitted<B>) -> Answering
    where
        B: Body<Data = Bytes> + Unpin + Send + 'static,
        B::Error: Into<BoxError> + Send,
    {
        let own = Arc::clone(self);
        match &admitted.call().resolved.way {
            Way::Rest(bound) => {
                let bound = bound.clone();
                Box::pin(rest::Exchange::run(Arc::clone(&self.rest), bound, admitted))
            }
            Way::Grpc(codec) => match read_as(*codec, &admitted.call().resolved.method) {
                Ok(Some(codec)) => {
                    Box::pin(async move { grpc::run_read(&own.messages, codec, admitted).await })
                }
                Ok(None) => Box::pin(async move { own.grpc.run(admitted).await }),
                Err(fault) => Box::pin(ready(Err(fault))),
            },
            Way::GrpcWeb(form, codec) => {
                let form = *form;
                match read_as(*codec, &admitted.call().resolved.method) {
                    Ok(Some(codec)) => {
                        Box::pin(
                            async move { grpc_web::run_read(&own.messages, form, codec, admitted).await },
                        )
                    }
                    Ok(None) => Box::pin(async move { grpc_web::run(&own.grpc, form, admitted).await }),
                    Err(fault) => Box::pin(ready(Err(fault))),
                }
            }
            Way::Connect(connect) => {
                let connect = *connect;
                Box::pin(async move { connect::run(&own, connect, admitted).await })
            }
            Way::WebSocket(bound) => {
                let bound = bound.clone();
                Box::pin(async move { own.websocket.run(bound, admitted).await })
            }
        }
    }
}

/// What messages of gRPC are read as; none where they pass unread.
///
/// # Errors
/// They are to be read, and nobody knows what they are encoded in.
fn read_as(codec: Codec, method: &Method) -> Result<Option<Codec>, Fault> {
    match (codec, method.looks_into_message()) {
        (Codec::Json, _) => Ok(Some(Codec::Json)),
        (Codec::Proto, true) => Ok(Some(Codec::Proto)),
        (Codec::Proto | Codec::Other, false) => Ok(None),
        (Codec::Other, true) => {
            let message = "messages of this method are read, so they have to be protobuf or JSON";
            Err(Fault::new(Kind::MediaType, "UNSUPPORTED_MEDIA_TYPE", message))
        }
    }
}

/// A fault as the client's protocol tells it.
#[must_use]
pub fn render(
    protocol: Protocol,
    rest: &rest::ErrorRenderer,
    fault: &mut Fault,
    client: rest::Client<'_>,
    schema: Option<&Arc<PlanSet>>,
) -> Reply {
    let request_id = client.request_id;
    match protocol {
        // What refuses a handshake is an answer to an HTTP request.
        Protocol::Rest | Protocol::WebSocket => rest.render(fault, client, schema),
        Protocol::Grpc(codec) => grpc::render(codec, fault, request_id),
        Protocol::GrpcWeb(form, codec) => grpc_web::render(form, codec, fault, request_id),
        Protocol::Connect(connect) => connect::render(connect, fault, request_id, schema, &rest.builtin),
    }
}
