//! The system registers that every A64 CPU has and this VM has nothing behind: self-hosted debug, the
//! performance monitors, ACTLR_EL1. An operating system sets them up at boot whether or not it is going to use them.
//!
//! Asked by `exits` on each trapped MRS and MSR, of AArch64 alone.
//!
//! Invariant: total over all syndromes, and without state. A write is ignored, and a read gives what the
//! architecture allows where nothing is implemented, set or happening; so there is nothing to keep for a VMM that
//! is started again, and nothing that one access could tell another. What is not in the table, and an access that
//! a register does not have, is for policy `register`.
//!
//! - *OS Lock*: OSLSR_EL1 says that it is implemented, as it always is, and not locked, whatever was written. All
//!   that the lock does is to hold back debug exceptions, of which there are none, and to let an external debugger's
//!   save and restore through, which there is not either.
//! - *Breakpoints and watchpoints* are read as zero, all sixteen of each: how many the CPU has is in
//!   ID_AA64DFR0_EL1, which a guest reads from the CPU itself.
//! - *The performance monitors* have no event counter (PMCR_EL0.N), no event, and a cycle counter that stands still.
//! - *At EL0* a CPU first asks PMUSERENR_EL0 and MDSCR_EL1.TDCC, which nobody keeps here. So a program is answered
//!   what needs no leave: PMUSERENR_EL0 itself.
//!
//! Specification: Arm ARM (DDI 0487) D24.3 (debug), D24.5 (performance monitors), D24.2 (ACTLR_EL1, and ESR_ELx,
//! "ISS encoding for an exception from MSR, MRS, or System instruction execution in AArch64 state").

use a64_guest::pstate::{is_aarch32, is_el0};
use guest_access::{Direction, Gpr};

/// What an access does that the VM answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// MRS: Rt gets this, if it is not the zero register.
    Gives(Gpr, u64),
    /// MSR: nothing.
    Ignored,
}

impl Answer {
    /// The register that changes.
    pub(super) fn result(self) -> Option<(Gpr, u64)> {
        match self {
            Self::Gives(Gpr::ZERO, _) | Self::Ignored => None,
            Self::Gives(register, value) => Some((register, value)),
        }
    }
}

/// Answers the access that `iss` describes, of a guest with this PSTATE; `None` if it is for the policy.
pub(super) fn answer(iss: u32, pstate: u64) -> Option<Answer> {
    if is_aarch32(pstate) {
        return None;
    }
    let access = Access::from_iss(iss);
    if is_el0(pstate) && !(access.encoding == PMUSERENR_EL0 && access.direction == Direction::Read)
    {
        return None;
    }
    match (register(access.encoding)?, access.direction) {
        (Register::ReadWrite(value) | Register::ReadOnly(value), Direction::Read) => {
            Some(Answer::Gives(access.gpr, value))
        }
        (Register::ReadWrite(_) | Register::WriteOnly, Direction::Write) => Some(Answer::Ignored),
        (Register::WriteOnly, Direction::Read) | (Register::ReadOnly(_), Direction::Write) => None,
    }
}

/// op0, op1, CRn, CRm, op2.
type Encoding = [u8; 5];

struct Access {
    encoding: Encoding,
    direction: Direction,
    gpr: Gpr,
}

impl Access {
    fn from_iss(iss: u32) -> Self {
        let field = |lowest: u32, bits: u32| (iss >> lowest & ((1 << bits) - 1)) as u8;
        Self {
            encoding: [
                field(20, 2),
                field(14, 3),
                field(10, 4),
                field(1, 4),
                field(17, 3),
            ],
            direction: match iss & 1 {
                0 => Direction::Write,
                _ => Direction::Read,
            },
            gpr: Gpr::from_number(field(5, 5)),
        }
    }
}

/// How a register can be accessed, and what it reads as.
enum Register {
    ReadWrite(u64),
    ReadOnly(u64),
    WriteOnly,
}

const PMUSERENR_EL0: Encoding = [3, 3, 9, 14, 0];

/// OSLM = 0b10 (bits 3 and 0): the OS Lock is implemented. OSLK (bit 1): not locked.
const OS_LOCK_IMPLEMENTED: u64 = 1 << 3;
/// NSID (bits 1 and 0) = 0b10: invasive debug is implemented, and no external debugger may. NSNID
/// (bits 3 and 2) = 0b11: the one value besides "none" that all versions have. No Secure state.
const NO_EXTERNAL_DEBUG: u64 = 0b1110;
/// N (bits 15 to 11) = 0. LC (bit 6), which is RES1 in a CPU without AArch32.
const NO_EVENT_COUNTERS: u64 = 1 << 6;

fn register(encoding: Encoding) -> Option<Register> {
    use Register::{ReadOnly, ReadWrite, WriteOnly};
    Some(match encoding {
        [2, 0, 0, 2, 0] => ReadWrite(0), // MDCCINT_EL1
        [2, 0, 0, 2, 2] => ReadWrite(0), // MDSCR_EL1
        [2, 0, 0, 0, 2] => ReadWrite(0), // OSDTRRX_EL1
        [2, 0, 0, 3, 2] => ReadWrite(0), // OSDTRTX_EL1
        [2, 0, 0, 6, 2] => ReadWrite(0), // OSECCR_EL1
        // DBGBVR<n>_EL1, DBGBCR<n>_EL1, DBGWVR<n>_EL1, DBGWCR<n>_EL1
        [2, 0, 0, _, 4..=7] => ReadWrite(0),
        [2, 0, 1, 0, 0] => ReadOnly(0), // MDRAR_EL1: there is no table of debug components
        [2, 0, 1, 0, 4] => WriteOnly,   // OSLAR_EL1
        [2, 0, 1, 1, 4] => ReadOnly(OS_LOCK_IMPLEMENTED), // OSLSR_EL1
        [2, 0, 1, 3, 4] => ReadWrite(0), // OSDLR_EL1
        [2, 0, 1, 4, 4] => ReadWrite(0), // DBGPRCR_EL1
        [2, 0, 7, 14, 6] => ReadOnly(NO_EXTERNAL_DEBUG), // DBGAUTHSTATUS_EL1
        // Nobody is at the other end of the debug communications channel: nothing comes, and what
        // is sent is gone at once.
        [2, 3, 0, 1, 0] => ReadOnly(0),  // MDCCSR_EL0
        [2, 3, 0, 4, 0] => ReadWrite(0), // DBGDTR_EL0
        [2, 3, 0, 5, 0] => ReadWrite(0), // DBGDTRRX_EL0 (read), DBGDTRTX_EL0 (written)

        [3, 0, 1, 0, 1] => ReadWrite(0), // ACTLR_EL1

        [3, 3, 9, 12, 0] => ReadWrite(NO_EVENT_COUNTERS), // PMCR_EL0
        [3, 3, 9, 12, 1 | 2] => ReadWrite(0),             // PMCNTENSET_EL0, PMCNTENCLR_EL0
        [3, 3, 9, 12, 3] => ReadWrite(0),                 // PMOVSCLR_EL0
        [3, 3, 9, 12, 4] => WriteOnly,                    // PMSWINC_EL0
        [3, 3, 9, 12, 5] => ReadWrite(0),                 // PMSELR_EL0
        [3, 3, 9, 12, 6 | 7] => ReadOnly(0),              // PMCEID0_EL0, PMCEID1_EL0
        [3, 3, 9, 13, 0] => ReadWrite(0),                 // PMCCNTR_EL0
        [3, 3, 9, 13, 1 | 2] => ReadWrite(0),             // PMXEVTYPER_EL0, PMXEVCNTR_EL0
        PMUSERENR_EL0 => ReadWrite(0),
        [3, 3, 9, 14, 3] => ReadWrite(0),     // PMOVSSET_EL0
        [3, 0, 9, 14, 1 | 2] => ReadWrite(0), // PMINTENSET_EL1, PMINTENCLR_EL1
        [3, 0, 9, 14, 6] => ReadOnly(0),      // PMMIR_EL1
        // There is no PMEVCNTR31_EL0.
        [3, 3, 14, 11, 7] => return None,
        // PMEVCNTR<n>_EL0, PMEVTYPER<n>_EL0, PMCCFILTR_EL0. Of a counter that is not there an
        // access may do nothing.
        [3, 3, 14, 8..=15, _] => ReadWrite(0),
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
