//! What is true of any device's numbers, claims and sums; what a device does is tested in its file.

use super::*;
use guest_access::{AccessWidth, AddressSpace, GuestPhysAddr};
use proptest::prelude::*;
use trace_records::{DeviceState, Kind as RecordKind, Tag};
extern crate std;

const LOC: u64 = 0xfa00_0000;

fn device_of(vdev: Vdev, emits: Emits) -> LaneDevice {
    let stamp = Stamp::new(3, 12).of_device(AddressSpace::Memory, Flags::NONE);
    let claimed = Tag::of_device(0, AddressSpace::Memory);
    LaneDevice::begin(vdev, LOC, Options::NONE, claimed, stamp, emits)
}

const SILENT: Emits = Emits {
    to_log: false,
    to_trace: false,
};

fn device() -> LaneDevice {
    device_of(Vdev::Trace, SILENT)
}

impl LaneDevice {
    /// Applies an access and completes its record.
    fn carry(&mut self, record: &mut Record) -> Result<(), Misdeed> {
        *record = self.apply(*record)?;
        Ok(())
    }

    fn state(&self) -> DeviceState {
        let page = StatePage::new();
        self.publish(0, &page);
        page.read(0)
    }
}

fn claim(
    sequence: u64,
    direction: Direction,
    address: u64,
    width: AccessWidth,
    value: u32,
) -> Record {
    Record {
        time: 0,
        address: GuestPhysAddr(address),
        pc: 0,
        value,
        old: 0,
        sequence,
        tag: Tag::new(RecordKind::Access).with_access(direction, Some(width)),
        state_seen: 0,
        epoch: 0,
    }
}

fn write(device: &mut LaneDevice, address: u64, width: AccessWidth, value: u32) -> Record {
    let sequence = u64::from(device.state().sequence) + 1;
    let record = claim(sequence, Direction::Write, address, width, value);
    device.apply(record).unwrap()
}

#[test]
fn a_write_sets_the_counter_and_tells_old_and_new() {
    let mut device = device();
    device.seconds(7);
    let record = write(&mut device, LOC, AccessWidth::Word, 1000);
    assert_eq!((record.old, record.value), (7, 1000));
    assert_eq!(
        device.state(),
        DeviceState {
            sequence: 1,
            value: 1000
        }
    );
    device.seconds(1);
    assert_eq!(device.state().value, 1001);
}

#[test]
fn narrow_writes_merge_into_their_little_endian_lane() {
    let mut device = device();
    write(&mut device, LOC, AccessWidth::Word, 0x1122_3344);
    write(&mut device, LOC + 2, AccessWidth::Byte, 0xffff_ffaa);
    assert_eq!(device.state().value, 0x11aa_3344);
    let record = write(&mut device, LOC + 2, AccessWidth::Halfword, 0x5566);
    assert_eq!(device.state().value, 0x5566_3344);
    assert_eq!((record.old, record.value), (0x11aa_3344, 0x5566_3344));
}

#[test]
fn a_number_that_goes_back_or_repeats_is_misbehaviour_and_changes_nothing() {
    let mut device = device();
    for _ in 0..5 {
        write(&mut device, LOC, AccessWidth::Word, 9);
    }
    for sequence in [0, 4, 5, u64::MAX, 5 + (1 << 41)] {
        let mut record = claim(sequence, Direction::Write, LOC, AccessWidth::Word, 1);
        assert_eq!(device.carry(&mut record), Err(Misdeed::Number));
    }
    assert_eq!(
        device.state(),
        DeviceState {
            sequence: 5,
            value: 9
        }
    );
}

#[test]
fn a_jump_ahead_counts_the_accesses_that_went_unrecorded() {
    let mut device = device();
    let mut record = claim(4, Direction::Read, LOC, AccessWidth::Word, 0);
    device.carry(&mut record).unwrap();
    assert_eq!(device.unrecorded(), 3);
    assert_eq!(device.summary(0).reads, 1);
}

#[test]
fn a_location_that_is_not_ours_is_misbehaviour() {
    let mut device = device();
    let mut record = claim(1, Direction::Write, LOC + 4, AccessWidth::Word, 1);
    assert_eq!(device.carry(&mut record), Err(Misdeed::Location));
    assert_eq!(device.state(), DeviceState::default());
}

#[test]
fn a_refused_access_is_numbered_but_changes_nothing() {
    let mut device = device();
    let mut record = claim(1, Direction::Write, LOC, AccessWidth::Doubleword, 1);
    record.tag = record.tag.with_flags(Flags::REFUSED);
    device.carry(&mut record).unwrap();
    assert_eq!(
        device.state(),
        DeviceState {
            sequence: 1,
            value: 0
        }
    );
    let summary = device.summary(3);
    assert_eq!((summary.writes, summary.refused, summary.time), (0, 1, 3));
}

#[test]
fn the_summary_counts_each_kind_of_access_and_what_was_told_of_it() {
    let emits = Emits {
        to_log: true,
        to_trace: true,
    };
    let mut device = device_of(Vdev::Trace, emits);
    assert_eq!(device.emits(), emits);
    let mut refused = claim(1, Direction::Read, LOC, AccessWidth::Doubleword, 0);
    refused.tag = refused.tag.with_flags(Flags::REFUSED);
    device.carry(&mut refused).unwrap();
    for sequence in 2..=5 {
        let mut read = claim(sequence, Direction::Read, LOC, AccessWidth::Word, 0);
        device.carry(&mut read).unwrap();
    }
    for value in [7, 8] {
        write(&mut device, LOC, AccessWidth::Word, value);
    }
    for _ in 0..3 {
        device.count_logged();
    }
    let summary = DeviceSummary {
        time: 99,
        reads: 4,
        writes: 2,
        logged: 3,
        traced: 7,
        value: 8,
        refused: 1,
    };
    assert_eq!(device.summary(99), summary);
}

#[test]
fn a_gap_of_two_to_the_fortieth_is_believed_and_a_longer_one_is_not() {
    let jump = |sequence| {
        let mut device = device();
        let mut record = claim(sequence, Direction::Read, LOC, AccessWidth::Word, 0);
        device.carry(&mut record).map(|()| device.unrecorded())
    };
    let longest = (1 << 40) + 1;
    assert_eq!(jump(longest), Ok(1 << 40));
    let longer = longest + 1;
    assert_eq!(jump(longer), Err(Misdeed::Number));
}

#[test]
fn numbers_do_not_start_again_behind_the_last_one() {
    let mut device = device();
    device.at.sequence = u64::MAX - 1;
    let mut record = claim(3, Direction::Read, LOC, AccessWidth::Word, 0);
    assert_eq!(device.carry(&mut record), Err(Misdeed::Number));
    record.sequence = u64::MAX;
    assert_eq!(device.carry(&mut record), Ok(()));
}

#[test]
fn a_reset_clears_the_counter_and_keeps_the_numbering() {
    let mut device = device();
    write(&mut device, LOC, AccessWidth::Word, 9);
    device.reset();
    assert_eq!(
        device.state(),
        DeviceState {
            sequence: 1,
            value: 0
        }
    );
}

#[test]
fn a_device_that_is_made_anew_goes_on_where_the_one_before_was() {
    let mut before = device();
    for value in [7, 70, 700] {
        write(&mut before, LOC, AccessWidth::Word, value);
        before.count_logged();
    }
    before.seconds(5);
    let mut after = device();
    after.resume(before.progress());
    assert_eq!(after.summary(9), before.summary(9));
    assert_eq!(after.state(), before.state());
    let told = write(&mut after, LOC, AccessWidth::Word, 1);
    assert_eq!((told.sequence, told.old), (4, 705));
}

#[test]
fn an_access_that_is_passed_over_changes_nothing_and_is_one_without_a_record() {
    let numbered = |number| claim(number, Direction::Write, LOC, AccessWidth::Word, 8);
    let mut device = device();
    write(&mut device, LOC, AccessWidth::Word, 7);
    let before = device.summary(1);
    // Two that the VMM has completed without a record, and this one.
    device.pass_over(&numbered(4)).unwrap();
    assert_eq!(device.summary(1), before);
    assert_eq!((device.unrecorded(), device.state().sequence), (3, 4));
    for number in [4, 3, 4 + (2 << 40)] {
        assert!(device.pass_over(&numbered(number)).is_err());
    }
    assert_eq!((device.unrecorded(), device.state().sequence), (3, 4));
}

proptest! {
    #[test]
    fn no_claim_panics_and_the_numbers_only_grow(
        claims in prop::collection::vec((any::<[u64; 7]>(), 0u64..8, any::<bool>()), 1..40),
    ) {
        let mut device = device();
        let mut last = 0;
        for (words, step, near) in claims {
            let mut record = Record::from_words(&words);
            if near {
                record.sequence = u64::from(device.state().sequence) + step;
                record.address = GuestPhysAddr(LOC + step);
            }
            if device.carry(&mut record).is_ok() {
                prop_assert!(record.sequence > last);
                last = record.sequence;
            }
        }
    }
}

#[test]
fn what_has_no_trace_number_is_not_traced() {
    let mut device = device();
    write(&mut device, LOC, AccessWidth::Word, 1);
    assert_eq!(device.summary(0).traced, 0);
}

#[test]
fn every_kind_refuses_what_is_beside_it_and_takes_what_its_registers_allow() {
    for vdev in Vdev::ALL {
        let kind = vdev.kind();
        let mut device = device_of(*vdev, SILENT);
        let mut number = 0;
        for register in kind.registers {
            for (direction, log2) in [Direction::Read, Direction::Write]
                .into_iter()
                .flat_map(|direction| (0..4).map(move |log2| (direction, log2)))
            {
                let width = AccessWidth::from_log2(log2);
                let (at, bytes) = (register.offset, width.bytes());
                let is_fine = register.lane(at, bytes).is_some() && register.allows(direction)
                    || kind.ignores(at, bytes);
                let mut record = claim(number + 1, direction, LOC + at, width, 0x5a5a_5a5a);
                let applied = device.carry(&mut record);
                let name = (kind.name, register.name, direction, bytes);
                assert_eq!(applied.is_ok(), is_fine, "{name:?}");
                number += u64::from(is_fine);
            }
        }
        for address in [LOC - 1, LOC + kind.len, LOC + kind.len - 1, u64::MAX] {
            let width = AccessWidth::Doubleword;
            let mut record = claim(number + 1, Direction::Write, address, width, 1);
            assert_eq!(
                device.carry(&mut record),
                Err(Misdeed::Location),
                "{}",
                kind.name
            );
        }
        let summary = device.summary(0);
        assert_eq!(summary.reads + summary.writes, number, "{}", kind.name);
    }
}
