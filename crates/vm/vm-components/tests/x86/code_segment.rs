//! Platforms that have to ask for the code segment, which costs: an instruction that was found once
//! is recalled, and still never taken for what the same bytes are in another mode.

use crate::code::{LOAD, RDI};
use crate::fixtures::{LOC, RAM};
use crate::machine::{RIP, System};
use crate::platform::{CODE_32, CODE_64, RAM_BYTES};
use guest_access::{Direction, GuestPhysAddr};
use vm_components::{Machine, X86Exception, X86Exit, X86ExitReason};

#[test]
fn what_reads_alike_is_completed_without_asking_for_the_code_segment() {
    let mut system = System::blind();
    system.platform.gprs[RDI] = LOC;
    system.access(&LOAD, Direction::Read);
    let asked = system.platform.asked.get();
    assert_ne!(asked, 0);
    for attributes in [CODE_64, CODE_32] {
        system.platform.code_attributes = attributes;
        system.access(&LOAD, Direction::Read);
        assert!(system.was_completed(&LOAD));
        assert_eq!(system.platform.asked.get(), asked);
    }
    assert_eq!(system.traced().len(), 3);
}

#[test]
fn what_does_not_read_alike_is_decoded_anew_when_the_code_segment_has_changed() {
    // mov r8d, [rdi], or inc esp and more.
    const REX_LOAD: [u8; 3] = [0x44, 0x8b, 0x07];
    let mut system = System::blind();
    system.platform.gprs[RDI] = LOC;
    for _ in 0..2 {
        system.platform.gprs[8] = u64::MAX;
        system.access(&REX_LOAD, Direction::Read);
        assert!(system.was_completed(&REX_LOAD));
        assert_eq!(system.platform.gprs[8], 0);
    }
    // Only found once: the second time its code segment was asked for, and was the same.
    let asked = system.platform.asked.get();
    system.access(&REX_LOAD, Direction::Read);
    assert_eq!(system.platform.asked.get(), asked + 1);
    system.platform.code_attributes = CODE_32;
    system.access(&REX_LOAD, Direction::Read);
    assert_eq!(system.platform.injected, [X86Exception::InvalidOpcode]);
}

#[test]
fn an_instruction_of_another_length_in_the_other_mode_gets_its_own() {
    // mov eax, [LOC]: the address has eight bytes, or four.
    let load = [&[0xa1], &LOC.to_le_bytes()[..]].concat();
    let mut system = System::blind();
    system.platform.gprs[RDI] = LOC;
    for (attributes, len) in [(CODE_64, 9), (CODE_64, 9), (CODE_32, 5), (CODE_64, 9)] {
        system.platform.code_attributes = attributes;
        system.access(&load, Direction::Read);
        assert_eq!(system.platform.rip, RIP + len);
    }
    assert_eq!(system.traced().len(), 4);
}

#[test]
fn behind_the_last_of_4_gib_32_bit_code_begins_at_0_again() {
    const LAST: u64 = 0xffff_fffe;
    for (attributes, next) in [(CODE_32, 0), (CODE_64, 1 << 32)] {
        let mut system = System::blind();
        let platform = &mut system.platform;
        platform.code_attributes = attributes;
        // The last 2 MiB of the first 4 GiB are where the code is.
        let place = GuestPhysAddr(platform.page_tables + 5 * 0x1000 + 511 * 8);
        let entry = RAM | 0b11 | 1 << 7;
        assert!(platform.write_ram(place, &entry.to_le_bytes()));
        let code = GuestPhysAddr(RAM + RAM_BYTES as u64 - 2);
        assert!(platform.write_ram(code, &LOAD));
        platform.gprs[RDI] = LOC;
        let (address, direction) = (GuestPhysAddr(LOC), Direction::Read);
        for _ in 0..3 {
            system.platform.rip = LAST;
            let exit = X86Exit {
                rip: LAST,
                next_rip: None,
                reason: X86ExitReason::Access { address, direction },
            };
            system.vmm.exit(exit, &mut system.platform);
            assert_eq!(system.platform.rip, next);
        }
        system.platform.rip = LAST;
        let halt = X86Exit {
            rip: LAST,
            next_rip: None,
            reason: X86ExitReason::Halt,
        };
        assert_eq!(halt.after(&system.platform), Some(next));
    }
}
