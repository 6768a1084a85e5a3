//! The demo: a pseudo-driver that meets a trace device as any driver would.
//!
//! Proves that the counter advances once a second by the guest's own clock, that a written
//! value is read back, and that the counter goes on from there.
//!
//! Keys: `trace=` address of the location; `wait=busy|wfi` (default busy) how the 250 ms
//! between two readings pass.

#![cfg_attr(target_os = "none", no_std, no_main)]

use core::time::Duration;

use guest::{
    Outcome, Start, check,
    clock::{Wait, whole_ms},
    driver::TraceLocation,
    say,
    ticks::{Tick, TickWatch, is_written_or_next},
};

guest::program!(run);

/// Time between two readings.
const STEP: Duration = Duration::from_millis(250);
/// How often the counter is to advance before the write.
const ADVANCES: u32 = 5;
/// Ticks that are timed: the first advance starts the stopwatch.
const TICKS: u32 = ADVANCES - 1;
/// A demo may run on a busy host, which stops the machine now and then; `ticks` is strict.
const TOLERANCE: Duration = STEP;
const WRITTEN: u32 = 1000;

fn run(start: &Start) -> Outcome {
    let mut location = start.trace_location("trace")?;
    let wait = match start.cmdline.value("wait") {
        None => Wait::Busy,
        Some(_) => start
            .cmdline
            .choice("wait", &[("busy", Wait::Busy), ("wfi", Wait::ForInterrupt)])?,
    };
    say!("trace device at {:#x}", location.address());

    let mut watch = TickWatch::start(&mut location, &start.clock);
    say!(
        "{} ms: counter {}",
        start.clock.ms(start.clock.now()),
        watch.value()
    );
    let first = next_tick(start, &mut location, &mut watch, wait);
    let mut last = first;
    for _ in 0..TICKS {
        last = next_tick(start, &mut location, &mut watch, wait);
    }

    let clock = &start.clock;
    say!(
        "{TICKS} ticks took {} ms, seen in steps of {} ms",
        whole_ms(clock.between(first.seen, last.seen)),
        whole_ms(STEP)
    );
    // Each tick came between two readings.
    let shortest = clock.between(first.seen, last.unseen);
    let longest = clock.between(first.unseen, last.seen);
    let wanted = Duration::from_secs(TICKS.into());
    check!(
        shortest <= wanted + TOLERANCE && wanted <= longest + TOLERANCE,
        "{TICKS} ticks took {} to {} ms",
        whole_ms(shortest),
        whole_ms(longest)
    );

    location.write(WRITTEN);
    let read_back = location.read();
    say!("wrote {WRITTEN}, read back {read_back}");
    check!(
        is_written_or_next(read_back, WRITTEN),
        "read back {read_back} after writing {WRITTEN}"
    );
    let mut watch = TickWatch::from_value(read_back, &start.clock);
    while watch.value() != WRITTEN + 2 {
        next_tick(start, &mut location, &mut watch, wait);
    }
    Ok(())
}

/// Polls until the counter advances, by one.
fn next_tick(
    start: &Start,
    location: &mut TraceLocation,
    watch: &mut TickWatch,
    wait: Wait,
) -> Tick {
    let tick = watch.wait(location, &start.clock, STEP, wait);
    say!("{} ms: counter {}", start.clock.ms(tick.seen), tick.value);
    check!(tick.advance == 1, "advanced by {} at once", tick.advance);
    tick
}
