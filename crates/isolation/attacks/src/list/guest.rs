//! A guest that means harm. Its VMM is honest.
//!
//! Each is a program of `guest/test-guests`, with its words on the command line; most are scenarios
//! of the system tests as well, which say more of what becomes of it.

use crate::{Act, Attack, Exists, Leaves, Seen, StoppedBy};

/// It ends, and the log says why.
const ENDS_ITSELF: Attack = Attack {
    name: "",
    tries: "",
    stopped_by: StoppedBy::PageTable,
    exists: Exists::Everywhere,
    on_sel4: Seen::Held("fatal attacker: ended: "),
    on_debug_kernel: None,
    on_unikernel: Seen::Held("fatal attacker: ended: "),
    leaves: Leaves::Dead,
    act: Act::Guest("", ""),
};

/// It finds out by itself that it came to nothing, and powers off.
const CAME_TO_NOTHING: Attack = Attack {
    on_sel4: Seen::Held("attacker| guest: "),
    on_unikernel: Seen::Held("attacker| guest: "),
    ..ENDS_ITSELF
};

/// The same, of the interrupts and the time that an aarch64 VM has: at the end it takes two interrupts, and powers off.
const LIVES_ON: Attack = Attack {
    stopped_by: StoppedBy::Check,
    exists: Exists::Aarch64,
    on_sel4: Seen::Held("attacker| guest: its VM still answers"),
    on_unikernel: Seen::Held("attacker| guest: its VM still answers"),
    ..ENDS_ITSELF
};

pub const LIST: &[Attack] = &[
    Attack {
        name: "guest-jumps-out-of-its-ram",
        tries: "jumps to where there is no memory",
        act: Act::Guest("lost", "how=hole"),
        ..ENDS_ITSELF
    },
    Attack {
        name: "guest-jumps-to-the-device",
        tries: "executes the device",
        act: Act::Guest("lost", "how=device"),
        ..ENDS_ITSELF
    },
    Attack {
        name: "guest-storms",
        tries: "accesses its device as fast as it can",
        stopped_by: StoppedBy::Budget,
        act: Act::Guest("storm", "n=200000 op=read"),
        on_sel4: Seen::Held("info  attacker"),
        on_unikernel: Seen::Held("info  attacker"),
        ..ENDS_ITSELF
    },
    Attack {
        name: "guest-attacks-timers",
        tries: "writes every timer and interrupt register that it can name",
        act: Act::Guest("timers", "seconds=3 wfi=no"),
        stopped_by: StoppedBy::Check,
        ..CAME_TO_NOTHING
    },
    Attack {
        name: "guest-accesses-other-memory",
        tries: "reads and writes the addresses where others' memory is",
        act: Act::Guest("trespass", ""),
        ..CAME_TO_NOTHING
    },
    Attack {
        name: "guest-watches-a-component",
        tries: "sets a watchpoint at an address of the components' and switches it on",
        // 0x10031000 is the state page of pd-trace and pd-vmm.
        act: Act::Guest("watchpoint", "watch=0x10031000"),
        stopped_by: StoppedBy::Nobody,
        exists: Exists::Aarch64,
        on_sel4: Seen::Documented("exception class 0x34"),
        // That one has the hardware debug API, and traps the registers.
        on_debug_kernel: Some(Seen::Held("attacker| guest: ")),
        ..CAME_TO_NOTHING
    },
    Attack {
        name: "guest-calls-what-there-is-not",
        tries: "calls the hypervisor with numbers that it does not have",
        act: Act::Guest("calls", ""),
        stopped_by: StoppedBy::Check,
        ..CAME_TO_NOTHING
    },
    Attack {
        name: "guest-rewrites-its-code",
        tries: "changes an instruction between the trap and its decoding",
        act: Act::Guest("rewritten", ""),
        stopped_by: StoppedBy::Check,
        ..CAME_TO_NOTHING
    },
    Attack {
        name: "guest-writes-all-of-its-gic",
        tries: "writes a walk of patterns to every word of its interrupt controller",
        act: Act::Guest("gic-abuses", "how=walk seconds=3"),
        ..LIVES_ON
    },
    Attack {
        name: "guest-storms-by-sgis",
        tries: "interrupts itself as fast as it can",
        stopped_by: StoppedBy::Budget,
        act: Act::Guest("gic-abuses", "how=sgis seconds=3"),
        ..LIVES_ON
    },
    Attack {
        name: "guest-leaves-its-timer-overdue",
        tries: "sets its timer to the beginning of time, and never acknowledges its interrupt",
        stopped_by: StoppedBy::Budget,
        act: Act::Guest("gic-abuses", "how=overdue seconds=3"),
        ..LIVES_ON
    },
];
