//! A named set of members, and how a call gets to one of them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use http::uri::{PathAndQuery, Scheme};
use http::{HeaderMap, Method, Request, Uri};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::balance::{self, Balance, Turn};
use super::budget::{Budget, BudgetSettings};
use super::call::Sender;
use super::calls::Try;
use super::dial::{Purpose, ServePipe};
use super::discover::Discovering;
use super::gate::Gate;
use super::guard::Guard;
use super::health;
use super::incoming::Incoming;
use super::live::Live;
use super::making::Making;
use super::member::{Member, Outcome, Timed, TryTime, Underway};
use super::members::{Known, Roster, Tier};
use super::peer::{Line, Lines, Peer};
use super::reach::Reach;
use super::retry::Tried;
use super::settings::{Discovery, UpstreamSettings};
use super::standing::Refused;
use super::status;
use super::tls::Renewing;
use crate::fault::{Fault, Kind};
use crate::problem::Problems;
use crate::telemetry::{Metrics, UpstreamStats};

/// One upstream: its members and, for each worker, its connections to them.
pub struct Cluster {
    name: Arc<str>,
    /// None for a server within the process.
    settings: Option<UpstreamSettings>,
    reach: Arc<Reach>,
    /// None where as many calls may be under way as come.
    gate: Option<Arc<Gate>>,
    balance: Balance,
    guard: Arc<Guard>,
    budget: Budget,
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
        let reach = Reach::new(changed.clone());
        let resilience = &settings.resilience;
        let stats = metrics.upstream(&name, resilience.breaker.is_some());
        let guard = Arc::new(Guard::new(Arc::clone(&name), resilience, changed, stats));
        let (making, renewing) = Making::new(&name, settings, Arc::clone(&reach), &doubt, &guard, workers)?;
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
            budget: Budget::new(resilience.budget),
            ..Self::of(name, reach, guard, roster, workers)
        })
    }

    /// A server within the process, called like any other one. Each worker has a pipe of its own to it.
    #[must_use]
    pub fn in_process(name: &str, workers: usize, serve: ServePipe) -> Self {
        let name: Arc<str> = name.into();
        let reach = Reach::new(watch::Sender::new(()));
        let guard = Guard::plain(&name);
        let peer = Making::pipe(&name, &reach, &guard, workers, serve);
        Self::of(name, reach, guard, Arc::new(Roster::of(vec![peer])), workers)
    }

    fn of(name: Arc<str>, reach: Arc<Reach>, guard: Arc<Guard>, roster: Arc<Roster>, workers: usize) -> Self {
        Self {
            turns: (0..workers.max(1)).map(|_| Turn::default()).collect(),
            balance: Balance::default(),
            patience: UpstreamSettings::DEFAULT_CONNECT_TIMEOUT,
            gate: None,
            settings: None,
            budget: Budget::new(BudgetSettings::default()),
            is_named: false,
            watched: (0..workers.max(1)).map(|_| AtomicBool::new(false)).collect(),
            beside: Mutex::default(),
            tasks: OnceLock::new(),
            name,
            reach,
            guard,
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
            if let Some(settings) =
                self.settings.as_ref().and_then(|settings| settings.resilience.health.as_ref())
            {
                let roster = Arc::downgrade(&self.roster);
                tasks.spawn_on(health::check_all(roster, settings.clone()), background);
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

    /// The members that it has now.
    pub(super) fn members(&self) -> Vec<Arc<Member>> {
        self.roster.load().members.to_vec()
    }

    /// Whether at least one of its connections takes calls, and checks have not found all of its members unhealthy.
    #[must_use]
    pub fn is_reachable(&self) -> bool {
        self.reach.is_reached() && self.guard.has_healthy()
    }

    pub(super) fn budget(&self) -> &Budget {
        &self.budget
    }

    pub(super) fn stats(&self) -> &UpstreamStats {
        &self.guard.stats
    }

    /// What its members share.
    pub(super) fn guard(&self) -> &Arc<Guard> {
        &self.guard
    }

    /// Whether a member takes calls that is none of these.
    pub(super) fn has_others(&self, tried: &Tried) -> bool {
        let set = self.roster.load();
        set.members.iter().any(|member| !tried.contains(&member.id()) && member.takes_calls())
    }

    /// Begins one try, at a member that is none of `tried` where there is one, and adds the members that it comes to.
    ///
    /// # Errors
    /// No connection, or nobody who takes calls.
    pub(super) async fn open(
        &self,
        worker: usize,
        one: Try,
        tried: &mut Tried,
    ) -> Result<(Sender, Incoming), Fault> {
        let now = Instant::now();
        let timed = match one.purpose {
            Purpose::Unary => Timed::ToEnd,
            Purpose::Streams => Timed::ToHead,
        };
        let time = TryTime { began: now, call: one.deadline, own: one.ends };
        loop {
            let chosen = match self.choose(worker, one.purpose, now, tried) {
                Some(chosen) => chosen,
                None => {
                    self.members_known().await?;
                    self.choose(worker, one.purpose, now, tried).ok_or_else(|| self.nobody())?
                }
            };
            let member = chosen.member.id();
            let mut underway = match Underway::begin(chosen.member, timed, time) {
                Ok(underway) => underway,
                Err(Refused::ByUpstream(left)) => return Err(circuit_open(left)),
                // Its last place for a probe is gone since.
                Err(Refused::ByMember(left)) => {
                    tried.push(member);
                    if self.has_others(tried) {
                        continue;
                    }
                    return Err(circuit_open(left));
                }
            };
            let (mut send, live) = match chosen.line {
                Line::Ready(live) => match live.handle().await {
                    Some(send) => (send, live),
                    // It counts as connecting from now on, so each is found to be of no use only once.
                    None => continue,
                },
                Line::Connecting(connection) | Line::Down(connection) => {
                    let Some(_waiting) = self.guard.wait() else { return Err(too_many()) };
                    match connection.acquire().await {
                        Ok(acquired) => acquired,
                        Err(fault) => {
                            underway.ended(Outcome::Unreachable);
                            tried.push(member);
                            // Nothing was sent, so another one can have it.
                            if tried.len() <= MOST_HOPS && self.has_others(tried) {
                                continue;
                            }
                            return Err(fault.unprocessed());
                        }
                    }
                }
            };
            tried.push(member);
            let request = request(&live, one.path, one.headers)?;
            let mark = live.written();
            return match send.send_request(request, false) {
                Ok((response, body)) => Ok((
                    Sender::new(body, one.activity.clone()),
                    Incoming::new(response, live, mark, one.ends.or(one.deadline), underway, one.activity),
                )),
                // It was taken back before h2 had it.
                Err(error) => {
                    underway.ended(Outcome::TakenBack);
                    Err(status::from_h2(&error).unprocessed())
                }
            };
        }
    }

    /// The member that a call goes to, and how: one that is connected, or else one that may soon be, or else one that
    /// says why it is not.
    /// None of `tried`, where there is another one.
    fn choose(&self, worker: usize, purpose: Purpose, now: Instant, tried: &Tried) -> Option<Chosen> {
        let set = self.roster.load();
        // Where there is no choice, none is made.
        if let [peer] = &*set.peers {
            return if peer.member.takes_calls() { Chosen::of(peer, worker, purpose) } else { None };
        }
        let turn = self.turns.get(worker).or(self.turns.first())?;
        let elsewhere = !tried.is_empty() && self.has_others(tried);
        let choose = |usable: fn(Line) -> bool| {
            set.tiers.iter().find_map(|Tier { range, urn, .. }| {
                let peers = set.peers.get(range.clone())?;
                let usable = |index: usize| {
                    peers.get(index).is_some_and(|peer| {
                        peer.member.takes_calls()
                            && !(elsewhere && tried.contains(&peer.member.id()))
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

    /// Why no member takes calls.
    fn nobody(&self) -> Fault {
        let set = self.roster.load();
        if set.members.iter().any(|member| member.is_full()) {
            return too_many();
        }
        if let Some(left) = set.members.iter().filter_map(|member| member.standing.breaker_left()).min() {
            return circuit_open(left);
        }
        if set.members.is_empty() {
            return no_endpoint();
        }
        Fault::new(Kind::Unreachable, "NO_HEALTHY_ENDPOINT", "no endpoint of the backend is healthy")
            .unprocessed()
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

/// How many members a try comes to that can't be reached.
const MOST_HOPS: usize = 4;

fn too_many() -> Fault {
    Fault::new(Kind::Overloaded, "OVERLOADED", "too many calls are under way")
}

/// The backend has failed too often, and is asked again after so long.
fn circuit_open(left: Duration) -> Fault {
    let message = "the backend has failed too often, and is not called for a while";
    Fault::new(Kind::Overloaded, "CIRCUIT_OPEN", message).retry_after(left)
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
    use bytes::Bytes;

    use crate::upstream::{Address, Clusters, Endpoint, Listed, Outgoing};

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
            retry: None,
            attempts: None,
            activity: None,
        };
        let cluster = clusters.only().unwrap();
        let fault = cluster.unary(0, call, Bytes::new(), 1).await.err().unwrap();
        assert_eq!(fault.code(), crate::fault::Code::Unavailable);
        assert_eq!(cluster.roster.load().members[0].load.under_way(), 0);
        assert!(!clusters.all_reachable());
    }
}
