//! Starting the process's workers, and ending them.

use std::collections::BTreeSet;
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio::runtime::{Builder, Handle};
use tokio::sync::{Notify, Semaphore, mpsc, watch};
use tracing::{error, info, warn};

use super::background::Background;
use super::limiting::Limiting;
use super::listener::{Acceptor, bind};
use super::load::Load;
use super::relist::Relisting;
use super::reload::Reloader;
use super::renew::Renewal;
use super::settings::{ListenerSettings, shown};
use super::snapshot::{self, Snapshot};
use super::sources::Sources;
use super::stack::{Policies, Shared, stack};
use super::tls::Served;
use crate::admin::{self, Admin};
use crate::codec::PlanSet;
use crate::config::Settings;
use crate::introspection::Own;
use crate::policy::{AddressLimits, Authenticator, SharedStore};
use crate::problem::{Problem, Problems};
use crate::protocol::rest::ErrorRenderer;
use crate::schema;
use crate::telemetry::{AccessLog, Metrics, Observer, flush_lines, flush_when_idle};
use crate::upstream::Clusters;

/// A process part that serves. Dropping it does not stop it; [`Running::stop`] does.
pub struct Running {
    listeners: Vec<(String, SocketAddr)>,
    admin: Option<SocketAddr>,
    snapshot: Arc<ArcSwap<Snapshot>>,
    stop: watch::Sender<bool>,
    /// And what looks after certificates, keys and address lists.
    workers: Vec<JoinHandle<()>>,
    /// Told to load the schema again.
    reload: Arc<Notify>,
    reloader: Option<JoinHandle<()>>,
    /// Told to end after the workers, so that a drain can be watched.
    admin_thread: Option<(watch::Sender<bool>, JoinHandle<()>)>,
    /// Where upstreams are looked after; it ends last.
    background: Background,
    ending: Arc<Ending>,
}

struct Ending {
    drain: Duration,
    access_log: Option<Arc<AccessLog>>,
}

/// Loads everything, binds every address, and serves on threads of its own. Warnings come beside it.
///
/// # Errors
/// Every problem in settings, schema and rules; or an address that can't be had.
pub fn start(settings: &Settings) -> Result<(Running, Problems), Problems> {
    let workers = settings.workers.unwrap_or_else(cores).get();
    let metrics = Arc::new(Metrics::default());
    let clusters = Arc::new(Clusters::new(&settings.upstreams, workers, &metrics)?);
    let background = Background::start()?;
    clusters.look_after(background.handle());
    let mut sources = Sources::new(&settings.schema, &settings.upstreams);
    let (schema, mut warnings) = sources.first(settings.schema.wait())?;
    let (stop, stopped) = watch::channel(false);
    let own = Arc::new(Own::new(shown(&settings.listeners), &clusters, workers, stopped.clone()));
    let limiting = Limiting::new(settings, &metrics);
    let (snapshot, more) =
        snapshot::build(&schema, &settings.rules, &clusters, &own, &metrics, &limiting, 1)?;
    warnings.extend(more);
    metrics.generation(snapshot.generation());
    own.expose(Arc::clone(snapshot.exposed()));
    let snapshots = Arc::new(ArcSwap::from_pointee(snapshot));
    let builtin = PlanSet::compile(&schema::builtin_pool());

    let listeners = bind_all(&settings.listeners, workers)?;
    let admin_listener =
        settings.admin.map(|admin| bind_one(admin.address, "the admin address")).transpose()?;
    let access_log = AccessLog::open(&settings.access_log, Arc::clone(&metrics))
        .map_err(|error| Problem::error(format!("the access log can't be opened: {error}")))?
        .map(Arc::new);
    let observer = Arc::new(Observer { metrics: Arc::clone(&metrics), access_log: access_log.clone() });

    let addresses: Vec<(String, SocketAddr)> =
        listeners.iter().map(|listener| (listener.settings.name.clone(), listener.address)).collect();
    let admin_address = admin_listener.as_ref().and_then(|listener| listener.local_addr().ok());
    let mut running = Running {
        listeners: addresses,
        admin: admin_address,
        snapshot: Arc::clone(&snapshots),
        stop,
        workers: Vec::new(),
        reload: Arc::default(),
        reloader: None,
        admin_thread: None,
        background,
        ending: Arc::new(Ending { drain: settings.drain, access_log }),
    };
    if let Some(listener) = admin_listener {
        let admin = Admin {
            metrics: Arc::clone(&metrics),
            clusters: Arc::clone(&clusters),
            stopping: stopped.clone(),
        };
        let (close, closed) = watch::channel(false);
        let thread = spawn("admin".into(), closed, move |closed| admin::serve(listener, admin, closed))?;
        running.admin_thread = Some((close, thread));
    }
    let limit_store = settings.limits.redis.clone();
    let limit_store = limit_store.map(|redis| Arc::new(SharedStore::new(redis, workers, &metrics)));
    let address_limits: Vec<Option<AddressLimits>> = settings
        .listeners
        .iter()
        .map(|listener| AddressLimits::new(&listener.name, &listener.address_limits, &limiting.limiters))
        .collect();
    let reloader = Reloader {
        sources,
        rules: settings.rules.clone(),
        clusters: Arc::clone(&clusters),
        own,
        metrics: Arc::clone(&metrics),
        limiting,
        snapshots: Arc::clone(&snapshots),
        silent: BTreeSet::new(),
    };
    let told = Arc::clone(&running.reload);
    let reloader = spawn("reload".into(), stopped.clone(), move |stopped| reloader.run(told, stopped))?;
    running.reloader = Some(reloader);
    let authenticator = Arc::new(Authenticator::new(&settings.identity, Arc::clone(&metrics))?);
    if let Some(thread) = keep_keys_fresh(&authenticator, stopped.clone())? {
        running.workers.push(thread);
    }
    let mut sockets: Vec<Vec<Socket>> = (0..workers).map(|_| Vec::new()).collect();
    let mut renewal = Renewal::new(Arc::clone(&metrics));
    for (listener, addresses) in listeners.into_iter().zip(address_limits) {
        let policies = Policies {
            authenticator: Arc::clone(&authenticator),
            load: Arc::new(Load::new(listener.settings.limits.requests)),
            addresses,
            limit_store: limit_store.clone(),
        };
        let tls = listener.settings.tls.clone();
        let tls = tls.map(|tls| renewal.add(&listener.settings.name, tls)).transpose()?;
        let errors =
            Arc::new(ErrorRenderer { form: listener.settings.errors, builtin: Arc::clone(&builtin) });
        for (worker, socket) in listener.sockets.into_iter().enumerate() {
            let shared = Shared::new(
                &listener.settings,
                Arc::clone(&observer),
                Arc::clone(&errors),
                Arc::clone(&snapshots),
                policies.clone(),
                worker,
            );
            let socket = Socket {
                socket,
                settings: listener.settings.clone(),
                tls: tls.clone(),
                room: Arc::clone(&listener.room),
                shared,
            };
            if let Some(own) = sockets.get_mut(worker) {
                own.push(socket);
            }
        }
    }
    for (number, sockets) in sockets.into_iter().enumerate() {
        let worker = Worker {
            number,
            sockets,
            clusters: Arc::clone(&clusters),
            limit_store: limit_store.clone(),
            metrics: Arc::clone(&metrics),
            ending: Arc::clone(&running.ending),
        };
        running
            .workers
            .push(spawn(format!("worker-{number}"), stopped.clone(), move |stopped| worker.run(stopped))?);
    }
    let relisting = Relisting::new(&settings.listeners, &settings.rules, Arc::clone(&metrics));
    if !relisting.is_empty() {
        let thread = spawn("addresses".into(), stopped.clone(), move |stopped| relisting.run(stopped))?;
        running.workers.push(thread);
    }
    if !renewal.is_empty() {
        let thread = spawn("certificates".into(), stopped, move |stopped| renewal.run(stopped))?;
        running.workers.push(thread);
    }
    Ok((running, warnings))
}

/// One worker for each core that the process may use.
fn cores() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

struct Bound {
    settings: ListenerSettings,
    address: SocketAddr,
    /// One for each worker.
    sockets: Vec<StdListener>,
    room: Arc<Semaphore>,
}

fn bind_all(listeners: &[ListenerSettings], workers: usize) -> Result<Vec<Bound>, Problems> {
    let mut problems = Problems::new();
    let mut bound = Vec::with_capacity(listeners.len());
    for settings in listeners {
        let what = format!("listener `{}`", settings.name);
        if let Err(found) = refuse_taken(settings.address, &what) {
            problems.extend(found);
            continue;
        }
        let first = match bind_one(settings.address, &what) {
            Ok(first) => first,
            Err(found) => {
                problems.extend(found);
                continue;
            }
        };
        // With port 0 the first socket chooses, and the others join it.
        let address = first.local_addr().unwrap_or(settings.address);
        let mut sockets = vec![first];
        for _ in 1..workers {
            match bind_one(address, &what) {
                Ok(socket) => sockets.push(socket),
                Err(found) => problems.extend(found),
            }
        }
        let room = Arc::new(Semaphore::new(settings.limits.connections.min(Semaphore::MAX_PERMITS)));
        bound.push(Bound { settings: settings.clone(), address, sockets, room });
    }
    problems.into_result(bound).map(|(bound, _)| bound)
}

/// Workers share an address with each other, but must not share it, unnoticed, with another process of the same user:
/// a socket that shares nothing can be bound where nobody listens alone.
fn refuse_taken(address: SocketAddr, what: &str) -> Result<(), Problems> {
    if address.port() == 0 {
        return Ok(());
    }
    match StdListener::bind(address) {
        Ok(_) => Ok(()),
        Err(error) => Err(Problem::error(format!("{what}: {address} can't be bound: {error}")).into()),
    }
}

fn bind_one(address: SocketAddr, what: &str) -> Result<StdListener, Problems> {
    bind(address)
        .map_err(|error| Problems::from(Problem::error(format!("{what}: {address} can't be bound: {error}"))))
}

/// A thread with a runtime of its own.
pub(super) fn spawn<F>(
    name: String,
    stopped: watch::Receiver<bool>,
    run: impl FnOnce(watch::Receiver<bool>) -> F + Send + 'static,
) -> Result<JoinHandle<()>, Problems>
where
    F: Future<Output = ()>,
{
    let cannot =
        |error: io::Error| Problems::from(Problem::error(format!("a thread can't be started: {error}")));
    // One runtime a thread, of one thread each: a call never waits for another core.
    let runtime = Builder::new_current_thread().enable_all().build().map_err(cannot)?;
    std::thread::Builder::new().name(name).spawn(move || runtime.block_on(run(stopped))).map_err(cannot)
}

/// The thread on which the keys of issuers are asked for, where there are any that can change.
pub(super) fn keep_keys_fresh(
    authenticator: &Arc<Authenticator>,
    stopped: watch::Receiver<bool>,
) -> Result<Option<JoinHandle<()>>, Problems> {
    if !authenticator.changes() {
        return Ok(None);
    }
    let authenticator = Arc::clone(authenticator);
    let run = |mut stopped: watch::Receiver<bool>| async move {
        tokio::select! {
            _ = stopped.wait_for(|stopped| *stopped) => {}
            () = authenticator.keep_fresh() => {}
        }
    };
    spawn("keys".into(), stopped, run).map(Some)
}

struct Socket {
    socket: StdListener,
    settings: ListenerSettings,
    tls: Option<Served>,
    room: Arc<Semaphore>,
    shared: Shared,
}

struct Worker {
    number: usize,
    sockets: Vec<Socket>,
    clusters: Arc<Clusters>,
    limit_store: Option<Arc<SharedStore>>,
    metrics: Arc<Metrics>,
    ending: Arc<Ending>,
}

impl Worker {
    async fn run(self, mut stopped: watch::Receiver<bool>) {
        self.metrics.worker(self.number, Handle::current().metrics());
        if let Some(log) = &self.ending.access_log {
            tokio::spawn(flush_when_idle(Arc::clone(log)));
        }
        self.clusters.warm(self.number);
        if let Some(store) = &self.limit_store {
            store.warm(self.number);
        }
        let (alive, mut gone) = mpsc::channel(1);
        for socket in self.sockets {
            let acceptor = Acceptor {
                room: socket.room,
                metrics: Arc::clone(&self.metrics),
                stop: stopped.clone(),
                alive: alive.clone(),
                settings: socket.settings,
                tls: socket.tls,
            };
            let stack = stack(&socket.shared);
            tokio::spawn(async move {
                let name = acceptor.settings.name.clone();
                if let Err(error) = acceptor.run(socket.socket, stack).await {
                    error!(listener = name, %error, "a listener failed");
                }
            });
        }
        drop(alive);
        let _ = stopped.wait_for(|stopped| *stopped).await;
        if tokio::time::timeout(self.ending.drain, gone.recv()).await.is_err() {
            warn!(worker = self.number, "calls that were under way are cut off");
        }
        if let Some(log) = &self.ending.access_log {
            flush_lines(log);
        }
    }
}

impl Running {
    /// The listeners' names and the addresses that they have.
    #[must_use]
    pub fn listeners(&self) -> &[(String, SocketAddr)] {
        &self.listeners
    }

    #[must_use]
    pub fn admin(&self) -> Option<SocketAddr> {
        self.admin
    }

    /// What requests are judged by now.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// Loads the schema again, in the background: its files, and what backends tell by reflection. A bad one is
    /// refused, and what was good before stays in force.
    pub fn reload(&self) {
        self.reload.notify_one();
    }

    /// Accepts nothing more, lets calls under way end for as long as the settings say, and waits for that.
    pub fn stop(self) {
        let began = Instant::now();
        self.stop.send_replace(true);
        for worker in self.workers {
            if worker.join().is_err() {
                error!("a worker ended with a panic");
            }
        }
        if let Some(thread) = self.reloader
            && thread.join().is_err()
        {
            error!("loading the schema again ended with a panic");
        }
        if let Some((close, thread)) = self.admin_thread {
            close.send_replace(true);
            if thread.join().is_err() {
                error!("the admin address ended with a panic");
            }
        }
        self.background.stop();
        if let Some(log) = &self.ending.access_log {
            log.close();
        }
        info!(after_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX), "stopped");
    }
}
