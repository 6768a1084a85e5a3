//! The neighbour of a VM that attacks: it says, twice a second, whether its counters are right by
//! its own clock, and how long its accesses, or its waits for the CPU, took at most.
//!
//! Rounds of 50 ms. In each, one access to a location that is logged, few enough a second for
//! every line to be printed, and then some to one that is not.
//!
//! Keys: `trace=` address of the logged location; `silent=` address of the other; `seconds=` how
//! long.

#![cfg_attr(target_os = "none", no_std, no_main)]

use core::time::Duration;

use guest::{
    Outcome, Start,
    clock::{Clock, Instant, Wait},
    driver::TraceLocation,
    say,
    ticks::{TOLERANCE, TickWatch},
};

guest::program!(run);

const ROUND: Duration = Duration::from_millis(50);
const ROUNDS_A_REPORT: u64 = 10;
const BURST: u32 = 40;
const SECOND: Duration = Duration::from_secs(1);

/// A location, and what its counter was at its first tick.
struct Watched {
    location: TraceLocation,
    first: u32,
    longest: Duration,
    sum: Duration,
    count: u32,
    /// By how much the counter was wrong, the first time.
    wrong: Option<(u32, u32)>,
}

impl Watched {
    fn access(&mut self, first_tick: Instant, clock: &Clock) {
        let began = clock.now();
        let value = self.location.read();
        let ended = clock.now();
        let time = clock.between(began, ended);
        self.longest = self.longest.max(time);
        self.sum += time;
        self.count += 1;
        // A tick is seen late by up to one wake-up; the access itself may take its time.
        let earliest = clock.between(first_tick, clock.before(began, TOLERANCE));
        let latest = clock.between(first_tick, clock.after(ended, TOLERANCE));
        let counted = value.wrapping_sub(self.first);
        let right = whole_seconds(earliest)..=whole_seconds(latest);
        if !right.contains(&counted) && self.wrong.is_none() {
            self.wrong = Some((value, self.first.wrapping_add(*right.start())));
        }
    }
}

fn whole_seconds(time: Duration) -> u32 {
    (time.as_nanos() / SECOND.as_nanos()) as u32
}

fn run(start: &Start) -> Outcome {
    let logged = start.trace_location("trace")?;
    let mut silent = start.trace_location("silent")?;
    let seconds = start.cmdline.number("seconds")?;
    let clock = &start.clock;

    let mut watch = TickWatch::start(&mut silent, clock);
    let tick = watch.wait_closely(&mut silent, clock);
    let watched = |location| Watched {
        location,
        first: tick.value,
        longest: Duration::ZERO,
        sum: Duration::ZERO,
        count: 0,
        wrong: None,
    };
    let (mut logged, mut silent) = (watched(logged), watched(silent));
    let end = clock.after(tick.seen, Duration::from_secs(seconds));
    let mut round = 0;
    let mut next = tick.seen;
    while clock.now() < end {
        // After a long wait it goes on from now.
        next = clock.after(next, ROUND).max(clock.now());
        let woke = clock.wait_until(next, Wait::Busy);
        // Who is starved while it waits is late.
        logged.longest = logged.longest.max(clock.between(next, woke));
        logged.access(tick.seen, clock);
        for _ in 0..BURST {
            silent.access(tick.seen, clock);
        }
        round += 1;
        if round % ROUNDS_A_REPORT == 0 {
            report(&mut logged, &mut silent);
        }
    }
    report(&mut logged, &mut silent);
    Ok(())
}

fn report(logged: &mut Watched, silent: &mut Watched) {
    let longest = logged.longest.max(silent.longest);
    let mean = (logged.sum + silent.sum)
        .checked_div(logged.count + silent.count)
        .unwrap_or_default();
    match logged.wrong.or(silent.wrong) {
        None => say!(
            "counters right, mean {} ns, longest {} ns",
            mean.as_nanos(),
            longest.as_nanos()
        ),
        Some((is, should)) => say!(
            "counter wrong: {is} instead of {should}, longest {} ns",
            longest.as_nanos()
        ),
    }
    for watched in [logged, silent] {
        (watched.longest, watched.sum, watched.count) = (Duration::ZERO, Duration::ZERO, 0);
    }
}
