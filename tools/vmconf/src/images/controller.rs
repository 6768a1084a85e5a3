//! What a VM's interrupt controller asks of its configuration. Which there is, is known with the images: they say
//! what machine they are for.
//!
//! Called by `layout`. Invariant: what comes through has each `intr` where there is a line for it, and nothing where
//! the controller is.

use super::Machine;
use crate::diagnostics::Diagnostic;
use crate::qnx::NO_CONTROLLER;
use crate::source::{Span, Spanned};
use crate::vm::Vm;
use vdev_model::{AddressSpace, AnyVdev};
use vm_components::{GIC_LINES, GIC_PLACES};

pub(super) fn check(vm: &Vm, machine: Machine) -> Vec<Diagnostic> {
    let lines = vm.devices.iter().filter_map(|it| it.interrupt.as_ref());
    match machine {
        Machine::X86_64 => lines.map(without_controller).collect(),
        Machine::Aarch64 => lines
            .filter(|line| !GIC_LINES.contains(&line.value))
            .map(out_of_range)
            .chain(overlaps(vm))
            .collect(),
    }
}

fn without_controller(line: &Spanned<u64>) -> Diagnostic {
    Diagnostic::error(line.span, "this VM has no interrupt controller")
        .label("it is an x86_64 VM")
        .help(NO_CONTROLLER)
}

fn out_of_range(line: &Spanned<u64>) -> Diagnostic {
    let (first, last) = (GIC_LINES.start(), GIC_LINES.end());
    let title = format!("the GIC has no line {} for a device", line.value);
    Diagnostic::error(line.span, title)
        .help(format!("its INTIDs for devices are {first} to {last}"))
}

fn overlaps(vm: &Vm) -> impl Iterator<Item = Diagnostic> {
    let memory = |span, base, len_bytes, what: &str| (span, base, len_bytes, what.to_owned());
    let ram = vm.ram.iter();
    let ram = ram.map(move |it| memory(it.span, it.value.base, it.value.len_bytes, "the RAM"));
    let rom = vm.rom.iter();
    let rom = rom.map(move |it| memory(it.span, it.value.base, it.value.len_bytes, "the ROM"));
    let devices = vm.devices.iter();
    let devices = devices
        .filter(|it| it.space == AddressSpace::Memory)
        .map(|it| {
            let kind = it.vdev.kind();
            let name = format!("this `vdev {}`", kind.name);
            (it.loc.span, it.loc.value, kind.len, name)
        });
    ram.chain(rom).chain(devices).filter_map(overlap)
}

fn overlap((at, start, len_bytes, what): (Span, u64, u64, String)) -> Option<Diagnostic> {
    let end = start.saturating_add(len_bytes);
    let (half, base, len) = GIC_PLACES
        .into_iter()
        .find(|(_, base, len)| start < base + len && *base < end)?;
    let title = format!("{what} overlaps the GIC");
    let label = format!("{what} is at {start:#x} to {:#x}", end.saturating_sub(1));
    let help = format!(
        "an aarch64 VM has the GIC's {half} at {base:#x} to {:#x}",
        base + len - 1
    );
    Some(Diagnostic::error(at, title).label(label).help(help))
}
