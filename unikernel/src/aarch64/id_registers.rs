//! The ID registers as a guest reads them: the CPU's own, without the GICv3 that is the hypervisor's alone, and without
//! what `hypervisor` traps. An operating system uses all that it is told of.
//!
//! Asked by `machine` for what HCR_EL2.TID3 traps. Invariant: what is not a read of that group is none of it, and a
//! register that no version of the architecture has yet reads as zero, as the CPU itself would say.
//!
//! Arm ARM D24.2 (the registers, and ESR_ELx, "ISS encoding for an exception from MSR, MRS, or System instruction
//! execution in AArch64 state"), D17.2.48 (HCR_EL2.TID3).

use core::arch::asm;

/// EC of a trapped MRS or MSR.
const SYSTEM_REGISTER: u64 = 0x18;
/// ISS: op0 3, op1 0, CRn 0, and a read; Op2, Rt and CRm may be anything.
const FIXED: u64 = 0x3f_ffff & !(0b111 << OP2 | 0x1f << RT | 0xf << CRM);
const READ_OF_GROUP: u64 = 3 << 20 | 1;
const OP2: u32 = 17;
const RT: u32 = 5;
const CRM: u32 = 1;

/// The fields of four bits, by their lowest, that a guest reads as zero.
const fn hidden(crm: u64, op2: u64) -> &'static [u32] {
    match (crm, op2) {
        // ID_AA64PFR0_EL1: the GIC's system registers, SVE, MPAM, activity monitors, realms.
        (4, 0) => &[24, 32, 40, 44, 52],
        // ID_AA64PFR1_EL1: MTE, MPAM_frac, SME, NMI, GCS.
        (4, 1) => &[8, 16, 24, 36, 44],
        // ID_AA64DFR0_EL1: trace, statistical profiling, trace filters and buffers, branch records.
        (5, 0) => &[4, 32, 40, 44, 52],
        // ID_AA64ISAR1_EL1: pointer authentication (APA, API, GPA, GPI), LS64.
        (6, 1) => &[4, 8, 24, 28, 60],
        // ID_AA64ISAR2_EL1: pointer authentication (GPA3, APA3), MOPS.
        (6, 2) => &[8, 12, 16],
        // ID_AA64ZFR0_EL1, ID_AA64SMFR0_EL1: what there is of SVE and SME.
        (4, 4 | 5) => &[0, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 44, 48, 52, 56, 60],
        _ => &[],
    }
}

/// What a trapped read gives, and which register gets it; `None` if `syndrome` says something else.
#[inline(always)]
pub fn read(syndrome: u64) -> Option<(usize, u64)> {
    let is_one = syndrome >> 26 & 0x3f == SYSTEM_REGISTER
        && syndrome & FIXED == READ_OF_GROUP
        && matches!(syndrome >> CRM & 0xf, 1..=7);
    is_one.then(|| read_of_group(syndrome))
}

#[cold]
#[inline(never)]
fn read_of_group(syndrome: u64) -> (usize, u64) {
    let (crm, op2) = (syndrome >> CRM & 0xf, syndrome >> OP2 & 0b111);
    let fields = hidden(crm, op2).iter();
    let value = fields.fold(register(crm, op2), |value, lowest| value & !(0xf << lowest));
    ((syndrome >> RT & 0x1f) as usize, value)
}

/// `registers!(crm, op2: 1 2 …)`: the CPU's own register of CRm and op2.
macro_rules! registers {
    ($crm:ident, $op2:ident: $($m:literal)+) => {
        match ($crm, $op2) {
            $(
                ($m, 0) => mrs!($m, 0),
                ($m, 1) => mrs!($m, 1),
                ($m, 2) => mrs!($m, 2),
                ($m, 3) => mrs!($m, 3),
                ($m, 4) => mrs!($m, 4),
                ($m, 5) => mrs!($m, 5),
                ($m, 6) => mrs!($m, 6),
                ($m, 7) => mrs!($m, 7),
            )+
            _ => 0,
        }
    };
}

macro_rules! mrs {
    ($crm:literal, $op2:literal) => {{
        let value: u64;
        // SAFETY: reading an ID register changes nothing; all encodings of the group can be read at EL2.
        unsafe {
            asm!(
                concat!("mrs {}, s3_0_c0_c", $crm, "_", $op2),
                out(reg) value,
                options(nomem, nostack, preserves_flags)
            )
        };
        value
    }};
}

fn register(crm: u64, op2: u64) -> u64 {
    registers!(crm, op2: 1 2 3 4 5 6 7)
}
