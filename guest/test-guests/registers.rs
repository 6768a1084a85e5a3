//! Proves that a VM keeps its registers while others run: FP and vector registers and those
//! of a kernel are what they were, however often another VM had the CPU.
//!
//! Keys: `trace=` address of a location, which is read between the rounds; `seed=` what makes
//! this VM's pattern its own; `rounds=`; `hold_us=` how long each holds it.

#![cfg_attr(target_os = "none", no_std, no_main)]

use core::time::Duration;

use guest::{Outcome, Start, check, register_file::RegisterFile, say};

guest::program!(run);

fn run(start: &Start) -> Outcome {
    let mut location = start.trace_location("trace")?;
    let seed = start.cmdline.number("seed")?;
    let rounds = start.cmdline.number("rounds")?;
    let hold = Duration::from_micros(start.cmdline.number("hold_us")?);

    for round in 0..rounds {
        // Truncated: only a seed of 32 bits makes sense.
        let wanted = RegisterFile::pattern((seed + (round << 8)) as u32);
        let until = start.clock.after(start.clock.now(), hold);
        let found = wanted.hold(until.ticks());
        for (number, (wanted, found)) in wanted.vectors.iter().zip(&found.vectors).enumerate() {
            check!(
                wanted == found,
                "round {round}: half {number} of the vector registers is {found:#x}, not {wanted:#x}"
            );
        }
        for (number, (wanted, found)) in wanted.system.iter().zip(&found.system).enumerate() {
            check!(
                wanted == found,
                "round {round}: system register {number} is {found:#x}, not {wanted:#x}"
            );
        }
        location.read();
    }
    say!("{rounds} rounds kept their registers");
    Ok(())
}
