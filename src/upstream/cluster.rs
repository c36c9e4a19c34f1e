//! A named set of members, and how a call gets to one of them.

use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, Method, Request, Uri};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::balance::{self, Balance, Turn};
use super::call::{Replies, Reply, Sender};
use super::connection::{Connection, Dial, Live, Purpose, Reach, ServePipe, State, Target};
use super::gate::Gate;
use super::incoming::Incoming;
use super::member::{Member, Outcome, Timed, Underway};
use super::members::Members;
use super::peer::{Lines, Peer};
use super::settings::{Endpoint, UpstreamSettings};
use super::status;
use super::tls;
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
        let reach = Reach::new(changed);
        let name: Arc<str> = settings.name.as_str().into();
        let config = settings.tls.as_ref().map(|tls| tls::client_config(&name, tls)).transpose()?;
        let mut targets = Vec::with_capacity(settings.endpoints.len());
        for endpoint in &settings.endpoints {
            let dial = match (&settings.tls, &config) {
                (Some(settings), Some(config)) => {
                    Dial::Tls(tls::for_endpoint(&name, endpoint, settings, config)?)
                }
                _ => Dial::Tcp,
            };
            targets.push(Arc::new(Target {
                upstream: Arc::clone(&name),
                endpoint: endpoint.clone(),
                dial,
                connect_timeout: settings.connect_timeout,
                reach: Arc::clone(&reach),
            }));
        }
        let gate = settings.concurrency.map(|concurrency| {
            let label: Arc<str> = format!("upstream {name}").into();
            let stats = Arc::new(metrics.gate(&label));
            Arc::new(Gate::new(concurrency, label, stats))
        });
        let cluster = Self::to(name, reach, &targets, settings.connections.get(), workers);
        Ok(Self { gate, balance: settings.balance, ..cluster })
    }

    /// A server within the process, called like any other one. Each worker has a pipe of its own to it.
    #[must_use]
    pub fn in_process(name: &str, workers: usize, serve: ServePipe) -> Self {
        let name: Arc<str> = name.into();
        let reach = Reach::new(watch::Sender::new(()));
        let authority = Authority::from_static("localhost");
        let target = Arc::new(Target {
            upstream: Arc::clone(&name),
            endpoint: Endpoint { host: authority.host().to_owned(), port: 0, authority },
            dial: Dial::Pipe(serve),
            connect_timeout: UpstreamSettings::DEFAULT_CONNECT_TIMEOUT,
            reach: Arc::clone(&reach),
        });
        Self::to(name, reach, &[target], 1, workers)
    }

    fn to(
        name: Arc<str>,
        reach: Arc<Reach>,
        targets: &[Arc<Target>],
        connections: usize,
        workers: usize,
    ) -> Self {
        let now = Instant::now();
        let peer = |target: &Arc<Target>| {
            let member = Arc::new(Member::new(target.endpoint.clone(), 1, now));
            Arc::new(Peer::new(member, target, connections, workers))
        };
        Self {
            members: ArcSwap::from_pointee(Members::new(targets.iter().map(peer).collect())),
            turns: (0..workers.max(1)).map(|_| Turn::default()).collect(),
            balance: Balance::default(),
            gate: None,
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
            let (mut send, live) = match chosen.way {
                Way::Ready(live) => match live.handle().await {
                    Some(send) => (send, live),
                    // It counts as connecting from now on, so each is found to be of no use only once.
                    None => continue,
                },
                Way::Wait(connection) => match connection.acquire().await {
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
        let turn = self.turns.get(worker).or(self.turns.first()).ok_or_else(no_endpoint)?;
        let choose = |usable: &dyn Fn(State) -> bool| {
            let usable = |index: usize| {
                set.members.get(index).is_some_and(|member| member.standing.takes_calls())
                    && lines(&set, index, worker, purpose).is_some_and(|lines| usable(lines.best().0))
            };
            balance::choose(self.balance, &set.members, &set.urn, turn, now, usable)
        };
        let index = choose(&|state| matches!(state, State::Ready(_)))
            .or_else(|| choose(&|state| matches!(state, State::Connecting)))
            .or_else(|| choose(&|_| true))
            .ok_or_else(no_endpoint)?;
        let member = Arc::clone(set.members.get(index).ok_or_else(no_endpoint)?);
        let lines = lines(&set, index, worker, purpose).ok_or_else(no_endpoint)?;
        let way = match lines.best() {
            (State::Ready(live), _) => Way::Ready(live),
            (State::Connecting | State::Down, Some(connection)) => Way::Wait(Arc::clone(connection)),
            (State::Connecting | State::Down, None) => return Err(no_endpoint()),
        };
        Ok(Chosen { member, way })
    }
}

/// Whom a call goes to.
struct Chosen {
    member: Arc<Member>,
    way: Way,
}

enum Way {
    Ready(Arc<Live>),
    Wait(Arc<Connection>),
}

fn lines(set: &Members, index: usize, worker: usize, purpose: Purpose) -> Option<&Lines> {
    set.peers.get(index)?.lines(worker, purpose)
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
    use crate::upstream::Clusters;
    use std::time::Duration;

    fn settings(endpoints: &[&str]) -> UpstreamSettings {
        UpstreamSettings {
            name: "u".into(),
            endpoints: endpoints
                .iter()
                .map(|endpoint| {
                    let authority: http::uri::Authority = endpoint.parse().unwrap();
                    super::super::Endpoint {
                        host: authority.host().to_owned(),
                        port: authority.port_u16().unwrap(),
                        authority,
                    }
                })
                .collect(),
            tls: None,
            connect_timeout: Duration::from_secs(1),
            connections: std::num::NonZeroUsize::MIN,
            balance: Balance::default(),
            concurrency: None,
        }
    }

    #[tokio::test]
    async fn nobody_listening_is_unavailable() {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let clusters =
            Clusters::new(&[settings(&[&format!("127.0.0.1:{port}")])], 1, &Metrics::default()).unwrap();
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
