//! The gateway as a tower `Service`, for programs that have a server of their own.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tokio::sync::{Notify, mpsc, watch};
use tower::Service;

use super::background::Background;
use super::front::{Front, no_listener};
use super::load::Load;
use super::observe::Observed;
use super::reload::Reloader;
use super::sources::Sources;
use super::stack::{Shared, stack};
use super::state::{Process, State};
use super::upkeep::keep;
use super::worker::spawn;
use crate::config::Settings;
use crate::problem::Problems;
use crate::protocol::BoxError;
use crate::tls::noting;

/// A gateway without listeners, for example as the fallback of an axum router. It judges requests by the first listener
/// of its settings, and connects to its upstreams on the runtime that it is called on.
#[derive(Clone)]
pub struct Gateway {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<ArcSwap<Shared>>,
    /// Told to load everything again.
    reload: Arc<Notify>,
    /// Looks after the upstreams.
    _background: Background,
    /// Dropped, it ends the threads that do so, and those that look after files.
    _alive: watch::Sender<bool>,
}

impl Gateway {
    /// Loads everything that the settings name. Warnings come beside the gateway. Where backends are asked what they
    /// serve, this blocks until they have answered.
    ///
    /// # Errors
    /// Every problem in settings, schema and rules.
    pub fn new(settings: &Settings) -> Result<(Self, Problems), Problems> {
        let settings = Arc::new(settings.clone());
        let listener = settings.listeners.first().ok_or_else(no_listener)?;
        let (alive, stopped) = watch::channel(false);
        let background = Background::start()?;
        let process = Process::new(1, background.handle().clone(), stopped.clone(), None);
        let mut sources = Sources::new(&settings.schema, &settings.upstreams);
        let (loaded, marks) = noting(|| sources.first(settings.schema.wait()));
        let (schema, mut warnings) = loaded?;
        let (state, more) = State::first(&process, Arc::clone(&settings), &schema)?;
        warnings.extend(more);
        drop(schema);
        let load = Arc::new(Load::new(listener.limits.requests));
        let shared = Arc::new(ArcSwap::from_pointee(state.shared(&process, listener, &load, 0)));
        let keys = settings.limits.keys.get();
        let front = Front::Mounted { shared: Arc::clone(&shared), load, keys };
        let prepared = front.prepare(&settings)?;
        let (upkeeps, upkeep) = mpsc::unbounded_channel();
        let reloader = Reloader::begin(process, state, front, prepared, sources, marks, upkeeps);
        let reload = Arc::new(Notify::new());
        let told = Arc::clone(&reload);
        // They end by themselves when the gateway is dropped.
        let _ = spawn("upkeep".into(), stopped.clone(), move |stopped| keep(upkeep, stopped))?;
        let _ = spawn("reload".into(), stopped, move |stopped| reloader.run(told, stopped))?;
        Ok((
            Self { inner: Arc::new(Inner { shared, reload, _background: background, _alive: alive }) },
            warnings,
        ))
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
        Box::pin(stack(&self.inner.shared.load()).call(request))
    }
}
