//! A guest that waits for interrupts, of which there are none: it sleeps, or has halted for good.

use crate::fixtures::{PC, RAM};
use crate::machine::{MS, System};
use crate::platform::EL1H;

/// EC of a trapped WFI.
const WFI: u64 = 0x01 << 26;

/// The VM after these instructions, of which the last but one, at [`PC`], was WFI.
fn waiting(code: &[u32], pstate: u64) -> System {
    let mut system = System::new();
    system.platform.pstate = pstate;
    let first = (PC - RAM) as usize - 4 * (code.len() - 2);
    for (place, word) in system.platform.ram[first..]
        .as_chunks_mut::<4>()
        .0
        .iter_mut()
        .zip(code)
    {
        *place = word.to_le_bytes();
    }
    assert!(!system.exit(WFI, 0));
    system.pass(100 * MS);
    system
}

// Arm ARM C6.2: WFI, NOP, DSB SY, ISB, B to an instruction so many before.
const WFI_CODE: u32 = 0xd503_207f;
const NOP: u32 = 0xd503_201f;
const DSB_SY: u32 = 0xd503_3f9f;
const ISB: u32 = 0xd503_3fdf;
const fn b_back(instructions: u32) -> u32 {
    0x1400_0000 | (0x0400_0000 - instructions)
}

#[test]
fn a_loop_of_wfi_that_nothing_ends_ends_the_vm() {
    for code in [
        &[WFI_CODE, b_back(1)][..],
        &[DSB_SY, WFI_CODE, b_back(2)],
        &[DSB_SY, ISB, NOP, NOP, WFI_CODE, b_back(5)],
        // What stands before the loop is not part of it.
        &[0, WFI_CODE, b_back(1)],
    ] {
        let system = waiting(code, EL1H);
        assert!(!system.platform.running, "{code:x?}");
        let line =
            "fatal demo: ended: halted with interrupts off at pc 0x40080000: nothing wakes it";
        assert_eq!(system.lines(line).len(), 1, "{code:x?}");
    }
}

#[test]
fn a_wait_that_something_may_end_or_that_does_more_goes_on() {
    // ldr w0, [x1]; wfe would do no harm, cbz x0, . - 4; bl . - 4; b . + 4; b .
    let load = 0xb940_0020;
    for code in [
        &[WFI_CODE, NOP][..],
        &[load, WFI_CODE, b_back(2)],
        &[WFI_CODE, 0xb4ff_ffe0],
        &[WFI_CODE, 0x97ff_ffff],
        &[WFI_CODE, 0x1400_0001],
        &[WFI_CODE, 0x1400_0000],
        &[NOP, NOP, NOP, NOP, NOP, WFI_CODE, b_back(6)],
    ] {
        let system = waiting(code, EL1H);
        assert!(system.platform.running, "{code:x?}");
        assert_eq!(system.platform.pc, PC + 4);
    }
    // One of DAIF is not masked; or the program is one at EL0.
    for pstate in [EL1H & !(1 << 9), EL1H & !(1 << 6), EL1H & !0xf] {
        assert!(waiting(&[WFI_CODE, b_back(1)], pstate).platform.running);
    }
}

#[test]
fn a_guest_that_only_waits_is_told_of_once_until_it_does_something() {
    let mut system = System::new();
    let waits = |system: &mut System, wakes: u64| {
        for _ in 0..wakes {
            assert!(!system.exit(WFI, 0));
            system.pass(100 * MS);
        }
    };
    // An access or a call in between: it is not idle.
    for step in 0..10 {
        waits(&mut system, 20);
        if step % 2 == 0 {
            system.read();
        } else {
            assert!(system.hypercall(0x8400_0000, 0));
        }
    }
    assert_eq!(system.lines("only waits").len(), 0);
    waits(&mut system, 200);
    assert_eq!(
        system
            .lines("warn  demo: the guest only waits for interrupts, for 5 s")
            .len(),
        1
    );
    system.read();
    waits(&mut system, 60);
    assert_eq!(system.lines("only waits").len(), 2);
}

#[test]
fn waiting_for_an_interrupt_sleeps_until_something_happens() {
    let mut system = System::new();
    assert!(!system.exit(0x01 << 26, 0));
    system.pass(100 * MS);
    assert!(system.platform.running);
    assert_eq!(system.platform.pc, PC + 4);
}
