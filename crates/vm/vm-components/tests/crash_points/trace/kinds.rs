//! A device of every kind in the list, under a component that dies: each kind joins by being in the list.

use super::system::{Access, HZ, Memory, Outcome, System};
use super::{deaths, run_script, skips_each_record_of};
use crate::deaths::Deaths;
use crate::fixtures::LOC;
use crate::fixtures::every_kind::{accesses, of_every_kind};
use trace_records::{EndReason, Entry, Kind};
use vm_config::{AnyVdev, Device};

/// Where the first device among the ports is.
const PORT: u64 = 0x1000;

fn devices() -> Vec<Device<'static>> {
    of_every_kind(LOC, Some(PORT))
}

/// All that the tables of the kinds allow and refuse.
fn everything(system: &mut System<'_>, vm: usize) {
    for (number, device) in devices().iter().enumerate() {
        for access in accesses(device.vdev.kind()) {
            system.access(vm, number, Access::of_table(access));
        }
    }
}

/// Before and after a second, after a reset, and to the end.
fn script(system: &mut System<'_>) {
    everything(system, 0);
    system.turn();
    system.now += HZ + 1;
    system.turn();
    system.send(1, Kind::Reset, 0);
    everything(system, 1);
    system.turn();
    system.send(0, Kind::Reset, 0);
    system.turn();
    for (vm, reason) in [(0, EndReason::PoweredOff), (1, EndReason::GuestFailed)] {
        system.send(vm, Kind::End, reason.number());
        system.turn();
        system.turn();
    }
}

fn run(memory: &Memory, deaths: &mut Deaths) -> Outcome {
    run_script(script, memory, deaths, |_| ())
}

#[test]
fn whatever_kind_a_device_is_of_it_goes_on_where_it_was() {
    let memory = Memory::new(devices());
    let steps = deaths::at_every_step(|deaths| run(&memory, deaths));
    assert!(steps > 1_000, "{steps} steps");
    // It did what it was made for.
    let outcome = run(&memory, &mut Deaths::none());
    let sent = devices()
        .into_iter()
        .map(|device| accesses(device.vdev.kind()).len());
    for vm in &outcome.vms {
        assert_eq!(vm.misdeeds().count(), 0);
        let told = vm
            .entries()
            .filter(|entry| matches!(entry, Entry::Event(Kind::Access, _)));
        assert_eq!(told.count(), sent.clone().sum());
        assert!(!vm.answers.is_empty());
        for (place, answer) in &vm.answers {
            assert_ne!(answer.value, u32::MAX, "{place:?} is answered");
        }
    }
}

#[test]
fn whatever_kind_it_is_of_a_record_that_kills_twice_is_skipped_and_nothing_else_is_missing() {
    let memory = Memory::new(devices());
    let skipped = skips_each_record_of(script, &memory, |_| ());
    assert!(skipped > 100, "{skipped}");
}
