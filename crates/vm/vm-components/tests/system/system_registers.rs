//! A guest's accesses to system registers that nothing is behind, as an operating system makes them at boot, and
//! to those that the VM does not have.

use crate::fixtures::{PC, trace_device};
use crate::machine::{MS, System};
use crate::platform::EL1H;
use vm_components::GuestException;
use vm_config::{Action, Unsupported};

/// EC of a trapped MRS or MSR, and IL.
const TRAPPED: u64 = 0x18 << 26 | 1 << 25;
/// SS, which an instruction clears.
const SS: u64 = 1 << 21;

/// The syndrome of an instruction word of MRS or MSR (C6.2): L, op0 to op2 and Rt.
fn trapped(word: u64) -> u64 {
    let field = |lowest: u64, bits: u64| word >> lowest & ((1 << bits) - 1);
    let (op0, op1, op2) = (2 + field(19, 1), field(16, 3), field(5, 3));
    let (crn, crm, rt, is_read) = (field(12, 4), field(8, 4), field(0, 5), field(21, 1));
    TRAPPED | op0 << 20 | op2 << 17 | op1 << 14 | crn << 10 | rt << 5 | crm << 1 | is_read
}

/// Some of what arm64 Linux writes at boot, as `msr oslar_el1, x5`: OSLAR_EL1, OSDLR_EL1, MDSCR_EL1, DBGBCR0_EL1,
/// DBGBVR0_EL1, DBGWCR1_EL1, DBGWVR1_EL1, PMUSERENR_EL0.
const AT_BOOT: [u64; 8] = [
    0xd510_1085,
    0xd510_1385,
    0xd510_0245,
    0xd510_00a5,
    0xd510_0085,
    0xd510_01e5,
    0xd510_01c5,
    0xd51b_9e05,
];

/// `mrs x3, mdscr_el1`, and of OSLSR_EL1, DBGAUTHSTATUS_EL1, PMCR_EL0, ACTLR_EL1; what they give.
const READS: [(u64, u64); 5] = [
    (0xd530_0243, 0),
    (0xd530_1183, 8),
    (0xd530_7ec3, 14),
    (0xd53b_9c03, 64),
    (0xd538_1023, 0),
];

const MRS_XZR_OSLSR: u64 = 0xd530_119f;
const MSR_OSLSR: u64 = 0xd510_1183;
const MRS_OSLAR: u64 = 0xd530_1083;
const MRS_HCR_EL2: u64 = 0xd53c_1103;
const MRS_PMUSERENR: u64 = 0xd53b_9e03;
const MRS_PMCCNTR: u64 = 0xd53b_9d03;

fn with(register: Action) -> System {
    let unsupported = Unsupported {
        register,
        ..Unsupported::default()
    };
    System::with(&[trace_device(true, None)], unsupported)
}

/// The guest goes on behind the instruction and has noticed nothing.
fn goes_on(system: &mut System, word: u64) {
    system.platform.pc = 0;
    assert!(system.exit(trapped(word), 0), "{word:#x}");
    assert_eq!(system.platform.pc, PC + 4, "{word:#x}");
    assert_eq!(system.platform.injected, [], "{word:#x}");
}

#[test]
fn what_an_operating_system_sets_up_at_boot_is_answered_whatever_the_policy_is() {
    for policy in [Action::Ignore, Action::Fail, Action::Abort] {
        let mut system = with(policy);
        system.pass(20 * MS);
        let told = system.screen.0.clone();
        system.platform.gprs = [u64::MAX; 31];
        for word in AT_BOOT {
            goes_on(&mut system, word);
            assert_eq!(system.platform.gprs, [u64::MAX; 31], "{word:#x}");
        }
        for (word, value) in READS {
            goes_on(&mut system, word);
            let mut wanted = [u64::MAX; 31];
            wanted[3] = value;
            assert_eq!(system.platform.gprs, wanted, "{word:#x}");
        }
        system.pass(200 * MS);
        assert_eq!(system.screen.0, told, "nobody hears of it");
        system.power_off();
        assert!(system.lines("exceptions given").is_empty());
    }
}

#[test]
fn a_system_register_is_read_into_the_zero_register_and_gone() {
    let mut system = with(Action::Abort);
    let before = system.platform.gprs;
    goes_on(&mut system, MRS_XZR_OSLSR);
    assert_eq!(system.platform.gprs, before);
}

#[test]
fn a_step_over_a_system_register_is_over() {
    let mut system = with(Action::Fail);
    system.platform.pstate = EL1H | SS;
    goes_on(&mut system, READS[0].0);
    assert_eq!(system.platform.pstate, EL1H);
}

#[test]
fn what_the_vm_does_not_have_follows_the_register_policy() {
    for word in [MRS_HCR_EL2, MSR_OSLSR, MRS_OSLAR] {
        let mut system = with(Action::Fail);
        assert!(system.exit(trapped(word), 0));
        assert_eq!(system.platform.injected, [GuestException::Undefined]);
        system.power_off();
        assert_eq!(system.lines("exceptions given").len(), 1, "{word:#x}");
        goes_on(&mut with(Action::Ignore), word);
        let mut system = with(Action::Abort);
        assert!(!system.exit(trapped(word), 0), "{word:#x}");
        system.pass(200 * MS);
        assert_eq!(system.lines("unsupported system register").len(), 1);
    }
}

#[test]
fn a_program_reads_what_it_may_use_and_may_use_nothing() {
    const EL0: u64 = 0;
    let mut system = with(Action::Fail);
    system.platform.pstate = EL0;
    system.platform.gprs[3] = 1;
    goes_on(&mut system, MRS_PMUSERENR);
    assert_eq!(system.platform.gprs[3], 0);
    assert!(system.exit(trapped(MRS_PMCCNTR), 0));
    assert_eq!(system.platform.injected, [GuestException::Undefined]);
}

#[test]
fn a_vmm_that_is_started_again_answers_as_the_one_before() {
    let mut system = with(Action::Abort);
    for word in AT_BOOT {
        goes_on(&mut system, word);
        system.replace_vmm();
        assert!(system.platform.running, "{word:#x}");
    }
    for (word, value) in READS {
        goes_on(&mut system, word);
        assert_eq!(system.platform.gprs[3], value);
        system.replace_vmm();
    }
}
