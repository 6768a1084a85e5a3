//! Exceptions: unexpected ones end the VM with a line that says where, expected ones are
//! recorded and their instruction is skipped, or the call given up in which it was.
//!
//! [`attempt`] and [`as_user`] are for the programs, and so is [`crate::aarch32`]; `taken` for the vectors in `boot`. The
//! invariant: only instructions inside an attempt are ever skipped, and only the exception
//! that ends a user's run returns elsewhere. Arm ARM D1.3, D17.2.37 (ESR_ELx).

use core::{
    fmt,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

#[cfg(target_os = "none")]
use super::interrupts::{self, Input};
use crate::addressing_forms::Registers;
#[cfg(target_os = "none")]
use crate::{
    power::{self, FailureCode},
    say,
};

/// What the CPU said about an exception.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exception {
    /// ESR_EL1, the syndrome.
    pub esr: u64,
    /// ELR_EL1, the instruction's address.
    pub elr: u64,
    /// FAR_EL1, the address that was accessed, if the syndrome's class has one.
    pub far: u64,
}

impl Exception {
    /// Exception class, ESR_EL1.EC.
    pub fn class(&self) -> u64 {
        self.esr >> 26 & 0x3f
    }

    /// Data fault status code, ESR_EL1.DFSC, of a data abort.
    pub fn data_fault_status(&self) -> Option<u64> {
        const DATA_ABORT_SAME_LEVEL: u64 = 0x25;
        (self.class() == DATA_ABORT_SAME_LEVEL).then_some(self.esr & 0x3f)
    }
}

/// `ec 0x25 dfsc 0x10 far 0xfa000000`, or the class alone where there is no address.
impl fmt::Display for Exception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ec {:#04x}", self.class())?;
        match self.data_fault_status() {
            Some(status) => write!(f, " dfsc {status:#04x} far {:#x}", self.far),
            None => Ok(()),
        }
    }
}

// Shared between the program and its own exceptions, on one vCPU: plain loads and stores are
// enough (exclusives would not work on memory that is Device because the MMU is off).
static ATTEMPTING: AtomicBool = AtomicBool::new(false);
static REFUSED: AtomicBool = AtomicBool::new(false);
static ESR: AtomicU64 = AtomicU64::new(0);
static ELR: AtomicU64 = AtomicU64::new(0);
static FAR: AtomicU64 = AtomicU64::new(0);
static SPSR: AtomicU64 = AtomicU64::new(0);
/// Where EL1 goes on when EL0 takes its exception; 0 while EL0 does not run.
pub(crate) static USER_RETURN: AtomicU64 = AtomicU64::new(0);
/// Where to go on instead of behind the instruction; 0 if nobody called code that was written
/// at run time, which may not be there any more.
pub(crate) static RECOVERY: AtomicU64 = AtomicU64::new(0);

/// Runs `hostile`; an instruction in it that causes an exception is skipped, and the first
/// such exception is the error. Attempts do not nest.
///
/// # Errors
///
/// An exception came. What `hostile` computed is then worth nothing.
pub fn attempt<T>(hostile: impl FnOnce() -> T) -> Result<T, Exception> {
    REFUSED.store(false, Ordering::Relaxed);
    ATTEMPTING.store(true, Ordering::Relaxed);
    let result = hostile();
    ATTEMPTING.store(false, Ordering::Relaxed);
    if REFUSED.load(Ordering::Relaxed) {
        Err(recorded())
    } else {
        Ok(result)
    }
}

/// Runs the code at `code` at EL0 with these x1 to x4, until it takes an exception, which is
/// the result; SVC is one. `registers` is then what it left there. The code is on a page that
/// EL0 may execute and changes no other register.
pub fn as_user(code: u64, registers: &mut Registers) -> Exception {
    // SAFETY: EL0 runs until `taken` sends its exception to the label, with SP_EL1 and all
    // registers but x1 to x4 as they are here.
    unsafe {
        core::arch::asm!(
            "adr x5, 2f",
            "str x5, [{back}]",
            "msr elr_el1, {code}",
            "msr spsr_el1, {el0t_masked}",
            "ldp x1, x2, [x0]",
            "ldp x3, x4, [x0, #16]",
            "eret",
            "2:",
            "stp x1, x2, [x0]",
            "stp x3, x4, [x0, #16]",
            back = in(reg) USER_RETURN.as_ptr(),
            code = in(reg) code,
            el0t_masked = in(reg) 0x3c0_u64,
            in("x0") registers,
            out("x1") _,
            out("x2") _,
            out("x3") _,
            out("x4") _,
            out("x5") _,
        );
    }
    recorded()
}

/// PSTATE where the last exception was taken that was kept.
pub(crate) fn recorded_state() -> u64 {
    SPSR.load(Ordering::Relaxed)
}

/// The last exception that was kept.
pub(crate) fn recorded() -> Exception {
    Exception {
        esr: ESR.load(Ordering::Relaxed),
        elr: ELR.load(Ordering::Relaxed),
        far: FAR.load(Ordering::Relaxed),
    }
}

/// Called by the vectors with the number of the one taken.
#[cfg(target_os = "none")]
pub(crate) extern "C" fn taken(vector: u64) {
    use aarch64_cpu::registers::{ELR_EL1, ESR_EL1, FAR_EL1, Readable, SPSR_EL1, Writeable};

    /// Synchronous, from the current level with SP_ELx.
    const OWN_SYNCHRONOUS: u64 = 4;
    /// Synchronous, from AArch64 and from AArch32 at EL0.
    const USER_SYNCHRONOUS: [u64; 2] = [8, 12];
    const INSTRUCTION_LEN_BYTES: u64 = 4;
    const EL1H_MASKED: u64 = 0x3c5;

    /// IRQ and FIQ, from the current level with SP_ELx.
    const OWN_IRQ: u64 = 5;
    const OWN_FIQ: u64 = 6;

    let is_handled = match vector {
        OWN_IRQ => interrupts::taken(Input::Irq),
        OWN_FIQ => interrupts::taken(Input::Fiq),
        _ => false,
    };
    if is_handled {
        return;
    }
    let (esr, elr, far) = (ESR_EL1.get(), ELR_EL1.get(), FAR_EL1.get());
    let user_return = USER_RETURN.load(Ordering::Relaxed);
    let recovery = RECOVERY.load(Ordering::Relaxed);
    let next = match recovery {
        0 => elr.wrapping_add(INSTRUCTION_LEN_BYTES),
        recovery => recovery,
    };
    let attempted = vector == OWN_SYNCHRONOUS && ATTEMPTING.load(Ordering::Relaxed);
    let by_user = USER_SYNCHRONOUS.contains(&vector) && user_return != 0;
    if by_user || attempted && !REFUSED.load(Ordering::Relaxed) {
        ESR.store(esr, Ordering::Relaxed);
        ELR.store(elr, Ordering::Relaxed);
        FAR.store(far, Ordering::Relaxed);
        SPSR.store(SPSR_EL1.get(), Ordering::Relaxed);
    }
    if attempted {
        REFUSED.store(true, Ordering::Relaxed);
        ELR_EL1.set(next);
        return;
    }
    if by_user {
        USER_RETURN.store(0, Ordering::Relaxed);
        ELR_EL1.set(user_return);
        SPSR_EL1.set(EL1H_MASKED);
        return;
    }
    say!("unexpected exception esr {esr:#x} elr {elr:#x} far {far:#x} vector {vector}");
    power::stop_failed(FailureCode::Exception)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::string::ToString;

    use super::*;

    #[test]
    fn a_data_abort_shows_its_status_and_address() {
        // EC 0x25, IL, DFSC 0x10: synchronous external abort, not on a table walk.
        let abort = Exception {
            esr: 0x9600_0010,
            elr: 0x4008_0000,
            far: 0xfa00_0000,
        };
        assert_eq!(abort.to_string(), "ec 0x25 dfsc 0x10 far 0xfa000000");
    }

    #[test]
    fn an_undefined_instruction_shows_its_class_alone() {
        let undefined = Exception {
            esr: 0x0200_0000,
            elr: 0x4008_0000,
            far: 0xdead,
        };
        assert_eq!(undefined.to_string(), "ec 0x00");
    }
}
