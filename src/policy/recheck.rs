//! Open streams obey what changes while they are open: one whose caller would not be let in any more, by its credential or
//! its address, is ended.
//!
//! Rules are not among that: a stream keeps its method as it was. A stream that nothing happens to costs nothing; whenever
//! something changes, each is judged once, on its worker.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use arc_swap::ArcSwapOption;
use tokio::sync::watch;
use tower::{Layer, Service};

use super::address::{AddressLists, ClientAddress};
use super::call::{Call, Method};
use super::identity::{Authenticator, Credential, Principal};
use crate::fault::Fault;

/// Finds a method by its path.
pub type FindMethod = dyn Fn(&str) -> Option<Arc<Method>> + Send + Sync;

/// What callers are judged by now.
pub struct InForce {
    pub authenticator: Arc<Authenticator>,
    /// The lists of listeners, by their names.
    pub listeners: Vec<(String, Arc<AddressLists>)>,
    /// The method at a path (`/package.Service/Method`), if it is there.
    pub method: Box<FindMethod>,
}

/// What open streams are judged by again. One for the process.
pub struct Rechecks {
    in_force: ArcSwapOption<InForce>,
    /// Counts up with every change.
    changes: watch::Sender<u64>,
}

impl Default for Rechecks {
    fn default() -> Self {
        Self { in_force: ArcSwapOption::empty(), changes: watch::Sender::new(0) }
    }
}

impl Rechecks {
    /// From now on callers are judged by this.
    pub fn put(&self, in_force: InForce) {
        self.in_force.store(Some(Arc::new(in_force)));
        self.again();
    }

    /// Something that is in force has changed: keys, or lists.
    pub fn again(&self) {
        self.changes.send_modify(|changes| *changes += 1);
    }
}

/// An open stream, as it is judged again.
pub struct Recheck {
    rechecks: Arc<Rechecks>,
    method: Arc<Method>,
    listener: Arc<str>,
    address: Option<IpAddr>,
    principal: Principal,
    /// What proved the principal.
    credential: Option<Credential>,
}

impl Recheck {
    /// Whether it would still be let in.
    ///
    /// # Errors
    /// It would not.
    pub(super) fn judge(&self) -> Result<(), Fault> {
        let Some(in_force) = &*self.rechecks.in_force.load() else { return Ok(()) };
        let of_listener = in_force.listeners.iter().find(|(name, _)| **name == *self.listener);
        if let Some((_, lists)) = of_listener {
            lists.judge(self.address)?;
        }
        let credential = self.credential.as_ref();
        if let Some(renewed) = credential.map(|known| in_force.authenticator.recheck(known)).transpose()? {
            let principal = renewed.map_or_else(|| self.principal.clone(), Principal::Known);
            if let Some(authorization) = &self.method.authorization {
                authorization.check(&principal, || in_force.authenticator.missing())?;
            }
        }
        let method = (in_force.method)(self.method.path.as_str());
        let method = method.as_ref().unwrap_or(&self.method);
        method.addresses.as_deref().map_or(Ok(()), |lists| lists.judge(self.address))
    }

    /// Ready once it would not be let in any more.
    pub(super) async fn refused(self: Arc<Self>) {
        let mut changes = self.rechecks.changes.subscribe();
        // First of all by what may have changed since it was let in.
        while self.judge().is_ok() {
            if changes.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }
}

impl fmt::Debug for Recheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recheck").field("address", &self.address).finish_non_exhaustive()
    }
}

/// The layer that has streams judged again. It stands behind all that decide who is let in.
#[derive(Clone)]
pub struct KeepWatch {
    rechecks: Arc<Rechecks>,
    authenticator: Arc<Authenticator>,
    listener: Arc<str>,
}

impl KeepWatch {
    /// For the streams of a listener.
    #[must_use]
    pub fn new(rechecks: Arc<Rechecks>, authenticator: Arc<Authenticator>, listener: &str) -> Self {
        Self { rechecks, authenticator, listener: listener.into() }
    }
}

impl<S> Layer<S> for KeepWatch {
    type Service = KeepWatchService<S>;
    fn layer(&self, inner: S) -> KeepWatchService<S> {
        KeepWatchService { inner, watch: self.clone() }
    }
}

#[derive(Clone)]
pub struct KeepWatchService<S> {
    inner: S,
    watch: KeepWatch,
}

impl<S, B> Service<Call<B>> for KeepWatchService<S>
where
    S: Service<Call<B>, Error = Fault>,
{
    type Response = S::Response;
    type Error = Fault;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut call: Call<B>) -> S::Future {
        if !call.resolved.method.is_unary() {
            let KeepWatch { rechecks, authenticator, listener } = &self.watch;
            call.limit.recheck = Some(Arc::new(Recheck {
                rechecks: Arc::clone(rechecks),
                method: Arc::clone(&call.resolved.method),
                listener: Arc::clone(listener),
                address: call.head.extensions.get::<ClientAddress>().map(|address| address.0),
                credential: authenticator.credential(&call.principal),
                principal: call.principal.clone(),
            }));
        }
        self.inner.call(call)
    }
}
