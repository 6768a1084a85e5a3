//! The guest's virtual timer, which counts as `clock` does.
//!
//! For the programs. Arm ARM D11.2, D17.11 (CNTV_CTL_EL0, CNTV_CVAL_EL0).

use crate::clock::Instant;
use aarch64_cpu::asm::barrier;
use aarch64_cpu::registers::{CNTV_CTL_EL0, CNTV_CVAL_EL0, Readable, Writeable};

/// ENABLE, IMASK.
const ENABLED: u64 = 0b01;
const MASKED: u64 = 0b11;

/// Lets its output rise at this time; if that has passed, now.
pub fn fire_at(time: Instant) {
    fire_at_ticks(time.ticks());
}

/// The same, by the counter.
pub fn fire_at_ticks(ticks: u64) {
    CNTV_CVAL_EL0.set(ticks);
    set_control(ENABLED);
}

/// Lets its condition be met, but not its output rise.
pub fn mask() {
    set_control(MASKED);
}

/// Switches it off.
pub fn stop() {
    set_control(0);
}

/// Whether its condition is met.
pub fn is_due() -> bool {
    CNTV_CTL_EL0.get() & 0b100 != 0
}

fn set_control(control: u64) {
    CNTV_CTL_EL0.set(control);
    barrier::isb(barrier::SY);
}
