//! A VMM that puts records into its access ring which no guest has caused.
//!
//! Every field is a claim, and the trace component looks at each.

use crate::{Act, Attack, Exists, Leaves, Seen, StoppedBy};
use guest_access::{AccessWidth, Direction, GuestPhysAddr};
use trace_records::{EndReason, Flags, Kind, Stamp, Tag};

const TOLD: Seen = Seen::Held("error attacker: its VMM misbehaves");
const CLOSED: Seen = Seen::Held("error attacker: its VMM misbehaves");

/// A record that cannot be is told.
const FORGED: Attack = Attack {
    name: "",
    tries: "",
    stopped_by: StoppedBy::Check,
    exists: Exists::Everywhere,
    on_sel4: TOLD,
    on_debug_kernel: None,
    on_unikernel: TOLD,
    leaves: Leaves::Alive,
    act: Act::Guest("", ""),
};

/// A record that is worth nothing and harms nobody.
const HARMLESS: Attack = Attack {
    on_sel4: Seen::Held(""),
    on_unikernel: Seen::Held(""),
    ..FORGED
};

/// Too many of them cost the VM its ring.
const TOO_MANY: Attack = Attack {
    on_sel4: CLOSED,
    on_unikernel: CLOSED,
    leaves: Leaves::Dead,
    ..FORGED
};

/// So many records of one kind that a share of the line is not enough for them.
const MANY: usize = 500;

pub const LIST: &[Attack] = &[
    Attack {
        name: "record-of-no-kind",
        tries: "tells of something of a kind that there is none",
        act: Act::Vmm(|vmm| {
            let record = vmm.record(Tag(0xee));
            vmm.tell(record);
        }),
        ..FORGED
    },
    Attack {
        name: "records-of-every-kind",
        tries: "tells of all 256 kinds of things, on all devices, in all widths",
        act: Act::Vmm(|vmm| {
            for kind in (0..=255).filter(|kind| *kind != Kind::End as u64) {
                let record = vmm.record(Tag(kind | kind << 16 | (kind & 0xf) << 32));
                vmm.tell(record);
            }
        }),
        ..TOO_MANY
    },
    Attack {
        name: "sums-of-its-own",
        tries: "puts the sums of its VM into the ring, which only the trace component adds up",
        act: Act::Vmm(|vmm| {
            let record = vmm.record(Tag::new(Kind::VmSummary));
            vmm.tell(record);
        }),
        ..FORGED
    },
    Attack {
        name: "access-to-no-device",
        tries: "tells of an access to a device that its VM does not have",
        act: Act::Vmm(|vmm| {
            let record = vmm.read_of_the_device();
            let tag = record.tag.with_instance(255);
            vmm.tell(trace_records::Record { tag, ..record });
        }),
        ..FORGED
    },
    Attack {
        name: "access-of-three-bytes",
        tries: "tells of an access of a width that there is none",
        act: Act::Vmm(|vmm| {
            let record = vmm.read_of_the_device();
            vmm.tell(trace_records::Record {
                tag: Tag(record.tag.0 & !(0xf << 32) | 3 << 32),
                ..record
            });
        }),
        ..FORGED
    },
    Attack {
        name: "access-beside-the-device",
        tries: "tells of an access to an address that is not the device's",
        act: Act::Vmm(|vmm| {
            let record = vmm.read_of_the_device();
            vmm.tell(trace_records::Record {
                address: GuestPhysAddr(0),
                ..record
            });
        }),
        ..FORGED
    },
    Attack {
        name: "access-number-back",
        tries: "tells of an access that was long ago, by its number",
        act: Act::Vmm(|vmm| {
            let record = vmm.read_of_the_device();
            vmm.tell(trace_records::Record {
                sequence: 0,
                ..record
            });
        }),
        ..FORGED
    },
    Attack {
        name: "access-number-ahead",
        tries: "tells of an access so far ahead that all that follow would be old",
        act: Act::Vmm(|vmm| {
            let record = vmm.read_of_the_device();
            vmm.tell(trace_records::Record {
                sequence: u64::MAX,
                ..record
            });
        }),
        ..FORGED
    },
    Attack {
        name: "flags-all-ones",
        tries: "marks an access with every flag there could be",
        act: Act::Vmm(|vmm| {
            let record = vmm.read_of_the_device();
            let tag = record.tag.with_flags(Flags(0xff));
            vmm.tell(trace_records::Record { tag, ..record });
        }),
        ..FORGED
    },
    Attack {
        name: "record-of-the-others-vm",
        tries: "says that a record is of the other VM",
        act: Act::Vmm(|vmm| {
            let tag = Tag::new(Kind::Outside).stamped(Stamp::new(1, 7));
            let record = vmm.record(tag.with_access(Direction::Write, Some(AccessWidth::Word)));
            vmm.tell(trace_records::Record { value: 1, ..record });
        }),
        on_sel4: Seen::Held("warn  attacker no device"),
        on_unikernel: Seen::Held("warn  attacker no device"),
        ..FORGED
    },
    Attack {
        name: "stamp-in-the-future",
        tries: "stamps a record with the end of time, so that all seconds would pass at once",
        act: Act::Vmm(|vmm| {
            let record = vmm.record(Tag::new(Kind::Outside));
            vmm.tell(trace_records::Record {
                time: u64::MAX,
                ..record
            });
        }),
        ..HARMLESS
    },
    Attack {
        name: "stamp-in-the-past",
        tries: "stamps a record with the beginning of time",
        act: Act::Vmm(|vmm| {
            let record = vmm.record(Tag::new(Kind::Outside));
            vmm.tell(trace_records::Record { time: 0, ..record });
        }),
        ..HARMLESS
    },
    Attack {
        name: "outside-without-end",
        tries: "tells of four billion accesses to nowhere, over and over",
        stopped_by: StoppedBy::Budget,
        act: Act::Vmm(|vmm| {
            for _ in 0..MANY {
                let record = vmm.record(Tag::new(Kind::Outside));
                vmm.tell(trace_records::Record {
                    value: u32::MAX,
                    ..record
                });
            }
        }),
        ..HARMLESS
    },
    Attack {
        name: "reset-storm",
        tries: "tells of hundreds of resets, each of which is a line",
        stopped_by: StoppedBy::Budget,
        act: Act::Vmm(|vmm| {
            for _ in 0..MANY {
                let record = vmm.record(Tag::new(Kind::Reset));
                vmm.tell(record);
            }
        }),
        on_sel4: Seen::Held("attacker"),
        on_unikernel: Seen::Held("attacker"),
        ..FORGED
    },
    Attack {
        name: "end-for-no-reason",
        tries: "ends its VM for a reason that there is none",
        act: Act::Vmm(|vmm| {
            let mut end = vmm.end(EndReason::PoweredOff);
            end.value = 200;
            vmm.tell(end);
        }),
        on_sel4: Seen::Held("attacker: "),
        on_unikernel: Seen::Held("attacker: "),
        leaves: Leaves::Dead,
        ..FORGED
    },
    Attack {
        name: "second-end",
        tries: "says that its VM has failed, and then that all is well",
        act: Act::Vmm(|vmm| {
            for reason in [EndReason::GuestFailed, EndReason::PoweredOff] {
                let end = vmm.end(reason);
                vmm.tell(end);
            }
        }),
        on_sel4: Seen::Held("fatal attacker: ended"),
        on_unikernel: Seen::Held("fatal attacker: ended"),
        leaves: Leaves::Dead,
        ..FORGED
    },
    Attack {
        name: "second-end-later",
        tries: "says that its VM has failed, and a second later that all is well",
        act: Act::Vmm(|vmm| {
            if vmm.turn == 0 || vmm.turn == 10 {
                let reason =
                    [EndReason::GuestFailed, EndReason::PoweredOff][vmm.turn as usize / 10];
                let end = vmm.end(reason);
                vmm.tell(end);
            }
            if vmm.turn < 10 {
                vmm.again();
            }
        }),
        on_sel4: Seen::Held("fatal attacker: ended"),
        on_unikernel: Seen::Held("fatal attacker: ended"),
        leaves: Leaves::Dead,
        ..FORGED
    },
    Attack {
        name: "end-storm",
        tries: "ends its VM hundreds of times, and each End prints sums",
        stopped_by: StoppedBy::Budget,
        act: Act::Vmm(|vmm| {
            for _ in 0..50 {
                let end = vmm.end(EndReason::GuestFailed);
                vmm.tell(end);
            }
            if vmm.turn < 20 {
                vmm.again();
            }
        }),
        on_sel4: Seen::Held("fatal attacker: ended"),
        on_unikernel: Seen::Held("fatal attacker: ended"),
        leaves: Leaves::Dead,
        ..FORGED
    },
    Attack {
        name: "access-after-the-end",
        tries: "goes on telling of accesses when its VM has ended",
        act: Act::Vmm(|vmm| {
            let end = vmm.end(EndReason::GuestFailed);
            vmm.tell(end);
            for _ in 0..MANY {
                let record = vmm.record(Tag::new(Kind::Outside));
                vmm.tell(record);
            }
        }),
        on_sel4: Seen::Held("fatal attacker: ended"),
        on_unikernel: Seen::Held("fatal attacker: ended"),
        leaves: Leaves::Dead,
        ..FORGED
    },
];
