//! Guests that cannot go on, and those that say so: the run fails, with the reason and the place.

use crate::everywhere::{everywhere, on, on_architecture};
use crate::platforms::root;
use runner::Architecture;

#[test]
fn a_guest_that_jumps_to_where_there_is_no_code_ends_and_the_log_says_where() {
    for (scenario, address, pc) in [
        ("lost-hole", 0x1000_0000_u64, 0x1000_0000_u64),
        ("lost-device", 0xfa00_0000, 0xfa00_0000),
        ("lost-end", 0xff_ffff_fffc, 0xff_ffff_fffc),
        ("lost-table", 0x1000_0000, 0x8000_0000),
    ] {
        everywhere(scenario, |outcome| {
            let is_x86 = outcome.architecture == Architecture::X86_64;
            // seL4 for Arm does not tell where a walk of the guest's tables went.
            let told = scenario != "lost-table" || is_x86 || !outcome.on_sel4;
            let address = if told { address } else { 0 };
            // There is no paging off in 64-bit mode: the end is on a page of the window.
            let moved = scenario == "lost-end" && is_x86;
            let pc = if moved { 0x8000_0ffc } else { pc };
            let why = match (scenario, is_x86) {
                ("lost-table", true) => format!("memory error at {address:#x}, pc {pc:#x}"),
                _ => format!("the guest left its RAM: it executes {address:#x}, pc {pc:#x}"),
            };
            let line = format!("fatal {scenario}: ended: {why}");
            assert!(outcome.reason().contains(&line), "{}", outcome.reason());
        });
    }
}

/// Where a CPU can neither go on nor blame an instruction.
#[test]
fn an_x86_guest_whose_cpu_cannot_go_on_ends_and_the_log_says_where() {
    for (scenario, why) in [
        ("lost-walk", "memory error at 0xfa000000, pc 0x"),
        ("lost-stack", "memory error at 0xffffff8, pc 0x"),
        (
            "lost-triple-fault",
            "unexpected exception class 0x0 at pc 0x",
        ),
        (
            "lost-mode",
            "unexpected exception class 0xffffffff at pc 0x",
        ),
    ] {
        let config = root().join(format!("tools/runner/scenarios/{scenario}.conf"));
        let platforms = on_architecture(scenario, Architecture::X86_64);
        on(platforms, &[config], None, |outcome| {
            // Every change of CR4 leaves the guest there, and the VMM refuses as a CPU does.
            let why = match scenario {
                "lost-mode" if outcome.on_sel4 => "the guest says that it failed, code 4",
                _ => why,
            };
            let line = format!("fatal {scenario}: ended: {why}");
            assert!(outcome.reason().contains(&line), "{}", outcome.reason());
        });
    }
}

#[test]
fn a_guest_that_halts_with_interrupts_off_ends_and_the_log_says_where() {
    everywhere("halts", |outcome| {
        let printed = outcome.printed();
        let said = "halts| guest: halts, with the counter at 0";
        assert!(
            printed.iter().any(|line| line.contains(said)),
            "{printed:#?}"
        );
        let why = "fatal halts: ended: halted with interrupts off at pc 0x";
        assert!(outcome.reason().contains(why), "{}", outcome.reason());
    });
}

#[test]
fn policy_abort_ends_the_vm_and_says_where() {
    everywhere("unsupported-aborts", |outcome| {
        let reason = outcome.reason();
        assert!(
            reason.contains("policy abort, unsupported instruction at pc 0x"),
            "{reason}"
        );
    });
}

#[test]
fn a_guest_that_fails_makes_the_run_fail_with_its_reason() {
    for (how, code) in [("panic", 3), ("exception", 4), ("fail", 5)] {
        everywhere(&format!("stuck-{how}"), |outcome| {
            let wanted = format!("the guest says that it failed, code {code}");
            assert!(outcome.reason().contains(&wanted), "{}", outcome.reason());
        });
    }
}
