//! What a VMM that forges records can make of devices, of whatever kind they are: of its own VM's what their
//! guest could do as well, of another VM's nothing. The VMM is played by the test.

mod fixtures;

use fixtures::every_kind::{Answered, accesses, of_every_kind, width};
use fixtures::{LOC, StillHost, VmMemory, compiled, contents, device, leak_mut, only, record};
use guest_access::{Direction, GuestPhysAddr};
use proptest::prelude::*;
use shared_ring::{BoundedProducer, Consumer};
use trace_records::{
    ACCESS_SLOTS, Answer, Entry, Flags, Kind, LOG_SLOTS, Misdeed, Record, StatePage, Tag,
};
use vdev_model::{Access, Otherwise, Read};
use vm_components::{Clock, KeptTrace, Trace, channel};
use vm_config::{AnyVdev, Contents, Device};

const CLOCK: Clock = Clock {
    hz: 1_000_000,
    start_ticks: 0,
};
const PORT: u64 = 0x1000;
const HOSTILE: usize = 0;
const HONEST: usize = 1;

/// Two VMs with the same devices, of every kind.
struct System {
    devices: Vec<Device<'static>>,
    trace: Trace,
    host: StillHost,
    memory: [VmMemory; 2],
    vmms: [BoundedProducer<ACCESS_SLOTS>; 2],
    logs: [Consumer<LOG_SLOTS>; 2],
}

/// What a state page shows of a device.
#[derive(Debug, PartialEq)]
struct Shown {
    words: Vec<u32>,
    answer: Answer,
    is_raised: bool,
}

impl System {
    fn new() -> Self {
        Self::with(of_every_kind(LOC, Some(PORT)))
    }

    fn with(devices: Vec<Device<'static>>) -> Self {
        let configs = [0, 1].map(|vm| {
            compiled(&Contents {
                vm,
                devices: &devices,
                ..contents()
            })
        });
        let memory = [VmMemory::new(), VmMemory::new()];
        let ports = memory.each_ref().map(VmMemory::trace_port);
        Self {
            devices,
            trace: Trace::init(
                ports.into_iter().zip(configs),
                leak_mut(KeptTrace::new()),
                CLOCK,
                0,
            ),
            host: StillHost::at(1),
            vmms: [0, 1].map(|vm| memory[usize::from(vm)].access_producer(CLOCK, vm)),
            logs: [0, 1].map(|vm: usize| memory[vm].log_consumer()),
            memory,
        }
    }

    /// A VM's VMM sends this, and the trace component looks: what it tells.
    fn send(&mut self, vm: usize, record: Record) -> Vec<Entry> {
        self.vmms[vm].push(&record.to_words()).unwrap();
        self.look(vm)
    }

    fn look(&mut self, vm: usize) -> Vec<Entry> {
        let channels = only(channel::trace::CLOCK);
        self.trace.notified(channels, &mut self.host);
        let told = std::iter::from_fn(|| self.logs[vm].pop());
        told.map(|item| Entry::from_words(&item.payload).unwrap())
            .collect()
    }

    /// A second passes, so that the next misdeed is told at once.
    fn pass_a_second(&mut self) {
        self.host.now += CLOCK.hz;
        self.look(HOSTILE);
    }

    /// The misdeed that is told of this record, if one is.
    fn misdeed(&mut self, record: Record) -> Option<Misdeed> {
        let told = self.send(HOSTILE, record);
        told.iter().find_map(|entry| match entry {
            Entry::Misbehaviour(misbehaviour) => Some(misbehaviour.last),
            _ => None,
        })
    }

    fn shown(&self, vm: usize) -> Vec<Shown> {
        let page: &StatePage = self.memory[vm].state;
        let devices = self.devices.iter().enumerate();
        let shown = devices.map(|(number, device)| {
            let mut words = vec![0; device.vdev.word_count()];
            match &mut words[..] {
                [] => {}
                [word] => *word = page.read(number).value,
                words => assert!(page.read_several(number, words).is_some()),
            }
            Shown {
                words,
                answer: page.answer(number),
                is_raised: page.lines() >> number & 1 != 0,
            }
        });
        shown.collect()
    }
}

/// An access to a device, `offset` behind where it begins.
fn access(
    (number, device): (usize, &Device<'_>),
    direction: Direction,
    offset: u64,
    width_bytes: u64,
    sequence: u64,
) -> Record {
    let tag = Tag::new(Kind::Access)
        .with_access(direction, None)
        .with_instance(number as u8)
        .with_space(device.space);
    Record {
        address: GuestPhysAddr(device.loc.wrapping_add(offset)),
        value: 0xffff_ffff,
        sequence,
        // As no decoder would say it.
        tag: Tag(tag.0 | (width_bytes & 0xf) << 32),
        ..record(Kind::Access)
    }
}

/// Accesses that no guest's VMM lets through: at no register, as wide as none, and what a register does not allow.
fn forged<'a>(device: &'a Device<'_>) -> impl Iterator<Item = (Direction, u64, u64)> + 'a {
    let kind = device.kind();
    let both = [Direction::Read, Direction::Write];
    let places = [0, 1, 3, kind.len - 1, kind.len, kind.len + 0x1000, u64::MAX];
    let widths = [0, 1, 2, 3, 4, 5, 8, 15];
    let anywhere = places.into_iter().flat_map(move |place| {
        let of_width = widths.into_iter();
        of_width.flat_map(move |width| both.map(|direction| (direction, place, width)))
    });
    let not_allowed = kind.registers.iter().filter_map(|register| {
        let direction = match register.access {
            Access::ReadWrite => return None,
            Access::ReadOnly => Direction::Write,
            Access::WriteOnly => Direction::Read,
        };
        Some((direction, register.offset, register.width_bytes))
    });
    let all = anywhere.chain(not_allowed);
    all.filter(|(direction, offset, width)| kind.find(*offset, *width, *direction).is_none())
}

#[test]
fn what_no_register_allows_changes_no_device_and_is_told() {
    let devices = of_every_kind(LOC, Some(PORT));
    for at in devices.iter().enumerate() {
        let (mut system, mut number) = (System::new(), 1);
        for (direction, offset, width) in forged(at.1) {
            system.pass_a_second();
            let before = system.shown(HOSTILE);
            let is_ignored = at.1.kind().otherwise == Otherwise::Ignored
                && offset
                    .checked_add(width)
                    .is_some_and(|end| end <= at.1.kind().len);
            let misdeed = system.misdeed(access(at, direction, offset, width, number));
            number += u64::from(is_ignored);
            let expected = (!is_ignored).then_some(Misdeed::Location);
            let place = (at.1.kind().name, direction, offset, width);
            assert_eq!(misdeed, expected, "{place:?}");
            assert_eq!(system.shown(HOSTILE), before, "{place:?}");
        }
    }
}

#[test]
fn a_number_that_does_not_follow_changes_no_device_and_is_told() {
    let devices = of_every_kind(LOC, Some(PORT));
    for at in devices.iter().enumerate() {
        let mut system = System::new();
        let mut accesses = accesses(at.1.kind());
        accesses.retain(|it| it.is != Answered::Refused);
        let mut number = 0;
        for it in &accesses {
            number += 1;
            let record = access(at, it.direction, it.offset, it.width.bytes(), number);
            system.send(HOSTILE, record);
        }
        let before = system.shown(HOSTILE);
        for it in &accesses {
            for number in [0, 1, number, number + (1 << 40) + 2, u64::MAX] {
                let record = access(at, it.direction, it.offset, it.width.bytes(), number);
                system.send(HOSTILE, record);
                let now: Vec<_> = system.shown(HOSTILE);
                assert_eq!(now, before, "{} {number}", at.1.kind().name);
            }
        }
    }
}

#[test]
fn whatever_is_done_to_a_vms_devices_changes_none_of_another_vm() {
    let mut system = System::new();
    let before = system.shown(HONEST);
    let devices = of_every_kind(LOC, Some(PORT));
    for at in devices.iter().enumerate() {
        let mut number = 0;
        // What nobody needs to be asked is asked as well.
        for it in accesses(at.1.kind()).into_iter().cycle().take(300) {
            number += 1;
            let record = access(at, it.direction, it.offset, it.width.bytes(), number);
            system.send(HOSTILE, record);
        }
    }
    system.send(HOSTILE, record(Kind::Reset));
    assert_ne!(system.shown(HOSTILE), before);
    assert_eq!(system.shown(HONEST), before);
    assert_eq!(system.look(HONEST), []);
}

#[test]
fn a_refused_access_does_nothing_to_what_is_asked() {
    let devices = of_every_kind(LOC, Some(PORT));
    for at in devices.iter().enumerate() {
        let (mut system, mut number) = (System::new(), 0);
        for register in at.1.kind().registers {
            let before = system.shown(HOSTILE);
            for direction in [Direction::Write, Direction::Read] {
                number += 1;
                let it = access(at, direction, register.offset, register.width_bytes, number);
                let told = system.send(
                    HOSTILE,
                    Record {
                        tag: it.tag.with_flags(Flags::REFUSED),
                        ..it
                    },
                );
                assert!(matches!(told[..], [Entry::Event(Kind::Access, _)]));
            }
            assert_eq!(system.shown(HOSTILE), before, "{}", register.name);
        }
    }
}

#[test]
fn whose_word_a_record_is_is_not_its_vmms_to_say() {
    let devices = of_every_kind(LOC, Some(PORT));
    for at in devices.iter().enumerate() {
        let mut system = System::new();
        for (number, claim) in [(1, Flags::NONE), (2, Flags::OF_VMM)] {
            let it = accesses(at.1.kind())[0];
            let it = access(at, it.direction, it.offset, it.width.bytes(), number);
            let tag = it.tag.with_flags(claim);
            let told = system.send(HOSTILE, Record { tag, ..it });
            let [Entry::Event(Kind::Access, told)] = told[..] else {
                panic!("{told:?}");
            };
            let is_isolated = at.1.vdev.local().is_none();
            let is_said = told.tag.flags().contains(Flags::OF_VMM);
            assert_eq!(is_said, !is_isolated, "{}", at.1.kind().name);
            assert_eq!(told.tag.space(), at.1.space);
        }
    }
}

#[test]
fn of_a_device_that_a_vmm_has_and_that_tells_nothing_nothing_is_believed() {
    let silent = of_every_kind(LOC, Some(PORT)).into_iter().map(|it| Device {
        emit: device(it.kind().name, it.loc).emit,
        ..it
    });
    let devices: Vec<_> = silent.filter(|it| it.vdev.local().is_some()).collect();
    for at in devices.iter().enumerate() {
        let mut system = System::with(devices.clone());
        let it = accesses(at.1.kind())[0];
        let it = access(at, it.direction, it.offset, it.width.bytes(), 1);
        assert_eq!(system.misdeed(it), Some(Misdeed::Device));
    }
}

#[test]
fn an_answer_is_given_whatever_its_number_and_its_value_are() {
    let devices = of_every_kind(LOC, Some(PORT));
    let asked = devices.iter().enumerate().flat_map(|at| {
        let registers = at.1.kind().registers.iter();
        let asked = registers.filter(|register| register.read == Read::Asked);
        asked.map(move |register| (at, register))
    });
    for (at, register) in asked {
        let mut system = System::new();
        let (offset, bytes) = (register.offset, register.width_bytes);
        let read = |number| access(at, Direction::Read, offset, bytes, number);
        system.send(HOSTILE, access(at, Direction::Write, offset, bytes, 1));
        // The low half of the last but one number is 0.
        for number in [2, 1 << 32, (1 << 32) + 1] {
            let told = system.send(HOSTILE, read(number));
            let [Entry::Event(Kind::Access, told)] = told[..] else {
                panic!("{told:?}");
            };
            let answer = Answer {
                sequence: number as u32,
                value: told.value,
            };
            assert_eq!(system.memory[HOSTILE].state.answer(at.0), answer);
            assert!(u64::from(told.value) <= width(bytes).mask());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn no_record_at_all_changes_another_vms_devices(
        records in prop::collection::vec((any::<[u64; 4]>(), 0u8..40, 0u64..0x40, 0u64..4), 1..200)
    ) {
        let mut system = System::new();
        let before = system.shown(HONEST);
        for ([flags, value, number, pc], instance, offset, ahead) in records {
            let at = system.devices.get(usize::from(instance)).map_or(LOC, |it| it.loc);
            let tag = Tag(flags << 8 | 1).with_instance(instance);
            let record = Record {
                address: GuestPhysAddr(at + offset),
                pc,
                value: value as u32,
                sequence: if ahead == 0 { number } else { ahead + number % 300 },
                tag,
                ..record(Kind::Access)
            };
            system.send(HOSTILE, record);
        }
        prop_assert_eq!(system.shown(HONEST), before);
        prop_assert!(system.look(HONEST).is_empty());
    }
}
