//! The guest of a VM whose components have been taken over: it says when it is time for which
//! attack, and makes a few accesses in between.
//!
//! Before each attack it prints the attack's name, and writes the attack's place in the list to
//! its counter (`attacks::Doorbell`). What then happens to this guest does not matter.
//!
//! Keys: `trace=` address of the location; `attack=` names with commas between them;
//! `pause_ms=` the time that each attack gets; `lines=all`, on aarch64, lets every line of a device interrupt this
//! guest, and says which does: 34 may.

#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_arch = "aarch64")]
#[path = "attacker/lines.rs"]
mod lines;

use core::time::Duration;

use guest::{
    Outcome, Start,
    clock::{Clock, Wait},
    cmdline::CommandLineError,
    driver::TraceLocation,
    say,
};

guest::program!(run);

/// What the upper half of the counter says when it is time; the lower has the place.
const RINGS: u32 = 0xa77a_0000;
/// How often the guest accesses its location.
const STEP: Duration = Duration::from_millis(100);

fn run(start: &Start) -> Outcome {
    let mut location = start.trace_location("trace")?;
    let pause = Duration::from_millis(start.cmdline.number("pause_ms")?);
    let names = start.cmdline.value("attack");
    let names = names.ok_or(CommandLineError::Missing { key: "attack" })?;
    let clock = &start.clock;
    #[cfg(target_arch = "aarch64")]
    if start.cmdline.value("lines").is_some() {
        lines::let_in();
    }
    // The witness times its ticks from the first one on.
    while location.read() == 0 {
        clock.wait_until(clock.after(clock.now(), STEP), Wait::Busy);
    }
    rest(&mut location, 3 * STEP, clock);
    for (place, name) in (0..).zip(names.split(',')) {
        say!("attack {name}");
        // Time for the line to be printed, whatever comes then.
        rest(&mut location, 2 * STEP, clock);
        location.write(RINGS | place << 8);
        rest(&mut location, pause, clock);
    }
    Ok(())
}

/// Reads the location every now and then. Between two attacks it has what this guest wrote there,
/// and a few seconds more, or a few seconds after a reset, which a VMM may tell of: it can give
/// its guest no other value.
fn rest(location: &mut TraceLocation, time: Duration, clock: &Clock) {
    let until = clock.after(clock.now(), time);
    let mut before = location.read();
    while clock.now() < until {
        clock.wait_until(clock.after(clock.now(), STEP), Wait::Busy);
        let value = location.read();
        #[cfg(target_arch = "aarch64")]
        lines::tell();
        if value > 3 && value.wrapping_sub(before) > 3 {
            say!("somebody changed the counter: {before:#x}, then {value:#x}");
        }
        before = value;
    }
}
