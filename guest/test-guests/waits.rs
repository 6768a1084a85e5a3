//! Waits for ever for interrupts that it would take, and there are none: the host goes on, and its log says that
//! this guest does nothing else.
//!
//! Keys: `trace=` address of the location.

#![cfg_attr(target_os = "none", no_std, no_main)]

use guest::{Outcome, Start, cpu, say};

guest::program!(run);

fn run(start: &Start) -> Outcome {
    let mut location = start.trace_location("trace")?;
    say!("waits, with the counter at {}", location.read());
    cpu::idle()
}
