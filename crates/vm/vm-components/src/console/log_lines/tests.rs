//! What the log says of the bits of a register that was accessed in part.

use super::*;
use guest_access::{AccessWidth, GuestPhysAddr};
use vdev_model::{Field, Otherwise};

extern crate std;
use std::string::{String, ToString};

const LOC: u64 = 0xfa00_0000;

static KIND: Kind = Kind {
    len: 8,
    registers: &[
        Register::word("MODE", 0)
            .narrow()
            .fields(&[Field::bits("LOW", 0, 8), Field::bits("HIGH", 24, 8)]),
        Register::word("STATUS", 4)
            .read_only()
            .fields(&[Field::bit("READY", 0)]),
    ],
    otherwise: Otherwise::Ignored,
    ..Kind::new("test", "registers with bits")
};

/// The line of an access of a byte or a word at this offset, behind the address.
fn line(direction: Direction, offset: u64, width: AccessWidth, value: u32, flags: Flags) -> String {
    let tag = Tag::new(RecordKind::Access).with_access(direction, Some(width));
    let record = Record {
        time: 0,
        address: GuestPhysAddr(LOC + offset),
        pc: 0,
        value,
        old: 0x1122_3344,
        sequence: 1,
        tag: tag.with_flags(flags),
        state_seen: 0,
        epoch: 0,
    };
    let event = Event {
        kind: RecordKind::Access,
        record: &record,
        device: DeviceWords {
            name: "test",
            is: Some((&KIND, LOC)),
        },
    };
    let line = event.to_string();
    let (_, rest) = line.split_once(" 0xfa00000").unwrap();
    rest[2..]
        .strip_suffix(" pc 0x0 seq 1")
        .unwrap_or(&rest[2..])
        .to_string()
}

#[test]
fn a_narrow_write_tells_all_bits_and_a_narrow_read_none() {
    // As the device domain completes the record: `narrow_writes_merge_into_their_little_endian_lane`.
    assert_eq!(
        line(
            Direction::Write,
            2,
            AccessWidth::Byte,
            0x11aa_3344,
            Flags::NONE
        ),
        "MODE = 287454020 -> 296366916 (LOW 68, HIGH 17)"
    );
    assert_eq!(
        line(Direction::Read, 0, AccessWidth::Byte, 0x44, Flags::NONE),
        "MODE = 68"
    );
}

#[test]
fn a_narrow_write_of_which_a_vmm_tells_is_no_whole_register() {
    assert_eq!(
        line(Direction::Write, 2, AccessWidth::Byte, 0xaa, Flags::OF_VMM),
        "MODE = 287454020 -> 170 pc 0x0 seq 1 (its VMM says)"
    );
}

#[test]
fn what_a_device_ignores_has_no_bits() {
    let ignored = [
        line(Direction::Write, 4, AccessWidth::Word, 1, Flags::NONE),
        line(Direction::Read, 6, AccessWidth::Halfword, 0, Flags::NONE),
    ];
    assert_eq!(ignored, ["STATUS = 287454020 -> 1", "STATUS = 0"]);
    assert_eq!(
        line(Direction::Read, 4, AccessWidth::Word, 1, Flags::NONE),
        "STATUS = 1 (READY 1)"
    );
}
