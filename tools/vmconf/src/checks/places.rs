//! Where RAM and devices lie: aligned, within reach, and none on another.

use vm_config::{AddressSpace, GUEST_PHYS_LIMIT, PAGE_LEN_BYTES, RamRange};

use super::kind;
use crate::diagnostics::Diagnostic;
use crate::options::{Draft, DraftDevice, VdevType, Words};
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

pub(super) fn devices(draft: &Draft, found: &mut Vec<Diagnostic>) {
    for (index, device) in draft.devices.iter().enumerate() {
        let Some(place) = Place::of(device, "this") else {
            continue;
        };
        let (vdev, align_bytes) = (device.vdev.word(), kind(device).align_bytes());
        if !place.start.is_multiple_of(align_bytes) {
            let (unit, down) = match device.vdev {
                VdevType::Trace => ("words of 4 bytes", place.start & !3),
                VdevType::Pl011 => ("pages of 4 KiB", place.start & !(PAGE_LEN_BYTES - 1)),
                VdevType::Ser8250 => ("groups of 8 ports", place.start & !7),
            };
            found.push(
                Diagnostic::error(
                    place.span,
                    format!("`loc` of a `vdev {vdev}` is not aligned"),
                )
                .label(format!(
                    "{:#x} is not a multiple of {align_bytes:#x}",
                    place.start
                ))
                .help(format!("it occupies whole {unit}; {down:#x} would do")),
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
        for other in draft.devices.iter().take(index) {
            if let Some(other) = Place::of(other, "the other") {
                place.clash(&other, found);
            }
        }
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
        Some(Self {
            space: kind(device).space(),
            start: loc.value,
            len_bytes: kind(device).len_bytes(),
            span: loc.span,
            what: format!("{which} `vdev {}`", device.vdev.word()),
        })
    }

    fn of_ram(range: &Spanned<RamRange>, what: &str) -> Self {
        Self {
            space: AddressSpace::Memory,
            start: range.value.base,
            len_bytes: range.value.len_bytes,
            span: range.span,
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
            GUEST_PHYS_LIMIT - 1
        ))
}
