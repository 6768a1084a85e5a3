//! What is told of devices of every kind, and of those that stay inside the VMM.

use crate::fixtures::every_kind::{Answered, accesses, of_every_kind};
use crate::fixtures::{LOC, device, emit};
use crate::machine::{HZ, MS, System, TraceIs};
use guest_access::Direction;
use trace_records::{ACCESS_SLOTS, Flags};
use vm_config::{AnyVdev, Device, Unsupported};

/// The log's lines about accesses, without their times.
fn told(system: &System) -> Vec<&str> {
    let without_time = |line: &'_ str| line.find("] ").map_or(0, |end| end + 2);
    let lines = system.lines(" cpu0 ").into_iter();
    lines.map(|line| &line[without_time(line)..]).collect()
}

/// A UART that tells, beside the silent one that every VM here has.
const TELLS: u64 = 0x0901_0000;

fn telling_uart() -> Device<'static> {
    Device {
        name: "uart1",
        emit: emit(true, Some(7)),
        ..device("pl011", TELLS)
    }
}

#[test]
fn whatever_kind_a_device_is_of_each_access_is_told_once() {
    let devices = of_every_kind(LOC, None);
    let mut system = System::with(&devices, Unsupported::default());
    let mut made = Vec::new();
    for device in &devices {
        for access in accesses(device.vdev.kind()) {
            system.platform.gprs[2] = access.value.into();
            let write = u64::from(access.direction == Direction::Write);
            let log2 = access.width.log2().into();
            if !system.access(device.loc + access.offset, log2, write, 2) {
                system.pass(10 * MS);
            }
            assert!(system.platform.running, "{device:?} {access:?}");
            let value = system.platform.gprs[2] as u32;
            made.push((device.loc + access.offset, access, value));
        }
    }
    system.pass(20 * MS);
    let told = system.traced();
    assert_eq!(told.len(), made.len());
    for (record, (address, access, value)) in told.iter().zip(made) {
        let tag = record.tag;
        assert_eq!(
            (record.address.0, tag.direction(), tag.width()),
            (address, access.direction, Some(access.width))
        );
        let is_refused = tag.flags().contains(Flags::REFUSED);
        assert_eq!(is_refused, access.is == Answered::Refused, "{access:?}");
        if access.direction == Direction::Read && !is_refused {
            assert_eq!(record.value, value, "what the guest got: {access:?}");
        }
    }
    assert!(system.lines("misbehaves").is_empty());
}

#[test]
fn log_lines_name_registers_and_their_bits() {
    let clock = Device {
        emit: emit(true, None),
        ..device("pl031", LOC)
    };
    let mut system = System::with(&[clock], Unsupported::default());
    system.platform.gprs[2] = 1;
    assert!(system.access(LOC + 0x10, 2, 1, 2));
    assert!(system.access(LOC + 0xfe0, 2, 0, 1));
    assert!(system.access(LOC + 0x10, 0, 0, 1));
    system.pass(20 * MS);
    assert_eq!(
        told(&system),
        [
            "info  demo pl031 cpu0 W4 0xfa000010 RTCIMSC = 0 -> 1 (RTCINTR 1) pc 0x40080000 seq 1",
            "info  demo pl031 cpu0 R4 0xfa000fe0 PeriphID0 = 49 pc 0x40080000 seq 2",
            // Not all of it, so not its bits.
            "info  demo pl031 cpu0 R1 0xfa000010 RTCIMSC = 0 pc 0x40080000 seq 3",
        ]
    );
}

#[test]
fn what_is_refused_has_no_value_and_no_bits() {
    let fifo = Device {
        emit: emit(true, None),
        ..device("fifo-tester", LOC)
    };
    let mut system = System::with(&[fifo], Unsupported::default());
    assert!(system.access(LOC + 8, 2, 0, 1));
    system.pass(20 * MS);
    assert_eq!(
        told(&system),
        ["warn  demo fifo-tester cpu0 R4 0xfa000008 control not supported pc 0x40080000 seq 1"]
    );
}

#[test]
fn what_a_vmm_has_is_told_as_its_word() {
    let mut system = System::with(&[telling_uart()], Unsupported::default());
    system.platform.gprs[4] = b'a'.into();
    assert!(system.access(TELLS, 2, 1, 4));
    assert!(system.access(TELLS + 0x18, 2, 0, 1));
    assert!(system.access(TELLS + 0xfe4, 2, 0, 1));
    system.pass(20 * MS);
    assert_eq!(
        told(&system),
        [
            "info  demo uart1 cpu0 W4 0x09010000 DR = 0 -> 97 pc 0x40080000 seq 1 (its VMM says)",
            "info  demo uart1 cpu0 R4 0x09010018 FR = 151 (RXFE 1, TXFF 0, RXFF 0, TXFE 1) pc 0x40080000 \
             seq 2 (its VMM says)",
            "info  demo uart1 cpu0 R4 0x09010fe4 PeriphID1 = 16 pc 0x40080000 seq 3 (its VMM says)",
        ]
    );
    let traced = system.traced();
    assert_eq!(traced.len(), 3);
    for record in traced {
        assert_eq!(record.tag.event(), 7);
        assert!(record.tag.flags().contains(Flags::OF_VMM));
    }
    system.power_off();
    assert!(
        system
            .screen
            .0
            .contains("uart1: 3 accesses = 2 reads + 1 writes + 0 refused")
    );
    // And of the silent one nothing is said.
    assert!(!system.screen.0.contains("pl011: "), "{}", system.screen.0);
}

#[test]
fn what_a_vmm_has_waits_for_room_and_goes_on_if_nobody_makes_it() {
    let mut system = System::with(&[telling_uart()], Unsupported::default());
    system.trace_is = TraceIs::Stopped;
    system.platform.gprs[4] = b'x'.into();
    for _ in 0..ACCESS_SLOTS {
        assert!(system.access(TELLS, 2, 1, 4));
    }
    assert!(!system.access(TELLS, 2, 1, 4), "there is no room");
    system.trace_is = TraceIs::Alive;
    system.pass(20 * MS);
    assert!(system.platform.running);
    system.trace_is = TraceIs::Stopped;
    system.pass(HZ);
    let beyond = 3;
    for _ in 0..ACCESS_SLOTS + beyond {
        assert!(
            system.access(TELLS, 2, 1, 4),
            "nobody waits for who is gone"
        );
    }
    system.trace_is = TraceIs::Alive;
    system.pass(200 * MS);
    // By its number it is known how many are missing before it.
    assert!(system.access(TELLS + 0x18, 2, 0, 1));
    system.power_off();
    assert!(
        system.screen.0.contains(&format!(" {beyond} unrecorded")),
        "{}",
        system.screen.0
    );
    // Characters are what they were, whoever hears of the accesses.
    let all = 2 * ACCESS_SLOTS + 1 + beyond;
    let printed: usize = system.screen.0.matches('x').count();
    assert!(printed >= all, "{printed} of {all}");
}
