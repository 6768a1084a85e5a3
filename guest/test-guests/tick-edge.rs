//! Proves that a write belongs to its own time, not to the time at which somebody got round
//! to it: 1 ms before a tick it is ticked, 1 ms after it is not, although the guest sees the
//! tick itself up to a wake-up late.
//!
//! The tick's true moment shows in what becomes of a write: written before, the value is one
//! larger when the tick has become visible; written after, it is what it was. Halving the
//! window second by second finds the moment to a quarter of a millisecond.
//!
//! ```text
//!             true tick      visible to the guest
//!   ──────┬───────┼───────┬────────┼─────────────┬─────▶
//!      −1 ms      T     +1 ms   T + up to 10 ms  judged
//!     5000 → 5001        7000 stays, the next tick makes it 7001
//! ```
//!
//! Keys: `trace=` address of the location.

#![cfg_attr(target_os = "none", no_std, no_main)]

use core::time::Duration;

use guest::{
    Outcome, Start, check,
    clock::{Clock, Instant, Wait},
    driver::TraceLocation,
    power::{self, FailureCode},
    say,
    ticks::{TickWatch, check_on_second},
};

guest::program!(run);

const SECOND: Duration = Duration::from_secs(1);
/// A tick is visible at most this long after its true moment: two wake-ups.
const LATEST_VISIBLE: Duration = Duration::from_millis(20);
/// After the moment at which a tick was first seen, a write is judged this much later.
const JUDGED_AFTER: Duration = Duration::from_millis(30);
/// How well the true moment has to be known; 1 ms is then clearly before or after.
const PRECISION: Duration = Duration::from_micros(250);
const MARGIN: Duration = Duration::from_millis(1);

/// What a tick did to a write near it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Edge {
    /// The write came before the tick: one was added.
    Before,
    /// The write came after the tick.
    After,
}

fn run(start: &Start) -> Outcome {
    let mut location = start.trace_location("trace")?;
    let clock = &start.clock;

    let mut watch = TickWatch::start(&mut location, clock);
    let visible = watch.wait(&mut location, clock, PRECISION, Wait::Busy).seen;

    // The true moment lies in `early..=late`, in each second anew.
    let mut late = visible;
    let mut early = clock.before(visible, LATEST_VISIBLE);
    check!(
        edge_of_write_at(clock, &mut location, early, 3000) == Edge::Before,
        "a tick became visible more than {} ms late",
        LATEST_VISIBLE.as_millis()
    );
    while clock.between(early, late) > PRECISION {
        let middle = clock.after(early, clock.between(early, late) / 2);
        match edge_of_write_at(clock, &mut location, middle, 4000) {
            Edge::Before => early = middle,
            Edge::After => late = middle,
        }
    }
    say!(
        "ticks become visible {} us after their moment",
        clock.between(late, visible).as_micros()
    );

    let edge = edge_of_write_at(clock, &mut location, clock.before(early, MARGIN), 5000);
    check!(edge == Edge::Before, "5000, 1 ms before a tick, stayed");
    say!("5000 written 1 ms before a tick became 5001");

    let edge = edge_of_write_at(clock, &mut location, clock.after(late, MARGIN), 7000);
    check!(edge == Edge::After, "7000, 1 ms after a tick, was ticked");
    let mut watch = TickWatch::from_value(7000, clock);
    let first = watch.wait_closely(&mut location, clock);
    let second = watch.wait_closely(&mut location, clock);
    check!(
        first.value == 7001 && second.value == 7002,
        "7000 went on with {} and {}",
        first.value,
        second.value
    );
    check_on_second(clock, first, second);
    say!("7000 written 1 ms after a tick stayed until the next, then 7001");
    Ok(())
}

/// Writes `value` at `moment`, a whole number of seconds later, and waits until the nearest
/// tick is visible. A write that something delayed is not judged but repeated.
fn edge_of_write_at(
    clock: &Clock,
    location: &mut TraceLocation,
    moment: Instant,
    value: u32,
) -> Edge {
    let mut moment = moment;
    for _ in 0..5 {
        // The tick before has to be judged: nothing of it may still be under way.
        while moment < clock.after(clock.now(), JUDGED_AFTER) {
            moment = clock.after(moment, SECOND);
        }
        clock.wait_until(moment, Wait::Busy);
        location.write(value);
        let delay = clock.since(moment);
        let judged = clock.after(moment, LATEST_VISIBLE + JUDGED_AFTER);
        clock.wait_until(judged, Wait::Busy);
        let after = location.read();
        if delay > PRECISION {
            continue;
        }
        return match after.wrapping_sub(value) {
            0 => Edge::After,
            1 => Edge::Before,
            _ => power::fail(
                FailureCode::Check,
                format_args!("wrote {value}, read {after}"),
            ),
        };
    }
    power::fail(
        FailureCode::Check,
        format_args!("no write within {} us of its moment", PRECISION.as_micros()),
    )
}
