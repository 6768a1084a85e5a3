//! Text of others, fit for a person's eyes.
//!
//! A guest chooses its symbols and its source files' names, and somebody else a file's: with an
//! escape one of them repaints the terminal, with a bidirectional mark it reads as what it is
//! not, with a megabyte it hides the rest. Called by all that show such a text, before the
//! output's own syntax (JSON's, HTML's, CTF's) is kept. Invariant: what comes out is one line of
//! characters that can be seen.

use std::borrow::Cow;
use std::fmt::Write;
use std::path::Path;

/// What stands for the rest of a text that is too long.
const ELLIPSIS: char = '…';

/// `text` with what cannot be seen as an escape, `\u{202e}` or `\n`, and at most `most`
/// characters of it. Quotes and backslashes stay: nobody reads it back.
pub fn visible(text: &str, most: usize) -> Cow<'_, str> {
    let plain = |byte: u8| matches!(byte, b' '..=b'~');
    if text.len() <= most && text.bytes().all(plain) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::new();
    for (index, character) in text.chars().enumerate() {
        if index == most {
            shown.push(ELLIPSIS);
            break;
        }
        match character {
            '"' | '\'' | '\\' => shown.push(character),
            // Keeps what the standard library holds for printable, and no format characters.
            _ => shown.extend(character.escape_debug()),
        }
    }
    Cow::Owned(shown)
}

/// A file's name, for a message.
pub fn path(path: &Path) -> String {
    visible(&path.to_string_lossy(), MAX_PATH_CHARS).into_owned()
}

/// Longer ones no system has.
const MAX_PATH_CHARS: usize = 4096;

/// `text` as bytes of a C string literal without its quotes: what is no graphic ASCII character,
/// blank or part of UTF-8 is an octal escape.
pub(crate) fn c_literal(text: &str) -> String {
    let mut literal = String::new();
    for character in text.chars() {
        match character {
            '"' | '\\' => literal.extend(['\\', character]),
            character if character.is_control() => {
                for byte in character.encode_utf8(&mut [0; 4]).bytes() {
                    // Writing to a string does not fail.
                    let _ = write!(literal, "\\{byte:03o}");
                }
            }
            _ => literal.push(character),
        }
    }
    literal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_is_an_escape() {
        for (text, shown) in [
            ("guest_app::run", "guest_app::run"),
            ("a \"b\" 'c' \\d", "a \"b\" 'c' \\d"),
            ("größer 字", "größer 字"),
            ("\x1b[2J\x07", "\\u{1b}[2J\\u{7}"),
            ("one\ntwo\tthree\r", "one\\ntwo\\tthree\\r"),
            ("\u{9b}31m\x7f", "\\u{9b}31m\\u{7f}"),
            // Bidirectional overrides and isolates, zero width, soft hyphen, tags, separators.
            ("\u{202e}\u{2066}\u{61c}", "\\u{202e}\\u{2066}\\u{61c}"),
            ("\u{200b}\u{feff}\u{ad}", "\\u{200b}\\u{feff}\\u{ad}"),
            ("\u{e0041}\u{2028}\u{a0}", "\\u{e0041}\\u{2028}\\u{a0}"),
        ] {
            assert_eq!(visible(text, 100), shown);
        }
    }

    #[test]
    fn what_is_too_long_is_cut_between_characters() {
        assert_eq!(visible("größer", 3), "grö…");
        assert_eq!(visible("abc", 3), "abc");
    }

    #[test]
    fn a_literal_has_no_character_that_ends_it() {
        assert_eq!(c_literal("a\"b\\c\nd\u{85}é"), r#"a\"b\\c\012d\302\205é"#);
    }
}
