//! Whether a VM has room for an image: its segments lie in the RAM, each in a place of its own, clear of
//! what the VMM writes there, and it begins in one.

use super::segment::{Segment, end, extent, is_within};
use super::{Machine, Unfit};
use crate::diagnostics::Diagnostic;
use crate::vm::Vm;
use vm_config::RamRange;

/// Where nobody knows the machine, the one whose start area needs less: whoever boots it knows.
const LEAST: Machine = Machine::Aarch64;

/// What the VMM writes before the guest starts.
pub(super) fn start_area(ram: &RamRange, machine: Option<Machine>) -> RamRange {
    let machine = machine.unwrap_or(LEAST);
    let len_bytes = machine.start_area_bytes().min(ram.len_bytes);
    let base = end(ram).saturating_sub(len_bytes);
    RamRange { base, len_bytes }
}

impl Unfit {
    /// Its segments have a place in the RAM of `vm`, each its own; if the guest starts in this image, at
    /// `entry`, then in one of them.
    pub(super) fn fits(
        &self,
        segments: &[Segment],
        entry: Option<u64>,
        vm: &Vm,
        machine: Option<Machine>,
    ) -> Vec<Diagnostic> {
        let taken = segments
            .iter()
            .filter(|segment| segment.place.len_bytes != 0);
        let mut taken: Vec<_> = taken.cloned().collect();
        taken.sort_by_key(|segment| segment.place.base);
        let errors = [
            self.is_in_ram(segments, vm),
            self.has_no_overlap(&taken),
            self.leaves_start_area(&taken, vm, machine),
            entry.and_then(|entry| self.begins_in_a_segment(&taken, entry)),
        ];
        let mut errors: Vec<_> = errors.into_iter().flatten().collect();
        if errors.is_empty() && machine == Some(Machine::Aarch64) {
            errors.extend(entry.and_then(|entry| self.begins_with_an_instruction(entry)));
        }
        errors
    }

    fn is_in_ram(&self, segments: &[Segment], vm: &Vm) -> Option<Diagnostic> {
        let mut outside = segments.iter().filter(|segment| {
            let mut ram = vm.ram.iter();
            !ram.any(|ram| is_within(&segment.place, &ram.value))
        });
        let error = self.error("does not lie in the VM's RAM", outside.next()?.extent());
        let error = vm.ram.iter().fold(error, |error, ram| {
            error.also(ram.span, format!("the RAM is {}", extent(&ram.value)))
        });
        let error = match outside.count() {
            0 => error,
            1 => error.help("another segment lies outside of it, too"),
            others => error.help(format!("{others} more segments lie outside of it, too")),
        };
        Some(error.help(match self.is_flat() {
            true => "give it an address in the RAM, or change `ram`",
            false => "link it to addresses in the RAM, or change `ram`",
        }))
    }

    /// `taken` is in the order of the addresses.
    fn has_no_overlap(&self, taken: &[Segment]) -> Option<Diagnostic> {
        let pairs = taken.iter().zip(taken.iter().skip(1));
        let mut overlaps = pairs.filter(|(first, second)| second.place.base < first.end());
        let (first, second) = overlaps.next()?;
        let label = format!("{}, {}", first.extent(), second.extent());
        let error = self.error("has segments that overlap", label);
        Some(error.help("its linker script gives them one place"))
    }

    fn leaves_start_area(
        &self,
        taken: &[Segment],
        vm: &Vm,
        machine: Option<Machine>,
    ) -> Option<Diagnostic> {
        let ram = vm.ram.first()?;
        let area = start_area(&ram.value, machine);
        let segment = taken
            .iter()
            .find(|segment| is_within(&segment.place, &ram.value) && segment.end() > area.base)?;
        let holds = machine.unwrap_or(LEAST).start_area_holds();
        let error = self
            .error("reaches into the end of the RAM", segment.extent())
            .also(ram.span, format!("{holds} at {}", extent(&area)));
        Some(error.help(match self.is_flat() {
            true => "make the RAM larger, or give it a lower address",
            false => "make the RAM larger, or link the image to lower addresses",
        }))
    }

    fn begins_in_a_segment(&self, taken: &[Segment], entry: u64) -> Option<Diagnostic> {
        let is_in = |start: fn(&Segment) -> u64| {
            taken.iter().any(|segment| {
                let at = entry.checked_sub(start(segment));
                at.is_some_and(|at| at < segment.place.len_bytes)
            })
        };
        if is_in(|segment| segment.place.base) {
            return None;
        }
        let label = format!("its entry point is {entry:#x}");
        let error = self.error("begins outside of its segments", label);
        Some(error.help(match is_in(|segment| segment.virtual_start) {
            true => "that is a virtual address, and the guest begins at a physical one",
            false => "the linker takes it from ENTRY, else from the symbol `_start`",
        }))
    }

    fn begins_with_an_instruction(&self, entry: u64) -> Option<Diagnostic> {
        (!entry.is_multiple_of(4)).then(|| {
            let label = format!("the guest starts at {entry:#x}");
            self.error("begins between two instructions", label)
                .help("every instruction of A64 lies at a multiple of 4")
        })
    }
}
