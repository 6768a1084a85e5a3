//! A console that has been taken over.
//!
//! It owns the serial line, and may print what it likes: nothing that it prints counts, where
//! somebody looks at the platform's own verdict. What it must not do is reach a guest, the trace
//! or the verdict, or stop the run without a word.

use crate::{Act, Attack, Exists, Leaves, Region, Seen, StoppedBy};
use shared_ring::header_word;

/// It dies, and another is started that goes on in its place: it has not heard the guest.
const DIES: Attack = Attack {
    name: "",
    tries: "",
    stopped_by: StoppedBy::PageTable,
    exists: Exists::Everywhere,
    on_sel4: Seen::Held("pd-console restarted (1): … at 0x"),
    on_debug_kernel: None,
    on_unikernel: Seen::Fell,
    leaves: Leaves::Dead,
    act: Act::Guest("", ""),
};

/// It has a higher priority than the VMs: they wait until somebody notices that it does not answer.
const HANGS: Attack = Attack {
    stopped_by: StoppedBy::Budget,
    on_sel4: Seen::Mended("pd-console restarted (1): hung"),
    ..DIES
};

/// How far it has read is a claim to whoever writes, and looked at when there is no room.
const READ_WITH_CARE: Attack = Attack {
    stopped_by: StoppedBy::Check,
    on_sel4: Seen::Held(""),
    on_unikernel: Seen::Held(""),
    ..DIES
};

const MS: u64 = 2000;

pub const LIST: &[Attack] = &[
    Attack {
        name: "console-writes-log-ring",
        tries: "changes the log that it prints",
        act: Act::Console(|console| {
            console.write(
                Region::LogRing.of_the_witness(),
                header_word::HEAD as u64,
                0,
            )
        }),
        ..DIES
    },
    Attack {
        name: "console-writes-access-ring",
        tries: "writes an access that no guest has made",
        act: Act::Console(|console| console.write(Region::AccessRing.of_the_witness(), 0, 0)),
        ..DIES
    },
    Attack {
        name: "console-writes-state-page",
        tries: "sets a counter",
        act: Act::Console(|console| console.write(Region::StatePage.of_the_witness(), 1, 0xdead)),
        ..DIES
    },
    Attack {
        name: "console-writes-guest-ram",
        tries: "writes to a guest's memory",
        act: Act::Console(|console| {
            console.write(Region::GuestRam.of_the_witness(), 0x8_0000 / 8, 0)
        }),
        ..DIES
    },
    Attack {
        name: "console-writes-report",
        tries: "writes the verdict in the platform's place",
        act: Act::Console(|console| console.write(Region::Report.own(), 2, 1)),
        ..DIES
    },
    Attack {
        name: "console-spins",
        tries: "spins for two seconds",
        act: Act::Console(|console| console.for_ms(MS, |_| {})),
        ..HANGS
    },
    Attack {
        name: "console-crashes",
        tries: "executes what is no instruction",
        act: Act::Console(|console| console.hands.crash()),
        on_sel4: Seen::Held("pd-console restarted (1): "),
        ..HANGS
    },
    Attack {
        name: "log-tail-ahead",
        tries: "says that it has read records which are not there yet",
        act: Act::Console(|console| console.claim(Region::LogReader.own(), 0, u64::MAX)),
        ..READ_WITH_CARE
    },
    Attack {
        name: "log-tail-back",
        tries: "says that it has read nothing",
        act: Act::Console(|console| console.claim(Region::LogReader.own(), 0, 0)),
        ..READ_WITH_CARE
    },
    Attack {
        name: "log-wake-at-all-ones",
        tries: "asks to be woken never",
        act: Act::Console(|console| console.claim(Region::LogReader.own(), 1, u64::MAX)),
        ..READ_WITH_CARE
    },
];
