//! The guest's GICv2: its registers by name, and what a program does first.
//!
//! For the programs, which know that one is there. Arm IHI 0048B, tables 4-1 and 4-2.

use crate::driver::TraceLocation;

/// Where QEMU's virt board has the distributor, and so have our VMs.
const DISTRIBUTOR: u64 = 0x0800_0000;
/// Where it has the CPU interface.
const CPU_INTERFACE: u64 = 0x0801_0000;

/// The virtual timer's interrupt.
pub const VIRTUAL_TIMER: u32 = 27;
/// What GICC_IAR says if there is none.
pub const SPURIOUS: u32 = 1023;

/// Offsets of the distributor's registers.
#[allow(missing_docs, reason = "they are the specification's names")]
pub mod gicd {
    pub const CTLR: u64 = 0x000;
    pub const TYPER: u64 = 0x004;
    pub const IGROUPR: u64 = 0x080;
    pub const ISENABLER: u64 = 0x100;
    pub const ICENABLER: u64 = 0x180;
    pub const ISPENDR: u64 = 0x200;
    pub const ICPENDR: u64 = 0x280;
    pub const ISACTIVER: u64 = 0x300;
    pub const ICACTIVER: u64 = 0x380;
    pub const IPRIORITYR: u64 = 0x400;
    pub const ITARGETSR: u64 = 0x800;
    pub const ICFGR: u64 = 0xc00;
    pub const SGIR: u64 = 0xf00;
    pub const CPENDSGIR: u64 = 0xf10;
    pub const SPENDSGIR: u64 = 0xf20;
    pub const ICPIDR2: u64 = 0xfe8;
}

/// Offsets of the CPU interface's registers.
#[allow(missing_docs, reason = "they are the specification's names")]
pub mod gicc {
    pub const CTLR: u64 = 0x00;
    pub const PMR: u64 = 0x04;
    pub const BPR: u64 = 0x08;
    pub const IAR: u64 = 0x0c;
    pub const EOIR: u64 = 0x10;
    pub const RPR: u64 = 0x14;
    pub const HPPIR: u64 = 0x18;
    pub const ABPR: u64 = 0x1c;
    pub const AIAR: u64 = 0x20;
    pub const AEOIR: u64 = 0x24;
    pub const AHPPIR: u64 = 0x28;
    pub const APR: u64 = 0xd0;
    pub const NSAPR: u64 = 0xe0;
    pub const IIDR: u64 = 0xfc;
    pub const DIR: u64 = 0x1000;
}

/// A word of either half.
fn word(address: u64) -> TraceLocation {
    TraceLocation::anywhere(address).expect("a GIC's register is a word outside the image")
}

/// Reads a register of the distributor.
pub fn distributor(offset: u64) -> u32 {
    word(DISTRIBUTOR + offset).read()
}

/// Writes a register of the distributor.
pub fn set_distributor(offset: u64, value: u32) {
    word(DISTRIBUTOR + offset).write(value);
}

/// Reads a byte of the distributor.
pub fn distributor_byte(offset: u64) -> u8 {
    word(DISTRIBUTOR + (offset & !3)).read_lane(offset & 3)
}

/// Writes a byte of the distributor.
pub fn set_distributor_byte(offset: u64, value: u8) {
    word(DISTRIBUTOR + (offset & !3)).write_lane(offset & 3, value);
}

/// Reads a register of the CPU interface.
pub fn cpu(offset: u64) -> u32 {
    word(CPU_INTERFACE + offset).read()
}

/// Writes a register of the CPU interface.
pub fn set_cpu(offset: u64, value: u32) {
    word(CPU_INTERFACE + offset).write(value);
}

/// The bit of an interrupt in a register that has one for each.
pub fn bit(register: u64, intid: u32) -> bool {
    distributor(register + u64::from(intid) / 32 * 4) >> (intid % 32) & 1 != 0
}

/// Writes a one to the bit of an interrupt, and zeroes beside it.
pub fn set_bit(register: u64, intid: u32) {
    let offset = register + u64::from(intid) / 32 * 4;
    set_distributor(offset, 1 << (intid % 32));
}

/// Sets an interrupt's priority.
pub fn set_priority(intid: u32, priority: u8) {
    set_distributor_byte(gicd::IPRIORITYR + u64::from(intid), priority);
}

/// Enables this interrupt, in group 0, and signals it as IRQ. Nothing is masked.
pub fn enable(intid: u32) {
    set_priority(intid, 0x80);
    set_bit(gicd::ISENABLER, intid);
    set_distributor(gicd::CTLR, 1);
    set_cpu(gicc::PMR, 0xff);
    set_cpu(gicc::CTLR, 1);
}

/// Off, and as it was, but for priorities: nothing enabled, pending or active, all in group 0, by level. Nothing is
/// masked. What has been given to the CPU already may still come.
pub fn clear() {
    set_cpu(gicc::CTLR, 0);
    set_distributor(gicd::CTLR, 0);
    for word in (0..16).step_by(4) {
        for clear in [gicd::ICENABLER, gicd::ICPENDR, gicd::ICACTIVER] {
            set_distributor(clear + word, u32::MAX);
        }
        set_distributor(gicd::IGROUPR + word, 0);
        set_distributor(gicd::CPENDSGIR + word, 0x0101_0101);
    }
    for word in (8..32).step_by(4) {
        set_distributor(gicd::ICFGR + word, 0);
    }
    for register in [gicc::APR, gicc::NSAPR, gicc::BPR] {
        set_cpu(register, 0);
    }
    set_cpu(gicc::PMR, 0xff);
}
