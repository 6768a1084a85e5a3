//! Proves that a guest which only idles comes back from WFI, and that the counter went on.
//!
//! Keys: `trace=` address of the location; `wfi_ms=` how long (default 2000).

#![cfg_attr(target_os = "none", no_std, no_main)]

use core::time::Duration;

use guest::{Outcome, Start, check, clock::whole_ms, cpu, say, ticks::is_possible_advance};

guest::program!(run);

fn run(start: &Start) -> Outcome {
    let mut location = start.trace_location("trace")?;
    let time = Duration::from_millis(start.cmdline.optional_number("wfi_ms")?.unwrap_or(2000));

    let clock = &start.clock;
    let before = location.read();
    let began = clock.now();
    let mut completed = 0_u64;
    while clock.since(began) < time {
        cpu::wait_for_interrupt();
        completed += 1;
    }
    let after = location.read();
    let took = clock.since(began);
    say!(
        "{completed} WFIs in {} ms, counter from {before} to {after}",
        whole_ms(took)
    );
    let advance = after.wrapping_sub(before);
    check!(
        advance != 0 && is_possible_advance(advance, took),
        "advanced by {advance} in {} ms",
        whole_ms(took)
    );
    Ok(())
}
