use super::*;
use guest_access::AccessWidth;
use proptest::prelude::*;
use trace_records::{Kind, Tag};

const LOC: u64 = 0xfa00_0000;

fn device() -> TraceDevice {
    TraceDevice::new(GuestPhysAddr(LOC), Emit::default())
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
        tag: Tag::new(Kind::Access).with_access(direction, Some(width)),
        state_seen: 0,
        epoch: 0,
    }
}

fn write(device: &mut TraceDevice, address: u64, width: AccessWidth, value: u32) -> Record {
    let sequence = u64::from(device.state().sequence) + 1;
    let mut record = claim(sequence, Direction::Write, address, width, value);
    device.apply(&mut record).unwrap();
    record
}

#[test]
fn the_counter_grows_by_one_each_second_and_wraps() {
    let mut device = device();
    device.tick(1);
    assert_eq!(device.state().value, 1);
    device.tick(2);
    assert_eq!(device.state().value, 3);
    write(&mut device, LOC, AccessWidth::Word, u32::MAX);
    device.tick(1);
    assert_eq!(device.state().value, 0);
    device.tick((1 << 32) + 5);
    assert_eq!(device.state().value, 5);
}

#[test]
fn a_write_sets_the_counter_and_tells_old_and_new() {
    let mut device = device();
    device.tick(7);
    let record = write(&mut device, LOC, AccessWidth::Word, 1000);
    assert_eq!((record.old, record.value), (7, 1000));
    assert_eq!(
        device.state(),
        DeviceState {
            sequence: 1,
            value: 1000
        }
    );
    device.tick(1);
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
fn narrow_reads_see_their_lane() {
    let read = |offset, width: AccessWidth| {
        read_lane(
            GuestPhysAddr(LOC),
            GuestPhysAddr(LOC + offset),
            width.bytes(),
            0x1122_3344,
        )
    };
    assert_eq!(read(0, AccessWidth::Word), Some(0x1122_3344));
    assert_eq!(read(0, AccessWidth::Byte), Some(0x44));
    assert_eq!(read(3, AccessWidth::Byte), Some(0x11));
    assert_eq!(read(2, AccessWidth::Halfword), Some(0x1122));
}

#[test]
fn unaligned_wide_and_crossing_accesses_are_not_supported() {
    let read = |offset: u64, width: AccessWidth| {
        read_lane(
            GuestPhysAddr(LOC),
            GuestPhysAddr(LOC.wrapping_add(offset)),
            width.bytes(),
            0,
        )
    };
    for (offset, width) in [
        (0, AccessWidth::Doubleword),
        (1, AccessWidth::Halfword),
        (3, AccessWidth::Halfword),
        (2, AccessWidth::Word),
        (4, AccessWidth::Byte),
        (u64::MAX, AccessWidth::Byte),
    ] {
        assert_eq!(read(offset, width), None, "{offset} {width:?}");
    }
}

#[test]
fn a_number_that_goes_back_or_repeats_is_misbehaviour_and_changes_nothing() {
    let mut device = device();
    for _ in 0..5 {
        write(&mut device, LOC, AccessWidth::Word, 9);
    }
    for sequence in [0, 4, 5, u64::MAX, 5 + (1 << 41)] {
        let mut record = claim(sequence, Direction::Write, LOC, AccessWidth::Word, 1);
        assert_eq!(
            device.apply(&mut record),
            Err(Misbehaviour::Sequence(sequence))
        );
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
    device.apply(&mut record).unwrap();
    assert_eq!(device.unrecorded(), 3);
    assert_eq!(device.summary(0).reads, 1);
}

#[test]
fn a_location_that_is_not_ours_is_misbehaviour() {
    let mut device = device();
    let mut record = claim(1, Direction::Write, LOC + 4, AccessWidth::Word, 1);
    let refused = Misbehaviour::Location(GuestPhysAddr(LOC + 4));
    assert_eq!(device.apply(&mut record), Err(refused));
    assert_eq!(device.state(), DeviceState::default());
}

#[test]
fn a_refused_access_is_numbered_but_changes_nothing() {
    let mut device = device();
    let mut record = claim(1, Direction::Write, LOC, AccessWidth::Doubleword, 1);
    record.tag = record.tag.with_flags(Flags::REFUSED);
    device.apply(&mut record).unwrap();
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
    let emit = Emit {
        logger: true,
        trace: Some(12),
    };
    let mut device = TraceDevice::new(GuestPhysAddr(LOC), emit);
    assert_eq!(device.emit(), emit);
    let mut refused = claim(1, Direction::Read, LOC, AccessWidth::Doubleword, 0);
    refused.tag = refused.tag.with_flags(Flags::REFUSED);
    device.apply(&mut refused).unwrap();
    for sequence in 2..=5 {
        let mut read = claim(sequence, Direction::Read, LOC, AccessWidth::Word, 0);
        device.apply(&mut read).unwrap();
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
fn what_has_no_trace_number_is_not_traced() {
    let mut device = device();
    assert_eq!(device.emit(), Emit::default());
    write(&mut device, LOC, AccessWidth::Word, 1);
    assert_eq!(device.summary(0).traced, 0);
}

#[test]
fn a_gap_of_two_to_the_fortieth_is_believed_and_a_longer_one_is_not() {
    let jump = |sequence| {
        let mut device = device();
        let mut record = claim(sequence, Direction::Read, LOC, AccessWidth::Word, 0);
        device.apply(&mut record).map(|()| device.unrecorded())
    };
    let longest = (1 << 40) + 1;
    assert_eq!(jump(longest), Ok(1 << 40));
    let longer = longest + 1;
    assert_eq!(jump(longer), Err(Misbehaviour::Sequence(longer)));
}

#[test]
fn numbers_do_not_start_again_behind_the_last_one() {
    let mut device = device();
    device.at.sequence = u64::MAX - 1;
    let mut record = claim(3, Direction::Read, LOC, AccessWidth::Word, 0);
    let refused = Misbehaviour::Sequence(3);
    assert_eq!(device.apply(&mut record), Err(refused));
    record.sequence = u64::MAX;
    assert_eq!(device.apply(&mut record), Ok(()));
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
    before.tick(5);
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

#[test]
fn periods_do_not_drift_however_late_they_are_asked() {
    let mut periods = Periods::new(500, 1000);
    assert_eq!(periods.take(1499), 0);
    assert!(!periods.is_over(1499) && periods.is_over(1500));
    assert_eq!(periods.take(1510), 1);
    assert_eq!(periods.last_end(), 1500);
    assert_eq!(periods.take(4999), 3);
    assert_eq!(periods.take(5499), 0);
    assert_eq!(periods.take(5500), 1);
}

#[test]
fn a_clock_of_no_frequency_counts_as_one_of_a_hertz() {
    let mut periods = Periods::new(10, 0);
    assert_eq!(periods.take(10), 0);
    assert_eq!(periods.take(13), 3);
    assert_eq!(periods.last_end(), 13);
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
            if device.apply(&mut record).is_ok() {
                prop_assert!(record.sequence > last);
                last = record.sequence;
            }
        }
    }

    #[test]
    fn periods_add_up(start in 0u64..1 << 50, hz in 1u64..1 << 32, steps in prop::collection::vec(0u64..1 << 34, 1..50)) {
        let mut periods = Periods::new(start, hz);
        let (mut now, mut total) = (start, 0);
        for step in steps {
            now += step;
            total += periods.take(now);
        }
        prop_assert_eq!(total, (now - start) / hz);
    }
}
