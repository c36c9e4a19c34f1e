//! Loading the schema again while the process serves: on an interval, or when told to.
//!
//! All of it happens on a thread of its own, and so does the end of what was replaced: compiling and dropping a large
//! schema take longer than a worker may stand still. What is bad is refused, and what was good before goes on.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep};
use tracing::{info, warn};

use super::limiting::Limiting;
use super::snapshot::{self, Snapshot};
use super::sources::Sources;
use crate::codec::PlanSet;
use crate::introspection::Own;
use crate::policy::Rule;
use crate::problem::{Problem, Problems};
use crate::telemetry::{Metrics, Reload};
use crate::upstream::Clusters;

/// How often it is looked whether the last call that uses an old snapshot is over.
const LOOK: Duration = Duration::from_millis(250);

/// How many problems of a refused schema are logged.
const MOST_LOGGED: usize = 10;

/// Replaces the snapshot while the process serves.
pub(super) struct Reloader {
    pub sources: Sources,
    pub rules: Vec<Rule>,
    pub clusters: Arc<Clusters>,
    pub own: Arc<Own>,
    pub metrics: Arc<Metrics>,
    pub limiting: Limiting,
    pub snapshots: Arc<ArcSwap<Snapshot>>,
    /// Upstreams that did not tell anything when they were asked last.
    pub silent: BTreeSet<String>,
}

/// Why the schema is loaded again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cause {
    /// Somebody wants it: files are read again, too.
    Told,
    /// The interval is over: only what backends say counts.
    Time,
}

impl Reloader {
    /// Works until it is stopped.
    pub(super) async fn run(mut self, told: Arc<Notify>, mut stopped: watch::Receiver<bool>) {
        let every = self.sources.every();
        let mut ticks = every.and_then(|every| Some(interval_at(Instant::now().checked_add(every)?, every)));
        if let Some(ticks) = &mut ticks {
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        }
        let mut retired = Retired::default();
        loop {
            let tick = async {
                match &mut ticks {
                    Some(ticks) => drop(ticks.tick().await),
                    None => std::future::pending().await,
                }
            };
            let cause = tokio::select! {
                biased;
                _ = stopped.wait_for(|stopped| *stopped) => return,
                () = told.notified() => Cause::Told,
                () = tick => Cause::Time,
                () = sleep(LOOK), if !retired.is_empty() => {
                    retired.drop_unused();
                    continue;
                }
            };
            tokio::select! {
                biased;
                _ = stopped.wait_for(|stopped| *stopped) => return,
                old = self.reload(cause) => retired.snapshots.extend(old),
            }
        }
    }

    /// Loads again; gives the snapshot that was replaced, if one was.
    async fn reload(&mut self, cause: Cause) -> Option<Arc<Snapshot>> {
        let is_new = self.ask(cause).await;
        if cause == Cause::Time && !is_new {
            return None;
        }
        let generation = self.snapshots.load().generation() + 1;
        // A bug that one schema meets must not keep the next one from being loaded.
        let loaded = catch_unwind(AssertUnwindSafe(|| self.load(generation))).unwrap_or_else(|_| {
            self.metrics.panicked();
            Err(Problem::error("loading the schema met a bug of the gateway").into())
        });
        match loaded {
            Ok((snapshot, warnings)) => {
                log(&warnings);
                info!(
                    generation,
                    methods = snapshot.methods(),
                    bindings = snapshot.bindings(),
                    "the schema is loaded again"
                );
                self.metrics.generation(generation);
                self.metrics.reloaded(Reload::Done);
                self.own.expose(Arc::clone(snapshot.exposed()));
                Some(self.snapshots.swap(Arc::new(snapshot)))
            }
            Err(problems) => {
                log(&problems);
                let in_force = generation - 1;
                warn!(
                    generation = in_force,
                    errors = problems.errors(),
                    "a bad schema is refused; the last good one stays"
                );
                self.metrics.reloaded(Reload::Refused);
                None
            }
        }
    }

    fn load(&self, generation: u64) -> Result<(Snapshot, Problems), Problems> {
        let (schema, mut warnings) = self.sources.load()?;
        let (snapshot, more) = snapshot::build(
            &schema,
            &self.rules,
            &self.clusters,
            &self.own,
            &self.metrics,
            &self.limiting,
            generation,
        )?;
        warnings.extend(more);
        Ok((snapshot, warnings))
    }

    /// Asks the backends; whether one of them says something new. Those that don't answer are taken to be as before.
    async fn ask(&mut self, cause: Cause) -> bool {
        if !self.sources.asks() {
            return false;
        }
        // An outage is told once, and who is known to be away is not dialled on every tick.
        let is_away = |name: &&String| self.clusters.get(name).is_some_and(|cluster| !cluster.is_reachable());
        let skipped: BTreeSet<String> = match cause {
            Cause::Told => BTreeSet::new(),
            Cause::Time => self.silent.iter().filter(is_away).cloned().collect(),
        };
        let answers = match self.sources.ask(&skipped, Duration::ZERO).await {
            Ok(answers) => answers,
            Err(problems) => {
                log(&problems);
                return false;
            }
        };
        let mut told = Vec::with_capacity(answers.len());
        for answer in answers {
            match answer {
                Ok(answer) => {
                    if self.silent.remove(&*answer.upstream) {
                        info!(upstream = &*answer.upstream, "the upstream tells again what it serves");
                    }
                    told.push(answer);
                }
                Err(error) => {
                    self.metrics.reloaded(Reload::Untold);
                    if self.silent.insert(error.upstream().to_owned()) {
                        warn!(%error, "the schema of this upstream stays as it was");
                    }
                }
            }
        }
        self.sources.take(told)
    }
}

fn log(problems: &Problems) {
    for problem in problems.iter().take(MOST_LOGGED) {
        warn!(problem = problem.what, "there is a problem with the schema");
    }
}

/// What was replaced and may still be in use: calls that are under way keep their method, and with it all plans.
/// Whoever lets go of it last takes the time to free it, and that should be nobody who serves.
#[derive(Default)]
struct Retired {
    snapshots: Vec<Arc<Snapshot>>,
    plans: Vec<Arc<PlanSet>>,
}

impl Retired {
    fn is_empty(&self) -> bool {
        self.snapshots.is_empty() && self.plans.is_empty()
    }

    fn drop_unused(&mut self) {
        let plans = &mut self.plans;
        self.snapshots.retain(|snapshot| {
            let is_used = Arc::strong_count(snapshot) > 1;
            if !is_used {
                plans.push(Arc::clone(snapshot.plans()));
            }
            is_used
        });
        self.plans.retain(|plans| Arc::strong_count(plans) > 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::introspection::Exposes;

    #[test]
    fn what_is_replaced_is_kept_until_nobody_uses_it() {
        let text = "listeners: { a: { address: '127.0.0.1:0' } }\n\
                    schema: { descriptors: descriptors/bookstore.binpb }\n\
                    upstreams: { a: { endpoints: 'http://127.0.0.1:1' } }\n";
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let (settings, _) = config::parse(text, &root.join("t.yaml")).unwrap();
        let (snapshot, _) = snapshot::compile(&settings).unwrap();
        let snapshot = Arc::new(snapshot);
        let plans = Arc::downgrade(snapshot.plans());
        let mut retired = Retired { snapshots: vec![Arc::clone(&snapshot)], plans: Vec::new() };
        retired.drop_unused();
        assert_eq!((retired.snapshots.len(), retired.plans.len()), (1, 0), "a request looks something up");

        let path = "/bookstore.v1.Bookstore/GetBook";
        let method = Arc::clone(snapshot.shown(Exposes::NONE).rpc(path).unwrap());
        drop(snapshot);
        retired.drop_unused();
        assert_eq!((retired.snapshots.len(), retired.plans.len()), (0, 1), "a call is under way");
        drop(method);
        assert!(plans.upgrade().is_some(), "whoever ends the call frees nothing");
        retired.drop_unused();
        assert!(retired.is_empty() && plans.upgrade().is_none());
    }
}
