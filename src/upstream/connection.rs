//! The place of one HTTP/2 connection to one endpoint, kept up by a task of its own.
//!
//! The task connects when it is first needed, and from then on replaces a connection the moment it is lost; between
//! failed attempts it waits a little longer each time. A connection that is to make room, for its age or for a new
//! certificate, takes calls until the next one does. Calls only ever look at the state that the task publishes, so a dead
//! backend costs them nothing but an answer.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use rustls::ClientConfig;
use tokio::sync::{Notify, watch};
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tracing::{debug, info, warn};

use super::dial::{Dial, Over, Purpose, Target};
use super::live::Live;
use super::reach::Counted;
use super::settings::Keepalive;
use crate::fault::{Fault, Kind};

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// A connection that lives less than this counts as a failed attempt.
const SHORT_LIFE: Duration = Duration::from_millis(250);
/// How often a connection that was opened for many calls is looked at. One without calls at two looks is closed.
const LOOK: Duration = Duration::from_secs(30);
/// Servers that complain about pings get them less often, but not never.
const RAREST_PING: Duration = Duration::from_secs(3600);

/// The state of a connection, as calls see it.
#[derive(Clone)]
enum Link {
    /// An attempt is under way.
    Connecting,
    Ready(Arc<Live>),
    /// The last attempt failed; the next one comes by itself.
    Down(Arc<str>),
    /// There were no calls for it.
    Asleep,
}

/// Where a connection stands.
pub(super) enum State {
    Ready(Arc<Live>),
    Connecting,
    Down,
    Asleep,
}

/// The place of one connection.
pub(super) struct Connection {
    target: Arc<Target>,
    purpose: Purpose,
    /// Told to connect; for one that is there only while many calls come.
    wanted: Option<Arc<Notify>>,
    link: OnceLock<(watch::Receiver<Link>, AbortOnDrop)>,
}

struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Connection {
    /// One that is kept up from when it is first needed.
    pub(super) fn kept(target: Arc<Target>, purpose: Purpose) -> Self {
        Self { target, purpose, wanted: None, link: OnceLock::new() }
    }

    /// One that is there only while many calls come.
    pub(super) fn on_demand(target: Arc<Target>, purpose: Purpose) -> Self {
        Self { target, purpose, wanted: Some(Arc::default()), link: OnceLock::new() }
    }

    /// Starts the task that keeps the connection up, on the runtime of the caller, or wakes it.
    pub(super) fn start(&self) {
        let link = self.link();
        if let Some(wanted) = &self.wanted
            && matches!(*link.borrow(), Link::Asleep)
        {
            wanted.notify_one();
        }
    }

    fn link(&self) -> &watch::Receiver<Link> {
        &self
            .link
            .get_or_init(|| {
                let (publish, link) = watch::channel(Link::Connecting);
                let place = Place::new(Arc::clone(&self.target), self.purpose, self.wanted.clone(), publish);
                (link, AbortOnDrop(tokio::spawn(place.keep_up()).abort_handle()))
            })
            .0
    }

    /// Where it stands. Unless it is on demand, it is kept up from the first time on that anyone asks.
    pub(super) fn state(&self) -> State {
        if self.wanted.is_some() && self.link.get().is_none() {
            return State::Asleep;
        }
        match &*self.link().borrow() {
            Link::Ready(live) if live.is_retired() => State::Connecting,
            Link::Ready(live) => State::Ready(Arc::clone(live)),
            Link::Connecting => State::Connecting,
            Link::Down(_) => State::Down,
            Link::Asleep => State::Asleep,
        }
    }

    /// A connection that takes calls, with a handle for one. Waits for an attempt that is under way, but not for a further
    /// one.
    ///
    /// # Errors
    /// No connection.
    pub(super) async fn acquire(&self) -> Result<(SendRequest<Bytes>, Arc<Live>), Fault> {
        let link = self.link();
        let mut current = link.borrow().clone();
        let mut waiter = None;
        loop {
            match current {
                // Nothing was sent yet, so waiting for the connection that replaces it is always safe.
                Link::Ready(live) => {
                    if let Some(send) = live.handle().await {
                        return Ok((send, live));
                    }
                }
                Link::Down(why) => return Err(unreachable(&why)),
                Link::Connecting => {}
                Link::Asleep => self.start(),
            }
            let waiter = waiter.get_or_insert_with(|| link.clone());
            if waiter.changed().await.is_err() {
                return Err(unreachable("the endpoint was removed"));
            }
            current = waiter.borrow_and_update().clone();
        }
    }
}

fn unreachable(why: &str) -> Fault {
    Fault::new(Kind::Unreachable, "UPSTREAM_UNREACHABLE", "no connection to the backend")
        .because(why.to_owned())
}

/// What keeps a connection up.
struct Place {
    target: Arc<Target>,
    purpose: Purpose,
    wanted: Option<Arc<Notify>>,
    publish: watch::Sender<Link>,
    /// As it was set, or less often where the backend has complained.
    keepalive: Option<Keepalive>,
    /// Told when other certificates are shown or trusted.
    renewed: Option<watch::Receiver<Arc<ClientConfig>>>,
    /// What is waited before the next attempt.
    pause: Duration,
    /// An outage is told once, at its beginning, and its end once.
    is_down: bool,
    /// Whether the last connection was closed right away.
    is_brief: bool,
}

/// A connection that its place holds.
struct Serving {
    live: Arc<Live>,
    driver: JoinHandle<Over>,
    _counted: Counted,
}

/// Why a connection serves no longer.
enum End {
    Lost(Over),
    /// It serves until the next one does.
    Replace,
    Idle,
}

impl Place {
    fn new(
        target: Arc<Target>,
        purpose: Purpose,
        wanted: Option<Arc<Notify>>,
        publish: watch::Sender<Link>,
    ) -> Self {
        let keepalive = target.upkeep.keepalive;
        let renewed = match &target.dial {
            Dial::Tls { config, .. } => Some(config.clone()),
            Dial::Plain | Dial::Pipe(_) => None,
        };
        Self {
            target,
            purpose,
            wanted,
            publish,
            keepalive,
            renewed,
            pause: FIRST_PAUSE,
            is_down: false,
            is_brief: false,
        }
    }

    /// Connects, and connects again, until the connection's place is dropped.
    async fn keep_up(mut self) {
        let mut old = None;
        loop {
            let mut serving = self.establish(old.take()).await;
            self.publish.send_replace(Link::Ready(Arc::clone(&serving.live)));
            let end = self.serve(&mut serving).await;
            let upkeep = &self.target.upkeep;
            let (upstream, endpoint) = (&*upkeep.upstream, &self.target.endpoint.address);
            match end {
                End::Replace => {
                    debug!(upstream, %endpoint, "a connection makes room for a new one");
                    old = Some(serving);
                }
                End::Idle => {
                    debug!(upstream, %endpoint, "a connection without calls is closed");
                    self.publish.send_replace(Link::Asleep);
                    drop(serving);
                    if let Some(wanted) = &self.wanted {
                        wanted.notified().await;
                    }
                    self.publish.send_replace(Link::Connecting);
                }
                End::Lost(over) => {
                    let is_short = !serving.live.went_away() && serving.live.born().elapsed() < SHORT_LIFE;
                    match over {
                        // Told once, or a server of something else than HTTP/2 would fill the log.
                        Over::Closed if is_short && self.is_brief => {
                            debug!(upstream, %endpoint, "connection closed by the backend right away");
                        }
                        Over::Closed if is_short => {
                            warn!(upstream, %endpoint, "a backend closes connections right away; is it a server of HTTP/2?");
                        }
                        Over::Closed => {
                            info!(upstream, %endpoint, "connection lost or closed by the backend");
                        }
                        Over::Silent => {
                            warn!(upstream, %endpoint, "a backend did not answer a ping; its connection is given up");
                        }
                        Over::TooManyPings => self.ping_less(),
                    }
                    self.is_brief = is_short;
                    self.publish.send_replace(Link::Connecting);
                    if is_short {
                        self.rest().await;
                    } else {
                        self.pause = FIRST_PAUSE;
                    }
                }
            }
        }
    }

    /// Waits between attempts.
    async fn rest(&mut self) {
        sleep(self.pause.mul_f64(0.5 + fastrand::f64())).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }

    /// Connects, however many attempts it takes. What is `old` serves meanwhile, for as long as it can.
    async fn establish(&mut self, mut old: Option<Serving>) -> Serving {
        let mut is_first = true;
        loop {
            let attempt = async {
                if !std::mem::take(&mut is_first) {
                    self.rest().await;
                }
                // A certificate that comes from now on is the next connection's.
                if let Some(renewed) = &mut self.renewed {
                    renewed.mark_unchanged();
                }
                let connect = self.target.connect(self.purpose, self.keepalive);
                timeout(self.target.upkeep.connect_timeout, connect).await
            };
            let attempt = match &mut old {
                None => attempt.await,
                Some(serving) => tokio::select! {
                    attempt = attempt => attempt,
                    _ = serving.over() => {
                        old = None;
                        self.publish.send_replace(Link::Connecting);
                        continue;
                    }
                },
            };
            let upkeep = &self.target.upkeep;
            let (upstream, endpoint) = (&*upkeep.upstream, &self.target.endpoint.address);
            let error = match attempt {
                Ok(Ok(dialled)) => {
                    if std::mem::take(&mut self.is_down) {
                        info!(upstream, %endpoint, "connected again");
                    } else {
                        debug!(upstream, %endpoint, "connected");
                    }
                    let live = Live::new(dialled.send, Arc::clone(&self.target), dialled.pulse);
                    return Serving {
                        live: Arc::new(live),
                        driver: tokio::spawn(dialled.driver),
                        _counted: upkeep.reach.count(),
                    };
                }
                Ok(Err(error)) => error.to_string(),
                Err(_) => "connecting took too long".to_owned(),
            };
            upkeep.doubt.notify_one();
            if !std::mem::replace(&mut self.is_down, true) {
                warn!(upstream, %endpoint, error, "can't connect to a backend; trying again until it works");
            }
            if old.is_none() {
                self.publish.send_replace(Link::Down(error.into()));
            }
        }
    }

    /// Waits until the connection serves no longer.
    async fn serve(&mut self, serving: &mut Serving) -> End {
        // Not all at once that were opened at once.
        let age = self.target.upkeep.max_age.map(|age| age.mul_f64(0.9 + 0.2 * fastrand::f64()));
        let aged = until(age.and_then(|age| serving.live.born().checked_add(age)));
        let live = Arc::clone(&serving.live);
        let idle = async {
            if self.wanted.is_none() {
                std::future::pending::<()>().await;
            }
            let mut was_idle = false;
            loop {
                sleep(LOOK).await;
                let is_idle = live.streams() == 0;
                if was_idle && is_idle {
                    return;
                }
                was_idle = is_idle;
            }
        };
        let renewed = async {
            if let Some(renewed) = &mut self.renewed
                && renewed.changed().await.is_ok()
            {
                return;
            }
            std::future::pending().await
        };
        tokio::select! {
            over = serving.over() => End::Lost(over),
            () = aged => End::Replace,
            () = renewed => End::Replace,
            () = idle => End::Idle,
        }
    }

    fn ping_less(&mut self) {
        let (upstream, endpoint) = (&*self.target.upkeep.upstream, &self.target.endpoint.address);
        let Some(keepalive) = &mut self.keepalive else {
            info!(upstream, %endpoint, "a backend closed a connection on which it had too much to do");
            return;
        };
        keepalive.every = (keepalive.every * 2).min(RAREST_PING);
        let every_s = keepalive.every.as_secs();
        warn!(upstream, %endpoint, every_s, "a backend complains about pings; it gets them less often");
    }
}

impl Serving {
    /// Waits until it takes no more calls. Those that are still on it go on to their end, if it wasn't lost.
    async fn over(&mut self) -> Over {
        tokio::select! {
            biased;
            over = &mut self.driver => return over.unwrap_or(Over::Closed),
            () = self.live.retired() => {}
        }
        // Where a call found out that it is over, its driver may be about to say why.
        tokio::task::yield_now().await;
        if self.driver.is_finished() {
            (&mut self.driver).await.unwrap_or(Over::Closed)
        } else {
            Over::Closed
        }
    }
}

async fn until(end: Option<Instant>) {
    match end {
        Some(end) => sleep_until(end).await,
        None => std::future::pending().await,
    }
}
