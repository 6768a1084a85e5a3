//! Which interrupt comes first, and what it keeps out: by acknowledging, and by interrupts that are taken at EL1.
//! Arm IHI 0048B 3.3.

use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use guest::check;
use guest::gic::{self, gicc, gicd};
use guest::interrupts::{self, Input};

use crate::ready;
use crate::registers::Bits;
use crate::states::acknowledge;

/// SPIs that nothing raises.
const LOW: u32 = 80;
const MIDDLE: u32 = 81;
const HIGH: u32 = 79;

fn pend(intid: u32, priority: u8) {
    gic::set_priority(intid, priority);
    gic::set_bit(gicd::ISENABLER, intid);
    gic::set_bit(gicd::ISPENDR, intid);
}

fn end(intid: u32) {
    gic::set_cpu(gicc::EOIR, intid);
}

/// The highest priority, then the lowest number.
pub(crate) fn check_order(is_modelled: bool) {
    // In list registers they are from when they became pending on.
    gic::set_cpu(gicc::PMR, if is_modelled { 0xf0 } else { 0 });
    // Of two list registers that are alike, either may come first.
    let alike = if is_modelled { 0x40 } else { 0x60 };
    for (intid, priority) in [(LOW, 0xc0), (96, alike), (MIDDLE, 0x40), (HIGH, 0x20)] {
        pend(intid, priority);
    }
    gic::set_cpu(gicc::PMR, 0xf0);
    for intid in [HIGH, MIDDLE, 96, LOW] {
        acknowledge(gicc::HPPIR, intid);
        acknowledge(gicc::IAR, intid);
        end(intid);
    }
    acknowledge(gicc::IAR, 1023);
}

pub(crate) fn check_mask() {
    ready();
    pend(LOW, 0x80);
    for mask in [0, 0x40, 0x80] {
        gic::set_cpu(gicc::PMR, mask);
        acknowledge(gicc::IAR, 1023);
    }
    gic::set_cpu(gicc::PMR, 0x90);
    acknowledge(gicc::IAR, LOW);
    end(LOW);
}

/// Which bits of a priority preempt (tables 3-2, 3-3).
pub(crate) fn check_binary_points(bits: Bits) {
    for point in bits.least_binary_point..=7 {
        ready();
        gic::set_cpu(gicc::BPR, point);
        preempts(u32::from(u8::MAX) << (point + 1), 0);
        // Group 1's point counts from one bit lower, unless one is for both.
        for common in [0, 0b10000] {
            ready();
            gic::set_distributor(gicd::IGROUPR + 8, u32::MAX);
            gic::set_cpu(gicc::BPR, bits.least_binary_point);
            gic::set_cpu(gicc::ABPR, point + 1);
            let is_common = common != 0 || point == 7;
            let point = if is_common {
                bits.least_binary_point
            } else {
                point
            };
            let common = if is_common { 0b10000 } else { 0 };
            preempts(u32::from(u8::MAX) << (point + 1), 0b00110 | common);
        }
    }
}

/// With these bits of a priority alone, some preempt and some do not.
fn preempts(mask: u32, control: u32) {
    let group = mask as u8;
    gic::set_cpu(gicc::CTLR, 1 | control);
    pend(LOW, 0x80);
    acknowledge(gicc::IAR, LOW);
    acknowledge(gicc::RPR, (0x80 & group).into());
    for priority in [0x70, 0x40, 0x00] {
        pend(HIGH, priority);
        let is_higher = priority & group < 0x80 & group;
        acknowledge(gicc::IAR, if is_higher { HIGH } else { 1023 });
        if is_higher {
            acknowledge(gicc::RPR, (priority & group).into());
            end(HIGH);
            acknowledge(gicc::RPR, (0x80 & group).into());
            continue;
        }
        // It comes after the end of the other.
        end(LOW);
        acknowledge(gicc::IAR, HIGH);
        end(HIGH);
        pend(LOW, 0x80);
        acknowledge(gicc::IAR, LOW);
    }
    end(LOW);
    acknowledge(gicc::RPR, 0xff);
}

/// What the handler saw, in its order: an INTID when it began, and 1000 more when it ended.
static SEEN: [AtomicU32; 16] = [const { AtomicU32::new(0) }; 16];
static COUNT: AtomicUsize = AtomicUsize::new(0);

fn saw(what: u32) {
    let count = COUNT.load(Ordering::Relaxed);
    if let Some(place) = SEEN.get(count) {
        place.store(what, Ordering::Relaxed);
        COUNT.store(count + 1, Ordering::Relaxed);
    }
}

#[track_caller]
fn check_seen(wanted: &[u32]) {
    let count = COUNT.load(Ordering::Relaxed);
    COUNT.store(0, Ordering::Relaxed);
    let seen = SEEN.each_ref().map(|place| place.load(Ordering::Relaxed));
    check!(
        &seen[..count] == wanted,
        "{:?}, not {wanted:?}",
        &seen[..count]
    );
}

/// Taken as exceptions at EL1: a higher one inside a lower one, an equal and a lower one after it.
pub(crate) fn check_nesting() {
    ready();
    interrupts::handle_with(handler);
    gic::set_priority(MIDDLE, 0x80);
    gic::set_priority(HIGH, 0x40);
    gic::set_bit(gicd::ISENABLER, MIDDLE);
    gic::set_bit(gicd::ISENABLER, HIGH);
    pend(LOW, 0x80);
    // Masked at the CPU, nothing comes.
    check_seen(&[]);
    interrupts::let_in();
    check_seen(&[LOW, HIGH, 1000 + HIGH, 1000 + LOW, MIDDLE, 1000 + MIDDLE]);

    // Group 0 by the other input, if FIQEn.
    gic::set_bit(gicd::IGROUPR, LOW);
    gic::set_cpu(gicc::CTLR, 0b01111);
    for (intid, input) in [(LOW, 2000), (MIDDLE, 3000)] {
        gic::set_bit(gicd::ISPENDR, intid);
        interrupts::handle_with(|input| {
            let intid = gic::cpu(gicc::IAR);
            saw(intid + if input == Input::Irq { 2000 } else { 3000 });
            end(intid);
        });
        interrupts::let_in();
        check_seen(&[input + intid]);
    }
}

fn handler(input: Input) {
    let intid = gic::cpu(gicc::IAR);
    check!(input == Input::Irq, "{intid} came as {input:?}");
    saw(intid);
    if intid == LOW {
        // One as high, one higher.
        gic::set_bit(gicd::ISPENDR, MIDDLE);
        gic::set_bit(gicd::ISPENDR, HIGH);
        interrupts::let_in();
    }
    saw(1000 + intid);
    end(intid);
}
