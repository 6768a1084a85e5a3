//! Exceptions: unexpected ones end the VM with a line that says where, expected ones are
//! recorded and their instruction is skipped.
//!
//! [`attempt`] is for the programs, `taken` for the vectors in `boot`. The invariant: only
//! instructions inside an attempt are ever skipped. Arm ARM D1.3, D17.2.37 (ESR_ELx).

use core::{
    fmt,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

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

/// Runs `hostile`; an instruction in it that causes an exception is skipped, and the last
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
        Err(Exception {
            esr: ESR.load(Ordering::Relaxed),
            elr: ELR.load(Ordering::Relaxed),
            far: FAR.load(Ordering::Relaxed),
        })
    } else {
        Ok(result)
    }
}

/// Called by the vectors with the number of the one taken.
#[cfg(target_os = "none")]
pub(crate) extern "C" fn taken(vector: u64) {
    use aarch64_cpu::registers::{ELR_EL1, ESR_EL1, FAR_EL1, Readable, Writeable};

    /// Synchronous, from the current level with SP_ELx.
    const OWN_SYNCHRONOUS: u64 = 4;
    const INSTRUCTION_LEN_BYTES: u64 = 4;

    let (esr, elr, far) = (ESR_EL1.get(), ELR_EL1.get(), FAR_EL1.get());
    if vector == OWN_SYNCHRONOUS && ATTEMPTING.load(Ordering::Relaxed) {
        REFUSED.store(true, Ordering::Relaxed);
        ESR.store(esr, Ordering::Relaxed);
        ELR.store(elr, Ordering::Relaxed);
        FAR.store(far, Ordering::Relaxed);
        ELR_EL1.set(elr + INSTRUCTION_LEN_BYTES);
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
