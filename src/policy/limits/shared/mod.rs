//! Limits that gateways share, counted by one Redis or Valkey server: all of a call's in one step of one script, by the
//! server's clock, so that gateways whose clocks differ count as one.

mod link;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use redis::Script;
use smallvec::SmallVec;
use tracing::warn;

use super::Standing;
use super::key::Material;
use super::settings::{Measure, OnFailure, RedisSettings};
use crate::telemetry::Metrics;
use link::Link;

/// A key as the server knows it. What clients send is hashed: it may be long, and is nobody's business there.
pub(super) struct Digest([u8; 22]);

impl Digest {
    /// Of the limit and of the key's material.
    pub(super) fn of(limit: &str, material: &Material) -> Self {
        let mut context = ring::digest::Context::new(&ring::digest::SHA256);
        context.update(&(limit.len() as u64).to_le_bytes());
        context.update(limit.as_bytes());
        context.update(material);
        let digest = context.finish();
        let mut text = [0; 22];
        // 16 bytes are 22 characters.
        let bytes = digest.as_ref().get(..16).unwrap_or_default();
        let _ = base64_simd::URL_SAFE_NO_PAD.encode(bytes, base64_simd::Out::from_slice(&mut text));
        Self(text)
    }
}

/// Why the server gave no answer.
#[derive(Debug)]
pub(super) enum Unasked {
    /// There is no connection.
    Down,
    TimedOut,
    /// It refused, or answered what makes no sense.
    Failed(String),
}

impl std::fmt::Display for Unasked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Down => f.write_str("no connection to the server of shared limits"),
            Self::TimedOut => f.write_str("the server of shared limits did not answer in time"),
            Self::Failed(why) => write!(f, "the server of shared limits failed: {why}"),
        }
    }
}

impl std::error::Error for Unasked {}

/// The server of shared limits, with a connection for each worker; all calls of a worker are written to it one behind
/// the other, without waiting for answers.
pub struct SharedStore {
    settings: RedisSettings,
    links: Vec<Link>,
    script: Script,
    /// Whether the last answer was a refusal: one is told, not each of them.
    fails: AtomicBool,
}

impl SharedStore {
    /// Nothing is connected yet.
    #[must_use]
    pub fn new(settings: RedisSettings, workers: usize, metrics: &Arc<Metrics>) -> Self {
        let links = (0..workers.max(1)).map(|_| Link::new(settings.clone(), Arc::clone(metrics))).collect();
        Self { settings, links, script: Script::new(include_str!("take.lua")), fails: AtomicBool::new(false) }
    }

    /// Begins to connect this worker, on the caller's runtime.
    pub fn warm(&self, worker: usize) {
        if let Some(link) = self.link(worker) {
            link.warm();
        }
    }

    pub(super) fn on_failure(&self) -> OnFailure {
        self.settings.on_failure
    }

    fn link(&self, worker: usize) -> Option<&Link> {
        self.links.get(worker).or(self.links.first())
    }

    /// Takes `cost` of all limits, or of none if one has no room. The answers are in the order of the questions.
    pub(super) async fn take<'q>(
        &self,
        worker: usize,
        questions: impl Iterator<Item = (&'q Measure, &'q Digest)>,
        cost: NonZeroU32,
    ) -> Result<SmallVec<[Standing; 4]>, Unasked> {
        let mut invocation = self.script.prepare_invoke();
        invocation.arg(cost.get());
        let mut count = 0;
        for (measure, Digest(digest)) in questions {
            count += 1;
            let mut key = Vec::with_capacity(self.settings.prefix.len() + 23);
            key.extend_from_slice(self.settings.prefix.as_bytes());
            key.push(b':');
            key.extend_from_slice(digest);
            invocation.key(key);
            match measure {
                Measure::Rate(rate) => {
                    let sixteenths = (rate.period().as_nanos() * 16).div_ceil(1000);
                    let (whole, part) = (sixteenths / 16, sixteenths % 16 * 625);
                    invocation.arg("r").arg(format!("{whole}.{part:04}")).arg(rate.burst.get()).arg(0);
                }
                Measure::Quota(quota) => {
                    let window = quota.window;
                    invocation.arg("w").arg(quota.most.get()).arg(window.length).arg(window.before);
                }
            }
        }
        let link = self.link(worker).ok_or(Unasked::Down)?;
        let asking = async {
            let mut connection = link.connection().await?;
            let answer: redis::RedisResult<Vec<i64>> = invocation.invoke_async(&mut connection).await;
            answer.map_err(|error| {
                if !error.is_io_error() && !self.fails.swap(true, Ordering::Relaxed) {
                    warn!(%error, "the server of shared limits refuses to count");
                }
                Unasked::Failed(error.to_string())
            })
        };
        let answer = match tokio::time::timeout(self.settings.timeout, asking).await {
            Ok(Ok(answer)) => {
                if self.fails.load(Ordering::Relaxed) {
                    self.fails.store(false, Ordering::Relaxed);
                }
                answer
            }
            Ok(Err(error)) => {
                link.doubt();
                return Err(error);
            }
            Err(_) => {
                link.doubt();
                return Err(Unasked::TimedOut);
            }
        };
        let standings: SmallVec<[Standing; 4]> = answer.chunks_exact(4).filter_map(standing).collect();
        if standings.len() == count { Ok(standings) } else { Err(Unasked::Failed("not an answer".into())) }
    }
}

/// Four numbers of the script.
fn standing(numbers: &[i64]) -> Option<Standing> {
    let &[room, left, reset, wait] = numbers else { return None };
    let micros = |number: i64| u64::try_from(number).ok().map(Duration::from_micros);
    Some(Standing {
        remaining: u32::try_from(left).ok()?,
        reset: micros(reset)?,
        retry: if room == 1 { None } else { Some(micros(wait)?) },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_differ_by_limit_and_material() {
        let material = |text: &str| Material::from_slice(text.as_bytes());
        let of = |limit: &str, text: &str| Digest::of(limit, &material(text)).0;
        assert_eq!(of("a", "b"), of("a", "b"));
        assert_ne!(of("a", "b"), of("ab", ""));
        assert_ne!(of("a", "b"), of("a", "c"));
        assert!(of("a", "b").iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')));
    }

    #[test]
    fn what_makes_no_sense_is_no_standing() {
        assert_eq!(standing(&[1, 5, 10, 0]).unwrap().retry, None);
        assert_eq!(standing(&[0, 0, 10, 7]).unwrap().retry, Some(Duration::from_micros(7)));
        assert_eq!(standing(&[1, -5, 10, 0]), None);
        assert_eq!(standing(&[1, 5, 10]), None);
    }
}
