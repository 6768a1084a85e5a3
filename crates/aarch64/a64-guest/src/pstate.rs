//! What PSTATE says about a guest's instruction: its set, its byte order, whether it is executed
//! at all, and what it leaves of PSTATE when somebody else has carried it out.
//!
//! Called by the VMM component on its cold path. An AArch64 EL1 may run AArch32 at EL0, in one of
//! two instruction sets, and each exception level has a byte order of its own. All values are
//! PSTATE as an SPSR holds it.
//!
//! Invariant: [`Next`] is in the same mode as before, whatever the numbers are.
//!
//! ```text
//!   AArch32   31      27  26 25              15    10  9         5  4  3  0
//!            ┌──────────┬───────┬──────────┬────────┬───┬──────┬───┬───┬────┐
//!            │ N Z C V  │IT 1 0 │    SS 21 │ IT 7-2 │ E │      │ T │ 1 │ M  │
//!            └──────────┴───────┴──────────┴────────┴───┴──────┴───┴───┴────┘
//!   AArch64    N Z C V                  SS   BTYPE 11-10   DAIF 9-6  0   EL
//! ```
//!
//! Specification: Arm ARM (DDI 0487) C5.2.18 (SPSR_EL1), E1.2 and F1.2 (conditions and IT),
//! D2.12 (software step), G1.9.3 and D1.5 (byte order).

/// All exceptions that can be masked: debug, SError, IRQ, FIQ.
const DAIF: u64 = 0b1111 << 6;
/// EL0 in AArch32.
const AARCH32: u64 = 1 << 4;
const EL: u64 = 0b11 << 2;
const THUMB: u64 = 1 << 5;
const BIG_ENDIAN: u64 = 1 << 9;
const SOFTWARE_STEP: u64 = 1 << 21;
const BRANCH_TYPE: u64 = 0b11 << 10;
const IT_LOW_SHIFT: u32 = 25;
const IT_HIGH_SHIFT: u32 = 10;
const CARRY: u64 = 1 << 29;

const SCTLR_E0E: u64 = 1 << 24;
const SCTLR_EE: u64 = 1 << 25;

/// Whether the guest is in AArch32, which is at EL0.
pub const fn is_aarch32(pstate: u64) -> bool {
    pstate & AARCH32 != 0
}

/// Whether an AArch32 guest executes T32; otherwise A32.
pub const fn is_thumb(pstate: u64) -> bool {
    pstate & THUMB != 0
}

/// Whether the guest is at EL0, in either state.
pub const fn is_el0(pstate: u64) -> bool {
    is_aarch32(pstate) || pstate & EL == 0
}

/// Whether the guest is at EL1 with everything masked: nothing interrupts what it does.
pub const fn is_uninterruptible(pstate: u64) -> bool {
    !is_el0(pstate) && pstate & DAIF == DAIF
}

/// The carry flag.
pub const fn carry(pstate: u64) -> bool {
    pstate & CARRY != 0
}

/// The order in which a number's bytes are in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByteOrder {
    /// The lowest first.
    Little,
    /// The highest first.
    Big,
}

impl ByteOrder {
    /// That of loads and stores.
    pub const fn of_data(pstate: u64, sctlr: u64) -> Self {
        let is_big = if is_aarch32(pstate) {
            pstate & BIG_ENDIAN != 0
        } else if is_el0(pstate) {
            sctlr & SCTLR_E0E != 0
        } else {
            sctlr & SCTLR_EE != 0
        };
        Self::big_if(is_big)
    }

    /// That of translation tables.
    pub const fn of_tables(sctlr: u64) -> Self {
        Self::big_if(sctlr & SCTLR_EE != 0)
    }

    const fn big_if(is_big: bool) -> Self {
        if is_big { Self::Big } else { Self::Little }
    }

    /// The bytes in memory of a `value` of 1 to 16 bytes, as a little-endian number; and what is
    /// loaded from such bytes.
    pub const fn swap(self, value: u128, len_bytes: u32) -> u128 {
        match self {
            Self::Little => value,
            Self::Big => value.swap_bytes() >> (128 - 8 * len_bytes),
        }
    }
}

/// Whether a trapped instruction is executed. A CPU may also trap one whose condition does not
/// hold. `named` is the condition in the syndrome, if it has one.
pub fn is_executed(pstate: u64, named: Option<u8>) -> bool {
    if !is_aarch32(pstate) {
        return true;
    }
    match named {
        Some(condition) => holds(pstate, condition),
        None => match it_state(pstate) {
            0 => true,
            state => holds(pstate, state >> 4),
        },
    }
}

/// Whether one of the sixteen conditions holds (F1.2.1, ConditionHolds).
fn holds(pstate: u64, condition: u8) -> bool {
    let flag = |number: u32| pstate >> number & 1 != 0;
    let (n, z, c, v) = (flag(31), flag(30), flag(29), flag(28));
    let base = match condition >> 1 & 7 {
        0b000 => z,
        0b001 => c,
        0b010 => n,
        0b011 => v,
        0b100 => c && !z,
        0b101 => n == v,
        0b110 => n == v && !z,
        _ => return true,
    };
    base != (condition & 1 != 0)
}

/// PSTATE.IT, which is 0 outside an IT block.
const fn it_state(pstate: u64) -> u8 {
    (pstate >> IT_LOW_SHIFT & 0b11 | (pstate >> IT_HIGH_SHIFT & 0x3f) << 2) as u8
}

/// Where the guest goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Next {
    /// The program counter.
    pub pc: u64,
    /// PSTATE.
    pub pstate: u64,
}

/// What an instruction of `len_bytes` at `pc` leaves that is no branch and sets no flags: the IT
/// block goes on, a debugger's step is over, and so is the check of a branch's target.
pub const fn after(pstate: u64, pc: u64, len_bytes: u64) -> Next {
    let pc = pc.wrapping_add(len_bytes);
    let pstate = pstate & !SOFTWARE_STEP;
    if !is_aarch32(pstate) {
        let pstate = pstate & !BRANCH_TYPE;
        return Next { pc, pstate };
    }
    let state = it_state(pstate);
    let advanced = match state & 0b111 {
        0 => 0,
        _ => state & 0b1110_0000 | state << 1 & 0b1_1111,
    };
    let it = (advanced as u64 & 0b11) << IT_LOW_SHIFT | (advanced as u64 >> 2) << IT_HIGH_SHIFT;
    let others = !(0b11 << IT_LOW_SHIFT | 0x3f << IT_HIGH_SHIFT);
    Next {
        pc: pc & 0xffff_ffff,
        pstate: pstate & others | it,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // D1.4: EL0t, EL1h; AArch32 User in A32 and T32.
    const EL0T: u64 = 0x3c0;
    const EL1H: u64 = 0x3c5;
    const A32: u64 = 0x1d0;
    const T32: u64 = 0x1f0;

    const fn with_it(pstate: u64, it: u64) -> u64 {
        pstate | (it & 3) << 25 | (it >> 2) << 10
    }

    #[test]
    fn the_set_and_the_carry_are_a_bit_each() {
        // C5.2.18, SPSR_EL1 of an exception from AArch32: T is bit 5, C is bit 29.
        for bit in 0..64 {
            let pstate = 1 << bit;
            assert_eq!(is_thumb(pstate), bit == 5, "{bit}");
            assert_eq!(carry(pstate), bit == 29, "{bit}");
        }
        assert!(is_thumb(T32) && !is_thumb(A32));
    }

    #[test]
    fn only_el1_with_all_four_masked_is_interrupted_by_nothing() {
        assert!(is_uninterruptible(EL1H) && is_uninterruptible(EL1H & !1));
        for bit in 6..10 {
            assert!(!is_uninterruptible(EL1H & !(1 << bit)), "{bit}");
        }
        assert!(!is_uninterruptible(EL0T) && !is_uninterruptible(A32 | 1 << 9));
    }

    #[test]
    fn each_level_has_a_byte_order_of_its_own() {
        let (e0e, ee, e) = (1 << 24, 1 << 25, 1 << 9);
        for (pstate, sctlr, order) in [
            (EL1H, e0e, ByteOrder::Little),
            (EL1H, ee, ByteOrder::Big),
            (EL0T, ee, ByteOrder::Little),
            (EL0T, e0e, ByteOrder::Big),
            (A32, e0e | ee, ByteOrder::Little),
            (A32 | e, 0, ByteOrder::Big),
            (T32 | e, 0, ByteOrder::Big),
        ] {
            assert_eq!(ByteOrder::of_data(pstate, sctlr), order, "{pstate:#x}");
        }
        assert_eq!(ByteOrder::of_tables(e0e), ByteOrder::Little);
        assert_eq!(ByteOrder::of_tables(ee), ByteOrder::Big);
    }

    #[test]
    fn no_other_bit_of_sctlr_has_to_do_with_the_byte_order() {
        // D17.2.118, SCTLR_EL1: E0E is bit 24, EE bit 25.
        for bit in 0..64 {
            let sctlr = 1 << bit;
            let is_big = |order| order == ByteOrder::Big;
            assert_eq!(is_big(ByteOrder::of_data(EL0T, sctlr)), bit == 24, "{bit}");
            assert_eq!(is_big(ByteOrder::of_data(EL1H, sctlr)), bit == 25, "{bit}");
            assert_eq!(is_big(ByteOrder::of_tables(sctlr)), bit == 25, "{bit}");
            assert!(!is_big(ByteOrder::of_data(A32, sctlr)), "{bit}");
        }
    }

    #[test]
    fn bytes_are_turned_round_within_the_width() {
        let big = ByteOrder::Big;
        assert_eq!(big.swap(0x11, 1), 0x11);
        assert_eq!(big.swap(0x1122, 2), 0x2211);
        assert_eq!(big.swap(0x1122_3344, 4), 0x4433_2211);
        assert_eq!(big.swap(0x1, 8), 1 << 56);
        assert_eq!(big.swap(0x1, 16), 1 << 120);
        assert_eq!(ByteOrder::Little.swap(0x1122, 2), 0x1122);
    }

    #[test]
    fn conditions_are_those_of_the_manual() {
        const N: u64 = 1 << 31;
        const Z: u64 = 1 << 30;
        const C: u64 = 1 << 29;
        const V: u64 = 1 << 28;
        // EQ NE CS CC MI PL VS VC HI LS GE LT GT LE AL, from the lowest bit on.
        for (flags, wanted) in [
            (0, 0b1101_0110_1010_1010),
            (Z, 0b1110_0110_1010_1001),
            (C, 0b1101_0101_1010_0110),
            (N, 0b1110_1010_1001_1010),
            (V, 0b1110_1010_0110_1010),
            (N | V, 0b1101_0110_0101_1010),
            (N | Z | V, 0b1110_0110_0101_1001),
            (C | Z, 0b1110_0110_1010_0101),
        ] {
            for condition in 0..15 {
                let wanted = wanted >> condition & 1 != 0 || condition == 14;
                let executed = is_executed(A32 | flags, Some(condition));
                assert_eq!(executed, wanted, "{flags:#x} {condition}");
            }
            assert!(is_executed(A32 | flags, Some(15)));
        }
    }

    #[test]
    fn a_block_of_it_has_the_condition_where_the_syndrome_has_none() {
        const Z: u64 = 1 << 30;
        // ITE EQ: EQ now (0000 1 1000 -> 0000, mask 1100), NE then.
        assert!(!is_executed(with_it(T32, 0b0000_1100), None));
        assert!(is_executed(with_it(T32 | Z, 0b0000_1100), None));
        assert!(is_executed(with_it(T32, 0b0001_1000), None));
        assert!(is_executed(T32, None));
        assert!(is_executed(EL1H, Some(0)), "A64 has no conditions");
    }

    #[test]
    fn an_it_block_goes_on_and_ends() {
        // ITTE EQ: 0000 0110, 0000 1100, 0001 1000, then none (F1.2.2, ITAdvance).
        for (before, after_it) in [
            (0b0000_0110, 0b0000_1100),
            (0b0000_1100, 0b0001_1000),
            (0b0001_1000, 0),
            (0, 0),
            (0b1101_0001, 0b1100_0010),
        ] {
            let next = after(with_it(T32, before), 0x1000, 2);
            let wanted = Next {
                pc: 0x1002,
                pstate: with_it(T32, after_it),
            };
            assert_eq!(next, wanted, "{before:#b}");
        }
    }

    #[test]
    fn a_step_is_over_and_the_mode_stays() {
        const SS: u64 = 1 << 21;
        const BTYPE: u64 = 1 << 10;
        for pstate in [EL0T, EL1H, A32, T32] {
            assert_eq!(after(pstate | SS, 0, 4), Next { pc: 4, pstate });
        }
        assert_eq!(after(EL1H | BTYPE, 0, 4).pstate, EL1H);
        assert_eq!(after(A32 | 1 << 9, 0, 4).pstate, A32 | 1 << 9);
    }

    #[test]
    fn an_address_space_ends_where_the_state_says() {
        assert_eq!(after(A32, 0xffff_fffc, 4).pc, 0);
        assert_eq!(after(EL1H, 0xffff_fffc, 4).pc, 0x1_0000_0000);
        assert_eq!(after(EL1H, u64::MAX - 3, 4).pc, 0);
    }
}
