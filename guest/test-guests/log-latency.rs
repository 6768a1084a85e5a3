//! Shows how soon an access is in the log: 20 ms after each access the guest prints a line of
//! its own. Whoever reads the console finds the access before it.
//!
//! The guest makes 40 accesses a second and never idles.
//!
//! Keys: `trace=` address of the location; `n=` accesses.

#![cfg_attr(target_os = "none", no_std, no_main)]

use core::time::Duration;

use guest::{Outcome, Start, clock::Wait, say};

guest::program!(run);

/// By when an access is to be in the log.
const LIMIT: Duration = Duration::from_millis(20);
/// Time between two accesses.
const STEP: Duration = Duration::from_millis(25);

fn run(start: &Start) -> Outcome {
    let mut location = start.trace_location("trace")?;
    let n = start.cmdline.number("n")?;
    let clock = &start.clock;
    let mut next = clock.now();
    for number in 1..=n {
        clock.wait_until(next, Wait::Busy);
        location.read();
        clock.wait_until(clock.after(clock.now(), LIMIT), Wait::Busy);
        say!("access {number} was made 20 ms ago");
        next = clock.after(next, STEP);
    }
    Ok(())
}
