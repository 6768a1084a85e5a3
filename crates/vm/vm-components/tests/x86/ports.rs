//! The other address space: ports.

use crate::code::{LOAD, RAX, RDI};
use crate::machine::System;
use guest_access::{AccessWidth, Direction};
use trace_records::{Address, ConsoleRecord, Entry, Kind, Notice};
use vm_components::{X86ExitReason, channel};
use vm_config::{Action, Unsupported};

#[test]
fn ports_without_a_device_read_all_ones() {
    let mut system = System::new();
    system.platform.gprs[RAX] = 0xffff_ffff_1234_5678;
    let port = |width, direction| X86ExitReason::Port {
        port: 0x60,
        direction,
        width,
    };
    // in al, dx: the other bits stay; in eax, dx: the upper half becomes 0.
    system.run(&[0xec], port(AccessWidth::Byte, Direction::Read));
    assert_eq!(system.platform.gprs[RAX], 0xffff_ffff_1234_56ff);
    system.run(&[0xed], port(AccessWidth::Word, Direction::Read));
    assert_eq!(system.platform.gprs[RAX], 0xffff_ffff);
    system.run(&[0xee], port(AccessWidth::Byte, Direction::Write));
    assert!(system.was_completed(&[0xee]));
}

/// Where the records of the log and the messages of the VMM say that something was.
fn told_of(action: Action) -> (Vec<(Kind, Address)>, Vec<Address>) {
    let unsupported = Unsupported {
        reference: action,
        ..Unsupported::default()
    };
    let mut system = System::with(unsupported);
    let read = X86ExitReason::Port {
        port: 0x2f8,
        direction: Direction::Read,
        width: AccessWidth::Byte,
    };
    system.run(&[0xec], read);
    // The same number in memory: what is not the device's.
    system.platform.gprs[RDI] = 0x2f8;
    system.access(&LOAD, Direction::Read);
    system.run_trace();
    let log = std::iter::from_fn(|| system.log.pop());
    let log = log.filter_map(|item| match Entry::from_words(&item.payload)? {
        Entry::Event(kind, record) => Some((kind, record.location())),
        _ => None,
    });
    let notices = std::iter::from_fn(|| system.console.pop());
    let notices = notices.filter_map(|item| match ConsoleRecord::from_words(&item.payload)? {
        ConsoleRecord::Notice {
            notice: Notice::Refused,
            address,
            ..
        } => Some(address),
        _ => None,
    });
    (log.collect(), notices.collect())
}

#[test]
fn what_is_told_of_a_port_says_that_it_is_one() {
    let port = Address::port(0x2f8);
    let outside = (Kind::Outside, port);
    // Of what is outside one a second is logged, and of exceptions one a second told.
    assert_eq!(told_of(Action::Ignore), (vec![outside], vec![]));
    assert_eq!(told_of(Action::Fail), (vec![outside], vec![port]));
    let ended = (Kind::End, port);
    assert_eq!(told_of(Action::Abort), (vec![outside, ended], vec![]));
}

#[test]
fn a_serial_port_is_ready_and_takes_characters() {
    let mut system = System::new();
    let port = |port, direction| X86ExitReason::Port {
        port,
        direction,
        width: AccessWidth::Byte,
    };
    system.run(&[0xec], port(0x3fd, Direction::Read));
    assert_eq!(system.platform.gprs[RAX] & 0xff, 0x60);
    system.platform.notified.clear();
    for character in b"hi\n" {
        system.platform.gprs[RAX] = u64::from(*character);
        system.run(&[0xee], port(0x3f8, Direction::Write));
    }
    assert_eq!(system.platform.notified, [channel::vmm::CONSOLE]);
}
