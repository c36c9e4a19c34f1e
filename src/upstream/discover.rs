//! Keeps the members of a cluster to what DNS says of its name.
//!
//! A task looks the name up again when the answer is no longer to be relied on, and sooner where an endpoint can't be
//! reached. What can't be looked up stays as it was: an answer that does not come, or that is empty, is more often a
//! fault of the DNS than the end of a service.

use std::sync::Arc;
use std::time::Duration;

use http::uri::Authority;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{debug, info, warn};

use super::making::Making;
use super::members::{Members, Roster};
use super::peer::Peer;
use super::resolve::{Answer, Found, Lookup, Unanswered, look_up};
use super::settings::{Address, Endpoint, NameSettings, Wanted};
use crate::problem::Problems;

/// The longest pause after failed lookups, whatever may be relied on for longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// The first one is no longer than this.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// What looks after the members of one cluster.
pub(super) struct Discovering {
    pub upstream: Arc<str>,
    pub settings: NameSettings,
    pub making: Making,
    pub roster: Arc<Roster>,
    /// Told when an endpoint can't be reached.
    pub doubt: Arc<Notify>,
}

/// What the last good answers have said: of IPv4 and IPv6, or of the service.
#[derive(Default)]
struct Said([Vec<Found>; 2]);

impl Discovering {
    /// Works until it is dropped.
    pub(super) async fn run(self) {
        let Self { upstream, settings, .. } = &self;
        let (upstream, name) = (&**upstream, settings.wanted.name());
        let mut said = Said::default();
        let mut pause = None;
        loop {
            match said.hear(look_up(settings).await) {
                Ok(ttl) => {
                    if pause.take().is_some() {
                        info!(upstream, name, "a name can be looked up again");
                    }
                    if let Err(problems) = self.take(&said) {
                        warn!(upstream, name, %problems, "endpoints that a name leads to can't be used");
                    }
                    self.rest(ttl.clamp(settings.min_ttl, settings.max_ttl)).await;
                }
                Err(error) => {
                    self.roster.failed(&error);
                    let waited = match pause {
                        None => {
                            warn!(
                                upstream,
                                name,
                                error,
                                "a name can't be looked up; what it led to stays, and it is tried again until it works"
                            );
                            settings.min_ttl.min(FIRST_PAUSE)
                        }
                        Some(waited) => waited,
                    };
                    pause = Some((waited * 2).min(LONGEST_PAUSE));
                    sleep(waited.mul_f64(0.5 + fastrand::f64())).await;
                }
            }
        }
    }

    /// Waits until it is time to ask again: after `ttl`, or when an endpoint can't be reached, but not all the time.
    async fn rest(&self, ttl: Duration) {
        let start = Instant::now();
        tokio::select! {
            () = sleep(ttl) => {}
            () = self.doubt.notified() => sleep_until(start + self.settings.min_ttl).await,
        }
    }

    /// Makes what was said the members, where it isn't already.
    fn take(&self, said: &Said) -> Result<(), Problems> {
        let old = self.roster.load();
        let is_first = old.peers.is_empty();
        let now = Instant::now();
        let mut peers: Vec<(u16, Arc<Peer>)> = Vec::new();
        let (mut joined, mut changed) = (0_usize, false);
        for found in said.all() {
            let Some(endpoint) = endpoint(&self.settings.wanted, found) else { continue };
            if peers.iter().any(|(_, peer)| peer.member.endpoint == endpoint) {
                continue;
            }
            let index = old.members.iter().position(|member| member.endpoint == endpoint);
            let peer = match index.and_then(|index| old.peers.get(index).map(|peer| (index, peer))) {
                Some((index, peer)) => {
                    changed |= peer.member.weigh(found.weight);
                    changed |= old.priority(index) != Some(found.priority);
                    Arc::clone(peer)
                }
                None => {
                    let peer = self.making.peer(endpoint, found.weight)?;
                    if !is_first {
                        peer.member.warm_up(now);
                    }
                    joined += 1;
                    peer
                }
            };
            peers.push((found.priority, peer));
        }
        let left = (old.peers.len() + joined).saturating_sub(peers.len());
        let (upstream, name, endpoints) = (&*self.upstream, self.settings.wanted.name(), peers.len());
        if joined + left == 0 && !changed {
            debug!(upstream, name, endpoints, "a name leads where it did");
            return Ok(());
        }
        info!(upstream, name, endpoints, joined, left, "a name leads to other endpoints");
        self.roster.replace(Members::new(peers));
        Ok(())
    }
}

impl Said {
    /// Takes in what was said, and gives how long it may be relied on; or why nothing was.
    fn hear(&mut self, lookup: Lookup) -> Result<Duration, String> {
        let [v4, v6] = &mut self.0;
        match lookup {
            Lookup::Service(answer) => match answer {
                Ok(Answer { found, ttl }) => {
                    *v4 = found;
                    Ok(ttl)
                }
                Err(Unanswered::Nothing(why) | Unanswered::Failed(why)) => Err(why),
            },
            Lookup::Addresses(families) => {
                let mut ttl: Option<Duration> = None;
                let mut why = String::new();
                let mut gone = [false; 2];
                for ((family, kept), gone) in families.into_iter().zip([v4, v6]).zip(&mut gone) {
                    match family {
                        Ok(answer) => {
                            ttl = Some(ttl.map_or(answer.ttl, |ttl| ttl.min(answer.ttl)));
                            *kept = answer.found;
                        }
                        Err(Unanswered::Nothing(said)) => {
                            *gone = true;
                            if why.is_empty() {
                                why = said;
                            }
                        }
                        // That somebody couldn't tell is more to the point than that another had nothing.
                        Err(Unanswered::Failed(said)) => why = said,
                    }
                }
                let ttl = ttl.ok_or(why)?;
                // A name that has the one family really has none of the other.
                for (kept, gone) in self.0.iter_mut().zip(gone) {
                    if gone {
                        kept.clear();
                    }
                }
                Ok(ttl)
            }
        }
    }

    fn all(&self) -> impl Iterator<Item = &Found> {
        self.0.iter().flatten()
    }
}

/// The endpoint at an address: to the backend, and in its certificate, it has the name that was looked up.
fn endpoint(wanted: &Wanted, found: &Found) -> Option<Endpoint> {
    let authority = match wanted {
        Wanted::Addresses { authority, .. } => authority.clone(),
        Wanted::Service { domain, .. } => {
            Authority::try_from(format!("{domain}:{}", found.address.port())).ok()?
        }
    };
    Some(Endpoint { authority, address: Address::Ip(found.address) })
}
