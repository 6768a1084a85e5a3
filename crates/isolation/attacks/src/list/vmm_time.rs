//! A VMM that uses the CPU for nothing.
//!
//! On seL4 the CPU is shared between VMs whatever their VMMs do. The unikernel's components run
//! to completion: one that does not return stops everybody.

use crate::{Act, Attack, Exists, Leaves, Seen, StoppedBy};
use vm_components::channel;

/// Longer than anybody's patience.
const MS: u64 = 2000;

/// Others do not wait for it. Who takes the CPU and does not answer is started again, until it stays dead.
const HANGS: Attack = Attack {
    name: "",
    tries: "",
    stopped_by: StoppedBy::Budget,
    exists: Exists::Everywhere,
    on_sel4: Seen::Held("pd-vmm restarted (1): hung"),
    on_debug_kernel: None,
    on_unikernel: Seen::Fell,
    leaves: Leaves::Dead,
    act: Act::Guest("", ""),
};

/// Who gives the CPU away is named as well: as silent, or as hung, if what it had sums up.
const RESTS: Attack = Attack {
    on_sel4: Seen::Held("pd-vmm"),
    ..HANGS
};

pub const LIST: &[Attack] = &[
    Attack {
        name: "vmm-spins",
        tries: "spins for two seconds",
        act: Act::Vmm(|vmm| vmm.for_ms(MS, |_| {})),
        ..HANGS
    },
    Attack {
        name: "vmm-yields",
        tries: "gives its turn away, over and over, for two seconds",
        act: Act::Vmm(|vmm| vmm.for_ms(MS, |vmm| vmm.hands.rest())),
        ..RESTS
    },
    Attack {
        name: "vmm-storms-trace",
        tries: "notifies the trace component as often as it can for two seconds",
        act: Act::Vmm(|vmm| vmm.for_ms(MS, |vmm| vmm.hands.notify(channel::vmm::TRACE))),
        ..HANGS
    },
    Attack {
        name: "vmm-storms-console",
        tries: "notifies the console as often as it can for two seconds",
        act: Act::Vmm(|vmm| vmm.for_ms(MS, |vmm| vmm.hands.notify(channel::vmm::CONSOLE))),
        ..HANGS
    },
    Attack {
        name: "vmm-storms-both-and-rests",
        tries: "notifies both and gives its turn away, for two seconds",
        act: Act::Vmm(|vmm| {
            vmm.for_ms(MS, |vmm| {
                vmm.hands.notify(channel::vmm::TRACE);
                vmm.hands.notify(channel::vmm::CONSOLE);
                vmm.hands.rest();
            });
        }),
        ..RESTS
    },
];
