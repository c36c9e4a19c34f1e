//! The listeners of a process and the workers that serve them, through reloads: what is new is bound before anything
//! changes, what stays is swapped under its connections, and what is gone drains.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use hyper::body::Incoming;
use rustls::ServerConfig;
use tokio::sync::{mpsc, watch};
use tracing::error;

use super::bind::{Bound, bind_listener};
use super::drain::Drain;
use super::inherited::{Inherited, Sockets};
use super::listener::{Acceptor, accept_all};
use super::live::{Live, Renew};
use super::load::Load;
use super::renew::Renewal;
use super::room::Room;
use super::settings::ListenerSettings;
use super::stack::{Shared, stack};
use super::state::{Process, State};
use super::tls::Served;
use super::worker::Order;
use crate::config::Settings;
use crate::problem::{Problem, Problems};
use crate::tls::{Resumption, Watched};

/// The names of listeners, and the addresses that they have.
pub(super) type Addresses = Vec<(String, SocketAddr)>;

pub(super) struct Fleet {
    listeners: Vec<Listener>,
    /// One for each worker.
    workers: Vec<mpsc::UnboundedSender<Order>>,
    drain: Arc<Drain>,
    addresses: Arc<ArcSwap<Addresses>>,
    /// What was passed to the process and no listener has yet.
    inherited: RefCell<Inherited>,
    /// There where another process may ask for them.
    sockets: Option<Arc<Sockets>>,
}

/// A listener that is served.
struct Listener {
    name: String,
    /// As the settings have it; the port may be 0.
    configured: SocketAddr,
    address: SocketAddr,
    door: Arc<ArcSwap<Acceptor>>,
    room: Arc<Room>,
    load: Arc<Load>,
    served: Option<Served>,
    resumption: Option<Arc<Resumption>>,
    /// What each worker has of it.
    lives: Vec<Arc<dyn Renew>>,
    close: watch::Sender<bool>,
}

impl Listener {
    fn is_of(&self, settings: &ListenerSettings) -> bool {
        // Of port 0 there may be several.
        self.configured == settings.address && (self.configured.port() != 0 || self.name == settings.name)
    }
}

/// What was found out beforehand about the listeners of other settings, one for each.
pub(super) struct Prepared(Vec<Ready>);

struct Ready {
    /// None where it is served already.
    bound: Option<Bound>,
    tls: Option<Secured>,
}

struct Secured {
    watched: Watched,
    config: Arc<ServerConfig>,
    resumption: Arc<Resumption>,
}

/// How listeners have changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Moves {
    pub added: usize,
    pub removed: usize,
}

impl Fleet {
    /// None yet, for workers that hear from these.
    pub(super) fn new(
        workers: Vec<mpsc::UnboundedSender<Order>>,
        drain: Arc<Drain>,
        inherited: Inherited,
        sockets: Option<Arc<Sockets>>,
    ) -> Self {
        let (addresses, inherited) = (Arc::default(), RefCell::new(inherited));
        Self { listeners: Vec::new(), workers, drain, addresses, inherited, sockets }
    }

    /// What was passed to the process and is of no use.
    pub(super) fn take_rest(&self) -> Inherited {
        self.inherited.take()
    }

    pub(super) fn addresses(&self) -> &Arc<ArcSwap<Addresses>> {
        &self.addresses
    }

    /// Does all that may fail: sets TLS up, and binds what isn't bound yet.
    ///
    /// # Errors
    /// Every address that can't be had, and TLS that can't be set up.
    pub(super) fn prepare(&self, settings: &Settings) -> Result<Prepared, Problems> {
        let mut problems = Problems::new();
        let mut prepared = Vec::with_capacity(settings.listeners.len());
        let own: Vec<SocketAddr> = self.listeners.iter().map(|listener| listener.address).collect();
        for settings in &settings.listeners {
            let known = self.listeners.iter().find(|listener| listener.is_of(settings));
            let tls = match secure(settings, known) {
                Ok(tls) => tls,
                Err(problem) => {
                    problems.push(problem);
                    continue;
                }
            };
            let bound = match known {
                Some(_) => Ok(None),
                None => {
                    let passed = self.inherited.borrow_mut().take(&settings.name, settings.address);
                    bind_listener(settings, self.workers.len(), &own, passed).map(Some)
                }
            };
            match bound {
                Ok(bound) => prepared.push(Ready { bound, tls }),
                Err(found) => problems.extend(found),
            }
        }
        problems.into_result(Prepared(prepared)).map(|(prepared, _)| prepared)
    }

    /// Puts a state in force, whose settings were prepared. `renewal` takes the certificates on.
    pub(super) fn put(
        &mut self,
        process: &Process,
        state: &State,
        prepared: Prepared,
        renewal: &mut Renewal,
    ) -> Moves {
        let drain = state.settings.drain;
        self.drain.set(drain);
        let mut before = std::mem::take(&mut self.listeners);
        let mut moves = Moves::default();
        for (settings, Ready { bound, tls }) in state.settings.listeners.iter().zip(prepared.0) {
            let known = before.iter().position(|listener| listener.is_of(settings));
            let listener = match (known.map(|index| before.swap_remove(index)), bound) {
                (Some(known), _) => known.renew(process, state, settings, tls, renewal),
                (None, Some(bound)) => {
                    moves.added += 1;
                    self.open(process, state, settings, bound, tls, renewal)
                }
                // It was bound because it wasn't known.
                (None, None) => continue,
            };
            self.listeners.push(listener);
        }
        moves.removed = before.len();
        for gone in before {
            if let Some(sockets) = &self.sockets {
                sockets.remove(gone.address);
            }
            gone.close.send_replace(true);
        }
        let addresses =
            self.listeners.iter().map(|listener| (listener.name.clone(), listener.address)).collect();
        self.addresses.store(Arc::new(addresses));
        moves
    }

    /// Tells all workers.
    pub(super) fn order(&self, order: impl Fn() -> Order) {
        for worker in &self.workers {
            // One that has ended serves nothing any more.
            let _ = worker.send(order());
        }
    }

    fn open(
        &self,
        process: &Process,
        state: &State,
        settings: &ListenerSettings,
        bound: Bound,
        tls: Option<Secured>,
        renewal: &mut Renewal,
    ) -> Listener {
        let (close, closed) = watch::channel(false);
        let room = Arc::new(Room::new(settings.limits.connections));
        let load = Arc::new(Load::new(settings.limits.requests));
        let resumption = tls.as_ref().map(|tls| Arc::clone(&tls.resumption));
        let served = tls.map(|tls| renewal.add(&settings.name, tls.watched, tls.config, None));
        let door = Arc::new(ArcSwap::from_pointee(Acceptor {
            settings: settings.of_connections(state.settings.drain.timeout),
            tls: served.clone(),
            room: Arc::clone(&room),
            metrics: Arc::clone(&process.metrics),
            stop: closed,
            signs: process.signs.clone(),
        }));
        if let Some(sockets) = &self.sockets {
            let all = bound.sockets.iter().map(|(_, socket)| socket);
            if let Err(error) = sockets.add(&settings.name, bound.address, all) {
                error!(listener = settings.name, %error, "another process can't be given this listener");
            }
        }
        let stacks =
            (0..self.workers.len()).map(|number| live(&state.shared(process, settings, &load, number)));
        let stacks: Vec<_> = stacks.map(Arc::new).collect();
        for (number, socket) in bound.sockets {
            let (Some(worker), Some(live)) = (self.workers.get(number), stacks.get(number)) else { continue };
            let live = Arc::clone(live);
            let door = Arc::clone(&door);
            let serve = move |alive| {
                drop(tokio::spawn(async move {
                    let name = door.load().settings.name.clone();
                    if let Err(error) = accept_all(door, socket, live, alive).await {
                        error!(listener = name, %error, "a listener failed");
                    }
                }));
            };
            let _ = worker.send(Order::Serve(Box::new(serve), close.clone()));
        }
        let lives = stacks.into_iter().map(|live| live as Arc<dyn Renew>).collect();
        Listener {
            name: settings.name.clone(),
            configured: settings.address,
            address: bound.address,
            door,
            room,
            load,
            served,
            resumption,
            lives,
            close,
        }
    }
}

impl Listener {
    /// The same listener by other settings.
    fn renew(
        mut self,
        process: &Process,
        state: &State,
        settings: &ListenerSettings,
        tls: Option<Secured>,
        renewal: &mut Renewal,
    ) -> Self {
        self.name.clone_from(&settings.name);
        self.room.allow(settings.limits.connections);
        self.load.allow(settings.limits.requests);
        if let Some(tls) = &tls {
            self.resumption = Some(Arc::clone(&tls.resumption));
        }
        let served = self.served.take();
        self.served = tls.map(|tls| renewal.add(&settings.name, tls.watched, tls.config, served));
        let stop = self.door.load().stop.clone();
        let signs = process.signs.clone();
        self.door.store(Arc::new(Acceptor {
            settings: settings.of_connections(state.settings.drain.timeout),
            tls: self.served.clone(),
            room: Arc::clone(&self.room),
            metrics: Arc::clone(&process.metrics),
            stop,
            signs,
        }));
        for (worker, live) in self.lives.iter().enumerate() {
            live.renew(&state.shared(process, settings, &self.load, worker));
        }
        self
    }
}

fn secure(settings: &ListenerSettings, known: Option<&Listener>) -> Result<Option<Secured>, Problem> {
    let Some(tls) = settings.tls.clone() else { return Ok(None) };
    let cannot = |unusable: crate::tls::Unusable| {
        Problem::error(format!("listener `{}`: {}", settings.name, unusable.what))
    };
    let resumption = match known.and_then(|known| known.resumption.clone()) {
        Some(resumption) => resumption,
        None => Arc::new(Resumption::new().map_err(cannot)?),
    };
    let (watched, config) = Watched::new(tls, Arc::clone(&resumption)).map_err(cannot)?;
    Ok(Some(Secured { watched, config, resumption }))
}

/// The stack, by its type alone.
fn live(
    shared: &Shared,
) -> Live<
    impl tower::Service<
        http::Request<Incoming>,
        Response = super::render::Rendered,
        Error = std::convert::Infallible,
        Future: Send + super::resolve::Routed,
    >
    + Send
    + 'static
    + use<>,
> {
    Live::new(stack::<Incoming>, shared)
}
