//! What a device tree says of a kind of device.

/// A kind's node in the device tree that is made for a guest, besides `reg` and `interrupts`, which follow from the
/// configuration. Guests that nobody here wrote find their drivers by it.
///
/// Specification: *Devicetree Specification*, sections 2.2 and 2.3; Linux, `Documentation/devicetree/bindings`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TreeNode {
    /// The node's name in front of its `@`: what the device is in general. The kind's own where it is empty.
    pub name: &'static str,
    /// `compatible`, the most specific one first. `vdev-trace,` and the kind's name where there is none.
    pub compatible: &'static [&'static str],
    /// `clock-names`: all are one clock of 24 MHz, which never stops.
    pub clocks: &'static [&'static str],
    /// What `/aliases` calls such devices, before their number. The console is the first `serial`.
    pub alias: Option<&'static str>,
}

impl TreeNode {
    /// That of a device which only this project has.
    pub const OWN: Self = Self {
        name: "",
        compatible: &[],
        clocks: &[],
        alias: None,
    };
    /// Who bindings of this project's own are named for, in `compatible`.
    pub const VENDOR: &str = "vdev-trace";
}
