//! System registers of A64: those that EL1 does not have are undefined to it.
//!
//! Arm ARM C5.2 (encoding), D17 (registers).

use guest::exceptions::attempt;
use guest::{check, say};

use super::CODE;

/// `MRS x0` and `MSR …, x0` of op0 = 2; bits 19 to 5 choose the register.
const MRS: u32 = 0xd530_0000;
const MSR: u32 = 0xd510_0000;
const REGISTERS: u32 = 1 << 15;

/// Names every system register.
pub fn registers_and_instructions() {
    let (mut there, mut absent, mut write_only) = (0, 0, 0);
    for register in 0..REGISTERS {
        if is_refused(MRS, register) {
            absent += 1;
            write_only += u64::from(!is_refused(MSR, register));
        } else {
            there += 1;
        }
    }
    say!(
        "{there} system registers can be read, {absent} cannot; {write_only} of these can be written"
    );
    for register in OF_HIGHER_LEVELS {
        check!(
            is_refused(MSR, register),
            "register {register:#x} can be written"
        );
    }
}

/// Whether an access to a system register is an exception of the guest: undefined, or one of
/// the vector unit's, which is off.
fn is_refused(instruction: u32, register: u32) -> bool {
    const UNDEFINED: u64 = 0;
    const VECTORS_ARE_OFF: u64 = 7;
    CODE.write(&[instruction | register << 5]);
    let Err(exception) = attempt(|| CODE.run([u64::MAX; 8])) else {
        return false;
    };
    let class = exception.class();
    check!(
        (class == UNDEFINED || class == VECTORS_ARE_OFF) && exception.elr == CODE.address(),
        "register {register:#x}: {exception} at {:#x}",
        exception.elr
    );
    true
}

/// op0 (its lowest bit), op1, CRn, CRm, op2 of registers that belong to EL2 and EL3: HCR_EL2,
/// VTTBR_EL2, SCTLR_EL2, VBAR_EL2, CNTHCTL_EL2, SCR_EL3, SCTLR_EL3.
const OF_HIGHER_LEVELS: [u32; 7] = [
    register(4, 1, 1, 0),
    register(4, 2, 1, 0),
    register(4, 1, 0, 0),
    register(4, 12, 0, 0),
    register(4, 14, 1, 0),
    register(6, 1, 1, 0),
    register(6, 1, 0, 0),
];

/// A register of op0 = 3.
const fn register(op1: u32, crn: u32, crm: u32, op2: u32) -> u32 {
    1 << 14 | op1 << 11 | crn << 7 | crm << 3 | op2
}
