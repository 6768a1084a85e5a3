//! What comes out of a dump that is whole, overwritten, being written, damaged or cut off.

mod machine;

use machine::{
    HEAD, PAGE, Ring, SLOT, SLOT_BYTES, SLOT_COUNT, TRACE, life, read, said, set_header, tagged,
    vdev_trace, write,
};
use proptest::prelude::*;
use vdev_trace::whole_dump::rings;

/// Ten reads in a ring of four slots: positions 6 to 9 are left, with numbers 7 to 10.
fn overwritten() -> Vec<u8> {
    Ring::traced(4, (1..=10).map(|value| read(value * 1000, value, value))).dump()
}

/// Where slot `index` stands in [`Ring::dump`].
fn slot(index: usize) -> usize {
    2 * PAGE + index * SLOT
}

/// The numbers of the records that can be read.
fn numbers(dump: &[u8]) -> Vec<u64> {
    let rings = rings(dump);
    let ring = rings[0].as_ref().unwrap();
    ring.records.iter().map(|(number, _)| *number).collect()
}

fn text(dump: &[u8]) -> String {
    said(&vdev_trace(dump, &["decode", "-", "--from", "dump"]).stdout)
}

#[test]
fn the_newest_records_are_read_oldest_first() {
    let rings = rings(&overwritten());
    let ring = rings[0].as_ref().unwrap();
    assert_eq!(
        (
            ring.offset,
            ring.kind,
            ring.vm,
            ring.head,
            ring.lost,
            ring.torn
        ),
        (PAGE, 3, 0, 10, 6, 0)
    );
    assert_eq!(numbers(&overwritten()), [7, 8, 9, 10]);
}

#[test]
fn a_slot_that_is_being_written_is_counted_and_skipped() {
    let mut dump = overwritten();
    dump[slot(2)..slot(2) + 8].fill(0);
    assert_eq!(numbers(&dump), [8, 9, 10]);
    assert_eq!(rings(&dump)[0].as_ref().unwrap().torn, 1);
}

#[test]
fn a_number_that_cannot_be_costs_its_own_record_and_no_other() {
    for number in [u64::MAX, 9, 7, 1] {
        let mut dump = overwritten();
        // Position 7 lies in slot 3 and has number 8.
        dump[slot(3)..slot(3) + 8].copy_from_slice(&number.to_le_bytes());
        assert_eq!(numbers(&dump), [7, 9, 10], "with number {number:#x}");
        let text = text(&dump);
        assert!(text.contains("-- vm0: 1 records lost, part of the input was unreadable --"));
        assert!(text.contains("1 missing between them, 1 torn"), "{text}");
    }
}

#[test]
fn a_dump_that_was_taken_while_the_system_went_on_has_records_newer_than_its_head() {
    let mut dump = overwritten();
    set_header(&mut dump, HEAD, 9);
    assert_eq!(numbers(&dump), [7, 8, 9, 10]);
}

/// A ring of eight slots whose producer has appended twenty records and published sixteen of them.
fn in_the_middle_of_a_run(kind: u64) -> Vec<u8> {
    let mut ring = Ring::new(kind, 0, 8);
    for value in 1..=16 {
        ring.push(read(value * 1000, value, value));
    }
    let published = ring.dump();
    for value in 17..=20 {
        ring.push(read(value * 1000, value, value));
    }
    let mut dump = ring.dump();
    dump[PAGE..2 * PAGE].copy_from_slice(&published[PAGE..2 * PAGE]);
    dump
}

#[test]
fn what_is_written_and_not_published_is_no_damage_and_what_it_went_over_is_overwritten() {
    for kind in [TRACE, 2, 1, 4] {
        let dump = in_the_middle_of_a_run(kind);
        assert_eq!(numbers(&dump), (13..=20).collect::<Vec<_>>(), "{kind}");
        let rings = rings(&dump);
        let ring = rings[0].as_ref().unwrap();
        assert_eq!((ring.head, ring.torn), (20, 0));
        if kind == TRACE {
            assert_eq!(ring.lost, 12);
        }
    }
}

#[test]
fn a_slot_that_is_written_again_after_a_death_costs_no_other() {
    for kind in [TRACE, 2] {
        let mut dump = in_the_middle_of_a_run(kind);
        // Number 18, at position 17.
        dump[slot(1)..slot(1) + 8].fill(0);
        assert_eq!(numbers(&dump), [13, 14, 15, 16, 17, 19, 20], "{kind}");
        assert_eq!(rings(&dump)[0].as_ref().unwrap().torn, 1);
    }
}

#[test]
fn a_dump_that_ends_inside_a_ring_gives_the_records_before_its_end() {
    let whole = overwritten();
    for (end, left) in [
        (slot(4), vec![7, 8, 9, 10]),
        (slot(4) - 1, vec![7, 9, 10]),
        (slot(2) + 5, vec![9, 10]),
        (slot(1), vec![9]),
    ] {
        assert_eq!(numbers(&whole[..end]), left);
    }
    let output = vdev_trace(&whole[..slot(2) + 5], &["decode", "-", "--from", "dump"]);
    assert!(output.status.success());
    insta::assert_snapshot!(said(&output.stdout), @"
         time (s) since before us  event  vm        device    cpu access address    value                    pc             seq epoch
    -- vm0: 8 records lost, part of the input was unreadable --
    [   0.009000] +         0.000     12  vm0       dev0      0   R4     0xfa000000 9                        0x0040080000     9     0
    [   0.010000] +      1000.000     12  vm0       dev0      0   R4     0xfa000000 10                       0x0040080000    10     0
    vm0: 2 records, 6 overwritten or lost by the ring's own count, 0 missing between them, 2 torn, 2 slots beyond the input's end
    ");
    insta::assert_snapshot!(said(&output.stderr), @"warning: ring at offset 0x1000: the input ends before its last 2 slots; what they held is skipped");
}

#[test]
fn a_ring_without_any_slot_in_the_dump_is_told_and_no_error() {
    let output = vdev_trace(&overwritten()[..slot(0)], &["check", "-", "--from", "dump"]);
    assert!(!output.status.success());
    insta::assert_snapshot!(said(&output.stdout), @"
    vm0 Trace: ring at offset 0x1000: damaged, 0 records
      4 records cannot be read
      4 slots are not in the input, which ends before them
    ");
}

#[test]
fn a_head_that_cannot_be_is_found_from_the_slots() {
    for head in [0, 3, 4000, u64::MAX] {
        let mut dump = overwritten();
        set_header(&mut dump, HEAD, head);
        assert_eq!(numbers(&dump), [7, 8, 9, 10], "with head {head}");
        let output = vdev_trace(&dump, &["decode", "-"]);
        let warning = said(&output.stderr);
        assert!(
            warning.contains(&format!(
                "head {head}, while the slots say 10; went by the slots"
            )),
            "{warning}"
        );
    }
}

#[test]
fn a_count_of_slots_that_cannot_be_is_the_usual_one() {
    // As the components make a trace ring.
    let usual = Ring::traced(8192, (1..=9000).map(|value| read(value, value, value)));
    for count in [3, 0, 64, 1 << 40, u64::MAX] {
        let mut dump = usual.dump();
        set_header(&mut dump, SLOT_COUNT, count);
        assert_eq!(
            numbers(&dump),
            (809..=9000).collect::<Vec<_>>(),
            "with {count} slots"
        );
    }
    let mut dump = usual.dump();
    set_header(&mut dump, SLOT_BYTES, 32);
    assert_eq!(numbers(&dump).len(), 8192);
}

#[test]
fn a_header_of_another_layout_or_kind_says_what_is_wrong_and_where() {
    let reason = |word: usize, value: u64| {
        let mut dump = overwritten();
        set_header(&mut dump, word, value);
        rings(&dump)[0].clone().unwrap_err().to_string()
    };
    insta::assert_snapshot!(reason(1, 9), @"ring at offset 0x1000: layout version 9, this tool reads 1 to 4; use the tool that was built with the system");
    insta::assert_snapshot!(reason(4, 9), @"ring at offset 0x1000: kind 9, of which there is no ring");
    let cut = rings(&overwritten()[..PAGE + 40])[0].clone().unwrap_err();
    insta::assert_snapshot!(cut, @"ring at offset 0x1000: the dump ends inside its header; take the dump again");
}

#[test]
fn a_record_is_a_line_with_all_that_a_person_needs() {
    insta::assert_snapshot!(text(&life(12, 12).dump()), @"
         time (s) since before us  event  vm        device    cpu access address    value                    pc             seq epoch
    [   0.001000] +         0.000     12  vm0       dev0      0   R4     0xfa000000 7                        0x0040080000     1     0
    [   0.063125] +     62125.000     13  vm0       dev1      0   W1     0xfa000005 7 -> 43527               0x0040080004     1     0
    [   0.063125] +         0.000     12  vm0       dev0      0   R8     0xfa000000 not supported            0x0040080008     2     0
    [   0.069500] +      6375.000      -  vm0       reset, epoch 1
    [   0.069600] +       100.000     12  vm0       dev0      0   R4     0xfa000000 0                        0x0040080000     3     1
    [   0.079500] +      9900.000      -  vm0       no device: 3 times, last R? 0xfb000000 pc 0x4008000c
    [   0.089500] +     10000.000      -  vm0       dev0: 4 accesses = 3 reads + 1 writes + 0 refused; 4 logged, 5 traced
    [   0.089500] +         0.000      -  vm0       lost: 1 not logged, 0 not printed, 2 overwritten in the trace, 4 unrecorded; 3 outside a device, 5 misbehaviour
    [   0.089500] +         0.000      -  vm0       accesses from [   0.001000] to [   0.079500], recorded by [   0.079501]
    [   0.089500] +         0.000      -  vm0       ended: powered off by the guest
    vm0: 11 records, 0 overwritten or lost by the ring's own count, 0 missing between them, 0 torn, 1 of no kind that this tool knows
    ");
}

#[test]
fn vms_are_merged_by_time_and_a_step_back_shows_as_one() {
    let mut other = Ring::new(TRACE, 1, 4);
    for (time, sequence) in [(1500, 1), (5000, 2), (4000, 3), (5500, 4)] {
        other.push(tagged(read(time, sequence, 9), 7, 2, 1));
    }
    let one = Ring::traced(
        4,
        [read(1000, 1, 1), write(2000, 2, 1, 50), read(6000, 3, 50)],
    );
    insta::assert_snapshot!(text(&[one.dump(), other.dump()].concat()), @"
         time (s) since before us  event  vm        device    cpu access address    value                    pc             seq epoch
    [   0.001000] +         0.000     12  vm0       dev0      0   R4     0xfa000000 1                        0x0040080000     1     0
    [   0.001500] +         0.000      7  vm1       dev2      0   R4     0xfa000000 9                        0x0040080000     1     0
    [   0.002000] +      1000.000     12  vm0       dev0      0   W4     0xfa000000 1 -> 50                  0x0040080004     2     0
    [   0.005000] +      3500.000      7  vm1       dev2      0   R4     0xfa000000 9                        0x0040080000     2     0
    [   0.004000] -      1000.000      7  vm1       dev2      0   R4     0xfa000000 9                        0x0040080000     3     0  (wrong stamp)
    [   0.005500] +       500.000      7  vm1       dev2      0   R4     0xfa000000 9                        0x0040080000     4     0
    [   0.006000] +      4000.000     12  vm0       dev0      0   R4     0xfa000000 50                       0x0040080000     3     0
    vm0: 3 records, 0 overwritten or lost by the ring's own count, 0 missing between them, 0 torn
    vm1: 4 records, 0 overwritten or lost by the ring's own count, 0 missing between them, 0 torn, 1 wrong stamps
    ");
}

proptest! {
    #[test]
    fn no_dump_panics(
        changes in prop::collection::vec((0usize..4 * PAGE, any::<u8>()), 0..200),
        words in prop::collection::vec((0usize..11, any::<u64>()), 0..4),
        cut: prop::sample::Index,
    ) {
        let mut dump = life(12, 12).dump();
        for (word, value) in words {
            set_header(&mut dump, word, value);
        }
        for (at, byte) in changes {
            if let Some(place) = dump.get_mut(at) {
                *place = byte;
            }
        }
        rings(&dump);
        rings(&dump[..cut.index(dump.len())]);
    }

    /// However many slots are damaged, the others are read.
    #[test]
    fn every_intact_record_is_read(
        pushed in 1u64..200,
        damaged in prop::collection::btree_set(0usize..64, 0..40),
    ) {
        let ring = Ring::traced(64, (1..=pushed).map(|value| read(value, value, value)));
        let mut dump = ring.dump();
        for index in &damaged {
            dump[slot(*index)] ^= 0xa5;
        }
        let intact: Vec<u64> = (pushed.saturating_sub(64) + 1..=pushed)
            .filter(|number| !damaged.contains(&((number - 1) as usize % 64)))
            .collect();
        if !intact.is_empty() {
            prop_assert_eq!(numbers(&dump), intact);
        }
    }
}
