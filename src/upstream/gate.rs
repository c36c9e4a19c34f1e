//! How many calls may be under way at once: places, and a bounded queue before them. What finds no place in time is told
//! so at once, so that memory holds no more calls than the operator says, however slow a backend is.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Sleep, sleep};

use crate::fault::{Fault, Kind};
use crate::telemetry::GateStats;

/// How many at once, and how many may wait for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct GateSettings {
    /// At least one.
    pub calls: usize,
    pub queue: usize,
    pub wait: Duration,
}

impl GateSettings {
    /// How long a call waits where nothing is said.
    pub const DEFAULT_WAIT: Duration = Duration::from_secs(1);
    /// More than a process could ever hold.
    pub const MOST: usize = 10_000_000;
}

/// The places, shared by all workers. Whoever waits longest gets the next one.
pub struct Gate {
    free: Arc<Semaphore>,
    waiting: AtomicUsize,
    settings: GateSettings,
    /// The rule that logs and metrics name.
    label: Arc<str>,
    stats: Arc<GateStats>,
}

/// A place, until it is dropped.
pub struct Place {
    _permit: OwnedSemaphorePermit,
    stats: Arc<GateStats>,
}

/// What a call finds that comes to a gate.
pub enum Entry {
    Free(Place),
    Queued(Queued),
    Full(Fault),
}

impl Gate {
    #[must_use]
    pub fn new(settings: GateSettings, label: Arc<str>, stats: Arc<GateStats>) -> Self {
        Self {
            free: Arc::new(Semaphore::new(settings.calls.clamp(1, Semaphore::MAX_PERMITS))),
            waiting: AtomicUsize::new(0),
            settings,
            label,
            stats,
        }
    }

    /// Asks for a place.
    pub fn enter(self: &Arc<Self>) -> Entry {
        // Those that wait get places before they are free for others.
        if let Ok(permit) = Arc::clone(&self.free).try_acquire_owned() {
            return Entry::Free(self.place(permit));
        }
        let queue = self.settings.queue;
        let more = |waiting: usize| (waiting < queue).then_some(waiting + 1);
        if self.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_err() {
            return Entry::Full(self.full());
        }
        self.stats.waiting.inc();
        Entry::Queued(Queued {
            acquire: Box::pin(Arc::clone(&self.free).acquire_owned()),
            patience: sleep(self.settings.wait),
            turn: Turn { gate: Arc::clone(self) },
        })
    }

    fn place(&self, permit: OwnedSemaphorePermit) -> Place {
        self.stats.held.inc();
        Place { _permit: permit, stats: Arc::clone(&self.stats) }
    }

    fn full(&self) -> Fault {
        self.stats.shed.inc();
        Fault::new(Kind::Overloaded, "OVERLOADED", "too many calls are under way")
            .by_rule(Arc::clone(&self.label))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.stats.held.dec();
    }
}

/// A turn in the queue, until it is dropped.
struct Turn {
    gate: Arc<Gate>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.gate.waiting.fetch_sub(1, Ordering::Relaxed);
        self.gate.stats.waiting.dec();
    }
}

type Acquire = Pin<Box<dyn Future<Output = Result<OwnedSemaphorePermit, AcquireError>> + Send>>;

pin_project! {
    /// Waits for a place. Dropping it leaves the queue.
    pub struct Queued {
        acquire: Acquire,
        #[pin]
        patience: Sleep,
        turn: Turn,
    }
}

impl Future for Queued {
    type Output = Result<Place, Fault>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let gate = &this.turn.gate;
        match this.acquire.as_mut().poll(cx) {
            Poll::Ready(Ok(permit)) => return Poll::Ready(Ok(gate.place(permit))),
            // Nobody closes it.
            Poll::Ready(Err(_)) => return Poll::Ready(Err(gate.full())),
            Poll::Pending => {}
        }
        this.patience.poll(cx).map(|()| Err(gate.full()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Metrics;

    fn gate(calls: usize, queue: usize) -> Arc<Gate> {
        let settings = GateSettings { calls, queue, wait: Duration::from_secs(1) };
        Arc::new(Gate::new(settings, "g".into(), Arc::new(Metrics::default().gate("g"))))
    }

    fn free(entry: Entry) -> Place {
        match entry {
            Entry::Free(place) => place,
            Entry::Queued(_) => panic!("queued"),
            Entry::Full(fault) => panic!("{fault}"),
        }
    }

    fn queued(entry: Entry) -> Pin<Box<Queued>> {
        match entry {
            Entry::Queued(queued) => Box::pin(queued),
            Entry::Free(_) => panic!("free"),
            Entry::Full(fault) => panic!("{fault}"),
        }
    }

    async fn waits(queued: &mut Pin<Box<Queued>>) -> bool {
        std::future::poll_fn(|cx| Poll::Ready(queued.as_mut().poll(cx).is_pending())).await
    }

    #[tokio::test(start_paused = true)]
    async fn places_are_given_in_turn_and_the_queue_is_bounded() {
        let gate = gate(2, 2);
        let (first, second) = (free(gate.enter()), free(gate.enter()));
        let (third, fourth) = (queued(gate.enter()), queued(gate.enter()));
        let Entry::Full(fault) = gate.enter() else { panic!("there is no room") };
        assert_eq!((fault.reason(), fault.http_status().as_u16()), ("OVERLOADED", 503));
        assert_eq!(fault.rule().map(|rule| &**rule), Some("g"));
        assert_eq!(gate.stats.waiting.get(), 2);
        // Polled in order, so that both stand in it.
        let (third, fourth) = (tokio::spawn(third), tokio::spawn(fourth));
        tokio::task::yield_now().await;
        drop(first);
        let third = third.await.unwrap().ok().unwrap();
        assert!(!fourth.is_finished());
        drop((second, third));
        assert!(fourth.await.unwrap().is_ok());
        assert_eq!((gate.stats.held.get(), gate.stats.waiting.get(), gate.stats.shed.get()), (0, 0, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_too_long_is_told_so() {
        let gate = gate(1, 1);
        let _held = free(gate.enter());
        let fault = queued(gate.enter()).await.err().unwrap();
        assert_eq!(fault.reason(), "OVERLOADED");
        queued(gate.enter());
    }

    #[tokio::test(start_paused = true)]
    async fn who_leaves_the_queue_frees_its_turn() {
        let gate = gate(1, 1);
        let held = free(gate.enter());
        let mut waiting = queued(gate.enter());
        assert!(waits(&mut waiting).await);
        assert!(matches!(gate.enter(), Entry::Full(_)));
        drop(waiting);
        let mut next = queued(gate.enter());
        assert!(waits(&mut next).await);
        drop(held);
        assert!(next.await.is_ok(), "a turn that was left takes no place");
    }
}
