//! A member of a cluster together with the connections to it: each worker has its own.
//!
//! A peer that leaves its cluster takes its connections along. Calls that are still on them go on to their end, since a
//! call holds the connection that it is on; nothing else does.

use std::sync::Arc;

use super::connection::{Connection, Purpose, State, Target};
use super::member::Member;

/// A member and every worker's connections to it.
pub(super) struct Peer {
    pub(super) member: Arc<Member>,
    /// By worker. A connection lives on the runtime of its worker, so that a call never crosses threads.
    workers: Box<[Own]>,
}

/// What one worker has.
struct Own {
    unary: Lines,
    streams: Lines,
}

/// Connections for one purpose, at least one.
pub(super) struct Lines {
    all: Box<[Arc<Connection>]>,
}

impl Peer {
    pub(super) fn new(member: Arc<Member>, target: &Arc<Target>, connections: usize, workers: usize) -> Self {
        let lines = |purpose| Lines {
            all: (0..connections.max(1))
                .map(|_| Arc::new(Connection::new(Arc::clone(target), purpose)))
                .collect(),
        };
        let own = || Own { unary: lines(Purpose::Unary), streams: lines(Purpose::Streams) };
        Self { member, workers: (0..workers.max(1)).map(|_| own()).collect() }
    }

    /// The connections of a worker; those of the first one for who is none.
    pub(super) fn lines(&self, worker: usize, purpose: Purpose) -> Option<&Lines> {
        let own = self.workers.get(worker).or(self.workers.first())?;
        Some(match purpose {
            Purpose::Unary => &own.unary,
            Purpose::Streams => &own.streams,
        })
    }
}

impl Lines {
    /// Where the best of them stands, and which it is.
    pub(super) fn best(&self) -> (State, Option<&Arc<Connection>>) {
        let mut best = (State::Down, self.all.first());
        let start = if self.all.len() > 1 { fastrand::usize(..self.all.len()) } else { 0 };
        for step in 0..self.all.len() {
            let Some(connection) = self.all.get((start + step) % self.all.len()) else { continue };
            match connection.state() {
                ready @ State::Ready(_) => return (ready, Some(connection)),
                State::Connecting if matches!(best.0, State::Down) => {
                    best = (State::Connecting, Some(connection));
                }
                State::Connecting | State::Down => {}
            }
        }
        best
    }

    /// Begins to connect, on the caller's runtime.
    pub(super) fn warm(&self) {
        for connection in &self.all {
            connection.start();
        }
    }
}
