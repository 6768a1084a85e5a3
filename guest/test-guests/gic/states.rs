//! The states of an interrupt, without any being taken by the CPU. Arm IHI 0048B 3.2.

use guest::check;
use guest::gic::{self, gicc, gicd};

use crate::ready;

/// An SPI that nothing raises.
const SPI: u32 = 70;
const OTHER: u32 = 71;

#[track_caller]
pub(crate) fn acknowledge(register: u64, wanted: u32) {
    let found = gic::cpu(register);
    check!(found == wanted, "acknowledged {found}, not {wanted}");
}

fn check_state(intid: u32, is_pending: bool, is_active: bool) {
    for register in [gicd::ISPENDR, gicd::ICPENDR] {
        let found = gic::bit(register, intid);
        check!(found == is_pending, "{intid}: pending is {found}");
    }
    for register in [gicd::ISACTIVER, gicd::ICACTIVER] {
        let found = gic::bit(register, intid);
        check!(found == is_active, "{intid}: active is {found}");
    }
}

/// Pending by software: with and without being enabled, level-sensitive and edge-triggered.
pub(crate) fn check_software(is_modelled: bool) {
    for edge in [0, 0xaaaa_aaaa] {
        gic::set_distributor(gicd::ICFGR + 16, edge);
        gic::set_bit(gicd::ISPENDR, SPI);
        check_state(SPI, true, false);
        acknowledge(gicc::IAR, 1023);
        acknowledge(gicc::HPPIR, 1023);
        gic::set_bit(gicd::ISENABLER, SPI);
        if is_modelled {
            acknowledge(gicc::HPPIR, SPI);
            gic::set_bit(gicd::ICPENDR, SPI);
            check_state(SPI, false, false);
            acknowledge(gicc::IAR, 1023);
            gic::set_bit(gicd::ISPENDR, SPI);
        }
        acknowledge(gicc::IAR, SPI);
        check_state(SPI, false, true);
        // Again, while it is active.
        gic::set_bit(gicd::ISPENDR, SPI);
        check_state(SPI, true, true);
        acknowledge(gicc::IAR, 1023);
        gic::set_cpu(gicc::EOIR, SPI);
        acknowledge(gicc::IAR, SPI);
        gic::set_cpu(gicc::EOIR, SPI);
        check_state(SPI, false, false);
        acknowledge(gicc::IAR, 1023);
        gic::set_bit(gicd::ICENABLER, SPI);
    }
    if !is_modelled {
        return;
    }
    // Active by software: it does not come.
    gic::set_bit(gicd::ISENABLER, SPI);
    gic::set_bit(gicd::ISACTIVER, SPI);
    gic::set_bit(gicd::ISPENDR, SPI);
    check_state(SPI, true, true);
    acknowledge(gicc::IAR, 1023);
    gic::set_bit(gicd::ICACTIVER, SPI);
    acknowledge(gicc::IAR, SPI);
    gic::set_cpu(gicc::EOIR, SPI);
    // The distributor's switch.
    gic::set_distributor(gicd::CTLR, 0);
    gic::set_bit(gicd::ISPENDR, SPI);
    acknowledge(gicc::IAR, 1023);
    gic::set_distributor(gicd::CTLR, 3);
    acknowledge(gicc::IAR, SPI);
    gic::set_cpu(gicc::EOIR, SPI);
}

pub(crate) fn check_sgis() {
    ready();
    for sgi in 0..16 {
        for (target, is_for_us) in [
            (1 << 16, true),
            (2 << 24, true),
            (1 << 24 | 0xff << 16, false),
        ] {
            gic::set_distributor(gicd::SGIR, target | sgi);
            acknowledge(gicc::IAR, if is_for_us { sgi } else { 1023 });
            if is_for_us {
                check_state(sgi, false, true);
                gic::set_cpu(gicc::EOIR, sgi);
            }
            check_state(sgi, false, false);
        }
    }
}

/// EOImode: the priority drops by one register, the interrupt is inactive by another.
pub(crate) fn check_end_modes() {
    ready();
    gic::set_cpu(gicc::CTLR, 0x201);
    gic::set_bit(gicd::ISENABLER, SPI);
    gic::set_bit(gicd::ISENABLER, OTHER);
    gic::set_bit(gicd::ISPENDR, SPI);
    acknowledge(gicc::IAR, SPI);
    acknowledge(gicc::RPR, 0x80);
    gic::set_cpu(gicc::EOIR, SPI);
    acknowledge(gicc::RPR, 0xff);
    check_state(SPI, false, true);
    gic::set_bit(gicd::ISPENDR, OTHER);
    acknowledge(gicc::IAR, OTHER);
    gic::set_cpu(gicc::EOIR, OTHER);
    for intid in [OTHER, SPI] {
        check_state(intid, false, true);
        gic::set_cpu(gicc::DIR, intid);
        check_state(intid, false, false);
    }
    // What is no interrupt ends none.
    gic::set_cpu(gicc::CTLR, 1);
    gic::set_bit(gicd::ISPENDR, SPI);
    acknowledge(gicc::IAR, SPI);
    gic::set_cpu(gicc::EOIR, 1023);
    acknowledge(gicc::RPR, 0x80);
    gic::set_cpu(gicc::EOIR, SPI);
    acknowledge(gicc::RPR, 0xff);
}

/// Group 1 has registers of its own, or AckCtl.
pub(crate) fn check_groups(is_modelled: bool, has_aliases: bool) {
    ready();
    gic::set_bit(gicd::IGROUPR, SPI);
    gic::set_cpu(gicc::CTLR, 0b00011);
    gic::set_bit(gicd::ISENABLER, SPI);
    gic::set_bit(gicd::ISPENDR, SPI);
    acknowledge(gicc::HPPIR, 1022);
    acknowledge(gicc::IAR, 1022);
    let (acknowledging, ending) = match has_aliases {
        true => (gicc::AIAR, gicc::AEOIR),
        false => {
            gic::set_cpu(gicc::CTLR, 0b00111);
            (gicc::IAR, gicc::EOIR)
        }
    };
    if has_aliases {
        acknowledge(gicc::AHPPIR, SPI);
    }
    acknowledge(acknowledging, SPI);
    check_state(SPI, false, true);
    acknowledge(gicc::RPR, 0x80);
    let priorities = [gicc::APR, gicc::NSAPR].map(|register| {
        let words = (0..4).map(|word| gic::cpu(register + 4 * word));
        words.map(u32::count_ones).sum::<u32>()
    });
    let wanted = if is_modelled { [0, 1] } else { [1, 0] };
    check!(priorities == wanted, "active priorities: {priorities:?}");
    gic::set_cpu(ending, SPI);
    check_state(SPI, false, false);
    acknowledge(gicc::RPR, 0xff);
    gic::set_cpu(gicc::CTLR, 0b00111);
    gic::set_bit(gicd::ISPENDR, SPI);
    acknowledge(gicc::IAR, SPI);
    gic::set_cpu(gicc::EOIR, SPI);
    acknowledge(gicc::RPR, 0xff);
    // What is of group 0 does not come by group 1's register.
    gic::set_bit(gicd::ISENABLER, OTHER);
    gic::set_bit(gicd::ISPENDR, OTHER);
    if has_aliases {
        acknowledge(gicc::AHPPIR, 1023);
        acknowledge(gicc::AIAR, 1023);
    }
    acknowledge(gicc::IAR, OTHER);
    gic::set_cpu(gicc::EOIR, OTHER);
    check_state(OTHER, false, false);
}
