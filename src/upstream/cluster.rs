//! A named set of endpoints, and the unary call to one of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, Method, Request, Uri};
use tokio::sync::watch;
use tokio::time::Instant;

use super::call::{Replies, Reply, Sender};
use super::connection::{Connection, Dial, Purpose, Reach, ServePipe, Target};
use super::gate::Gate;
use super::incoming::Incoming;
use super::settings::{Endpoint, UpstreamSettings};
use super::status;
use super::tls;
use crate::fault::{Fault, Kind};
use crate::problem::Problems;
use crate::telemetry::Metrics;

/// Every upstream of a process.
pub struct Clusters {
    all: Vec<Arc<Cluster>>,
    workers: usize,
    /// Told when one of them is reached, or no longer.
    reach_changed: watch::Sender<()>,
}

impl Clusters {
    /// One cluster for each upstream, with connections of their own for each of `workers` workers. Nothing is
    /// connected yet.
    ///
    /// # Errors
    /// TLS settings that can't be used.
    pub fn new(settings: &[UpstreamSettings], workers: usize, metrics: &Metrics) -> Result<Self, Problems> {
        let none = Self { all: Vec::new(), workers, reach_changed: watch::Sender::new(()) };
        none.renew(settings, metrics)
    }

    /// The clusters of other settings. One whose settings are as they were is the same: it keeps its connections and all
    /// that is known of it. What is left out goes on for as long as calls are under way.
    ///
    /// # Errors
    /// TLS settings that can't be used.
    pub fn renew(&self, settings: &[UpstreamSettings], metrics: &Metrics) -> Result<Self, Problems> {
        let mut problems = Problems::new();
        let mut all = Vec::with_capacity(settings.len());
        for settings in settings {
            if let Some(known) = self.all.iter().find(|known| known.settings.as_ref() == Some(settings)) {
                all.push(Arc::clone(known));
                continue;
            }
            match Cluster::new(settings, self.workers, self.reach_changed.clone(), metrics) {
                Ok(cluster) => all.push(Arc::new(cluster)),
                Err(found) => problems.extend(found),
            }
        }
        let renewed = Self { all, workers: self.workers, reach_changed: self.reach_changed.clone() };
        problems.into_result(renewed).map(|(clusters, _)| clusters)
    }

    /// How many of these clusters are those of `others`.
    #[must_use]
    pub fn shared_with(&self, others: &Self) -> usize {
        let is_there = |cluster: &&Arc<Cluster>| others.all.iter().any(|other| Arc::ptr_eq(cluster, other));
        self.all.iter().filter(is_there).count()
    }

    /// Looks one up by name; at load only.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<Cluster>> {
        self.all.iter().find(|cluster| &*cluster.name == name)
    }

    /// The only one there is, if there is only one.
    #[must_use]
    pub fn only(&self) -> Option<&Arc<Cluster>> {
        match self.all.as_slice() {
            [only] => Some(only),
            _ => None,
        }
    }

    /// Whether at least one connection of each cluster takes calls.
    #[must_use]
    pub fn all_reachable(&self) -> bool {
        self.all.iter().all(|cluster| cluster.is_reachable())
    }

    /// Hears when a cluster is reached that was not, or the other way round.
    #[must_use]
    pub fn reach_changed(&self) -> watch::Receiver<()> {
        self.reach_changed.subscribe()
    }

    /// Begins to connect, on the caller's runtime, the connections of this worker.
    pub fn warm(&self, worker: usize) {
        for cluster in &self.all {
            // Those for streams connect when the first stream comes.
            for connection in cluster.pool(worker).map_or(&[][..], |pool| &pool.unary.connections) {
                connection.start();
            }
        }
    }
}

/// One upstream: its endpoints and, for each worker, its connections to them.
pub struct Cluster {
    name: Arc<str>,
    /// None for a server within the process.
    settings: Option<UpstreamSettings>,
    reach: Arc<Reach>,
    /// None where as many calls may be under way as come.
    gate: Option<Arc<Gate>>,
    /// By worker. A connection lives on the runtime of its worker, so that a call never crosses threads.
    pools: Vec<Pool>,
}

struct Pool {
    unary: Turns,
    streams: Turns,
}

/// Connections that take turns.
struct Turns {
    connections: Vec<Connection>,
    next: AtomicUsize,
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
    fn new(
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
        Ok(Self {
            gate,
            settings: Some(settings.clone()),
            ..Self::to(name, reach, &targets, settings.connections.get(), workers)
        })
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
        let turns = |purpose| Turns {
            // Neighbours in the list are different endpoints, so that taking turns spreads the calls.
            connections: (0..connections)
                .flat_map(|_| targets.iter().map(|target| Connection::new(Arc::clone(target), purpose)))
                .collect(),
            next: AtomicUsize::new(0),
        };
        let pool = || Pool { unary: turns(Purpose::Unary), streams: turns(Purpose::Streams) };
        Self { pools: (0..workers.max(1)).map(|_| pool()).collect(), name, settings: None, reach, gate: None }
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

    fn pool(&self, worker: usize) -> Option<&Pool> {
        self.pools.get(worker).or(self.pools.first())
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
        let pool = self.pool(worker).ok_or_else(no_endpoint)?;
        let turns = match purpose {
            Purpose::Unary => &pool.unary,
            Purpose::Streams => &pool.streams,
        };
        open(turns.choose()?, call).await
    }
}

impl Turns {
    /// The next connection that is up; where none is, the next in turn says why. One that is not up and whose turn it
    /// is connects from now on, so that each takes its part before long.
    fn choose(&self) -> Result<&Connection, Fault> {
        if let [only] = self.connections.as_slice() {
            return Ok(only);
        }
        let start = self.next.fetch_add(1, Ordering::Relaxed);
        let count = self.connections.len();
        let in_turn = |step: usize| self.connections.get(start.wrapping_add(step) % count.max(1));
        let first = in_turn(0).ok_or_else(no_endpoint)?;
        if first.is_ready() {
            return Ok(first);
        }
        first.start();
        let ready = (1..count).filter_map(in_turn).find(|connection| connection.is_ready());
        Ok(ready.unwrap_or(first))
    }
}

async fn open(connection: &Connection, call: Outgoing) -> Result<(Sender, Incoming), Fault> {
    let (mut send, live) = connection.acquire().await?;
    let request = request(connection, call.path, call.headers)?;
    let (response, body) = send.send_request(request, false).map_err(|error| status::from_h2(&error))?;
    Ok((Sender::new(body), Incoming::new(response, live, call.deadline)))
}

fn no_endpoint() -> Fault {
    Fault::new(Kind::Unreachable, "UPSTREAM_UNREACHABLE", "no connection to the backend")
}

/// The head of a call over this connection. Its parts were checked at load.
fn request(connection: &Connection, path: PathAndQuery, headers: HeaderMap) -> Result<Request<()>, Fault> {
    let mut uri = http::uri::Parts::default();
    uri.scheme = Some(if connection.is_tls() { Scheme::HTTPS } else { Scheme::HTTP });
    uri.authority = Some(connection.endpoint().authority.clone());
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
            concurrency: None,
        }
    }

    #[tokio::test]
    async fn taking_turns_reaches_every_endpoint() {
        let clusters = Clusters::new(
            &[settings(&["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"])],
            2,
            &Metrics::default(),
        )
        .unwrap();
        let cluster = clusters.only().unwrap();
        let mut ports: Vec<u16> =
            (0..6).map(|_| cluster.pools[1].unary.choose().unwrap().endpoint().port).collect();
        ports.sort_unstable();
        assert_eq!(ports, [1, 1, 2, 2, 3, 3]);
        assert!(!clusters.all_reachable());
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
        let fault = clusters.only().unwrap().unary(0, call, Bytes::new(), 1).await.err().unwrap();
        assert_eq!(fault.code(), crate::fault::Code::Unavailable);
    }
}
