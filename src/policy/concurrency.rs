//! How many calls of one caller, and of one upstream, may be under way at once. A call holds its places until its answer is
//! sent or its stream has ended; one whose client leaves while it waits leaves the queue.
//!
//! Here a call is given to one of several upstreams, where a rule splits the calls of its method: from here on all that is
//! asked is the chosen one's.
//!
//! The places of the caller come first, so that nobody holds one of the upstream and waits for his own.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, ready};

use http::Response;
use pin_project_lite::pin_project;
use tower::{Layer, Service, ServiceExt};

use super::call::Call;
use super::limits::{KeyPart, caller, material};
use super::split::choose;
use crate::fault::Fault;
use crate::telemetry::{GateStats, Metrics};
use crate::upstream::{Entry, Gate, GateSettings, Place, Queued};

/// What a rule says of concurrency.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ConcurrencyRule {
    pub gate: GateSettings,
    /// By what calls are told apart; at least one part, none of them in the message.
    pub key: Vec<KeyPart>,
}

/// A gate for each key. There are as many as there are keys with calls under way.
pub struct Gates {
    rule: ConcurrencyRule,
    label: Arc<str>,
    stats: Arc<GateStats>,
    hasher: RandomState,
    gates: Mutex<HashMap<u64, Weak<Gate>>>,
}

impl Gates {
    /// `scope` is the selector of the rule.
    pub(super) fn new(scope: &str, rule: ConcurrencyRule, metrics: &Metrics) -> Self {
        let label: Arc<str> = format!("{scope} concurrency").into();
        let stats = Arc::new(metrics.gate(&label));
        Self { rule, label, stats, hasher: RandomState::new(), gates: Mutex::default() }
    }

    /// The gate of a key, for as long as what this gives lives.
    fn gate(self: &Arc<Self>, key: u64) -> Handle {
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        let known = gates.get(&key).and_then(Weak::upgrade);
        let gate = known.unwrap_or_else(|| {
            let gate = Gate::new(self.rule.gate, Arc::clone(&self.label), Arc::clone(&self.stats));
            let gate = Arc::new(gate);
            gates.insert(key, Arc::downgrade(&gate));
            gate
        });
        Handle { gates: Arc::clone(self), key, gate: Some(gate) }
    }
}

/// Keeps a key's gate among the others.
struct Handle {
    gates: Arc<Gates>,
    key: u64,
    gate: Option<Arc<Gate>>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        let mut gates = self.gates.gates.lock().unwrap_or_else(PoisonError::into_inner);
        // Under the lock, so that nobody finds it between this and the next line.
        self.gate = None;
        if gates.get(&self.key).is_some_and(|gate| gate.strong_count() == 0) {
            gates.remove(&self.key);
        }
    }
}

/// What a call holds: places, of the caller and of the upstream. An extension of its answer, for who sends it to hold.
#[derive(Clone)]
pub struct Held {
    _places: Arc<Places>,
}

#[derive(Default)]
struct Places {
    // In the order in which they are given back.
    _own: Option<Place>,
    _upstream: Option<Place>,
    _handle: Option<Handle>,
}

/// Waits until a call has its places.
#[derive(Clone, Copy)]
pub struct Concurrency;

impl<S> Layer<S> for Concurrency {
    type Service = ConcurrencyService<S>;
    fn layer(&self, inner: S) -> ConcurrencyService<S> {
        ConcurrencyService(inner)
    }
}

#[derive(Clone)]
pub struct ConcurrencyService<S>(S);

/// How far a call is.
enum Way {
    Through(Places),
    /// It waits for a place of its caller's.
    Own(Queued, Handle),
    /// It waits for a place of its upstream's.
    Upstream(Queued, Places),
    Full(Fault),
}

fn begin<B>(call: &Call<B>, upstream: Option<&Arc<Gate>>) -> Way {
    let method = &call.resolved.method;
    let mut places = Places::default();
    if let Some(gates) = &method.concurrency {
        let key = gates.hasher.hash_one(material(&gates.rule.key, &caller(call)).as_slice());
        let handle = gates.gate(key);
        match handle.gate.as_ref().map(Gate::enter) {
            Some(Entry::Free(place)) => places._own = Some(place),
            Some(Entry::Queued(queued)) => return Way::Own(queued, handle),
            Some(Entry::Full(fault)) => return Way::Full(fault),
            None => {}
        }
        places._handle = Some(handle);
    }
    go_on(upstream, places)
}

fn go_on(upstream: Option<&Arc<Gate>>, mut places: Places) -> Way {
    match upstream.map(Gate::enter) {
        Some(Entry::Free(place)) => places._upstream = Some(place),
        Some(Entry::Queued(queued)) => return Way::Upstream(queued, places),
        Some(Entry::Full(fault)) => return Way::Full(fault),
        None => {}
    }
    Way::Through(places)
}

/// A call that waits for its places, and then all of the rest.
type Whole<R> = Pin<Box<dyn Future<Output = Result<Response<R>, Fault>> + Send>>;

impl<S, B, R> Service<Call<B>> for ConcurrencyService<S>
where
    S: Service<Call<B>, Response = Response<R>, Error = Fault, Future: Send> + Clone + Send + 'static,
    B: Send + 'static,
{
    type Response = Response<R>;
    type Error = Fault;
    type Future = ConcurrencyFuture<S::Future, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, call: Call<B>) -> Self::Future {
        let upstream = choose(&call).gate();
        if call.resolved.method.concurrency.is_none() && upstream.is_none() {
            return ConcurrencyFuture::Inner { inner: self.0.call(call), places: None };
        }
        let way = match begin(&call, upstream) {
            Way::Full(fault) => return ConcurrencyFuture::Refused { fault: Some(fault) },
            Way::Through(places) => {
                return ConcurrencyFuture::Inner { inner: self.0.call(call), places: Some(places) };
            }
            way @ (Way::Own(..) | Way::Upstream(..)) => way,
        };
        let (inner, upstream) = (self.0.clone(), upstream.cloned());
        // Boxed, since it is rare and would make every call's future larger.
        ConcurrencyFuture::Waiting {
            whole: Box::pin(async move {
                let places = places(way, upstream.as_ref()).await?;
                let mut response = inner.oneshot(call).await?;
                hold(&mut response, places);
                Ok(response)
            }),
        }
    }
}

async fn places(mut way: Way, upstream: Option<&Arc<Gate>>) -> Result<Places, Fault> {
    loop {
        way = match way {
            Way::Through(places) => return Ok(places),
            Way::Full(fault) => return Err(fault),
            Way::Own(queued, handle) => {
                let own = Some(queued.await?);
                let places = Places { _own: own, _handle: Some(handle), ..Places::default() };
                go_on(upstream, places)
            }
            Way::Upstream(queued, mut places) => {
                places._upstream = Some(queued.await?);
                Way::Through(places)
            }
        };
    }
}

fn hold<R>(response: &mut Response<R>, places: Places) {
    response.extensions_mut().insert(Held { _places: Arc::new(places) });
}

pin_project! {
    #[project = ConcurrencyProjection]
    pub enum ConcurrencyFuture<F, R> {
        Refused { fault: Option<Fault> },
        Inner { #[pin] inner: F, places: Option<Places> },
        Waiting { whole: Whole<R> },
    }
}

impl<F, R> Future for ConcurrencyFuture<F, R>
where
    F: Future<Output = Result<Response<R>, Fault>>,
{
    type Output = Result<Response<R>, Fault>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            ConcurrencyProjection::Refused { fault } => match fault.take() {
                Some(fault) => Poll::Ready(Err(fault)),
                None => Poll::Pending,
            },
            ConcurrencyProjection::Inner { inner, places } => {
                let mut result = ready!(inner.poll(cx));
                if let (Ok(response), Some(places)) = (&mut result, places.take()) {
                    hold(response, places);
                }
                Poll::Ready(result)
            }
            ConcurrencyProjection::Waiting { whole } => whole.as_mut().poll(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn keys_have_places_of_their_own_and_leave_nothing_behind() {
        let gate = GateSettings { calls: 1, queue: 1, wait: Duration::from_secs(1) };
        let rule = ConcurrencyRule { gate, key: vec![KeyPart::Principal] };
        let gates = Arc::new(Gates::new("*", rule, &Metrics::default()));
        let enter = |key| {
            let handle = gates.gate(key);
            let entry = handle.gate.as_ref().map(Gate::enter);
            (entry, handle)
        };
        let first = enter(1);
        assert!(matches!(first.0, Some(Entry::Free(_))));
        let second = enter(1);
        assert!(matches!(second.0, Some(Entry::Queued(_))));
        assert!(matches!(enter(1).0, Some(Entry::Full(_))));
        assert!(matches!(enter(2).0, Some(Entry::Free(_))), "another key");
        assert_eq!(gates.gates.lock().unwrap().len(), 1);
        drop((first, second));
        assert!(gates.gates.lock().unwrap().is_empty());
        assert!(matches!(enter(1).0, Some(Entry::Free(_))));
    }
}
