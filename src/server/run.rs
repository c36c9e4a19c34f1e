//! Starting the process's workers, and ending them.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use arc_swap::ArcSwap;
use tokio::sync::{Notify, watch};
use tracing::{error, info};

use super::bind::{bind_all, bind_one};
use super::limiting::Limiting;
use super::load::Load;
use super::relist::Relisting;
use super::reload::Reloader;
use super::renew::Renewal;
use super::settings::shown;
use super::snapshot::{self, Snapshot};
use super::sources::Sources;
use super::stack::{Policies, Shared};
use super::worker::{Ending, Socket, Worker, spawn};
use crate::admin::{self, Admin};
use crate::codec::PlanSet;
use crate::config::Settings;
use crate::introspection::Own;
use crate::policy::{AddressLimits, Authenticator, SharedStore};
use crate::problem::{Problem, Problems};
use crate::protocol::rest::ErrorRenderer;
use crate::schema;
use crate::telemetry::{AccessLog, Metrics, Observer};
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
    ending: Arc<Ending>,
}

/// Loads everything, binds every address, and serves on threads of its own. Warnings come beside it.
///
/// # Errors
/// Every problem in settings, schema and rules; or an address that can't be had.
pub fn start(settings: &Settings) -> Result<(Running, Problems), Problems> {
    let workers = settings.workers.unwrap_or_else(cores).get();
    let metrics = Arc::new(Metrics::default());
    let clusters = Arc::new(Clusters::new(&settings.upstreams, workers, &metrics)?);
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
        if let Some(log) = &self.ending.access_log {
            log.close();
        }
        info!(after_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX), "stopped");
    }
}
