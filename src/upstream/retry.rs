//! Whether a call that has failed is tried again, and when.
//!
//! Two kinds of failures are. Those of which it is known that no backend has begun with the call (nothing was sent, the
//! stream was refused, GOAWAY names an earlier stream) are harmless, so they are tried again without anybody asking for
//! it. All others only by the rule of a method that may be called more than once, by their code, as often as the rule
//! says, after a pause that grows, and no sooner than the backend wants it (`grpc-retry-pushback-ms`, gRFC A6).
//!
//! In any case a further try goes to another member where there is one, takes from the upstream's budget, and is not made
//! where the call's time would be over before it begins.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use smallvec::SmallVec;
use tokio::time::Instant;

use super::backoff::Backoff;
use super::budget::Budget;
use super::timeout::put_timeout;
use crate::fault::{Code, Fault, Kind};

/// How calls are tried again that may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Tries in all, the first one included.
    pub attempts: NonZeroU32,
    pub codes: Codes,
    /// The longest that one try may take until its answer begins, for a unary call until it ends.
    pub per_try_timeout: Option<Duration>,
    pub backoff: Backoff,
}

/// A set of codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Codes(u32);

impl Codes {
    /// These codes.
    #[must_use]
    pub fn of(codes: impl IntoIterator<Item = Code>) -> Self {
        Self(codes.into_iter().fold(0, |all, code| all | 1 << code.number()))
    }

    #[must_use]
    pub fn has(self, code: Code) -> bool {
        self.0 & 1 << code.number() != 0
    }
}

impl Default for Codes {
    fn default() -> Self {
        Self::of([Code::Unavailable])
    }
}

impl RetryPolicy {
    pub const DEFAULT_ATTEMPTS: NonZeroU32 = NonZeroU32::new(3).expect("3 is not 0");
    pub const MOST_ATTEMPTS: u32 = 10;
}

/// The reason of a try that took longer than one may, while the call has time left.
pub(super) const TRY_TIMED_OUT: &str = "TRY_TIMED_OUT";

/// How often a call is tried again that nobody has begun with. A backend that refuses it each time is not to be asked for
/// ever.
const HARMLESS: u32 = 3;
/// Backends that want a call to come back later than this don't want it back.
const LONGEST_PUSHBACK: Duration = Duration::from_secs(60);

/// The tries of one call.
pub(super) struct Tries {
    policy: Option<Arc<RetryPolicy>>,
    deadline: Option<Instant>,
    /// Made so far.
    made: u32,
    /// Of these, those that were made again because the one before was harmless.
    harmless: u32,
    /// Pauses that have grown.
    pauses: u32,
    /// Whom it was tried at.
    pub(super) tried: Tried,
}

/// The numbers of the members that a call was tried at.
pub(super) type Tried = SmallVec<[u64; 4]>;

/// What comes after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Another try, after a pause.
    Again(Duration),
    /// It stays with this failure.
    Stop(Why),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// It is not one that is tried again.
    Final,
    /// It was tried as often as it may be.
    Exhausted,
    /// The backend does not want it back.
    PushedBack,
    NoBudget,
    NoTime,
}

const PREVIOUS: HeaderName = HeaderName::from_static("grpc-previous-rpc-attempts");
const PUSHBACK: &str = "grpc-retry-pushback-ms";

impl Tries {
    pub(super) fn new(policy: Option<Arc<RetryPolicy>>, deadline: Option<Instant>) -> Self {
        Self { policy, deadline, made: 1, harmless: 0, pauses: 0, tried: Tried::new() }
    }

    /// How many were made, the one under way included.
    pub(super) fn made(&self) -> u32 {
        self.made
    }

    /// The end of a try that begins now, where it ends before the call does.
    pub(super) fn try_ends(&self) -> Option<Instant> {
        let ends = Instant::now().checked_add(self.policy.as_ref()?.per_try_timeout?)?;
        self.deadline.is_none_or(|deadline| ends < deadline).then_some(ends)
    }

    /// Whether a call that failed so would be tried again, but for its time, its budget and how often it was.
    pub(super) fn would_retry(&self, fault: &Fault) -> bool {
        concerns_backend(fault) && (fault.is_unprocessed() || self.by_code(fault).is_some())
    }

    fn by_code(&self, fault: &Fault) -> Option<&Arc<RetryPolicy>> {
        let policy = self.policy.as_ref()?;
        (fault.reason() == TRY_TIMED_OUT || policy.codes.has(fault.code())).then_some(policy)
    }

    /// What comes after the try that failed so. `others`: whether there is a member that it was not tried at.
    pub(super) fn next(&mut self, fault: &Fault, others: bool, budget: Option<&Budget>) -> Next {
        match self.decide(fault, others) {
            Next::Stop(why) => Next::Stop(why),
            Next::Again(pause) => {
                let late = |deadline: Instant| Instant::now() + pause >= deadline;
                if self.deadline.is_some_and(late) {
                    return Next::Stop(Why::NoTime);
                }
                if budget.is_some_and(|budget| !budget.take()) {
                    return Next::Stop(Why::NoBudget);
                }
                self.made = self.made.saturating_add(1);
                Next::Again(pause)
            }
        }
    }

    fn decide(&mut self, fault: &Fault, others: bool) -> Next {
        if !concerns_backend(fault) {
            return Next::Stop(Why::Final);
        }
        if fault.is_unprocessed() && self.harmless < HARMLESS {
            // Where there is no connection, a further look at the same place finds the same.
            if fault.kind() != Kind::Unreachable || others {
                self.harmless += 1;
                return Next::Again(if others { Duration::ZERO } else { self.pause(Backoff::default()) });
            }
        }
        let Some(policy) = self.by_code(fault) else { return Next::Stop(Why::Final) };
        if self.made >= policy.attempts.get() {
            return Next::Stop(Why::Exhausted);
        }
        let backoff = policy.backoff;
        match pushback(fault) {
            Pushback::None => Next::Again(self.pause(backoff)),
            Pushback::After(pause) => {
                // The backend's word in place of ours, which begins anew.
                self.pauses = 0;
                Next::Again(pause)
            }
            Pushback::Never => Next::Stop(Why::PushedBack),
        }
    }

    fn pause(&mut self, backoff: Backoff) -> Duration {
        let pause = backoff.pause(self.pauses);
        self.pauses = self.pauses.saturating_add(1);
        pause
    }

    /// Says in the headers of a try how many were before it, and how much time it has.
    pub(super) fn put(&self, headers: &mut HeaderMap, ends: Option<Instant>) {
        if self.made > 1 {
            headers.insert(PREVIOUS, HeaderValue::from(self.made - 1));
            put_timeout(headers, ends.or(self.deadline));
        } else if ends.is_some() {
            put_timeout(headers, ends);
        }
    }
}

/// Whether it is a failure of the backend's, or of the way to it.
fn concerns_backend(fault: &Fault) -> bool {
    match fault.kind() {
        Kind::Backend | Kind::Unreachable | Kind::Lost | Kind::BadReply => true,
        Kind::Deadline => fault.reason() == TRY_TIMED_OUT,
        Kind::NoRoute
        | Kind::WrongMethod
        | Kind::BadRequest
        | Kind::TooLarge
        | Kind::UrlTooLong
        | Kind::MediaType
        | Kind::ForeignOrigin
        | Kind::Unauthenticated
        | Kind::Denied
        | Kind::RateLimited
        | Kind::Overloaded
        | Kind::Unsupported
        | Kind::Incomplete
        | Kind::SlowClient
        | Kind::Stopping
        | Kind::ReplyTooLarge
        | Kind::Bug => false,
    }
}

/// What a backend says about a further try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pushback {
    None,
    After(Duration),
    Never,
}

fn pushback(fault: &Fault) -> Pushback {
    let Some(value) = fault.metadata(PUSHBACK) else { return Pushback::None };
    let millis =
        value.to_str().ok().filter(|text| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()));
    match millis.and_then(|text| text.parse().ok()).map(Duration::from_millis) {
        Some(after) if after <= LONGEST_PUSHBACK => Pushback::After(after),
        Some(_) | None => Pushback::Never,
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::super::budget::BudgetSettings;
    use super::*;

    fn policy(attempts: u32) -> Option<Arc<RetryPolicy>> {
        Some(Arc::new(RetryPolicy {
            attempts: NonZeroU32::new(attempts).unwrap(),
            codes: Codes::of([Code::Unavailable, Code::Aborted]),
            per_try_timeout: Some(Duration::from_secs(1)),
            backoff: Backoff { base: Duration::from_millis(10), max: Duration::from_millis(15) },
        }))
    }

    fn by_backend(code: Code) -> Fault {
        Fault::from_backend(code, "", Vec::new())
    }

    fn refused() -> Fault {
        Fault::broken_backend(Code::Unavailable, "BACKEND_RESET", "").unprocessed()
    }

    fn with_pushback(value: &str) -> Fault {
        let mut trailers = HeaderMap::new();
        trailers.insert(PUSHBACK, value.parse().unwrap());
        by_backend(Code::Unavailable).with_trailers(trailers)
    }

    #[test]
    fn codes_are_sets() {
        let codes = Codes::of([Code::Cancelled, Code::Unauthenticated]);
        let got: Vec<Code> = Code::ALL.into_iter().filter(|code| codes.has(*code)).collect();
        assert_eq!(got, [Code::Cancelled, Code::Unauthenticated]);
        assert!(Codes::default().has(Code::Unavailable) && !Codes::default().has(Code::Internal));
    }

    #[tokio::test(start_paused = true)]
    async fn by_code_as_often_as_the_rule_says() {
        let mut tries = Tries::new(policy(3), None);
        for longest in [10, 15] {
            match tries.next(&by_backend(Code::Aborted), true, None) {
                Next::Again(pause) => assert!(pause <= Duration::from_millis(longest)),
                stop @ Next::Stop(_) => panic!("{stop:?}"),
            }
        }
        assert_eq!(tries.made(), 3);
        assert_eq!(tries.next(&by_backend(Code::Aborted), true, None), Next::Stop(Why::Exhausted));
    }

    #[tokio::test(start_paused = true)]
    async fn other_failures_are_final() {
        let deadline = || Fault::new(Kind::Deadline, "DEADLINE_EXCEEDED", "");
        for (policy, fault) in [
            (policy(3), by_backend(Code::NotFound)),
            (policy(3), by_backend(Code::Internal)),
            (policy(3), deadline()),
            (policy(3), Fault::new(Kind::Incomplete, "INCOMPLETE_BODY", "")),
            (policy(3), Fault::new(Kind::Overloaded, "CIRCUIT_OPEN", "")),
            (policy(3), Fault::new(Kind::ReplyTooLarge, "REPLY_TOO_LARGE", "")),
            (None, by_backend(Code::Unavailable)),
            (None, Fault::new(Kind::Lost, "CONNECTION_LOST", "")),
        ] {
            let name = fault.to_string();
            assert_eq!(Tries::new(policy, None).next(&fault, true, None), Next::Stop(Why::Final), "{name}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_try_that_timed_out_counts_like_a_code() {
        let late = Fault::new(Kind::Deadline, TRY_TIMED_OUT, "");
        assert!(matches!(Tries::new(policy(2), None).next(&late, true, None), Next::Again(_)));
        assert_eq!(Tries::new(None, None).next(&late, true, None), Next::Stop(Why::Final));
    }

    #[tokio::test(start_paused = true)]
    async fn what_nobody_began_with_is_tried_elsewhere_at_once_and_not_for_ever() {
        let mut tries = Tries::new(None, None);
        for _ in 0..3 {
            assert_eq!(tries.next(&refused(), true, None), Next::Again(Duration::ZERO));
        }
        assert_eq!(tries.next(&refused(), true, None), Next::Stop(Why::Final));
        // At the only member there is a pause.
        assert!(matches!(Tries::new(None, None).next(&refused(), false, None), Next::Again(_)));
        let nobody = || Fault::new(Kind::Unreachable, "UPSTREAM_UNREACHABLE", "").unprocessed();
        assert_eq!(Tries::new(None, None).next(&nobody(), false, None), Next::Stop(Why::Final));
        assert!(matches!(Tries::new(policy(2), None).next(&nobody(), false, None), Next::Again(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_backend_says_when_it_wants_a_call_back() {
        let again = |ms| Next::Again(Duration::from_millis(ms));
        for (value, want) in [
            ("0", again(0)),
            ("250", again(250)),
            ("-1", Next::Stop(Why::PushedBack)),
            ("", Next::Stop(Why::PushedBack)),
            ("soon", Next::Stop(Why::PushedBack)),
            ("+5", Next::Stop(Why::PushedBack)),
            ("60001", Next::Stop(Why::PushedBack)),
            ("99999999999999999999999", Next::Stop(Why::PushedBack)),
        ] {
            let got = Tries::new(policy(2), None).next(&with_pushback(value), true, None);
            assert_eq!(got, want, "{value}");
        }
        // It says nothing for what is not tried again.
        assert_eq!(Tries::new(None, None).next(&with_pushback("1"), true, None), Next::Stop(Why::Final));
    }

    #[tokio::test(start_paused = true)]
    async fn no_try_begins_behind_the_deadline() {
        let deadline = Some(Instant::now() + Duration::from_millis(200));
        let mut tries = Tries::new(policy(5), deadline);
        assert_eq!(tries.next(&with_pushback("200"), true, None), Next::Stop(Why::NoTime));
        assert_eq!(tries.next(&with_pushback("199"), true, None), Next::Again(Duration::from_millis(199)));
        advance(Duration::from_millis(200)).await;
        assert_eq!(tries.next(&refused(), true, None), Next::Stop(Why::NoTime));
    }

    #[tokio::test(start_paused = true)]
    async fn all_tries_take_from_the_budget() {
        let budget = Budget::new(BudgetSettings { percent: 0, per_second: 0 });
        for number in 0..10 {
            let fault = if number % 2 == 0 { refused() } else { by_backend(Code::Aborted) };
            let got = Tries::new(policy(2), None).next(&fault, true, Some(&budget));
            assert!(matches!(got, Next::Again(_)), "{number}");
        }
        for fault in [refused(), by_backend(Code::Aborted)] {
            let got = Tries::new(policy(2), None).next(&fault, true, Some(&budget));
            assert_eq!(got, Next::Stop(Why::NoBudget));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_try_tells_what_was_before_it_and_how_much_time_it_has() {
        let deadline = Some(Instant::now() + Duration::from_secs(5));
        let mut tries = Tries::new(policy(5), deadline);
        let mut headers = HeaderMap::new();
        tries.put(&mut headers, None);
        assert!(headers.is_empty(), "what the call says stands");
        tries.put(&mut headers, tries.try_ends());
        assert_eq!(headers["grpc-timeout"], "1000000u");
        tries.next(&by_backend(Code::Aborted), true, None);
        advance(Duration::from_millis(4500)).await;
        assert_eq!(tries.try_ends(), None, "the call ends first");
        tries.put(&mut headers, tries.try_ends());
        assert_eq!(headers["grpc-timeout"], "500000u");
        assert_eq!(headers["grpc-previous-rpc-attempts"], "1");
    }
}
