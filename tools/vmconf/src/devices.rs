//! What the language has from the list of devices: their names, their places, the options that only some have.
//! Used by the parser and the checks.
//!
//! Invariant: no device is known here by its name; a new one needs nothing here.

use vdev_model::{AddressSpace, AnyVdev, Kind, OptionKind};
use vdevs::Vdev;

/// The name of each device.
pub(crate) fn names() -> Vec<&'static str> {
    kinds().map(|kind| kind.name).collect()
}

/// What each device is.
pub(crate) fn kinds() -> impl Iterator<Item = &'static Kind> {
    Vdev::ALL.iter().map(|vdev| vdev.kind())
}

/// A device as one may write it.
pub(crate) fn example() -> String {
    let first = kinds().next();
    first.map_or(String::new(), |kind| {
        format!("vdev {} {}", kind.name, kind.example)
    })
}

/// The option of this name that `kind` has besides those of all devices, and its place in the kind's list.
pub(crate) fn own_option(kind: &Kind, name: &str) -> Option<(usize, &'static OptionKind)> {
    let mut options = kind.options.iter().enumerate();
    options.find(|(_, option)| option.name == name)
}

/// The devices with such an option.
pub(crate) fn with_option(name: &str) -> Vec<&'static str> {
    let kinds = kinds().filter(|kind| own_option(kind, name).is_some());
    kinds.map(|kind| kind.name).collect()
}

/// Devices by their names, in a sentence: `vdev a`, `vdev b` and `vdev c`.
pub(crate) fn listed(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`vdev {name}`")).collect();
    match names.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
        None => "none".to_owned(),
    }
}

/// Where a device is if its configuration does not say in which address space.
pub(crate) fn usual_space(kind: &Kind) -> AddressSpace {
    let first = kind.spaces.first().copied();
    first.unwrap_or(AddressSpace::Memory)
}

/// The word for an address space in front of an address.
pub(crate) fn space_word(space: AddressSpace) -> &'static str {
    match space {
        AddressSpace::Memory => "mem",
        AddressSpace::Ports => "io",
    }
}

/// The address space in front of an address.
pub(crate) fn space_named(word: &str) -> Option<AddressSpace> {
    let spaces = [AddressSpace::Memory, AddressSpace::Ports];
    spaces.into_iter().find(|space| space_word(*space) == word)
}

/// What to give as the `loc` of such a device.
pub(crate) fn place_to_give(kind: &Kind) -> String {
    let example = kind.example;
    let (what, other) = match usual_space(kind) {
        AddressSpace::Memory => ("a guest-physical address", "loc mem:"),
        AddressSpace::Ports => ("its first port", "loc io:"),
    };
    match example.strip_prefix("loc ") {
        Some(address) if !address.contains(':') => {
            format!("give {what}: `{example}` or `{other}{address}`")
        }
        _ => format!("give {what}: `{example}`"),
    }
}

/// The name of the device with this number among those of its kind that have no name, in letters of which
/// any name can have so many: numbers have at most two digits.
pub(crate) fn numbered(kind: &str, number: usize) -> String {
    const MOST_BYTES: usize = vm_config::MAX_DEVICE_NAME_BYTES - "-00".len();
    let kind = kind.get(..MOST_BYTES).unwrap_or(kind);
    // A kind that ends in a digit needs something between it and the number.
    let separator = match kind.ends_with(|last: char| last.is_ascii_digit()) {
        true => "-",
        false => "",
    };
    format!("{kind}{separator}{number}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{DeviceOption, VmOption, Words};

    #[test]
    fn no_option_of_one_kind_is_a_word_that_all_have() {
        for option in kinds().flat_map(|kind| kind.options) {
            let name = option.name;
            assert!(VmOption::named(name).is_none(), "{name}");
            assert!(DeviceOption::named(name).is_none(), "{name}");
            assert_eq!(option.example.split(' ').next(), Some(name));
        }
    }

    #[test]
    fn the_longest_name_of_a_kind_leaves_room_for_a_number() {
        assert_eq!(numbered("trace", 0), "trace0");
        assert_eq!(numbered("pl011", 12), "pl011-12");
        assert_eq!(numbered("fifteen-letters", 63), "fifteen-lett63");
        assert_eq!(numbered("twelve-and-3-45", 63), "twelve-and-3-63");
    }

    #[test]
    fn devices_stand_in_a_sentence() {
        assert_eq!(listed(&["a"]), "`vdev a`");
        assert_eq!(listed(&["a", "b"]), "`vdev a` and `vdev b`");
        assert_eq!(listed(&["a", "b", "c"]), "`vdev a`, `vdev b` and `vdev c`");
    }
}
