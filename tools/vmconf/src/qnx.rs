//! What the QNX hypervisor's configuration has and this project does not: refused by name, so
//! that somebody who comes from there learns what to do instead of hunting for a typing error.
//! Asked by the parser when it meets a word it does not know.
//!
//! Invariant: no name stands here that the language has.
//!
//! Names from the *QNX Hypervisor User's Guide* 7.0 to 8.0 ("VM Configuration Reference",
//! "Configuration variables", "Virtual Device Reference") and from published configurations.

/// A name of QNX's, and what to say about it.
pub(crate) struct Absent {
    /// The name.
    pub name: &'static str,
    /// What to do instead, where there is something to say.
    pub help: Option<&'static str>,
}

const fn absent(name: &'static str) -> Absent {
    Absent { name, help: None }
}

const fn instead(name: &'static str, help: &'static str) -> Absent {
    Absent {
        name,
        help: Some(help),
    }
}

const ONLY_AN_ELF: &str = "the guest is one ELF image that brings everything: `load IMAGE`";
const ONE_CPU: &str = "a VM has one vCPU, and where and when it runs is decided in `system.xml`";
const NO_PASS: &str = "a guest gets virtual devices only; that is what keeps it away from others";
const NO_INTERRUPTS: &str = "the devices here raise no interrupts; the guest polls them";
const CONSOLE: &str =
    "what the guest writes to its `vdev pl011` or `vdev ser8250` appears on the system's console";
const ONLY_THREE: &str = "the devices here are `vdev trace`, `vdev pl011` and `vdev ser8250`";

/// Options of a VM.
pub(crate) const VM_OPTIONS: &[Absent] = &[
    instead("pass", NO_PASS),
    instead(
        "reserve",
        "what is neither RAM nor a device is empty already",
    ),
    instead("rom", "put the data into the guest's image"),
    instead(
        "debug",
        "to see more messages, add `debug` to the severities of `logger`",
    ),
    absent("dryrun"),
    instead(
        "dump",
        "the host tool reads the trace out of a memory dump of the whole machine",
    ),
    absent("safety"),
];

/// Kinds of content, which QNX writes in front of `load` or `pass`.
pub(crate) const BLOB_TYPES: &[Absent] = &[
    instead("acpi", ONLY_AN_ELF),
    instead("data", ONLY_AN_ELF),
    instead(
        "fdt",
        "the guest learns where its devices are from its `cmdline`",
    ),
    instead("initrd", ONLY_AN_ELF),
];

/// Options of a vCPU.
pub(crate) const CPU_OPTIONS: &[Absent] = &[
    instead("cluster", ONE_CPU),
    instead("partition", ONE_CPU),
    instead("runmask", ONE_CPU),
    instead("sched", ONE_CPU),
];

/// Options of devices.
pub(crate) const VDEV_OPTIONS: &[Absent] = &[
    absent("allow"),
    instead("batch", CONSOLE),
    instead("delayed", CONSOLE),
    instead("hostdev", CONSOLE),
    instead("hostvector", NO_INTERRUPTS),
    instead("intr", NO_INTERRUPTS),
    instead("intrmap", NO_INTERRUPTS),
    absent("peer"),
    absent("version"),
];

/// Kinds of devices.
pub(crate) const VDEVS: &[Absent] = &[
    instead("8259", NO_INTERRUPTS),
    instead("gic", NO_INTERRUPTS),
    absent("hpet"),
    instead("ioapic", NO_INTERRUPTS),
    absent("mc146818"),
    absent("pckeyboard"),
    instead("shmem", ONLY_THREE),
    instead("smmu", NO_PASS),
    instead("timer8254", "the guest uses its CPU's own timer"),
    instead("virtio-blk", ONLY_THREE),
    instead(
        "virtio-console",
        "the guest's console is `vdev pl011`, on x86 `vdev ser8250`",
    ),
    instead("virtio-net", ONLY_THREE),
    absent("wdt-ib700"),
    absent("wdt-sp805"),
];

/// Variables with a meaning of their own.
pub(crate) const VARIABLES: &[Absent] = &[
    absent("counter-offset"),
    absent("exit-on-halt"),
    absent("fdt-dump-file"),
    absent("gic-hwassist"),
    absent("grow-heap"),
    absent("host-paddr-gicd"),
    absent("host-paddr-gich"),
    absent("legacy-free"),
    absent("message-block-timeout"),
    absent("posted-interrupts"),
    absent("slog-buffer"),
    absent("vdev-message-block-timeout"),
    absent("virtual-interrupts"),
];

/// The help for a device of QNX's, or `None` if `name` is none. There are more virtio devices
/// than we know by name.
pub(crate) fn vdev(name: &str) -> Option<Option<&'static str>> {
    match find(VDEVS, name) {
        Some(absent) => Some(absent.help),
        None => name.starts_with("virtio-").then_some(Some(ONLY_THREE)),
    }
}

/// The entry for `name` in `list`.
pub(crate) fn find(list: &'static [Absent], name: &str) -> Option<&'static Absent> {
    list.iter().find(|absent| absent.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{DeviceOption, VdevType, VmOption, Words};

    #[test]
    fn nothing_that_the_language_has_is_refused() {
        let absent = [VM_OPTIONS, BLOB_TYPES, CPU_OPTIONS, VDEV_OPTIONS];
        for absent in absent.into_iter().flatten() {
            assert!(VmOption::named(absent.name).is_none(), "{}", absent.name);
            assert!(
                DeviceOption::named(absent.name).is_none(),
                "{}",
                absent.name
            );
        }
        assert!(
            VDEVS
                .iter()
                .all(|absent| VdevType::named(absent.name).is_none())
        );
    }
}
