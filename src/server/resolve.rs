//! From a path and a method to an RPC, by the snapshot of the stack that the request came into. What waits holds the method
//! alone, never the snapshot.

use std::future::Ready;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_util::future::Either;
use http::header::{self, HeaderValue};
use http::request::Parts;
use http::{Method as HttpMethod, Request, Response, StatusCode};
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use super::cors::Preflighted;
use super::snapshot::{Shown, Snapshot};
use crate::fault::{Fault, Kind};
use crate::introspection::Exposes;
use crate::policy::identity::{FromCaller, Judged, Judging};
use crate::policy::{
    Authenticate, Bound, Call, Codec, Connect, ConnectForm, Cors, Method, Principal, Protocol, Resolved,
    TimeLimit, Way, is_preflight,
};
use crate::protocol::{Reply, ReplyBody, unsaid_connect};
use crate::route::{Captures, Lookup, Selector};
use crate::schema::Idempotency;
use crate::telemetry::{Chosen, ServedBy};
use crate::transcode::Binding;

/// A future that knows from its beginning which RPC it is about, so that the layers around it can tell whatever becomes
/// of it, an abandoned call too.
pub(super) trait Routed: FromCaller {
    /// None where no RPC was found.
    fn method(&self) -> Option<&Arc<Method>>;

    /// The upstream that it is for; none where no RPC was found.
    fn served_by(&self) -> Option<ServedBy>;

    /// None where nothing is known that the request's head did not say.
    fn protocol(&self) -> Option<Protocol>;
}

/// A request whose protocol is known.
pub(super) struct Detected<B> {
    pub protocol: Protocol,
    pub request: Request<B>,
}

#[derive(Clone)]
pub(super) struct Resolve {
    snapshot: Arc<Snapshot>,
    cors: Option<Arc<Cors>>,
    exposes: Exposes,
    authenticate: Authenticate,
}

impl Resolve {
    /// `cors` says which pages may call where no rule does; preflights that it, or a rule, is about never reach an RPC.
    /// `authenticate` judges what else reaches none.
    pub(super) fn new(
        snapshot: Arc<Snapshot>,
        cors: Option<Arc<Cors>>,
        exposes: Exposes,
        authenticate: Authenticate,
    ) -> Self {
        Self { snapshot, cors, exposes, authenticate }
    }
}

impl<S> Layer<S> for Resolve {
    type Service = ResolveService<S>;
    fn layer(&self, inner: S) -> ResolveService<S> {
        ResolveService { inner, resolve: self.clone() }
    }
}

#[derive(Clone)]
pub(super) struct ResolveService<S> {
    inner: S,
    resolve: Resolve,
}

impl<S, B> Service<Detected<B>> for ResolveService<S>
where
    S: Service<Call<B>, Response = Reply, Error = Fault>,
{
    type Response = Reply;
    type Error = Fault;
    type Future = ResolveFuture<S::Future>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        // No layer below ever says that it isn't ready; those that have to wait do so in their futures.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, Detected { protocol, request }: Detected<B>) -> Self::Future {
        let (head, body) = request.into_parts();
        let Resolve { snapshot, cors, exposes, authenticate } = &self.resolve;
        let snapshot = snapshot.shown(*exposes);
        let protocol = match protocol {
            Protocol::Rest => unsaid(&snapshot, &head).map_or(protocol, Protocol::Connect),
            Protocol::Grpc(_) | Protocol::GrpcWeb(..) | Protocol::Connect(_) | Protocol::WebSocket => {
                protocol
            }
        };
        if protocol == Protocol::Rest
            && is_preflight(head.method == HttpMethod::OPTIONS, &head.headers)
            && let Some(cors) = preflighted(&snapshot, &head, cors.as_ref())
        {
            // It comes without credentials, before the request that has them.
            let result = preflight(&snapshot, head.uri.path(), self.resolve.cors.as_ref(), &cors);
            return ResolveFuture::Answered { result: Some(result), protocol };
        }
        let found = match protocol {
            Protocol::Rest => rest(&snapshot, &head),
            Protocol::Grpc(codec) => rpc(&snapshot, &head, Way::Grpc(codec)),
            Protocol::GrpcWeb(form, codec) => rpc(&snapshot, &head, Way::GrpcWeb(form, codec)),
            Protocol::Connect(connect) => rpc(&snapshot, &head, Way::Connect(connect)),
            Protocol::WebSocket => websocket(&snapshot, &head),
        };
        match found {
            Ok(resolved) => {
                let method = Arc::clone(&resolved.method);
                let chosen = method.upstream.undecided();
                let call = Call {
                    resolved,
                    head: Box::new(head),
                    body,
                    principal: Principal::Anonymous,
                    forward: None,
                    chosen: chosen.clone(),
                    late: None,
                    max_body: 0,
                    limit: TimeLimit::default(),
                };
                ResolveFuture::Called { inner: self.inner.call(call), method, chosen, protocol }
            }
            Err(answer) => match authenticate.judge_unrouted(&head) {
                Judged::Now(Ok(_)) => ResolveFuture::Answered { result: Some(answer.into()), protocol },
                Judged::Now(Err(fault)) => {
                    let protocol = told_to_strangers(protocol, &head);
                    ResolveFuture::Answered { result: Some(Err(fault)), protocol }
                }
                Judged::Later(judging) => {
                    let waiting = Waiting { judging, answer, protocol };
                    let protocol = told_to_strangers(protocol, &head);
                    ResolveFuture::Judged { waiting: Some(waiting), protocol }
                }
            },
        }
    }
}

/// What a request is told that reaches no RPC.
enum Unresolved {
    Answer(Box<Reply>),
    Fault(Fault),
}

impl From<Unresolved> for Result<Reply, Fault> {
    fn from(unresolved: Unresolved) -> Self {
        match unresolved {
            Unresolved::Answer(answer) => Ok(*answer),
            Unresolved::Fault(fault) => Err(fault),
        }
    }
}

/// The protocol in which a stranger is refused: as at a path that is an RPC's own, wherever one could be. Bindings have
/// paths of another kind.
fn told_to_strangers(protocol: Protocol, head: &Parts) -> Protocol {
    let is_rpc_path = || {
        let rest = head.uri.path().strip_prefix('/');
        rest.and_then(|rest| Selector::parse(rest).ok()).is_some_and(
            |selector| matches!(selector, Selector::Method { service, .. } if service.contains('.')),
        )
    };
    match protocol {
        Protocol::Rest if is_rpc_path() => unsaid_connect(head).map_or(protocol, Protocol::Connect),
        Protocol::Rest
        | Protocol::Grpc(_)
        | Protocol::GrpcWeb(..)
        | Protocol::Connect(_)
        | Protocol::WebSocket => protocol,
    }
}

/// By a binding: path and method lead to an RPC and say how the request is made of them.
fn rest(snapshot: &Shown<'_>, head: &Parts) -> Result<Resolved, Unresolved> {
    match snapshot.router().lookup(&head.method, head.uri.path()) {
        Lookup::Found(found) => {
            let bound = Bound { binding: Arc::clone(&found.value.binding), captures: found.captures };
            Ok(Resolved { method: Arc::clone(&found.value.method), way: Way::Rest(bound) })
        }
        Lookup::WrongMethod(methods) if head.method == HttpMethod::OPTIONS => {
            Err(Unresolved::Answer(Box::new(options(&methods.to_string()))))
        }
        Lookup::WrongMethod(methods) => Err(wrong_method(head, methods.to_string())),
        Lookup::Missing => Err(no_route()),
    }
}

/// How a request speaks Connect that doesn't say so: its path is an RPC's own, and no binding leads anywhere from it.
fn unsaid(snapshot: &Shown<'_>, head: &Parts) -> Option<Connect> {
    snapshot.rpc(head.uri.path())?;
    let connect = unsaid_connect(head)?;
    match snapshot.router().lookup(&head.method, head.uri.path()) {
        Lookup::Found(_) => None,
        Lookup::WrongMethod(_) | Lookup::Missing => Some(connect),
    }
}

/// Whose choices a preflight is judged by: those of the RPC that the other request would reach, or the listener's.
fn preflighted(snapshot: &Shown<'_>, head: &Parts, listener: Option<&Arc<Cors>>) -> Option<Arc<Cors>> {
    let wanted = head.headers.get(header::ACCESS_CONTROL_REQUEST_METHOD);
    let wanted = wanted.and_then(|wanted| HttpMethod::from_bytes(wanted.as_bytes()).ok());
    let method = wanted.and_then(|wanted| reached(snapshot, &wanted, head.uri.path()));
    method.as_deref().map_or(listener, |method| method.cors(listener)).cloned()
}

/// The RPC that a request of a page reaches.
fn reached(snapshot: &Shown<'_>, http_method: &HttpMethod, path: &str) -> Option<Arc<Method>> {
    match snapshot.router().lookup(http_method, path) {
        Lookup::Found(found) => Some(Arc::clone(&found.value.method)),
        Lookup::WrongMethod(_) | Lookup::Missing => match snapshot.rpc(path) {
            Some(method) => rpc_methods(method).contains(http_method).then(|| Arc::clone(method)),
            None => snapshot.unknown().find(path).filter(|_| *http_method == HttpMethod::POST),
        },
    }
}

/// Which methods a page may ask for at this path, whatever OPTIONS itself is bound to: those that `cors` is about.
fn preflight(
    snapshot: &Shown<'_>,
    path: &str,
    listener: Option<&Arc<Cors>>,
    cors: &Arc<Cors>,
) -> Result<Reply, Fault> {
    let mut methods = match snapshot.router().lookup(&HttpMethod::OPTIONS, path) {
        // It is bound to any method or to this one; the browser knows which it wants.
        Lookup::Found(_) => "GET, HEAD, PUT, POST, PATCH, DELETE".to_owned(),
        Lookup::WrongMethod(methods) => methods.to_string(),
        Lookup::Missing => String::new(),
    };
    let of_rpc = match snapshot.rpc(path) {
        Some(method) => rpc_methods(method),
        None if snapshot.unknown().find(path).is_some() => &[HttpMethod::POST],
        None => &[],
    };
    for method in of_rpc {
        if !methods.split(", ").any(|known| known == method.as_str()) {
            if !methods.is_empty() {
                methods.push_str(", ");
            }
            methods.push_str(method.as_str());
        }
    }
    if methods.is_empty() {
        return Err(nothing_here());
    }
    // A browser remembers all that it is told: a method with other choices has to be asked for by itself.
    let is_alike = |name: &&str| {
        let method = HttpMethod::from_bytes(name.as_bytes()).ok();
        let reached = method.and_then(|method| reached(snapshot, &method, path));
        let own = reached.as_deref().map_or(listener, |method| method.cors(listener));
        own.is_some_and(|own| Arc::ptr_eq(own, cors))
    };
    let alike: Vec<&str> = methods.split(", ").filter(is_alike).collect();
    let mut answer = options(&alike.join(", "));
    answer.extensions_mut().insert(Preflighted(Arc::clone(cors)));
    Ok(answer)
}

fn no_route() -> Unresolved {
    Unresolved::Fault(nothing_here())
}

fn nothing_here() -> Fault {
    Fault::new(Kind::NoRoute, "NO_ROUTE", "there is nothing at this path")
}

/// By the RPC's own path, or by that of a binding, whatever its method: a handshake is always a GET.
fn websocket(snapshot: &Shown<'_>, head: &Parts) -> Result<Resolved, Unresolved> {
    const METHODS: [HttpMethod; 5] =
        [HttpMethod::GET, HttpMethod::POST, HttpMethod::PUT, HttpMethod::PATCH, HttpMethod::DELETE];
    let path = head.uri.path();
    if let Some(method) = snapshot.rpc(path) {
        let binding = Arc::new(Binding::whole(&method.output));
        let way = Way::WebSocket(Bound { binding, captures: Captures::default() });
        return Ok(Resolved { method: Arc::clone(method), way });
    }
    let found = METHODS.iter().find_map(|method| match snapshot.router().lookup(method, path) {
        Lookup::Found(found) => Some(found),
        Lookup::WrongMethod(_) | Lookup::Missing => None,
    });
    let found = found.ok_or_else(no_route)?;
    let bound = Bound { binding: Arc::clone(&found.value.binding), captures: found.captures };
    Ok(Resolved { method: Arc::clone(&found.value.method), way: Way::WebSocket(bound) })
}

/// By the RPC's own path, `/package.Service/Method`, in exactly this spelling.
fn rpc(snapshot: &Shown<'_>, head: &Parts, way: Way) -> Result<Resolved, Unresolved> {
    match snapshot.rpc(head.uri.path()) {
        Some(method) if is_allowed(&head.method, method, &way) => {
            Ok(Resolved { method: Arc::clone(method), way })
        }
        Some(method) => {
            let allowed = match way {
                Way::Connect(_) => rpc_methods(method),
                Way::Rest(_) | Way::Grpc(_) | Way::GrpcWeb(..) | Way::WebSocket(_) => &[HttpMethod::POST],
            };
            let allowed = allowed.iter().map(HttpMethod::as_str).collect::<Vec<_>>().join(", ");
            Err(wrong_method(head, allowed))
        }
        None => unknown(snapshot, head, way),
    }
}

/// By the path of an RPC that the schema does not have, in protocols that pass its messages as they are.
fn unknown(snapshot: &Shown<'_>, head: &Parts, way: Way) -> Result<Resolved, Unresolved> {
    let passes = match way {
        Way::Grpc(codec) | Way::GrpcWeb(_, codec) => match codec {
            Codec::Proto | Codec::Other => true,
            Codec::Json => false,
        },
        Way::Rest(_) | Way::Connect(_) | Way::WebSocket(_) => false,
    };
    match snapshot.unknown().find(head.uri.path()).filter(|_| passes) {
        Some(method) if head.method == HttpMethod::POST => Ok(Resolved { method, way }),
        Some(_) => Err(wrong_method(head, HttpMethod::POST.as_str().to_owned())),
        None => {
            let fault = Fault::new(Kind::NoRoute, "NO_ROUTE", "there is no such method");
            Err(Unresolved::Fault(fault))
        }
    }
}

/// Whether an RPC may be called by this HTTP method.
fn is_allowed(http_method: &HttpMethod, method: &Method, way: &Way) -> bool {
    match way {
        Way::Connect(Connect { form: ConnectForm::Get, .. }) => rpc_methods(method).contains(http_method),
        Way::Rest(_) | Way::Grpc(_) | Way::GrpcWeb(..) | Way::WebSocket(_) | Way::Connect(_) => {
            *http_method == HttpMethod::POST
        }
    }
}

/// The HTTP methods by which Connect calls an RPC.
fn rpc_methods(method: &Method) -> &'static [HttpMethod] {
    match method.idempotency {
        Idempotency::NoSideEffects if method.is_unary() => &[HttpMethod::GET, HttpMethod::POST],
        Idempotency::NoSideEffects | Idempotency::Unknown | Idempotency::Idempotent => &[HttpMethod::POST],
    }
}

fn wrong_method(head: &Parts, allowed: String) -> Unresolved {
    let message = format!("{} is not allowed here", head.method);
    Unresolved::Fault(Fault::new(Kind::WrongMethod, "WRONG_METHOD", message).allowing(allowed))
}

fn options(methods: &str) -> Reply {
    let mut response = Response::new(ReplyBody::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    if let Ok(allow) = HeaderValue::from_str(&format!("{methods}, OPTIONS")) {
        response.headers_mut().insert(header::ALLOW, allow);
    }
    response
}

/// An answer that its caller may not be told yet.
pub(super) struct Waiting {
    judging: Judging,
    answer: Unresolved,
    /// The one that the answer is told in.
    protocol: Protocol,
}

pin_project! {
    #[project = ResolveProjection]
    pub(super) enum ResolveFuture<F> {
        Answered { result: Option<Result<Reply, Fault>>, protocol: Protocol },
        Judged { waiting: Option<Waiting>, protocol: Protocol },
        Called { #[pin] inner: F, method: Arc<Method>, chosen: Option<Arc<Chosen>>, protocol: Protocol },
    }
}

impl<F> Future for ResolveFuture<F>
where
    F: Future<Output = Result<Reply, Fault>>,
{
    type Output = Result<Reply, Fault>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            ResolveProjection::Answered { result, .. } => match result.take() {
                Some(result) => Poll::Ready(result),
                None => Poll::Pending,
            },
            ResolveProjection::Judged { waiting, protocol } => {
                let Some(judged) = waiting else { return Poll::Pending };
                if let Err(fault) = ready!(judged.judging.as_mut().poll(cx)) {
                    *waiting = None;
                    return Poll::Ready(Err(fault));
                }
                *protocol = judged.protocol;
                waiting.take().map_or(Poll::Pending, |waiting| Poll::Ready(waiting.answer.into()))
            }
            ResolveProjection::Called { inner, .. } => inner.poll(cx),
        }
    }
}

impl<F: FromCaller> FromCaller for ResolveFuture<F> {
    fn principal(&self) -> Option<&Principal> {
        match self {
            Self::Answered { .. } | Self::Judged { .. } => None,
            Self::Called { inner, .. } => inner.principal(),
        }
    }
}

impl<F: FromCaller> Routed for ResolveFuture<F> {
    fn method(&self) -> Option<&Arc<Method>> {
        match self {
            Self::Answered { .. } | Self::Judged { .. } => None,
            Self::Called { method, .. } => Some(method),
        }
    }

    fn served_by(&self) -> Option<ServedBy> {
        match self {
            Self::Answered { .. } | Self::Judged { .. } => None,
            Self::Called { method, chosen, .. } => Some(method.upstream.served_by(chosen.as_ref())),
        }
    }

    fn protocol(&self) -> Option<Protocol> {
        match self {
            Self::Answered { protocol, .. }
            | Self::Judged { protocol, .. }
            | Self::Called { protocol, .. } => Some(*protocol),
        }
    }
}

impl<F: FromCaller, R> FromCaller for Either<F, Ready<R>> {
    fn principal(&self) -> Option<&Principal> {
        match self {
            Self::Left(inner) => inner.principal(),
            Self::Right(_) => None,
        }
    }
}

impl<F: Routed, R> Routed for Either<F, Ready<R>> {
    fn method(&self) -> Option<&Arc<Method>> {
        match self {
            Self::Left(inner) => inner.method(),
            Self::Right(_) => None,
        }
    }

    fn served_by(&self) -> Option<ServedBy> {
        match self {
            Self::Left(inner) => inner.served_by(),
            Self::Right(_) => None,
        }
    }

    fn protocol(&self) -> Option<Protocol> {
        match self {
            Self::Left(inner) => inner.protocol(),
            Self::Right(_) => None,
        }
    }
}
