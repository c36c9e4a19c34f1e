//! A WebSocket call from its handshake to the moment that its connection is handed over.

use std::sync::Arc;

use http::Uri;
use http::header::{self, HeaderName};

use super::WebSocketSettings;
use super::handshake;
use super::session::{Opening, Running};
use crate::fault::{Fault, Kind};
use crate::policy::{Admitted, Bound, Cleared};
use crate::protocol::{Reply, ReplyBody, rest};
use crate::telemetry::REQUEST_ID;
use crate::transcode::{BodyRule, Input, Maker, Url, wishes_of};

/// Carries calls over WebSockets.
pub struct Exchange {
    /// What they have in common with calls over REST.
    pub rest: Arc<rest::Exchange>,
    /// None where the listener does not take WebSockets.
    pub settings: Option<WebSocketSettings>,
}

/// The headers of the handshake itself.
const HANDSHAKE: [HeaderName; 5] = [
    header::SEC_WEBSOCKET_ACCEPT,
    header::SEC_WEBSOCKET_EXTENSIONS,
    header::SEC_WEBSOCKET_KEY,
    header::SEC_WEBSOCKET_PROTOCOL,
    header::SEC_WEBSOCKET_VERSION,
];

impl Exchange {
    /// Checks the handshake, begins the call, and gives the answer that turns the connection into a WebSocket.
    ///
    /// # Errors
    /// A handshake that can't be accepted, a URL that can't be understood, or no connection to the backend.
    pub async fn run<B>(&self, bound: Bound, admitted: Admitted<B>) -> Result<Reply, Fault> {
        let Some(settings) = self.settings else {
            return Err(Fault::new(Kind::NoRoute, "NO_WEBSOCKET", "there are no WebSockets here"));
        };
        let (mut admitted, _) = admitted.split();
        let call = admitted.call_mut();
        let (mut reply, upgrade) = handshake::accept(&mut call.head)?;
        let method = Arc::clone(&call.resolved.method);
        let mut uri = std::mem::take(&mut call.head.uri);
        if uri.path() == method.path.as_str() {
            // The RPC's own path says all that a URL has to say there.
            uri = Uri::from(method.path.clone());
        }
        let wishes = wishes_of(&method.input, &bound.binding, uri.query(), &self.rest.settings.request)?;
        let ready = first_of_url(&self.rest.settings, &method.input, &bound, &uri)?;
        let request_id =
            call.head.headers.get(&REQUEST_ID).and_then(|id| id.to_str().ok()).map(str::to_owned);
        let (max, limit) = (call.max_body, call.limit.clone());
        let mut headers = std::mem::take(&mut call.head.headers);
        for name in &HANDSHAKE {
            headers.remove(name);
        }
        let headers = rest::outgoing(headers, limit.deadline)?;
        let (worker, max_reply) = (self.rest.worker, self.rest.settings.max_reply);
        let opening = match (ready, method.looks_into_message()) {
            (Some(message), _) => {
                let cleared = Cleared::with_message(admitted, message).await?;
                Opening::Asked(cleared.replies(worker, headers, max_reply).await?)
            }
            (None, false) => {
                let (sender, replies) = Cleared::unread(admitted)?.stream(worker, headers, max_reply).await?;
                Opening::Begun(sender, replies)
            }
            (None, true) => Opening::Waits(Box::new((admitted, headers))),
        };
        let running = Running {
            rest: Arc::clone(&self.rest),
            settings,
            method,
            bound,
            uri,
            wishes,
            opening,
            max,
            limit,
            request_id,
        };
        *reply.body_mut() = ReplyBody::session(Box::new(move |stop| Box::pin(running.run(upgrade, stop))));
        Ok(reply)
    }
}

/// The request of a binding without a body: the URL says all of it.
fn first_of_url(
    settings: &rest::RestSettings,
    plan: &crate::codec::Plan,
    bound: &Bound,
    uri: &Uri,
) -> Result<Option<bytes::Bytes>, Fault> {
    if bound.binding.body != BodyRule::None {
        return Ok(None);
    }
    let maker = Maker { plan, binding: &bound.binding, rules: &settings.request };
    let url = Url { path: uri.path(), captures: &bound.captures, query: uri.query() };
    Ok(Some(maker.message(url, Input::None)?.message))
}
