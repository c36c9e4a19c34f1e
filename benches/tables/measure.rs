//! How long something takes: the processor time of this thread, as other programs run beside it; and the best of several
//! runs, as what else a machine does only adds to it.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// The processor time that this thread has taken until now.
fn now() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    // Neither is ever negative.
    Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec as u32)
}

/// The least time that `run` took, of at least three runs and about 20 ms.
pub(super) fn best(mut run: impl FnMut()) -> Duration {
    let begin = now();
    let mut best = Duration::MAX;
    let mut runs = 0;
    while runs < 3 || (now() - begin < Duration::from_millis(20) && runs < 1000) {
        let start = now();
        run();
        best = best.min(now() - start);
        runs += 1;
    }
    best
}

/// Nanoseconds for each of `count`.
pub(super) fn each(time: Duration, count: usize) -> f64 {
    time.as_secs_f64() * 1e9 / count.max(1) as f64
}
