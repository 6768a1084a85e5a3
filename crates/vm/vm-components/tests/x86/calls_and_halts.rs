//! The guest's calls, and HLT.

use crate::code::{RAX, RCX};
use crate::fixtures::only;
use crate::machine::System;
use trace_records::EndReason;
use vm_components::{X86Exception, X86ExitReason, channel};

/// RFLAGS.IF.
const INTERRUPTS: u64 = 1 << 9;

#[test]
fn halt_with_interrupts_on_waits_for_the_next_event_and_goes_on_behind_it() {
    let mut system = System::new();
    system.platform.rflags |= INTERRUPTS;
    system.run(&[0xf4], X86ExitReason::Halt);
    assert!(!system.platform.running);
    system
        .vmm
        .notified(only(channel::vmm::CLOCK), &mut system.platform);
    assert!(system.was_completed(&[0xf4]));
}

#[test]
fn halt_with_interrupts_off_ends_the_vm() {
    let mut system = System::new();
    system.run(&[0xf4], X86ExitReason::Halt);
    assert!(!system.platform.running);
    system.run_trace();
    assert_eq!(system.trace.ended(0), Some(EndReason::NothingWakesIt));
    system
        .vmm
        .notified(only(channel::vmm::CLOCK), &mut system.platform);
    assert!(!system.platform.running);
}

#[test]
fn a_call_returns_in_rax_or_ends_the_vm() {
    const VMMCALL: [u8; 3] = [0x0f, 0x01, 0xd9];
    let mut system = System::new();
    system.platform.gprs[RAX] = 0x8400_0000;
    system.run(&VMMCALL, X86ExitReason::Call);
    assert!(system.was_completed(&VMMCALL));
    assert_eq!(system.platform.gprs[RAX], 0x1_0001);
    system.platform.gprs[RAX] = 0xc600_0000;
    system.platform.gprs[RCX] = 5;
    system.run(&VMMCALL, X86ExitReason::Call);
    assert!(!system.platform.running);
}

#[test]
fn a_user_program_cannot_call() {
    const VMCALL: [u8; 3] = [0x0f, 0x01, 0xc1];
    let mut system = System::new();
    system.platform.privilege_level = 3;
    // Power off.
    system.platform.gprs[RAX] = 0x8400_0008;
    system.run(&VMCALL, X86ExitReason::Call);
    assert_eq!(system.platform.injected, [X86Exception::InvalidOpcode]);
    assert_eq!(system.platform.gprs[RAX], 0x8400_0008);
}
