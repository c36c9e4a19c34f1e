//! One worker's connection to the server of shared limits: made again whenever it is lost, and doubted as soon as an
//! answer fails to come, so that no more than a few calls wait for a server that has gone.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, ConnectionAddr, IntoConnectionInfo, RedisConnectionInfo};
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use super::Unasked;
use crate::policy::limits::settings::RedisSettings;
use crate::telemetry::Metrics;

/// How long connecting may take.
const CONNECT: Duration = Duration::from_millis(500);
/// Between two attempts; the shared limits are to be back soon after their server is.
const PAUSE: Duration = Duration::from_millis(100);
/// How often a connection that nobody doubts is tried.
const PULSE: Duration = Duration::from_secs(1);

/// The place of a connection.
pub(super) struct Link {
    settings: RedisSettings,
    metrics: Arc<Metrics>,
    /// There once somebody wanted it.
    state: OnceLock<watch::Receiver<State>>,
    doubted: Arc<Notify>,
}

#[derive(Clone)]
enum State {
    Connecting,
    Up(MultiplexedConnection),
    /// The last attempt failed; the next one is near.
    Down,
}

impl Link {
    pub(super) fn new(settings: RedisSettings, metrics: Arc<Metrics>) -> Self {
        Self { settings, metrics, state: OnceLock::new(), doubted: Arc::default() }
    }

    /// Begins to connect, on the caller's runtime, before anybody asks.
    pub(super) fn warm(&self) {
        self.start();
    }

    /// Begins to connect on the caller's runtime, and to connect again, until the place is dropped.
    fn start(&self) -> &watch::Receiver<State> {
        self.state.get_or_init(|| {
            let (publish, state) = watch::channel(State::Connecting);
            let keeper = Keeper {
                settings: self.settings.clone(),
                metrics: Arc::clone(&self.metrics),
                doubted: Arc::clone(&self.doubted),
                publish,
            };
            tokio::spawn(keeper.keep_up());
            state
        })
    }

    /// The connection. Waits for a first attempt that is under way; whoever calls this limits the time.
    pub(super) async fn connection(&self) -> Result<MultiplexedConnection, Unasked> {
        let mut state = self.start().clone();
        loop {
            match &*state.borrow_and_update() {
                State::Up(connection) => return Ok(connection.clone()),
                State::Down => return Err(Unasked::Down),
                State::Connecting => {}
            }
            if state.changed().await.is_err() {
                return Err(Unasked::Down);
            }
        }
    }

    /// An answer did not come: the connection has to show that it is good.
    pub(super) fn doubt(&self) {
        self.doubted.notify_one();
    }
}

struct Keeper {
    settings: RedisSettings,
    metrics: Arc<Metrics>,
    doubted: Arc<Notify>,
    publish: watch::Sender<State>,
}

impl Keeper {
    async fn keep_up(self) {
        let (host, port) = (&*self.settings.host, self.settings.port);
        // An outage is told once, at its beginning, and its end once.
        let mut down = false;
        while !self.publish.is_closed() {
            match self.connect().await {
                Ok(connection) => {
                    if std::mem::take(&mut down) {
                        info!(host, port, "the server of shared limits is back");
                    }
                    self.publish.send_replace(State::Up(connection.clone()));
                    self.watch(connection).await;
                    self.metrics.limits_store_lost();
                    self.publish.send_replace(State::Down);
                }
                Err(error) => {
                    if !std::mem::replace(&mut down, true) {
                        warn!(
                            host,
                            port,
                            error,
                            "the server of shared limits can't be reached; trying until it works"
                        );
                    }
                    self.publish.send_replace(State::Down);
                    sleep(PAUSE.mul_f64(0.5 + fastrand::f64())).await;
                }
            }
        }
    }

    /// Ready when the connection is no good any more, or not wanted.
    async fn watch(&self, mut connection: MultiplexedConnection) {
        loop {
            tokio::select! {
                () = self.publish.closed() => return,
                () = self.doubted.notified() => {}
                () = sleep(PULSE) => {}
            }
            let ping = redis::cmd("PING");
            let ping = ping.query_async::<()>(&mut connection);
            // A server that takes longer than this for nothing is too slow for calls.
            if !matches!(timeout(self.settings.timeout * 2, ping).await, Ok(Ok(()))) {
                return;
            }
        }
    }

    async fn connect(&self) -> Result<MultiplexedConnection, String> {
        let RedisSettings { host, port, user, password, database, .. } = &self.settings;
        let mut settings = RedisConnectionInfo::default().set_db(*database).set_skip_set_lib_name();
        if let Some(user) = user {
            settings = settings.set_username(user);
        }
        if let Some(password) = password {
            settings = settings.set_password(password);
        }
        let connecting = async {
            let info = ConnectionAddr::Tcp(host.clone(), *port).into_connection_info()?;
            let client = Client::open(info.set_redis_settings(settings))?;
            // Time-outs are set around each call.
            let config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
            let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
            redis::cmd("PING").query_async::<()>(&mut connection).await?;
            Ok::<_, redis::RedisError>(connection)
        };
        match timeout(CONNECT, connecting).await {
            Ok(connected) => connected.map_err(|error| error.to_string()),
            Err(_) => Err("connecting took too long".to_owned()),
        }
    }
}
