//! Records over which the component dies, whoever reads them: what they cost their VM, and that they
//! cost the other nothing.
//!
//! Records are stamped ahead of the clock here, so that the component looks at the clock when it has
//! one in hand, and may die of that.

use super::system::{HZ, Killer, Memory, OfVm, Place, System};
use super::{KINDS, TALKATIVE, devices};
use crate::deaths::Deaths;
use trace_records::{EndReason, Entry, Kind, Misbehaviour, Misdeed, RingFate};
use vm_components::log_lines::MisbehaviourText;

/// More often than anybody may die.
const EACH_TIME: u32 = 20;

fn memory() -> Memory {
    Memory::new(devices())
}

/// A guest reads a device that tells all.
fn read(system: &mut System<'_>, vm: usize) {
    system.access(vm, TALKATIVE, KINDS[TALKATIVE].accesses[0]);
}

/// The same, and the component dies over the record so often.
fn read_and_kill(system: &mut System<'_>, vm: u8, times: u32) -> Place {
    let place = system.kill_over_next(vm, times);
    read(system, vm.into());
    place
}

/// A component that looks at the clock for each record.
fn dying<'a>(memory: &'a Memory, deaths: &'a mut Deaths) -> System<'a> {
    let mut system = System::new(memory, deaths);
    system.stamps_ahead = true;
    system
}

/// The numbers of the accesses that the log tells.
fn logged(vm: &OfVm) -> Vec<u64> {
    let accesses = vm.entries().filter_map(|entry| match entry {
        Entry::Event(Kind::Access, record) => Some(record.sequence),
        _ => None,
    });
    accesses.collect()
}

fn words(misbehaviour: Misbehaviour) -> String {
    let who = MisbehaviourText::who(misbehaviour.last);
    MisbehaviourText { who, misbehaviour }.to_string()
}

#[test]
fn a_record_that_killed_once_is_read_by_the_next() {
    let (memory, mut deaths) = (memory(), Deaths::none());
    let mut system = dying(&memory, &mut deaths);
    read_and_kill(&mut system, 0, 1);
    system.turn();
    assert_eq!(system.died(), 1);
    let [vm, _] = system.outcome().vms;
    assert_eq!(logged(&vm), [1]);
    assert_eq!(vm.misdeeds().count(), 0);
}

#[test]
fn a_record_that_killed_twice_is_skipped_counted_and_named() {
    let (memory, mut deaths) = (memory(), Deaths::none());
    let mut system = dying(&memory, &mut deaths);
    read(&mut system, 0);
    let place = read_and_kill(&mut system, 0, EACH_TIME);
    assert_eq!(place.position, 1);
    read(&mut system, 1);
    system.turn();
    assert_eq!(system.died(), 2);
    read(&mut system, 0);
    system.send(0, Kind::End, EndReason::PoweredOff.number());
    system.turn();
    let [vm, other] = system.outcome().vms;
    assert_eq!(logged(&vm), [1, 3]);
    let told: Vec<_> = vm.misdeeds().collect();
    assert_eq!(
        told,
        [Misbehaviour {
            time: 0,
            count: 1,
            last: Misdeed::Deadly(Some(1)),
            ring: RingFate::Open,
        }]
    );
    assert_eq!(
        words(told[0]),
        "its VMM misbehaves: 1 times, last the record at position 1 of its ring, of which its reader \
         died"
    );
    // It adds up: three accesses, of which one has no record.
    assert_eq!(vm.unrecorded(), 1);
    // Nobody waits for it.
    assert_eq!(vm.seen[0].applied(TALKATIVE), 2);
    assert_eq!(vm.ended, Some(EndReason::PoweredOff));
    assert_eq!((logged(&other), other.misdeeds().count()), (vec![1], 0));
}

#[test]
fn nobody_is_told_an_end_that_kills_but_that_the_vms_ring_is_closed() {
    let (memory, mut deaths) = (memory(), Deaths::none());
    let mut system = dying(&memory, &mut deaths);
    system.kill_over_next(0, EACH_TIME);
    system.send(0, Kind::End, EndReason::PoweredOff.number());
    system.turn();
    assert_eq!(system.died(), 2);
    let [vm, _] = system.outcome().vms;
    assert_eq!(vm.ended, Some(EndReason::VmmMisbehaved));
    assert!(vm.misdeeds().all(|told| told.ring == RingFate::Closed));
}

#[test]
fn the_third_death_within_ten_seconds_closes_the_vms_ring_and_costs_the_other_nothing() {
    let (memory, mut deaths) = (memory(), Deaths::none());
    let mut system = dying(&memory, &mut deaths);
    for second in 0..5 {
        system.now = second * HZ;
        read(&mut system, 0);
        // Each is read by the next.
        read_and_kill(&mut system, 0, 1);
        read(&mut system, 1);
        system.turn();
    }
    assert_eq!(system.died(), 3);
    for _ in 0..5 {
        read(&mut system, 1);
        system.turn();
    }
    let [vm, other] = system.outcome().vms;
    // The third of the killing ones is at position 5, and nothing of that turn was kept.
    assert_eq!(logged(&vm), [1, 2, 3, 4]);
    assert_eq!(vm.ended, Some(EndReason::VmmMisbehaved));
    let told: Vec<_> = vm.misdeeds().collect();
    let is_told = Misbehaviour {
        time: 2 * HZ,
        count: 1,
        last: Misdeed::Deadly(Some(5)),
        ring: RingFate::Closed,
    };
    assert_eq!(told, [is_told]);
    assert_eq!(
        words(is_told),
        "its VMM misbehaves: 1 times, last the record at position 5 of its ring, of which its reader \
         died; its ring is closed"
    );
    assert_eq!(logged(&other), (1..=10).collect::<Vec<_>>());
    assert_eq!((other.misdeeds().count(), other.ended), (0, None));
}

#[test]
fn deaths_that_are_far_apart_close_no_ring() {
    let (memory, mut deaths) = (memory(), Deaths::none());
    let mut system = dying(&memory, &mut deaths);
    for turn in 0..10 {
        system.now = turn * 10 * HZ;
        read_and_kill(&mut system, 0, EACH_TIME);
        read(&mut system, 0);
        system.turn();
    }
    assert_eq!(system.died(), 20);
    let [vm, _] = system.outcome().vms;
    assert_eq!(vm.ended, None);
    assert_eq!(
        logged(&vm),
        (1..=10).map(|turn| 2 * turn).collect::<Vec<_>>()
    );
    assert_eq!(vm.misdeeds().map(|told| told.count).sum::<u64>(), 10);
    assert!(vm.misdeeds().all(|told| told.ring == RingFate::Open));
}

#[test]
fn a_turn_that_kills_before_its_first_record_is_charged_as_well() {
    let (memory, mut deaths) = (memory(), Deaths::none());
    let mut system = dying(&memory, &mut deaths);
    system.killers.push(Killer {
        vm: 0,
        position: None,
        times: 3,
    });
    read(&mut system, 0);
    read(&mut system, 1);
    system.turn();
    assert_eq!(system.died(), 3);
    let [vm, other] = system.outcome().vms;
    assert_eq!(vm.ended, Some(EndReason::VmmMisbehaved));
    let told = vm.misdeeds().next().unwrap();
    assert_eq!(
        words(told),
        "its VMM misbehaves: 1 times, last work of which its reader died; its ring is closed"
    );
    assert_eq!((logged(&other), other.ended), (vec![1], None));
}
