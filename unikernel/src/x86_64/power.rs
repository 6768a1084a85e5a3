//! The power switch.
//!
//! Called when the run is over, and as the last thing of a panic. The invariant: it does not
//! return, whatever the chipset does, and who failed for a reason that is not our bug (the
//! machine, the guest's file) leaves a verdict, in the report page and as a line.
//!
//! Intel ICH9 datasheet (316972) 13.1.13 (PMBASE), 13.8.3.3 (PM1_CNT). QEMU's machine q35 has
//! this chipset, and its state S5 is sleep type 0 (its \_S5 object).

use crate::{print_line, report};
use core::fmt::Display;
use oversight::Verdict;
use x86_64::instructions::port::{PortReadOnly, PortWriteOnly};

/// PMBASE of the LPC bridge, bus 0, device 31, function 0, for PCI's address port.
const PMBASE: u32 = 1 << 31 | 31 << 11 | 0x40;
const PM1_CNT: u16 = 4;
/// SLP_EN, with SLP_TYP 0.
const SLEEP_S5: u16 = 1 << 13;

/// Switches the machine off; QEMU exits with status 0.
pub fn off() -> ! {
    let mut address = PortWriteOnly::<u32>::new(0xcf8);
    let mut data = PortReadOnly::<u32>::new(0xcfc);
    // SAFETY: selects a register of PCI's configuration space, which nobody else uses.
    unsafe { address.write(PMBASE) };
    // SAFETY: reading that register changes nothing.
    let base = unsafe { data.read() } as u16 & 0xff80;
    let mut control = PortWriteOnly::<u16>::new(base + PM1_CNT);
    // SAFETY: the end of this program is what is wanted.
    unsafe { control.write(SLEEP_S5) };
    loop {
        x86_64::instructions::interrupts::disable();
        x86_64::instructions::hlt();
    }
}

/// Says why this run cannot be, then switches off. For our own bugs there is `panic!`.
pub fn off_because(reason: impl Display) -> ! {
    report::verdict(Verdict::Failed);
    print_line!("verdict: failed: {reason}");
    off()
}
