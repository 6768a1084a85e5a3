//! From words to options with their arguments. Called by `analyse` after the lexer; what it
//! makes is still a [`Draft`], whose parts have not been held against each other.
//!
//! Invariant: every word is looked at once, from left to right, and each mistake is reported
//! once: after one, the words up to the next option are passed over, of what is refused as a whole
//! all that belongs to it, and what only QNX has is told at its first place with the others.
//!
//! Options of the VM stand anywhere. Options of a device belong to the `vdev` before them;
//! any option of the VM except `set` ends that device's description.

mod argument;
mod devices;
mod images;
mod only_qnx;
mod own_options;
pub(crate) mod variables;
mod vm_options;

use std::collections::BTreeMap;

use vdev_model::AnyVdev;

use crate::diagnostics::{Diagnostic, nearest, quoted};
use crate::lexer::Word;
use crate::options::{DeviceOption, Draft, Once, VmOption, Words};
use crate::source::{Span, Spanned};
use crate::vm::Content;
use argument::Argument;
use only_qnx::is_foreign;
use variables::Variable;

/// What the words say; what is wrong is added to `found`.
pub(crate) fn parse(words: &[Word], found: &mut Vec<Diagnostic>) -> Draft {
    let mut parser = Parser::new(words, found);
    while let Some(word) = parser.next() {
        parser.option(word);
    }
    // The order of `Vm::loads`.
    parser.draft.loads.sort_by_key(|load| load.value.content);
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

struct Parser<'a> {
    words: &'a [Word],
    variables: BTreeMap<String, Variable>,
    context: Context,
    /// What to say to whoever has a word behind the option before this that is none.
    help_behind: Option<String>,
    /// Where in `found` is what is told once with all its places: by its name, what only QNX has.
    told: BTreeMap<&'static str, usize>,
    /// Where in `found` it was told that a VM has one vCPU.
    second_cpu: Option<usize>,
    draft: Draft,
    found: &'a mut Vec<Diagnostic>,
}

impl<'a> Parser<'a> {
    fn new(words: &'a [Word], found: &'a mut Vec<Diagnostic>) -> Self {
        Self {
            words,
            variables: BTreeMap::new(),
            context: Context::Vm,
            help_behind: None,
            told: BTreeMap::new(),
            second_cpu: None,
            draft: Draft::default(),
            found,
        }
    }

    fn next(&mut self) -> Option<&'a Word> {
        let (word, rest) = self.words.split_first()?;
        self.words = rest;
        Some(word)
    }

    fn option(&mut self, word: &'a Word) {
        let help = self.help_behind.take();
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
        } else if !self.device_s_own_option(name, word.span)
            && !self.refused_vm_option(name, word.span)
            && !self.refused_detail(name, word.span)
            && !self.option_of_others(name, word.span)
        {
            self.unknown_option(name, word.span, help);
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
            VmOption::Rom => self.rom(at),
            VmOption::Load => self.load(Content::Image, at),
            VmOption::Initrd => self.initrd(at),
            VmOption::Fdt => self.fdt(at),
            VmOption::Cmdline => {
                let what = "the guest's command line";
                let text = self.argument(option.word(), at, what, "cmdline \"console=none\"");
                self.once(option.word(), at, text, |draft| &mut draft.cmdline);
                let help = "a command line of several words needs quotes: `cmdline \"a b c\"`";
                self.help_behind = Some(help.to_owned());
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

    /// That `flag`, which has been read, is all of the option.
    fn has_no_value(&mut self, flag: &str) {
        self.help_behind = Some(format!("`{flag}` takes no value"));
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
                .is_some_and(|name| self.is_option(name) || is_foreign(name) || self.is_slip(name))
            {
                return;
            }
            self.next();
        }
    }

    fn is_option(&self, name: &str) -> bool {
        VmOption::named(name).is_some()
            || DeviceOption::named(name).is_some()
            || self.own_option(name).is_some()
    }

    /// Long enough and close enough to be an option with a slip of the finger in it.
    fn is_slip(&self, name: &str) -> bool {
        name.len() >= 5 && nearest(name, self.known()).is_some()
    }

    /// The options of the VM and of devices, with those of the device that is described.
    fn known(&self) -> Vec<&'static str> {
        let mut known = [VmOption::WORDS, DeviceOption::WORDS].concat();
        if let Context::Device(index) = self.context
            && let Some(device) = self.draft.devices.get(index)
        {
            known.extend(device.vdev.kind().options.iter().map(|option| option.name));
        }
        known
    }

    fn unknown_option(&mut self, name: &str, at: Span, help: Option<String>) {
        let error = Diagnostic::error(at, format!("there is no option {}", quoted(name)));
        let known = match self.context {
            Context::Device(_) => self.known(),
            Context::Vm | Context::Refused => VmOption::WORDS.to_vec(),
        };
        self.refuse(match nearest(name, known) {
            Some(near) => error.help(format!("did you mean `{near}`?")),
            None => help.into_iter().fold(error, Diagnostic::help),
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
