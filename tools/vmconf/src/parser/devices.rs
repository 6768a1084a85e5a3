//! `vdev`, and the options of the device that it begins.

use vm_config::TraceNumber;

use super::only_qnx::absent_title;
use super::{Context, Parser, choices, fill};
use crate::diagnostics::{Diagnostic, quoted};
use crate::options::{DeviceOption, DraftDevice, Once, VdevType, Words};
use crate::qnx;
use crate::source::{Span, Spanned};

impl Parser<'_> {
    pub(super) fn vdev(&mut self, at: Span) {
        self.context = Context::Refused;
        let Some(kind) = self.argument("vdev", at, "a type", "vdev trace") else {
            return;
        };
        let name = device_of_object(&kind.text);
        if let Some(vdev) = VdevType::named(name) {
            self.context = Context::Device(self.draft.devices.len());
            return self.draft.devices.push(DraftDevice {
                span: at.to(kind.span),
                vdev,
                loc: Once::default(),
                name: Once::default(),
                log: Vec::new(),
                emit_logger: Once::default(),
                emit_trace: Once::default(),
            });
        }
        self.found.push(match qnx::vdev(name) {
            Some(help) => {
                let error = kind.error(absent_title(name, "a device"));
                help.into_iter().fold(error, Diagnostic::help)
            }
            None => {
                let error = kind.error(format!("there is no device {}", quoted(&kind.text)));
                choices(error, &kind.text, VdevType::WORDS)
            }
        });
    }

    pub(super) fn device_option(&mut self, option: DeviceOption, at: Span) {
        let Context::Device(index) = self.context else {
            let title = format!("{} belongs to a device", quoted(option.word()));
            let error = Diagnostic::error(at, title).label("no `vdev` is described here");
            let error = match self.draft.devices.last() {
                Some(device) => error
                    .also(device.span, "the description of this one has ended")
                    .help("an option of the VM ends the description; move this in front of it"),
                None => error.help("for example: `vdev trace loc 0xfa000000`"),
            };
            return self.refuse(error);
        };
        let Some(device) = self.draft.devices.get(index) else {
            return;
        };
        if let Some(only) = option.only_of()
            && only != device.vdev
        {
            let (option, vdev) = (option.word(), device.vdev.word());
            let title = format!("`{option}` is an option of `vdev {}` only", only.word());
            let error =
                Diagnostic::error(at, title).also(device.span, format!("this is a `vdev {vdev}`"));
            return self.refuse(error);
        }
        self.option_of(index, option, at);
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
            DeviceOption::EmitLogger => {}
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

    fn loc(&mut self, index: usize, at: Span) -> Option<Spanned<u64>> {
        let vdev = self.draft.devices.get(index)?.vdev;
        let (own_space, example) = match vdev {
            VdevType::Trace | VdevType::Pl011 => ("mem", "loc 0xfa000000"),
            VdevType::Ser8250 => ("io", "loc io:0x3f8"),
        };
        let argument = self.argument("loc", at, "an address", example)?;
        let (space, address) = argument
            .text
            .split_once(':')
            .unwrap_or((own_space, &argument.text));
        let error = match space {
            "io" if own_space == "io" && !address.contains(',') => {
                return self
                    .number(&argument, address)
                    .map(|port| argument.with(port));
            }
            "mem" | "io" if own_space == "io" => argument
                .error(format!("`loc` of a `vdev {}` is an I/O port", vdev.word()))
                .help("give its first port: `loc io:0x3f8`"),
            "mem" if address.contains(',') => argument
                .error("`loc` of a device is an address and nothing else")
                .help("how long it is and who may access it follow from the device"),
            "mem" => {
                return self
                    .number(&argument, address)
                    .map(|address| argument.with(address));
            }
            "io" => argument
                .error(format!(
                    "a `vdev {}` is in memory, not in I/O space",
                    vdev.word()
                ))
                .label("`io:` is the I/O space of x86")
                .help("give a guest-physical address: `loc 0xfa000000` or `loc mem:0xfa000000`"),
            "pci" => argument
                .error("the devices here are in memory, not on a PCI bus")
                .help("give a guest-physical address: `loc 0xfa000000` or `loc mem:0xfa000000`"),
            other => {
                let error = argument.error(format!("there is no address space {}", quoted(other)));
                error.help("give a guest-physical address: `loc 0xfa000000`")
            }
        };
        self.refuse(error);
        None
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
