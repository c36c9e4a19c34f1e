//! All that a reading of the configuration has become: compiled aside, and put in force in one piece.
//!
//! What a new reading says in the same words is taken over from the one before, with all that it has learned: clusters
//! with their connections, issuers with their keys, limits with their counts, the access log with its file.

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::watch;

use super::drain::Signs;
use super::limiting::Limiting;
use super::load::Load;
use super::settings::{ListenerSettings, shown};
use super::snapshot::{self, Snapshot};
use super::stack::{Policies, Shared};
use crate::codec::PlanSet;
use crate::config::Settings;
use crate::introspection::{Exposes, Own};
use crate::policy::{AddressLimits, Authenticator, InForce, Rechecks, Rule, SharedStore};
use crate::problem::{Problem, Problems};
use crate::protocol::rest::ErrorRenderer;
use crate::schema::{self, Schema};
use crate::telemetry::{AccessLog, Metrics, Observer};
use crate::upstream::Clusters;

/// What is chosen when the process starts, and can't change under it.
pub(super) struct Process {
    pub workers: usize,
    pub metrics: Arc<Metrics>,
    /// Where upstreams are looked after.
    pub background: Handle,
    /// What open streams are judged by again.
    pub rechecks: Arc<Rechecks>,
    /// For the bodies of errors.
    pub builtin: Arc<PlanSet>,
    /// Turns true when the process is about to stop.
    pub leaving: watch::Receiver<bool>,
    /// None where the server is somebody else's.
    pub signs: Option<Signs>,
}

impl Process {
    pub(super) fn new(
        workers: usize,
        background: Handle,
        leaving: watch::Receiver<bool>,
        signs: Option<Signs>,
    ) -> Self {
        let builtin = PlanSet::compile(&schema::builtin_pool());
        Self {
            workers,
            metrics: Arc::default(),
            background,
            rechecks: Arc::default(),
            builtin,
            leaving,
            signs,
        }
    }
}

/// What is in force.
pub(super) struct State {
    pub settings: Arc<Settings>,
    pub clusters: Arc<Clusters>,
    pub own: Arc<Own>,
    pub limiting: Limiting,
    pub authenticator: Arc<Authenticator>,
    /// Where limits are counted that gateways share.
    pub limit_store: Option<Arc<SharedStore>>,
    pub observer: Arc<Observer>,
    pub snapshot: Arc<Snapshot>,
}

impl State {
    /// What a process starts with. Warnings come beside it.
    ///
    /// # Errors
    /// Every problem of the schema, and of what needs it.
    pub(super) fn first(
        process: &Process,
        settings: Arc<Settings>,
        schema: &Schema,
    ) -> Result<(Self, Problems), Problems> {
        let Process { workers, metrics, leaving, .. } = process;
        let clusters =
            Arc::new(grouped(Clusters::new(&settings.upstreams, *workers, metrics)?, &settings.rules));
        let own = Own::new(shown(&settings.listeners), &clusters, *workers, leaving.clone());
        let limiting = Limiting::new(&settings, metrics);
        let parts = Parts { settings, clusters, own: Arc::new(own), limiting };
        let (snapshot, warnings) = parts.compile(metrics, schema, 1)?;
        let authenticator = Authenticator::new(&parts.settings.identity, Arc::clone(metrics))?;
        let observer = Arc::new(Observer { metrics: Arc::clone(metrics), access_log: None });
        let observer = parts.observer(&observer, true)?;
        let limit_store = parts.limit_store(process, None);
        Ok((parts.into_state(process, authenticator, limit_store, observer, snapshot), warnings))
    }

    /// What comes after this. `reopens` says whether the file of the access log is opened again in any case.
    ///
    /// # Errors
    /// Every problem of the schema, and of what needs it.
    pub(super) fn next(
        &self,
        process: &Process,
        settings: Arc<Settings>,
        schema: &Schema,
        reopens: bool,
    ) -> Result<(Self, Problems), Problems> {
        let metrics = &process.metrics;
        let clusters = Arc::new(grouped(self.clusters.renew(&settings.upstreams, metrics)?, &settings.rules));
        let own = Arc::new(self.own.showing(shown(&settings.listeners)));
        let limiting = self.limiting.renew(&settings);
        let parts = Parts { settings, clusters, own, limiting };
        let (snapshot, warnings) = parts.compile(metrics, schema, self.snapshot.generation() + 1)?;
        let authenticator = self.authenticator.renew(&parts.settings.identity)?;
        let is_other = self.settings.access_log != parts.settings.access_log;
        let observer = parts.observer(&self.observer, is_other || reopens)?;
        let limit_store = parts.limit_store(process, Some(self));
        Ok((parts.into_state(process, authenticator, limit_store, observer, snapshot), warnings))
    }

    /// What open streams are judged by from now on.
    pub(super) fn callers(&self) -> InForce {
        let listeners = self.settings.listeners.iter();
        let snapshot = Arc::clone(&self.snapshot);
        InForce {
            authenticator: Arc::clone(&self.authenticator),
            listeners: listeners
                .filter_map(|listener| {
                    Some((listener.name.clone(), Arc::clone(listener.addresses.as_ref()?)))
                })
                .collect(),
            method: Box::new(move |path| {
                let shown = snapshot.shown(Exposes::default());
                shown.rpc(path).cloned().or_else(|| shown.unknown().find(path))
            }),
        }
    }

    /// What the requests of a listener meet on a worker.
    pub(super) fn shared(
        &self,
        process: &Process,
        listener: &ListenerSettings,
        load: &Arc<Load>,
        worker: usize,
    ) -> Shared {
        let addresses = AddressLimits::new(&listener.name, &listener.address_limits, &self.limiting.limiters);
        let policies = Policies {
            authenticator: Arc::clone(&self.authenticator),
            load: Arc::clone(load),
            addresses,
            limit_store: self.limit_store.clone(),
            rechecks: Arc::clone(&process.rechecks),
        };
        let errors = ErrorRenderer { form: listener.errors, builtin: Arc::clone(&process.builtin) };
        let (observer, snapshot) = (Arc::clone(&self.observer), Arc::clone(&self.snapshot));
        let shared = Shared::new(listener, observer, Arc::new(errors), snapshot, policies, worker);
        Shared { signs: process.signs.clone(), ..shared }
    }
}

/// What a snapshot is compiled with.
struct Parts {
    settings: Arc<Settings>,
    clusters: Arc<Clusters>,
    own: Arc<Own>,
    limiting: Limiting,
}

impl Parts {
    fn compile(
        &self,
        metrics: &Metrics,
        schema: &Schema,
        generation: u64,
    ) -> Result<(Snapshot, Problems), Problems> {
        let Self { settings, clusters, own, limiting } = self;
        snapshot::build(schema, &settings.rules, clusters, own, metrics, limiting, generation)
    }

    /// With the access log as it is, or opened.
    fn observer(&self, before: &Arc<Observer>, opens: bool) -> Result<Arc<Observer>, Problems> {
        if !opens {
            return Ok(Arc::clone(before));
        }
        let metrics = Arc::clone(&before.metrics);
        let access_log = AccessLog::open(&self.settings.access_log, Arc::clone(&metrics))
            .map_err(|error| Problem::error(format!("the access log can't be opened: {error}")))?;
        Ok(Arc::new(Observer { metrics, access_log: access_log.map(Arc::new) }))
    }

    fn limit_store(&self, process: &Process, before: Option<&State>) -> Option<Arc<SharedStore>> {
        let redis = self.settings.limits.redis.as_ref()?;
        let same = before.filter(|before| before.settings.limits.redis.as_ref() == Some(redis));
        let known = same.and_then(|before| before.limit_store.clone());
        Some(
            known.unwrap_or_else(|| {
                Arc::new(SharedStore::new(redis.clone(), process.workers, &process.metrics))
            }),
        )
    }

    /// All of it, and from here on its upstreams are looked after.
    fn into_state(
        self,
        process: &Process,
        authenticator: Authenticator,
        limit_store: Option<Arc<SharedStore>>,
        observer: Arc<Observer>,
        snapshot: Snapshot,
    ) -> State {
        let Self { settings, clusters, own, limiting } = self;
        clusters.look_after(&process.background);
        State {
            settings,
            clusters,
            own,
            limiting,
            authenticator: Arc::new(authenticator),
            limit_store,
            observer,
            snapshot: Arc::new(snapshot),
        }
    }
}

/// What shares the calls of a rule stands in for each other.
fn grouped(clusters: Clusters, rules: &[Rule]) -> Clusters {
    clusters.grouped(rules.iter().filter_map(|rule| Some(rule.upstream.as_ref()?.names())))
}
