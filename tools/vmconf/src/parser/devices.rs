//! `vdev`, and the options of the device that it begins which every device has.

use vdev_model::{AddressSpace, AnyVdev, Kind};
use vdevs::Vdev;
use vm_config::TraceNumber;

use super::argument::Argument;
use super::only_qnx::absent_title;
use super::{Context, Parser, choices, fill};
use crate::devices;
use crate::diagnostics::{Diagnostic, quoted};
use crate::options::{DeviceOption, DraftDevice, Loc, Words};
use crate::qnx;
use crate::source::{Span, Spanned};

impl Parser<'_> {
    pub(super) fn vdev(&mut self, at: Span) {
        self.context = Context::Refused;
        let Some(kind) = self.argument("vdev", at, "a type", &devices::example()) else {
            return;
        };
        let name = device_of_object(&kind.text);
        if let Some(vdev) = Vdev::named(name) {
            self.context = Context::Device(self.draft.devices.len());
            let device = DraftDevice::new(at.to(kind.span), vdev);
            return self.draft.devices.push(device);
        }
        self.found.push(match qnx::vdev(name) {
            Some(help) => {
                let error = kind.error(absent_title(name, "a device"));
                help.into_iter().fold(error, Diagnostic::help)
            }
            None => {
                let error = kind.error(format!("there is no device {}", quoted(&kind.text)));
                choices(error, &kind.text, &devices::names())
            }
        });
    }

    pub(super) fn device_option(&mut self, option: DeviceOption, at: Span) {
        match self.context {
            Context::Device(index) => self.option_of(index, option, at),
            Context::Vm | Context::Refused => self.option_of_none(option.word(), at),
        }
    }

    /// Refuses an option of a device where no device is described.
    pub(super) fn option_of_none(&mut self, option: &str, at: Span) {
        let title = format!("{} belongs to a device", quoted(option));
        let error = Diagnostic::error(at, title).label("no `vdev` is described here");
        self.refuse(match self.draft.devices.last() {
            Some(device) => error
                .also(device.span, "the description of this one has ended")
                .help("an option of the VM ends the description; move this in front of it"),
            None => error.help(format!("for example: `{}`", devices::example())),
        });
    }

    fn option_of(&mut self, index: usize, option: DeviceOption, at: Span) {
        let word = option.word();
        // The values are looked for first: `device` borrows the draft.
        let (mut loc, mut name, mut number, mut rule) = (None, None, None, None);
        match option {
            DeviceOption::Loc => loc = self.loc(index, at),
            DeviceOption::Name => name = self.argument(word, at, "a name", "name first"),
            DeviceOption::Log => rule = self.log_rule(word, at),
            DeviceOption::EmitTrace => number = self.trace_number(at),
            DeviceOption::EmitLogger => self.has_no_value(word),
        }
        let Some(device) = self.draft.devices.get_mut(index) else {
            return;
        };
        let repeated = match option {
            DeviceOption::Loc => fill(&mut device.loc, at, loc),
            DeviceOption::Name => {
                let name = name.map(|name| Spanned {
                    span: name.span,
                    value: name.text,
                });
                fill(&mut device.name, at, name)
            }
            DeviceOption::Log => {
                device.log.extend(rule);
                None
            }
            DeviceOption::EmitTrace => fill(&mut device.emit_trace, at, number),
            DeviceOption::EmitLogger => fill(
                &mut device.emit_logger,
                at,
                Some(Spanned {
                    value: (),
                    span: at,
                }),
            ),
        };
        self.report_repeated(word, at, repeated);
    }

    fn loc(&mut self, index: usize, at: Span) -> Option<Spanned<Loc>> {
        let kind = self.draft.devices.get(index)?.vdev.kind();
        let argument = self.argument("loc", at, "an address", kind.example)?;
        let (space, address) = match argument.text.split_once(':') {
            Some((word, address)) => (devices::space_named(word).ok_or(word), address),
            None => (Ok(devices::usual_space(kind)), &*argument.text),
        };
        match misplaced(kind, space, address, &argument) {
            Some(error) => {
                self.refuse(error);
                None
            }
            None => {
                let address = self.number(&argument, address)?;
                let space = space.ok()?;
                Some(argument.with(Loc { space, address }))
            }
        }
    }

    fn trace_number(&mut self, at: Span) -> Option<Spanned<TraceNumber>> {
        let what = "the number of a trace event, 0 to 1023";
        let argument = self.argument("emit-trace", at, what, "emit-trace 12")?;
        let number = self.number(&argument, &argument.text)?;
        let known = u16::try_from(number).ok().and_then(TraceNumber::new);
        if known.is_none() {
            let title = format!("there is no trace event {number}");
            let help = "several devices may share a number; the records tell them apart";
            let error = argument
                .error(title)
                .label("the largest number is 1023")
                .help(help);
            self.found.push(error);
        }
        known.map(|known| argument.with(known))
    }
}

/// Why a device of this kind cannot be at `address` of a space, or of what was written for one.
fn misplaced(
    kind: &Kind,
    space: Result<AddressSpace, &str>,
    address: &str,
    argument: &Argument,
) -> Option<Diagnostic> {
    let name = kind.name;
    let error = match space {
        Ok(space) if kind.spaces.contains(&space) => {
            return address.contains(',').then(|| {
                argument
                    .error("`loc` of a device is an address and nothing else")
                    .help("how long it is and who may access it follow from the device")
            });
        }
        Ok(AddressSpace::Memory) => {
            argument.error(format!("`loc` of a `vdev {name}` is an I/O port"))
        }
        Ok(AddressSpace::Ports) => argument
            .error(format!("a `vdev {name}` is in memory, not in I/O space"))
            .label("`io:` is the I/O space of x86"),
        Err("pci") => {
            let usual = match devices::usual_space(kind) {
                AddressSpace::Memory => "memory",
                AddressSpace::Ports => "I/O space",
            };
            argument.error(format!("a `vdev {name}` is in {usual}, not on a PCI bus"))
        }
        Err(other) => argument.error(format!("there is no address space {}", quoted(other))),
    };
    Some(error.help(devices::place_to_give(kind)))
}

/// The device in the name of one of QNX's shared objects: `vdev-trace.so`, with the place where
/// it lies, is `trace`.
fn device_of_object(name: &str) -> &str {
    let file = match name.strip_suffix(".so") {
        Some(object) => object.rsplit('/').next().unwrap_or(object),
        None => name,
    };
    let device = file.strip_prefix("vdev-").unwrap_or(file);
    device.strip_suffix("-safety").unwrap_or(device)
}
