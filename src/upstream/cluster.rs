//! A named set of members, and how a call gets to one of them.

use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::uri::{PathAndQuery, Scheme};
use http::{HeaderMap, Method, Request, Uri};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::balance::{self, Balance, Turn};
use super::call::{Replies, Reply, Sender};
use super::dial::{Purpose, ServePipe};
use super::gate::Gate;
use super::incoming::Incoming;
use super::live::Live;
use super::making::Making;
use super::member::{Member, Outcome, Timed, Underway};
use super::members::Members;
use super::peer::{Line, Lines, Peer};
use super::reach::Reach;
use super::settings::{Discovery, UpstreamSettings};
use super::status;
use crate::fault::{Fault, Kind};
use crate::problem::Problems;
use crate::telemetry::Metrics;

/// One upstream: its members and, for each worker, its connections to them.
pub struct Cluster {
    name: Arc<str>,
    reach: Arc<Reach>,
    /// None where as many calls may be under way as come.
    gate: Option<Arc<Gate>>,
    balance: Balance,
    /// By worker.
    turns: Box<[Turn]>,
    members: ArcSwap<Members>,
    /// What goes on beside the calls; it ends with the cluster.
    tasks: OnceLock<JoinSet<()>>,
}

/// A call as it goes out.
pub struct Outgoing {
    /// `/package.Service/Method`.
    pub path: PathAndQuery,
    /// Metadata, and the headers that gRPC itself wants.
    pub headers: HeaderMap,
    /// The largest message that is accepted in reply, in bytes.
    pub max_reply: usize,
    /// When the call is over at the latest, for a call that nobody waits for any more.
    pub deadline: Option<Instant>,
}

impl Cluster {
    /// # Errors
    /// TLS settings that can't be used.
    pub(super) fn new(
        settings: &UpstreamSettings,
        workers: usize,
        changed: watch::Sender<()>,
        metrics: &Metrics,
    ) -> Result<Self, Problems> {
        let name: Arc<str> = settings.name.as_str().into();
        let making = Making::new(&name, settings, Reach::new(changed), workers)?;
        let peers = match &settings.endpoints {
            Discovery::Listed(listed) => listed.iter().map(|listed| making.peer(listed)),
        };
        let peers = peers.collect::<Result<Vec<_>, _>>()?;
        let gate = settings.concurrency.map(|concurrency| {
            let label: Arc<str> = format!("upstream {name}").into();
            let stats = Arc::new(metrics.gate(&label));
            Arc::new(Gate::new(concurrency, label, stats))
        });
        Ok(Self::of(name, making.reach(), peers, settings.balance, gate, workers))
    }

    /// A server within the process, called like any other one. Each worker has a pipe of its own to it.
    #[must_use]
    pub fn in_process(name: &str, workers: usize, serve: ServePipe) -> Self {
        let name: Arc<str> = name.into();
        let reach = Reach::new(watch::Sender::new(()));
        let peer = Making::pipe(&name, &reach, workers, serve);
        Self::of(name, reach, vec![peer], Balance::default(), None, workers)
    }

    fn of(
        name: Arc<str>,
        reach: Arc<Reach>,
        peers: Vec<Arc<Peer>>,
        balance: Balance,
        gate: Option<Arc<Gate>>,
        workers: usize,
    ) -> Self {
        Self {
            members: ArcSwap::from_pointee(Members::new(peers)),
            turns: (0..workers.max(1)).map(|_| Turn::default()).collect(),
            balance,
            gate,
            tasks: OnceLock::new(),
            name,
            reach,
        }
    }

    /// Starts what goes on beside the calls, where it isn't started.
    pub(super) fn look_after(&self, background: &Handle) {
        self.tasks.get_or_init(|| {
            let _guard = background.enter();
            JoinSet::new()
        });
    }

    /// Begins to connect, on the caller's runtime, the connections of this worker for unary calls. Those for streams connect
    /// when the first stream comes.
    pub(super) fn warm(&self, worker: usize) {
        for peer in &self.members.load().peers {
            if let Some(lines) = peer.lines(worker, Purpose::Unary) {
                lines.warm();
            }
        }
    }

    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// What holds it to a number of calls at once.
    #[must_use]
    pub fn gate(&self) -> Option<&Arc<Gate>> {
        self.gate.as_ref()
    }

    /// Whether at least one of its connections takes calls.
    #[must_use]
    pub fn is_reachable(&self) -> bool {
        self.reach.is_reached()
    }

    /// Calls a unary method. A reply of more than `whole` bytes is given as soon as it is known to be one.
    ///
    /// # Errors
    /// The backend's status, or what kept it from giving one.
    pub async fn unary(
        &self,
        worker: usize,
        call: Outgoing,
        message: Bytes,
        whole: usize,
    ) -> Result<Reply, Fault> {
        let max_reply = call.max_reply;
        let (mut sender, reply) = self.open(Purpose::Unary, worker, call).await?;
        sender.send_last(message);
        Replies::new(reply, max_reply).only_or_large(whole).await
    }

    /// Begins a call of a streaming method.
    ///
    /// # Errors
    /// No connection.
    pub async fn stream(&self, worker: usize, call: Outgoing) -> Result<(Sender, Replies), Fault> {
        let max_reply = call.max_reply;
        let (sender, reply) = self.open(Purpose::Streams, worker, call).await?;
        Ok((sender, Replies::new(reply, max_reply)))
    }

    /// Begins a call whose messages pass as they come. `is_unary` says which of the connections it takes.
    ///
    /// # Errors
    /// No connection.
    pub async fn pass(
        &self,
        worker: usize,
        call: Outgoing,
        is_unary: bool,
    ) -> Result<(Sender, Incoming), Fault> {
        self.open(if is_unary { Purpose::Unary } else { Purpose::Streams }, worker, call).await
    }

    async fn open(
        &self,
        purpose: Purpose,
        worker: usize,
        call: Outgoing,
    ) -> Result<(Sender, Incoming), Fault> {
        let now = Instant::now();
        let timed = match purpose {
            Purpose::Unary => Timed::ToEnd,
            Purpose::Streams => Timed::ToHead,
        };
        loop {
            let chosen = self.choose(worker, purpose, now)?;
            let mut underway = Underway::begin(chosen.member, timed, now, call.deadline);
            let (mut send, live) = match chosen.line {
                Line::Ready(live) => match live.handle().await {
                    Some(send) => (send, live),
                    // It counts as connecting from now on, so each is found to be of no use only once.
                    None => continue,
                },
                Line::Connecting(connection) | Line::Down(connection) => match connection.acquire().await {
                    Ok(acquired) => acquired,
                    Err(fault) => {
                        underway.ended(Outcome::Unreachable);
                        return Err(fault);
                    }
                },
            };
            let request = request(&live, call.path, call.headers)?;
            return match send.send_request(request, false) {
                Ok((response, body)) => {
                    Ok((Sender::new(body), Incoming::new(response, live, call.deadline, underway)))
                }
                Err(error) => {
                    underway.ended(status::outcome(&error));
                    Err(status::from_h2(&error))
                }
            };
        }
    }

    /// The member that a call goes to, and how: one that is connected, or else one that may soon be, or else one that
    /// says why it is not.
    fn choose(&self, worker: usize, purpose: Purpose, now: Instant) -> Result<Chosen, Fault> {
        let set = self.members.load();
        // Where there is no choice, none is made.
        if let [peer] = &*set.peers {
            return Chosen::of(peer, worker, purpose).ok_or_else(no_endpoint);
        }
        let turn = self.turns.get(worker).or(self.turns.first()).ok_or_else(no_endpoint)?;
        let choose = |usable: &dyn Fn(Line) -> bool| {
            let usable = |index: usize| {
                set.peers.get(index).is_some_and(|peer| {
                    peer.member.standing.takes_calls()
                        && peer.lines(worker, purpose).and_then(Lines::best).is_some_and(usable)
                })
            };
            balance::choose(self.balance, &set.members, &set.urn, turn, now, usable)
        };
        let index = choose(&|line| matches!(line, Line::Ready(_)))
            .or_else(|| choose(&|line| matches!(line, Line::Connecting(_))))
            .or_else(|| choose(&|_| true));
        let peer = index.and_then(|index| set.peers.get(index)).ok_or_else(no_endpoint)?;
        Chosen::of(peer, worker, purpose).ok_or_else(no_endpoint)
    }
}

/// Whom a call goes to.
struct Chosen {
    member: Arc<Member>,
    line: Line,
}

impl Chosen {
    fn of(peer: &Peer, worker: usize, purpose: Purpose) -> Option<Self> {
        let line = peer.lines(worker, purpose)?.best()?;
        Some(Self { member: Arc::clone(&peer.member), line })
    }
}

fn no_endpoint() -> Fault {
    Fault::new(Kind::Unreachable, "UPSTREAM_UNREACHABLE", "no connection to the backend")
}

/// The head of a call over this connection. Its parts were checked at load.
fn request(live: &Live, path: PathAndQuery, headers: HeaderMap) -> Result<Request<()>, Fault> {
    let mut uri = http::uri::Parts::default();
    uri.scheme = Some(if live.is_tls() { Scheme::HTTPS } else { Scheme::HTTP });
    uri.authority = Some(live.authority().clone());
    uri.path_and_query = Some(path);
    let uri = Uri::from_parts(uri).map_err(|error| {
        Fault::new(Kind::Bug, "BAD_UPSTREAM_URI", "the call can't be addressed").because(error)
    })?;
    let mut request = Request::new(());
    *request.method_mut() = Method::POST;
    *request.version_mut() = http::Version::HTTP_2;
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::{Address, Clusters, Endpoint, Listed};

    fn settings(endpoint: &str) -> UpstreamSettings {
        let authority: http::uri::Authority = endpoint.parse().unwrap();
        let address = Address::Host(authority.host().to_owned(), authority.port_u16().unwrap());
        let endpoint = Endpoint { authority, address };
        let listed = Listed { endpoint, weight: std::num::NonZeroU32::MIN };
        UpstreamSettings::new("u", Discovery::Listed(vec![listed]), None)
    }

    #[tokio::test]
    async fn nobody_listening_is_unavailable() {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let clusters =
            Clusters::new(&[settings(&format!("127.0.0.1:{port}"))], 1, &Metrics::default()).unwrap();
        let call = Outgoing {
            path: PathAndQuery::from_static("/a.B/C"),
            headers: HeaderMap::new(),
            max_reply: 1,
            deadline: None,
        };
        let cluster = clusters.only().unwrap();
        let fault = cluster.unary(0, call, Bytes::new(), 1).await.err().unwrap();
        assert_eq!(fault.code(), crate::fault::Code::Unavailable);
        assert_eq!(cluster.members.load().members[0].load.under_way(), 0);
        assert!(!clusters.all_reachable());
    }
}
