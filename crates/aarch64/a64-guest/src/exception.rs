//! What the guest's CPU does when it takes a synchronous exception to EL1.
//!
//! Called by both platforms when the VMM component injects one. Pure: a platform puts the
//! results into its vCPU's registers, and adds ELR_EL1 (the PC) and SPSR_EL1 (the PSTATE).
//!
//! Invariant: a [`Entry`] is at EL1 with SP_EL1, everything masked; no value of the guest's
//! PSTATE leads elsewhere.
//!
//! Specification: Arm ARM (DDI 0487) D1.3.1 (entry), J1.1.1 AArch64.TakeException,
//! D17.2.37 (ESR_EL1).

use crate::pstate::is_aarch32;
use guest_access::Direction;

/// Where and how the guest goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// To be added to VBAR_EL1.
    pub vector_offset: u64,
    /// The new PSTATE, as an SPSR holds it.
    pub pstate: u64,
}

/// Whether the guest's CPU has FEAT_PAN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pan {
    /// PSTATE.PAN exists. Also where that is not known: a CPU without it ignores the bit.
    MayExist,
    /// There is none.
    Absent,
}

/// DFSC of a synchronous external abort that is not on a table walk.
pub const EXTERNAL_ABORT: u8 = 0x10;

/// ESR_EL1 of an undefined instruction (EC 0).
pub const UNDEFINED_SYNDROME: u64 = IL;

/// PSTATE of EL1 with its own stack pointer and all exceptions masked: as after reset.
pub const EL1H_MASKED: u64 = 0x3c5;

const CLASS_SHIFT: u32 = 26;
const CLASS_DATA_ABORT_LOWER: u64 = 0x24;
const CLASS_DATA_ABORT_SAME: u64 = 0x25;
const IL: u64 = 1 << 25;
const WNR: u64 = 1 << 6;
const DFSC: u64 = 0x3f;

const PSTATE_FLAGS: u64 = 0xf << 28;
const PSTATE_DIT: u64 = 1 << 24;
const PSTATE_PAN: u64 = 1 << 22;
const SCTLR_SPAN: u64 = 1 << 23;

/// What ran when the exception occurred; it chooses the vector.
enum Source {
    El1WithSp0,
    El1WithSp1,
    El0,
    El0Aarch32,
}

fn source(pstate: u64) -> Source {
    if is_aarch32(pstate) {
        return Source::El0Aarch32;
    }
    match pstate & 0xf {
        0b0100 => Source::El1WithSp0,
        0b0101 => Source::El1WithSp1,
        _ => Source::El0,
    }
}

/// ESR_EL1 of a data abort in a guest whose PSTATE is `pstate`, with fault status code
/// `status`. ISV is clear, so IL is set and nothing describes the instruction.
pub fn data_abort_syndrome(pstate: u64, direction: Direction, status: u8) -> u64 {
    let class = match source(pstate) {
        Source::El1WithSp0 | Source::El1WithSp1 => CLASS_DATA_ABORT_SAME,
        Source::El0 | Source::El0Aarch32 => CLASS_DATA_ABORT_LOWER,
    };
    let write = match direction {
        Direction::Read => 0,
        Direction::Write => WNR,
    };
    class << CLASS_SHIFT | IL | write | u64::from(status) & DFSC
}

/// Enters EL1 from `pstate`, with `sctlr` in SCTLR_EL1.
///
/// The flags stay, and so do PAN and DIT where they exist (in an SPSR of AArch64 AArch32's DIT is at
/// the same place); SS, IL, UAO, BTYPE and what an AArch32 state has of its own become 0. SSBS and
/// TCO are not there on the CPUs that we run.
pub fn entry(pstate: u64, sctlr: u64, pan: Pan) -> Entry {
    let vector_offset = match source(pstate) {
        Source::El1WithSp0 => 0x000,
        Source::El1WithSp1 => 0x200,
        Source::El0 => 0x400,
        Source::El0Aarch32 => 0x600,
    };
    let kept = PSTATE_FLAGS | PSTATE_PAN | PSTATE_DIT;
    let mut pstate = pstate & kept | EL1H_MASKED;
    if pan == Pan::MayExist && sctlr & SCTLR_SPAN == 0 {
        pstate |= PSTATE_PAN;
    }
    Entry {
        vector_offset,
        pstate,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // PSTATE.M, D1.4: EL0t, EL1t, EL1h, and AArch32 User.
    const EL0T: u64 = 0b00000;
    const EL1T: u64 = 0b00100;
    const EL1H: u64 = 0b00101;
    const USER: u64 = 0b10000;
    const SPAN: u64 = 1 << 23;

    #[test]
    fn the_vector_and_the_class_follow_from_where_it_comes() {
        let cases = [
            (EL1T, 0x000, 0x25),
            (EL1H, 0x200, 0x25),
            (EL0T, 0x400, 0x24),
            (USER, 0x600, 0x24),
        ];
        for (mode, offset, class) in cases {
            assert_eq!(entry(mode, SPAN, Pan::MayExist).vector_offset, offset);
            let syndrome = data_abort_syndrome(mode, Direction::Read, 0x10);
            assert_eq!(syndrome, class << 26 | 1 << 25 | 0x10);
        }
    }

    #[test]
    fn a_write_says_so_in_the_syndrome() {
        let syndrome = data_abort_syndrome(EL1H, Direction::Write, 0x10);
        assert_eq!(syndrome, 0x9600_0050);
        assert_eq!(
            data_abort_syndrome(EL1H, Direction::Read, 0x07),
            0x9600_0007
        );
    }

    #[test]
    fn flags_stay_and_everything_is_masked() {
        // N and C set, D and A clear, single step and illegal state set.
        let before = 0xa000_0000 | 1 << 21 | 1 << 20 | EL1H;
        let after = entry(before, SPAN, Pan::MayExist).pstate;
        assert_eq!(after, 0xa000_03c5);
    }

    #[test]
    fn pan_is_set_on_entry_unless_span_says_no() {
        const PAN: u64 = 1 << 22;
        let pan = |pstate, sctlr, pan| entry(pstate, sctlr, pan).pstate & PAN != 0;
        assert!(pan(EL1H, 0, Pan::MayExist));
        assert!(!pan(EL1H, SPAN, Pan::MayExist));
        assert!(pan(EL1H | PAN, SPAN, Pan::MayExist));
        assert!(!pan(EL1H, 0, Pan::Absent));
    }

    #[test]
    fn of_aarch32_dit_stays_and_its_own_bits_do_not() {
        const DIT: u64 = 1 << 24;
        // Q, IT, GE, E and T.
        const OWN: u64 = 1 << 27 | 3 << 25 | 0xf << 16 | 0x3f << 10 | 1 << 9 | 1 << 5;
        assert_eq!(entry(EL0T | DIT, SPAN, Pan::MayExist).pstate & DIT, DIT);
        let from_user = entry(USER | OWN | DIT, SPAN, Pan::MayExist);
        assert_eq!(from_user.pstate, DIT | 0x3c5);
    }

    proptest::proptest! {
        #[test]
        fn every_entry_is_at_el1_with_everything_masked(pstate: u64, sctlr: u64) {
            let entry = entry(pstate, sctlr, Pan::MayExist);
            assert_eq!(entry.pstate & 0x3ff, 0x3c5);
            assert!(entry.vector_offset < 0x800);
        }
    }
}
