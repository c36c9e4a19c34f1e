//! The one table of the gateway's own cases.

use http::StatusCode;

use super::{Code, Origin};

/// What went wrong, as far as the gateway tells cases apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The backend ended the call with a status; the fault's own code counts.
    Backend,
    /// No binding matches the path.
    NoRoute,
    /// Bindings match the path, but for other HTTP methods.
    WrongMethod,
    /// Path, query, headers or body can't be understood.
    BadRequest,
    /// The request's body is over its limit.
    TooLarge,
    /// Path and query are over their limit.
    UrlTooLong,
    /// The request's body has a content type that the binding doesn't take.
    MediaType,
    /// The page that asks for a WebSocket is of an origin that may not.
    ForeignOrigin,
    /// Nobody knows who calls, or what shows it is no good.
    Unauthenticated,
    /// It is known who calls, and that they may not.
    Denied,
    /// The caller calls too often.
    RateLimited,
    /// The gateway can't take on the call at the moment, or the upstream can't.
    Overloaded,
    /// The request needs something of its protocol that there isn't.
    Unsupported,
    /// The client did not finish its request.
    Incomplete,
    /// The client did not send its body in time.
    SlowClient,
    /// The deadline passed.
    Deadline,
    /// No connection to a backend, or to an issuer whose keys are needed.
    Unreachable,
    /// The connection to the backend was lost in the middle of the call.
    Lost,
    /// The gateway stops, and ends what has no end of its own.
    Stopping,
    /// The backend broke the rules of HTTP/2, gRPC or its own schema; the fault's own code counts.
    BadReply,
    /// The backend's message is over its limit.
    ReplyTooLarge,
    /// A bug of the gateway.
    Bug,
}

impl Kind {
    /// The code in protocols that know only codes.
    #[must_use]
    pub const fn code(self) -> Code {
        match self {
            Self::Backend => Code::Unknown,
            Self::NoRoute => Code::NotFound,
            Self::WrongMethod | Self::Unsupported => Code::Unimplemented,
            Self::BadRequest | Self::UrlTooLong | Self::MediaType => Code::InvalidArgument,
            Self::TooLarge | Self::ReplyTooLarge | Self::RateLimited => Code::ResourceExhausted,
            Self::Incomplete => Code::Cancelled,
            Self::SlowClient | Self::Deadline => Code::DeadlineExceeded,
            Self::ForeignOrigin | Self::Denied => Code::PermissionDenied,
            Self::Unauthenticated => Code::Unauthenticated,
            Self::Unreachable | Self::Lost | Self::Stopping | Self::Overloaded => Code::Unavailable,
            Self::BadReply | Self::Bug => Code::Internal,
        }
    }

    /// The code in protocols whose paths name RPCs: there a path without a route is a method that nobody implements.
    #[must_use]
    pub const fn rpc_code(self) -> Code {
        match self {
            Self::NoRoute => Code::Unimplemented,
            Self::Backend
            | Self::WrongMethod
            | Self::BadRequest
            | Self::TooLarge
            | Self::UrlTooLong
            | Self::MediaType
            | Self::ForeignOrigin
            | Self::Unauthenticated
            | Self::Denied
            | Self::RateLimited
            | Self::Overloaded
            | Self::Unsupported
            | Self::Incomplete
            | Self::SlowClient
            | Self::Stopping
            | Self::Deadline
            | Self::Unreachable
            | Self::Lost
            | Self::BadReply
            | Self::ReplyTooLarge
            | Self::Bug => self.code(),
        }
    }

    /// The HTTP status, where it isn't the one of the code.
    #[must_use]
    pub const fn http_status(self) -> Option<StatusCode> {
        match self {
            Self::WrongMethod => Some(StatusCode::METHOD_NOT_ALLOWED),
            Self::TooLarge => Some(StatusCode::PAYLOAD_TOO_LARGE),
            Self::UrlTooLong => Some(StatusCode::URI_TOO_LONG),
            Self::MediaType => Some(StatusCode::UNSUPPORTED_MEDIA_TYPE),
            Self::Incomplete => Some(StatusCode::BAD_REQUEST),
            Self::SlowClient => Some(StatusCode::REQUEST_TIMEOUT),
            Self::ReplyTooLarge => Some(StatusCode::BAD_GATEWAY),
            Self::Backend
            | Self::NoRoute
            | Self::BadRequest
            | Self::ForeignOrigin
            | Self::Unauthenticated
            | Self::Denied
            | Self::RateLimited
            | Self::Overloaded
            | Self::Stopping
            | Self::Unsupported
            | Self::Deadline
            | Self::Unreachable
            | Self::Lost
            | Self::BadReply
            | Self::Bug => None,
        }
    }

    /// Who is to blame.
    #[must_use]
    pub const fn origin(self) -> Origin {
        match self {
            Self::NoRoute
            | Self::WrongMethod
            | Self::BadRequest
            | Self::TooLarge
            | Self::UrlTooLong
            | Self::MediaType
            | Self::ForeignOrigin
            | Self::Unauthenticated
            | Self::Denied
            | Self::RateLimited
            | Self::Unsupported
            | Self::Incomplete
            | Self::SlowClient => Origin::Client,
            Self::Bug | Self::Stopping | Self::Overloaded => Origin::Gateway,
            Self::Backend
            | Self::Deadline
            | Self::Unreachable
            | Self::Lost
            | Self::BadReply
            | Self::ReplyTooLarge => Origin::Backend,
        }
    }
}
