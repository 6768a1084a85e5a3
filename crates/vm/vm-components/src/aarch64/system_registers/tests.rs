use super::{Answer, answer};
use guest_access::Gpr;

// PSTATE at EL1 with its own stack pointer, at EL0, and at EL0 in A32 (C5.2.18).
const EL1: u64 = 0b0101;
const EL0: u64 = 0;
const A32: u64 = 0b1_0000;

/// The ISS of a trapped MRS or MSR: op0, op2, op1, CRn, Rt, CRm and direction.
fn iss([op0, op1, crn, crm, op2]: [u32; 5], rt: u32, is_read: u32) -> u32 {
    op0 << 20 | op2 << 17 | op1 << 14 | crn << 10 | rt << 5 | crm << 1 | is_read
}

/// MRS x3 and MSR …, x3.
fn both(encoding: [u32; 5], pstate: u64) -> [Option<Answer>; 2] {
    [1, 0].map(|is_read| answer(iss(encoding, 3, is_read), pstate))
}

fn gives(value: u64) -> Option<Answer> {
    Some(Answer::Gives(Gpr::from_number(3), value))
}

const IGNORED: Option<Answer> = Some(Answer::Ignored);

/// Encodings as the manual has them, and what they read as.
const READ_AND_WRITTEN: [(&str, [u32; 5], u64); 34] = [
    ("MDCCINT_EL1", [2, 0, 0, 2, 0], 0),
    ("MDSCR_EL1", [2, 0, 0, 2, 2], 0),
    ("OSDTRRX_EL1", [2, 0, 0, 0, 2], 0),
    ("OSDTRTX_EL1", [2, 0, 0, 3, 2], 0),
    ("OSECCR_EL1", [2, 0, 0, 6, 2], 0),
    ("OSDLR_EL1", [2, 0, 1, 3, 4], 0),
    ("DBGPRCR_EL1", [2, 0, 1, 4, 4], 0),
    ("DBGDTR_EL0", [2, 3, 0, 4, 0], 0),
    ("DBGBVR0_EL1", [2, 0, 0, 0, 4], 0),
    ("DBGBVR15_EL1", [2, 0, 0, 15, 4], 0),
    ("DBGBCR0_EL1", [2, 0, 0, 0, 5], 0),
    ("DBGBCR15_EL1", [2, 0, 0, 15, 5], 0),
    ("DBGWVR0_EL1", [2, 0, 0, 0, 6], 0),
    ("DBGWVR15_EL1", [2, 0, 0, 15, 6], 0),
    ("DBGWCR0_EL1", [2, 0, 0, 0, 7], 0),
    ("DBGWCR15_EL1", [2, 0, 0, 15, 7], 0),
    ("ACTLR_EL1", [3, 0, 1, 0, 1], 0),
    ("PMINTENSET_EL1", [3, 0, 9, 14, 1], 0),
    ("PMINTENCLR_EL1", [3, 0, 9, 14, 2], 0),
    // LC, and no counter.
    ("PMCR_EL0", [3, 3, 9, 12, 0], 0x40),
    ("PMCNTENSET_EL0", [3, 3, 9, 12, 1], 0),
    ("PMCNTENCLR_EL0", [3, 3, 9, 12, 2], 0),
    ("PMOVSCLR_EL0", [3, 3, 9, 12, 3], 0),
    ("PMOVSSET_EL0", [3, 3, 9, 14, 3], 0),
    ("PMSELR_EL0", [3, 3, 9, 12, 5], 0),
    ("PMCCNTR_EL0", [3, 3, 9, 13, 0], 0),
    ("PMXEVTYPER_EL0", [3, 3, 9, 13, 1], 0),
    ("PMXEVCNTR_EL0", [3, 3, 9, 13, 2], 0),
    ("PMUSERENR_EL0", [3, 3, 9, 14, 0], 0),
    ("PMEVCNTR0_EL0", [3, 3, 14, 8, 0], 0),
    ("PMEVCNTR30_EL0", [3, 3, 14, 11, 6], 0),
    ("PMEVTYPER0_EL0", [3, 3, 14, 12, 0], 0),
    ("PMEVTYPER30_EL0", [3, 3, 14, 15, 6], 0),
    ("PMCCFILTR_EL0", [3, 3, 14, 15, 7], 0),
];

const READ_ONLY: [(&str, [u32; 5], u64); 7] = [
    // OSLM = 0b10, not locked.
    ("OSLSR_EL1", [2, 0, 1, 1, 4], 0b1000),
    ("MDRAR_EL1", [2, 0, 1, 0, 0], 0),
    // Non-secure: invasive debug disabled, non-invasive enabled; Secure: not implemented.
    ("DBGAUTHSTATUS_EL1", [2, 0, 7, 14, 6], 0b1110),
    ("MDCCSR_EL0", [2, 3, 0, 1, 0], 0),
    ("PMCEID0_EL0", [3, 3, 9, 12, 6], 0),
    ("PMCEID1_EL0", [3, 3, 9, 12, 7], 0),
    ("PMMIR_EL1", [3, 0, 9, 14, 6], 0),
];

const WRITE_ONLY: [(&str, [u32; 5]); 2] = [
    ("OSLAR_EL1", [2, 0, 1, 0, 4]),
    ("PMSWINC_EL0", [3, 3, 9, 12, 4]),
];

#[test]
fn what_can_be_read_and_written_reads_as_nothing_set_and_takes_nothing() {
    for (name, encoding, value) in READ_AND_WRITTEN {
        assert_eq!(both(encoding, EL1), [gives(value), IGNORED], "{name}");
    }
    // One encoding is DBGDTRRX_EL0 to a read and DBGDTRTX_EL0 to a write.
    assert_eq!(both([2, 3, 0, 5, 0], EL1), [gives(0), IGNORED]);
}

#[test]
fn an_access_that_a_register_does_not_have_is_for_the_policy() {
    for (name, encoding, value) in READ_ONLY {
        assert_eq!(both(encoding, EL1), [gives(value), None], "{name}");
    }
    for (name, encoding) in WRITE_ONLY {
        assert_eq!(both(encoding, EL1), [None, IGNORED], "{name}");
    }
}

#[test]
fn what_an_assembler_makes_of_names_is_known() {
    // MRS and MSR have op0 to op2 and Rt in bits 20 to 0, and L in bit 21 (C6.2, MRS).
    let trapped = |word: u32| {
        let field = |lowest: u32, bits: u32| word >> lowest & ((1 << bits) - 1);
        let encoding = [
            2 + field(19, 1),
            field(16, 3),
            field(12, 4),
            field(8, 4),
            field(5, 3),
        ];
        answer(iss(encoding, field(0, 5), field(21, 1)), EL1)
    };
    for (word, text, wanted) in [
        (0xd510_1080_u32, "msr oslar_el1, x0", IGNORED),
        (0xd510_1380, "msr osdlr_el1, x0", IGNORED),
        (0xd510_0240, "msr mdscr_el1, x0", IGNORED),
        (0xd510_00c0, "msr dbgwvr0_el1, x0", IGNORED),
        (0xd510_0fa0, "msr dbgbcr15_el1, x0", IGNORED),
        (0xd51b_9e00, "msr pmuserenr_el0, x0", IGNORED),
        (0xd530_1183, "mrs x3, oslsr_el1", gives(8)),
        (0xd530_7ec3, "mrs x3, dbgauthstatus_el1", gives(14)),
        (0xd533_0103, "mrs x3, mdccsr_el0", gives(0)),
        (0xd53b_9c03, "mrs x3, pmcr_el0", gives(64)),
        (0xd53b_efe3, "mrs x3, pmccfiltr_el0", gives(0)),
        (0xd538_1023, "mrs x3, actlr_el1", gives(0)),
    ] {
        assert_eq!(trapped(word), wanted, "{text}");
    }
}

#[test]
fn other_registers_are_for_the_policy() {
    for (name, encoding) in [
        ("HCR_EL2", [3, 4, 1, 1, 0]),
        ("DBGVCR32_EL2", [2, 4, 0, 7, 0]),
        ("MDCR_EL2", [3, 4, 1, 1, 1]),
        ("SCTLR_EL1", [3, 0, 1, 0, 0]),
        ("TRCCLAIMSET", [2, 1, 7, 8, 6]),
        ("CNTP_CTL_EL0", [3, 3, 14, 2, 1]),
        ("ICC_SRE_EL1", [3, 0, 12, 12, 5]),
        ("AMCR_EL0", [3, 3, 13, 2, 0]),
        ("PMBLIMITR_EL1", [3, 0, 9, 10, 0]),
        ("an implementation defined one", [3, 0, 15, 2, 0]),
        ("where PMEVCNTR31_EL0 would be", [3, 3, 14, 11, 7]),
        ("beside MDCCINT_EL1", [2, 0, 0, 2, 1]),
        ("beside OSDTRRX_EL1", [2, 0, 0, 1, 2]),
        ("DC CISW", [1, 0, 7, 14, 2]),
        ("none", [0, 0, 0, 0, 0]),
    ] {
        assert_eq!(both(encoding, EL1), [None, None], "{name}");
    }
}

#[test]
fn a_program_is_answered_what_needs_no_leave() {
    assert_eq!(
        both([3, 3, 9, 14, 0], EL0),
        [gives(0), None],
        "PMUSERENR_EL0"
    );
    let others = READ_AND_WRITTEN.into_iter().chain(READ_ONLY);
    for (name, encoding, _) in others.filter(|(name, ..)| *name != "PMUSERENR_EL0") {
        assert_eq!(both(encoding, EL0), [None, None], "{name}");
    }
    for (name, encoding, _) in READ_AND_WRITTEN {
        assert_eq!(both(encoding, A32), [None, None], "{name}");
    }
}

#[test]
fn a_read_into_the_zero_register_changes_none() {
    let access = answer(iss([2, 0, 1, 1, 4], 31, 1), EL1).unwrap();
    assert_eq!(access.result(), None);
    let access = answer(iss([2, 0, 1, 1, 4], 30, 1), EL1).unwrap();
    assert_eq!(access.result(), Some((Gpr::from_number(30), 8)));
    assert_eq!(Answer::Ignored.result(), None);
}

/// Of the 25 bits of a syndrome, the upper three are reserved.
#[test]
fn every_syndrome_has_an_answer_or_none_and_so_many_are_answered() {
    let answered = |pstate: u64| {
        (0..1 << 22)
            .filter(|&access: &u32| answer(access, pstate).is_some())
            .count()
    };
    // 16 of each kind of break- and watchpoint register, 31 counters with their types; the others
    // of the lists that have no number, and that of DBGDTRRX_EL0 and DBGDTRTX_EL0. By 32 registers.
    let both_ways = 4 * 16 + 2 * 31 + (34 - 8 - 4) + 1;
    assert_eq!(answered(EL1), 32 * (2 * both_ways + 7 + 2));
    assert_eq!(answered(EL0), 32);
    assert_eq!(answered(A32), 0);
    for reserved in 1..8 {
        let access = reserved << 22 | iss([2, 0, 0, 2, 2], 3, 1);
        assert_eq!(answer(access, EL1), gives(0));
        assert_eq!(answer(reserved << 22, EL1), None);
    }
}
