//! The device tree of a VM, from its configuration: what every aarch64 VM has, its RAM, and a node for each device in
//! memory, as the device's kind describes it (`vdev_model::TreeNode`).
//!
//! ROM is not in it: what reads as all-ones is no flash that a driver could ask for its size.

use super::{cells_of, child, reg_of_ram, set, set_initrd};
use crate::vm::{Vm, VmDevice};
use dtoolkit::Node;
use dtoolkit::model::{DeviceTree, DeviceTreeNode};
use std::ops::Range;
use vdev_model::{AddressSpace, AnyVdev, TreeNode};
use vm_components::{GIC_LINES, GIC_PLACES};

/// Names of the two nodes that others refer to.
mod phandle {
    pub const GIC: u32 = 1;
    pub const CLOCK: u32 = 2;
}

/// Linux, bindings/interrupt-controller/arm,gic.yaml: the cells of an interrupt.
mod interrupt {
    pub const SPI: u32 = 0;
    pub const PPI: u32 = 1;
    pub const LEVEL_HIGH: u32 = 4;
    /// Of a PPI: to CPU 0.
    pub const CPU_0: u32 = 1 << 8;
}

/// The PPIs of the timers in the order of Linux' bindings/timer/arm,arch_timer.yaml: secure, physical, virtual,
/// hypervisor (*Arm Base System Architecture*, "PPI assignments", less 16). A VM has the virtual one.
const TIMERS: [u32; 4] = [13, 14, 11, 10];

const CLOCK_HZ: u32 = 24_000_000;

/// The tree of `vm` with its initrd there.
pub(crate) fn made(vm: &Vm, initrd: Option<&Range<u64>>) -> Vec<u8> {
    let mut tree = DeviceTree::new();
    let root = &mut tree.root;
    set(root, "#address-cells", 2_u32);
    set(root, "#size-cells", 2_u32);
    // The second is what Linux knows as a machine of nothing but what its tree says.
    let compatible = format!("{},vm", TreeNode::VENDOR);
    set(
        root,
        "compatible",
        &[compatible.as_str(), "linux,dummy-virt"][..],
    );
    set(root, "model", compatible.as_str());
    set(root, "interrupt-parent", phandle::GIC);
    chosen(root, vm, initrd);
    aliases(root, vm);
    for ram in &vm.ram {
        let node = child(root, &format!("memory@{:x}", ram.value.base));
        set(node, "device_type", "memory");
        let reg = reg_of_ram(std::slice::from_ref(ram), 2, 2);
        set(node, "reg", reg.unwrap_or_default());
    }
    cpu(root);
    clock(root);
    interrupt_controller(root);
    for device in vm.devices.iter().filter(|device| is_described(device)) {
        root.add_child(node_of(device));
    }
    tree.to_dtb()
}

fn chosen(root: &mut DeviceTreeNode, vm: &Vm, initrd: Option<&Range<u64>>) {
    let node = child(root, "chosen");
    if let Some(cmdline) = &vm.cmdline {
        set(node, "bootargs", cmdline.value.as_str());
    }
    if let Some(device) = console(vm) {
        set(node, "stdout-path", path_of(device).as_str());
    }
    set_initrd(node, initrd);
}

fn aliases(root: &mut DeviceTreeNode, vm: &Vm) {
    let node = child(root, "aliases");
    let devices = vm.devices.iter().filter(|device| is_described(device));
    for device in devices {
        let Some(alias) = device.vdev.kind().tree.alias else {
            continue;
        };
        let properties = node.properties();
        let number = properties.filter(|it| is_numbered(alias, it)).count();
        set(node, &format!("{alias}{number}"), path_of(device).as_str());
    }
}

fn is_numbered(alias: &str, property: &impl dtoolkit::Property) -> bool {
    let number = property.name().strip_prefix(alias);
    number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
}

fn cpu(root: &mut DeviceTreeNode) {
    let cpus = child(root, "cpus");
    set(cpus, "#address-cells", 1_u32);
    set(cpus, "#size-cells", 0_u32);
    let cpu = child(cpus, "cpu@0");
    set(cpu, "device_type", "cpu");
    set(cpu, "compatible", "arm,armv8");
    // Its MPIDR_EL1.
    set(cpu, "reg", 0_u32);
    set(cpu, "enable-method", "psci");

    let psci = child(root, "psci");
    set(psci, "compatible", &["arm,psci-1.0", "arm,psci-0.2"][..]);
    set(psci, "method", "hvc");

    let timer = child(root, "timer");
    set(timer, "compatible", "arm,armv8-timer");
    let flags = interrupt::LEVEL_HIGH | interrupt::CPU_0;
    let interrupts = TIMERS.map(|number| [interrupt::PPI, number, flags]);
    set(timer, "interrupts", interrupts.concat());
    set(timer, "always-on", [0_u8; 0]);
}

fn clock(root: &mut DeviceTreeNode) {
    let clock = child(root, "apb-pclk");
    set(clock, "compatible", "fixed-clock");
    set(clock, "#clock-cells", 0_u32);
    set(clock, "clock-frequency", CLOCK_HZ);
    set(clock, "clock-output-names", "clk24mhz");
    set(clock, "phandle", phandle::CLOCK);
}

fn interrupt_controller(root: &mut DeviceTreeNode) {
    let places = GIC_PLACES.map(|(_, base, len_bytes)| [cells_of(base), cells_of(len_bytes)]);
    let first = GIC_PLACES.first().map_or(0, |place| place.1);
    let gic = child(root, &format!("interrupt-controller@{first:x}"));
    set(gic, "compatible", "arm,cortex-a15-gic");
    set(gic, "reg", places.concat().concat());
    set(gic, "interrupt-controller", [0_u8; 0]);
    set(gic, "#interrupt-cells", 3_u32);
    set(gic, "#address-cells", 0_u32);
    set(gic, "phandle", phandle::GIC);
}

/// An arm64 kernel knows no I/O ports without a bus that has them.
fn is_described(device: &VmDevice) -> bool {
    device.space == AddressSpace::Memory
}

/// The first device that is a console to a guest.
pub(crate) fn console(vm: &Vm) -> Option<&VmDevice> {
    let mut devices = vm.devices.iter().filter(|device| is_described(device));
    devices.find(|device| device.vdev.kind().tree.alias == Some("serial"))
}

fn name_of(device: &VmDevice) -> String {
    let kind = device.vdev.kind();
    let name = match kind.tree.name {
        "" => kind.name,
        name => name,
    };
    format!("{name}@{:x}", device.loc.value)
}

fn path_of(device: &VmDevice) -> String {
    format!("/{}", name_of(device))
}

fn node_of(device: &VmDevice) -> DeviceTreeNode {
    let kind = device.vdev.kind();
    let mut node = DeviceTreeNode::new_unchecked(name_of(device));
    match kind.tree.compatible {
        [] => {
            let own = format!("{},{}", TreeNode::VENDOR, kind.name);
            set(&mut node, "compatible", own.as_str());
        }
        compatible => set(&mut node, "compatible", compatible),
    }
    let reg = [cells_of(device.loc.value), cells_of(kind.len)].concat();
    set(&mut node, "reg", reg);
    let first_line = *GIC_LINES.start();
    if let Some(line) = &device.interrupt
        && let Some(number) = line.value.checked_sub(first_line)
    {
        let cells = [interrupt::SPI, number as u32, interrupt::LEVEL_HIGH];
        set(&mut node, "interrupts", cells);
    }
    let clocks = kind.tree.clocks;
    if !clocks.is_empty() {
        set(&mut node, "clocks", vec![phandle::CLOCK; clocks.len()]);
        set(&mut node, "clock-names", clocks);
    }
    node
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vm(text: &str) -> Vm {
        crate::parse("vm.conf", text).unwrap()
    }

    const LINUX: &str = "system linux ram 0x40000000,128M ram 0x8000000000,2M load Image
        cmdline \"console=ttyAMA0 quiet\"
        vdev trace loc 0xfffffff000
        vdev pl011 loc 0x9000000 intr gic:33
        vdev pl031 loc 0x9010000 intr gic:34
        vdev pl011 loc 0x9020000
        vdev adder loc 0xfa000000
        vdev mc146818 loc 0x70";

    fn strings(node: fdt::node::FdtNode<'_, '_>, name: &str) -> Vec<String> {
        let value = node
            .property(name)
            .unwrap_or_else(|| panic!("{name}"))
            .value;
        let value = value.strip_suffix(b"\0").unwrap();
        let strings = value.split(|byte| *byte == 0);
        strings
            .map(|it| String::from_utf8(it.to_vec()).unwrap())
            .collect()
    }

    fn cells(node: fdt::node::FdtNode<'_, '_>, name: &str) -> Vec<u32> {
        let value = node
            .property(name)
            .unwrap_or_else(|| panic!("{name}"))
            .value;
        let cells = value.chunks(4);
        cells
            .map(|it| u32::from_be_bytes(it.try_into().unwrap()))
            .collect()
    }

    /// Read back by a crate that has nothing to do with the one that wrote it.
    #[test]
    fn a_made_tree_says_what_the_vm_has() {
        let bytes = made(&vm(LINUX), Some(&(0x47f0_0000..0x47ff_f123)));
        let tree = fdt::Fdt::new(&bytes).unwrap();
        let node = |path: &str| tree.find_node(path).unwrap_or_else(|| panic!("{path}"));

        assert_eq!(
            strings(node("/"), "compatible"),
            ["vdev-trace,vm", "linux,dummy-virt"]
        );
        let chosen = node("/chosen");
        assert_eq!(strings(chosen, "bootargs"), ["console=ttyAMA0 quiet"]);
        assert_eq!(strings(chosen, "stdout-path"), ["/serial@9000000"]);
        assert_eq!(cells(chosen, "linux,initrd-start"), [0, 0x47f0_0000]);
        assert_eq!(cells(chosen, "linux,initrd-end"), [0, 0x47ff_f123]);
        let aliases = node("/aliases");
        assert_eq!(strings(aliases, "serial0"), ["/serial@9000000"]);
        assert_eq!(strings(aliases, "serial1"), ["/serial@9020000"]);
        assert_eq!(strings(aliases, "rtc0"), ["/rtc@9010000"]);

        let memory = tree
            .find_all_nodes("/memory")
            .map(|node| cells(node, "reg"));
        let ranges = [
            vec![0, 0x4000_0000, 0, 128 << 20],
            vec![0x80, 0, 0, 2 << 20],
        ];
        assert_eq!(memory.collect::<Vec<_>>(), ranges);
        assert_eq!(strings(node("/cpus/cpu@0"), "enable-method"), ["psci"]);
        assert_eq!(cells(node("/cpus/cpu@0"), "reg"), [0]);
        assert_eq!(strings(node("/psci"), "method"), ["hvc"]);
        // INTIDs 29, 30, 27 and 26: level, high, to CPU 0.
        let timers = [1, 13, 0x104, 1, 14, 0x104, 1, 11, 0x104, 1, 10, 0x104];
        assert_eq!(cells(node("/timer"), "interrupts"), timers);
        let gic = node("/interrupt-controller@8000000");
        assert_eq!(strings(gic, "compatible"), ["arm,cortex-a15-gic"]);
        assert_eq!(
            cells(gic, "reg"),
            [0, 0x800_0000, 0, 0x1000, 0, 0x801_0000, 0, 0x2000]
        );
        assert_eq!(cells(node("/"), "interrupt-parent"), cells(gic, "phandle"));

        let serial = node("/serial@9000000");
        assert_eq!(
            strings(serial, "compatible"),
            ["arm,pl011", "arm,primecell"]
        );
        assert_eq!(cells(serial, "reg"), [0, 0x900_0000, 0, 0x1000]);
        assert_eq!(cells(serial, "interrupts"), [0, 1, 4]);
        assert_eq!(strings(serial, "clock-names"), ["uartclk", "apb_pclk"]);
        let clock = cells(node("/apb-pclk"), "phandle")[0];
        assert_eq!(cells(serial, "clocks"), [clock, clock]);
        assert!(node("/serial@9020000").property("interrupts").is_none());
        assert_eq!(cells(node("/rtc@9010000"), "interrupts"), [0, 2, 4]);
        let trace = node("/trace@fffffff000");
        assert_eq!(strings(trace, "compatible"), ["vdev-trace,trace"]);
        assert_eq!(cells(trace, "reg"), [0xff, 0xffff_f000, 0, 4]);
        assert_eq!(
            cells(node("/adder@fa000000"), "reg"),
            [0, 0xfa00_0000, 0, 12]
        );
        // What is behind I/O ports is none of a kernel's that has no such.
        assert!(
            tree.all_nodes()
                .all(|node| !node.name.starts_with("mc146818"))
        );
    }

    #[test]
    fn what_a_vm_does_not_have_its_tree_does_not_say() {
        let bytes = made(&vm("system a ram 0x40000000,2M load a"), None);
        let tree = fdt::Fdt::new(&bytes).unwrap();
        let chosen = tree.find_node("/chosen").unwrap();
        assert_eq!(chosen.properties().count(), 0);
        assert_eq!(tree.find_node("/aliases").unwrap().properties().count(), 0);
    }

    /// The reference implementation has no complaint, where there is one.
    #[test]
    fn dtc_finds_nothing_to_say_of_a_made_tree() {
        let file = std::env::temp_dir().join(format!("made-{}.dtb", std::process::id()));
        std::fs::write(&file, made(&vm(LINUX), None)).unwrap();
        let dtc = std::process::Command::new("dtc")
            .args(["-I", "dtb", "-O", "dts"])
            .arg(&file)
            .output();
        std::fs::remove_file(&file).unwrap();
        match dtc {
            Ok(told) => assert_eq!(String::from_utf8_lossy(&told.stderr), ""),
            Err(error) => println!("left out: dtc: {error}"),
        }
    }
}
