//! Whether the options fit together: what is missing, too long, unaligned, out of reach, in
//! each other's way. Called by `analyse` after the parser.
//!
//! Invariant: a [`Vm`] comes out only if nothing at all is wrong, and it keeps every rule on
//! [`vm_config`]'s page. The rules are written a second time there because a blob has no
//! places to point at; a property test holds the two together.

use vm_config::{
    Action, AddressSpace, DeviceKind, GUEST_PHYS_LIMIT, MAX_CMDLINE_BYTES, MAX_DEVICE_NAME_BYTES,
    MAX_DEVICES, MAX_LOAD_NAME_BYTES, MAX_NAME_BYTES, MAX_RAM_RANGES, PAGE_LEN_BYTES, RamRange,
    SeverityMask, Trace, Unsupported,
};

use crate::diagnostics::{Diagnostic, quoted};
use crate::options::{Destination, Draft, DraftDevice, LogRule, Once, VdevType, Words};
use crate::source::{Source, Span, Spanned};
use crate::vm::{Vm, VmDevice};

/// The VM that `draft` describes, or `None` and at least one more entry in `found`, or one
/// that the parser has put there.
pub(crate) fn check(source: &Source, mut draft: Draft, found: &mut Vec<Diagnostic>) -> Option<Vm> {
    counts(&draft, found);
    // What is too much was reported; what follows compares everything with everything.
    draft.devices.truncate(MAX_DEVICES);
    draft.ram.truncate(MAX_RAM_RANGES);
    texts(&draft, found);
    missing(&draft, found);
    ram(&draft.ram, found);
    devices(&draft, found);

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
        load: draft.load.value?,
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

/// The length of the image that `load` names, if it can be had and a blob can hold it.
pub(crate) fn image_len(
    load: &Spanned<String>,
    image_len: impl FnOnce(&Spanned<String>) -> Result<u64, Vec<Diagnostic>>,
    found: &mut Vec<Diagnostic>,
) -> Option<u32> {
    let name = quoted(&load.value);
    let error = match image_len(load) {
        Ok(0) => Diagnostic::error(load.span, format!("the image {name} is empty")),
        Ok(len_bytes) => match u32::try_from(len_bytes) {
            Ok(len_bytes) => return Some(len_bytes),
            Err(_) => Diagnostic::error(load.span, format!("the image {name} is too large"))
                .label(format!("{len_bytes} bytes, the most is 4 GiB")),
        },
        Err(errors) => {
            found.extend(errors);
            return None;
        }
    };
    found.push(error);
    None
}

/// The texts that are copied into the blob.
fn texts(draft: &Draft, found: &mut Vec<Diagnostic>) {
    name("the VM's name", &draft.system, MAX_NAME_BYTES, found);
    text("the image's name", &draft.load, MAX_LOAD_NAME_BYTES, found);
    if let Some(load) = &draft.load.value
        && load.value.is_empty()
    {
        found.push(Diagnostic::error(load.span, "the image's name is empty"));
    }
    if let Some(load) = &draft.load.value
        && load.value.contains(',')
    {
        found.push(
            Diagnostic::error(
                load.span,
                "`load` takes the name of an image and nothing else",
            )
            .help("an ELF image says itself to which addresses it is loaded"),
        );
    }
    text("the command line", &draft.cmdline, MAX_CMDLINE_BYTES, found);
    for device in &draft.devices {
        name(
            "the device's name",
            &device.name,
            MAX_DEVICE_NAME_BYTES,
            found,
        );
    }
}

/// A text that stands in log lines, where it is one column.
fn name(what: &str, once: &Once<String>, most: usize, found: &mut Vec<Diagnostic>) {
    let Some(name) = &once.value else { return };
    if name.value.is_empty() {
        return found.push(Diagnostic::error(name.span, format!("{what} is empty")));
    }
    if name.value.contains(' ') {
        let error = Diagnostic::error(name.span, format!("{what} has a blank in it"));
        return found.push(error.help("log lines are split at blanks; use `-` or `_`"));
    }
    text(what, once, most, found);
}

fn text(what: &str, once: &Once<String>, most: usize, found: &mut Vec<Diagnostic>) {
    let Some(text) = &once.value else { return };
    if let Some(character) = text
        .value
        .chars()
        .find(|character| !matches!(character, ' '..='~'))
    {
        let shown = quoted(&character.to_string());
        found.push(
            Diagnostic::error(
                text.span,
                format!("{what} has a character that is not printable ASCII"),
            )
            .label(format!("{shown}, U+{:04X}", u32::from(character)))
            .help("letters, digits and signs of ASCII come through on every console"),
        );
    } else if text.value.len() > most {
        found.push(
            Diagnostic::error(text.span, format!("{what} is too long")).label(format!(
                "{} characters, the most is {most}",
                text.value.len()
            )),
        );
    }
}

fn missing(draft: &Draft, found: &mut Vec<Diagnostic>) {
    let options = [
        (draft.system.at, "system", "system demo"),
        (draft.ram_at, "ram", "ram 0x40000000,2M"),
        (draft.load.at, "load", "load guest-app"),
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
        let vdev = device.vdev.word();
        let help = match device.vdev {
            VdevType::Trace => "for example: `loc 0xfa000000`",
            VdevType::Pl011 => "for example: `loc 0x1c090000`, where QNX's examples have it",
            VdevType::Ser8250 => "for example: `loc io:0x3f8`, where PCs have their first",
        };
        found.push(
            Diagnostic::error(device.span, format!("this `vdev {vdev}` has no `loc`")).help(help),
        );
    }
}

fn counts(draft: &Draft, found: &mut Vec<Diagnostic>) {
    if let Some(device) = draft.devices.get(MAX_DEVICES) {
        let count = draft.devices.len();
        found.push(
            Diagnostic::error(
                device.span,
                format!("a VM has at most {MAX_DEVICES} devices"),
            )
            .label(format!("the first of {} too many", count - MAX_DEVICES)),
        );
    }
    if let Some(range) = draft.ram.get(MAX_RAM_RANGES) {
        let count = draft.ram.len();
        found.push(
            Diagnostic::error(
                range.span,
                format!("a VM has at most {MAX_RAM_RANGES} ranges of RAM"),
            )
            .label(format!("the first of {} too many", count - MAX_RAM_RANGES)),
        );
    }
}

fn ram(ranges: &[Spanned<RamRange>], found: &mut Vec<Diagnostic>) {
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

fn devices(draft: &Draft, found: &mut Vec<Diagnostic>) {
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

/// The kind with its options, as far as they are known.
fn kind(device: &DraftDevice) -> DeviceKind {
    match device.vdev {
        VdevType::Trace => DeviceKind::Trace(Trace {
            emit_logger: device.emit_logger.at.is_some(),
            emit_trace: device.emit_trace.value.as_ref().map(|number| number.value),
        }),
        VdevType::Pl011 => DeviceKind::Pl011,
        VdevType::Ser8250 => DeviceKind::Ser8250,
    }
}

/// The name of each device: the one it is given, or one that is not given to another.
fn device_names(devices: &[DraftDevice], found: &mut Vec<Diagnostic>) -> Vec<Spanned<String>> {
    let mut taken: Vec<&Spanned<String>> = Vec::new();
    for name in devices
        .iter()
        .filter_map(|device| device.name.value.as_ref())
    {
        if let Some(first) = taken.iter().find(|other| other.value == name.value) {
            let title = format!("two devices have the name {}", quoted(&name.value));
            found.push(
                Diagnostic::error(name.span, title)
                    .label("again here")
                    .also(first.span, "first given here"),
            );
        }
        taken.push(name);
    }
    let mut names: Vec<Spanned<String>> = Vec::new();
    for (index, device) in devices.iter().enumerate() {
        let (before, separator) = match device.vdev {
            VdevType::Trace => ("trace", ""),
            // A kind that ends in a digit needs something between it and the number.
            VdevType::Pl011 => ("pl011", "-"),
            VdevType::Ser8250 => ("ser8250", "-"),
        };
        let rank = devices
            .iter()
            .take(index)
            .filter(|other| other.vdev == device.vdev)
            .count();
        let free = |name: &String| {
            !taken.iter().any(|other| other.value == *name)
                && !names.iter().any(|other| other.value == *name)
        };
        let mut numbered = (rank..).map(|number| format!("{before}{separator}{number}"));
        let name = device.name.value.clone().unwrap_or_else(|| Spanned {
            value: numbered.find(free).unwrap_or_default(),
            span: device.span,
        });
        names.push(name);
    }
    names
}

fn finish(device: &DraftDevice, name: Spanned<String>, logger: SeverityMask) -> Option<VmDevice> {
    Some(VmDevice {
        span: device.span,
        name,
        loc: device.loc.value.clone()?,
        severities: (!device.log.is_empty()).then(|| apply(logger, &device.log)),
        kind: kind(device),
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
