//! Bytes from another's memory as text that is only text.
//!
//! Used before anything from a domain's page is printed. Invariant: what comes out is one line of
//! at most as many characters as bytes came in, each of them printable ASCII, so nothing in it can
//! end a line, move a cursor, or look like a line of another author's.

use core::fmt::{self, Write};

/// The byte itself if it is printable ASCII, else `?`.
pub const fn printable(byte: u8) -> u8 {
    match byte {
        b' '..=b'~' => byte,
        _ => b'?',
    }
}

/// Displays the printable ASCII characters of its bytes, and `?` for every other byte.
#[derive(Debug, Clone, Copy)]
pub struct Printable<'a>(pub &'a [u8]);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = self.0.iter();
        bytes.try_for_each(|byte| f.write_char(char::from(printable(*byte))))
    }
}
