//! The guest's own page tables, which the device's accesses obey like any others.

use crate::code::{ADD, LOAD, RDI, STORE};
use crate::fixtures::LOC;
use crate::machine::System;
use guest_access::{Direction, GuestPhysAddr};
use vm_components::{Machine, X86Exception, X86ExitReason};

#[test]
fn a_guest_whose_tables_are_not_in_ram_ends_its_vm() {
    let mut system = System::new();
    let (address, direction) = (GuestPhysAddr(LOC), Direction::Read);
    system.run(&LOAD, X86ExitReason::OwnAccess { address, direction });
    assert!(!system.platform.running && system.platform.injected.is_empty());
}

#[test]
fn a_write_that_the_guests_tables_forbid_is_its_page_fault() {
    let mut system = System::new();
    let tables = system.platform.page_tables;
    // The entry of level 2 for the device's 2 MiB: of the fourth GiB's table.
    let place = GuestPhysAddr(tables + 5 * 0x1000 + (LOC >> 21 & 0x1ff) * 8);
    let entry = LOC & !0x1f_ffff | 1 | 1 << 7;
    assert!(system.platform.write_ram(place, &entry.to_le_bytes()));
    system.platform.gprs[RDI] = LOC;
    system.access(&ADD, Direction::Read);
    let (address, error_code) = (LOC, 0b11);
    let wanted = X86Exception::PageFault {
        address,
        error_code,
    };
    assert_eq!(system.platform.injected, [wanted]);
    assert!(system.traced().is_empty());
}

#[test]
fn a_user_gets_no_further_by_way_of_the_device_than_its_tables_let_it() {
    let mut system = System::new();
    system.platform.privilege_level = 3;
    let tables = system.platform.page_tables;
    let user = |system: &mut System, place: u64, entry: u64| {
        let bytes = (entry | 0b111).to_le_bytes();
        assert!(system.platform.write_ram(GuestPhysAddr(place), &bytes));
    };
    // The device's page is the last of its 2 MiB, and the user's; what follows is not.
    let device = LOC + 0x1f_f000;
    user(&mut system, tables, tables + 0x1000);
    user(&mut system, tables + 0x1000 + 3 * 8, tables + 0x5000);
    let large = tables + 0x5000 + (LOC >> 21 & 0x1ff) * 8;
    user(&mut system, large, LOC | 1 << 7);
    system.platform.gprs[RDI] = device + 0xffe;
    system.access(&STORE, Direction::Write);
    let (address, error_code) = (device + 0x1000, 0b111);
    let wanted = X86Exception::PageFault {
        address,
        error_code,
    };
    assert_eq!(system.platform.injected, [wanted]);
}
