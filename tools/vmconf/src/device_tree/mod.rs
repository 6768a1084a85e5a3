//! The description of the machine that a guest is given: made from its configuration, or a file of its author's.
//!
//! Called by `images::layout`, which says where the initrd is. Reading, changing and writing of the format is
//! `dtoolkit`'s; here is what stands in it.
//!
//! ```text
//! configuration ──made──▶ tree ─────────────┐
//!                                           ├─▶ bytes for the RAM
//! file ──given──▶ tree ──/chosen, /memory──▶┘
//! ```
//!
//! Invariant: what comes out tells of RAM and initrd what the VM has, and has at most [`MAX_TREE_BYTES`].
//!
//! Specification: *Devicetree Specification* 0.4; Linux, `Documentation/devicetree/bindings`.

mod given;
mod made;

pub(crate) use given::Given;
pub(crate) use made::{console, made};

use crate::source::Spanned;
use dtoolkit::ToPropertyValue;
use dtoolkit::model::{DeviceTreeNode, DeviceTreeProperty};
use std::ops::Range;
use vm_config::RamRange;

/// What a tree begins with (section 5.2).
pub(crate) const DEVICE_TREE_MAGIC: [u8; 4] = [0xd0, 0x0d, 0xfe, 0xed];

/// Linux reads no larger one (`Documentation/arch/arm64/booting.rst`, "Setup the device tree").
pub(crate) const MAX_TREE_BYTES: usize = 2 << 20;

/// A tree is aligned to this many bytes (the same section).
pub(crate) const TREE_ALIGN: u64 = 8;

fn set<T: ToPropertyValue>(node: &mut DeviceTreeNode, name: &str, value: T) {
    node.add_property(DeviceTreeProperty::new_unchecked(name, value));
}

/// The child of this very name, which is made if there is none.
fn child<'a>(node: &'a mut DeviceTreeNode, name: &str) -> &'a mut DeviceTreeNode {
    node.add_child_mut(DeviceTreeNode::new_unchecked(name))
}

/// Says where the initrd is, or that there is none (Linux, bindings/chosen: `linux,initrd-start`).
fn set_initrd(chosen: &mut DeviceTreeNode, initrd: Option<&Range<u64>>) {
    for name in ["linux,initrd-start", "linux,initrd-end"] {
        chosen.remove_property(name);
    }
    if let Some(initrd) = initrd {
        set(chosen, "linux,initrd-start", initrd.start);
        set(chosen, "linux,initrd-end", initrd.end);
    }
}

/// `reg` of all RAM, with numbers of so many cells; `None` if one is too large for that.
fn reg_of_ram(ram: &[Spanned<RamRange>], address_cells: u32, size_cells: u32) -> Option<Vec<u32>> {
    let mut reg = Vec::new();
    for RamRange { base, len_bytes } in ram.iter().map(|ram| ram.value) {
        for (number, cells) in [(base, address_cells), (len_bytes, size_cells)] {
            match cells {
                1 => reg.push(u32::try_from(number).ok()?),
                2 => reg.extend(cells_of(number)),
                _ => return None,
            }
        }
    }
    Some(reg)
}

/// A number of 64 bits as two cells, the upper one first.
fn cells_of(number: u64) -> [u32; 2] {
    [(number >> 32) as u32, number as u32]
}
