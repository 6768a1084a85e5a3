//! A VMM that invokes what it may invoke for another purpose, or may not at all.
//!
//! On seL4 a component can name only the slots of its own capability space. The unikernel has no
//! system calls.

use crate::{Act, Attack, Exists, Leaves, Seen, StoppedBy};
use vm_components::Channel;

/// Nothing comes of it.
const NO_CAPABILITY: Attack = Attack {
    name: "",
    tries: "",
    stopped_by: StoppedBy::Capability,
    exists: Exists::Everywhere,
    on_sel4: Seen::Held(""),
    on_debug_kernel: None,
    on_unikernel: Seen::NotThere,
    leaves: Leaves::Alive,
    act: Act::Guest("", ""),
};

/// The monitor hears from its child: that is the child's death.
const TO_ITS_PARENT: Attack = Attack {
    stopped_by: StoppedBy::Check,
    on_sel4: Seen::Held("pd-vmm restarted (1): "),
    leaves: Leaves::Dead,
    ..NO_CAPABILITY
};

/// Slots of a protection domain's capability space that hold what it needs: the first ones, its
/// channels, its VM. All others are swept.
const ITS_OWN: [core::ops::RangeInclusive<u64>; 4] = [0..=7, 10..=12, 266..=266, 330..=330];

/// Labels of fault messages (seL4 reference manual, "Faults").
const VM_FAULT: u64 = 5;
const CAP_FAULT: u64 = 1;

/// System calls that only a kernel for debugging has (libsel4, `sel4/syscall.h`).
const DEBUG_PUT_CHAR: i64 = -12;
const DEBUG_HALT: i64 = -14;

pub const LIST: &[Attack] = &[
    Attack {
        name: "sweep-of-slots",
        tries: "invokes each of the 512 slots of its capability space with each of 64 labels",
        act: Act::Vmm(|vmm| {
            vmm.by_the_kernel(|kernel| {
                for slot in (0..512).filter(|slot| !ITS_OWN.iter().any(|own| own.contains(slot))) {
                    for label in 0..64 {
                        kernel.invoke(slot, label, [u64::MAX, 0, 1, 2]);
                    }
                }
            });
        }),
        // Such a kernel prints each error of whoever makes one, in colour, on the console's line.
        on_debug_kernel: Some(Seen::Documented("Attempted to invoke a null cap")),
        ..NO_CAPABILITY
    },
    Attack {
        name: "slots-beyond-all",
        tries: "invokes slots that no capability space has",
        act: Act::Vmm(|vmm| {
            vmm.by_the_kernel(|kernel| {
                for bit in 9..64 {
                    kernel.invoke(1 << bit, 1, [0; 4]);
                }
            });
        }),
        // The first one faults.
        on_sel4: Seen::Held("pd-vmm restarted (1): use of invalid capability"),
        on_debug_kernel: Some(Seen::Documented("Invocation of invalid cap")),
        leaves: Leaves::Dead,
        ..NO_CAPABILITY
    },
    Attack {
        name: "every-channel",
        tries: "signals all channels that there could be",
        act: Act::Vmm(|vmm| (0..62).for_each(|channel| vmm.hands.notify(Channel(channel)))),
        // The clock's, the trace component's and the console's are there.
        on_unikernel: Seen::Held(""),
        ..NO_CAPABILITY
    },
    Attack {
        name: "message-like-a-vm-fault",
        tries: "sends its parent a message that looks like a fault at an address of another's",
        act: Act::Vmm(|vmm| {
            vmm.by_the_kernel(|kernel| kernel.tell_parent(VM_FAULT, [0x20_0000, 0xf0_4ed, 0, 0]));
        }),
        ..TO_ITS_PARENT
    },
    Attack {
        name: "message-like-a-cap-fault",
        tries: "sends its parent a message that looks like a wrong invocation",
        act: Act::Vmm(|vmm| {
            vmm.by_the_kernel(|kernel| kernel.tell_parent(CAP_FAULT, [u64::MAX; 4]));
        }),
        ..TO_ITS_PARENT
    },
    Attack {
        name: "message-of-no-kind",
        tries: "sends its parent a message with a label that no fault has",
        act: Act::Vmm(|vmm| {
            vmm.by_the_kernel(|kernel| kernel.tell_parent(0xf_ffff, [u64::MAX; 4]));
        }),
        ..TO_ITS_PARENT
    },
    Attack {
        name: "debug-call-to-print",
        tries: "prints a verdict by the system call of a kernel for debugging",
        act: Act::Vmm(|vmm| {
            vmm.by_the_kernel(|kernel| {
                for byte in "\nverdict: ok forged\n".bytes() {
                    kernel.debug_call(DEBUG_PUT_CHAR, byte.into());
                }
            });
        }),
        on_sel4: Seen::Held("pd-vmm restarted (1): "),
        // On a PC the console's own characters come in between.
        on_debug_kernel: Some(Seen::Documented("verdict: ok fo")),
        leaves: Leaves::Dead,
        ..NO_CAPABILITY
    },
    Attack {
        name: "debug-call-to-halt",
        tries: "halts the machine by the system call of a kernel for debugging",
        act: Act::Vmm(|vmm| vmm.by_the_kernel(|kernel| kernel.debug_call(DEBUG_HALT, 0))),
        on_sel4: Seen::Held("pd-vmm restarted (1): "),
        on_debug_kernel: Some(Seen::Documented("")),
        leaves: Leaves::Dead,
        ..NO_CAPABILITY
    },
    Attack {
        name: "undefined-instruction",
        tries: "executes what is no instruction",
        stopped_by: StoppedBy::PageTable,
        act: Act::Vmm(|vmm| vmm.hands.crash()),
        on_sel4: Seen::Held("pd-vmm restarted (1): "),
        // It takes all others with it.
        on_unikernel: Seen::Fell,
        leaves: Leaves::Dead,
        ..NO_CAPABILITY
    },
];
