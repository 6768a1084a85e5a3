//! Proves that a guest which masks interrupts and never leaves its vCPU stops neither the
//! counter nor its phase.
//!
//! Keys: `trace=` address of the location; `spin_ms=` how long (default 2500).

#![cfg_attr(target_os = "none", no_std, no_main)]

use core::time::Duration;

use guest::{
    Outcome, Start, check,
    clock::Wait,
    cpu, say,
    ticks::{TickWatch, check_on_second, is_advance_since_tick},
};

guest::program!(run);

fn run(start: &Start) -> Outcome {
    let mut location = start.trace_location("trace")?;
    let spin_ms = start.cmdline.optional_number("spin_ms")?.unwrap_or(2500);

    let clock = &start.clock;
    let mut watch = TickWatch::start(&mut location, clock);
    let first = watch.wait_closely(&mut location, clock);
    say!("tick, counter {}", first.value);

    cpu::mask_interrupts();
    let until = clock.after(first.seen, Duration::from_millis(spin_ms));
    clock.wait_until(until, Wait::Busy);

    let value = location.read();
    let time = clock.since(first.seen);
    let advance = value.wrapping_sub(first.value);
    say!("{} ms later counter {value}", time.as_millis());
    check!(
        is_advance_since_tick(advance, time),
        "advanced by {advance} in {} ms",
        time.as_millis()
    );

    let mut watch = TickWatch::from_value(value, clock);
    let next = watch.wait_closely(&mut location, clock);
    check!(next.advance == 1, "advanced by {} at once", next.advance);
    let off_us = check_on_second(clock, first, next);
    say!(
        "next tick, counter {}, {off_us} us off a whole second",
        next.value
    );
    Ok(())
}
