//! Backends whose processes or connections end while calls are on them.

use std::time::{Duration, Instant};

use crate::backend::Manner;
use crate::process::Process;
use crate::report::{Report, millis};
use crate::site::{RETRIES, Site, main_of};

/// One of three is killed and started again, three times.
pub fn killed(report: &mut Report) {
    let mut backends = Process::three();
    let site = Site::start(&main_of(&backends, "ejection: { base: 300ms, max: 1s }"), RETRIES);
    site.load(|load| load.more(200));
    let before = site.held();
    let (load, whole) = site.load(|load| {
        let mut longest = Duration::ZERO;
        for number in [1, 2, 3] {
            load.more(200);
            let backend = &mut backends[usize::from(number) - 1];
            backend.kill();
            load.more(300);
            backend.restart();
            longest = longest.max(load.answered_by(number, Instant::now()));
        }
        load.more(100);
        longest
    });
    load.assert_none_lost();
    let whole = format!("{}: the longest from a restart to its first answer", millis(whole));
    report.add("one of three killed and restarted, three times", &site, &load, &whole, &before);
}

/// All connections of all three say GOAWAY again and again; then one backend ends them with calls on them.
pub fn goaway(report: &mut Report) {
    for (scenario, manners) in [
        ("GOAWAY after 10 calls of each connection, all three", [Manner::GoesAway(10); 3]),
        (
            "connections aborted after 10 calls, one of three",
            [Manner::Aborts(10), Manner::Good, Manner::Good],
        ),
    ] {
        let mut backends = Process::three();
        let site = Site::start(&main_of(&backends, "ejection: { base: 300ms, max: 1s }"), RETRIES);
        site.load(|load| load.more(200));
        let before = site.held();
        let (load, whole) = site.load(|load| {
            backends.iter_mut().zip(manners).for_each(|(backend, manner)| backend.tell(manner));
            load.more(1000);
            backends.iter_mut().for_each(|backend| backend.tell(Manner::Good));
            let over = Instant::now();
            [1, 2, 3].map(|number| load.answered_by(number, over)).into_iter().max().expect("three")
        });
        load.assert_none_lost();
        let whole = format!("{}: from the storm's end until all have answered", millis(whole));
        report.add(scenario, &site, &load, &whole, &before);
    }
}
