//! Where RAM, ROM and devices lie: aligned, within reach, and none on another.

use vdev_model::{AddressSpace, AnyVdev, Kind};
use vm_config::{MAX_ROM_LEN_BYTES, PAGE_LEN_BYTES, RamRange, RomRange};

use crate::diagnostics::Diagnostic;
use crate::options::{Draft, DraftDevice};
use crate::source::{Span, Spanned};

pub(super) fn ram(ranges: &[Spanned<RamRange>], found: &mut Vec<Diagnostic>) {
    for (number, range) in ranges.iter().enumerate() {
        let RamRange { base, len_bytes } = range.value;
        let wrong = [("base", base), ("length", len_bytes)];
        let wrong = wrong
            .into_iter()
            .find(|(_, number)| number % PAGE_LEN_BYTES != 0);
        if len_bytes == 0 {
            found.push(Diagnostic::error(range.span, "RAM of no bytes"));
        } else if let Some((what, number)) = wrong {
            found.push(
                Diagnostic::error(range.span, "RAM has to be whole pages of 4 KiB")
                    .label(format!(
                        "the {what}, {number:#x}, is not a multiple of 0x1000"
                    ))
                    .help("memory is given to a guest page by page"),
            );
        } else if !is_reachable(AddressSpace::Memory, base, len_bytes) {
            found.push(beyond(range.span, "RAM", base, len_bytes));
        } else {
            let place = Place::of_ram(range, "this RAM");
            for other in &ranges[..number] {
                place.clash(&Place::of_ram(other, "the other RAM"), found);
            }
        }
    }
}

pub(super) fn rom(draft: &Draft, found: &mut Vec<Diagnostic>) {
    for (number, range) in draft.rom.iter().enumerate() {
        let RomRange { base, len_bytes } = range.value;
        let unit_bytes = range.value.unit_bytes();
        let wrong = [("base", base), ("length", len_bytes)];
        let wrong = wrong
            .into_iter()
            .find(|(_, number)| !number.is_multiple_of(unit_bytes));
        if len_bytes == 0 {
            found.push(Diagnostic::error(range.span, "ROM of no bytes"));
        } else if len_bytes > MAX_ROM_LEN_BYTES {
            let label =
                format!("{len_bytes:#x} bytes; one range has at most {MAX_ROM_LEN_BYTES:#x}");
            let error = Diagnostic::error(range.span, "so much ROM is not mapped");
            found.push(error.label(label));
        } else if let Some((what, number)) = wrong {
            let (title, help) = match unit_bytes {
                PAGE_LEN_BYTES => (
                    "ROM has to be whole pages of 4 KiB",
                    "memory is given to a guest page by page",
                ),
                _ => (
                    "so much ROM has to be whole blocks of 2 MiB",
                    "up to 2 MiB may be any pages; for more, several `rom` can stand side by side",
                ),
            };
            found.push(
                Diagnostic::error(range.span, title)
                    .label(format!(
                        "the {what}, {number:#x}, is not a multiple of {unit_bytes:#x}"
                    ))
                    .help(help),
            );
        } else if !is_reachable(AddressSpace::Memory, base, len_bytes) {
            found.push(beyond(range.span, "ROM", base, len_bytes));
        } else {
            let place = Place::of_rom(range, "this ROM");
            for ram in &draft.ram {
                place.clash(&Place::of_ram(ram, "the RAM"), found);
            }
            for other in &draft.rom[..number] {
                place.clash(&Place::of_rom(other, "the other ROM"), found);
            }
        }
    }
}

pub(super) fn devices(draft: &Draft, found: &mut Vec<Diagnostic>) {
    for (index, device) in draft.devices.iter().enumerate() {
        let Some(place) = Place::of(device, "this") else {
            continue;
        };
        let Kind { name, align, .. } = *device.vdev.kind();
        if !place.start.is_multiple_of(align) {
            found.push(
                Diagnostic::error(
                    place.span,
                    format!("`loc` of a `vdev {name}` is not aligned"),
                )
                .label(format!(
                    "{:#x} is not a multiple of {align:#x}",
                    place.start
                ))
                .help(format!(
                    "it {}; {:#x} would do",
                    begins(device.vdev.kind(), place.space),
                    place.start - place.start % align
                )),
            );
            continue;
        }
        if !is_reachable(place.space, place.start, place.len_bytes) {
            let what = "the device";
            found.push(match place.space {
                AddressSpace::Memory => beyond(place.span, what, place.start, place.len_bytes),
                AddressSpace::Ports => Diagnostic::error(place.span, "there is no such I/O port")
                    .label("the last one is 0xffff"),
            });
            continue;
        }
        for range in &draft.ram {
            place.clash(&Place::of_ram(range, "the RAM"), found);
        }
        for range in &draft.rom {
            place.clash(&Place::of_rom(range, "the ROM"), found);
        }
        for other in draft.devices.iter().take(index) {
            let which = match other.vdev == device.vdev {
                true => "the other",
                false => "the",
            };
            if let Some(other) = Place::of(other, which) {
                place.clash(&other, found);
            }
        }
    }
}

/// Where such a device begins, in the units that it is aligned to.
fn begins(kind: &Kind, space: AddressSpace) -> String {
    let Kind { align, len, .. } = *kind;
    let units = match (space, align) {
        (AddressSpace::Ports, _) => format!("groups of {align} ports"),
        (AddressSpace::Memory, 4) => "words of 4 bytes".to_owned(),
        (AddressSpace::Memory, _) if align % PAGE_LEN_BYTES == 0 => {
            format!("pages of {} KiB", align >> 10)
        }
        (AddressSpace::Memory, _) => format!("groups of {align} bytes"),
    };
    match len.is_multiple_of(align) {
        true => format!("occupies whole {units}"),
        false => format!("begins where {units} do"),
    }
}

/// Something with a place in the guest's memory or among its ports.
struct Place {
    space: AddressSpace,
    start: u64,
    len_bytes: u64,
    span: Span,
    what: String,
}

impl Place {
    fn of(device: &DraftDevice, which: &str) -> Option<Self> {
        let loc = device.loc.value.as_ref()?;
        let kind = device.vdev.kind();
        Some(Self {
            space: loc.value.space,
            start: loc.value.address,
            len_bytes: kind.len,
            span: loc.span,
            what: format!("{which} `vdev {}`", kind.name),
        })
    }

    fn of_ram(range: &Spanned<RamRange>, what: &str) -> Self {
        let RamRange { base, len_bytes } = range.value;
        Self::of_memory(base, len_bytes, range.span, what)
    }

    fn of_rom(range: &Spanned<RomRange>, what: &str) -> Self {
        let RomRange { base, len_bytes } = range.value;
        Self::of_memory(base, len_bytes, range.span, what)
    }

    fn of_memory(start: u64, len_bytes: u64, span: Span, what: &str) -> Self {
        Self {
            space: AddressSpace::Memory,
            start,
            len_bytes,
            span,
            what: what.into(),
        }
    }

    fn extent(&self) -> String {
        let last = self.start.saturating_add(self.len_bytes.saturating_sub(1));
        format!("{} is at {:#x} to {last:#x}", self.what, self.start)
    }

    /// Reports it if the two have a byte or port in common.
    fn clash(&self, other: &Self, found: &mut Vec<Diagnostic>) {
        let (end, other_end) = (
            self.start.saturating_add(self.len_bytes),
            other.start.saturating_add(other.len_bytes),
        );
        if self.space != other.space || self.start >= other_end || other.start >= end {
            return;
        }
        let title = match self.start == other.start && self.len_bytes == other.len_bytes {
            true => format!("{} and {} have one address", self.what, other.what),
            false => format!("{} overlaps {}", self.what, other.what),
        };
        found.push(
            Diagnostic::error(self.span, title)
                .label(self.extent())
                .also(other.span, other.extent()),
        );
    }
}

fn is_reachable(space: AddressSpace, start: u64, len_bytes: u64) -> bool {
    start
        .checked_add(len_bytes)
        .is_some_and(|end| end <= space.limit())
}

fn beyond(span: Span, what: &str, start: u64, len_bytes: u64) -> Diagnostic {
    let title = format!("{what} lies beyond the guest's physical address space");
    Diagnostic::error(span, title)
        .label(format!(
            "{start:#x} to {:#x}",
            start.saturating_add(len_bytes.saturating_sub(1))
        ))
        .help(format!(
            "guest-physical addresses have 40 bits: up to {:#x}",
            AddressSpace::Memory.limit() - 1
        ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_device_begins_follows_from_its_kind() {
        let [memory, ports] = [AddressSpace::Memory, AddressSpace::Ports];
        for (space, align, len, said) in [
            (memory, 4, 4, "occupies whole words of 4 bytes"),
            (memory, 4, 12, "occupies whole words of 4 bytes"),
            (memory, 0x1000, 0x1000, "occupies whole pages of 4 KiB"),
            (memory, 0x10000, 0x10000, "occupies whole pages of 64 KiB"),
            (memory, 0x1000, 8, "begins where pages of 4 KiB do"),
            (memory, 16, 64, "occupies whole groups of 16 bytes"),
            (ports, 4, 4, "occupies whole groups of 4 ports"),
            (ports, 8, 5, "begins where groups of 8 ports do"),
        ] {
            let kind = Kind {
                align,
                len,
                ..Kind::new("test", "a test")
            };
            assert_eq!(begins(&kind, space), said);
        }
    }
}
