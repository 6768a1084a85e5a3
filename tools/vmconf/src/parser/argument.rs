//! An argument of an option, and where a part of it stands in the file, so that a mistake in it is
//! told at its place.

use super::Parser;
use crate::diagnostics::{Diagnostic, quoted};
use crate::number::{self, NumberError};
use crate::source::{Span, Spanned};

/// An argument after the variables in it were replaced.
pub(super) struct Argument {
    pub(super) text: String,
    pub(super) span: Span,
    /// The places of the variables' definitions.
    pub(super) from: Vec<Span>,
}

impl Argument {
    /// An error at this argument.
    pub(super) fn error(&self, title: impl Into<String>) -> Diagnostic {
        self.error_at(&self.text, title)
    }

    /// An error at `part`, which is a part of this argument's text. Where a variable brought
    /// the text, it shows its `set` too.
    pub(super) fn error_at(&self, part: &str, title: impl Into<String>) -> Diagnostic {
        let error = Diagnostic::error(self.place_of(part), title);
        let sets = self.from.iter();
        sets.fold(error, |error, &set| {
            error.also(set, "the variable is set here")
        })
    }

    /// Where `part` stands. Where the argument is not written as it reads, because of quotes
    /// or variables, it is the whole argument.
    pub(super) fn place_of(&self, part: &str) -> Span {
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

    pub(super) fn with<T>(&self, value: T) -> Spanned<T> {
        Spanned {
            value,
            span: self.span,
        }
    }
}

impl Parser<'_> {
    /// The next word as an argument of `option`, which stands at `at`. `None` if there is
    /// none, or if something is wrong with it; either has been reported.
    pub(super) fn argument(
        &mut self,
        option: &str,
        at: Span,
        what: &str,
        example: &str,
    ) -> Option<Argument> {
        let next = self.words.first();
        match next.filter(|word| word.bare().is_none_or(|name| !self.is_option(name))) {
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

    pub(super) fn number(&mut self, argument: &Argument, text: &str) -> Option<u64> {
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
}
