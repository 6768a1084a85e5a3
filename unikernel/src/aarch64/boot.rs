//! From the first Rust instruction to a machine that can run guests.
//!
//! Called by `_start`: EL2, interrupts masked, MMU off, .bss zeroed, on the host's
//! stack. The invariant is an order: nothing takes a lock (an atomic read-modify-write, not
//! dependable with the MMU off) before the MMU is on, and what cannot go on says so on the
//! UART, even if there is no device tree to find that by.

use super::Vcpu;
use super::device_tree;
use super::memory_map::LAST_RESORT_UART;
use super::{clock, gic, hypervisor, paging, power, uart};
use crate::places::Guests;
use crate::report;
use aarch64_cpu::registers::{CurrentEL, Readable};
use core::ops::Range;
use heapless::Vec;

/// What there is to run guests on.
#[derive(Debug)]
pub struct Machine {
    /// What of its RAM is theirs.
    pub guests: Guests,
}

/// Brings the machine up and hands it to `main`; returns the vCPU that runs first, whose VM is in the
/// CPU.
pub extern "C" fn boot() -> &'static mut Vcpu {
    // SAFETY: QEMU put the tree at the start of RAM and nothing has written there since.
    let board = unsafe { device_tree::read() };
    let (uart, guests) = match &board {
        Ok(board) => (board.uart.clone(), Guests::within(&board.ram)),
        Err(_) => (LAST_RESORT_UART, Guests::default()),
    };
    let mut devices: Vec<Range<usize>, 3> = Vec::new();
    let gic = board
        .iter()
        .flat_map(|b| [b.gic_distributor.clone(), b.gic_redistributor.clone()]);
    devices.extend(core::iter::once(uart.clone()).chain(gic));
    // SAFETY: first and only call, MMU off; the ranges come from the device tree, or are the
    // virt board's UART when there is no tree.
    unsafe { paging::enable(&devices, &guests) };
    report::begin();
    // SAFETY: mapped above as a device; this is its only user.
    unsafe { uart::init(uart.start) };

    let board = board.unwrap_or_else(|error| power::off_because(error));
    if guests.ram.is_empty() {
        power::off_because(format_args!(
            "no RAM for guests: the machine's ends at {:#x} (QEMU's -m 18M is enough for 2 MiB)",
            board.ram.end
        ));
    }
    // SAFETY: first and only call; `board` is this machine's, mapped above.
    unsafe { gic::init(&board) }.unwrap_or_else(|error| power::off_because(error));
    hypervisor::configure();
    clock::start_wakeups();
    crate::main(Machine { guests })
}

/// Where `_start` goes when it is not at EL2: no vectors, no MMU, only a complaint.
pub extern "C" fn wrong_exception_level() -> ! {
    report::begin();
    // SAFETY: MMU off; the virt board's UART, of which this is the only user.
    unsafe { uart::init(LAST_RESORT_UART.start) };
    power::off_because(format_args!(
        "started at EL{}, but a hypervisor needs EL2: QEMU's -machine virt,virtualization=on",
        CurrentEL.read(CurrentEL::EL)
    ))
}
