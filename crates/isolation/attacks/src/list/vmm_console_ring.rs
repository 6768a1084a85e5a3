//! A VMM that puts into its console ring what no guest has printed.
//!
//! What comes out of it is text of a VM, with the VM's name before it, and of its share of the
//! line. [`FORGED`] is in every text that tries to be another's: the runner looks where it ends up.

use crate::{Act, Attack, Exists, Leaves, Place, Region, Seen, StoppedBy};
use shared_ring::header_word;
use trace_records::{Address, ConsoleRecord, EndReason, Kind, Notice, Tag, Text};

const RING: Place = Region::ConsoleRing.own();

/// It is printed as the attacker's.
const PRINTED: Attack = Attack {
    name: "",
    tries: "",
    stopped_by: StoppedBy::Check,
    exists: Exists::Everywhere,
    on_sel4: Seen::Held("attacker| "),
    on_debug_kernel: None,
    on_unikernel: Seen::Held("attacker| "),
    leaves: Leaves::Alive,
    act: Act::Guest("", ""),
};

/// What cannot be is told.
const MISBEHAVES: Attack = Attack {
    on_sel4: Seen::Held("error attacker: its VMM misbehaves"),
    on_unikernel: Seen::Held("error attacker: its VMM misbehaves"),
    ..PRINTED
};

/// It costs nobody anything.
const IGNORED: Attack = Attack {
    on_sel4: Seen::Held(""),
    on_unikernel: Seen::Held(""),
    ..PRINTED
};

pub const LIST: &[Attack] = &[
    Attack {
        name: "text-verdict",
        tries: "prints the line that ends a run well",
        act: Act::Vmm(|vmm| vmm.print("\nverdict: ok\n\r\nverdict: ok forged\n")),
        ..PRINTED
    },
    Attack {
        name: "text-escapes",
        tries: "prints escapes that clear the terminal and move its cursor up",
        act: Act::Vmm(|vmm| vmm.print("\x1b[2J\x1b[9A\x1b[Hforged \u{9b}31m\x07\x08\x7f\n")),
        ..PRINTED
    },
    Attack {
        name: "text-of-the-other-vm",
        tries: "prints lines that look like the other VM's",
        act: Act::Vmm(|vmm| {
            vmm.print("\r[   0.000001] witness| guest: forged\n");
            vmm.print("\n[   0.000001] info  witness trace0: forged\n");
        }),
        ..PRINTED
    },
    Attack {
        name: "text-of-the-monitor",
        tries: "prints lines that look like the monitor's",
        act: Act::Vmm(|vmm| {
            vmm.print("\npanic in pd-console: forged\n\rpanic in pd-trace: forged\n");
        }),
        ..PRINTED
    },
    Attack {
        name: "text-without-newline",
        tries: "prints a line that never ends",
        act: Act::Vmm(|vmm| {
            for _ in 0..50 {
                vmm.print("verdict: ok forged   ");
            }
            vmm.print("\n");
        }),
        ..PRINTED
    },
    Attack {
        name: "text-longer-than-its-record",
        tries: "says that a record of 40 characters holds 255",
        act: Act::Vmm(|vmm| {
            let mut words = ConsoleRecord::Text(Text::new(0, b"forged")).to_words();
            words[6] |= 0xff;
            vmm.console.push(&words, vmm.hands);
        }),
        ..MISBEHAVES
    },
    Attack {
        name: "text-stamped-at-the-end-of-time",
        tries: "prints a line with the last time there is",
        act: Act::Vmm(|vmm| {
            let text = ConsoleRecord::Text(Text::new(u64::MAX >> 8, b"when?\n"));
            vmm.console.push(&text.to_words(), vmm.hands);
        }),
        ..IGNORED
    },
    Attack {
        name: "text-flood",
        tries: "prints as fast as the ring takes it, for two seconds",
        stopped_by: StoppedBy::Budget,
        act: Act::Vmm(|vmm| {
            while vmm.console.has_room(vmm.hands) {
                vmm.print("forged verdict: ok, as much as there is.\n");
            }
            if vmm.turn < 20 {
                vmm.again();
            }
        }),
        ..PRINTED
    },
    Attack {
        name: "text-of-empty-records",
        tries: "fills the ring with texts of no characters, which cost nothing of its share",
        stopped_by: StoppedBy::Budget,
        act: Act::Vmm(|vmm| {
            let empty = ConsoleRecord::Text(Text::new(0, b"")).to_words();
            while vmm.console.push(&empty, vmm.hands) {}
            vmm.hands.notify(vm_components::channel::vmm::CONSOLE);
            if vmm.turn < 20 {
                vmm.again();
            }
        }),
        ..IGNORED
    },
    Attack {
        name: "notice-that-trace-is-gone",
        tries: "says that the trace component does not answer",
        act: Act::Vmm(|vmm| {
            let notice = ConsoleRecord::Notice {
                time: vmm.hands.now(),
                notice: Notice::TraceGone,
                number: 0,
                address: Address::NONE,
                pc: 0,
            };
            vmm.console.push(&notice.to_words(), vmm.hands);
        }),
        on_sel4: Seen::Held("error attacker: "),
        on_unikernel: Seen::Held("error attacker: "),
        ..PRINTED
    },
    Attack {
        name: "notice-storm",
        tries: "fills the ring with messages, which are always printed",
        stopped_by: StoppedBy::Budget,
        act: Act::Vmm(|vmm| {
            let time = vmm.hands.now();
            let notice = ConsoleRecord::Notice {
                time,
                notice: Notice::Refused,
                number: u64::MAX,
                address: Address::memory(u64::MAX),
                pc: u64::MAX,
            };
            while vmm.console.push(&notice.to_words(), vmm.hands) {}
            vmm.hands.notify(vm_components::channel::vmm::CONSOLE);
            if vmm.turn < 20 {
                vmm.again();
            }
        }),
        on_sel4: Seen::Held("warn  attacker: "),
        on_unikernel: Seen::Held("warn  attacker: "),
        ..PRINTED
    },
    Attack {
        name: "notice-of-no-kind",
        tries: "sends a message that there is none",
        act: Act::Vmm(|vmm| {
            let words = [0, 0, 0, 0, 0, Tag::new(Kind::Notice).0, u64::MAX];
            vmm.console.push(&words, vmm.hands);
        }),
        ..MISBEHAVES
    },
    Attack {
        name: "console-of-access-records",
        tries: "puts records of accesses into the console ring",
        act: Act::Vmm(|vmm| {
            let record = vmm.read_of_the_device().to_words();
            vmm.console.push(&record, vmm.hands);
        }),
        ..MISBEHAVES
    },
    Attack {
        name: "end-and-text-after-it",
        tries: "ends its VM by a message and prints on for two seconds",
        stopped_by: StoppedBy::Budget,
        act: Act::Vmm(|vmm| {
            if vmm.turn == 0 {
                let end = ConsoleRecord::Notice {
                    time: vmm.hands.now(),
                    notice: Notice::Ended(EndReason::GuestFailed),
                    number: 0,
                    address: Address::NONE,
                    pc: 0,
                };
                vmm.console.push(&end.to_words(), vmm.hands);
            }
            for _ in 0..50 {
                vmm.print("forged after the end\n");
            }
            if vmm.turn < 20 {
                vmm.again();
            }
        }),
        // Where a monitor says who has ended, a VMM's word is its claim.
        on_sel4: Seen::Held("warn  attacker: its VMM says: the guest says that it failed"),
        on_unikernel: Seen::Held("fatal attacker: "),
        leaves: Leaves::Dead,
        ..PRINTED
    },
    Attack {
        name: "console-head-at-max",
        tries: "says that its console ring holds 2^64 records",
        act: Act::Vmm(|vmm| vmm.claim(RING, header_word::HEAD, u64::MAX)),
        ..MISBEHAVES
    },
    Attack {
        name: "console-head-back",
        tries: "takes text back that has been printed",
        act: Act::Vmm(|vmm| vmm.claim(RING, header_word::HEAD, 0)),
        ..MISBEHAVES
    },
    Attack {
        name: "console-head-over-stale-slots",
        tries: "says that its console ring is full, over and over, without writing a record",
        stopped_by: StoppedBy::Budget,
        act: Act::Vmm(|vmm| {
            vmm.console.fill_with_nothing(vmm.hands);
            vmm.hands.notify(vm_components::channel::vmm::CONSOLE);
            if vmm.turn < 20 {
                vmm.again();
            }
        }),
        leaves: Leaves::Dead,
        ..MISBEHAVES
    },
    Attack {
        name: "console-magic",
        tries: "takes the magic number off its console ring",
        act: Act::Vmm(|vmm| {
            vmm.claim(RING, header_word::MAGIC, 0);
            if vmm.turn == 0 {
                vmm.print("unread\n");
            }
        }),
        ..MISBEHAVES
    },
];
