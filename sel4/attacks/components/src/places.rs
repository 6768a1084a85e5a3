//! Where the regions are in each domain, as `tools/system-description` maps them; a test of the
//! runner's compares (`tests/attacks.rs`).
//!
//! What a domain has not been given has no address there, so any will do where nothing is.

use attacks::{Place, Region};

/// Which domain this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Domain {
    /// That of the attacker's VMM.
    Vmm,
    /// `pd-trace`.
    Trace,
    /// `pd-console`.
    Console,
}

/// From one VM's regions to the next one's, where a domain serves all.
const NEXT_VM: usize = 0x100_0000;
/// A part of the address space where no description maps anything.
const NOWHERE: usize = 0x3000_0000;
/// Where the kernel is, on both architectures: the upper half.
const KERNEL: usize = 0xffff_ff80_0000_0000;

impl Domain {
    /// Where something lies, or could.
    pub fn address(self, place: Place) -> usize {
        use Region::*;
        let of_vm_0 = match (self, place.region) {
            (_, Null) => return 0,
            (_, Kernel) => return KERNEL,
            (_, Config) => 0x1000_0000,
            (Self::Vmm | Self::Trace, AccessRing) => 0x1001_0000,
            (Self::Vmm | Self::Trace, AccessReader) => 0x1003_0000,
            (Self::Vmm | Self::Trace, StatePage) => 0x1003_1000,
            (Self::Vmm, ConsoleRing) | (Self::Console, ConsoleRing) => 0x1004_0000,
            (Self::Vmm, ConsoleReader) | (Self::Console, ConsoleReader) => 0x1005_0000,
            (Self::Vmm, LifePage) => 0x1006_0000,
            (Self::Vmm, GuestImage) => 0x2000_0000,
            (Self::Vmm, GuestRam) => 0x10_4000_0000,
            (Self::Trace, LogRing) => 0x1004_0000,
            (Self::Trace, LogReader) => 0x1006_0000,
            (Self::Trace, LifePage) => 0x1007_0000,
            (Self::Trace, TraceRing) => 0x1010_0000,
            (Self::Console, LogRing) => 0x1001_0000,
            (Self::Console, LogReader) => 0x1003_0000,
            (Self::Console, MonitorRing) => 0x1006_0000,
            (Self::Console, LifePage) => 0x1008_0000,
            (_, region) => NOWHERE + ((region as usize) << 16),
        };
        match (self, place.region, place.vm) {
            // Right behind its own.
            (Self::Vmm, GuestRam, 1) => of_vm_0 + 0x20_0000,
            (_, _, vm) => of_vm_0 + usize::from(vm) * NEXT_VM,
        }
    }
}
