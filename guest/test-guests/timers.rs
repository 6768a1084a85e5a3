//! Proves that no timer or interrupt register which a guest can name reaches what the host
//! ticks from: all of them get hostile values, again and again, and the ticks stay on whole
//! seconds.
//!
//! Keys: `trace=` address of the location; `seconds=` how long (default 3); `wfi=no` leaves
//! out the WFI after each tick.

#![cfg_attr(target_os = "none", no_std, no_main)]

use guest::{
    Outcome, Start, check, cpu,
    exceptions::attempt,
    say,
    ticks::{CLOSELY, TickWatch, check_on_second},
    timer_registers,
};

guest::program!(run);

fn run(start: &Start) -> Outcome {
    let mut location = start.trace_location("trace")?;
    let seconds = start.cmdline.optional_number("seconds")?.unwrap_or(3);
    let does_wfi = start.cmdline.value("wfi") != Some("no");
    let clock = &start.clock;

    // Off, everything on, enabled and firing at once, enabled and masked; the far ends of time.
    let hostile_values = [0, u64::MAX, 1, 3, 1 << 63, 0xffff_ffff];

    let mut watch = TickWatch::start(&mut location, clock);
    let first = watch.wait_closely(&mut location, clock);
    let (mut ticks, mut rounds, mut accesses, mut refused) = (0, 0_usize, 0_u64, 0_u64);
    let mut looked = first.seen;
    while ticks < seconds {
        let value = hostile_values[rounds % hostile_values.len()];
        rounds += 1;
        for register in timer_registers::ALL.iter().copied().flatten() {
            let write = attempt(|| (register.write)(value));
            let read = attempt(register.read);
            accesses += 2;
            refused += u64::from(write.is_err()) + u64::from(read.is_err());
            if rounds == 1 && (write.is_ok() || read.is_ok()) {
                say!(
                    "{}: write {}, read {}",
                    register.name,
                    verdict(write.is_ok()),
                    verdict(read.is_ok())
                );
            }

            if clock.since(looked) < CLOSELY {
                continue;
            }
            looked = clock.now();
            let Some(tick) = watch.poll(&mut location, clock) else {
                continue;
            };
            ticks += 1;
            check!(tick.advance == 1, "advanced by {} at once", tick.advance);
            let off_us = check_on_second(clock, first, tick);
            say!("counter {}, {off_us} us off a whole second", tick.value);
            if does_wfi {
                // Here it cannot make the guest see the next tick late.
                cpu::wait_for_interrupt();
            }
        }
    }
    say!("{accesses} accesses in {rounds} rounds, {refused} refused");
    Ok(())
}

fn verdict(is_allowed: bool) -> &'static str {
    if is_allowed { "allowed" } else { "refused" }
}
