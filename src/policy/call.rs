//! A call that is resolved: the RPC is known, the body is unread.

use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use http::uri::PathAndQuery;

use super::address::AddressLists;
use super::authorize::Authorization;
use super::concurrency::Gates;
use super::cors::Cors;
use super::deadline::TimeLimit;
use super::fields::FieldRules;
use super::identity::{Auth, Forward, Principal};
use super::limits::{Late, Limits};
use super::retries::Retries;
use super::split::Target;
use crate::codec::Plan;
use crate::route::Captures;
use crate::schema::Idempotency;
use crate::telemetry::{CallStats, Chosen};
use crate::transcode::Binding;

/// One RPC, with all that was compiled for it. A call keeps it to its end, whatever is loaded meanwhile.
#[derive(Clone)]
pub struct Method {
    /// `/package.Service/Method`, ready to be sent.
    pub path: PathAndQuery,
    /// Whether the schema has it. Nobody knows the messages of one that it does not have, so `input` and `output` mean
    /// nothing, nor how many there are: it takes and gives as many as both sides like. Only protocols that pass messages
    /// as they are reach it.
    pub is_known: bool,
    pub input: Plan,
    pub output: Plan,
    pub client_streaming: bool,
    pub server_streaming: bool,
    /// What the schema says of calling it more than once.
    pub idempotency: Idempotency,
    pub upstream: Target,
    /// Who may call by address, by the most specific rule that says so; whomever the listener lets in without.
    pub addresses: Option<Arc<AddressLists>>,
    /// Which pages may call, by the most specific rule that says so, which may say none; otherwise the listener's.
    pub cors: Option<Option<Arc<Cors>>>,
    /// Whether callers have to say who they are, by the most specific rule that says so; otherwise the listener's.
    pub auth: Option<Auth>,
    /// What is asked of callers, where anything is.
    pub authorization: Option<Arc<Authorization>>,
    /// What fields of the request have to be, where anything is said of them. No method that takes a stream has any.
    pub fields: Option<Arc<FieldRules>>,
    /// The longest that a unary call may take, by the most specific rule that says so; that of a method which the schema
    /// does not have, too.
    pub timeout: Option<Duration>,
    /// How long a stream may be without a message, by the most specific rule that says so.
    pub idle_timeout: Option<Duration>,
    /// The largest request body, by the most specific rule that says so; otherwise the listener's.
    pub max_body: Option<usize>,
    /// The largest message from the backend, by the most specific rule that says so; otherwise the listener's.
    pub max_reply: Option<usize>,
    /// How often it may be called, by the most specific rule that says so.
    pub limits: Option<Arc<Limits>>,
    /// How many of its calls may be under way at once, by the most specific rule that says so.
    pub concurrency: Option<Arc<Gates>>,
    /// How its calls are tried again, where any are that a backend may have begun with.
    pub retries: Option<Retries>,
    pub stats: Arc<CallStats>,
}

impl Method {
    /// `package.Service/Method`.
    #[must_use]
    pub fn name(&self) -> &str {
        self.stats.rpc()
    }

    /// What limits tell methods apart by: its name, or the selector of those that the schema does not have, since strangers
    /// choose their names.
    #[must_use]
    pub fn counted_as(&self) -> &str {
        self.stats.counted()
    }

    /// Which pages may call: as its rule says, or as the listener does.
    #[must_use]
    pub fn cors<'c>(&'c self, listener: Option<&'c Arc<Cors>>) -> Option<&'c Arc<Cors>> {
        self.cors.as_ref().map_or(listener, Option::as_ref)
    }

    /// Whether something in the first message decides about calls, so that it is read in every protocol.
    #[must_use]
    pub fn looks_into_message(&self) -> bool {
        self.fields.is_some() || self.limits.as_ref().is_some_and(|limits| limits.need_message())
    }

    #[must_use]
    pub fn is_unary(&self) -> bool {
        !self.client_streaming && !self.server_streaming
    }
}

/// The client's protocol, as the head of its request tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// JSON over HTTP, as `google.api.http` rules describe it.
    Rest,
    /// gRPC over HTTP/2. Its messages pass as they are, unless they are JSON.
    Grpc(Codec),
    /// gRPC for browsers: the same frames, with the trailers as a last one.
    GrpcWeb(WebForm, Codec),
    /// The Connect protocol.
    Connect(Connect),
    /// JSON text frames, both ways.
    WebSocket,
}

/// What a client's messages are encoded in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// The wire format of protobuf, as backends speak it.
    Proto,
    /// ProtoJSON.
    Json,
    /// Something else. gRPC passes it; Connect refuses it.
    Other,
}

/// How a request speaks Connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connect {
    pub form: ConnectForm,
    pub codec: Codec,
}

/// Where the messages of Connect stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectForm {
    /// One message is the body.
    Unary,
    /// One message is in the query.
    Get,
    /// Each message has its length before it, as in gRPC.
    Stream,
}

/// How gRPC-Web's bytes stand in a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebForm {
    Binary,
    /// In base64 (`application/grpc-web-text`), for clients that can't read bytes.
    Text,
}

impl Protocol {
    /// The name in logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rest => "rest",
            Self::Grpc(_) => "grpc",
            Self::GrpcWeb(..) => "grpc-web",
            Self::Connect(_) => "connect",
            Self::WebSocket => "websocket",
        }
    }

    /// Whether each message of a request has a length of its own before it.
    #[must_use]
    pub const fn is_framed(self) -> bool {
        match self {
            Self::Rest => false,
            Self::Grpc(_) | Self::GrpcWeb(..) | Self::WebSocket => true,
            Self::Connect(connect) => match connect.form {
                ConnectForm::Unary | ConnectForm::Get => false,
                ConnectForm::Stream => true,
            },
        }
    }
}

/// An RPC, and the way that the request took to it.
pub struct Resolved {
    pub method: Arc<Method>,
    pub way: Way,
}

/// What a protocol's exchange needs to know of the request's path.
pub enum Way {
    /// By an HTTP binding.
    Rest(Bound),
    /// By the RPC's own path, as all that follow.
    Grpc(Codec),
    GrpcWeb(WebForm, Codec),
    Connect(Connect),
    /// By an HTTP binding, or by the RPC's own path, which has one too.
    WebSocket(Bound),
}

impl Way {
    #[must_use]
    pub const fn protocol(&self) -> Protocol {
        match self {
            Self::Rest(_) => Protocol::Rest,
            Self::Grpc(codec) => Protocol::Grpc(*codec),
            Self::GrpcWeb(form, codec) => Protocol::GrpcWeb(*form, *codec),
            Self::Connect(connect) => Protocol::Connect(*connect),
            Self::WebSocket(_) => Protocol::WebSocket,
        }
    }
}

/// The HTTP binding that matched, and where its variables are in the path.
#[derive(Clone)]
pub struct Bound {
    pub binding: Arc<Binding>,
    pub captures: Captures,
}

/// A call on its way through the policies.
pub struct Call<B> {
    pub resolved: Resolved,
    /// Boxed, since every layer moves the call.
    pub head: Box<Parts>,
    pub body: B,
    /// Who it is from, once [`Authenticate`](super::Authenticate) has asked.
    pub principal: Principal,
    /// What the backend is told of that; none where it is told nothing.
    pub forward: Option<Arc<Forward>>,
    /// Which of several upstreams gets it, once [`Concurrency`](super::Concurrency) has chosen; none where there is one.
    pub chosen: Option<Arc<Chosen>>,
    /// Limits that are asked once the message is there.
    pub late: Option<Box<Late>>,
    /// The largest body that will be read, in bytes.
    pub max_body: usize,
    /// When it has to be over.
    pub limit: TimeLimit,
}
