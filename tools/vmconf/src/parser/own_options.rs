//! The options that devices of one kind have besides those of all: what the types of `vdev_model::OptionType`
//! look like in a text.
//!
//! Invariant: what comes out is a value that the option's type can have.

use std::time::UNIX_EPOCH;

use humantime::TimestampError;
use vdev_model::{AnyVdev, OptionKind, OptionType};

use super::{Context, Parser, fill};
use crate::devices;
use crate::diagnostics::{Diagnostic, quoted};
use crate::source::{Span, Spanned};

impl Parser<'_> {
    /// The option of this name that the device which is described has besides those of all.
    pub(super) fn own_option(&self, name: &str) -> Option<(usize, &'static OptionKind)> {
        let Context::Device(index) = self.context else {
            return None;
        };
        let device = self.draft.devices.get(index)?;
        devices::own_option(device.vdev.kind(), name)
    }

    /// Reads that option, if it is one. `at` is its place.
    pub(super) fn device_s_own_option(&mut self, name: &str, at: Span) -> bool {
        let Some((place, option)) = self.own_option(name) else {
            return false;
        };
        let value = self.own_value(option, at);
        let Context::Device(index) = self.context else {
            return true;
        };
        let device = self.draft.devices.get_mut(index);
        if let Some(slot) = device.and_then(|device| device.own.get_mut(place)) {
            let repeated = fill(slot, at, value);
            self.report_repeated(option.name, at, repeated);
        }
        true
    }

    /// Refuses an option that only other devices have than the one that is described.
    pub(super) fn option_of_others(&mut self, name: &str, at: Span) -> bool {
        let others = devices::with_option(name);
        if others.is_empty() {
            return false;
        }
        let Context::Device(index) = self.context else {
            self.option_of_none(name, at);
            return true;
        };
        if let Some(device) = self.draft.devices.get(index) {
            let title = format!("`{name}` is an option of {} only", devices::listed(&others));
            let this = format!("this is a `vdev {}`", device.vdev.kind().name);
            let error = Diagnostic::error(at, title).also(device.span, this);
            self.refuse(error);
        }
        true
    }

    fn own_value(&mut self, option: &OptionKind, at: Span) -> Option<Spanned<u64>> {
        let what = match option.is {
            OptionType::Flag => {
                self.has_no_value(option.name);
                return Some(Spanned { value: 1, span: at });
            }
            OptionType::Number { least, most } => format!("a number, {least} to {most}"),
            OptionType::Time => "a time in UTC".to_owned(),
            OptionType::Text { most_bytes } => {
                format!("a word of 1 to {most_bytes} characters of printable ASCII")
            }
            OptionType::Interrupt { most } => format!("the number of an interrupt, 0 to {most}"),
        };
        let argument = self.argument(option.name, at, &what, option.example)?;
        let value = match option.is {
            OptionType::Time => time(&argument.text),
            OptionType::Text { .. } => Ok(text(&argument.text)),
            OptionType::Interrupt { .. } => {
                // QNX has the interrupt controller's name in front of it.
                let number = argument.text.rsplit(':').next().unwrap_or_default();
                Ok(Some(self.number(&argument, number)?))
            }
            OptionType::Flag | OptionType::Number { .. } => {
                Ok(Some(self.number(&argument, &argument.text)?))
            }
        };
        let why = match value {
            Ok(Some(value)) if option.is.can_be(value) => {
                return Some(argument.with(value));
            }
            Ok(_) => format!("it is {what}"),
            Err(why) => why.to_owned(),
        };
        let title = format!("`{}` cannot be {}", option.name, quoted(&argument.text));
        let help = format!("for example: `{}`", option.example);
        self.found.push(argument.error(title).label(why).help(help));
        None
    }
}

/// The seconds since 1970-01-01T00:00:00Z, if this is a time.
fn time(text: &str) -> Result<Option<u64>, &'static str> {
    const NO_SUCH: &str = "from 1970 on there is no such time";
    let time = match humantime::parse_rfc3339(text) {
        Ok(time) => time,
        Err(TimestampError::OutOfRange) => return Err(NO_SUCH),
        Err(_) => return Ok(None),
    };
    let since = time.duration_since(UNIX_EPOCH).map_err(|_| NO_SUCH)?;
    match since.subsec_nanos() {
        0 => Ok(Some(since.as_secs())),
        _ => Err("it has to be a whole second"),
    }
}

/// The characters as a number, the first in its lowest byte, if they are printable and not too many.
fn text(text: &str) -> Option<u64> {
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return None;
    }
    let mut bytes = [0; 8];
    let room = bytes.get_mut(..text.len())?;
    room.copy_from_slice(text.as_bytes());
    Some(u64::from_le_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostics::Diagnostics;
    use crate::lexer;
    use crate::source::Source;

    /// What `own` and its argument in `text` becomes, and the titles and labels of what is told.
    fn read(is: OptionType, text: &str) -> (Option<u64>, String) {
        let option = OptionKind {
            name: "own",
            is,
            example: "own example",
        };
        let mut found = Vec::new();
        let words = lexer::words(text, &mut found);
        let mut parser = Parser::new(&words, &mut found);
        let own = parser.next().unwrap();
        let value = parser.own_value(&option, own.span);
        let told = Diagnostics::new(Source::new("vm.conf", text), found).to_string();
        (value.map(|value| value.value), told)
    }

    #[track_caller]
    fn assert_refused(is: OptionType, text: &str, words: &[&str]) {
        let (value, told) = read(is, text);
        assert_eq!(value, None, "{text}");
        for word in words.iter().chain(&["error: "]) {
            assert!(told.contains(word), "{told}");
        }
    }

    #[test]
    fn a_flag_is_the_word_alone() {
        assert_eq!(read(OptionType::Flag, "own 5"), (Some(1), String::new()));
    }

    #[test]
    fn a_word_behind_a_flag_is_answered() {
        let mut found = Vec::new();
        let mut parser = Parser::new(&[], &mut found);
        let option = OptionKind {
            name: "own",
            is: OptionType::Flag,
            example: "own",
        };
        parser.own_value(&option, Span::new(0, 3));
        let help = parser.help_behind.take();
        parser.unknown_option("yes", Span::new(4, 7), help);
        let told = Diagnostics::new(Source::new("vm.conf", "own yes"), found).to_string();
        assert!(told.contains("`own` takes no value"), "{told}");
    }

    #[test]
    fn a_number_is_in_its_range() {
        let is = OptionType::Number { least: 2, most: 16 };
        assert_eq!(read(is, "own 2"), (Some(2), String::new()));
        assert_eq!(read(is, "own 0x10"), (Some(16), String::new()));
        for text in ["own 1", "own 17", "own 1K"] {
            let words = [
                "`own` cannot be `1",
                "it is a number, 2 to 16",
                "for example: `own example`",
            ];
            assert_refused(is, text, &words);
        }
        assert_refused(is, "own x", &["`x` is not a number"]);
        assert_refused(
            is,
            "own",
            &["`own` needs a number, 2 to 16", "`own example`"],
        );
    }

    #[test]
    fn a_time_is_whole_seconds_in_utc() {
        let time = |text: &str| read(OptionType::Time, &format!("own {text}"));
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2026-01-01T00:00:00Z", 1_767_225_600),
            ("2024-02-29T23:59:59Z", 1_709_251_199),
            ("2106-02-07T06:28:16Z", 1 << 32),
        ] {
            assert_eq!(time(text), (Some(seconds), String::new()));
        }
        let (format, no_such) = ("it is a time in UTC", "from 1970 on there is no such time");
        for (text, why) in [
            ("2026-01-01", format),
            ("2026-01-01T00:00:00", format),
            ("2026-01-01T00:00:00+01:00", format),
            ("now", format),
            ("\"2026-01-01 00:00:00\"", format),
            ("2026-02-29T00:00:00Z", no_such),
            ("2026-01-01T24:00:00Z", no_such),
            ("1969-12-31T23:59:59Z", no_such),
            ("2026-01-01T00:00:00.5Z", "it has to be a whole second"),
        ] {
            let words = ["`own` cannot be", why, "for example: `own example`"];
            assert_refused(OptionType::Time, &format!("own {text}"), &words);
        }
    }

    #[test]
    fn a_word_becomes_a_number_with_its_first_character_lowest() {
        let is = OptionType::Text { most_bytes: 3 };
        assert_eq!(read(is, "own a"), (Some(0x61), String::new()));
        assert_eq!(read(is, "own abc"), (Some(0x63_6261), String::new()));
        let whole = read(OptionType::Text { most_bytes: 8 }, "own 12345678");
        assert_eq!(whole.0, Some(u64::from_le_bytes(*b"12345678")));
        for text in [
            "own abcd",
            "own abcdefghi",
            "own \"\"",
            "own \"a b\"",
            "own \u{e9}",
            "own \"a\0\"",
        ] {
            let words = [
                "`own` cannot be",
                "it is a word of 1 to 3 characters of printable ASCII",
            ];
            assert_refused(is, text, &words);
        }
    }

    #[test]
    fn an_interrupt_is_a_number_with_or_without_its_controller() {
        let is = OptionType::Interrupt { most: 63 };
        for text in ["own 34", "own gic:34", "own myioapic:0x22"] {
            assert_eq!(read(is, text), (Some(34), String::new()));
        }
        assert_refused(
            is,
            "own gic:64",
            &["`own` cannot be `gic:64`", "an interrupt, 0 to 63"],
        );
        assert_refused(is, "own gic:", &["is not a number"]);
        assert_refused(is, "own gic", &["is not a number"]);
    }
}
