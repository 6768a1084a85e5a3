//! The time, and the periodic wake-up that no guest can touch.
//!
//! `now` is called everywhere; `start_wakeups` once by `boot`; `take_wakeup` by `gic`; `wake_by` by
//! `component_host`. The invariant: the periods' ends are multiples of the period counted from the
//! first, so a late wake-up shifts none of the following; periods missed altogether are skipped.
//! The timer fires at the next of them, or earlier if somebody asked for that.
//!
//! The timer is the EL2 physical one, CNTHP_*_EL2: no register of it exists at EL1.
//! Arm ARM D12.1 (counters), D12.2 (timers), D17.11 (registers).

use super::assembly::instructions;
use aarch64_cpu::registers::{CNTFRQ_EL0, CNTHP_CTL_EL2, CNTPCT_EL0, Readable, Writeable};
use core::sync::atomic::{AtomicU64, Ordering};

/// Period of the wake-ups.
pub const WAKEUP_PERIOD_MS: u64 = 10;

static PERIOD_TICKS: AtomicU64 = AtomicU64::new(0);
/// When the period ends that is running.
static NEXT_WAKEUP: AtomicU64 = AtomicU64::new(0);

/// The counter, in ticks. A single instruction on the hot path: the CPU may read it early,
/// but not from before the exception that stopped the guest, which synchronized it. Without
/// an exit in between, two readings may be out of order by a few ticks.
#[inline]
pub fn now() -> u64 {
    CNTPCT_EL0.get()
}

/// Ticks in a second, as the firmware (here QEMU) set it.
#[inline]
pub fn frequency_hz() -> u64 {
    CNTFRQ_EL0.get()
}

/// Period of the wake-ups, in ticks.
pub fn wakeup_period() -> u64 {
    PERIOD_TICKS.load(Ordering::Relaxed)
}

/// Starts the periodic interrupt, the first a period from now.
pub fn start_wakeups() {
    let period = frequency_hz() * WAKEUP_PERIOD_MS / 1000;
    assert!(period > 0, "CNTFRQ_EL0 says {} Hz", frequency_hz());
    PERIOD_TICKS.store(period, Ordering::Relaxed);
    NEXT_WAKEUP.store(now() + period, Ordering::Relaxed);
    instructions::set_hypervisor_timer_deadline(now() + period);
    CNTHP_CTL_EL2.write(CNTHP_CTL_EL2::ENABLE::SET + CNTHP_CTL_EL2::IMASK::CLEAR);
}

/// Whether a period is over; the next one's end, or of several that were missed the next that is still
/// ahead, is the timer's deadline from now on. That ends its level-triggered interrupt, too.
pub fn take_wakeup() -> bool {
    let (period, now) = (wakeup_period(), now());
    let next = NEXT_WAKEUP.load(Ordering::Relaxed);
    let late = now.checked_sub(next);
    let next = late.map_or(next, |late| next + (late / period + 1) * period);
    NEXT_WAKEUP.store(next, Ordering::Relaxed);
    instructions::set_hypervisor_timer_deadline(next);
    late.is_some()
}

/// Lets the timer fire at this time, if a period does not end before; a time that has passed is now. What was
/// asked for before is forgotten.
pub fn wake_by(deadline: Option<u64>) {
    let next = NEXT_WAKEUP.load(Ordering::Relaxed);
    let at = deadline.map_or(next, |deadline| deadline.min(next));
    if at != instructions::hypervisor_timer_deadline() {
        instructions::set_hypervisor_timer_deadline(at);
    }
}
