//! Stops its CPU for good, with interrupts off: the VM ends, and the log says where.
//!
//! Keys: `trace=` address of the location.

#![cfg_attr(target_os = "none", no_std, no_main)]

use guest::{Outcome, Start, cpu, say};

guest::program!(run);

fn run(start: &Start) -> Outcome {
    let mut location = start.trace_location("trace")?;
    say!("halts, with the counter at {}", location.read());
    cpu::halt()
}
