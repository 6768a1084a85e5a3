//! Which device a virtual address of Linux' kernel is of.
//!
//! Used by `kinds`. Linux tells in /proc/vmallocinfo where it has mapped what, the VM's configuration where each device
//! is and how long. Invariant: an address that both do not tell is nobody's.

use std::ops::Range;
use vdev_model::{AddressSpace, AnyVdev};
use vm_components::GIC_PLACES;
use vmconf::Vm;

const PAGE: u64 = 4096;

/// See the file's header.
pub(super) struct Places {
    devices: Vec<Place>,
    mappings: Vec<Mapping>,
}

/// A device's name and its guest-physical addresses.
pub(super) type Place = (String, Range<u64>);

/// A line of vmallocinfo.
struct Mapping {
    start: u64,
    /// Behind it, with the page that is left unmapped.
    end: u64,
    physical: u64,
}

/// The devices in memory of a VM, with the interrupt controller that each has.
pub(super) fn devices(vm: &Vm) -> Vec<Place> {
    let gic = GIC_PLACES.map(|(name, start, len_bytes)| (format!("GIC {name}"), start, len_bytes));
    let own = vm.devices.iter();
    let own = own
        .filter(|device| device.space == AddressSpace::Memory)
        .map(|device| {
            let len_bytes = device.vdev.kind().len;
            (device.name.value.clone(), device.loc.value, len_bytes)
        });
    gic.into_iter()
        .chain(own)
        .map(|(name, start, len_bytes)| (name, start..start.saturating_add(len_bytes)))
        .collect()
}

impl Places {
    /// The lines may have other text before and after them, and others between.
    pub fn new<'a>(devices: Vec<Place>, vmallocinfo: impl Iterator<Item = &'a str>) -> Self {
        Self {
            devices,
            mappings: vmallocinfo.filter_map(mapping).collect(),
        }
    }

    /// Linux has told where it has mapped anything.
    pub fn are_known(&self) -> bool {
        !self.mappings.is_empty()
    }

    /// The guest-physical address that is mapped at a virtual one.
    pub fn physical(&self, address: u64) -> Option<u64> {
        let of = |it: &&Mapping| (it.start..it.end.saturating_sub(PAGE)).contains(&address);
        let mapping = self.mappings.iter().find(of)?;
        Some(address - mapping.start + mapping.physical)
    }

    /// The device at a virtual address.
    pub fn device(&self, address: u64) -> Option<&str> {
        let physical = self.physical(address)?;
        let mut devices = self.devices.iter();
        let (name, _) = devices.find(|(_, place)| place.contains(&physical))?;
        Some(name)
    }
}

/// `0xffff800009ad5000-0xffff800009ad7000    8192 devm_ioremap+0x74/0xd0 phys=0x0000000009010000 ioremap`
fn mapping(line: &str) -> Option<Mapping> {
    let number = |text: &str| u64::from_str_radix(text.trim_start_matches("0x"), 16).ok();
    let mut words = line.split_whitespace();
    let (start, end) = words.find_map(|word| {
        let (start, end) = word.strip_prefix("0x")?.split_once('-')?;
        Some((number(start)?, number(end)?))
    })?;
    let physical = words.find_map(|word| number(word.strip_prefix("phys=")?))?;
    Some(Mapping {
        start,
        end,
        physical,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Debian's Linux 6.1 prints it here.
    const TOLD: &str = "\
[   1.014338] linux|  to''ld
[   1.036375] linux| 0xffff800008005000-0xffff800008007000    8192 of_iomap+0xdc/0xf0 phys=0x0000000008000000 ioremap
[   1.036928] linux| 0xffff800008008000-0xffff80000800b000   12288 of_iomap+0xdc/0xf0 phys=0x0000000008010000 ioremap
[   1.037882] linux| 0xffff800009ac5000-0xffff800009ac7000    8192 __devm_ioremap_resource+0x1a8/0x28c phys=0x0000000009000000 ioremap
[   1.040131] linux| told";

    fn places() -> Places {
        let devices = [
            ("distributor", 0x800_0000..0x800_1000),
            ("CPU interface", 0x801_0000..0x801_2000),
            ("pl011", 0x900_0000..0x900_0800),
        ];
        let devices = devices.map(|(name, place)| (name.to_owned(), place));
        let devices = devices.to_vec();
        Places::new(devices, TOLD.lines())
    }

    #[test]
    fn a_virtual_address_is_of_what_is_mapped_there() {
        let places = places();
        assert!(places.are_known());
        assert_eq!(places.device(0xffff_8000_0800_5104), Some("distributor"));
        assert_eq!(places.device(0xffff_8000_0800_900c), Some("CPU interface"));
        assert_eq!(places.device(0xffff_8000_09ac_5018), Some("pl011"));
        assert_eq!(places.physical(0xffff_8000_09ac_5018), Some(0x900_0018));
    }

    #[test]
    fn what_is_not_mapped_is_nobody_s() {
        // The page behind each mapping is a guard.
        assert_eq!(places().device(0xffff_8000_09ac_6000), None);
        assert_eq!(places().device(0x900_0000), None);
        // Mapped, but behind the device.
        assert_eq!(places().device(0xffff_8000_09ac_5800), None);
        assert!(!Places::new(Vec::new(), "nothing".lines()).are_known());
    }
}
