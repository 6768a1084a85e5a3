//! Interrupts that a program takes: the handler, and the CPU's masks.
//!
//! For the programs; `taken` for the vectors in `entry`. Invariant: whatever a handler does, other interrupts
//! included, the interrupted program goes on as if nothing had been.
//!
//! Arm ARM D1.3.

use core::ptr;
use core::sync::atomic::{AtomicPtr, Ordering};

/// An input of the CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// IRQ.
    Irq,
    /// FIQ.
    Fiq,
}

/// What is called; null before there is one.
static HANDLER: AtomicPtr<()> = AtomicPtr::new(ptr::null_mut());

/// From now on calls this for each interrupt, with both inputs masked. It may let others in.
pub fn handle_with(handler: fn(Input)) {
    HANDLER.store(handler as *mut (), Ordering::Relaxed);
}

/// Lets both inputs interrupt the program.
pub fn unmask() {
    // SAFETY: the vectors keep all registers, and a handler is there or the program ends.
    unsafe { core::arch::asm!("msr daifclr, #3", "isb", options(nostack)) };
}

/// Keeps both out.
pub fn mask() {
    // SAFETY: nothing but the masks changes.
    unsafe { core::arch::asm!("msr daifset, #3", "isb", options(nostack)) };
}

/// Lets pending interrupts in, and no more.
pub fn let_in() {
    unmask();
    mask();
}

/// Called by the vectors, for an interrupt of the program's own exception level. Whether there is a handler.
#[cfg(target_os = "none")]
pub(super) fn taken(input: Input) -> bool {
    use aarch64_cpu::registers::{ELR_EL1, Readable, SPSR_EL1, Writeable};

    let handler = HANDLER.load(Ordering::Relaxed);
    if handler.is_null() {
        return false;
    }
    // SAFETY: `handle_with` alone stores it, and only such a function.
    let handler = unsafe { core::mem::transmute::<*mut (), fn(Input)>(handler) };
    // The handler may take exceptions, which overwrite both.
    let (elr, spsr) = (ELR_EL1.get(), SPSR_EL1.get());
    handler(input);
    mask();
    ELR_EL1.set(elr);
    SPSR_EL1.set(spsr);
    true
}
