//! UTF-16, which editors on Windows save and we do not read: to be named as what it is.
//!
//! Called by `decode`, and by whoever has to tell a configuration from other files.

use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::source::{Source, Span};

/// So many characters in a row, of which one byte is zero, are no accident.
const TELLING_UNITS: usize = 5;

/// Whether a file that begins with these bytes is a text in UTF-16: by its byte-order mark, or by
/// characters of ASCII with a zero byte each.
pub fn is_utf_16(start: &[u8]) -> bool {
    order(start).is_some()
}

#[derive(Clone, Copy)]
enum Order {
    Little,
    Big,
}

fn order(start: &[u8]) -> Option<Order> {
    let is_text = |unit: u16| matches!(unit, 9..=13 | 32..=126);
    for order in [Order::Little, Order::Big] {
        let mut units = units(start, order).take(TELLING_UNITS);
        let first = units.next()?;
        let has_mark = first == 0xfeff;
        let mut seen = 1;
        let fits = units.inspect(|_| seen += 1).all(|unit| match has_mark {
            // Zeroes are no text in any alphabet.
            true => unit != 0,
            false => is_text(unit),
        });
        if fits && (has_mark || is_text(first) && seen == TELLING_UNITS) {
            return Some(order);
        }
    }
    None
}

fn units(bytes: &[u8], order: Order) -> impl Iterator<Item = u16> + '_ {
    let pairs = bytes.as_chunks::<2>().0.iter();
    pairs.map(move |pair| match order {
        Order::Little => u16::from_le_bytes(*pair),
        Order::Big => u16::from_be_bytes(*pair),
    })
}

/// Says of a file that it is UTF-16.
pub(crate) fn diagnostics_of_utf_16(file_name: &str, bytes: &[u8]) -> Diagnostics {
    let order = order(bytes).unwrap_or(Order::Little);
    let text = char::decode_utf16(units(bytes, order))
        .map(|character| character.unwrap_or(char::REPLACEMENT_CHARACTER))
        .filter(|character| *character != '\u{feff}');
    let source = Source::verbatim(file_name, &text.collect::<String>());
    let start = Span::new(0, source.text().chars().next().map_or(0, char::len_utf8));
    let diagnostic = Diagnostic::error(start, "the file is UTF-16, not UTF-8")
        .label("each character of it is two bytes")
        .help("save the file as UTF-8; plain ASCII is UTF-8 as well");
    Diagnostics::new(source, vec![diagnostic])
}
