//! Keeps the keys of issuers as they are there: again and again, and once more when a token names a key that isn't known.
//! What an issuer said last counts for as long as it says nothing else.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, info, warn};

use super::fetch::Client;
use super::issuer::{Issuer, IssuerSettings, KeySource};
use super::keys::KeySet;
use crate::problem::Problem;
use crate::tls::note;

/// Longer than an attempt takes.
const PATIENCE: Duration = Duration::from_secs(25);
/// After an attempt that failed; twice as long after each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// Larger than any key set.
const MAX_BYTES: u64 = 1 << 20;

/// The bytes of a file that holds a key set.
///
/// # Errors
/// Why there are none.
pub fn read_file(path: &Path) -> Result<Bytes, String> {
    note(path);
    // Opening what is no file may wait for ever.
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => {}
        Ok(_) => return Err("it is no file".to_owned()),
        Err(error) => return Err(error.to_string()),
    }
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes));
    match read {
        Ok(length) if length as u64 > MAX_BYTES => Err(format!("it is larger than {} KiB", MAX_BYTES >> 10)),
        Ok(_) => Ok(bytes.into()),
        Err(error) => Err(error.to_string()),
    }
}

/// When keys are asked for.
#[derive(Debug)]
pub(super) struct Refresh {
    client: Option<Client>,
    cooldown: Duration,
    state: Mutex<State>,
    /// Told when somebody waits.
    wanted: Notify,
    /// Counts the attempts that are over.
    attempts: watch::Sender<u64>,
}

#[derive(Debug)]
struct State {
    /// An attempt is under way, or is about to be.
    asking: bool,
    /// When the last attempt ended.
    ended: Option<Instant>,
}

impl State {
    fn is_cool(&self, cooldown: Duration) -> bool {
        self.ended.is_none_or(|ended| ended.elapsed() >= cooldown)
    }
}

impl Refresh {
    pub(super) fn new(settings: &IssuerSettings) -> Result<Self, Problem> {
        let (client, asking) = match &settings.keys {
            KeySource::Secret(_) | KeySource::File(..) => (None, false),
            // The first attempt is made as soon as the process runs, and tokens wait for it.
            KeySource::Url(url) | KeySource::Discovery(url) => {
                let client = Client::new(url).map_err(|error| {
                    Problem::error(format!("issuer `{}`: TLS can't be set up: {error}", settings.name))
                })?;
                (Some(client), true)
            }
        };
        Ok(Self {
            client,
            cooldown: settings.cooldown,
            state: Mutex::new(State { asking, ended: None }),
            wanted: Notify::new(),
            attempts: watch::Sender::new(0),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Issuer {
    /// Whether keys can change at all.
    pub(super) fn changes(&self) -> bool {
        match self.settings().keys {
            KeySource::Secret(_) => false,
            KeySource::File(..) | KeySource::Url(_) | KeySource::Discovery(_) => true,
        }
    }

    /// Whether asking now may lead to a key that isn't known. Nobody is asked twice within the cooldown, whatever clients
    /// send.
    pub(super) fn may_have_more_keys(&self) -> bool {
        let refresh = self.refresh();
        let state = refresh.state();
        self.changes() && (state.asking || state.is_cool(refresh.cooldown))
    }

    /// Waits until the keys were asked for, if they are still those of the generation `seen`. All that wait share one
    /// attempt.
    pub(in crate::policy::identity) async fn keys_asked(&self, seen: u64) {
        let refresh = self.refresh();
        let mut attempts = {
            let mut state = refresh.state();
            let attempts = refresh.attempts.subscribe();
            if self.generation() != seen {
                return;
            }
            if !state.asking {
                if !state.is_cool(refresh.cooldown) {
                    // The attempt that was to be waited for has just ended.
                    return;
                }
                state.asking = true;
                refresh.wanted.notify_one();
            }
            attempts
        };
        // Without an end of the attempt the token is judged by the keys that there are.
        let _ = timeout(PATIENCE, attempts.changed()).await;
    }

    /// Asks again and again.
    pub(super) async fn keep_fresh(self: Arc<Self>, tell: impl Fn(&str, bool)) {
        let mut failures = 0_u32;
        let mut last: Option<Bytes> = None;
        if let KeySource::File(file) = &self.settings().keys {
            last = Some(file.bytes.clone());
            self.pause(self.settings().refresh).await;
        }
        loop {
            self.refresh().state().asking = true;
            let name = self.name();
            let got = match self.ask().await {
                Ok(bytes) if last.as_ref() == Some(&bytes) => Ok(()),
                Ok(bytes) => self.read(&bytes).map(|()| last = Some(bytes)),
                Err(error) => Err(error),
            };
            tell(name, got.is_ok());
            match got {
                Ok(()) => {
                    if std::mem::take(&mut failures) > 0 {
                        info!(issuer = &**name, "the issuer tells its keys again");
                    }
                }
                Err(error) => {
                    failures = failures.saturating_add(1);
                    if failures == 1 {
                        warn!(issuer = &**name, error, "the keys of this issuer stay as they were");
                    } else {
                        debug!(issuer = &**name, error, "the issuer does not tell its keys");
                    }
                }
            }
            {
                let mut state = self.refresh().state();
                state.asking = false;
                state.ended = Some(Instant::now());
                self.refresh().attempts.send_modify(|attempts| *attempts += 1);
            }
            let usual = self.settings().refresh;
            let pause = match failures {
                0 => usual,
                _ => usual.min(FIRST_PAUSE.saturating_mul(1 << (failures - 1).min(6))),
            };
            self.pause(pause).await;
        }
    }

    async fn pause(&self, pause: Duration) {
        tokio::select! {
            () = sleep(pause) => {}
            () = self.refresh().wanted.notified() => {}
        }
    }

    async fn ask(&self) -> Result<Bytes, String> {
        let settings = self.settings();
        match (&settings.keys, &self.refresh().client) {
            // Nothing else waits for this thread.
            (KeySource::File(file), _) => read_file(&file.path),
            (KeySource::Url(url), Some(client)) => client.get(url).await,
            (KeySource::Discovery(url), Some(client)) => client.discover(url, &settings.issuer).await,
            (KeySource::Secret(_), _) | (KeySource::Url(_) | KeySource::Discovery(_), None) => {
                Err("there is nobody to ask".to_owned())
            }
        }
    }

    /// Takes a key set in place of the one in force.
    fn read(&self, bytes: &[u8]) -> Result<(), String> {
        let (set, skipped) = KeySet::read(bytes, &self.settings().algorithms)?;
        for skipped in &skipped {
            debug!(issuer = &**self.name(), index = skipped.index, why = skipped.why, "a key is left out");
        }
        info!(issuer = &**self.name(), keys = set.len(), "the issuer has other keys than before");
        self.take(set);
        Ok(())
    }
}
