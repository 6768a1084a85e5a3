//! Whether the options fit together: what is missing, too long, unaligned, out of reach, in
//! each other's way. Called by `analyse` after the parser.
//!
//! Invariant: a [`Vm`] comes out only if nothing at all is wrong, and it keeps every rule on
//! [`vm_config`]'s page. The rules are written a second time there because a blob has no
//! places to point at; a property test holds the two together.

mod interrupts;
mod places;
mod texts;

use vdev_model::AnyVdev;
use vm_config::{
    Action, Emit, MAX_DEVICES, MAX_IMAGES, MAX_RAM_RANGES, MAX_ROM_RANGES, Options, SeverityMask,
    Unsupported,
};

use crate::diagnostics::Diagnostic;
use crate::options::{Destination, Draft, DraftDevice, LogRule, Once};
use crate::source::{Source, Span, Spanned};
use crate::vm::{Vm, VmDevice};
use interrupts::{interrupt, interrupts};
use places::{devices, ram, rom};
use texts::{device_names, texts};

/// The VM that `draft` describes, or `None` and at least one more entry in `found`, or one
/// that the parser has put there.
pub(crate) fn check(source: &Source, mut draft: Draft, found: &mut Vec<Diagnostic>) -> Option<Vm> {
    counts(&draft, found);
    // What is too much was reported; what follows compares everything with everything.
    draft.devices.truncate(MAX_DEVICES);
    draft.ram.truncate(MAX_RAM_RANGES);
    draft.rom.truncate(MAX_ROM_RANGES);
    draft.loads.truncate(MAX_IMAGES);
    texts(&draft, found);
    missing(&draft, found);
    ram(&draft.ram, found);
    rom(&draft, found);
    devices(&draft, found);
    fitting(&draft.devices, found);
    interrupts(&draft.devices, found);

    let logger = logger(&draft.logger);
    let names = device_names(&draft.devices, found);
    let devices = draft.devices.iter().zip(names);
    let devices: Option<Vec<VmDevice>> = devices
        .map(|(device, name)| finish(device, name, logger))
        .collect();
    let action = |once: &Once<Action>, default| once.value.as_ref().map_or(default, |it| it.value);
    let defaults = Unsupported::default();
    let vm = Vm {
        source: source.clone(),
        system: draft.system.value?,
        ram: draft.ram,
        rom: draft.rom,
        loads: draft.loads,
        made_device_tree: draft.made_device_tree,
        cmdline: draft.cmdline.value,
        logger,
        unsupported: Unsupported {
            instruction: action(&draft.instruction, defaults.instruction),
            reference: action(&draft.reference, defaults.reference),
            register: action(&draft.register, defaults.register),
        },
        devices: devices?,
    };
    crate::is_compilable(found).then_some(vm)
}

fn missing(draft: &Draft, found: &mut Vec<Diagnostic>) {
    let options = [
        (draft.system.at, "system", "system demo"),
        (draft.ram_at, "ram", "ram 0x40000000,2M"),
        (draft.load_at, "load", "load guest-app"),
    ];
    for (_, option, example) in options.into_iter().filter(|(at, _, _)| at.is_none()) {
        found.push(
            Diagnostic::error_without_place(format!("there is no `{option}`"))
                .help(format!("every VM needs one; for example: `{example}`")),
        );
    }
    for device in draft
        .devices
        .iter()
        .filter(|device| device.loc.at.is_none())
    {
        let kind = device.vdev.kind();
        let title = format!("this `vdev {}` has no `loc`", kind.name);
        let help = format!("for example: `{}`", kind.example);
        found.push(Diagnostic::error(device.span, title).help(help));
    }
}

fn counts(draft: &Draft, found: &mut Vec<Diagnostic>) {
    let devices = draft.devices.iter().map(|device| device.span);
    let ram = draft.ram.iter().map(|range| range.span);
    let rom = draft.rom.iter().map(|range| range.span);
    let images = draft.loads.iter().map(|load| load.span);
    let too_many = [
        too_many(devices, MAX_DEVICES, "devices"),
        too_many(ram, MAX_RAM_RANGES, "ranges of RAM"),
        too_many(rom, MAX_ROM_RANGES, "ranges of ROM"),
        too_many(images, MAX_IMAGES, "images"),
    ];
    found.extend(too_many.into_iter().flatten());
}

/// That there are more of these than a VM can have, at the first that is too many.
fn too_many(
    mut all: impl ExactSizeIterator<Item = Span>,
    most: usize,
    what: &str,
) -> Option<Diagnostic> {
    let count = all.len();
    let first = all.nth(most)?;
    let title = format!("a VM has at most {most} {what}");
    let label = format!("the first of {} too many", count - most);
    Some(Diagnostic::error(first, title).label(label))
}

/// The options that only this kind of device has, if all that are given are known.
fn own_options(device: &DraftDevice) -> Option<Options> {
    let mut options = Options::NONE;
    for (once, option) in device.own.iter().zip(&mut options.0) {
        *option = once.value.as_ref().map(|value| value.value);
        if once.at.is_some() && option.is_none() {
            return None;
        }
    }
    Some(options)
}

/// Whether each device's own options fit together, as its file says.
fn fitting(devices: &[DraftDevice], found: &mut Vec<Diagnostic>) {
    for device in devices {
        if let Some(options) = own_options(device)
            && let Err(title) = device.vdev.check(&options)
        {
            found.push(Diagnostic::error(device.span, title));
        }
    }
}

fn finish(device: &DraftDevice, name: Spanned<String>, logger: SeverityMask) -> Option<VmDevice> {
    let loc = device.loc.value.as_ref()?;
    Some(VmDevice {
        span: device.span,
        name,
        vdev: device.vdev,
        space: loc.value.space,
        loc: Spanned {
            value: loc.value.address,
            span: loc.span,
        },
        severities: (!device.log.is_empty()).then(|| apply(logger, &device.log)),
        emit: Emit {
            logger: device.emit_logger.at.is_some(),
            trace: device.emit_trace.value.as_ref().map(|number| number.value),
        },
        options: own_options(device)?,
        interrupt: interrupt(device).cloned(),
    })
}

/// QNX: an explicit configuration replaces the default; one that only takes away, with
/// `none`, takes away from the default.
fn logger(rules: &[LogRule]) -> SeverityMask {
    match rules
        .iter()
        .all(|rule| rule.destination == Destination::None)
    {
        true => apply(SeverityMask::default(), rules),
        false => apply(SeverityMask::empty(), rules),
    }
}

fn apply(start: SeverityMask, rules: &[LogRule]) -> SeverityMask {
    rules
        .iter()
        .fold(start, |mask, rule| match rule.destination {
            Destination::Stdout | Destination::Stderr => mask | rule.severities,
            Destination::None => mask - rule.severities,
        })
}
