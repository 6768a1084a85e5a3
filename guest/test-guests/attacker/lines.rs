//! The lines that interrupt the attacker's guest: it lets all of them in, and says which have come.
//!
//! Used by `attacker`. Invariant: a line that nothing is connected to is told in words that the judge of a run
//! takes for harm.

use core::sync::atomic::{AtomicU32, Ordering};
use guest::gic::{self, gicc};
use guest::{interrupts, say};

/// The only line that the configuration connects a device to.
const CONNECTED: u32 = 34;
/// The first INTID of a device's, and the first that there is none of.
const LINES: core::ops::Range<u32> = 32..128;

/// A bit for each INTID that has come and is not told yet.
static COME: [AtomicU32; 4] = [const { AtomicU32::new(0) }; 4];

pub(crate) fn let_in() {
    interrupts::handle_with(|_| {
        let intid = gic::cpu(gicc::IAR);
        if let Some(come) = COME.get(intid as usize / 32) {
            come.fetch_or(1 << (intid % 32), Ordering::Relaxed);
            gic::set_cpu(gicc::EOIR, intid);
        }
    });
    LINES.for_each(gic::enable);
    interrupts::unmask();
}

pub(crate) fn tell() {
    for (come, first) in COME.iter().zip((0..).step_by(32)) {
        let come = come.swap(0, Ordering::Relaxed);
        for intid in (0..32)
            .filter(|bit| come >> bit & 1 != 0)
            .map(|bit| first + bit)
        {
            match intid {
                CONNECTED => say!("interrupted by {intid}"),
                _ => say!("somebody changed line {intid}, which nothing is connected to"),
            }
        }
    }
}
