//! How long a call may take: the least of what the client asks for and what the rules say.
//!
//! The deadline holds from the moment that the RPC is known, so that a body that trickles in counts too. What is left of
//! it goes to the backend as `grpc-timeout`.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{HeaderMap, HeaderName};
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};
use tower::{Layer, Service};

use super::call::Call;
use super::identity::credential_expired;
use super::recheck::Recheck;
use crate::fault::{Code, Fault, Kind};
use crate::upstream::Activity;

type Reader = fn(&str) -> Option<Duration>;

/// What a client may ask for, by header, in the order in which they are looked for.
const HEADERS: [(HeaderName, Reader); 3] = [
    (HeaderName::from_static("grpc-timeout"), grpc_timeout),
    (HeaderName::from_static("connect-timeout-ms"), connect_timeout),
    (HeaderName::from_static("x-server-timeout"), server_timeout),
];

/// When a call has to be over, whoever still has something to say.
#[derive(Debug, Clone, Default)]
pub struct TimeLimit {
    /// The end of its time.
    pub deadline: Option<Instant>,
    /// The end of its credential's. None where that doesn't end a call.
    pub expiry: Option<Instant>,
    /// By what a stream is judged again while it is open.
    pub recheck: Option<Arc<Recheck>>,
    /// When a message went last, for a stream that ends when none goes for too long.
    pub activity: Option<Arc<Activity>>,
}

/// Ready when a call has to be over.
pub(crate) type Over = Pin<Box<dyn Future<Output = ()> + Send>>;

impl TimeLimit {
    /// The first of both.
    #[must_use]
    pub fn at(&self) -> Option<Instant> {
        match (self.deadline, self.expiry) {
            (Some(deadline), Some(expiry)) => Some(deadline.min(expiry)),
            (deadline, expiry) => deadline.or(expiry),
        }
    }

    /// Waits for what ends the call, where something may.
    pub(crate) fn over(&self) -> Option<Over> {
        let Some(activity) = self.activity.clone() else { return self.over_by_time_or_rights() };
        let other = self.over_by_time_or_rights();
        Some(Box::pin(async move {
            let other = async {
                match other {
                    Some(other) => other.await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = activity.silence() => {}
                () = other => {}
            }
        }))
    }

    fn over_by_time_or_rights(&self) -> Option<Over> {
        let recheck = self.recheck.clone().map(Recheck::refused);
        match (self.at(), recheck) {
            (None, None) => None,
            (Some(at), None) => Some(Box::pin(sleep_until(at))),
            (None, Some(refused)) => Some(Box::pin(refused)),
            (Some(at), Some(refused)) => Some(Box::pin(async move {
                tokio::select! {
                    () = sleep_until(at) => {}
                    () = refused => {}
                }
            })),
        }
    }

    /// What a call becomes that is not over by then.
    pub(crate) fn passed(&self) -> Fault {
        if let Some(Err(fault)) = self.recheck.as_ref().map(|recheck| recheck.judge()) {
            return fault;
        }
        let is_past = self.at().is_some_and(|at| at <= Instant::now());
        if !is_past && self.activity.as_ref().is_some_and(|activity| activity.is_over()) {
            return Fault::new(Kind::Deadline, "IDLE_TIMEOUT", "no message has gone either way for too long");
        }
        match self.expiry {
            Some(expiry) if self.at() == Some(expiry) => credential_expired(),
            Some(_) | None => deadline_passed(),
        }
    }

    /// What a call becomes that failed with `fault`.
    pub(crate) fn judge(&self, fault: Fault) -> Fault {
        cancelled_in_time(fault, self.deadline)
    }
}

/// Sets the deadline of [`Call::limit`] and holds the call to it.
#[derive(Clone, Copy)]
pub struct Deadline;

impl<S> Layer<S> for Deadline {
    type Service = DeadlineService<S>;
    fn layer(&self, inner: S) -> DeadlineService<S> {
        DeadlineService(inner)
    }
}

#[derive(Clone)]
pub struct DeadlineService<S>(S);

impl<S, B> Service<Call<B>> for DeadlineService<S>
where
    S: Service<Call<B>, Error = Fault>,
{
    type Response = S::Response;
    type Error = Fault;
    type Future = DeadlineFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, mut call: Call<B>) -> Self::Future {
        let asked = match asked(&call.head.headers) {
            Ok(asked) => asked,
            Err(fault) => return DeadlineFuture::Refused { fault: Some(fault) },
        };
        let method = &call.resolved.method;
        let configured = if method.is_unary() || !method.is_known { method.timeout } else { None };
        let least = match (asked, configured) {
            (Some(asked), Some(configured)) => Some(asked.min(configured)),
            (asked, configured) => asked.or(configured),
        };
        call.limit.deadline = least.and_then(|least| Instant::now().checked_add(least));
        if !method.is_unary() {
            let longest = method.idle_timeout;
            call.limit.activity = longest.map(|longest| Arc::new(Activity::new(longest)));
        }
        let limit = call.limit.clone();
        // Boxed for streams alone: unary calls are many, and have no more than a time.
        let (sleep, over) = match (&limit.recheck, &limit.activity) {
            (None, None) => (limit.at().map(sleep_until), None),
            (Some(_), _) | (_, Some(_)) => (None, limit.over()),
        };
        DeadlineFuture::Inner { inner: self.0.call(call), sleep, over, limit }
    }
}

pin_project! {
    #[project = DeadlineProjection]
    pub enum DeadlineFuture<F> {
        Refused { fault: Option<Fault> },
        Inner { #[pin] inner: F, #[pin] sleep: Option<Sleep>, over: Option<Over>, limit: TimeLimit },
    }
}

impl<F, T> Future for DeadlineFuture<F>
where
    F: Future<Output = Result<T, Fault>>,
{
    type Output = Result<T, Fault>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            DeadlineProjection::Refused { fault } => match fault.take() {
                Some(fault) => Poll::Ready(Err(fault)),
                None => Poll::Pending,
            },
            DeadlineProjection::Inner { inner, sleep, over, limit } => {
                if let Poll::Ready(result) = inner.poll(cx) {
                    return Poll::Ready(result.map_err(|fault| limit.judge(fault)));
                }
                let is_late = sleep.as_pin_mut().is_some_and(|sleep| sleep.poll(cx).is_ready());
                let is_over = over.as_mut().is_some_and(|over| over.as_mut().poll(cx).is_ready());
                if is_late || is_over { Poll::Ready(Err(limit.passed())) } else { Poll::Pending }
            }
        }
    }
}

/// A backend holds the same deadline by its own clock, which may be ahead of ours by this much.
const AHEAD: Duration = Duration::from_millis(10);

/// What a backend cancels at the deadline has run out of time, whoever noticed it first.
pub(crate) fn cancelled_in_time(fault: Fault, deadline: Option<Instant>) -> Fault {
    let by_backend =
        fault.code() == Code::Cancelled && matches!(fault.kind(), Kind::Backend | Kind::BadReply);
    let is_over = deadline.is_some_and(|deadline| deadline <= Instant::now() + AHEAD);
    if by_backend && is_over { deadline_passed() } else { fault }
}

/// What a call that takes too long becomes.
pub(crate) fn deadline_passed() -> Fault {
    Fault::new(Kind::Deadline, "DEADLINE_EXCEEDED", "the call took longer than it may")
}

/// What the client asks for; the least of several.
fn asked(headers: &HeaderMap) -> Result<Option<Duration>, Fault> {
    let mut least = None;
    for (name, read) in &HEADERS {
        for value in headers.get_all(name) {
            let asked = value.to_str().ok().and_then(read).ok_or_else(|| {
                Fault::invalid_argument("BAD_TIMEOUT", format!("`{name}` is no time-out")).at(name.as_str())
            })?;
            least = Some(least.map_or(asked, |least: Duration| least.min(asked)));
        }
    }
    Ok(least)
}

/// Digits alone, at most so many of them.
fn digits(text: &str, most: usize) -> Option<u64> {
    let fits = (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if fits { text.parse().ok() } else { None }
}

/// PROTOCOL-HTTP2: at most eight digits and a unit.
fn grpc_timeout(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let number = digits(number, 8)?;
    match unit {
        "H" => Some(Duration::from_secs(number * 3600)),
        "M" => Some(Duration::from_secs(number * 60)),
        "S" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_millis(number)),
        "u" => Some(Duration::from_micros(number)),
        "n" => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

/// The Connect protocol: milliseconds, at most ten digits.
fn connect_timeout(text: &str) -> Option<Duration> {
    digits(text, 10).map(Duration::from_millis)
}

/// Google's system parameter: seconds, with a fraction.
fn server_timeout(text: &str) -> Option<Duration> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let whole = Duration::from_secs(digits(whole, 10)?);
    let nanos = digits(fraction, 9)? * 10_u64.pow(9 - u32::try_from(fraction.len()).ok()?);
    Some(whole + Duration::from_nanos(nanos))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn time_outs() {
        let ms = |number| Some(Duration::from_millis(number));
        for (read, text, want) in [
            (grpc_timeout as Reader, "5S", ms(5000)),
            (grpc_timeout, "99999999m", ms(99_999_999)),
            (grpc_timeout, "100000000m", None),
            (grpc_timeout, "5", None),
            (grpc_timeout, "S", None),
            (grpc_timeout, "", None),
            (grpc_timeout, "-1S", None),
            (grpc_timeout, "1x", None),
            (grpc_timeout, "1µ", None),
            (connect_timeout, "250", ms(250)),
            (connect_timeout, "12345678901", None),
            (connect_timeout, "1.5", None),
            (server_timeout, "1.5", ms(1500)),
            (server_timeout, "2", ms(2000)),
            (server_timeout, "1.", None),
            (server_timeout, "NaN", None),
        ] {
            assert_eq!(read(text), want, "{text}");
        }
    }

    #[test]
    fn the_least_counts_and_a_bad_one_is_named() {
        let mut headers = HeaderMap::new();
        headers.insert("grpc-timeout", HeaderValue::from_static("5S"));
        headers.insert("connect-timeout-ms", HeaderValue::from_static("300"));
        assert_eq!(asked(&headers).unwrap(), Some(Duration::from_millis(300)));
        headers.insert("x-server-timeout", HeaderValue::from_static("soon"));
        assert_eq!(asked(&headers).unwrap_err().field(), Some("x-server-timeout"));
    }

    #[test]
    fn what_a_backend_cancels_at_the_deadline_is_out_of_time() {
        let by_backend = || Fault::from_backend(Code::Cancelled, "", Vec::new());
        let by_reset = || Fault::broken_backend(Code::Cancelled, "BACKEND_RESET", "");
        let other = || Fault::from_backend(Code::Aborted, "", Vec::new());
        let by_client = || Fault::new(Kind::Incomplete, "INCOMPLETE_BODY", "");
        let (now, later) = (Instant::now(), Instant::now() + Duration::from_secs(60));
        for (fault, deadline, want) in [
            (by_backend(), Some(now), Code::DeadlineExceeded),
            (by_reset(), Some(now), Code::DeadlineExceeded),
            (by_backend(), Some(later), Code::Cancelled),
            (by_backend(), None, Code::Cancelled),
            (other(), Some(now), Code::Aborted),
            (by_client(), Some(now), Code::Cancelled),
        ] {
            assert_eq!(cancelled_in_time(fault, deadline).code(), want);
        }
    }
}
