//! A connection that takes calls: how many are on it, and how many of them may still be reset.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use h2::client::SendRequest;
use http::uri::Authority;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::dial::Target;
use super::keepalive::Pulse;

/// How many calls of a connection may be reset within a second. Servers count resets as an attack: hyper's close the
/// connection at 20 of them that the application has not seen yet.
const RESETS_PER_SECOND: u64 = 10;

/// How many more calls a backend allows on a connection. What is above waits within it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    Enough,
    /// Soon there is none.
    Little,
    None,
}

/// A connection that takes calls. It is closed once neither its place nor a call holds it any more.
pub(super) struct Live {
    send: SendRequest<Bytes>,
    target: Arc<Target>,
    pulse: Arc<Pulse>,
    /// Set when a call finds out that it takes no more, and told to the task that replaces it.
    is_retired: AtomicBool,
    retired: Notify,
    /// Whether the backend has only said that it takes no more calls here.
    went_away: AtomicBool,
    /// Whether a call was ever on it.
    has_served: AtomicBool,
    born: Instant,
    /// The second that the count is of, and the count below it: calls reset within that second.
    resets: AtomicU64,
}

impl Live {
    pub(super) fn new(send: SendRequest<Bytes>, target: Arc<Target>, pulse: Arc<Pulse>) -> Self {
        Self {
            send,
            target,
            pulse,
            is_retired: AtomicBool::new(false),
            retired: Notify::new(),
            went_away: AtomicBool::new(false),
            has_served: AtomicBool::new(false),
            born: Instant::now(),
            resets: AtomicU64::new(0),
        }
    }

    /// A handle for one call; `None` where it takes no more calls. It never waits, and nothing was sent then.
    pub(super) async fn handle(&self) -> Option<SendRequest<Bytes>> {
        match self.send.clone().ready().await {
            Ok(send) => Some(send),
            Err(error) => {
                let is_polite = error.is_go_away() && error.reason() == Some(h2::Reason::NO_ERROR);
                self.went_away.store(is_polite, Ordering::Relaxed);
                self.is_retired.store(true, Ordering::Relaxed);
                self.retired.notify_one();
                None
            }
        }
    }

    pub(super) fn is_retired(&self) -> bool {
        self.is_retired.load(Ordering::Relaxed)
    }

    /// Whether the backend has only said that it takes no more calls here, as it may as often as it likes: but not before
    /// the first one, or connecting would never end.
    pub(super) fn went_away(&self) -> bool {
        self.went_away.load(Ordering::Relaxed) && self.has_served.load(Ordering::Relaxed)
    }

    /// Waits until a call finds out that it takes no more.
    pub(super) async fn retired(&self) {
        self.retired.notified().await;
    }

    pub(super) fn born(&self) -> Instant {
        self.born
    }

    /// Host and port as the backend knows them.
    pub(super) fn authority(&self) -> &Authority {
        &self.target.endpoint.authority
    }

    pub(super) fn is_tls(&self) -> bool {
        self.target.is_tls()
    }

    /// Takes one of the resets that are allowed in this second, if one is left.
    pub(super) fn may_reset(&self) -> bool {
        let second = self.born.elapsed().as_secs() << 32;
        let take = |resets: u64| {
            let of_this_second = if resets & !u64::from(u32::MAX) == second { resets } else { second };
            let count = of_this_second & u64::from(u32::MAX);
            (count < RESETS_PER_SECOND).then_some(of_this_second + 1)
        };
        self.resets.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }

    /// Calls that are on it, those included that were given up but not reset.
    pub(super) fn streams(&self) -> usize {
        self.pulse.streams.load(Ordering::Relaxed)
    }

    /// How much room there is for calls.
    pub(super) fn room(&self) -> Room {
        let streams = self.streams();
        if streams == 0 {
            // Then there is always some, and the backend's settings needn't be asked for.
            return Room::Enough;
        }
        match self.send.current_max_send_streams() {
            most if streams >= most => Room::None,
            most if streams + (most / 8).max(1) >= most => Room::Little,
            _ => Room::Enough,
        }
    }

    /// Bytes that it has written so far. Where it is lost and has written nothing since a call was handed to it, nobody has
    /// seen that call.
    pub(super) fn written(&self) -> u64 {
        self.pulse.written.load(Ordering::Relaxed)
    }

    /// A call has waited in vain since `began`. Where nothing at all came since then, the connection itself is in doubt.
    pub(super) fn suspect(&self, began: Instant) {
        self.pulse.suspect(began);
    }
}

/// A call's part of a connection, which it keeps open.
pub(super) struct Stream(Arc<Live>);

impl Stream {
    pub(super) fn new(live: Arc<Live>) -> Self {
        live.pulse.streams.fetch_add(1, Ordering::Relaxed);
        live.has_served.store(true, Ordering::Relaxed);
        Self(live)
    }

    pub(super) fn live(&self) -> &Arc<Live> {
        &self.0
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.0.pulse.streams.fetch_sub(1, Ordering::Relaxed);
    }
}
