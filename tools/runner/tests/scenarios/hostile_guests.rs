//! Guests that try what they must not: each is answered and goes on.

use crate::everywhere::{assert_that_the_guest_is_content, everywhere};
use runner::Architecture;

#[test]
fn calls_and_registers_that_do_not_exist_are_answered_one_by_one() {
    everywhere("calls", |outcome| {
        outcome.assert_guest_is_done();
        // By HVC and SMC, or by the vendor's one instruction.
        let ways = match outcome.architecture {
            Architecture::X86_64 => 1,
            Architecture::Aarch64 => 2,
        };
        let calls = outcome.number("that do not exist", " calls that");
        assert_eq!(calls, ways * 1024, "{}", outcome.ran.platform);
        if ways == 1 {
            let ports = outcome.number("to ports where nothing is", " accesses to ports");
            assert_eq!(
                outcome.number("outside a device", " outside a device"),
                ports
            );
        }
        assert!(outcome.contains("info  calls: ended: powered off by the guest"));
        // Its ports are told of as ports, and there is nothing else outside a device.
        let outside = outcome
            .lines()
            .iter()
            .filter(|line| line.contains("no device: "));
        assert!(outside.clone().all(|line| line.contains(" io:0x")));
        assert_eq!(
            outside.count() != 0,
            outcome.architecture == Architecture::X86_64
        );
    });
}

#[test]
fn a_guest_that_misuses_psci_gets_answers_and_as_many_resets_as_it_wants() {
    everywhere("psci", |outcome| {
        outcome.assert_guest_is_done();
        // Each life begins with one read and one write; the numbers go on.
        let accesses = outcome.number("accesses = ", " reads");
        assert_eq!(outcome.number("accesses = ", " writes"), accesses);
        assert!(accesses > 10, "{accesses} lives");
        assert!(outcome.contains("info  psci: ended: powered off by the guest"));
    });
}

#[test]
fn what_changes_between_trap_and_fetch_is_refused_and_the_guest_lives() {
    everywhere("rewritten", |outcome| {
        outcome.assert_guest_is_done();
        assert!(outcome.contains("warn  rewritten: "));
        assert!(outcome.contains("info  rewritten: ended: powered off by the guest"));
        let told = match (outcome.architecture, outcome.on_sel4) {
            (Architecture::X86_64, _) => 14,
            // A walk of the CPU's that ends in the device is an exception and no access.
            (Architecture::Aarch64, _) => 11,
        };
        assert_eq!(outcome.number("accesses = ", " refused"), told);
    });
}

#[test]
fn a_program_at_el0_gains_nothing_by_using_the_device() {
    assert_that_the_guest_is_content("user-mode");
}
