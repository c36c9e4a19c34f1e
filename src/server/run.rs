//! Starting a process's parts, and ending them.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;

use arc_swap::ArcSwap;
use tokio::sync::{Notify, mpsc, watch};
use tracing::{error, info};

use super::background::Background;
use super::bind::bind_one;
use super::drain::{Cutter, Drain, LEAVING, Life};
use super::fleet::{Addresses, Fleet};
use super::front::Front;
use super::handover::Handover;
use super::inherited::{Inherited, Sockets};
use super::reload::Reloader;
use super::snapshot::Snapshot;
use super::sources::Sources;
use super::state::{Process, State};
use super::upkeep::keep;
use super::windows::Windows;
use super::worker::{Order, Worker, spawn};
use crate::admin::{self, Admin};
use crate::config::Settings;
use crate::problem::{Problem, Problems};
use crate::tls::noting;

/// A process part that serves. Dropping it does not stop it; [`Running::stop`] does.
pub struct Running {
    addresses: Arc<ArcSwap<Addresses>>,
    admin: Option<SocketAddr>,
    windows: Arc<Windows>,
    stop: watch::Sender<bool>,
    life: Life,
    drain: Arc<Drain>,
    orders: Vec<mpsc::UnboundedSender<Order>>,
    /// For the process that replaces this one.
    sockets: Arc<Sockets>,
    /// Told when one does.
    replaced: Arc<Notify>,
    workers: Vec<JoinHandle<()>>,
    /// Told to load everything again.
    reload: Arc<Notify>,
    /// What loads again, and what looks after certificates, keys and lists.
    helpers: Vec<JoinHandle<()>>,
    /// Told to end after the workers, so that a drain can be watched.
    admin_thread: Option<(watch::Sender<bool>, JoinHandle<()>)>,
    /// Where upstreams are looked after; it ends last.
    background: Background,
}

/// Loads everything, binds every address, and serves on threads of its own. Warnings come beside it.
///
/// # Errors
/// Every problem in settings, schema and rules; or an address that can't be had.
pub fn start(settings: &Settings) -> Result<(Running, Problems), Problems> {
    start_with(settings, Inherited::default())
}

/// As [`start`], with sockets that were opened by others.
///
/// # Errors
/// As [`start`].
pub fn start_with(settings: &Settings, mut inherited: Inherited) -> Result<(Running, Problems), Problems> {
    let settings = Arc::new(settings.clone());
    let (stop, stopped) = watch::channel(false);
    let life = Life::new();
    let background = Background::start()?;
    let workers = settings.workers.unwrap_or_else(cores).get();
    let process = Process::new(workers, background.handle().clone(), life.leaving(), Some(life.signs()));
    let metrics = Arc::clone(&process.metrics);
    let mut sources = Sources::new(&settings.schema, &settings.upstreams);
    let (loaded, marks) = noting(|| sources.first(settings.schema.wait()));
    let (schema, mut warnings) = loaded?;
    let (state, more) = State::first(&process, Arc::clone(&settings), &schema)?;
    warnings.extend(more);
    drop(schema);

    let (orders, heard): (Vec<_>, Vec<_>) = (0..workers).map(|_| mpsc::unbounded_channel()).unzip();
    let drain = Arc::new(Drain::new(settings.drain));
    let mut handover = settings.handover.as_deref().map(Handover::begin).transpose()?;
    if let Some(handover) = &mut handover {
        inherited.extend(std::mem::take(&mut handover.inherited));
    }
    let sockets = handover.as_ref().map(|_| Arc::<Sockets>::default());
    let admin_sockets = settings.admin.map(|admin| inherited.take(ADMIN, admin.address));
    let fleet = Fleet::new(orders.clone(), Arc::clone(&drain), inherited, sockets.clone());
    let addresses = Arc::clone(fleet.addresses());
    let front = Front::Fleet {
        fleet,
        admin: settings.admin,
        keys: settings.limits.keys.get(),
        handover: settings.handover.clone(),
    };
    let prepared = front.prepare(&settings)?;
    if let Front::Fleet { fleet, .. } = &front {
        warnings.extend(fleet.take_rest().warn_of_the_rest());
    }
    let passed = admin_sockets.and_then(|sockets| sockets.into_iter().next());
    let admin_listener = match (passed, settings.admin) {
        (Some(passed), _) => Some(passed),
        (None, Some(admin)) => Some(bind_one(admin.address, "the admin address")?),
        (None, None) => None,
    };
    let admin_address = admin_listener.as_ref().and_then(|listener| listener.local_addr().ok());
    if let (Some(sockets), Some(address)) = (&sockets, admin_address) {
        sockets.add(ADMIN, address, &admin_listener).map_err(|error| {
            Problem::error(format!("the admin address can't be held for another process: {error}"))
        })?;
    }

    front.log(state.observer.access_log.as_ref());
    front.warm(&state);
    let (upkeeps, upkeep) = mpsc::unbounded_channel();
    let reloader = Reloader::begin(process, state, front, prepared, sources, marks, upkeeps);
    let mut running = Running {
        addresses,
        admin: admin_address,
        windows: Arc::clone(reloader.windows()),
        stop,
        life,
        drain: Arc::clone(&drain),
        orders,
        sockets: sockets.clone().unwrap_or_default(),
        replaced: Arc::default(),
        workers: Vec::new(),
        reload: Arc::default(),
        helpers: Vec::new(),
        admin_thread: None,
        background,
    };
    if let Some(listener) = admin_listener {
        let admin = Admin {
            metrics: Arc::clone(&metrics),
            clusters: Arc::clone(&running.windows.clusters),
            reload: Arc::clone(&running.windows.report),
            stopping: running.life.leaving(),
        };
        let (close, closed) = watch::channel(false);
        let thread = spawn("admin".into(), closed, move |closed| admin::serve(listener, admin, closed))?;
        running.admin_thread = Some((close, thread));
    }
    for (number, orders) in heard.into_iter().enumerate() {
        let (metrics, drain) = (Arc::clone(&metrics), Arc::clone(&drain));
        let worker = Worker { number, orders, metrics, drain, signs: running.life.signs() };
        let thread = spawn(format!("worker-{number}"), stopped.clone(), move |stopped| worker.run(stopped))?;
        running.workers.push(thread);
    }
    let upkeep = spawn("upkeep".into(), stopped.clone(), move |stopped| keep(upkeep, stopped))?;
    running.helpers.push(upkeep);
    let told = Arc::clone(&running.reload);
    let reloader = spawn("reload".into(), stopped.clone(), move |stopped| reloader.run(told, stopped))?;
    running.helpers.push(reloader);
    if let (Some(handover), Some(sockets)) = (handover, sockets) {
        let meeting = handover.take_over(|| running.windows.clusters.load().all_reachable());
        let replaced = Arc::clone(&running.replaced);
        let run = move |stopped| meeting.run(sockets, replaced, stopped);
        running.helpers.push(spawn("handover".into(), stopped, run)?);
    }
    Ok((running, warnings))
}

/// What an admin address is called among listening sockets; no listener has a name with blanks.
const ADMIN: &str = "admin address";

/// Workers that were asked whether they do anything.
pub struct Pulse {
    count: Arc<AtomicUsize>,
    workers: usize,
}

impl Pulse {
    /// Whether all have answered.
    #[must_use]
    pub fn all_answered(&self) -> bool {
        self.count.load(Ordering::Relaxed) == self.workers
    }
}

/// One worker for each core that the process may use.
pub(super) fn cores() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

impl Running {
    /// The listeners' names and the addresses that they have, as they are now.
    #[must_use]
    pub fn listeners(&self) -> Vec<(String, SocketAddr)> {
        self.addresses.load().to_vec()
    }

    #[must_use]
    pub fn admin(&self) -> Option<SocketAddr> {
        self.admin
    }

    /// What requests are judged by now.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.windows.snapshot.load_full()
    }

    /// Loads everything again, in the background: the configuration file that the settings are from, all that it names,
    /// and what backends tell by reflection. What is bad is refused, and what was good before stays in force.
    pub fn reload(&self) {
        self.reload.notify_one();
    }

    /// Hurries [`Running::stop`], from another thread.
    #[must_use]
    pub fn cutter(&self) -> Cutter {
        self.life.cutter()
    }

    /// Says that it is not ready any more, then accepts nothing more, lets calls under way end for as long as the settings
    /// say, and waits for that.
    pub fn stop(self) {
        let began = Instant::now();
        self.sockets.clear();
        self.life.leave();
        self.life.wait(self.drain.get().delay);
        self.end(began);
    }

    /// Waits until another process serves in the place of this one.
    pub fn replaced(&self) -> impl Future<Output = ()> + use<> {
        let replaced = Arc::clone(&self.replaced);
        async move { replaced.notified().await }
    }

    /// As [`Running::stop`], once another process serves: nobody is told to go elsewhere, since what comes new comes there.
    pub fn leave(self) {
        let began = Instant::now();
        self.sockets.clear();
        if let Some((close, _)) = &self.admin_thread {
            close.send_replace(true);
        }
        self.life.replace();
        self.life.leave();
        self.life.wait(self.drain.get().delay.max(LEAVING));
        self.end(began);
    }

    /// Asks all workers whether they do anything.
    #[must_use]
    pub fn pulse(&self) -> Pulse {
        let count = Arc::default();
        for worker in &self.orders {
            // One that has ended does not count.
            let _ = worker.send(Order::Count(Arc::clone(&count)));
        }
        Pulse { count, workers: self.orders.len() }
    }

    fn end(self, began: Instant) {
        self.stop.send_replace(true);
        for worker in self.workers {
            if worker.join().is_err() {
                error!("a worker ended with a panic");
            }
        }
        for helper in self.helpers {
            if helper.join().is_err() {
                error!("what reloads, or looks after files, ended with a panic");
            }
        }
        if let Some((close, thread)) = self.admin_thread {
            close.send_replace(true);
            if thread.join().is_err() {
                error!("the admin address ended with a panic");
            }
        }
        self.background.stop();
        if let Some(log) = &self.windows.observer.load().access_log {
            log.close();
        }
        info!(after_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX), "stopped");
    }
}
