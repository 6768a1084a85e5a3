//! The options of the VM that are more than one text: `cpu`, `ram`, `rom`, `unsupported`, `logger`.
//!
//! A device's `log` has the words of `logger`, and is read here too.

use vm_config::{RamRange, RomRange, SeverityMask};

use super::only_qnx::absent_title;
use super::{Context, Parser, choices, fill};
use crate::diagnostics::{Diagnostic, quoted};
use crate::options::{ActionWord, Destination, LogRule, SEVERITIES, UnsupportedKind, Words};
use crate::source::{Span, Spanned};

impl Parser<'_> {
    pub(super) fn cpu(&mut self, at: Span) {
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

    pub(super) fn ram(&mut self, at: Span) {
        self.draft.ram_at.get_or_insert(at);
        if let Some(range) = self.range("ram", at, "ram 0x40000000,2M") {
            let (base, len_bytes) = range.value;
            let value = RamRange { base, len_bytes };
            let span = range.span;
            self.draft.ram.push(Spanned { value, span });
        }
    }

    pub(super) fn rom(&mut self, at: Span) {
        if let Some(range) = self.range("rom", at, "rom 0x4000000,256K") {
            let (base, len_bytes) = range.value;
            let value = RomRange { base, len_bytes };
            let span = range.span;
            self.draft.rom.push(Spanned { value, span });
        }
    }

    /// `BASE,LENGTH`, after `option`.
    fn range(&mut self, option: &str, at: Span, example: &str) -> Option<Spanned<(u64, u64)>> {
        let argument = self.argument(option, at, "a base and a length", example)?;
        let parts: Vec<&str> = argument.text.split(',').collect();
        let (base, len) = match parts.as_slice() {
            [base, len] if !base.is_empty() && !len.is_empty() => (*base, *len),
            [_] => {
                let title = format!("`{option}` needs the base as well as the length");
                let error = argument.error(title).label("one number").help(format!(
                    "QNX would choose the base; here it is given: `{example}`"
                ));
                self.refuse(error);
                return None;
            }
            _ => {
                let title = format!("`{option}` needs a base and a length");
                let error = argument
                    .error(title)
                    .label("two numbers, a comma between them, no blank")
                    .help(format!("for example: `{example}`"));
                self.refuse(error);
                return None;
            }
        };
        let range = (self.number(&argument, base), self.number(&argument, len));
        match range {
            (Some(base), Some(len_bytes)) => Some(argument.with((base, len_bytes))),
            _ => None,
        }
    }

    pub(super) fn unsupported(&mut self, at: Span) {
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

    /// `SEVERITY,… DESTINATION`, after `logger` or `log`.
    pub(super) fn log_rule(&mut self, option: &str, at: Span) -> Option<LogRule> {
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
}
