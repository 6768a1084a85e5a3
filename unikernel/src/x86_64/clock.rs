//! The time, and how fast it passes.
//!
//! `now` is called everywhere; `calibrate` once by `boot`. The invariant: the counter never
//! goes back, no guest can change it (writes to its register are intercepted), and the guest
//! reads the same one.
//!
//! What the CPU says about its frequencies is whole megahertz at best, so the counter and the
//! APIC's timer are held against the board's interval timer, whose crystal is the same on
//! every PC. AMD APM volume 2, 13.2.4 (time stamp counter); Intel 8254 datasheet (231164).

use super::interrupts;
use core::sync::atomic::{AtomicU64, Ordering};
use x86_64::instructions::port::Port;

/// Period of the wake-ups.
pub const WAKEUP_PERIOD_MS: u64 = 10;

/// Frequency of the interval timer: a third of NTSC's colour carrier.
const INTERVAL_TIMER_HZ: u64 = 1_193_182;
/// How long the measurement takes, in ticks of the interval timer: 40 ms.
const MEASURED_TICKS: u16 = 47_727;
/// Each end of the measurement is the best of so many readings.
const READINGS: usize = 16;

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

/// Finds the frequency of the counter, and returns the APIC timer's counts in a period of
/// the wake-ups.
///
/// # Safety
///
/// Once, after `interrupts::init`; nobody else may use channel 2 of the interval timer.
pub unsafe fn calibrate() -> u32 {
    // SAFETY: by this function's contract.
    let mut timer = unsafe { IntervalTimer::start() };
    let first = Moment::read(&mut timer);
    while first.left.wrapping_sub(timer.left()) < MEASURED_TICKS {}
    let second = Moment::read(&mut timer);
    let ticks = u64::from(first.left.wrapping_sub(second.left));
    let per_second = |count: u64| count * INTERVAL_TIMER_HZ / ticks;
    FREQUENCY_HZ.store(
        per_second(second.counter - first.counter),
        Ordering::Relaxed,
    );
    let counts = u64::from(first.apic.wrapping_sub(second.apic));
    let period = per_second(counts) * WAKEUP_PERIOD_MS / 1000;
    assert!(period > 0, "the APIC's timer does not count");
    period as u32
}

/// The three clocks at one moment.
struct Moment {
    left: u16,
    counter: u64,
    apic: u32,
}

impl Moment {
    /// The reading that took least, because an emulator may stop between any two
    /// instructions.
    fn read(timer: &mut IntervalTimer) -> Self {
        let mut best: Option<(u64, Self)> = None;
        for _ in 0..READINGS {
            let before = now();
            let (left, apic) = (timer.left(), interrupts::timer_count());
            let took = now() - before;
            if best.as_ref().is_none_or(|(least, _)| took < *least) {
                let counter = before + took / 2;
                let moment = Self {
                    left,
                    counter,
                    apic,
                };
                best = Some((took, moment));
            }
        }
        match best {
            Some((_, moment)) => moment,
            None => unreachable!("there is at least one reading"),
        }
    }
}

/// Channel 2 of the interval timer, counting down from 65536 again and again.
struct IntervalTimer {
    command: Port<u8>,
    data: Port<u8>,
}

impl IntervalTimer {
    /// # Safety
    ///
    /// Nobody else may use the channel.
    unsafe fn start() -> Self {
        let mut timer = Self {
            command: Port::new(0x43),
            data: Port::new(0x42),
        };
        let mut gate = Port::<u8>::new(0x61);
        // SAFETY: reading the port changes nothing.
        let gated = unsafe { gate.read() };
        // Gate on, loudspeaker off. SAFETY: concerns nothing but channel 2.
        unsafe { gate.write(gated & !0b10 | 0b01) };
        // Channel 2, low byte then high byte, mode 2 (rate generator), binary.
        // SAFETY: the channel is ours.
        unsafe { timer.command.write(0b1011_0100) };
        for byte in [0, 0] {
            // SAFETY: the channel is ours.
            unsafe { timer.data.write(byte) };
        }
        timer
    }

    /// Ticks until the next turn.
    fn left(&mut self) -> u16 {
        // SAFETY: latches the channel's count; the channel is ours.
        unsafe { self.command.write(0b1000_0000) };
        // SAFETY: reads the latched count.
        let low = unsafe { self.data.read() };
        // SAFETY: reads the latched count.
        let high = unsafe { self.data.read() };
        u16::from_le_bytes([low, high])
    }
}
