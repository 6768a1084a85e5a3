//! The registers by which a guest debugs itself, and with them, where nobody keeps it from that,
//! whoever runs after it.
//!
//! For the hostile program only. Encodings, not names: an assembler need not know a register to
//! attack it. Arm ARM D2.10 (watchpoints), D17.3 (OSLAR_EL1, OSDLR_EL1, DBGWVR, DBGWCR, MDSCR_EL1).

use crate::exceptions::attempt;

/// DBGWCR: enabled, at EL0, loads and stores, all bytes of the doubleword.
const AT_EL0: u64 = 0x1ffd;
/// MDSCR_EL1.MDE.
const ENABLE: u64 = 1 << 15;

macro_rules! set {
    ($encoding:literal, $value:expr) => {
        attempt(|| {
            // SAFETY: touches no memory; what it does to the CPU is contained by EL2, or the
            // program has found something.
            unsafe {
                core::arch::asm!(
                    concat!("msr ", $encoding, ", {value}"),
                    "isb",
                    value = in(reg) $value,
                    options(nostack, preserves_flags),
                );
            }
        })
        .is_ok()
    };
}

/// Asks for an exception at each access to `address` at EL0, whoever's it is. Says how many of the
/// five registers that it takes let themselves be written; a VMM may ignore such a write.
pub fn watch_at_el0(address: u64) -> u32 {
    [
        // OSDLR_EL1, OSLAR_EL1: no lock.
        set!("S2_0_C1_C3_4", 0_u64),
        set!("S2_0_C1_C0_4", 0_u64),
        // DBGWVR0_EL1, DBGWCR0_EL1, MDSCR_EL1.
        set!("S2_0_C0_C0_6", address),
        set!("S2_0_C0_C0_7", AT_EL0),
        set!("S2_0_C0_C2_2", ENABLE),
    ]
    .into_iter()
    .map(u32::from)
    .sum()
}
