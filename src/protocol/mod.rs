//! The protocols of clients: each turns a request into messages and the answer, or a [`Fault`], back.

mod body;
pub mod compression;
mod detect;
pub mod grpc;
pub mod grpc_web;
mod metadata;
mod read;
pub mod rest;
pub mod websocket;
mod weight;

use std::sync::Arc;

use bytes::Bytes;
use http_body::Body;

pub use body::{Aborted, BoxError, LiveBody, ReplyBody};
pub use detect::detect;

use crate::codec::PlanSet;
use crate::fault::Fault;
use crate::policy::{Admitted, Protocol, Way};

/// The answer to a request.
pub type Reply = http::Response<ReplyBody>;

/// What carries an admitted call, by the client's protocol.
pub struct Exchanges {
    pub rest: Arc<rest::Exchange>,
    pub grpc: grpc::Exchange,
    pub websocket: websocket::Exchange,
}

impl Exchanges {
    /// Reads the request, calls the backend, and gives its answer.
    ///
    /// # Errors
    /// A request that can't be understood, and whatever the backend fails with.
    pub async fn run<B>(&self, admitted: Admitted<B>) -> Result<Reply, Fault>
    where
        B: Body<Data = Bytes> + Unpin + Send + 'static,
        B::Error: Into<BoxError> + Send,
    {
        // Boxed, since every layer above moves the future of what is below it: one allocation is cheaper than some
        // kilobytes moved ten times.
        match &admitted.call().resolved.way {
            Way::Rest(bound) => {
                let bound = bound.clone();
                Box::pin(self.rest.run(bound, admitted)).await
            }
            Way::Grpc => Box::pin(self.grpc.run(admitted)).await,
            Way::GrpcWeb(form) => {
                let form = *form;
                Box::pin(grpc_web::run(&self.grpc, form, admitted)).await
            }
            Way::WebSocket(bound) => {
                let bound = bound.clone();
                Box::pin(self.websocket.run(bound, admitted)).await
            }
        }
    }
}

/// A fault as the client's protocol tells it.
#[must_use]
pub fn render(
    protocol: Protocol,
    rest: &rest::ErrorRenderer,
    fault: &mut Fault,
    request_id: Option<&str>,
    schema: Option<&Arc<PlanSet>>,
    is_head: bool,
) -> Reply {
    match protocol {
        // What refuses a handshake is an answer to an HTTP request.
        Protocol::Rest | Protocol::WebSocket => rest.render(fault, request_id, schema, is_head),
        Protocol::Grpc => grpc::render(fault, request_id),
        Protocol::GrpcWeb(form) => grpc_web::render(form, fault, request_id),
    }
}
