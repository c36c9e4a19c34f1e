//! Balancing by simulation: time is counted, not waited for, and chance has a seed.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use super::*;
use crate::upstream::guard::Guard;
use crate::upstream::{Address, Endpoint};

/// What a simulated endpoint is like. It does one call after the other.
#[derive(Clone, Copy)]
struct Nature {
    weight: u32,
    /// What a call takes, on average, in microseconds.
    takes: u64,
    fails: bool,
}

const GOOD: Nature = Nature { weight: 1, takes: 5_000, fails: false };

fn members(natures: &[Nature], warm_up: Duration) -> Vec<Arc<Member>> {
    let now = Instant::now();
    natures
        .iter()
        .enumerate()
        .map(|(index, nature)| {
            let endpoint = Endpoint {
                authority: http::uri::Authority::from_static("localhost"),
                address: Address::Host("localhost".to_owned(), u16::try_from(index).unwrap()),
            };
            Arc::new(Member::new(endpoint, nature.weight, now, warm_up, &Guard::plain("u")))
        })
        .collect()
}

/// Who chooses.
#[derive(Clone, Copy, PartialEq, Debug)]
enum By {
    Chance,
    Balance(Balance),
}

/// What came of it.
struct Result {
    /// Calls to each endpoint.
    counts: Vec<usize>,
    /// How long each call took, in microseconds, in order.
    times: Vec<u64>,
}

impl Result {
    fn share(&self, index: usize) -> f64 {
        self.counts[index] as f64 / self.counts.iter().sum::<usize>() as f64
    }

    fn quantile(&self, part: f64) -> u64 {
        self.times[((self.times.len() - 1) as f64 * part) as usize]
    }
}

/// Sends `calls` calls, one every `gap` microseconds on average.
fn simulate(natures: &[Nature], by: By, calls: usize, gap: f64) -> Result {
    fastrand::seed(42);
    let members = members(natures, Duration::ZERO);
    let (urn, turn) = (Urn::new(&members), Turn::default());
    let start = Instant::now();
    let at = |micros: u64| start + Duration::from_micros(micros);
    let mut result = Result { counts: vec![0; natures.len()], times: Vec::new() };
    let mut free = vec![0_u64; natures.len()];
    // Ends of calls: when, where, and since when.
    let mut ends: BinaryHeap<Reverse<(u64, usize, u64)>> = BinaryHeap::new();
    let exponential = |mean: f64| (-(1.0 - fastrand::f64()).ln() * mean) as u64;
    let mut now = 0;
    for _ in 0..calls {
        now += exponential(gap);
        while let Some(Reverse((end, index, began))) = ends.peek().copied().filter(|end| end.0.0 <= now) {
            ends.pop();
            members[index].load.leave();
            let took = Duration::from_micros(end - began);
            members[index].load.observe(at(end), took, natures[index].fails);
            result.times.push(end - began);
        }
        let index = match by {
            By::Chance => fastrand::usize(..natures.len()),
            By::Balance(balance) => choose(balance, &members, &urn, &turn, at(now), |_| true).unwrap(),
        };
        members[index].load.enter();
        result.counts[index] += 1;
        free[index] = free[index].max(now) + exponential(natures[index].takes as f64);
        ends.push(Reverse((free[index], index, now)));
    }
    while let Some(Reverse((end, _, began))) = ends.pop() {
        result.times.push(end - began);
    }
    result.times.sort_unstable();
    result
}

const LEAST: By = By::Balance(Balance::LeastLoaded);
const ROUND: By = By::Balance(Balance::RoundRobin);

/// A hundred at 70 % of what they can do.
const GAP: f64 = 5_000.0 / 100.0 / 0.7;

#[test]
fn a_slow_endpoint_among_a_hundred_gets_little_and_calls_are_quick() {
    let mut natures = vec![GOOD; 100];
    natures[17].takes = 100_000;
    let [chance, round, least] = [By::Chance, ROUND, LEAST].map(|by| simulate(&natures, by, 100_000, GAP));
    assert!(chance.share(17) > 0.008, "{}", chance.share(17));
    assert!(least.share(17) < 0.003, "{}", least.share(17));
    for (part, times) in [(0.5, 1.4), (0.9, 1.7), (0.99, 3.0)] {
        let [chance, round, least] = [&chance, &round, &least].map(|result| result.quantile(part));
        assert!(times * (least as f64) < chance as f64, "{part}: {least} against {chance}");
        assert!(least < round, "{part}: {least} against {round}");
    }
}

#[test]
fn an_endpoint_that_fails_fast_attracts_nothing() {
    let mut natures = vec![GOOD; 100];
    natures[3] = Nature { takes: 50, fails: true, ..GOOD };
    let result = simulate(&natures, LEAST, 100_000, GAP);
    assert!(result.share(3) < 0.003, "{}", result.share(3));
    // Nor does it where there is only one other to compare with.
    let result = simulate(&[GOOD, Nature { takes: 50, fails: true, ..GOOD }], LEAST, 20_000, 10_000.0);
    assert!(result.share(1) < 0.1, "{}", result.share(1));
}

#[test]
fn weights_are_parts_of_the_calls() {
    let nature = |weight: u32| Nature { weight, ..GOOD };
    let mut natures: Vec<Nature> = (0..100).map(|index| nature([1, 2, 5][index % 3])).collect();
    let sum: u32 = natures.iter().map(|nature| nature.weight).sum();
    // Few calls at once, and many.
    for gap in [2_000.0, 150.0] {
        for by in [LEAST, ROUND] {
            let result = simulate(&natures, by, 200_000, gap);
            for weight in [1, 2, 5] {
                let those = (0..100).filter(|index| natures[*index].weight == weight);
                let want = those.clone().count() as f64 * f64::from(weight) / f64::from(sum);
                let got: f64 = those.map(|index| result.share(index)).sum();
                // What is asked more often meets more peaks, and is taken for slower.
                let balanced = if by == ROUND { 0.95..1.05 } else { 0.5..1.6 };
                assert!(balanced.contains(&(got / want)), "weight {weight}, gap {gap}: {got} for {want}");
            }
        }
    }
    // Where what is heavier can do more, that is quicker than to draw by weight alone.
    for nature in &mut natures {
        nature.takes = 10_000 / u64::from(nature.weight);
    }
    let [round, least] = [ROUND, LEAST].map(|by| simulate(&natures, by, 100_000, 60.0).quantile(0.99));
    assert!(least < round, "{least} against {round}");
}

#[test]
fn equals_get_equal_parts() {
    for by in [LEAST, ROUND] {
        let result = simulate(&vec![GOOD; 100], by, 100_000, GAP);
        for index in 0..100 {
            assert!((0.007..0.013).contains(&result.share(index)), "{index}: {}", result.share(index));
        }
    }
    // Two suffice.
    let result = simulate(&[GOOD; 2], LEAST, 10_000, 50_000.0);
    assert!((0.4..0.6).contains(&result.share(0)), "{}", result.share(0));
}

#[test]
fn turns_are_exact() {
    let members = members(&[GOOD; 5], Duration::ZERO);
    let (urn, turn, now) = (Urn::new(&members), Turn::default(), Instant::now());
    let mut counts = [0; 5];
    for _ in 0..50 {
        counts[choose(Balance::RoundRobin, &members, &urn, &turn, now, |_| true).unwrap()] += 1;
    }
    assert_eq!(counts, [10; 5]);
}

#[test]
fn what_is_not_usable_is_never_chosen() {
    let mut natures = vec![GOOD; 7];
    natures[0].weight = 1_000;
    let members = members(&natures, Duration::ZERO);
    let (urn, turn, now) = (Urn::new(&members), Turn::default(), Instant::now());
    for balance in [Balance::LeastLoaded, Balance::RoundRobin] {
        let mut counts = [0; 7];
        for _ in 0..7_000 {
            counts[choose(balance, &members, &urn, &turn, now, |index| index > 4).unwrap()] += 1;
        }
        assert_eq!(counts[..5], [0; 5]);
        assert!(counts[5] > 2_000 && counts[6] > 2_000, "{counts:?}");
        assert_eq!(choose(balance, &members, &urn, &turn, now, |index| index == 3), Some(3));
        assert_eq!(choose(balance, &members, &urn, &turn, now, |_| false), None);
        assert_eq!(choose(balance, &[], &Urn::new(&[]), &turn, now, |_| true), None);
        let one = [Arc::clone(&members[0])];
        assert_eq!(choose(balance, &one, &Urn::new(&one), &turn, now, |_| true), Some(0));
        assert_eq!(choose(balance, &one, &Urn::new(&one), &turn, now, |_| false), None);
    }
}

#[test]
fn a_member_that_joins_gets_its_part_by_and_by() {
    let members = members(&[GOOD; 10], Duration::from_secs(30));
    let (urn, turn, start) = (Urn::new(&members), Turn::default(), Instant::now());
    for member in &members {
        // All answer alike, so that only its warmth makes a difference.
        member.load.observe(start, Duration::from_millis(5), false);
    }
    members[4].warm_up(start);
    fastrand::seed(7);
    for balance in [Balance::LeastLoaded, Balance::RoundRobin] {
        let mut last = 0.0;
        for (after, low, high) in [(0, 0.003, 0.04), (15, 0.03, 0.08), (60, 0.08, 0.13)] {
            let now = start + Duration::from_secs(after);
            let of_ten = |balance| {
                members[4].warm_up(start);
                (0..10_000)
                    .filter(|_| choose(balance, &members, &urn, &turn, now, |_| true) == Some(4))
                    .count()
            };
            let share = of_ten(balance) as f64 / 10_000.0;
            assert!((low..high).contains(&share), "{balance:?} after {after} s: {share}");
            assert!(share > last);
            last = share;
        }
    }
}
