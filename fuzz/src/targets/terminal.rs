//! What comes over the serial line of a machine, on its way to a person's terminal; and what is typed.

use console_wire::{Decoded, Decoder, Filter, Keys};

pub(crate) fn run(input: &[u8]) {
    let mut decoder = Decoder::default();
    let mut filters = [Filter::default(); 8];
    let mut shown: [Vec<u8>; 8] = Default::default();
    for byte in input {
        if let Some(Decoded::Printed { vm, byte }) = decoder.push(*byte) {
            let shown = &mut shown[usize::from(vm)];
            filters[usize::from(vm)].push(byte, |part| shown.extend(part));
        }
    }
    for shown in shown {
        let text = String::from_utf8(shown).expect("whole characters");
        let mut rest = text.chars();
        while let Some(c) = rest.next() {
            match c {
                '\x1b' => match rest.next() {
                    Some('7' | '8') => {}
                    Some('[') => end_sequence(&mut rest),
                    other => panic!("ESC {other:?}"),
                },
                '\x07' | '\x08' | '\t' | '\n' | '\r' => {}
                c => assert!(!c.is_control(), "{c:?}"),
            }
        }
    }
    let mut keys = Keys::default();
    let pressed = input.iter().filter(|byte| keys.press(**byte).is_some());
    assert!(pressed.count() <= input.len());
}

/// Digits, and a final that moves, colours, erases, inserts or deletes.
fn end_sequence(rest: &mut std::str::Chars<'_>) {
    let last = rest.find(|c| !matches!(c, '0'..='9' | ';' | ':'));
    let is_permitted = last.is_some_and(|last| "ABCDEFGHadefsu`mJKX@LMP".contains(last));
    assert!(is_permitted, "CSI … {last:?}");
}
