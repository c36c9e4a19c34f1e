//! A named set of members, and how a call gets to one of them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::uri::{PathAndQuery, Scheme};
use http::{HeaderMap, Method, Request, Uri};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::balance::{self, Balance, Turn};
use super::call::{Replies, Reply, Sender};
use super::dial::{Purpose, ServePipe};
use super::discover::Discovering;
use super::gate::Gate;
use super::incoming::Incoming;
use super::live::Live;
use super::making::Making;
use super::member::{Member, Outcome, Timed, Underway};
use super::members::{Known, Roster, Tier};
use super::peer::{Line, Lines, Peer};
use super::reach::Reach;
use super::settings::{Discovery, UpstreamSettings};
use super::status;
use super::tls::Renewing;
use crate::fault::{Fault, Kind};
use crate::problem::Problems;
use crate::telemetry::Metrics;

/// One upstream: its members and, for each worker, its connections to them.
pub struct Cluster {
    name: Arc<str>,
    /// None for a server within the process.
    settings: Option<UpstreamSettings>,
    reach: Arc<Reach>,
    /// None where as many calls may be under way as come.
    gate: Option<Arc<Gate>>,
    balance: Balance,
    /// By worker.
    turns: Box<[Turn]>,
    roster: Arc<Roster>,
    /// Whether its members come and go.
    is_named: bool,
    /// By worker: whether it looks out for them.
    watched: Box<[AtomicBool]>,
    /// How long a call waits to hear who the members are.
    patience: Duration,
    /// What is to go on beside the calls, until it is started.
    beside: Mutex<Beside>,
    /// What goes on beside the calls; it ends with the cluster.
    tasks: OnceLock<JoinSet<()>>,
}

/// What goes on beside the calls.
#[derive(Default)]
struct Beside {
    /// Finds the members.
    discovering: Option<Discovering>,
    /// Reads certificates again.
    renewing: Option<Renewing>,
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
        let doubt = Arc::default();
        let reach = Reach::new(changed);
        let (making, renewing) = Making::new(&name, settings, Arc::clone(&reach), &doubt, workers)?;
        let (roster, discovering) = match &settings.endpoints {
            Discovery::Listed(listed) => {
                let peers =
                    listed.iter().map(|listed| making.peer(listed.endpoint.clone(), listed.weight.get()));
                (Arc::new(Roster::of(peers.collect::<Result<_, _>>()?)), None)
            }
            Discovery::Named(names) => {
                let roster = Arc::new(Roster::empty());
                let discovering = Discovering {
                    upstream: Arc::clone(&name),
                    settings: names.clone(),
                    making,
                    roster: Arc::clone(&roster),
                    doubt,
                };
                (roster, Some(discovering))
            }
        };
        let gate = settings.concurrency.map(|concurrency| {
            let label: Arc<str> = format!("upstream {name}").into();
            let stats = Arc::new(metrics.gate(&label));
            Arc::new(Gate::new(concurrency, label, stats))
        });
        Ok(Self {
            is_named: discovering.is_some(),
            beside: Mutex::new(Beside { discovering, renewing }),
            patience: settings.connect_timeout,
            balance: settings.balance,
            gate,
            settings: Some(settings.clone()),
            ..Self::of(name, reach, roster, workers)
        })
    }

    /// A server within the process, called like any other one. Each worker has a pipe of its own to it.
    #[must_use]
    pub fn in_process(name: &str, workers: usize, serve: ServePipe) -> Self {
        let name: Arc<str> = name.into();
        let reach = Reach::new(watch::Sender::new(()));
        let peer = Making::pipe(&name, &reach, workers, serve);
        Self::of(name, reach, Arc::new(Roster::of(vec![peer])), workers)
    }

    fn of(name: Arc<str>, reach: Arc<Reach>, roster: Arc<Roster>, workers: usize) -> Self {
        Self {
            turns: (0..workers.max(1)).map(|_| Turn::default()).collect(),
            balance: Balance::default(),
            patience: UpstreamSettings::DEFAULT_CONNECT_TIMEOUT,
            gate: None,
            settings: None,
            is_named: false,
            watched: (0..workers.max(1)).map(|_| AtomicBool::new(false)).collect(),
            beside: Mutex::default(),
            tasks: OnceLock::new(),
            name,
            reach,
            roster,
        }
    }

    /// Starts what goes on beside the calls, where it isn't started.
    pub(super) fn look_after(&self, background: &Handle) {
        self.tasks.get_or_init(|| {
            let mut tasks = JoinSet::new();
            let beside = std::mem::take(&mut *self.beside.lock().unwrap_or_else(PoisonError::into_inner));
            if let Some(discovering) = beside.discovering {
                tasks.spawn_on(discovering.run(), background);
            }
            if let Some(renewing) = beside.renewing {
                tasks.spawn_on(renewing.run(), background);
            }
            tasks
        });
    }

    /// Begins to connect, on the caller's runtime, the connections of this worker: to the members that are known, and to
    /// others when they are found.
    pub(super) fn warm(&self, worker: usize) {
        let mut known = self.roster.known();
        self.roster.warm(worker);
        // It is told so again for each new configuration that it is a part of.
        let is_watched = |watched: &AtomicBool| watched.swap(true, Ordering::Relaxed);
        if !self.is_named || self.watched.get(worker).is_none_or(is_watched) {
            return;
        }
        let roster = Arc::downgrade(&self.roster);
        tokio::spawn(async move {
            while known.changed().await.is_ok() {
                let Some(roster) = roster.upgrade() else { return };
                roster.warm(worker);
            }
        });
    }

    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// What it was made by; none for a server within the process.
    pub(super) fn settings(&self) -> Option<&UpstreamSettings> {
        self.settings.as_ref()
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
            let chosen = match self.choose(worker, purpose, now) {
                Some(chosen) => chosen,
                None => {
                    self.members_known().await?;
                    self.choose(worker, purpose, now).ok_or_else(no_endpoint)?
                }
            };
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
    fn choose(&self, worker: usize, purpose: Purpose, now: Instant) -> Option<Chosen> {
        let set = self.roster.load();
        // Where there is no choice, none is made.
        if let [peer] = &*set.peers {
            return Chosen::of(peer, worker, purpose);
        }
        let turn = self.turns.get(worker).or(self.turns.first())?;
        let choose = |usable: fn(Line) -> bool| {
            set.tiers.iter().find_map(|Tier { range, urn, .. }| {
                let peers = set.peers.get(range.clone())?;
                let usable = |index: usize| {
                    peers.get(index).is_some_and(|peer| {
                        peer.member.standing.takes_calls()
                            && peer.lines(worker, purpose).and_then(Lines::best).is_some_and(usable)
                    })
                };
                let members = set.members.get(range.clone())?;
                peers.get(balance::choose(self.balance, members, urn, turn, now, usable)?)
            })
        };
        let peer = choose(|line| matches!(line, Line::Ready(_)))
            .or_else(|| choose(|line| matches!(line, Line::Connecting(_))))
            .or_else(|| choose(|_| true))?;
        Chosen::of(peer, worker, purpose)
    }

    /// Waits until it is known who the members are.
    ///
    /// # Errors
    /// It can't be found out, or not in time.
    async fn members_known(&self) -> Result<(), Fault> {
        let mut known = self.roster.known();
        let said = timeout(self.patience, known.wait_for(|known| *known != Known::NotYet)).await;
        let why = match said {
            Ok(Ok(known)) => match &*known {
                Known::Yes | Known::NotYet => return Ok(()),
                Known::Failed(why) => Arc::clone(why),
            },
            Ok(Err(_)) => "the upstream was removed".into(),
            Err(_) => "nobody has told yet where the upstream is".into(),
        };
        Err(no_endpoint().because(why.to_string()))
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
        assert_eq!(cluster.roster.load().members[0].load.under_way(), 0);
        assert!(!clusters.all_reachable());
    }
}
