//! The gateway as a tower `Service`, for programs that have a server of their own.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tokio::sync::{Notify, watch};
use tower::Service;

use super::limiting::Limiting;
use super::load::Load;
use super::observe::Observed;
use super::relist::Relisting;
use super::reload::Reloader;
use super::run::keep_keys_fresh;
use super::snapshot;
use super::sources::Sources;
use super::stack::{Policies, Shared, stack};
use super::worker::spawn;
use crate::codec::PlanSet;
use crate::config::Settings;
use crate::introspection::Own;
use crate::policy::{AddressLimits, Authenticator, SharedStore};
use crate::problem::{Problem, Problems};
use crate::protocol::BoxError;
use crate::protocol::rest::ErrorRenderer;
use crate::schema;
use crate::telemetry::{AccessLog, Metrics, Observer};
use crate::upstream::Clusters;

/// A gateway without listeners, for example as the fallback of an axum router. It judges requests by the first listener
/// of its settings, and connects to its upstreams on the runtime that it is called on.
#[derive(Clone)]
pub struct Gateway {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Shared,
    /// Told to load the schema again.
    reload: Arc<Notify>,
    /// Dropped, it ends the thread that does so.
    _alive: watch::Sender<bool>,
}

impl Gateway {
    /// Loads everything that the settings name. Warnings come beside the gateway. Where backends are asked what they
    /// serve, this blocks until they have answered.
    ///
    /// # Errors
    /// Every problem in settings, schema and rules.
    pub fn new(settings: &Settings) -> Result<(Self, Problems), Problems> {
        let listener = settings
            .listeners
            .first()
            .ok_or_else(|| Problem::error("a gateway needs a listener to take choices from"))?;
        let metrics = Arc::new(Metrics::default());
        let clusters = Arc::new(Clusters::new(&settings.upstreams, 1, &metrics)?);
        let mut sources = Sources::new(&settings.schema, &settings.upstreams);
        let (schema, mut warnings) = sources.first(settings.schema.wait())?;
        let (alive, stopped) = watch::channel(false);
        let own = Arc::new(Own::new(listener.exposes, &clusters, 1, stopped.clone()));
        let limiting = Limiting::new(settings, &metrics);
        let (snapshot, more) =
            snapshot::build(&schema, &settings.rules, &clusters, &own, &metrics, &limiting, 1)?;
        own.expose(Arc::clone(snapshot.exposed()));
        warnings.extend(more);
        let access_log = AccessLog::open(&settings.access_log, Arc::clone(&metrics))
            .map_err(|error| Problem::error(format!("the access log can't be opened: {error}")))?
            .map(Arc::new);
        let observer = Arc::new(Observer { metrics: Arc::clone(&metrics), access_log });
        let builtin = PlanSet::compile(&schema::builtin_pool());
        let errors = Arc::new(ErrorRenderer { form: listener.errors, builtin });
        let snapshots = Arc::new(ArcSwap::from_pointee(snapshot));
        let authenticator = Arc::new(Authenticator::new(&settings.identity, Arc::clone(&metrics))?);
        // As all threads here, it ends by itself when the gateway is dropped.
        let _ = keep_keys_fresh(&authenticator, stopped.clone())?;
        let limit_store = settings.limits.redis.clone();
        let policies = Policies {
            authenticator,
            load: Arc::new(Load::new(listener.limits.requests)),
            addresses: AddressLimits::new(&listener.name, &listener.address_limits, &limiting.limiters),
            limit_store: limit_store.map(|redis| Arc::new(SharedStore::new(redis, 1, &metrics))),
        };
        let shared = Shared::new(listener, observer, errors, Arc::clone(&snapshots), policies, 0);
        let relisting = Relisting::new(std::slice::from_ref(listener), &settings.rules, Arc::clone(&metrics));
        if !relisting.is_empty() {
            // It ends by itself when the gateway is dropped.
            let _ = spawn("addresses".into(), stopped.clone(), move |stopped| relisting.run(stopped))?;
        }
        let reloader = Reloader {
            sources,
            rules: settings.rules.clone(),
            clusters,
            own,
            metrics,
            limiting,
            snapshots,
            silent: BTreeSet::new(),
        };
        let reload = Arc::new(Notify::new());
        let told = Arc::clone(&reload);
        let _ = spawn("reload".into(), stopped, move |stopped| reloader.run(told, stopped))?;
        Ok((Self { inner: Arc::new(Inner { shared, reload, _alive: alive }) }, warnings))
    }

    /// As [`Running::reload`](super::Running::reload).
    pub fn reload(&self) {
        self.inner.reload.notify_one();
    }
}

impl<B> Service<Request<B>> for Gateway
where
    B: Body<Data = Bytes> + Unpin + Send + 'static,
    B::Error: Into<BoxError> + Send,
{
    type Response = Response<Observed>;
    type Error = Infallible;
    /// Boxed, so that it has a name; the gateway's own listeners do without.
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        Box::pin(stack(&self.inner.shared).call(request))
    }
}
