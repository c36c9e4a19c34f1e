//! Where the schema is from: the files that the settings name, and what backends tell by reflection.
//!
//! Asking them takes a runtime, but none of the workers': at the start there is none yet, and later they have better things
//! to do.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use crate::introspection::{FetchError, fetch};
use crate::problem::{Problem, Problems};
use crate::route::Selector;
use crate::schema::{self, ReflectSettings, Reflected, Schema, SchemaSettings};
use crate::telemetry::{Metrics, Reload};
use crate::upstream::{Clusters, UpstreamSettings};

/// Between two questions to a backend that is not up yet.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Loads the schema once, without waiting for backends that are not up.
///
/// # Errors
/// Every problem of the schema, and of backends that do not tell what they serve.
pub fn load_schema(
    settings: &SchemaSettings,
    upstreams: &[UpstreamSettings],
) -> Result<(Schema, Problems), Problems> {
    Sources::new(settings, upstreams).first(Duration::ZERO)
}

/// What one upstream says of what it serves.
pub(super) type Answer = Result<Reflected, FetchError>;

/// What a schema is made of: files, and what the backends said last.
#[derive(Clone)]
pub(super) struct Sources {
    settings: SchemaSettings,
    /// Those that are asked.
    asked: Vec<UpstreamSettings>,
    /// In the same order.
    told: Vec<Reflected>,
}

impl Sources {
    pub(super) fn new(settings: &SchemaSettings, upstreams: &[UpstreamSettings]) -> Self {
        let is_asked = |upstream: &&UpstreamSettings| {
            settings.reflect.as_ref().is_some_and(|reflect| reflect.upstreams.contains(&upstream.name))
        };
        let asked = upstreams.iter().filter(is_asked).cloned().collect();
        Self { settings: settings.clone(), asked, told: Vec::new() }
    }

    /// By other settings. What upstreams said that are as they were still counts.
    pub(super) fn renew(&self, settings: &SchemaSettings, upstreams: &[UpstreamSettings]) -> Self {
        let mut renewed = Self::new(settings, upstreams);
        let is_same = |told: &&Reflected| {
            let of = |asked: &[UpstreamSettings]| {
                asked.iter().find(|upstream| upstream.name == *told.upstream).cloned()
            };
            let now = of(&renewed.asked);
            now.is_some() && now == of(&self.asked)
        };
        renewed.told = self.told.iter().filter(is_same).cloned().collect();
        renewed
    }

    /// Whether this upstream has ever told what it serves.
    fn has_told(&self, upstream: &str) -> bool {
        self.told.iter().any(|told| &*told.upstream == upstream)
    }

    /// Loads for the first time. Backends that can't be reached are asked again for as long as `wait`.
    ///
    /// # Errors
    /// Every problem of the schema, and of backends that do not tell what they serve.
    pub(super) fn first(&mut self, wait: Duration) -> Result<(Schema, Problems), Problems> {
        if !self.asked.is_empty() {
            let mut problems = Problems::new();
            for told in elsewhere(self.ask(&BTreeSet::new(), wait))?? {
                match told {
                    Ok(told) => self.told.push(told),
                    Err(error) => problems.push(error.into()),
                }
            }
            if !problems.is_empty() {
                return Err(problems);
            }
        }
        self.load()
    }

    /// Loads from the files as they are now, and from what the backends said last.
    ///
    /// # Errors
    /// Every problem of the schema.
    pub(super) fn load(&self) -> Result<(Schema, Problems), Problems> {
        schema::load(&self.settings, &self.told)
    }

    /// How often the backends are asked again.
    pub(super) fn every(&self) -> Option<Duration> {
        self.settings.reflect.as_ref().and_then(|reflect| reflect.every)
    }

    /// Whether there is anyone to ask.
    pub(super) fn asks(&self) -> bool {
        !self.asked.is_empty()
    }

    /// What each of the asked upstreams says now, but for those that are `skipped`.
    pub(super) fn ask(
        &self,
        skipped: &BTreeSet<String>,
        wait: Duration,
    ) -> impl Future<Output = Result<Vec<Answer>, Problems>> + Send + use<> {
        let Self { settings, asked, .. } = self;
        let (services, reflect) = (settings.services.clone(), settings.reflect.clone());
        let asked: Vec<UpstreamSettings> =
            asked.iter().filter(|upstream| !skipped.contains(&upstream.name)).cloned().collect();
        async move {
            let mut tasks = JoinSet::new();
            for (index, upstream) in asked.into_iter().enumerate() {
                let Some(reflect) = reflect.clone() else { continue };
                let services = services.clone();
                // Connections of their own, which end with the question.
                let clusters = Clusters::new(std::slice::from_ref(&upstream), 1, &Metrics::default())?;
                clusters.look_after(&Handle::current());
                tasks.spawn(async move {
                    (index, ask_until(&clusters, &upstream, &services, &reflect, wait).await)
                });
            }
            let mut told = BTreeMap::new();
            while let Some(joined) = tasks.join_next().await {
                let (index, answer) =
                    joined.map_err(|_| Problem::error("asking an upstream met a bug of the gateway"))?;
                told.insert(index, answer);
            }
            Ok(told.into_values().flatten().collect())
        }
    }

    /// Takes what backends said; whether it is something new, and problems with those that never said anything. `silent` are
    /// those that did not answer the last time, so that this is told once.
    pub(super) fn hear(
        &mut self,
        answers: Vec<Answer>,
        silent: &mut BTreeSet<String>,
        metrics: &Metrics,
    ) -> (bool, Problems) {
        let mut problems = Problems::new();
        let mut told = Vec::with_capacity(answers.len());
        for answer in answers {
            match answer {
                Ok(answer) => {
                    if silent.remove(&*answer.upstream) {
                        info!(upstream = &*answer.upstream, "the upstream tells again what it serves");
                    }
                    told.push(answer);
                }
                Err(error) if !self.has_told(error.upstream()) => problems.push(error.into()),
                Err(error) => {
                    metrics.reloaded(Reload::Untold);
                    if silent.insert(error.upstream().to_owned()) {
                        warn!(%error, "the schema of this upstream stays as it was");
                    }
                }
            }
        }
        (self.take(told), problems)
    }

    /// Takes what was said; whether anything of it is new.
    fn take(&mut self, told: Vec<Reflected>) -> bool {
        let mut is_new = false;
        for told in told {
            match self.told.iter_mut().find(|known| known.upstream == told.upstream) {
                Some(known) if *known == told => {}
                Some(known) => {
                    *known = told;
                    is_new = true;
                }
                None => {
                    self.told.push(told);
                    is_new = true;
                }
            }
        }
        is_new
    }
}

/// Asks one upstream, each endpoint at least once, until it answers or the time is over.
async fn ask_until(
    clusters: &Clusters,
    upstream: &UpstreamSettings,
    services: &[Selector],
    reflect: &ReflectSettings,
    wait: Duration,
) -> Option<Result<Reflected, FetchError>> {
    let cluster = clusters.only()?;
    let end = Instant::now().checked_add(wait);
    let mut pause = FIRST_PAUSE;
    let mut tries = 0;
    loop {
        let told = fetch(cluster, services, reflect).await;
        tries += 1;
        let is_over = tries >= upstream.endpoints.count() && end.is_some_and(|end| Instant::now() >= end);
        match &told {
            Err(error) if error.may_pass() && !is_over => {}
            Ok(_) | Err(_) => return Some(told),
        }
        if tries == upstream.endpoints.count() {
            info!(upstream = upstream.name, "waiting for the upstream to tell by reflection what it serves");
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Runs to the end on a thread of its own, since the caller's may belong to a runtime.
fn elsewhere<T: Send>(work: impl Future<Output = T> + Send) -> Result<T, Problems> {
    let cannot = |error: std::io::Error| Problem::error(format!("a thread can't be started: {error}"));
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("reflection".into()).spawn_scoped(scope, || {
            Builder::new_current_thread().enable_all().build().map(|runtime| runtime.block_on(work))
        });
        match thread.map_err(cannot)?.join() {
            Ok(result) => Ok(result.map_err(cannot)?),
            Err(_) => Err(Problem::error("asking the backends met a bug of the gateway").into()),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_new_counts() {
        let told = |upstream: &str, services: &[&str]| Reflected {
            upstream: upstream.into(),
            services: services.iter().map(|service| (*service).to_owned()).collect(),
            files: Vec::new(),
        };
        let mut sources = Sources::new(&SchemaSettings::default(), &[]);
        assert!(sources.take(vec![told("a", &["x.S"]), told("b", &[])]));
        assert!(!sources.take(vec![told("b", &[]), told("a", &["x.S"])]));
        assert!(!sources.take(Vec::new()));
        assert!(sources.take(vec![told("b", &["x.T"])]));
        assert_eq!(sources.told, [told("a", &["x.S"]), told("b", &["x.T"])]);
    }
}
