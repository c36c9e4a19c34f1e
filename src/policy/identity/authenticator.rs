//! Finds in a request's head what its caller shows, and has it checked.

use std::pin::Pin;

use http::header::{self, HeaderMap, HeaderValue};
use http::request::Parts;

use super::{Auth, Principal};
use crate::fault::{Fault, Kind};

/// All that vouches for callers. One for the process: what it learns holds on every worker.
#[derive(Debug, Default)]
pub struct Authenticator {}

/// What is known of a caller.
pub enum Judged {
    Now(Result<Principal, Fault>),
    /// Something has to be waited for. It holds nothing of the request.
    Later(Judging),
}

/// Ready when it is known who calls.
pub type Judging = Pin<Box<dyn Future<Output = Result<Principal, Fault>> + Send>>;

impl Authenticator {
    /// Who sent this head, as far as `auth` wants to know.
    #[must_use]
    pub fn judge(&self, auth: Auth, _: &Parts) -> Judged {
        Judged::Now(match auth {
            Auth::None | Auth::Optional => Ok(Principal::Anonymous),
            Auth::Required => Err(missing()),
        })
    }
}

fn missing() -> Fault {
    challenged("TOKEN_MISSING", "this needs a token")
}

/// A refusal with a challenge (RFC 9110, section 11.6.1; RFC 6750, section 3).
fn challenged(reason: &'static str, message: &'static str) -> Fault {
    let challenge = HeaderValue::from_static("Bearer realm=\"transom\"");
    let headers = HeaderMap::from_iter([(header::WWW_AUTHENTICATE, challenge)]);
    Fault::new(Kind::Unauthenticated, reason, message).with_headers(headers)
}
