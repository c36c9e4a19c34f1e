//! How the members of one cluster are made, at its start and later.

use std::sync::Arc;
use std::time::Duration;

use http::uri::Authority;
use rustls::ClientConfig;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::dial::{Dial, ServePipe, Target, Upkeep};
use super::guard::Guard;
use super::member::Member;
use super::peer::Peer;
use super::reach::Reach;
use super::settings::{Address, Endpoint, TlsSettings, UpstreamSettings};
use super::tls::{self, Renewing};
use crate::problem::Problems;
use crate::tls::WatchedClient;

/// All that the members of a cluster have in common.
pub(super) struct Making {
    upkeep: Arc<Upkeep>,
    tls: Option<(TlsSettings, watch::Receiver<Arc<ClientConfig>>)>,
    /// Connections that are kept, and how many there may be; for each worker and purpose.
    connections: (usize, usize),
    workers: usize,
    warm_up: Duration,
    guard: Arc<Guard>,
}

impl Making {
    /// Beside it there is what looks after the files that it is made of, if there are any.
    ///
    /// # Errors
    /// TLS settings that can't be used.
    pub(super) fn new(
        name: &Arc<str>,
        settings: &UpstreamSettings,
        reach: Arc<Reach>,
        doubt: &Arc<Notify>,
        guard: &Arc<Guard>,
        workers: usize,
    ) -> Result<(Self, Option<Renewing>), Problems> {
        let mut renewing = None;
        let tls = match &settings.tls {
            None => None,
            Some(tls) => {
                let (config, used) = watch::channel(tls::client_config(name, &tls.client)?);
                renewing = WatchedClient::new(tls.client.clone()).map(|watched| Renewing {
                    upstream: Arc::clone(name),
                    watched,
                    config,
                });
                Some((tls.clone(), used))
            }
        };
        let upkeep = Upkeep {
            upstream: Arc::clone(name),
            connect_timeout: settings.connect_timeout,
            keepalive: settings.keepalive,
            max_age: settings.max_connection_age,
            doubt: Arc::clone(doubt),
            reach,
        };
        let connections = (settings.connections.get(), settings.max_connections.get());
        let making = Self {
            upkeep: Arc::new(upkeep),
            tls,
            connections,
            workers,
            warm_up: settings.warm_up,
            guard: Arc::clone(guard),
        };
        Ok((making, renewing))
    }

    /// A member that wasn't there.
    ///
    /// # Errors
    /// A host that can't be a certificate's name.
    pub(super) fn peer(&self, endpoint: Endpoint, weight: u32) -> Result<Arc<Peer>, Problems> {
        let dial = match &self.tls {
            None => Dial::Plain,
            Some((settings, config)) => Dial::Tls {
                name: tls::name(&self.upkeep.upstream, &endpoint, settings)?,
                config: config.clone(),
            },
        };
        let target = Arc::new(Target { upkeep: Arc::clone(&self.upkeep), endpoint: endpoint.clone(), dial });
        let member = Member::new(endpoint, weight, Instant::now(), self.warm_up, &self.guard);
        Ok(Arc::new(Peer::new(Arc::new(member), &target, self.connections, self.workers)))
    }

    /// The one member of a cluster that is within the process.
    pub(super) fn pipe(
        name: &Arc<str>,
        reach: &Arc<Reach>,
        guard: &Arc<Guard>,
        workers: usize,
        serve: ServePipe,
    ) -> Arc<Peer> {
        let authority = Authority::from_static("localhost");
        let endpoint = Endpoint { authority, address: Address::Host("localhost".to_owned(), 0) };
        let upkeep = Upkeep {
            upstream: Arc::clone(name),
            connect_timeout: UpstreamSettings::DEFAULT_CONNECT_TIMEOUT,
            keepalive: None,
            max_age: None,
            doubt: Arc::default(),
            reach: Arc::clone(reach),
        };
        let member = Member::new(endpoint.clone(), 1, Instant::now(), Duration::ZERO, guard);
        let target = Arc::new(Target { upkeep: Arc::new(upkeep), endpoint, dial: Dial::Pipe(serve) });
        Arc::new(Peer::new(Arc::new(member), &target, (1, 1), workers))
    }
}
