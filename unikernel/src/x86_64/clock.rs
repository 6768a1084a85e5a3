//! The time, and how fast it passes.
//!
//! `now` is called everywhere; `calibrate` once by `boot`. The invariant: the counter never
//! goes back, no guest can change it (writes to its register are intercepted), and the guest
//! reads the same one.
//!
//! The counter and the APIC's timer are held against the board's `interval_timer`.
//! AMD APM volume 2, 13.2.4 (time stamp counter).

use super::interrupts;
use core::sync::atomic::{AtomicU64, Ordering};
use x86_64::instructions::port::Port;

/// Period of the wake-ups.
pub const WAKEUP_PERIOD_MS: u64 = 10;

static FREQUENCY_HZ: AtomicU64 = AtomicU64::new(0);

/// The counter, in ticks. A single instruction on the hot path: the CPU may read it early,
/// but not from before the #VMEXIT that stopped the guest, which synchronized it.
#[inline]
pub fn now() -> u64 {
    // SAFETY: every CPU with long mode has the instruction, and CR4.TSD is clear.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// Ticks in a second, as [`calibrate`] found.
#[inline]
pub fn frequency_hz() -> u64 {
    FREQUENCY_HZ.load(Ordering::Relaxed)
}

/// Period of the wake-ups, in ticks.
pub fn wakeup_period() -> u64 {
    frequency_hz() * WAKEUP_PERIOD_MS / 1000
}

/// Nobody asks to be woken between two wake-ups: no guest's timer interrupts it here.
pub fn wake_by(_: Option<u64>) {}

/// Finds the frequency of the counter, and returns the APIC timer's counts in a period of
/// the wake-ups.
///
/// # Safety
///
/// Once, after `interrupts::init`; nobody else may use channel 2 of the interval timer.
pub unsafe fn calibrate() -> u32 {
    // SAFETY: by this function's contract.
    let mut ports = unsafe { IntervalTimerPorts::new() };
    let count_up = || [!interrupts::timer_count()];
    let (counter_hz, [apic_hz]) = interval_timer::frequencies(&mut ports, now, count_up);
    FREQUENCY_HZ.store(counter_hz, Ordering::Relaxed);
    let period = apic_hz * WAKEUP_PERIOD_MS / 1000;
    assert!(period > 0, "the APIC's timer does not count");
    period as u32
}

/// The interval timer's ports, by the processor's instructions.
struct IntervalTimerPorts(());

impl IntervalTimerPorts {
    /// # Safety
    ///
    /// Nobody else may use channel 2 as long as this lives.
    unsafe fn new() -> Self {
        Self(())
    }
}

impl interval_timer::Ports for IntervalTimerPorts {
    fn read(&mut self, port: u16) -> u8 {
        // SAFETY: `interval_timer` touches nothing but channel 2, which is ours.
        unsafe { Port::new(port).read() }
    }

    fn write(&mut self, port: u16, value: u8) {
        // SAFETY: as above.
        unsafe { Port::new(port).write(value) };
    }
}
