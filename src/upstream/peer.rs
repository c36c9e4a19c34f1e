//! A member of a cluster together with the connections to it: each worker has its own.
//!
//! A peer that leaves its cluster takes its connections along. Calls that are still on them go on to their end, since a
//! call holds the connection that it is on; nothing else does.

use std::sync::Arc;

use super::connection::{Connection, State};
use super::dial::{Purpose, Target};
use super::live::{Live, Room};
use super::member::Member;

/// A member and every worker's connections to it.
pub(super) struct Peer {
    pub(super) member: Arc<Member>,
    pub(super) target: Arc<Target>,
    /// By worker. A connection lives on the runtime of its worker, so that a call never crosses threads.
    workers: Box<[Own]>,
}

/// What one worker has.
struct Own {
    unary: Lines,
    streams: Lines,
}

/// Connections for one purpose.
pub(super) struct Lines {
    /// At least one. Those that are kept come first, then those on demand.
    all: Box<[Arc<Connection>]>,
    kept: usize,
}

/// What there is for a call.
pub(super) enum Line {
    Ready(Arc<Live>),
    /// It may be there soon.
    Connecting(Arc<Connection>),
    /// It knows why it isn't there.
    Down(Arc<Connection>),
}

impl Peer {
    /// `connections` are how many are kept, and how many there may be.
    pub(super) fn new(
        member: Arc<Member>,
        target: &Arc<Target>,
        connections: (usize, usize),
        workers: usize,
    ) -> Self {
        let kept = connections.0.max(1);
        let lines = |purpose| {
            let connection = |index| {
                let target = Arc::clone(target);
                Arc::new(if index < kept {
                    Connection::kept(target, purpose)
                } else {
                    Connection::on_demand(target, purpose)
                })
            };
            Lines { all: (0..connections.1.max(kept)).map(connection).collect(), kept }
        };
        let own = || Own { unary: lines(Purpose::Unary), streams: lines(Purpose::Streams) };
        Self { member, target: Arc::clone(target), workers: (0..workers.max(1)).map(|_| own()).collect() }
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
    /// What there is for a call now: the first connection with room, or else the one with the fewest calls while a further
    /// one is opened. From the first time on that anyone asks, those that are kept are kept up.
    pub(super) fn best(&self) -> Option<Line> {
        let start = if self.kept > 1 { fastrand::usize(..self.kept) } else { 0 };
        let (kept, on_demand) = self.all.split_at_checked(self.kept)?;
        let (after, before) = kept.split_at_checked(start)?;
        let mut fewest: Option<(Room, Arc<Live>)> = None;
        let (mut connecting, mut down, mut asleep) = (None, None, None);
        for connection in before.iter().chain(after).chain(on_demand) {
            match connection.state() {
                State::Ready(live) => match live.room() {
                    Room::Enough => return Some(Line::Ready(live)),
                    room @ (Room::Little | Room::None) => {
                        if fewest.as_ref().is_none_or(|(_, known)| live.streams() < known.streams()) {
                            fewest = Some((room, live));
                        }
                    }
                },
                State::Connecting => connecting = connecting.or(Some(connection)),
                State::Down => down = down.or(Some(connection)),
                State::Asleep => asleep = asleep.or(Some(connection)),
            }
        }
        if fewest.is_some() && connecting.is_none() {
            // One at a time.
            if let Some(asleep) = asleep {
                asleep.start();
                connecting = Some(asleep);
            }
        }
        match (fewest, connecting, down) {
            // Nobody knows when one of those calls will end.
            (Some((Room::None, _)) | None, Some(connecting), _) => {
                Some(Line::Connecting(Arc::clone(connecting)))
            }
            (Some((_, live)), _, _) => Some(Line::Ready(live)),
            (None, None, down) => down.map(|connection| Line::Down(Arc::clone(connection))),
        }
    }

    /// Begins to connect those that are kept, on the caller's runtime.
    pub(super) fn warm(&self) {
        for connection in self.all.iter().take(self.kept) {
            connection.start();
        }
    }
}
