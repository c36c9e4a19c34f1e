//! The way of a request, in its order. Each line says why it stands where it stands.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use http_body::Body;
use tower::{Service, ServiceBuilder, service_fn};

use super::compress::Compress;
use super::cors::CrossOrigin;
use super::drain::Signs;
use super::edge::Edge;
use super::load::Load;
use super::observe::{Observe, ObserveService};
use super::render::{Render, Rendered};
use super::resolve::{Resolve, Routed};
use super::secure::Secure;
use super::settings::ListenerSettings;
use super::snapshot::Snapshot;
use super::unread::{Unread, Watched};
use crate::introspection::Exposes;
use crate::policy::address::{AddressLists, AddressRule};
use crate::policy::{
    AddressLimits, Admit, Admitted, Authenticate, Authenticator, Authorize, BodySize, Checked, Concurrency,
    Cors, Deadline, KeepWatch, OriginCheck, RateLimit, Rechecks, SecurityHeaders, SharedStore,
};
use crate::protocol::compression::Packing;
use crate::protocol::rest::{ErrorRenderer, Exchange, RestSettings};
use crate::protocol::{BoxError, Exchanges, grpc, messages, websocket};
use crate::telemetry::{Metrics, Observer};

/// What all connections of one listener on one worker share.
pub(super) struct Shared {
    pub observer: Arc<Observer>,
    pub metrics: Arc<Metrics>,
    pub errors: Arc<ErrorRenderer>,
    pub snapshot: Arc<Snapshot>,
    pub exchanges: Arc<Exchanges>,
    pub cors: Option<Arc<Cors>>,
    pub security_headers: Option<Arc<SecurityHeaders>>,
    pub packing: Option<Arc<Packing>>,
    pub exposes: Exposes,
    pub authenticate: Authenticate,
    pub authorize: Authorize,
    pub lists: Option<Arc<AddressLists>>,
    pub max_url: usize,
    pub max_body: usize,
    pub load: Arc<Load>,
    pub addresses: Option<AddressLimits>,
    pub rate_limit: RateLimit,
    pub keep_watch: KeepWatch,
    /// None where the server is somebody else's.
    pub signs: Option<Signs>,
}

/// What all workers share of a listener's policies.
#[derive(Clone)]
pub(super) struct Policies {
    pub authenticator: Arc<Authenticator>,
    pub load: Arc<Load>,
    pub addresses: Option<AddressLimits>,
    /// Where limits are counted that gateways share.
    pub limit_store: Option<Arc<SharedStore>>,
    /// What open streams are judged by again.
    pub rechecks: Arc<Rechecks>,
}

impl Shared {
    pub(super) fn new(
        settings: &ListenerSettings,
        observer: Arc<Observer>,
        errors: Arc<ErrorRenderer>,
        snapshot: Arc<Snapshot>,
        policies: Policies,
        worker: usize,
    ) -> Self {
        let Policies { authenticator, load, addresses, limit_store, rechecks } = policies;
        let grpc = grpc::Exchange {
            worker,
            max_reply: settings.limits.message,
            body_patience: settings.timeouts.body,
            unpacking: settings.unpacking,
        };
        let packing = settings.packing.clone().map(Arc::new);
        let messages = messages::Exchange {
            rules: settings.request.clone(),
            style: settings.json,
            worker,
            max_reply: settings.limits.message,
            body_patience: settings.timeouts.body,
            unpacking: settings.unpacking,
            packing: packing.clone(),
        };
        let rest = RestSettings {
            request: settings.request.clone(),
            json: settings.json,
            stream_above: settings.stream_above,
            streams: settings.streams,
            unpacking: settings.unpacking,
            max_reply: settings.limits.message,
            body_patience: settings.timeouts.body,
        };
        let cors = settings.cors.as_ref().map(|cors| Arc::new(Cors::new(cors)));
        let rest = Arc::new(Exchange { settings: rest, errors: Arc::clone(&errors), worker });
        Self {
            metrics: Arc::clone(&observer.metrics),
            observer,
            errors,
            snapshot,
            exchanges: Arc::new(Exchanges {
                websocket: websocket::Exchange { rest: Arc::clone(&rest), settings: settings.websocket },
                rest,
                grpc,
                messages: Arc::new(messages),
            }),
            keep_watch: KeepWatch::new(rechecks, Arc::clone(&authenticator), &settings.name),
            authorize: Authorize::new(Arc::clone(&authenticator)),
            authenticate: Authenticate::new(authenticator, settings.defaults.auth, cors.clone()),
            cors,
            security_headers: settings.security_headers.clone().map(Arc::new),
            packing,
            exposes: settings.exposes,
            lists: settings.addresses.clone(),
            max_url: settings.limits.url,
            max_body: settings.limits.body,
            load,
            addresses,
            rate_limit: RateLimit::new(limit_store, worker),
            signs: None,
        }
    }
}

/// The whole stack. Its futures are concrete but for the innermost one.
pub(super) fn stack<B>(
    shared: &Shared,
) -> ObserveService<
    impl Service<Request<B>, Response = Rendered, Error = Infallible, Future: Send + Routed>
    + Clone
    + Send
    + use<B>,
>
where
    B: Body<Data = Bytes> + Unpin + Send + 'static,
    B::Error: Into<BoxError> + Send,
{
    let exchanges = Arc::clone(&shared.exchanges);
    ServiceBuilder::new()
        // Outermost: it must see every request and every answer, whatever happens between.
        .layer(Observe::new(Arc::clone(&shared.observer), Arc::clone(&shared.load)))
        // Whatever the answer is, its client has to know whether the connection ends with it.
        .layer(Unread(shared.signs.clone()))
        // Whatever the answer is, a browser has to know what not to do with it, …
        .layer(Secure::new(shared.security_headers.clone()))
        // … and who may read it.
        .layer(CrossOrigin::new(shared.cors.clone()))
        // Outside of what renders, so that errors become smaller, too; the log counts what is sent.
        .layer(Compress::new(shared.packing.clone()))
        // Every fault from below ends here, so nothing below renders.
        .layer(Render::new(Arc::clone(&shared.errors), Arc::clone(&shared.metrics)))
        // Refuses by the head alone, before a route is looked for.
        .layer(Edge::new(
            shared.max_url,
            Arc::clone(&shared.load),
            shared.lists.clone(),
            shared.addresses.clone(),
        ))
        // From here on a call is an RPC; everything that is decided is keyed to it.
        .layer(Resolve::new(
            Arc::clone(&shared.snapshot),
            shared.cors.clone(),
            shared.exposes,
            shared.authenticate.clone(),
        ))
        // Of WebSockets alone: their pages are foreign wherever identity would let them in by a cookie.
        .layer(Checked(OriginCheck::new(shared.cors.clone())))
        // First of the policies: the others judge by who calls.
        .layer(shared.authenticate.clone())
        // After identity, so that strangers are told the same whether or not there is something.
        .layer(Checked(AddressRule))
        // Who it is decides what they may.
        .layer(Checked(shared.authorize.clone()))
        // Of those that were let in, streams are asked again whenever something changes.
        .layer(shared.keep_watch.clone())
        // Of those that may call: what is refused by the layers above costs nobody's share.
        .layer(shared.rate_limit.clone())
        // Before the body, so that a body that trickles in counts too; and before the queue, so that waiting does.
        .layer(Deadline)
        // Last of what may wait or refuse by the head, so that a place is held by nobody who is refused anyway.
        .layer(Concurrency)
        // A body that says that it is too large is refused before a byte of it is read.
        .layer(BodySize::new(shared.max_body))
        // Innermost of the policies: what it lets through has passed all of them.
        .layer(Admit)
        // Reads the body, translates, and calls the upstream.
        .service(service_fn(move |admitted: Admitted<Watched<B>>| exchanges.run(admitted)))
}
