//! From words to options with their arguments. Called by `analyse` after the lexer; what it
//! makes is still a [`Draft`], whose parts have not been held against each other.
//!
//! Invariant: every word is looked at once, from left to right, and each mistake is reported
//! once: after one, the words up to the next option are passed over, of what is refused as a whole
//! all that belongs to it, and what only QNX has is told at its first place with the others.
//!
//! Options of the VM stand anywhere. Options of a device belong to the `vdev` before them;
//! any option of the VM except `set` ends that device's description.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use vm_config::{RamRange, SeverityMask, TraceNumber};

use crate::diagnostics::{Diagnostic, nearest, quoted};
use crate::lexer::{self, Piece, Word};
use crate::number::{self, NumberError};
use crate::options::{
    ActionWord, Destination, DeviceOption, Draft, DraftDevice, LogRule, Once, SEVERITIES,
    UnsupportedKind, VdevType, VmOption, Words,
};
use crate::qnx::{self, Harm};
use crate::source::{Span, Spanned};

/// More than that no argument needs: the longest text of a VM has 1023 characters.
const MAX_ARGUMENT_BYTES: usize = 4096;

/// What the words say; what is wrong is added to `found`.
pub(crate) fn parse(words: &[Word], found: &mut Vec<Diagnostic>) -> Draft {
    let mut parser = Parser {
        words,
        variables: BTreeMap::new(),
        context: Context::Vm,
        after_cmdline: false,
        absent: BTreeMap::new(),
        second_cpu: None,
        draft: Draft::default(),
        found,
    };
    while let Some(word) = parser.next() {
        parser.option(word);
    }
    // A variable that was misspelt where it was to be used is one mistake.
    if crate::is_compilable(parser.found) {
        parser.unused_variables();
    }
    parser.draft
}

/// What the next option of a device belongs to.
#[derive(Clone, Copy)]
enum Context {
    /// No device.
    Vm,
    /// The device with this index in the draft.
    Device(usize),
    /// Something that was refused as a whole: its options are passed over.
    Refused,
}

/// What a `set` says of a name; without a value if that was wrong.
struct Variable {
    set: Span,
    value: Option<String>,
    is_used: bool,
}

/// An argument after the variables in it were replaced.
struct Argument {
    text: String,
    span: Span,
    /// The places of the variables' definitions.
    from: Vec<Span>,
}

impl Argument {
    /// An error at this argument.
    fn error(&self, title: impl Into<String>) -> Diagnostic {
        self.error_at(&self.text, title)
    }

    /// An error at `part`, which is a part of this argument's text. Where a variable brought
    /// the text, it shows its `set` too.
    fn error_at(&self, part: &str, title: impl Into<String>) -> Diagnostic {
        let error = Diagnostic::error(self.place_of(part), title);
        let sets = self.from.iter();
        sets.fold(error, |error, &set| {
            error.also(set, "the variable is set here")
        })
    }

    /// Where `part` stands. Where the argument is not written as it reads, because of quotes
    /// or variables, it is the whole argument.
    fn place_of(&self, part: &str) -> Span {
        let offset = (part.as_ptr().addr()).checked_sub(self.text.as_ptr().addr());
        let as_written = self.from.is_empty() && self.text.len() == self.span.end - self.span.start;
        match offset {
            Some(offset) if as_written && offset + part.len() <= self.text.len() => {
                let start = self.span.start + offset;
                Span::new(start, start + part.len())
            }
            _ => self.span,
        }
    }

    fn with<T>(&self, value: T) -> Spanned<T> {
        Spanned {
            value,
            span: self.span,
        }
    }
}

struct Parser<'a> {
    words: &'a [Word],
    variables: BTreeMap<String, Variable>,
    context: Context,
    /// The option before this was a `cmdline`.
    after_cmdline: bool,
    /// Where in `found` each name that only QNX has was told.
    absent: BTreeMap<&'static str, usize>,
    /// Where in `found` it was told that a VM has one vCPU.
    second_cpu: Option<usize>,
    draft: Draft,
    found: &'a mut Vec<Diagnostic>,
}

impl<'a> Parser<'a> {
    fn next(&mut self) -> Option<&'a Word> {
        let (word, rest) = self.words.split_first()?;
        self.words = rest;
        Some(word)
    }

    fn option(&mut self, word: &'a Word) {
        let after_cmdline = std::mem::take(&mut self.after_cmdline);
        if word.broken {
            return self.skip_arguments();
        }
        let Some(name) = word.bare() else {
            if !matches!(self.context, Context::Refused) {
                self.found.push(
                    Diagnostic::error(word.span, "an option was expected here")
                        .label("this is not the name of an option"),
                );
            }
            return self.skip_arguments();
        };
        if let Some(option) = VmOption::named(name) {
            if option != VmOption::Set {
                self.context = Context::Vm;
            }
            self.vm_option(option, word.span);
        } else if let Context::Refused = self.context {
            self.refused_vm_option(name, word.span);
        } else if let Some(option) = DeviceOption::named(name) {
            self.device_option(option, word.span);
        } else if !self.refused_vm_option(name, word.span) && !self.refused_detail(name, word.span)
        {
            self.unknown_option(name, word.span, after_cmdline);
        }
    }

    fn vm_option(&mut self, option: VmOption, at: Span) {
        match option {
            VmOption::System => {
                let name = self.argument(option.word(), at, "a name", "system demo");
                self.once(option.word(), at, name, |draft| &mut draft.system);
            }
            VmOption::Cpu => self.cpu(at),
            VmOption::Ram => self.ram(at),
            VmOption::Load => {
                let name = self.argument(option.word(), at, "the name of an image", "load guest");
                self.once(option.word(), at, name, |draft| &mut draft.load);
            }
            VmOption::Cmdline => {
                let what = "the guest's command line";
                let text = self.argument(option.word(), at, what, "cmdline \"console=none\"");
                self.once(option.word(), at, text, |draft| &mut draft.cmdline);
                self.after_cmdline = true;
            }
            VmOption::Logger => {
                if let Some(rule) = self.log_rule(option.word(), at) {
                    self.draft.logger.push(rule);
                }
            }
            VmOption::Set => self.set(at),
            VmOption::Unsupported => self.unsupported(at),
            VmOption::Vdev => self.vdev(at),
        }
    }

    /// Stores a text that may be given once. `argument` is `None` if it is missing or wrong.
    fn once(
        &mut self,
        option: &str,
        at: Span,
        argument: Option<Argument>,
        slot: impl FnOnce(&mut Draft) -> &mut Once<String>,
    ) {
        let value = argument.map(|argument| Spanned {
            value: argument.text,
            span: argument.span,
        });
        let repeated = fill(slot(&mut self.draft), at, value);
        self.report_repeated(option, at, repeated);
    }

    fn report_repeated(&mut self, option: &str, at: Span, first: Option<Span>) {
        if let Some(first) = first {
            self.found.push(
                Diagnostic::error(at, format!("{} is given twice", quoted(option)))
                    .label("again here")
                    .also(first, "first given here"),
            );
        }
    }

    fn cpu(&mut self, at: Span) {
        let value = Some(Spanned {
            value: (),
            span: at,
        });
        let Some(first) = fill(&mut self.draft.cpu, at, value) else {
            return;
        };
        // What is said of it goes with it.
        self.context = Context::Refused;
        if let Some(told) = self.second_cpu.and_then(|index| self.found.get_mut(index)) {
            return told.repeat(at);
        }
        self.second_cpu = Some(self.found.len());
        self.found.push(
            Diagnostic::error(at, "a VM has one vCPU")
                .label("a second `cpu`")
                .also(first, "the first one")
                .help("remove this `cpu`; a second VM needs a configuration of its own"),
        );
    }

    fn ram(&mut self, at: Span) {
        self.draft.ram_at.get_or_insert(at);
        let example = "ram 0x40000000,2M";
        let Some(argument) = self.argument("ram", at, "a base and a length", example) else {
            return;
        };
        let parts: Vec<&str> = argument.text.split(',').collect();
        let (base, len) = match parts.as_slice() {
            [base, len] if !base.is_empty() && !len.is_empty() => (*base, *len),
            [_] => {
                let error = argument
                    .error("`ram` needs the base as well as the length")
                    .label("one number")
                    .help(format!(
                        "QNX would choose the base; here it is given: `{example}`"
                    ));
                return self.refuse(error);
            }
            _ => {
                let error = argument
                    .error("`ram` needs a base and a length")
                    .label("two numbers, a comma between them, no blank")
                    .help(format!("for example: `{example}`"));
                return self.refuse(error);
            }
        };
        let range = (self.number(&argument, base), self.number(&argument, len));
        if let (Some(base), Some(len_bytes)) = range {
            self.draft
                .ram
                .push(argument.with(RamRange { base, len_bytes }));
        }
    }

    fn set(&mut self, at: Span) {
        let Some(name) = self.argument("set", at, "a variable and its value", "set loc 0xfa000000")
        else {
            return;
        };
        let value = self.argument("set", at.to(name.span), "a value", "set loc 0xfa000000");
        if let Some(absent) = qnx::find(qnx::VARIABLES, &name.text) {
            let help = "`set` here gives a name to a value, for use as `$name`";
            return self.absent(absent, name.span, "a configuration variable", Some(help));
        }
        if !lexer::is_variable_name(&name.text) {
            let title = format!("{} cannot be the name of a variable", quoted(&name.text));
            let help = "a name has letters, digits, `_` and `-`, and begins with a letter";
            return self.found.push(name.error(title).help(help));
        }
        match self.variables.entry(name.text.clone()) {
            Entry::Occupied(first) => {
                let title = format!("the variable {} is set twice", quoted(&name.text));
                let error = name.error(title).label("again here");
                self.found.push(error.also(first.get().set, "first here"));
            }
            Entry::Vacant(vacant) => {
                let value = value.map(|value| value.text);
                vacant.insert(Variable {
                    set: name.span,
                    value,
                    is_used: false,
                });
            }
        }
    }

    fn unsupported(&mut self, at: Span) {
        let example = "unsupported reference fail";
        let Some(kind) = self.argument("unsupported", at, "a kind and an action", example) else {
            return;
        };
        let Some(known) = UnsupportedKind::named(&kind.text) else {
            let error = kind.error(format!(
                "{} is not a kind of unsupported",
                quoted(&kind.text)
            ));
            return self.refuse(choices(error, &kind.text, UnsupportedKind::WORDS));
        };
        let option = format!("unsupported {}", known.word());
        let action = self.argument(&option, at.to(kind.span), "an action", example);
        let value = action.and_then(|action| {
            let known = ActionWord::named(&action.text).map(|word| action.with(word.into()));
            if known.is_none() {
                let error = action.error(format!("{} is not an action", quoted(&action.text)));
                self.refuse(choices(error, &action.text, ActionWord::WORDS));
            }
            known
        });
        let at = at.to(kind.span);
        let repeated = match known {
            UnsupportedKind::Instruction => fill(&mut self.draft.instruction, at, value),
            UnsupportedKind::Reference => fill(&mut self.draft.reference, at, value),
            UnsupportedKind::Register => fill(&mut self.draft.register, at, value),
        };
        self.report_repeated(&option, at, repeated);
    }

    fn vdev(&mut self, at: Span) {
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

    fn device_option(&mut self, option: DeviceOption, at: Span) {
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

    /// `SEVERITY,… DESTINATION`, after `logger` or `log`.
    fn log_rule(&mut self, option: &str, at: Span) -> Option<LogRule> {
        let example = format!("{option} info,warn,error stdout");
        let what = "severities and a destination";
        let list = self.argument(option, at, what, &example)?;
        let mut severities = Some(SeverityMask::empty());
        for name in list.text.split(',') {
            let known = SEVERITIES.iter().find(|severity| severity.0 == name);
            severities = severities.zip(known).map(|(all, &(_, one))| all | one);
            if known.is_some() {
                continue;
            }
            if name.is_empty() {
                let error = list
                    .error("a severity is missing")
                    .label("commas stand between severities, without blanks");
                self.refuse(error.help(format!("for example: `{example}`")));
                return None;
            }
            let error = list.error_at(name, format!("{} is not a severity", quoted(name)));
            let names: Vec<&str> = SEVERITIES.iter().map(|severity| severity.0).collect();
            self.found.push(choices(error, name, &names));
        }
        let place = at.to(list.span);
        let destination = self.argument(option, place, "a destination", &example)?;
        let Some(known) = Destination::named(&destination.text) else {
            let error = match destination.text.as_str() {
                "slog" => destination
                    .error(absent_title("slog", "a destination"))
                    .help("`stdout` and `stderr` are both the system's console"),
                text => {
                    let error = destination.error(format!("{} is not a destination", quoted(text)));
                    choices(error, text, Destination::WORDS)
                }
            };
            self.refuse(error);
            return None;
        };
        severities.map(|severities| LogRule {
            severities,
            destination: known,
        })
    }

    fn number(&mut self, argument: &Argument, text: &str) -> Option<u64> {
        let error = match number::parse(text) {
            Ok(number) => return Some(number),
            Err(NumberError::TooLarge) => argument
                .error_at(text, format!("{} is too large", quoted(text)))
                .label("numbers have at most 64 bits"),
            Err(NumberError::Malformed(why)) => argument
                .error_at(text, format!("{} is not a number", quoted(text)))
                .label(why)
                .help("numbers are decimal, or hexadecimal with `0x`, and may end in K, M or G"),
        };
        self.refuse(error);
        None
    }

    /// The next word as an argument of `option`, which stands at `at`. `None` if there is
    /// none, or if something is wrong with it; either has been reported.
    fn argument(&mut self, option: &str, at: Span, what: &str, example: &str) -> Option<Argument> {
        let next = self.words.first();
        match next.filter(|word| word.bare().is_none_or(|name| !is_option(name))) {
            Some(word) => {
                self.next();
                let argument = self.expand(word);
                if argument.is_none() {
                    self.skip_arguments();
                }
                argument
            }
            None => {
                let title = format!("`{option}` needs {what}");
                let mut error = Diagnostic::error(at, title).label(match next {
                    Some(word) => format!(
                        "the next word, {}, is an option",
                        quoted(word.bare().unwrap_or_default())
                    ),
                    None => "the file ends here".to_owned(),
                });
                error = error.help(format!("for example: `{example}`"));
                self.found.push(error);
                None
            }
        }
    }

    /// The text of `word` with variables replaced; `None` if it is broken or a variable has
    /// no value.
    fn expand(&mut self, word: &Word) -> Option<Argument> {
        let mut argument = Argument {
            text: String::new(),
            span: word.span,
            from: Vec::new(),
        };
        let mut complete = !word.broken && word.substitutions.is_empty();
        self.found.extend_from_slice(&word.substitutions);
        for piece in &word.pieces {
            let (name, at) = match piece {
                Piece::Text(text) => {
                    argument.text.push_str(text);
                    continue;
                }
                Piece::Variable(name, at) => (name, *at),
            };
            let Some(variable) = self.variables.get_mut(name) else {
                complete = false;
                self.undefined(name, at);
                continue;
            };
            variable.is_used = true;
            match &variable.value {
                Some(value) => {
                    argument.from.push(variable.set);
                    argument.text.push_str(value);
                }
                // Its `set` was wrong, which was reported there.
                None => complete = false,
            }
            // Each variable may hold two of the one before it.
            if argument.text.len() > MAX_ARGUMENT_BYTES {
                break;
            }
        }
        if argument.text.len() > MAX_ARGUMENT_BYTES {
            complete = false;
            let error = Diagnostic::error(word.span, "this is too long");
            self.found.push(error.label(format!(
                "more than {MAX_ARGUMENT_BYTES} characters, when the variables in it are replaced"
            )));
        }
        complete.then_some(argument)
    }

    /// QNX's `set` knows only its own variables; what nobody here uses may have been meant for one.
    fn unused_variables(&mut self) {
        let unused = self.variables.iter().filter(|(_, it)| !it.is_used);
        self.found.extend(unused.map(|(name, variable)| {
            let title = format!("nothing uses the variable {}", quoted(name));
            Diagnostic::warning(variable.set, title)
                .label(format!("no `${name}` comes after this"))
                .help("`set` here gives a name to a value; it configures nothing by itself")
        }));
    }

    fn undefined(&mut self, name: &str, at: Span) {
        let error = Diagnostic::error(at, format!("the variable {} has no value", quoted(name)));
        let known = self.variables.keys().map(String::as_str);
        self.found.push(match nearest(name, known) {
            Some(near) => error.help(format!("did you mean `${near}`?")),
            None => error.help(format!("give it one in front of this: `set {name} VALUE`")),
        });
    }

    /// Reports an error after which nothing is known about the words that follow.
    fn refuse(&mut self, error: Diagnostic) {
        self.found.push(error);
        self.skip_arguments();
    }

    /// Passes over the words up to the next one that is, or was meant to be, an option.
    fn skip_arguments(&mut self) {
        while let Some(word) = self.words.first() {
            if word
                .bare()
                .is_some_and(|name| is_option(name) || is_foreign(name) || is_slip(name))
            {
                return;
            }
            self.next();
        }
    }

    /// Refuses an option of the VM that only QNX has. In [`Context::Refused`] other words may
    /// come here, and are passed over.
    fn refused_vm_option(&mut self, name: &str, at: Span) -> bool {
        let blob_type = qnx::find(qnx::BLOB_TYPES, name);
        let Some(absent) = qnx::find(qnx::VM_OPTIONS, name).or(blob_type) else {
            return false;
        };
        let mut place = at;
        if blob_type.is_some()
            && let Some(word) = self.words.first()
            && let Some("load" | "pass") = word.bare()
        {
            place = at.to(word.span);
            self.next();
        }
        self.absent(absent, place, "an option", None);
        self.context = Context::Refused;
        true
    }

    /// Refuses an option of a vCPU or a device that only QNX has, or passes over it where it makes
    /// no difference.
    fn refused_detail(&mut self, name: &str, at: Span) -> bool {
        let is_serial_port = |index: usize| {
            let device = self.draft.devices.get(index);
            device.is_some_and(|device| device.vdev != VdevType::Trace)
        };
        let lists = match self.context {
            Context::Device(index) if is_serial_port(index) => [
                qnx::SERIAL_PORT_OPTIONS,
                qnx::VDEV_OPTIONS,
                qnx::CPU_OPTIONS,
            ],
            Context::Device(_) => [
                qnx::VDEV_OPTIONS,
                qnx::SERIAL_PORT_OPTIONS_ELSEWHERE,
                qnx::CPU_OPTIONS,
            ],
            Context::Vm | Context::Refused => [
                qnx::CPU_OPTIONS,
                qnx::VDEV_OPTIONS,
                qnx::SERIAL_PORT_OPTIONS_ELSEWHERE,
            ],
        };
        let absent = lists.into_iter().find_map(|list| qnx::find(list, name));
        if let Some(absent) = absent {
            self.absent(absent, at, "an option", None);
            self.skip_arguments();
        }
        absent.is_some()
    }

    /// Tells of a name that only QNX has: an error, or a warning where a guest cannot notice that
    /// it is missing. Once for each name.
    fn absent(
        &mut self,
        absent: &'static qnx::Absent,
        at: Span,
        what: &str,
        help: Option<&'static str>,
    ) {
        let told = self.absent.get(absent.name);
        if let Some(told) = told.and_then(|index| self.found.get_mut(*index)) {
            return told.repeat(at);
        }
        self.absent.insert(absent.name, self.found.len());
        let title = absent_title(absent.name, what);
        let diagnostic = match absent.harm {
            Harm::Some => Diagnostic::error(at, title),
            Harm::None => Diagnostic::warning(at, title).label("passed over"),
        };
        let helps = absent.help.or(help);
        self.found
            .push(helps.into_iter().fold(diagnostic, Diagnostic::help));
    }

    fn unknown_option(&mut self, name: &str, at: Span, after_cmdline: bool) {
        let error = Diagnostic::error(at, format!("there is no option {}", quoted(name)));
        let mut known = VmOption::WORDS.to_vec();
        if let Context::Device(_) = self.context {
            known.extend_from_slice(DeviceOption::WORDS);
        }
        self.refuse(match nearest(name, known) {
            Some(near) => error.help(format!("did you mean `{near}`?")),
            None if after_cmdline => {
                error.help("a command line of several words needs quotes: `cmdline \"a b c\"`")
            }
            None => error,
        });
    }
}

/// Stores the first value; the place of that one if this is not the first.
fn fill<T>(slot: &mut Once<T>, at: Span, value: Option<Spanned<T>>) -> Option<Span> {
    if slot.at.is_none() {
        *slot = Once {
            at: Some(at),
            value,
        };
        return None;
    }
    slot.at
}

fn is_option(name: &str) -> bool {
    VmOption::named(name).is_some() || DeviceOption::named(name).is_some()
}

fn is_foreign(name: &str) -> bool {
    let lists = [
        qnx::VM_OPTIONS,
        qnx::BLOB_TYPES,
        qnx::CPU_OPTIONS,
        qnx::VDEV_OPTIONS,
        qnx::SERIAL_PORT_OPTIONS,
    ];
    lists
        .into_iter()
        .any(|list| qnx::find(list, name).is_some())
}

/// Long enough and close enough to be an option with a slip of the finger in it.
fn is_slip(name: &str) -> bool {
    let options = VmOption::WORDS.iter().chain(DeviceOption::WORDS);
    name.len() >= 5 && nearest(name, options.copied()).is_some()
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

fn absent_title(name: &str, what: &str) -> String {
    format!(
        "{} is {what} of the QNX hypervisor that this project does not have",
        quoted(name)
    )
}

/// Adds the one that was meant, or all there are.
fn choices(error: Diagnostic, word: &str, known: &[&str]) -> Diagnostic {
    match nearest(word, known.iter().copied()) {
        Some(near) => error.help(format!("did you mean `{near}`?")),
        None => {
            let list: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
            error.help(format!("there is {}", list.join(", ")))
        }
    }
}
