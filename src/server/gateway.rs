//! The gateway as a tower `Service`, for programs that have a server of their own.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower::Service;

use super::observe::Observed;
use super::snapshot;
use super::stack::{Shared, stack};
use crate::codec::PlanSet;
use crate::config::Settings;
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
    shared: Arc<Shared>,
}

impl Gateway {
    /// Loads everything that the settings name. Warnings come beside the gateway.
    ///
    /// # Errors
    /// Every problem in settings, schema and rules.
    pub fn new(settings: &Settings) -> Result<(Self, Problems), Problems> {
        let listener = settings
            .listeners
            .first()
            .ok_or_else(|| Problem::error("a gateway needs a listener to take choices from"))?;
        let (schema, mut warnings) = schema::load(&settings.schema)?;
        let metrics = Arc::new(Metrics::default());
        let clusters = Clusters::new(&settings.upstreams, 1)?;
        let (snapshot, more) = snapshot::build(&schema, &settings.rules, &clusters, &metrics, 1)?;
        warnings.extend(more);
        let access_log = AccessLog::open(&settings.access_log, Arc::clone(&metrics))
            .map_err(|error| Problem::error(format!("the access log can't be opened: {error}")))?
            .map(Arc::new);
        let observer = Arc::new(Observer { metrics, access_log });
        let builtin = PlanSet::compile(&schema::builtin_pool());
        let errors = Arc::new(ErrorRenderer { form: listener.errors, builtin });
        let shared = Shared::new(listener, observer, errors, Arc::new(ArcSwap::from_pointee(snapshot)), 0);
        Ok((Self { shared: Arc::new(shared) }, warnings))
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
        Box::pin(stack(&self.shared).call(request))
    }
}
