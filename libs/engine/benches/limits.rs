//! What named limits cost: nanoseconds for a turn, in which a holder gives its places back, the first who waits for them gets
//! them, and the former asks again, so that as many wait as before.

#![expect(clippy::print_stdout, reason = "it reports")]

use std::{hint::black_box, num::NonZeroU32, sync::Arc, time::Instant};

use windlass_engine::{
    limits::{LimitConfig, Limits, Rate},
    time::Timestamp,
};

const WAITERS: [u32; 5] = [10, 100, 1_000, 10_000, 100_000];

/// Turns of a measurement, and measurements, of which the least disturbed one is shown.
const TURNS: u32 = 200_000;
const ROUNDS: usize = 5;

/// Limits that are asked for together, and how each is configured.
struct Case {
    name: &'static str,
    limits: usize,
    config: LimitConfig,
}

fn main() {
    let mutex = LimitConfig::default();
    let semaphore = LimitConfig { size: NonZeroU32::new(8), rate: None };
    let starts = NonZeroU32::new(1000);
    let rate = starts.map(|starts| Rate { starts, period_ms: 10_000 });
    let cases = [
        Case { name: "one mutex", limits: 1, config: mutex },
        Case { name: "one semaphore of 8", limits: 1, config: semaphore },
        Case { name: "four mutexes", limits: 4, config: mutex },
        Case { name: "a mutex with a rate", limits: 1, config: LimitConfig { rate, ..mutex } },
    ];
    println!("case                   waiters    ns/turn     x 10");
    for case in cases {
        let mut at_first = None;
        for waiters in WAITERS {
            let cost = (0..ROUNDS).map(|_| turn(&case, waiters)).fold(f64::INFINITY, f64::min);
            let first = *at_first.get_or_insert(cost);
            println!("{:20} {waiters:9} {cost:10.0} {:8.2}", case.name, cost / first);
        }
    }
}

/// Nanoseconds for a turn.
fn turn(case: &Case, waiters: u32) -> f64 {
    let names: Arc<[Arc<str>]> =
        (0..case.limits).map(|number| format!("limit-{number}").into()).collect();
    let mut limits = Limits::default();
    for name in names.iter() {
        limits.configure(name, Some(case.config), Timestamp(0));
    }
    let size = case.config.size.map_or(1, NonZeroU32::get);
    let holders = waiters + size;
    for holder in 0..holders {
        limits.ask(&holder, &names);
    }
    // As much time for a turn as any rate of these cases needs.
    let per_turn = case.config.rate.map_or(1, |it| it.period_ms / u64::from(it.starts.get()) + 1);
    let mut now = 0;
    for _ in 0..=size {
        now += per_turn;
        limits.grant(Timestamp(now), usize::MAX);
    }
    let began = Instant::now();
    for turn in 0..TURNS {
        now += per_turn;
        let holder = turn % holders;
        limits.release(&holder);
        limits.ask(&holder, &names);
        let granted = limits.grant(Timestamp(now), usize::MAX);
        assert_eq!(granted.len(), 1, "the place is given to one");
        black_box(granted);
    }
    began.elapsed().as_secs_f64() * 1e9 / f64::from(TURNS)
}
