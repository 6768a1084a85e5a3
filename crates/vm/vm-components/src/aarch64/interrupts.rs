//! An aarch64 VM's interrupts: a GICv2 where QEMU's virt board has it, and the virtual timer.
//!
//! Used by `vmm::interrupts`. There are two ways to the vCPU: a platform shows it the modelled CPU interface's
//! output, or it has list registers, and the guest the CPU's own interface.
//!
//! Invariant: the vCPU's inputs, or its list registers, are as the model has them when an event is over.
//!
//! Specification: Arm IHI 0048B; Arm ARM (DDI 0487) D11.2 (the timer).

use super::{A64, A64Machine};
use crate::vmm::interrupts::InterruptController;
use core::ops::RangeInclusive;
use gic_v2::{CPU_INTERFACE_LEN_BYTES, DISTRIBUTOR_LEN_BYTES, Gic, INTIDS, VIRTUAL_TIMER, Width};
use guest_access::GuestPhysAddr;

/// Where the distributor is.
pub const GIC_DISTRIBUTOR: u64 = 0x0800_0000;
/// Where the CPU interface is.
pub const GIC_CPU_INTERFACE: u64 = 0x0801_0000;

/// Both, with their names and lengths in bytes.
pub const GIC_PLACES: [(&str, u64, u64); 2] = [
    ("distributor", GIC_DISTRIBUTOR, DISTRIBUTOR_LEN_BYTES),
    ("CPU interface", GIC_CPU_INTERFACE, CPU_INTERFACE_LEN_BYTES),
];
/// The INTIDs of lines for devices: those of SPIs.
pub const GIC_LINES: RangeInclusive<u64> = 32..=INTIDS as u64 - 1;

/// A register of the GIC, by its offset.
enum Half {
    Distributor(u64),
    CpuInterface(u64),
}

impl Half {
    const fn at(address: GuestPhysAddr) -> Option<Self> {
        let distributor = address.0.wrapping_sub(GIC_DISTRIBUTOR);
        let cpu_interface = address.0.wrapping_sub(GIC_CPU_INTERFACE);
        if distributor < DISTRIBUTOR_LEN_BYTES {
            Some(Self::Distributor(distributor))
        } else if cpu_interface < CPU_INTERFACE_LEN_BYTES {
            Some(Self::CpuInterface(cpu_interface))
        } else {
            None
        }
    }
}

impl InterruptController for Gic {
    const RESET: Self = Self::new();

    fn is_at(address: GuestPhysAddr) -> bool {
        Half::at(address).is_some()
    }

    fn read(&mut self, address: GuestPhysAddr, width_bytes: u64) -> Option<u32> {
        let width = Width::of_access(address.0, width_bytes)?;
        Some(match Half::at(address)? {
            Half::Distributor(offset) => self.read_distributor(offset, width),
            Half::CpuInterface(offset) => self.read_cpu_interface(offset, width),
        })
    }

    fn write(&mut self, address: GuestPhysAddr, width_bytes: u64, value: u32) -> Option<()> {
        let width = Width::of_access(address.0, width_bytes)?;
        match Half::at(address)? {
            Half::Distributor(offset) => self.write_distributor(offset, width, value),
            Half::CpuInterface(offset) => self.write_cpu_interface(offset, width, value),
        }
        Some(())
    }

    fn ended_by(&self, address: GuestPhysAddr, value: u32) -> Option<u8> {
        match Half::at(address)? {
            Half::CpuInterface(offset) => Self::ended_by(self, offset, value),
            Half::Distributor(_) => None,
        }
    }

    fn handed(&self, slot: usize) -> Option<u8> {
        Self::handed(self, slot)
    }

    fn ended(&mut self, slot: usize) {
        Self::ended(self, slot);
    }

    fn set_level(&mut self, line: u8, is_high: bool) {
        Self::set_level(self, line, is_high);
    }

    fn level(&self, line: u8) -> bool {
        Self::level(self, line)
    }

    fn is_any_enabled(&self) -> bool {
        Self::is_any_enabled(self)
    }
}

impl A64 {
    pub(super) fn sample(gic: &mut Gic, machine: &mut impl A64Machine) {
        let is_due = machine.sample_timer(gic.level(VIRTUAL_TIMER));
        gic.set_level(VIRTUAL_TIMER, is_due);
    }

    pub(super) fn give(gic: &mut Gic, machine: &mut impl A64Machine) -> bool {
        match machine.list_registers() {
            0 => {
                let output = gic.output();
                machine.signal(output);
                output.is_asserted()
            }
            count => {
                let mut any = false;
                while let Some(handed) = gic.hand_out(count) {
                    machine.fill_list_register(handed);
                    any = true;
                }
                any
            }
        }
    }

    /// That an interrupt in a list register has ended may have been told a VMM that died over it, and nobody can look
    /// into one. So each is filled again: where it is in use still, nothing changes; where it is not, the guest is
    /// interrupted once for nothing, and the end of that is told.
    pub(super) fn give_again(gic: &Gic, machine: &mut impl A64Machine) {
        for handed in gic.all_handed() {
            machine.fill_list_register(handed);
        }
    }

    pub(super) fn next_deadline(gic: &Gic, machine: &mut impl A64Machine) -> Option<u64> {
        match gic.is_enabled(VIRTUAL_TIMER) {
            true => machine.timer_deadline(),
            false => None,
        }
    }
}
