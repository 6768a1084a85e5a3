//! The other address space: ports.

use crate::code::{LOAD, RAX, RDI};
use crate::fixtures::{device, emit, only};
use crate::machine::System;
use guest_access::{AccessWidth, Direction};
use trace_records::{Address, ConsoleRecord, Entry, Flags, Kind, Notice, Record};
use vm_components::log_lines::{DeviceWords, Event};
use vm_components::{X86ExitReason, channel};
use vm_config::{Action, Device, Unsupported};

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

/// A clock behind two ports, of which one is asked.
fn clock() -> Device<'static> {
    Device {
        emit: emit(true, None),
        ..device("mc146818", 0x70)
    }
}

/// The accesses in the log.
fn logged(system: &mut System) -> Vec<Record> {
    system.run_trace();
    let log = std::iter::from_fn(|| system.log.pop());
    let accesses = log.filter_map(|item| match Entry::from_words(&item.payload)? {
        Entry::Event(Kind::Access, record) => Some(record),
        _ => None,
    });
    accesses.collect()
}

/// Their words.
fn words(device: &Device<'_>, records: &[Record]) -> Vec<String> {
    let words = records.iter().map(|record| {
        let (kind, device) = (Kind::Access, DeviceWords::of(device));
        let event = Event {
            kind,
            record,
            device,
        };
        event.to_string()
    });
    words.collect()
}

#[test]
fn a_device_among_the_ports_is_asked_and_answers_with_its_part_of_rax() {
    let mut system = System::with_devices(&[clock()]);
    // Register D: the battery is good.
    system.platform.gprs[RAX] = 0x1234_560d;
    system.port(0x70, Direction::Write);
    assert!(system.was_completed(&[0xee]));
    system.port(0x71, Direction::Read);
    assert!(!system.platform.running, "it is asked");
    system.run_trace();
    assert!(system.was_completed(&[0xec]));
    assert_eq!(system.platform.gprs[RAX], 0x1234_5680);
    system.run(
        &[0xed],
        X86ExitReason::Port {
            port: 0x70,
            direction: Direction::Read,
            width: AccessWidth::Word,
        },
    );
    let told = logged(&mut system);
    assert_eq!(
        words(&clock(), &told),
        [
            "mc146818 cpu0 W1 io:0x70 INDEX = 255 -> 13 (index 13, NMI 0) pc 0x40080000 seq 1",
            "mc146818 cpu0 R1 io:0x71 DATA = 128 pc 0x40080000 seq 2",
            "mc146818 cpu0 R4 io:0x70 INDEX not supported pc 0x40080000 seq 3",
        ]
    );
}

#[test]
fn a_port_that_nobody_answers_for_leaves_the_rest_of_rax_alone() {
    let mut system = System::with_devices(&[clock()]);
    system.platform.gprs[RAX] = 0x1234_5600;
    system.port(0x71, Direction::Read);
    for _ in 0..3 {
        assert!(!system.platform.running);
        system
            .vmm
            .notified(only(channel::vmm::CLOCK), &mut system.platform);
    }
    assert!(system.was_completed(&[0xec]));
    assert_eq!(system.platform.gprs[RAX], 0x1234_56ff);
    // By now it counts as gone, and is not asked.
    system.platform.gprs[RAX] = 0x1234_5600;
    system.port(0x71, Direction::Read);
    assert!(system.was_completed(&[0xec]));
    assert_eq!(system.platform.gprs[RAX], 0x1234_56ff);
    assert_eq!(logged(&mut system).len(), 1);
}

#[test]
fn a_device_in_memory_is_no_port_of_the_same_number() {
    let memory = Device {
        name: "beside",
        ..device("adder", 0x70)
    };
    let mut system = System::with_devices(&[clock(), memory]);
    system.platform.gprs[RDI] = 0x74;
    system.access(&LOAD, Direction::Read);
    system.platform.gprs[RAX] = 0x0d;
    system.port(0x70, Direction::Write);
    let told = logged(&mut system);
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0].location(), Address::port(0x70));
}

#[test]
fn a_serial_port_that_tells_tells_of_ports_as_its_vmms_word() {
    let com2 = Device {
        name: "com2",
        emit: emit(true, None),
        ..device("ser8250", 0x2f8)
    };
    let mut system = System::with_devices(&[com2]);
    system.platform.gprs[RAX] = 0x80;
    system.port(0x2fb, Direction::Write);
    system.port(0x2fd, Direction::Read);
    let told = logged(&mut system);
    assert!(told.iter().all(|it| it.tag.flags().contains(Flags::OF_VMM)));
    assert_eq!(
        words(&com2, &told),
        [
            "com2 cpu0 W1 io:0x2fb LCR = 0 -> 128 (DLAB 1) pc 0x40080000 seq 1 (its VMM says)",
            "com2 cpu0 R1 io:0x2fd LSR = 96 (THRE 1, TEMT 1) pc 0x40080000 seq 2 (its VMM says)",
        ]
    );
}

#[test]
fn a_serial_port_is_reset_with_its_vm() {
    let mut system = System::new();
    system.platform.gprs[RAX] = 0x83;
    system.port(0x3fb, Direction::Write);
    system.port(0x3fb, Direction::Read);
    assert_eq!(system.platform.gprs[RAX] & 0xff, 0x83);
    // SYSTEM_RESET.
    system.platform.gprs[RAX] = 0x8400_0009;
    system.run(&[0x0f, 0x01, 0xc1], X86ExitReason::Call);
    assert!(!system.platform.running);
    system.run_trace();
    assert!(system.platform.running);
    system.port(0x3fb, Direction::Read);
    assert_eq!(system.platform.gprs[RAX] & 0xff, 0);
}
