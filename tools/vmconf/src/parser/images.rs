//! What the guest's RAM gets: `load`, and what may stand in front of it, `initrd` and `fdt`.
//!
//! `fdt make` is no word of QNX's: there every guest is given a device tree, and here most have no use for one.

use super::argument::Argument;
use super::{Parser, fill};
use crate::diagnostics::{Diagnostic, quoted};
use crate::number::{self, NumberError};
use crate::source::{Span, Spanned};
use crate::vm::{Content, Load};

impl Parser<'_> {
    pub(super) fn load(&mut self, content: Content, at: Span) {
        let (option, what, example) = match content {
            Content::Image => {
                self.draft.load_at.get_or_insert(at);
                ("load", "the name of an image", "load guest")
            }
            Content::Initrd => ("initrd load", "the name of a file", INITRD),
            Content::DeviceTree => ("fdt load", "the name of a file", FDT),
        };
        let Some(argument) = self.argument(option, at, what, example) else {
            return;
        };
        let (address, name) = match argument.text.split_once(',') {
            None => (None, argument.text.as_str()),
            Some((address, name)) => match self.address(&argument, address) {
                Some(address) => (Some(address), name),
                None => return,
            },
        };
        let name = name.to_owned();
        self.draft.loads.push(argument.with(Load {
            content,
            address,
            name,
        }));
    }

    fn address(&mut self, argument: &Argument, text: &str) -> Option<u64> {
        let why = match number::parse(text) {
            Ok(address) => return Some(address),
            Err(NumberError::TooLarge) => "numbers have at most 64 bits".into(),
            Err(NumberError::Malformed(why)) => why,
        };
        let title = format!("{} is not an address", quoted(text));
        let error = argument.error_at(text, title).label(why);
        self.refuse(
            error.help("a comma stands between an address and a file: `load 0x40100000,my.bin`"),
        );
        None
    }

    pub(super) fn initrd(&mut self, at: Span) {
        match self.word_behind("load", at) {
            Some(at) => {
                let value = Some(Spanned {
                    value: (),
                    span: at,
                });
                let first = fill(&mut self.draft.initrd, at, value);
                self.once_loaded("initrd load", Content::Initrd, at, first);
            }
            None => self.stands_alone("initrd", "`load`", at, INITRD),
        }
    }

    pub(super) fn fdt(&mut self, at: Span) {
        let (load, make) = (self.word_behind("load", at), self.word_behind("make", at));
        let Some(at) = load.or(make) else {
            return self.stands_alone("fdt", "`load` or `make`", at, FDT);
        };
        let value = Some(Spanned {
            value: (),
            span: at,
        });
        let first = fill(&mut self.draft.fdt, at, value);
        if load.is_some() {
            return self.once_loaded("fdt load", Content::DeviceTree, at, first);
        }
        let made = self.made_device_tree(at);
        self.report_repeated("fdt", at, first);
        if first.is_none() {
            self.draft.made_device_tree = made;
        }
    }

    /// What follows is read; it counts unless there was one, at `first`.
    fn once_loaded(&mut self, option: &str, content: Content, at: Span, first: Option<Span>) {
        let loads = self.draft.loads.len();
        self.load(content, at);
        self.report_repeated(option, at, first);
        if first.is_some() {
            self.draft.loads.truncate(loads);
        }
    }

    /// `fdt make`, at `at`, and the address behind it, if there is one.
    fn made_device_tree(&mut self, at: Span) -> Option<Spanned<Option<u64>>> {
        let next = self.words.first();
        let is_address = next.is_some_and(|word| {
            word.bare()
                .is_none_or(|text| text.starts_with(|first: char| first.is_ascii_digit()))
        });
        if !is_address {
            return Some(Spanned {
                value: None,
                span: at,
            });
        }
        let argument = self.argument("fdt make", at, "an address", "fdt make 0x40000000")?;
        let address = self.number(&argument, &argument.text)?;
        Some(argument.with(Some(address)))
    }

    /// Takes `word` if it is the next one; gives where the option that began at `at` stands now.
    fn word_behind(&mut self, word: &str, at: Span) -> Option<Span> {
        let next = self.words.first()?;
        (next.bare() == Some(word)).then(|| {
            self.next();
            at.to(next.span)
        })
    }

    fn stands_alone(&mut self, option: &str, words: &str, at: Span, example: &str) {
        let error = Diagnostic::error(at, format!("`{option}` stands in front of {words}"));
        self.refuse(error.help(format!("for example: `{example}`")));
    }
}

const INITRD: &str = "initrd load initrd.cpio";
const FDT: &str = "fdt load my.dtb";
