//! WebSockets are opened by pages of origins that may. Browsers let any page open one and send cookies with it; that its
//! origin may is only checked here.

use std::sync::Arc;

use http::header;
use http::request::Parts;
use http::uri::Authority;

use super::check::Check;
use super::cors::{Cors, is_own_page};
use super::{Call, Protocol};
use crate::fault::{Fault, Kind};

/// Refuses WebSockets from pages of a foreign origin that neither the rule nor the listener allows.
#[derive(Debug, Clone)]
pub struct OriginCheck {
    /// The listener's choices, where no rule says anything.
    cors: Option<Arc<Cors>>,
}

impl OriginCheck {
    #[must_use]
    pub fn new(cors: Option<Arc<Cors>>) -> Self {
        Self { cors }
    }
}

impl Check for OriginCheck {
    fn check<B>(&self, call: &Call<B>) -> Result<(), Fault> {
        if call.resolved.way.protocol() == Protocol::WebSocket
            && is_foreign(&call.head, call.resolved.method.cors(self.cors.as_ref()))
        {
            let message = "pages of this origin may not open WebSockets here";
            return Err(Fault::new(Kind::ForeignOrigin, "ORIGIN_NOT_ALLOWED", message));
        }
        Ok(())
    }
}

fn is_foreign(head: &Parts, cors: Option<&Arc<Cors>>) -> bool {
    let Some(origin) = head.headers.get(header::ORIGIN) else { return false };
    let host = head.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let authority = head.uri.authority().map(Authority::as_str).or(host);
    !authority.is_some_and(|authority| is_own_page(origin, authority))
        && !cors.is_some_and(|cors| cors.origins().allow(origin))
}
