//! What each register reads, and which of its bits can be written. Arm IHI 0048B 4.3, 4.4.

use guest::check;
use guest::gic::{self, gicc, gicd};

/// What the CPU interface has of a priority.
#[derive(Clone, Copy)]
pub(crate) struct Bits {
    /// The least value of GICC_BPR: one bit of a priority above its preempts.
    pub least_binary_point: u32,
}

/// INTIDs that every GIC of these has.
const WORDS: u64 = 4;

pub(crate) fn check(is_modelled: bool, has_aliases: bool) -> Bits {
    identification();
    beginning(has_aliases);
    distributor();
    priorities();
    configuration();
    sgis_pending(is_modelled);
    cpu_interface(is_modelled)
}

fn identification() {
    let features: u64;
    // SAFETY: reading an ID register changes nothing.
    unsafe {
        core::arch::asm!("mrs {}, id_aa64pfr0_el1", out(reg) features, options(nomem, nostack))
    };
    check!(
        features >> 24 & 0xf == 0,
        "the CPU says that it has the system registers of a GICv3"
    );
    let kind = gic::distributor(gicd::TYPER);
    check!(
        kind & 0x1f >= 3,
        "{} times 32 interrupts",
        (kind & 0x1f) + 1
    );
    check!(kind >> 5 & 7 == 0, "there are {} CPUs", (kind >> 5 & 7) + 1);
    check!(kind & 1 << 10 == 0, "there are Security Extensions");
    let version = gic::distributor(gicd::ICPIDR2) >> 4 & 0xf;
    check!(version == 2, "the architecture's version is {version}");
    let cell = [0xff0, 0xff4, 0xff8, 0xffc].map(gic::distributor);
    check!(
        cell == [0x0d, 0xf0, 0x05, 0xb1],
        "the component's id is {cell:x?}"
    );
    let cpu = gic::cpu(gicc::IIDR);
    check!(cpu >> 16 & 0xf == 2, "the CPU interface's id is {cpu:#x}");
    // What can only be read stays as it is.
    for offset in [gicd::TYPER, gicd::ICPIDR2, 0xff0] {
        let before = gic::distributor(offset);
        gic::set_distributor(offset, !before);
        let after = gic::distributor(offset);
        check!(after == before, "{offset:#x} became {after:#x}");
    }
}

/// Out of reset.
fn beginning(has_aliases: bool) {
    for (offset, wanted) in [(gicd::CTLR, 0), (gicd::ICFGR, 0xaaaa_aaaa)] {
        let found = gic::distributor(offset);
        check!(
            found == wanted,
            "distributor {offset:#x} begins as {found:#x}"
        );
    }
    for word in 0..WORDS {
        for register in [gicd::IGROUPR, gicd::ISPENDR, gicd::ISACTIVER] {
            let found = gic::distributor(register + 4 * word);
            check!(found == 0, "distributor {register:#x} begins as {found:#x}");
        }
    }
    for (offset, wanted) in [
        (gicc::CTLR, 0),
        (gicc::PMR, 0),
        (gicc::IAR, 1023),
        (gicc::RPR, 0xff),
        (gicc::HPPIR, 1023),
        (gicc::AIAR, 1023),
        (gicc::AHPPIR, 1023),
    ] {
        if matches!(offset, gicc::AIAR | gicc::AHPPIR) && !has_aliases {
            continue;
        }
        let found = gic::cpu(offset);
        check!(
            found == wanted,
            "CPU interface {offset:#x} begins as {found:#x}"
        );
    }
}

fn distributor() {
    for value in [u32::MAX, 0] {
        gic::set_distributor(gicd::CTLR, value);
        let found = gic::distributor(gicd::CTLR);
        check!(found == value & 3, "control is {found:#x} after {value:#x}");
    }
    for word in 0..WORDS {
        let offset = gicd::IGROUPR + 4 * word;
        for value in [u32::MAX, 0xa5a5_5a5a, 0] {
            gic::set_distributor(offset, value);
            let found = gic::distributor(offset);
            check!(found == value, "groups are {found:#x}, not {value:#x}");
        }
    }
    // One bit each to set and to clear; SGIs are enabled for good, and pending by other registers.
    for (set, clear, sgis) in [
        (gicd::ISENABLER, gicd::ICENABLER, 0xffff),
        (gicd::ISPENDR, gicd::ICPENDR, 0),
        (gicd::ISACTIVER, gicd::ICACTIVER, 0),
    ] {
        for word in 0..WORDS {
            let (set, clear) = (set + 4 * word, clear + 4 * word);
            let fixed = if word == 0 { sgis } else { 0 };
            let bits = if word == 0 { 0xffff_0000 } else { u32::MAX };
            gic::set_distributor(clear, u32::MAX);
            for (register, written, wanted) in [
                (set, 0x5050_5050, 0x5050_5050 & bits),
                (set, 0x0f0f_0f0f, 0x5f5f_5f5f & bits),
                (set, 0, 0x5f5f_5f5f & bits),
                (clear, 0x5555_5555 & bits, 0x0a0a_0a0a & bits),
                (clear, 0, 0x0a0a_0a0a & bits),
                (clear, u32::MAX, 0),
            ] {
                gic::set_distributor(register, written & bits);
                for register in [set, clear] {
                    let found = gic::distributor(register) & (bits | fixed);
                    check!(
                        found == wanted | fixed,
                        "{register:#x} is {found:#x}, not {wanted:#x}"
                    );
                }
            }
        }
    }
    // One CPU is nobody's target.
    for (offset, value) in [
        (gicd::ITARGETSR, 0xffff_ffff),
        (gicd::ITARGETSR + 36, 0x0101_0101),
    ] {
        gic::set_distributor(offset, value);
        let found = gic::distributor(offset);
        check!(found == 0, "targets are {found:#x}");
    }
}

/// The highest bits of a priority exist, at least four.
fn priorities() {
    gic::set_distributor_byte(gicd::IPRIORITYR, 0xff);
    let bits = gic::distributor_byte(gicd::IPRIORITYR);
    check!(
        bits >= 0xf0 && (!bits).wrapping_add(1).is_power_of_two(),
        "a priority has the bits {bits:#x}"
    );
    for intid in 0..128 {
        let offset = gicd::IPRIORITYR + intid;
        for value in [0xff, 0x50, 0] {
            gic::set_distributor_byte(offset, value);
            let found = gic::distributor_byte(offset);
            check!(found == value & bits, "priority {found:#x}, not {value:#x}");
        }
    }
    let offset = gicd::IPRIORITYR + 40;
    gic::set_distributor(offset, 0x8060_4020);
    for (byte, wanted) in (0..4).zip([0x20, 0x40, 0x60, 0x80]) {
        let found = gic::distributor_byte(offset + byte);
        check!(
            found == wanted,
            "byte {byte} of the priorities is {found:#x}"
        );
    }
    gic::set_distributor_byte(offset + 2, 0x10);
    let found = gic::distributor(offset);
    check!(found == 0x8010_4020, "the priorities are {found:#x}");
}

/// Bit 1 of two: edge-triggered. SGIs always are.
fn configuration() {
    for value in [0, u32::MAX] {
        gic::set_distributor(gicd::ICFGR, value);
        let found = gic::distributor(gicd::ICFGR);
        check!(found & 0xaaaa_aaaa == 0xaaaa_aaaa, "SGIs are {found:#x}");
    }
    for offset in (8..32).step_by(4).map(|at| gicd::ICFGR + at) {
        for value in [0xaaaa_aaaa, 0x2222_8888, 0] {
            gic::set_distributor(offset, value);
            let found = gic::distributor(offset) & 0xaaaa_aaaa;
            check!(found == value, "configured as {found:#x}, not {value:#x}");
        }
    }
}

/// A byte an SGI, of which bit 0 is this CPU as its source.
fn sgis_pending(is_modelled: bool) {
    if !is_modelled {
        return;
    }
    for (sgi, offset) in (0..16).zip(0..) {
        gic::set_distributor_byte(gicd::SPENDSGIR + offset, 1);
        for register in [gicd::SPENDSGIR, gicd::CPENDSGIR] {
            let found = gic::distributor(register + (offset & !3));
            let wanted = 1 << (8 * (offset & 3));
            check!(
                found == wanted,
                "{register:#x}: {found:#x}, not {wanted:#x}"
            );
        }
        check!(gic::bit(gicd::ISPENDR, sgi), "SGI {sgi} is not pending");
        gic::set_distributor(gicd::CPENDSGIR + (offset & !3), 0x0101_0101);
        check!(!gic::bit(gicd::ISPENDR, sgi), "SGI {sgi} is pending");
    }
}

fn cpu_interface(is_modelled: bool) -> Bits {
    // EnableGrp0 and 1, AckCtl, FIQEn, CBPR, EOImode.
    for value in [0x21f, 0x201, 0x00a, 0] {
        gic::set_cpu(gicc::CTLR, value);
        let found = gic::cpu(gicc::CTLR);
        check!(found == value, "control is {found:#x}, not {value:#x}");
    }
    for value in [0xf0, 0x50, 0] {
        gic::set_cpu(gicc::PMR, value);
        let found = gic::cpu(gicc::PMR);
        check!(found == value, "the mask is {found:#x}, not {value:#x}");
    }
    let mut least = [0; 2];
    for (register, least) in [gicc::BPR, gicc::ABPR].into_iter().zip(&mut least) {
        for value in [7, 4, u32::MAX] {
            gic::set_cpu(register, value);
            let found = gic::cpu(register);
            check!(found == value & 7, "{register:#x} is {found}, not {value}");
        }
        gic::set_cpu(register, 0);
        *least = gic::cpu(register);
    }
    let [least_binary_point, aliased] = least;
    // QEMU's virtual interface counts both from what its physical one has.
    let is_aliased = !is_modelled || aliased == least_binary_point + 1;
    check!(
        least_binary_point <= 3 && is_aliased,
        "the least binary points are {least:?}"
    );
    // A virtual interface has one for both groups (5.5.15).
    let registers = [gicc::APR, gicc::NSAPR];
    let count = if is_modelled { 2 } else { 1 };
    for register in registers.into_iter().take(count) {
        for value in [1 << 5, 0] {
            gic::set_cpu(register, value);
            let found = gic::cpu(register);
            check!(
                found == value,
                "{register:#x} is {found:#x}, not {value:#x}"
            );
            let running = if value == 0 {
                0xff
            } else {
                5 << (least_binary_point + 1)
            };
            let found = gic::cpu(gicc::RPR);
            check!(found == running, "the running priority is {found:#x}");
        }
    }
    Bits { least_binary_point }
}
