//! The local APIC, of which one interrupt is used: its timer's, the wake-up.
//!
//! `init` and `start_wakeups` are called once by `boot`; `acknowledge_wakeup` from
//! `guest_exit` (interrupt exit) and wherever the host waits. The invariant: no interrupt but
//! the timer's is let through, the host takes it only inside the functions here (the global
//! interrupt flag is clear elsewhere), and a guest can reach neither the APIC's page, which
//! nested paging leaves out, nor its registers, which are intercepted.
//!
//! AMD APM volume 2, 16.3 to 16.4 (local APIC), 15.17 (global interrupt flag).

use super::assembly::instructions;
use crate::component_host::Woken;
use core::ops::Range;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use x86_64::instructions::port::PortWriteOnly;
use x86_64::registers::model_specific::Msr;

/// The wake-up's vector: the first that is free.
pub const WAKEUP_VECTOR: u8 = 0x20;
/// What the APIC sends when an interrupt vanished before it was taken.
pub const SPURIOUS_VECTOR: u8 = 0xff;

/// Wake-ups that came, counted by `assembly`.
pub static WAKEUPS: AtomicU64 = AtomicU64::new(0);
/// Address of the register that `assembly` writes to end an interrupt.
pub static END_OF_INTERRUPT: AtomicUsize = AtomicUsize::new(0);
/// How many of the wake-ups the host has seen.
static SEEN: AtomicU64 = AtomicU64::new(0);

/// Registers by their offset (AMD APM table 16-2).
mod register {
    pub const END_OF_INTERRUPT: usize = 0xb0;
    pub const SPURIOUS: usize = 0xf0;
    pub const TIMER_ENTRY: usize = 0x320;
    pub const LINT0_ENTRY: usize = 0x350;
    pub const LINT1_ENTRY: usize = 0x360;
    pub const ERROR_ENTRY: usize = 0x370;
    pub const INITIAL_COUNT: usize = 0x380;
    pub const CURRENT_COUNT: usize = 0x390;
    pub const DIVIDE: usize = 0x3e0;
}

const IA32_APIC_BASE: u32 = 0x1b;
const APIC_BASE_ADDRESS: u64 = 0x000f_ffff_ffff_f000;
const SOFTWARE_ENABLE: u32 = 1 << 8;
const MASKED: u32 = 1 << 16;
const PERIODIC: u32 = 1 << 17;
/// The timer counts the bus clock divided by 16.
const DIVIDE_BY_16: u32 = 0b0011;

/// Where the local APIC's registers are.
pub fn apic_page() -> Range<usize> {
    // SAFETY: reading the register changes nothing; every CPU with long mode has it.
    let base = unsafe { Msr::new(IA32_APIC_BASE).read() } & APIC_BASE_ADDRESS;
    base as usize..base as usize + 0x1000
}

/// Lets nothing through, and the timer count down freely, masked.
///
/// # Safety
///
/// Once, with interrupts off and the APIC's page mapped as device memory.
pub unsafe fn init() {
    // The two interrupt controllers of the first PCs: all lines masked.
    for data_port in [0x21, 0xa1] {
        // SAFETY: masking interrupts that nobody waits for.
        unsafe { PortWriteOnly::<u8>::new(data_port).write(0xff) };
    }
    let page = apic_page().start;
    END_OF_INTERRUPT.store(page + register::END_OF_INTERRUPT, Ordering::Relaxed);
    for (offset, value) in [
        (register::LINT0_ENTRY, MASKED),
        (register::LINT1_ENTRY, MASKED),
        (register::ERROR_ENTRY, MASKED),
        (register::TIMER_ENTRY, MASKED | u32::from(WAKEUP_VECTOR)),
        (register::DIVIDE, DIVIDE_BY_16),
        (
            register::SPURIOUS,
            SOFTWARE_ENABLE | u32::from(SPURIOUS_VECTOR),
        ),
        (register::INITIAL_COUNT, u32::MAX),
    ] {
        write(offset, value);
    }
}

/// The timer's count, which goes down.
pub fn timer_count() -> u32 {
    let address = apic_page().start + register::CURRENT_COUNT;
    // SAFETY: a register of the APIC, mapped by `init`'s contract; reading changes nothing.
    unsafe { core::ptr::read_volatile(address as *const u32) }
}

/// Lets the timer's interrupt through, every `period` of its counts.
pub fn start_wakeups(period: u32) {
    write(register::TIMER_ENTRY, PERIODIC | u32::from(WAKEUP_VECTOR));
    write(register::INITIAL_COUNT, period);
}

fn write(offset: usize, value: u32) {
    let address = apic_page().start + offset;
    // SAFETY: a register of the APIC, mapped by `init`'s contract; the callers know which.
    unsafe { core::ptr::write_volatile(address as *mut u32, value) };
}

/// Takes all pending interrupts; says whether the wake-up was among them.
pub fn acknowledge_wakeup() -> Woken {
    // SAFETY: `svm::init` has called `hold_interrupts`.
    unsafe { instructions::take_interrupts() };
    let wakeups = WAKEUPS.load(Ordering::Relaxed);
    Woken {
        by_clock: SEEN.swap(wakeups, Ordering::Relaxed) != wakeups,
        by_guest_timer: false,
    }
}

/// Sleeps until an interrupt is pending, and takes it.
pub fn wait_for_interrupt() {
    // SAFETY: `svm::init` has called `hold_interrupts`.
    unsafe { instructions::wait_for_interrupt() };
}
