//! Proves that ticks come on whole seconds: each transition that the guest sees is a whole
//! number of seconds after the first, within 50 ms.
//!
//! Keys: `trace=` address of the location; `ticks=` how many after the first (default 5);
//! `poll_us=` time between two readings (default 0, back to back).

#![cfg_attr(target_os = "none", no_std, no_main)]

use core::time::Duration;

use guest::{
    Outcome, Start, check,
    clock::{Wait, whole_ms},
    say,
    ticks::{TickWatch, check_on_second},
};

guest::program!(run);

fn run(start: &Start) -> Outcome {
    let mut location = start.trace_location("trace")?;
    let ticks = start.cmdline.optional_number("ticks")?.unwrap_or(5);
    let step = Duration::from_micros(start.cmdline.optional_number("poll_us")?.unwrap_or(0));

    let clock = &start.clock;
    let mut watch = TickWatch::start(&mut location, clock);
    let first = watch.wait(&mut location, clock, step, Wait::Busy);
    say!("0 ms: counter {}", first.value);
    for _ in 0..ticks {
        let tick = watch.wait(&mut location, clock, step, Wait::Busy);
        let time = clock.between(first.seen, tick.seen);
        say!("{} ms: counter {}", whole_ms(time), tick.value);
        check!(tick.advance == 1, "advanced by {} at once", tick.advance);
        check_on_second(clock, first, tick);
    }
    Ok(())
}
