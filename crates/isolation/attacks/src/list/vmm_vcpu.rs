//! A VMM that gives its vCPU values which no guest could have.
//!
//! On x86 the kernel loads some of them as they are: nobody stops that
//! (`docs/what-the-kernel-leaves-open.md`).

use crate::hands::VmEntry;
use crate::{Act, Attack, Exists, Leaves, Seen, StoppedBy};

/// The kernel takes what can be of it.
const TAKEN: Attack = Attack {
    name: "",
    tries: "",
    stopped_by: StoppedBy::Check,
    exists: Exists::Aarch64,
    on_sel4: Seen::Held(""),
    on_debug_kernel: None,
    on_unikernel: Seen::NotThere,
    leaves: Leaves::Dead,
    act: Act::Guest("", ""),
};

/// The machine stops.
const STOPS_THE_MACHINE: Attack = Attack {
    stopped_by: StoppedBy::Nobody,
    exists: Exists::X86_64,
    on_sel4: Seen::Documented(""),
    ..TAKEN
};

/// No canonical address.
const BEYOND: u64 = 1 << 63;
const LSTAR: u32 = 0xc000_0082;
const CSTAR: u32 = 0xc000_0083;

// Fields of the VMCS (Intel SDM volume 3, appendix B).
const PIN_BASED_CONTROLS: u32 = 0x4000;
const ENTRY_CONTROLS: u32 = 0x4012;
const SECONDARY_CONTROLS: u32 = 0x401e;
const ACTIVITY_STATE: u32 = 0x4826;

fn entering(entry: VmEntry) -> impl FnOnce(&mut dyn crate::Kernel) {
    move |kernel| kernel.enter_with(entry)
}

pub const LIST: &[Attack] = &[
    Attack {
        name: "vcpu-registers-all-ones",
        tries: "sets all registers of its vCPU to ones",
        act: Act::Vmm(|vmm| {
            // All but the first, SCTLR: with the MMU on and no tables the guest aborts without end
            // and never completes an instruction, and QEMU 7.2 lets no time pass then.
            vmm.by_the_kernel(|kernel| {
                (1..64).for_each(|number| kernel.set_vcpu_register(number, u64::MAX));
            });
        }),
        // As with capabilities (`vmm_calls`): it tells each number that is no register's.
        on_debug_kernel: Some(Seen::Documented("VCPUWriteReg: Invalid field")),
        ..TAKEN
    },
    Attack {
        name: "vcpu-at-el2",
        tries: "lets its vCPU go on at EL2, the hypervisor's level",
        act: Act::Vmm(|vmm| vmm.by_the_kernel(|kernel| kernel.resume_at(0x4008_0000, 0x3c9))),
        ..TAKEN
    },
    Attack {
        name: "vcpu-at-el3",
        tries: "lets its vCPU go on at EL3, the firmware's level",
        act: Act::Vmm(|vmm| vmm.by_the_kernel(|kernel| kernel.resume_at(0x4008_0000, 0x3cd))),
        ..TAKEN
    },
    Attack {
        name: "msr-lstar-not-canonical",
        tries: "enters a guest whose LSTAR is no address",
        act: Act::Vmm(|vmm| vmm.by_the_kernel(|kernel| kernel.enter_with_msr(LSTAR, BEYOND))),
        ..STOPS_THE_MACHINE
    },
    Attack {
        name: "msr-cstar-not-canonical",
        tries: "enters a guest whose CSTAR is no address",
        act: Act::Vmm(|vmm| vmm.by_the_kernel(|kernel| kernel.enter_with_msr(CSTAR, BEYOND))),
        ..STOPS_THE_MACHINE
    },
    Attack {
        name: "secondary-controls-all-ones",
        tries: "enters a guest with all secondary controls, which no CPU takes",
        act: Act::Vmm(|vmm| {
            vmm.by_the_kernel(entering(VmEntry {
                field: (SECONDARY_CONTROLS, u64::MAX),
                ..VmEntry::default()
            }));
        }),
        ..STOPS_THE_MACHINE
    },
    Attack {
        name: "entry-controls-all-ones",
        tries: "enters a guest with all entry controls, which no CPU takes",
        act: Act::Vmm(|vmm| {
            vmm.by_the_kernel(entering(VmEntry {
                field: (ENTRY_CONTROLS, u64::MAX),
                ..VmEntry::default()
            }));
        }),
        ..STOPS_THE_MACHINE
    },
    Attack {
        name: "injection-of-no-kind",
        tries: "injects an event that there is not: an undefined instruction with an error code",
        act: Act::Vmm(|vmm| {
            vmm.by_the_kernel(entering(VmEntry {
                interruption_info: 0x8000_0b06,
                ..VmEntry::default()
            }));
        }),
        ..STOPS_THE_MACHINE
    },
    Attack {
        name: "activity-state-3",
        tries: "lets its vCPU wait for a start-up message from another CPU",
        act: Act::Vmm(|vmm| {
            vmm.by_the_kernel(entering(VmEntry {
                field: (ACTIVITY_STATE, 3),
                ..VmEntry::default()
            }));
        }),
        ..STOPS_THE_MACHINE
    },
    Attack {
        name: "no-interrupts-leave-the-guest",
        tries: "keeps the machine's interrupts in its guest, which spins with interrupts off",
        act: Act::Vmm(|vmm| {
            vmm.by_the_kernel(entering(VmEntry {
                field: (PIN_BASED_CONTROLS, 0),
                ..VmEntry::default()
            }));
        }),
        // Only for as long as the guest stays in: seconds.
        on_sel4: Seen::Fell,
        ..STOPS_THE_MACHINE
    },
];
