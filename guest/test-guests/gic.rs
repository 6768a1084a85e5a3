//! Holds a GICv2 against its manual, register by register and interrupt by interrupt.
//!
//! Runs in a VM and on a bare machine that has one, as QEMU's virt board does, so that the same is found right of
//! both; what holds of one only, or what the manual leaves open, is not checked. The interrupts are made by
//! software, by the virtual timer, and by a PL031, if there is one.
//!
//! Keys: `rtc=` address of a PL031 whose line is INTID 34; `interface=hardware` leaves out what holds only where
//! an interrupt stays in the distributor until it is acknowledged: list registers hold it from before;
//! `aliased=no` leaves out the registers that are group 1's own (GICC_AIAR, AEOIR, AHPPIR), which QEMU lacks.
//!
//! Arm IHI 0048B.

#![cfg_attr(target_os = "none", no_std, no_main)]

#[path = "gic/lines.rs"]
mod lines;
#[path = "gic/preemption.rs"]
mod preemption;
#[path = "gic/registers.rs"]
mod registers;
#[path = "gic/states.rs"]
mod states;

use guest::gic::{self, gicc, gicd};
use guest::{Outcome, Start, say};

guest::program!(run);

fn run(start: &Start) -> Outcome {
    let is_modelled = start.cmdline.value("interface") != Some("hardware");
    let rtc = match start.cmdline.value("rtc") {
        Some(_) => Some(start.trace_location("rtc")?),
        None => None,
    };
    let clock = &start.clock;
    let has_aliases = start.cmdline.value("aliased") != Some("no");
    let bits = registers::check(is_modelled, has_aliases);
    say!("each register reads and writes as it should");
    ready();
    states::check_software(is_modelled);
    states::check_sgis();
    states::check_end_modes();
    states::check_groups(is_modelled, has_aliases);
    say!("interrupts go from pending to active to inactive");
    ready();
    preemption::check_order(is_modelled);
    preemption::check_mask();
    preemption::check_binary_points(bits);
    preemption::check_nesting();
    say!("priorities, masks and preemption are as they should be");
    ready();
    lines::check_timer(clock);
    if let Some(rtc) = rtc {
        lines::check_alarm(rtc, clock);
    }
    say!("lines interrupt as long as they are high");
    Ok(())
}

/// Nothing pending or active; all disabled, in group 0 and of one priority; group 0 signalled as IRQ.
pub(crate) fn ready() {
    gic::clear();
    for word in (0..128).step_by(4) {
        gic::set_distributor(gicd::IPRIORITYR + word, 0x8080_8080);
    }
    gic::set_cpu(gicc::ABPR, 0);
    gic::set_distributor(gicd::CTLR, 3);
    gic::set_cpu(gicc::CTLR, 1);
}
