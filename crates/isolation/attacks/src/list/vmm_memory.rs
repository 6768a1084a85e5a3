//! A VMM that reads and writes memory which the table in the README does not give it.
//!
//! On seL4 the first access faults, and the monitor says where. So does the first one of each VMM that is
//! started in its place, until it stays dead. In the unikernel nothing but the
//! code's types stands before it: an attacker does not need to use them.

use crate::{Act, Attack, Exists, Leaves, Region, Seen, StoppedBy};

/// The first access is the last.
const FAULTS: Attack = Attack {
    name: "",
    tries: "",
    stopped_by: StoppedBy::PageTable,
    exists: Exists::Everywhere,
    on_sel4: Seen::Held("pd-vmm restarted (1): … at 0x"),
    on_debug_kernel: None,
    on_unikernel: Seen::Fell,
    leaves: Leaves::Dead,
    act: Act::Guest("", ""),
};

/// There is no such thing in the unikernel.
const FAULTS_ON_SEL4: Attack = Attack {
    on_unikernel: Seen::NotThere,
    ..FAULTS
};

/// A device's word in a state page: the first is the heartbeat.
const COUNTER: u64 = 1;
/// The verdict's word in the report page; 1 is ok.
const VERDICT: u64 = 2;

pub const LIST: &[Attack] = &[
    Attack {
        name: "write-own-counter",
        tries: "sets its guest's counter past the trace component",
        act: Act::Vmm(|vmm| vmm.write(Region::StatePage.own(), COUNTER, 0xdead)),
        ..FAULTS
    },
    Attack {
        name: "write-others-counter",
        tries: "sets the other VM's counter",
        act: Act::Vmm(|vmm| vmm.write(Region::StatePage.of_the_witness(), COUNTER, 0xdead)),
        ..FAULTS
    },
    Attack {
        name: "write-own-configuration",
        tries: "gives itself another configuration",
        act: Act::Vmm(|vmm| vmm.write(Region::Config.own(), 0, 0)),
        ..FAULTS
    },
    Attack {
        name: "write-others-configuration",
        tries: "gives the other VM another configuration",
        act: Act::Vmm(|vmm| vmm.write(Region::Config.of_the_witness(), 0, 0)),
        ..FAULTS
    },
    Attack {
        name: "write-guest-image",
        tries: "changes what its guest starts from at the next reset",
        act: Act::Vmm(|vmm| vmm.write(Region::GuestImage.own(), 0, 0)),
        ..FAULTS
    },
    Attack {
        name: "write-access-reader",
        tries: "says in the trace component's place that records have been read",
        act: Act::Vmm(|vmm| vmm.write(Region::AccessReader.own(), 0, u64::MAX)),
        ..FAULTS
    },
    Attack {
        name: "write-console-reader",
        tries: "says in the console's place that text has been printed",
        act: Act::Vmm(|vmm| vmm.write(Region::ConsoleReader.own(), 0, u64::MAX)),
        ..FAULTS
    },
    Attack {
        name: "write-log-ring",
        tries: "takes its VM's log back",
        act: Act::Vmm(|vmm| vmm.write(Region::LogRing.own(), 0, 0)),
        ..FAULTS
    },
    Attack {
        name: "write-others-log-ring",
        tries: "takes the other VM's log away",
        act: Act::Vmm(|vmm| vmm.write(Region::LogRing.of_the_witness(), 0, 0)),
        ..FAULTS
    },
    Attack {
        name: "write-trace-ring",
        tries: "takes its VM's trace back",
        act: Act::Vmm(|vmm| vmm.write(Region::TraceRing.own(), 0, 0)),
        ..FAULTS
    },
    Attack {
        name: "write-others-access-ring",
        tries: "takes the other VM's accesses away",
        act: Act::Vmm(|vmm| vmm.write(Region::AccessRing.of_the_witness(), 0, 0)),
        ..FAULTS
    },
    Attack {
        name: "write-others-console-ring",
        tries: "takes away what the other VM prints",
        act: Act::Vmm(|vmm| vmm.write(Region::ConsoleRing.of_the_witness(), 0, 0)),
        ..FAULTS
    },
    Attack {
        name: "write-others-ram",
        tries: "overwrites the code that the other guest runs",
        act: Act::Vmm(|vmm| {
            let code = 0x8_0000 / 8;
            (code..code + 0x4000).for_each(|word| {
                vmm.write(Region::GuestRam.of_the_witness(), word, 0);
            });
        }),
        ..FAULTS
    },
    Attack {
        name: "read-others-ram",
        tries: "reads the other guest's memory",
        act: Act::Vmm(|vmm| {
            vmm.hands
                .load(Region::GuestRam.of_the_witness(), 0x8_0000 / 8);
        }),
        ..FAULTS
    },
    Attack {
        name: "read-others-state",
        tries: "reads the other VM's counter",
        act: Act::Vmm(|vmm| {
            vmm.hands.load(Region::StatePage.of_the_witness(), COUNTER);
        }),
        ..FAULTS
    },
    Attack {
        name: "write-uart",
        tries: "prints by itself",
        act: Act::Vmm(|vmm| {
            for byte in "\nverdict: ok forged\n".bytes() {
                vmm.write(Region::Uart.own(), 0, byte.into());
            }
        }),
        ..FAULTS
    },
    Attack {
        name: "write-report",
        tries: "writes the verdict in the platform's place",
        act: Act::Vmm(|vmm| vmm.write(Region::Report.own(), VERDICT, 1)),
        ..FAULTS
    },
    Attack {
        name: "write-monitor-ring",
        tries: "speaks to the console in the monitor's place",
        act: Act::Vmm(|vmm| vmm.write(Region::MonitorRing.own(), 0, 0)),
        ..FAULTS_ON_SEL4
    },
    Attack {
        name: "write-life-of-trace",
        tries: "gives signs of life in the trace component's place",
        act: Act::Vmm(|vmm| vmm.write(Region::LifeOfTrace.own(), 0, 0)),
        ..FAULTS_ON_SEL4
    },
    Attack {
        name: "write-kept-of-trace",
        tries: "changes what the trace component would go on with after its death",
        act: Act::Vmm(|vmm| vmm.write(Region::KeptOfTrace.own(), 0, 0)),
        ..FAULTS_ON_SEL4
    },
    Attack {
        name: "write-kernel",
        tries: "writes where the kernel is, or the platform's own data",
        act: Act::Vmm(|vmm| {
            (0..512).for_each(|word| vmm.write(Region::Kernel.own(), word, 0));
        }),
        ..FAULTS
    },
    Attack {
        name: "write-null",
        tries: "writes to address 0",
        act: Act::Vmm(|vmm| vmm.write(Region::Null.own(), 0, 0)),
        ..FAULTS
    },
];
