//! The trace component, dead at every step.
//!
//! What is done to the device that emits in each way stands in [`KINDS`]; what else there is for the component
//! to do, in [`script`]. A device of each kind in the list has a run of its own ([`kinds`]).

mod kinds;
mod poison;
mod system;

use crate::deaths::{self, Deaths};
use crate::fixtures::{LOC, leak, trace_device};
use guest_access::{AccessWidth, Direction};
use system::{Access, Killer, Memory, OfVm, Outcome, Place, System};
use trace_records::{EndReason, Kind, Misdeed};
use vm_config::Device;

/// A device, and accesses that show all that it does.
struct DeviceKind {
    device: fn() -> Device<'static>,
    accesses: &'static [Access],
}

const WORDS_AND_PARTS: &[Access] = &[
    Access::new(Direction::Read, AccessWidth::Word, 0, 0),
    Access::new(Direction::Write, AccessWidth::Word, 0, 0x0102_0304),
    // The guest waits for what comes of a narrow one.
    Access::new(Direction::Write, AccessWidth::Byte, 3, 0xff),
    Access::new(Direction::Read, AccessWidth::Halfword, 2, 0xff02),
    Access::new(Direction::Write, AccessWidth::Halfword, 0, 9),
    // Which no such device supports.
    Access::new(Direction::Read, AccessWidth::Doubleword, 0, 0).refused(),
];

/// Every VM has one of each.
const KINDS: &[DeviceKind] = &[
    DeviceKind {
        device: || trace_device(true, Some(12)),
        accesses: WORDS_AND_PARTS,
    },
    DeviceKind {
        device: || trace_device(true, None),
        accesses: WORDS_AND_PARTS,
    },
    DeviceKind {
        device: || trace_device(false, Some(1023)),
        accesses: WORDS_AND_PARTS,
    },
    DeviceKind {
        device: || trace_device(false, None),
        accesses: WORDS_AND_PARTS,
    },
];
/// The device that tells all, and the one that tells nothing.
const TALKATIVE: usize = 0;
const SILENT: usize = 3;

/// Those, apart.
fn devices() -> Vec<Device<'static>> {
    let apart = (0..).zip(KINDS).map(|(place, kind)| Device {
        name: leak(format!("trace{place}")),
        loc: LOC + 0x1000 * place,
        ..(kind.device)()
    });
    apart.collect()
}

/// More accesses than are kept at once.
const MORE_THAN_A_RUN: usize = 70;

/// How a run begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Beginning {
    /// With memory that is zero.
    Fresh,
    /// With a trace ring of VM 0 that overwrites, and a log ring that is nearly full and that nobody
    /// reads until that VM has ended.
    FullRings,
}

impl Beginning {
    /// Memory in which each run begins so.
    fn memory(self) -> Memory {
        let mut memory = Memory::new(devices());
        if self == Self::FullRings {
            let mut nobody_dies = Deaths::none();
            let mut system = System::new(&memory, &mut nobody_dies);
            let read = KINDS[TALKATIVE].accesses[0];
            for turn in 0..18 {
                system.console_is_away = turn >= 16;
                (0..510).for_each(|_| system.access(0, TALKATIVE, read));
                system.turn();
            }
            let peers = system.into_peers();
            memory.begin_here(peers);
        }
        memory
    }
}

/// All that the component has to do.
fn script(system: &mut System<'_>) {
    let everything = |system: &mut System<'_>, vm| {
        for (device, kind) in KINDS.iter().enumerate() {
            for access in kind.accesses {
                system.access(vm, device, *access);
            }
        }
    };
    everything(system, 0);
    everything(system, 1);
    system.turn();
    system.now += 100_000;
    system.turn();

    // Before a tick and after it, and no access at a tick.
    let [read, write, ..] = KINDS[TALKATIVE].accesses else {
        unreachable!()
    };
    system.access(0, TALKATIVE, *write);
    system.now += 950_000;
    system.access(0, TALKATIVE, *read);
    system.access(1, SILENT, *write);
    system.turn();
    system.now += 3_000_000;
    system.turn();
    // A stamp before the last tick.
    system.now -= 2_000_000;
    system.access(0, TALKATIVE, *read);
    system.now += 2_000_000;
    system.turn();

    // Where there is no device, of which one a second is logged.
    system.send(0, Kind::Outside, 3);
    system.send(0, Kind::Outside, 4);
    system.turn();
    // What no VMM sends.
    system.send(0, Kind::Text, 0);
    system.send(0, Kind::Verdict, 0);
    system.access(0, TALKATIVE, read.beside());
    system.turn();
    system.now += 1_000_000;
    system.turn();

    system.send(1, Kind::Reset, 0);
    everything(system, 1);
    system.turn();

    for _ in 0..MORE_THAN_A_RUN {
        system.access(1, SILENT, *read);
    }
    system.turn();

    everything(system, 0);
    system.send(0, Kind::End, EndReason::PoweredOff.number());
    system.turn();
    // Nothing follows an end.
    system.send(0, Kind::Reset, 0);
    system.turn();
    system.console_is_away = false;
    system.turn();
    system.turn();
    everything(system, 1);
    system.send(1, Kind::End, EndReason::GuestFailed.number());
    system.turn();
    system.turn();
}

/// What becomes of the script.
fn run(memory: &Memory, deaths: &mut Deaths, set: impl FnOnce(&mut System<'_>)) -> Outcome {
    run_script(script, memory, deaths, set)
}

fn run_script(
    script: impl Fn(&mut System<'_>),
    memory: &Memory,
    deaths: &mut Deaths,
    set: impl FnOnce(&mut System<'_>),
) -> Outcome {
    let mut system = System::new(memory, deaths);
    set(&mut system);
    script(&mut system);
    system.outcome()
}

impl Beginning {
    /// What goes with it.
    fn set(self) -> impl Fn(&mut System<'_>) + Copy {
        move |system| system.console_is_away = self == Self::FullRings
    }
}

fn dies_at_every_step(beginning: Beginning) {
    let memory = beginning.memory();
    let steps = deaths::at_every_step(|deaths| run(&memory, deaths, beginning.set()));
    assert!(steps > 2_000, "{steps} steps");
    // What it is that was compared.
    let outcome = run(&memory, &mut Deaths::none(), beginning.set());
    assert_eq!(outcome.vms[0].ended, Some(EndReason::PoweredOff));
    assert_eq!(outcome.vms[1].ended, Some(EndReason::GuestFailed));
    let [.., lost] = outcome.vms[0].log_counts;
    let [.., overwritten] = outcome.vms[0].trace_counts;
    let full = beginning == Beginning::FullRings;
    assert_eq!((lost != 0, overwritten != 0), (full, full));
}

#[test]
fn whoever_follows_a_component_that_died_goes_on_where_it_was() {
    dies_at_every_step(Beginning::Fresh);
}

#[test]
fn it_does_so_with_rings_that_overwrite_and_rings_that_are_full() {
    dies_at_every_step(Beginning::FullRings);
}

#[test]
fn after_two_deaths_nothing_is_missing_but_a_record_that_both_were_over() {
    let memory = Beginning::Fresh.memory();
    let seconds = [7, 90].into_iter();
    deaths::twice(
        |deaths| run(&memory, deaths, |_| ()),
        seconds,
        |undisturbed, outcome, steps| match outcome.died_twice_over() {
            None => assert_eq!(outcome, undisturbed, "dead at {steps:?}"),
            Some(place) => {
                let expected = run(&memory, &mut Deaths::none(), |system| {
                    system.misdeed_at = Some(place);
                });
                assert_that_it_is_skipped(place, outcome, undisturbed, &expected);
            }
        },
    );
}

fn skips_each_record(beginning: Beginning) {
    let memory = beginning.memory();
    let skipped = skips_each_record_of(script, &memory, beginning.set());
    assert!(skipped > 150, "{skipped}");
}

/// Lets the component die twice over each record of a script. Returns how many were skipped.
fn skips_each_record_of(
    script: impl Fn(&mut System<'_>),
    memory: &Memory,
    set_all: impl Fn(&mut System<'_>),
) -> usize {
    let run = |set: &dyn Fn(&mut System<'_>)| {
        run_script(&script, memory, &mut Deaths::none(), |system| {
            set_all(system);
            system.stamps_ahead = true;
            set(system);
        })
    };
    let undisturbed = run(&|_| ());
    let mut skipped = 0;
    for (vm, of_vm) in (0..).zip(&undisturbed.vms) {
        for position in memory.sent(vm)..of_vm.sent {
            let place = Place { vm, position };
            let outcome = run(&|system| system.killers.push(Killer::over(place, 2)));
            if outcome.died_twice_over().is_none() {
                // Nobody looks at what follows an end.
                assert!(
                    outcome == undisturbed && position + 1 == of_vm.sent,
                    "{place:?}"
                );
                continue;
            }
            let expected = run(&|system| system.misdeed_at = Some(place));
            assert_that_it_is_skipped(place, &outcome, &undisturbed, &expected);
            skipped += 1;
        }
    }
    skipped
}

#[test]
fn each_record_that_kills_twice_is_skipped_and_nothing_else_is_missing() {
    skips_each_record(Beginning::Fresh);
}

#[test]
fn nor_is_anything_where_rings_are_full() {
    skips_each_record(Beginning::FullRings);
}

/// That a record at this place, over which the component has died twice, is skipped: what came of it is
/// what comes of a record that no VMM sends.
fn assert_that_it_is_skipped(
    place: Place,
    outcome: &Outcome,
    undisturbed: &Outcome,
    expected: &Outcome,
) {
    let vm = usize::from(place.vm);
    assert_eq!(outcome.vms[1 - vm], undisturbed.vms[1 - vm], "{place:?}");
    let [outcome, expected] = [outcome, expected].map(|outcome| &outcome.vms[vm]);
    if expected.ended.is_none() {
        // The end itself, which somebody has to hear of.
        assert_eq!(outcome.ended, Some(EndReason::VmmMisbehaved));
        return;
    }
    let rest = [outcome, expected].map(|vm| vm.without_words_for_it(place));
    assert_eq!(rest[0], rest[1], "{place:?}");
    // If it is its device's last access, a VMM that does not send it leaves no gap.
    let unrecorded = [outcome, expected].map(OfVm::unrecorded);
    assert!(unrecorded[0] == unrecorded[1] || unrecorded[0] == unrecorded[1] + 1);
    let deadly = Misdeed::Deadly(Some(place.position));
    assert!(outcome.misdeeds().any(|told| told.last == deadly));
}
