//! Sets a watchpoint at an address that is another program's, and waits for what becomes of it.
//!
//! Keys: `trace=` address of the location; `watch=` a virtual address, of whoever runs at EL0.

#![cfg_attr(target_os = "none", no_std, no_main)]

use core::time::Duration;

use guest::{Outcome, Start, clock::Wait, debug_registers, say};

guest::program!(run);

fn run(start: &Start) -> Outcome {
    let mut location = start.trace_location("trace")?;
    let address = start.cmdline.number("watch")?;
    let clock = &start.clock;
    let pause = |location: &mut guest::driver::TraceLocation| {
        for _ in 0..10 {
            location.read();
            let step = Duration::from_millis(100);
            clock.wait_until(clock.after(clock.now(), step), Wait::Busy);
        }
    };
    pause(&mut location);
    let allowed = debug_registers::watch_at_el0(address);
    say!("{allowed} of 5 debug registers let themselves be written");
    pause(&mut location);
    Ok(())
}
