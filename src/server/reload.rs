//! Loading again while the process serves, on a thread of its own: reading files, asking backends, compiling, and freeing
//! a large schema take longer than a worker may stand still. What is bad is refused, and what was good before goes on.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep, sleep_until};
use tracing::{info, warn};

use super::fleet::Moves;
use super::front::Front;
use super::inputs::{Inputs, Seen, have_changed};
use super::relist::Relisting;
use super::renew::Renewal;
use super::retired::Retired;
use super::settings::ReloadSettings;
use super::sources::Sources;
use super::state::{Process, State};
use super::upkeep::Upkeep;
use super::windows::Windows;
use crate::admin::Attempt;
use crate::config::{self, Settings};
use crate::problem::{Problem, Problems};
use crate::telemetry::Reload;
use crate::tls::{Mark, noting};

/// How often it is looked whether the last call that uses an old snapshot is over.
const LOOK: Duration = Duration::from_millis(250);

/// Files are looked at this often at least.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// How often files that change while they are read are read once more, before they have to keep still by themselves.
const MOST_TRIES: u32 = 5;

/// How many problems of what is refused are logged.
const MOST_LOGGED: usize = 10;

/// Replaces what is in force while the process serves.
pub(super) struct Reloader {
    process: Process,
    state: State,
    front: Front,
    sources: Sources,
    inputs: Inputs,
    upkeeps: mpsc::UnboundedSender<Upkeep>,
    windows: Arc<Windows>,
    /// Upstreams that did not tell anything when they were asked last.
    silent: BTreeSet<String>,
    retired: Retired,
}

/// Why something is loaded again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    /// Somebody wants it.
    Told,
    /// Files have changed.
    Files,
    /// The interval of reflection is over: only what backends say counts.
    Time,
}

impl Cause {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Told => "told",
            Self::Files => "files",
            Self::Time => "reflection",
        }
    }
}

/// Why what was loaded is not put in force.
enum Refusal {
    Bad(Problems),
    /// Files were changed while they were read.
    Torn,
}

impl From<Problems> for Refusal {
    fn from(problems: Problems) -> Self {
        Self::Bad(problems)
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self::Bad(problem.into())
    }
}

/// What a reload starts from.
struct Read {
    settings: Arc<Settings>,
    sources: Sources,
    warnings: Problems,
    /// Asked upstreams of which it is known that they tell nothing now.
    silent: BTreeSet<String>,
}

/// What was put in force.
struct Put {
    /// What was so before.
    old: State,
    warnings: Problems,
    moves: Moves,
}

impl Reloader {
    /// Puts the first state in force, whose listeners were prepared. `marks` are those of the schema.
    pub(super) fn begin(
        process: Process,
        state: State,
        mut front: Front,
        prepared: super::front::Prepared,
        sources: Sources,
        marks: Vec<Mark>,
        upkeeps: mpsc::UnboundedSender<Upkeep>,
    ) -> Self {
        let mut renewal = Renewal::new(Arc::clone(&process.metrics));
        front.put(&process, &state, prepared, &mut renewal);
        process.metrics.generation(state.snapshot.generation());
        process.metrics.loaded();
        process.rechecks.put(state.callers());
        state.own.expose(Arc::clone(state.snapshot.exposed()));
        let _ = upkeeps.send(upkeep(&process, &state, renewal));
        let mut inputs = Inputs::default();
        let files = state.settings.file.iter().flat_map(|file| file.files.iter().cloned());
        inputs.judge(files.chain(marks).collect(), &state.settings, false);
        let windows = Arc::new(Windows::new(&state));
        let (silent, retired) = (BTreeSet::new(), Retired::default());
        Self { process, state, front, sources, inputs, upkeeps, windows, silent, retired }
    }

    pub(super) fn windows(&self) -> &Arc<Windows> {
        &self.windows
    }

    /// Works until it is stopped.
    pub(super) async fn run(mut self, told: Arc<Notify>, mut stopped: watch::Receiver<bool>) {
        let mut every = self.sources.every();
        let mut ticks = ticks(every);
        let mut tries = 0;
        // It stays when it is, whatever else wakes this.
        let mut next_look = Instant::now() + LONGEST;
        loop {
            // Whatever woke this: looks at files may be more frequent than those at what was replaced.
            self.retired.drop_unused();
            if self.sources.every() != every {
                every = self.sources.every();
                ticks = self::ticks(every);
            }
            let tick = async {
                match &mut ticks {
                    Some(ticks) => drop(ticks.tick().await),
                    None => std::future::pending().await,
                }
            };
            let ReloadSettings { watch, interval } = self.state.settings.reload;
            let interval = interval.min(LONGEST);
            next_look = next_look.min(Instant::now() + interval);
            let cause = tokio::select! {
                biased;
                _ = stopped.wait_for(|stopped| *stopped) => return,
                () = told.notified() => Cause::Told,
                () = tick => Cause::Time,
                () = sleep(LOOK), if !self.retired.is_empty() => continue,
                () = sleep_until(next_look), if watch => {
                    next_look = Instant::now() + interval;
                    match self.inputs.look() {
                    Seen::Unchanged | Seen::Settling => continue,
                    Seen::Changed(files) => {
                        let file = files.first().map(|file| file.display().to_string());
                        info!(file, files = files.len(), "files have changed");
                        Cause::Files
                    }
                }
                }
            };
            let is_torn = tokio::select! {
                biased;
                _ = stopped.wait_for(|stopped| *stopped) => return,
                is_torn = self.reload(cause) => is_torn,
            };
            // Files that change are looked at again anyway; who told it once is not made to do so again.
            tries = if is_torn { tries + 1 } else { 0 };
            if is_torn && cause == Cause::Told && tries < MOST_TRIES {
                sleep(LOOK).await;
                told.notify_one();
            }
        }
    }

    /// Loads again; whether files were changed meanwhile, so that it has to be done once more.
    async fn reload(&mut self, cause: Cause) -> bool {
        let began = Instant::now();
        let (result, marks) = match cause {
            Cause::Time => {
                if !self.ask_again().await {
                    return false;
                }
                let read = Read {
                    settings: Arc::clone(&self.state.settings),
                    sources: self.sources.clone(),
                    warnings: Problems::new(),
                    silent: std::mem::take(&mut self.silent),
                };
                self.load(read, cause, Vec::new())
            }
            Cause::Told | Cause::Files => {
                let (read, marks) = noting(|| self.read());
                match read {
                    Ok(read) => match self.ask_for(read).await {
                        Ok(read) => self.load(read, cause, marks),
                        Err(problems) => (Err(problems.into()), marks),
                    },
                    Err(problems) => (Err(problems.into()), marks),
                }
            }
        };
        let refused = match result {
            Ok(put) => {
                self.tell(cause, began, put);
                false
            }
            Err(Refusal::Torn) => {
                info!("files were changed while they were read; they are read again");
                return true;
            }
            Err(Refusal::Bad(problems)) => {
                self.refuse(cause, began, &problems);
                true
            }
        };
        if cause != Cause::Time {
            self.inputs.judge(marks, &self.state.settings, refused);
        }
        false
    }

    /// Reads the configuration, if there is a file of it.
    fn read(&self) -> Result<Read, Problems> {
        let (settings, warnings) = match &self.state.settings.file {
            Some(file) => {
                let loaded = self.shielded(|| config::load(&file.path))?;
                (Arc::new(loaded.0), loaded.1)
            }
            None => (Arc::clone(&self.state.settings), Problems::new()),
        };
        let sources = self.sources.renew(&settings.schema, &settings.upstreams);
        Ok(Read { settings, sources, warnings, silent: self.silent.clone() })
    }

    /// A bug that one input meets must not keep the next one from being loaded.
    fn shielded<T>(&self, load: impl FnOnce() -> Result<T, Problems>) -> Result<T, Problems> {
        catch_unwind(AssertUnwindSafe(load)).unwrap_or_else(|_| {
            self.process.metrics.panicked();
            Err(Problem::error("loading met a bug of the gateway").into())
        })
    }

    /// Compiles what was read, does all that may fail, and puts it in force. Gives what was in force before, and the marks
    /// of all files.
    fn load(&mut self, read: Read, cause: Cause, mut marks: Vec<Mark>) -> (Result<Put, Refusal>, Vec<Mark>) {
        let Read { settings, sources, mut warnings, silent } = read;
        let reopens = cause == Cause::Told;
        let (compiled, of_schema) = noting(|| {
            self.shielded(|| {
                let (schema, mut warnings) = sources.load()?;
                let (state, more) = self.state.next(&self.process, settings, &schema, reopens)?;
                warnings.extend(more);
                let prepared = self.front.prepare(&state.settings)?;
                Ok((state, prepared, warnings))
            })
        });
        marks.extend(of_schema);
        let (state, prepared, more) = match compiled {
            Ok(_) if have_changed(&marks) => return (Err(Refusal::Torn), marks),
            Err(problems) => {
                // Whatever is wrong may be so because a file was half written.
                let refusal = if have_changed(&marks) { Refusal::Torn } else { problems.into() };
                return (Err(refusal), marks);
            }
            Ok(compiled) => compiled,
        };
        warnings.extend(more);
        (self.sources, self.silent) = (sources, silent);
        let (old, moves) = self.put(state, prepared);
        (Ok(Put { old, warnings, moves }), marks)
    }

    /// Puts a state in force; gives the one before. Nothing of it may fail.
    fn put(&mut self, state: State, prepared: super::front::Prepared) -> (State, Moves) {
        let Self { process, front, windows, .. } = self;
        if !Arc::ptr_eq(&state.observer, &self.state.observer) {
            front.log(state.observer.access_log.as_ref());
        }
        front.warm(&state);
        let mut renewal = Renewal::new(Arc::clone(&process.metrics));
        let moves = front.put(process, &state, prepared, &mut renewal);
        process.rechecks.put(state.callers());
        windows.snapshot.store(Arc::clone(&state.snapshot));
        windows.clusters.store(Arc::clone(&state.clusters));
        windows.observer.store(Arc::clone(&state.observer));
        windows.report.in_force(state.snapshot.generation());
        process.metrics.generation(state.snapshot.generation());
        state.own.expose(Arc::clone(state.snapshot.exposed()));
        // Only where the process ends is nobody there to take it.
        let _ = self.upkeeps.send(upkeep(process, &state, renewal));
        let old = std::mem::replace(&mut self.state, state);
        self.retired.add(Arc::clone(&old.snapshot));
        (old, moves)
    }

    fn tell(&self, cause: Cause, began: Instant, put: Put) {
        let Put { old, warnings, moves } = put;
        let State { settings, snapshot, clusters, .. } = &self.state;
        log(&warnings);
        let restart_needed = self.front.restart_needed(&self.process, settings);
        for key in &restart_needed {
            warn!(key, "the new value of this key takes a restart of the process");
        }
        let kept = clusters.shared_with(&old.clusters);
        let took = began.elapsed();
        info!(
            cause = cause.as_str(),
            generation = snapshot.generation(),
            methods = snapshot.methods(),
            bindings = snapshot.bindings(),
            upstreams = settings.upstreams.len(),
            upstreams_kept = kept,
            listeners_added = moves.added,
            listeners_removed = moves.removed,
            took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            "what was loaded again is in force"
        );
        drop(old);
        self.process.metrics.reloaded(Reload::Done);
        self.process.metrics.forget_uncalled();
        let attempt = Attempt::new(cause.as_str(), "done", took, &warnings, restart_needed);
        self.windows.report.attempted(attempt);
    }

    fn refuse(&self, cause: Cause, began: Instant, problems: &Problems) {
        log(problems);
        warn!(
            cause = cause.as_str(),
            generation = self.state.snapshot.generation(),
            errors = problems.errors(),
            "what was loaded again is bad and refused; the last good one stays"
        );
        self.process.metrics.reloaded(Reload::Refused);
        let attempt = Attempt::new(cause.as_str(), "refused", began.elapsed(), problems, Vec::new());
        self.windows.report.attempted(attempt);
    }

    /// Asks backends in their interval; whether one of them says something new. Those that don't answer are taken to be as
    /// before.
    async fn ask_again(&mut self) -> bool {
        if !self.sources.asks() {
            return false;
        }
        // An outage is told once, and who is known to be away is not dialled on every tick.
        let clusters = &self.state.clusters;
        let is_away = |name: &&String| clusters.get(name).is_some_and(|cluster| !cluster.is_reachable());
        let skipped = self.silent.iter().filter(is_away).cloned().collect();
        match self.sources.ask(&skipped, Duration::ZERO).await {
            Ok(answers) => {
                let (is_new, _) = self.sources.hear(answers, &mut self.silent, &self.process.metrics);
                is_new
            }
            Err(problems) => {
                log(&problems);
                false
            }
        }
    }

    /// Asks all backends that the settings name.
    ///
    /// # Errors
    /// One that never told anything doesn't do so now.
    async fn ask_for(&self, mut read: Read) -> Result<Read, Problems> {
        if !read.sources.asks() {
            return Ok(read);
        }
        let answers = read.sources.ask(&BTreeSet::new(), Duration::ZERO).await?;
        let (_, problems) = read.sources.hear(answers, &mut read.silent, &self.process.metrics);
        problems.into_result(read).map(|(read, _)| read)
    }
}

fn ticks(every: Option<Duration>) -> Option<Interval> {
    let mut ticks = every.and_then(|every| Some(interval_at(Instant::now().checked_add(every)?, every)))?;
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    Some(ticks)
}

fn upkeep(process: &Process, state: &State, renewal: Renewal) -> Upkeep {
    let State { settings, authenticator, .. } = state;
    let relisting = Relisting::new(&settings.listeners, &settings.rules, Arc::clone(&process.metrics));
    let rechecks = Arc::clone(&process.rechecks);
    Upkeep { authenticator: Arc::clone(authenticator), renewal, relisting, rechecks }
}

fn log(problems: &Problems) {
    for problem in problems.iter().take(MOST_LOGGED) {
        warn!(problem = problem.what, "there is a problem with what was loaded");
    }
}
