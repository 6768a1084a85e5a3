//! A trace component that has been taken over.
//!
//! It owns the counters and the log, and is trusted for them: what it says of them nobody can
//! check (`docs/threat-model.md`). What it must not do is reach a guest, another component, the
//! serial line or the verdict, or stop the run without a word.

use super::vmm_life_page::UNDER_WAY;
use crate::{Act, Attack, Culprit, Exists, Leaves, Region, Ring, Seen, StoppedBy};
use shared_ring::header_word;
use trace_records::{Kind, LOG_SLOTS, Stamp, StatePage, Tag, VmSummary};
use vm_components::channel;

/// The whole run depends on it. Each one that is started in its place finds the guest's bell in the counter,
/// and tries again, until it stays dead: then the run ends, and everybody is told why.
const ENDS: Attack = Attack {
    name: "",
    tries: "",
    stopped_by: StoppedBy::PageTable,
    exists: Exists::Everywhere,
    on_sel4: Seen::Ends("panic in pd-trace: … at 0x"),
    on_debug_kernel: None,
    on_unikernel: Seen::Fell,
    leaves: Leaves::Dead,
    act: Act::Guest("", ""),
};

/// Somebody notices that it does not answer.
const HANGS: Attack = Attack {
    stopped_by: StoppedBy::Budget,
    on_sel4: Seen::Ends("hung: pd-trace has had"),
    ..ENDS
};

/// The console goes on, whatever its log ring says, and tells what cannot be.
const READ_WITH_CARE: Attack = Attack {
    stopped_by: StoppedBy::Check,
    on_sel4: Seen::Held("error attacker: the trace component misbehaves"),
    on_unikernel: Seen::Held("error attacker: the trace component misbehaves"),
    ..ENDS
};

/// It is trusted for that: a lie about the witness is a lie.
const TRUSTED: Attack = Attack {
    stopped_by: StoppedBy::Nobody,
    on_sel4: Seen::Fell,
    ..ENDS
};

const LOG: Ring = Ring::new(Region::LogRing.own(), Region::LogReader.own(), LOG_SLOTS);
const LOG_OF_THE_WITNESS: Ring = Ring::new(
    Region::LogRing.of_the_witness(),
    Region::LogReader.of_the_witness(),
    LOG_SLOTS,
);

/// Longer than anybody's patience.
const MS: u64 = 2000;

/// For so many wake-ups the lines go up and down.
const LINE_TURNS: u32 = 20;

fn log(trace: &mut Culprit<'_>, ring: Ring, words: &[u64; 7]) {
    let mut ring = ring.after_another(trace.hands);
    ring.push(words, trace.hands);
    trace.hands.notify(channel::trace::CONSOLE);
}

pub const LIST: &[Attack] = &[
    Attack {
        name: "trace-writes-access-ring",
        tries: "writes an access that no guest has made",
        act: Act::Trace(|trace| trace.write(Region::AccessRing.of_the_witness(), 0, 0)),
        ..ENDS
    },
    Attack {
        name: "trace-writes-console-ring",
        tries: "prints in a guest's place",
        act: Act::Trace(|trace| trace.write(Region::ConsoleRing.of_the_witness(), 0, 0)),
        ..ENDS
    },
    Attack {
        name: "trace-writes-guest-ram",
        tries: "writes to a guest's memory",
        act: Act::Trace(|trace| trace.write(Region::GuestRam.of_the_witness(), 0x8_0000 / 8, 0)),
        ..ENDS
    },
    Attack {
        name: "trace-writes-uart",
        tries: "prints by itself",
        act: Act::Trace(|trace| trace.write(Region::Uart.own(), 0, b'!'.into())),
        ..ENDS
    },
    Attack {
        name: "trace-writes-report",
        tries: "writes the verdict in the platform's place",
        act: Act::Trace(|trace| trace.write(Region::Report.own(), 2, 1)),
        ..ENDS
    },
    Attack {
        name: "trace-writes-log-reader",
        tries: "says in the console's place that lines have been printed",
        act: Act::Trace(|trace| trace.write(Region::LogReader.of_the_witness(), 0, u64::MAX)),
        ..ENDS
    },
    Attack {
        name: "trace-spins",
        tries: "spins for two seconds",
        act: Act::Trace(|trace| trace.for_ms(MS, |_| {})),
        ..HANGS
    },
    Attack {
        name: "trace-spins-and-beats",
        tries: "spins for two seconds and gives signs of life all the time",
        act: Act::Trace(|trace| trace.for_ms(MS, |trace| trace.hands.beat())),
        // Who then has no CPU is named, or waits for an answer.
        on_sel4: Seen::Documented("silent: pd-console gives no sign of life"),
        ..TRUSTED
    },
    Attack {
        name: "trace-storms",
        tries: "notifies everybody as often as it can for two seconds",
        act: Act::Trace(|trace| {
            trace.for_ms(MS, |trace| {
                trace.hands.notify(channel::trace::CONSOLE);
                trace.hands.notify(channel::trace::vmm(0));
                trace.hands.notify(channel::trace::vmm(1));
            });
        }),
        ..HANGS
    },
    Attack {
        name: "trace-crashes",
        tries: "executes what is no instruction",
        act: Act::Trace(|trace| trace.hands.crash()),
        on_sel4: Seen::Ends("panic in pd-trace: "),
        ..HANGS
    },
    Attack {
        name: "trace-blames-the-witness",
        tries: "says that the witness's work is under way, and dies",
        stopped_by: StoppedBy::Check,
        act: Act::Trace(|trace| {
            let one_more_than_its_number = 2;
            trace.write(Region::LifePage.own(), UNDER_WAY, one_more_than_its_number);
            trace.hands.crash();
        }),
        on_sel4: Seen::Ends("panic in pd-trace: "),
        // There is no such page.
        on_unikernel: Seen::NotThere,
        ..HANGS
    },
    Attack {
        name: "log-head-at-max",
        tries: "says that the log ring of the attacker's VM holds 2^64 records",
        act: Act::Trace(|trace| trace.claim(LOG.place, header_word::HEAD, u64::MAX)),
        ..READ_WITH_CARE
    },
    Attack {
        name: "log-of-the-others-stamps",
        tries: "puts records into one VM's log that say they are of the other's",
        act: Act::Trace(|trace| {
            let tag = Tag::new(Kind::Reset).stamped(Stamp::new(1, 0));
            let record = trace.record(tag).to_words();
            log(trace, LOG, &record);
        }),
        on_sel4: Seen::Held("attacker"),
        on_unikernel: Seen::Held("attacker"),
        ..READ_WITH_CARE
    },
    Attack {
        name: "log-of-second-sums",
        tries: "sums a VM up twice, with other numbers",
        act: Act::Trace(|trace| {
            let sums = VmSummary::default().to_words(Tag::new(Kind::VmSummary));
            log(trace, LOG, &sums);
            log(trace, LOG, &sums);
        }),
        ..READ_WITH_CARE
    },
    Attack {
        name: "log-of-no-kind",
        tries: "puts records into the log that are of no kind that it can have",
        act: Act::Trace(|trace| {
            for kind in [0, 7, 8, 0xee, 0xff] {
                let record = trace.record(Tag(kind)).to_words();
                log(trace, LOG, &record);
            }
        }),
        ..READ_WITH_CARE
    },
    Attack {
        name: "trace-raises-every-line",
        tries: "raises and lowers the interrupts of all devices that a VM can have",
        exists: Exists::Aarch64,
        act: Act::Trace(|trace| {
            // Who sees the last alone sees all rise and fall.
            let last = if trace.turn % 2 == 0 { u32::MAX } else { 0 };
            for lines in [u32::MAX, 0, 0x5555_5555, 0xaaaa_aaaa, last] {
                trace.write(Region::StatePage.own(), StatePage::LINES_WORD, lines.into());
                trace.hands.notify(channel::trace::vmm(0));
            }
            if trace.turn < LINE_TURNS {
                trace.again();
            }
        }),
        // The line that its configuration connects; of another one its guest says that somebody changed it.
        on_sel4: Seen::Held("attacker| guest: interrupted by 34"),
        on_unikernel: Seen::Held("attacker| guest: interrupted by 34"),
        ..READ_WITH_CARE
    },
    Attack {
        name: "counter-of-garbage",
        tries: "writes any number into the witness's counter",
        act: Act::Trace(|trace| {
            trace.write(Region::StatePage.of_the_witness(), 1, 0xdead_beef_dead_beef);
            if trace.turn < 5 {
                trace.again();
            }
        }),
        ..TRUSTED
    },
    Attack {
        name: "log-of-the-witness",
        tries: "tells of a reset of the witness that never was",
        act: Act::Trace(|trace| {
            let record = trace.record(Tag::new(Kind::Reset)).to_words();
            log(trace, LOG_OF_THE_WITNESS, &record);
        }),
        ..TRUSTED
    },
];
