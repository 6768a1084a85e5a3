//! The command line: words `key=value` that the VM's configuration gives to the guest.
//!
//! Pure, and its errors name the key: they are the only way in which somebody who writes a
//! `vm.conf` learns what a program wants.

use thiserror::Error;

/// A mistake in the `cmdline` of the VM's configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CommandLineError<'a> {
    /// The bytes are not text.
    #[error("not UTF-8 after {valid_len_bytes} bytes")]
    NotText {
        /// How many bytes were good.
        valid_len_bytes: usize,
    },
    /// The program cannot do without this key.
    #[error("key {key}: missing")]
    Missing {
        /// The key.
        key: &'static str,
    },
    /// Neither a decimal nor a `0x` number of at most 64 bits.
    #[error("key {key}: `{value}` is not a number")]
    NotANumber {
        /// The key.
        key: &'static str,
        /// What stands after it.
        value: &'a str,
    },
    /// A number that the program cannot work with.
    #[error("key {key}: {value} ({value:#x}) is not {needs}")]
    Unusable {
        /// The key.
        key: &'static str,
        /// Its value.
        value: u64,
        /// What it should have been.
        needs: &'static str,
    },
    /// A word that the program does not know.
    #[error("key {key}: no such choice as `{value}`")]
    NoSuchChoice {
        /// The key.
        key: &'static str,
        /// What stands after it.
        value: &'a str,
    },
}

/// The command line's text.
#[derive(Debug, Clone, Copy)]
pub struct CommandLine<'a>(&'a str);

impl<'a> CommandLine<'a> {
    /// Takes the bytes that the VM gave.
    ///
    /// # Errors
    ///
    /// They are not UTF-8.
    pub fn new(bytes: &'a [u8]) -> Result<Self, CommandLineError<'a>> {
        match str::from_utf8(bytes) {
            Ok(text) => Ok(Self(text)),
            Err(error) => Err(CommandLineError::NotText {
                valid_len_bytes: error.valid_up_to(),
            }),
        }
    }

    /// The value of the last word `key=…`: the VMM appends, and what it says counts.
    pub fn value(&self, key: &str) -> Option<&'a str> {
        self.0
            .split_whitespace()
            .rev()
            .filter_map(|word| word.split_once('='))
            .find_map(|(name, value)| (name == key).then_some(value))
    }

    /// The number after `key`, decimal or with `0x`.
    ///
    /// # Errors
    ///
    /// The key is missing or its value is not a number.
    pub fn number(&self, key: &'static str) -> Result<u64, CommandLineError<'a>> {
        self.optional_number(key)?
            .ok_or(CommandLineError::Missing { key })
    }

    /// The number after `key`, if the key is there.
    ///
    /// # Errors
    ///
    /// Its value is not a number.
    pub fn optional_number(&self, key: &'static str) -> Result<Option<u64>, CommandLineError<'a>> {
        let Some(value) = self.value(key) else {
            return Ok(None);
        };
        match number(value) {
            Some(number) => Ok(Some(number)),
            None => Err(CommandLineError::NotANumber { key, value }),
        }
    }

    /// The I/O port after `key`, written `io:` and a number, if the key is there.
    ///
    /// # Errors
    ///
    /// Its value is not an I/O port.
    pub fn optional_port(&self, key: &'static str) -> Result<Option<u16>, CommandLineError<'a>> {
        let Some(value) = self.value(key) else {
            return Ok(None);
        };
        let port = value.strip_prefix("io:").and_then(number);
        match port.and_then(|port| u16::try_from(port).ok()) {
            Some(port) => Ok(Some(port)),
            None => Err(CommandLineError::NoSuchChoice { key, value }),
        }
    }

    /// What the word after `key` stands for among `choices`.
    ///
    /// # Errors
    ///
    /// The key is missing or its value is none of the choices.
    pub fn choice<T: Copy>(
        &self,
        key: &'static str,
        choices: &[(&str, T)],
    ) -> Result<T, CommandLineError<'a>> {
        let value = self.value(key).ok_or(CommandLineError::Missing { key })?;
        choices
            .iter()
            .find_map(|(name, meaning)| (*name == value).then_some(*meaning))
            .ok_or(CommandLineError::NoSuchChoice { key, value })
    }
}

/// Decimal or with `0x`.
fn number(text: &str) -> Option<u64> {
    let (digits, radix) = match text.strip_prefix("0x") {
        Some(digits) => (digits, 16),
        None => (text, 10),
    };
    // `from_str_radix` would take a sign.
    if !digits.starts_with(|first: char| first.is_digit(radix)) {
        return None;
    }
    u64::from_str_radix(digits, radix).ok()
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::string::ToString;

    use super::*;

    fn line(text: &str) -> CommandLine<'_> {
        CommandLine::new(text.as_bytes()).unwrap()
    }

    #[test]
    fn numbers_are_decimal_or_hexadecimal() {
        let line = line("trace=0xfa000000 n=1000000\tmax=0xffffffffffffffff\n");
        assert_eq!(line.number("trace"), Ok(0xfa00_0000));
        assert_eq!(line.number("n"), Ok(1_000_000));
        assert_eq!(line.number("max"), Ok(u64::MAX));
    }

    #[test]
    fn the_last_of_two_equal_keys_counts() {
        assert_eq!(line("hz=1 hz=62500000").number("hz"), Ok(62_500_000));
    }

    #[test]
    fn a_key_is_a_whole_word() {
        let line = line("poll_us=10 us=20 trace");
        assert_eq!(line.number("us"), Ok(20));
        assert_eq!(line.optional_number("poll"), Ok(None));
        assert_eq!(line.optional_number("trace"), Ok(None));
    }

    #[test]
    fn a_missing_key_is_named() {
        let error = line("").number("trace").unwrap_err();
        assert_eq!(error.to_string(), "key trace: missing");
    }

    #[test]
    fn what_is_not_a_number_is_shown() {
        for bad in ["", "0x", "-1", "+1", "0x+1", "1k", "18446744073709551616"] {
            let text = std::format!("n={bad}");
            let error = line(&text).number("n").unwrap_err();
            assert_eq!(
                error.to_string(),
                std::format!("key n: `{bad}` is not a number")
            );
        }
    }

    #[test]
    fn a_choice_is_one_of_the_names() {
        let ops = [("read", 1), ("write", 2)];
        assert_eq!(line("op=write").choice("op", &ops), Ok(2));
        let error = line("op=reed").choice("op", &ops).unwrap_err();
        assert_eq!(error.to_string(), "key op: no such choice as `reed`");
        let error = line("").choice("op", &ops).unwrap_err();
        assert_eq!(error.to_string(), "key op: missing");
    }

    #[test]
    fn bytes_that_are_no_text_are_refused() {
        let error = CommandLine::new(b"n=1 \xff").unwrap_err();
        assert_eq!(error, CommandLineError::NotText { valid_len_bytes: 4 });
    }

    #[test]
    fn a_port_says_that_it_is_one() {
        let port = |text: &'static str| CommandLine(text).optional_port("console");
        assert_eq!(port(""), Ok(None));
        assert_eq!(port("console=io:0x3f8"), Ok(Some(0x3f8)));
        for value in ["0x3f8", "io:0x10000", "io:", "io:-1"] {
            let text = std::format!("console={value}").leak();
            let error = CommandLine(text).optional_port("console");
            assert_eq!(
                error,
                Err(CommandLineError::NoSuchChoice {
                    key: "console",
                    value
                })
            );
        }
    }
}
