//! A device tree that the user has brought. Only what the VM alone knows is changed in it: of `/chosen` the command
//! line, the initrd and, if it names none, the console; and the RAM. All else stays, phandles and reservations with it.
//!
//! The file is a claim. Invariant: no bytes make this panic, take long or ask for more memory than a small multiple of
//! [`MAX_TREE_BYTES`].

use super::{DEVICE_TREE_MAGIC, MAX_TREE_BYTES, child, console, reg_of_ram, set, set_initrd};
use crate::vm::Vm;
use dtoolkit::fdt::{Fdt, FdtNode};
use dtoolkit::model::{DeviceTree, DeviceTreeNode};
use dtoolkit::{Node, Property};
use std::ops::Range;
use vdev_model::AnyVdev;

/// Linux reads no deeper ones (`drivers/of/fdt.c`, `FDT_MAX_DEPTH`).
const MAX_DEPTH: usize = 64;
/// Where the header has its length, and the number of the CPU that boots (*Devicetree Specification*, section 5.2).
const TOTAL_SIZE_AT: usize = 4;
const BOOT_CPU_AT: usize = 28;

/// A tree that was read.
#[derive(Debug)]
pub(crate) struct Given {
    tree: DeviceTree,
    boot_cpu: [u8; 4],
}

impl Given {
    /// Reads a tree in the flattened format, version 17.
    ///
    /// # Errors
    ///
    /// What is wrong with it, for a label.
    pub(crate) fn read(file: &[u8]) -> Result<Self, String> {
        if file.starts_with(b"/dts-v1/") {
            return Err("it is the source; `dtc -O dtb` makes a device tree of it".into());
        }
        let word = |at: usize| file.get(at..).and_then(<[u8]>::first_chunk).copied();
        let len_bytes = word(TOTAL_SIZE_AT).map_or(0, u32::from_be_bytes) as usize;
        let is_tree = file.starts_with(&DEVICE_TREE_MAGIC);
        if is_tree && len_bytes > MAX_TREE_BYTES {
            return Err(format!("it has {len_bytes} bytes, and the most is 2 MiB"));
        }
        // What is behind it does not belong to it.
        let file = match file.get(..len_bytes) {
            Some(tree) if is_tree => tree,
            None if is_tree => {
                let has = file.len();
                return Err(format!(
                    "it says that it has {len_bytes} bytes, and has {has}"
                ));
            }
            _ => file,
        };
        let flat = Fdt::new(file).map_err(|error| error.to_string())?;
        let nodes = check(&flat.root(), 1)?;
        let tree = DeviceTree::from_fdt(&flat);
        if count(&tree.root) != nodes {
            return Err("two nodes or properties in one node have one name".into());
        }
        Ok(Self {
            tree,
            boot_cpu: word(BOOT_CPU_AT).unwrap_or_default(),
        })
    }

    /// Its bytes with what `vm` says, and its initrd there.
    ///
    /// # Errors
    ///
    /// Why it cannot say that, for a label.
    pub(crate) fn changed(&self, vm: &Vm, initrd: Option<&Range<u64>>) -> Result<Vec<u8>, String> {
        let mut tree = self.tree.clone();
        set_memory(&mut tree.root, vm)?;
        let stdout = path_of_console(&tree.root, vm);
        let chosen = child(&mut tree.root, "chosen");
        if let Some(cmdline) = &vm.cmdline {
            set(chosen, "bootargs", cmdline.value.as_str());
        }
        set_initrd(chosen, initrd);
        let names = ["stdout-path", "linux,stdout-path"];
        let is_named = names.iter().any(|name| (*chosen).property(name).is_some());
        if let Some(path) = stdout.filter(|_| !is_named) {
            set(chosen, "stdout-path", path.as_str());
        }
        let mut bytes = tree.to_dtb();
        if let Some(place) = bytes.get_mut(BOOT_CPU_AT..BOOT_CPU_AT + 4) {
            place.copy_from_slice(&self.boot_cpu);
        }
        match bytes.len() {
            0..=MAX_TREE_BYTES => Ok(bytes),
            len => Err(format!(
                "it has {len} bytes with what is added, and the most is 2 MiB"
            )),
        }
    }
}

/// How many nodes and properties there are from here on, if they are not nested too deeply.
fn check(node: &FdtNode<'_>, depth: usize) -> Result<usize, String> {
    if depth > MAX_DEPTH {
        return Err(format!("its nodes are nested more than {MAX_DEPTH} deep"));
    }
    let mut sum = 1 + node.properties().count();
    for child in node.children() {
        sum += check(&child, depth + 1)?;
    }
    Ok(sum)
}

fn count(node: &DeviceTreeNode) -> usize {
    1 + node.properties().count() + node.children().map(count).sum::<usize>()
}

/// One node of memory has all RAM; what else stands in it stays.
fn set_memory(root: &mut DeviceTreeNode, vm: &Vm) -> Result<(), String> {
    // Section 2.3.5 has the defaults.
    let cells = |name, usual| match (*root).property(name) {
        None => Ok(usual),
        Some(property) => property
            .value()
            .try_into()
            .map(u32::from_be_bytes)
            .map_err(|_| format!("its {name} is no number of 32 bits")),
    };
    let (address, size) = (cells("#address-cells", 2)?, cells("#size-cells", 1)?);
    let reg = reg_of_ram(&vm.ram, address, size).ok_or_else(|| {
        format!("the RAM cannot be said in addresses of {address} and lengths of {size} cells of 32 bits")
    })?;
    let is_memory = |node: &DeviceTreeNode| {
        let property = node.property("device_type");
        property.is_some_and(|it| it.value() == b"memory\0") || node.name() == "memory"
    };
    let memory = root.children().filter(|node| is_memory(node));
    let mut names: Vec<String> = memory.map(|node| node.name().to_owned()).collect();
    if names.is_empty() {
        let base = vm.ram.first().map_or(0, |ram| ram.value.base);
        names.push(format!("memory@{base:x}"));
    }
    for name in names.iter().skip(1) {
        root.remove_child(name);
    }
    if let Some(name) = names.first() {
        let node = child(root, name);
        set(node, "device_type", "memory");
        set(node, "reg", reg);
    }
    Ok(())
}

/// Where the tree has the VM's console.
fn path_of_console(root: &DeviceTreeNode, vm: &Vm) -> Option<String> {
    let device = console(vm)?;
    let compatible = device.vdev.kind().tree.compatible.first()?;
    let unit = format!("@{:x}", device.loc.value);
    let is_it = |node: &DeviceTreeNode| {
        let property = node.property("compatible");
        let mut strings = property
            .iter()
            .flat_map(|it| it.value().split(|byte| *byte == 0));
        node.name().ends_with(&unit) && strings.any(|it| it == compatible.as_bytes())
    };
    find(root, &is_it)
}

fn find(node: &DeviceTreeNode, is_it: &impl Fn(&DeviceTreeNode) -> bool) -> Option<String> {
    node.children().find_map(|child| {
        let name = child.name();
        match is_it(child) {
            true => Some(format!("/{name}")),
            false => find(child, is_it).map(|path| format!("/{name}{path}")),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use dtoolkit::memreserve::MemoryReservation;

    const VM: &str = "system a ram 0x40000000,4M ram 0x100000000,1G load a cmdline \"new line\"
        vdev pl011 loc 0x9000000";

    fn vm() -> Vm {
        crate::parse("vm.conf", VM).unwrap()
    }

    fn node<'a>(parent: &'a mut DeviceTreeNode, name: &str) -> &'a mut DeviceTreeNode {
        child(parent, name)
    }

    /// A tree with all that is changed in it, and with things that are not.
    fn sample() -> DeviceTree {
        let mut tree = DeviceTree::new();
        tree.memory_reservations = vec![MemoryReservation::new(0x4000_0000, 0x1000)];
        let root = &mut tree.root;
        set(root, "#address-cells", 2_u32);
        set(root, "#size-cells", 2_u32);
        for name in ["memory@80000000", "memory@90000000"] {
            let memory = node(root, name);
            set(memory, "device_type", "memory");
            set(memory, "reg", [0_u32, 1, 2, 3]);
            set(memory, "numa-node-id", 7_u32);
        }
        let chosen = node(root, "chosen");
        set(chosen, "bootargs", "old");
        set(chosen, "kaslr-seed", 7_u64);
        set(chosen, "linux,initrd-start", 1_u32);
        set(chosen, "linux,initrd-end", 2_u32);
        let soc = node(root, "soc");
        set(soc, "phandle", 0x1234_u32);
        set(soc, "odd", [1_u8, 2, 3]);
        let serial = node(soc, "uart@9000000");
        set(serial, "compatible", &["arm,pl011", "arm,primecell"][..]);
        tree
    }

    fn changed(file: &[u8], initrd: Option<Range<u64>>) -> Result<DeviceTree, String> {
        let bytes = Given::read(file)?.changed(&vm(), initrd.as_ref())?;
        Ok(DeviceTree::from_fdt(&Fdt::new(&bytes).unwrap()))
    }

    #[test]
    fn only_chosen_and_memory_are_changed() {
        let sample = sample();
        let told = changed(&sample.to_dtb(), Some(0x4100_0000..0x4100_0123)).unwrap();
        let mut wanted = sample;
        let root = &mut wanted.root;
        root.remove_child("memory@90000000");
        let ram: [u32; 8] = [0, 0x4000_0000, 0, 4 << 20, 1, 0, 0, 1 << 30];
        set(node(root, "memory@80000000"), "reg", ram);
        let chosen = node(root, "chosen");
        set(chosen, "bootargs", "new line");
        set_initrd(chosen, Some(&(0x4100_0000..0x4100_0123)));
        set(chosen, "stdout-path", "/soc/uart@9000000");
        assert_eq!(told, wanted);
    }

    #[test]
    fn an_initrd_that_is_not_there_is_not_told_and_a_console_that_is_named_stays() {
        let mut sample = sample();
        set(node(&mut sample.root, "chosen"), "stdout-path", "serial0");
        let told = changed(&sample.to_dtb(), None).unwrap();
        let chosen = told.find_node("/chosen").unwrap();
        assert!(chosen.property("linux,initrd-start").is_none());
        assert!(chosen.property("linux,initrd-end").is_none());
        assert_eq!(
            chosen.property("stdout-path").unwrap().value(),
            b"serial0\0"
        );
    }

    #[test]
    fn an_empty_tree_gets_what_it_lacks() {
        let mut empty = DeviceTree::new();
        set(&mut empty.root, "#size-cells", 2_u32);
        let told = changed(&empty.to_dtb(), None).unwrap();
        let memory = told.find_node("/memory@40000000").unwrap();
        assert_eq!(memory.property("device_type").unwrap().value(), b"memory\0");
        assert!(told.find_node("/chosen").is_some());
    }

    #[test]
    fn the_cpu_that_boots_stays() {
        let mut file = sample().to_dtb();
        file[BOOT_CPU_AT..][..4].copy_from_slice(&[0, 0, 1, 2]);
        let bytes = Given::read(&file).unwrap().changed(&vm(), None).unwrap();
        assert_eq!(bytes[BOOT_CPU_AT..][..4], [0, 0, 1, 2]);
    }

    fn why(file: &[u8]) -> String {
        changed(file, None).unwrap_err()
    }

    #[test]
    fn what_is_no_whole_tree_is_refused() {
        let file = sample().to_dtb();
        for len in 0..file.len() {
            let told = why(&file[..len]);
            if len >= 8 {
                assert!(told.contains("it says that it has"), "{len}: {told}");
            }
        }
        assert!(why(b"/dts-v1/; / {};").contains("dtc"));
        assert!(why(&[0; 64]).contains("magic"));
        let mut large = file.clone();
        large[TOTAL_SIZE_AT..][..4].copy_from_slice(&(2 * MAX_TREE_BYTES as u32).to_be_bytes());
        assert!(why(&large).contains("the most is 2 MiB"));
        // Version 18, which says that it is none before.
        let mut new = file.clone();
        new[23] = 18;
        new[27] = 18;
        assert!(why(&new).contains("version"));
        // Bytes behind it are not read.
        let mut longer = file;
        longer.extend([0xff; 9]);
        assert!(changed(&longer, None).is_ok());
    }

    #[test]
    fn lengths_that_lie_are_refused() {
        let file = sample().to_dtb();
        // Each number of the header, and of the reservations and the first nodes behind it.
        for at in (4..160).step_by(4) {
            for lie in [0_u32, 1, 0x7fff_fffc, u32::MAX, file.len() as u32] {
                let mut file = file.clone();
                file[at..][..4].copy_from_slice(&lie.to_be_bytes());
                let _ = changed(&file, None);
            }
        }
    }

    #[test]
    fn a_tree_is_not_deeper_than_linux_reads() {
        let nested = |depth: usize| {
            let mut node = DeviceTreeNode::new_unchecked("n");
            for _ in 2..depth {
                let mut parent = DeviceTreeNode::new_unchecked("n");
                parent.add_child(node);
                node = parent;
            }
            let mut tree = DeviceTree::new();
            set(&mut tree.root, "#size-cells", 2_u32);
            tree.root.add_child(node);
            tree.to_dtb()
        };
        assert!(changed(&nested(64), None).is_ok());
        assert!(why(&nested(65)).contains("nested"));
        // As deep as 2 MiB allow: begin, name, and as many ends.
        let (begin, end) = ([0_u8, 0, 0, 1, b'n', 0, 0, 0], [0_u8, 0, 0, 2]);
        let depth = 150_000;
        let mut structure = vec![0, 0, 0, 1, 0, 0, 0, 0];
        structure.extend(begin.repeat(depth));
        structure.extend(end.repeat(depth + 1));
        structure.extend([0, 0, 0, 9]);
        assert!(why(&flat(&structure)).contains("nested"));
    }

    /// A tree of this structure block, without strings.
    fn flat(structure: &[u8]) -> Vec<u8> {
        let len = 56 + structure.len() as u32;
        let header = [
            0xd00d_feed,
            len,
            56,
            len,
            40,
            17,
            16,
            0,
            0,
            len - 56,
            0,
            0,
            0,
            0,
        ];
        let header = header.iter().flat_map(|word: &u32| word.to_be_bytes());
        header.chain(structure.iter().copied()).collect()
    }

    #[test]
    fn two_of_one_name_are_refused() {
        let node = [0_u8, 0, 0, 1, b'n', 0, 0, 0, 0, 0, 0, 2];
        let mut structure = vec![0, 0, 0, 1, 0, 0, 0, 0];
        structure.extend(node.repeat(2));
        structure.extend([0, 0, 0, 2, 0, 0, 0, 9]);
        assert!(why(&flat(&structure)).contains("one name"));
    }

    #[test]
    fn ram_that_its_cells_cannot_say_is_refused() {
        for (address, size) in [(1_u32, 2_u32), (0, 2), (3, 2), (u32::MAX, 2), (2, 0)] {
            let mut tree = sample();
            set(&mut tree.root, "#address-cells", address);
            set(&mut tree.root, "#size-cells", size);
            assert!(
                why(&tree.to_dtb()).contains("cells of 32 bits"),
                "{address} {size}"
            );
        }
        let mut tree = sample();
        set(&mut tree.root, "#address-cells", [1_u8, 2, 3]);
        assert!(why(&tree.to_dtb()).contains("#address-cells"));
    }
}
