//! What the QNX hypervisor's configuration has and this project does not: refused by name, so
//! that somebody who comes from there learns what to do instead of hunting for a typing error.
//! Asked by the parser when it meets a word it does not know.
//!
//! Invariants: no name stands here that the language has; what is harmless cannot be noticed by a
//! guest of this project when it is left out.
//!
//! Names from the *QNX Hypervisor User's Guide* 7.0 to 8.0 ("VM Configuration Reference",
//! "Configuration variables", "Virtual Device Reference") and from published configurations.

use crate::devices;

/// A name of QNX's, and what to say about it.
pub(crate) struct Absent {
    /// The name.
    pub name: &'static str,
    /// What to do instead, where there is something to say; [`DEVICES`] stands for the list.
    help: Option<&'static str>,
    pub harm: Harm,
}

impl Absent {
    /// What to do instead, where there is something to say. `devices` is put where the list belongs.
    pub fn help(&self, devices: &str) -> Option<String> {
        self.help.map(|help| help.replace(DEVICES, devices))
    }
}

/// Whether a guest can notice that it is missing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Harm {
    Some,
    None,
}

const fn absent(name: &'static str) -> Absent {
    Absent {
        name,
        help: None,
        harm: Harm::Some,
    }
}

const fn instead(name: &'static str, help: &'static str) -> Absent {
    Absent {
        help: Some(help),
        ..absent(name)
    }
}

const fn harmless(name: &'static str, help: &'static str) -> Absent {
    Absent {
        harm: Harm::None,
        ..instead(name, help)
    }
}

const AT_AN_ADDRESS: &str = "`load ADDRESS,FILE` puts any file into the RAM, whatever is in it";
const SCHEDULED: &str = "where and when a VM runs is decided in the system description";
const OF_QVM: &str = "it is about QNX's own process, of which there is none here";
const NO_PASS: &str = "a guest gets virtual devices only; that is what keeps it away from others";
const NO_INTERRUPT: &str = "this device raises no interrupt; the guest polls it";
const NO_OTHER_INTERRUPTS: &str =
    "a device's interrupt goes where its `intr` says, and nowhere else";
pub(crate) const NO_CONTROLLER: &str =
    "an x86_64 VM has no interrupt controller yet; the guest polls its devices";
const OWN_GIC: &str = "an aarch64 VM has a GICv2 without being told to, at 0x8000000 and 0x8010000";
const TREE_TO_FILE: &str =
    "`vdev-trace compile --device-tree FILE` writes the device tree that the guest is given";
const CONSOLE: &str = "what the guest writes to its serial port appears on the system's console";
const DEVICES: &str = "{devices}";
const ONLY_THESE: &str = "the devices here are {devices}";

/// Options of a VM.
pub(crate) const VM_OPTIONS: &[Absent] = &[
    instead("pass", NO_PASS),
    instead(
        "reserve",
        "what is neither RAM nor a device is empty already",
    ),
    harmless(
        "debug",
        "to see more messages, add `debug` to the severities of `logger`",
    ),
    absent("dryrun"),
    harmless(
        "dump",
        "the host tool reads the trace out of a memory dump of the whole machine",
    ),
    absent("safety"),
];

/// Kinds of content, which QNX writes in front of `load` or `pass`.
pub(crate) const BLOB_TYPES: &[Absent] = &[
    instead("acpi", AT_AN_ADDRESS),
    instead("data", AT_AN_ADDRESS),
];

/// Options of a vCPU.
pub(crate) const CPU_OPTIONS: &[Absent] = &[
    harmless("cluster", SCHEDULED),
    harmless("partition", SCHEDULED),
    harmless("runmask", SCHEDULED),
    harmless("sched", SCHEDULED),
];

/// Options of serial ports, whose guests find a port that they can print to by polling.
pub(crate) const SERIAL_PORT_OPTIONS: &[Absent] = &[
    harmless("batch", CONSOLE),
    harmless("delayed", CONSOLE),
    harmless("hostdev", CONSOLE),
    harmless("intr", NO_INTERRUPT),
];

/// The same options where there is no serial port.
pub(crate) const SERIAL_PORT_OPTIONS_ELSEWHERE: &[Absent] = &[
    instead("batch", CONSOLE),
    instead("delayed", CONSOLE),
    instead("hostdev", CONSOLE),
    instead("intr", NO_INTERRUPT),
];

/// Options of devices.
pub(crate) const VDEV_OPTIONS: &[Absent] = &[
    absent("allow"),
    instead("hostvector", NO_OTHER_INTERRUPTS),
    instead("intrmap", NO_OTHER_INTERRUPTS),
    absent("peer"),
    absent("version"),
];

/// Kinds of devices.
pub(crate) const VDEVS: &[Absent] = &[
    instead("8259", NO_CONTROLLER),
    instead("gic", OWN_GIC),
    absent("hpet"),
    instead("ioapic", NO_CONTROLLER),
    absent("pckeyboard"),
    instead("shmem", ONLY_THESE),
    instead("smmu", NO_PASS),
    instead("timer8254", "the guest uses its CPU's own timer"),
    instead("virtio-blk", ONLY_THESE),
    instead(
        "virtio-console",
        "the guest's console is a serial port; the devices here are {devices}",
    ),
    instead("virtio-net", ONLY_THESE),
    absent("wdt-ib700"),
    absent("wdt-sp805"),
];

/// Variables with a meaning of their own.
pub(crate) const VARIABLES: &[Absent] = &[
    absent("counter-offset"),
    harmless("debug", OF_QVM),
    absent("exit-on-halt"),
    harmless("fdt-dump-file", TREE_TO_FILE),
    absent("gic-hwassist"),
    harmless("grow-heap", OF_QVM),
    absent("host-paddr-gicd"),
    absent("host-paddr-gich"),
    absent("legacy-free"),
    harmless("message-block-timeout", OF_QVM),
    absent("posted-interrupts"),
    harmless("slog-buffer", OF_QVM),
    harmless("vdev-message-block-timeout", OF_QVM),
    absent("virtual-interrupts"),
];

/// The help for a device of QNX's, or `None` if `name` is none. There are more virtio devices
/// than we know by name.
pub(crate) fn vdev(name: &str) -> Option<Option<String>> {
    const ANY_VIRTIO: Absent = instead("virtio-", ONLY_THESE);
    let devices = devices::listed(&devices::names());
    match find(VDEVS, name) {
        Some(absent) => Some(absent.help(&devices)),
        None => name
            .starts_with(ANY_VIRTIO.name)
            .then(|| ANY_VIRTIO.help(&devices)),
    }
}

/// The entry for `name` in `list`.
pub(crate) fn find(list: &'static [Absent], name: &str) -> Option<&'static Absent> {
    list.iter().find(|absent| absent.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{DeviceOption, VmOption, Words};

    #[test]
    fn nothing_that_the_language_has_is_refused() {
        let absent = [
            VM_OPTIONS,
            BLOB_TYPES,
            CPU_OPTIONS,
            VDEV_OPTIONS,
            SERIAL_PORT_OPTIONS,
        ];
        for absent in absent.into_iter().flatten() {
            assert!(VmOption::named(absent.name).is_none(), "{}", absent.name);
            assert!(
                DeviceOption::named(absent.name).is_none(),
                "{}",
                absent.name
            );
        }
        for name in devices::names() {
            assert!(
                vdev(name).is_none(),
                "`vdev {name}` is there: it does not belong into `VDEVS`, nor among what only QNX has in \
                 docs/vm-conf.md"
            );
        }
    }
}
