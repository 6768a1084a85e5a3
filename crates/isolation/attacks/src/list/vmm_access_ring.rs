//! A VMM that lies about its access ring itself: its header, its positions, its numbers.
//!
//! The trace component keeps indices of its own and believes none that cannot be.

use crate::{Act, Attack, Culprit, Exists, Leaves, Place, Region, Seen, StoppedBy};
use shared_ring::{RingKind, header_word};
use trace_records::{Kind, Tag};

const RING: Place = Region::AccessRing.own();
const SLOTS: u64 = trace_records::ACCESS_SLOTS as u64;

/// What cannot be is told.
const MISBEHAVES: Attack = Attack {
    name: "",
    tries: "",
    stopped_by: StoppedBy::Check,
    exists: Exists::Everywhere,
    on_sel4: Seen::Held("error attacker: its VMM misbehaves"),
    on_debug_kernel: None,
    on_unikernel: Seen::Held("error attacker: its VMM misbehaves"),
    leaves: Leaves::Alive,
    act: Act::Guest("", ""),
};

/// So much of it that the ring is closed.
const WITHOUT_END: Attack = Attack {
    leaves: Leaves::Dead,
    ..MISBEHAVES
};

/// A record of a guest that is somewhere where there is nothing: it costs nobody anything.
fn append(vmm: &mut Culprit<'_>) {
    let record = vmm.record(Tag::new(Kind::Outside));
    vmm.tell(record);
}

/// A word of the header that is not what it has to be, and a record by which that is noticed.
fn header(vmm: &mut Culprit<'_>, word: usize, value: u64) {
    vmm.claim(RING, word, value);
    if vmm.turn == 0 {
        append(vmm);
    }
}

/// A record with a number of its own.
fn numbered(vmm: &mut Culprit<'_>, number: u64) {
    let record = vmm.record(Tag::new(Kind::Outside));
    vmm.access.put(number, &record.to_words(), vmm.hands);
}

/// As many records as there are slots, none of which was written.
fn full_of_stale_slots(vmm: &mut Culprit<'_>) {
    vmm.access.fill_with_nothing(vmm.hands);
    vmm.hands.notify(vm_components::channel::vmm::TRACE);
}

pub const LIST: &[Attack] = &[
    Attack {
        name: "access-magic",
        tries: "takes the magic number off its access ring",
        act: Act::Vmm(|vmm| header(vmm, header_word::MAGIC, 0)),
        ..MISBEHAVES
    },
    Attack {
        name: "access-version",
        tries: "says that its access ring has a layout of the future",
        act: Act::Vmm(|vmm| header(vmm, header_word::LAYOUT_VERSION, u64::MAX)),
        on_sel4: Seen::Held("error attacker: its VMM is of another build"),
        on_unikernel: Seen::Held("error attacker: its VMM is of another build"),
        ..MISBEHAVES
    },
    Attack {
        name: "access-slot-size",
        tries: "says that the slots of its access ring have no bytes",
        act: Act::Vmm(|vmm| header(vmm, header_word::SLOT_BYTES, 0)),
        ..MISBEHAVES
    },
    Attack {
        name: "access-slot-count",
        tries: "says that its access ring has more slots than there is memory",
        act: Act::Vmm(|vmm| header(vmm, header_word::SLOT_COUNT, 1 << 60)),
        ..MISBEHAVES
    },
    Attack {
        name: "access-kind",
        tries: "says that its access ring is a log ring",
        act: Act::Vmm(|vmm| header(vmm, header_word::KIND_AND_VM, RingKind::Log as u64)),
        ..MISBEHAVES
    },
    Attack {
        name: "access-head-at-max",
        tries: "says that its access ring holds 2^64 records",
        act: Act::Vmm(|vmm| vmm.claim(RING, header_word::HEAD, u64::MAX)),
        ..MISBEHAVES
    },
    Attack {
        name: "access-head-back",
        tries: "takes records back that have been read",
        act: Act::Vmm(|vmm| vmm.claim(RING, header_word::HEAD, 0)),
        ..MISBEHAVES
    },
    Attack {
        name: "access-head-too-far",
        tries: "says that its access ring holds one record more than it has slots",
        act: Act::Vmm(|vmm| {
            let head = vmm.access.head + SLOTS + 1;
            vmm.claim(RING, header_word::HEAD, head);
        }),
        ..MISBEHAVES
    },
    Attack {
        name: "access-head-over-stale-slots",
        tries: "says that its access ring is full, over and over, without writing a record",
        stopped_by: StoppedBy::Budget,
        act: Act::Vmm(|vmm| {
            // Ten times a second, for two seconds; row 6 of the list that began this one.
            full_of_stale_slots(vmm);
            if vmm.turn < 20 {
                vmm.again();
            }
        }),
        ..WITHOUT_END
    },
    Attack {
        name: "access-head-storm",
        tries: "says that its access ring is full as often as the CPU can",
        stopped_by: StoppedBy::Budget,
        act: Act::Vmm(|vmm| {
            vmm.for_ms(2000, |vmm| {
                full_of_stale_slots(vmm);
            });
        }),
        on_unikernel: Seen::Fell,
        ..WITHOUT_END
    },
    Attack {
        name: "access-slot-number-ahead",
        tries: "leaves a hole of a thousand in its records' numbers",
        act: Act::Vmm(|vmm| {
            vmm.access.sequence += 1000;
            append(vmm);
        }),
        ..MISBEHAVES
    },
    Attack {
        name: "access-slot-number-back",
        tries: "gives a record the number of one that has been read",
        act: Act::Vmm(|vmm| numbered(vmm, 1)),
        ..MISBEHAVES
    },
    Attack {
        name: "access-slot-torn",
        tries: "publishes a record that it is still writing",
        act: Act::Vmm(|vmm| numbered(vmm, 0)),
        ..MISBEHAVES
    },
    Attack {
        name: "access-slot-number-at-max",
        tries: "uses the last number there is, so that all that follow are old",
        act: Act::Vmm(|vmm| {
            numbered(vmm, u64::MAX);
            append(vmm);
        }),
        leaves: Leaves::Mute,
        ..MISBEHAVES
    },
    Attack {
        name: "access-slot-rewritten",
        tries: "changes a record while it is read",
        act: Act::Vmm(|vmm| {
            let slot = vmm.access.slot(vmm.access.head);
            append(vmm);
            // Not so many that they alone take a turn on the unikernel, where nobody interrupts them.
            for value in 0..5_000 {
                vmm.hands.store(RING, slot + 1 + value % 7, value << 50);
            }
        }),
        // It is the first that counts, or nothing.
        on_sel4: Seen::Held(""),
        on_unikernel: Seen::Held(""),
        ..MISBEHAVES
    },
    Attack {
        name: "access-waits-always",
        tries: "says two thousand times that it waits for room, to be notified for each",
        stopped_by: StoppedBy::Budget,
        act: Act::Vmm(|vmm| {
            let waits = header_word::WAITING as u64;
            for count in 0..2000 {
                vmm.hands.store(RING, waits, u64::MAX - count);
                if count % 100 == 0 {
                    vmm.hands.notify(vm_components::channel::vmm::TRACE);
                }
            }
        }),
        on_sel4: Seen::Held(""),
        on_unikernel: Seen::Held(""),
        ..MISBEHAVES
    },
];
