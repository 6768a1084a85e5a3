//! From the first Rust instruction to a machine that can run guests.
//!
//! Called by `_start`: long mode, interrupts off, the first GiB mapped to itself,
//! .bss zeroed, on the host's stack. The invariant is an order: exceptions have a handler
//! before anything can go wrong, and what cannot go on says so on the serial port.

use super::Vcpu;
use super::{clock, descriptors, interrupts, paging, power, start_info, svm, uart};
use crate::places::Guests;
use crate::report;

/// What there is to run guests on.
#[derive(Debug)]
pub struct Machine {
    /// What of its RAM is theirs.
    pub guests: Guests,
}

/// Brings the machine up and hands it to `main`; returns the vCPU that runs first, whose VM is in the
/// CPU.
pub extern "C" fn boot(start_info: usize) -> &'static mut Vcpu {
    report::begin();
    // SAFETY: first call; a PC has COM1.
    unsafe { uart::init() };
    descriptors::load();
    // SAFETY: the boot loader's memory is mapped, and nobody has written there.
    let ram = unsafe { start_info::ram(start_info) };
    let ram = ram.unwrap_or_else(|error| power::off_because(error));
    let guests = Guests::within(&ram);
    // SAFETY: first and only call; the ranges come from the boot loader and the CPU.
    unsafe { paging::enable(interrupts::apic_page(), &guests) };
    if guests.ram.is_empty() {
        power::off_because(format_args!(
            "no RAM for guests: the machine's ends at {:#x} (QEMU's -m 20M is enough for 2 MiB)",
            ram.end
        ));
    }
    // SAFETY: first and only call; mapped above as a device.
    unsafe { interrupts::init() };
    // SAFETY: first and only call, after `init`.
    let wakeup_period = unsafe { clock::calibrate() };
    svm::init().unwrap_or_else(|error| power::off_because(error));
    interrupts::start_wakeups(wakeup_period);
    crate::main(Machine { guests })
}
