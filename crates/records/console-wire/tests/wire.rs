//! Pieces and keys there and back, among text, garbage and forgeries.

use console_wire::{Decoded, Decoder, Key, Keys, PIECE_BYTES, Piece};
use proptest::prelude::*;

/// What a line carries: its text, and what each VM has printed.
#[derive(Default, PartialEq, Debug)]
struct Seen {
    text: Vec<u8>,
    printed: [Vec<u8>; 8],
    broken: u64,
}

fn decode(wire: &[u8]) -> Seen {
    let (mut decoder, mut seen) = (Decoder::default(), Seen::default());
    for byte in wire {
        match decoder.push(*byte) {
            Some(Decoded::Text(byte)) => seen.text.push(byte),
            Some(Decoded::Printed { vm, byte }) => seen.printed[usize::from(vm)].push(byte),
            None => {}
        }
    }
    seen.broken = decoder.broken;
    seen
}

#[test]
fn each_byte_is_written_as_the_format_says() {
    for (byte, wire) in [
        (b'a', &b"\x023a\x03"[..]),
        (b'\\', b"\x023\\/\x03"),
        (b'\n', b"\x023\\J\x03"),
        (0x00, b"\x023\\@\x03"),
        (0x1b, b"\x023\\[\x03"),
        (0x1f, b"\x023\\_\x03"),
        (0x02, b"\x023\\B\x03"),
        (0x7f, b"\x023\\?\x03"),
        (0x80, b"\x023\\80\x03"),
        (0xff, b"\x023\\ff\x03"),
    ] {
        assert_eq!(Piece::new(2, &[byte]).as_bytes(), wire);
        assert_eq!(decode(wire).printed[2], [byte]);
    }
}

#[test]
fn what_breaks_off_is_counted_and_the_line_behind_it_is_text() {
    let seen = decode(b"\x021half a pie (cut)\n[ 1.0] warn\n\x022whole\x03");
    assert_eq!(seen.broken, 1);
    assert_eq!(seen.printed[0], b"half a pie (cut)");
    assert_eq!(seen.text, b"\n[ 1.0] warn\n");
    assert_eq!(seen.printed[1], b"whole");
    assert_eq!(decode(b"\x021a\x022b\x03c").text, b"c");
}

#[test]
fn a_byte_that_is_written_in_another_way_is_no_piece() {
    for wire in [
        b"\x021\\41\x03",
        b"\x021\\8G\x03",
        b"\x021\\fF\x03",
        b"\x029abc\x03",
    ] {
        assert_eq!(decode(wire).broken, 1, "{wire:?}");
    }
}

#[test]
fn keys_are_bytes_or_commands_behind_the_prefix() {
    let mut keys = Keys::default();
    let pressed: Vec<_> = b"a\x013\x01\x01\x01h\x01p\x01l\x01x\x01qb\x019"
        .iter()
        .filter_map(|byte| keys.press(*byte))
        .collect();
    assert_eq!(
        pressed,
        [
            Key::Byte(b'a'),
            Key::Choose(2),
            Key::Byte(1),
            Key::Help,
            Key::Pieces,
            Key::Lines,
            Key::End,
            Key::Unknown,
            Key::Byte(b'b'),
            Key::Unknown,
        ]
    );
}

/// Text, as between pieces, and pieces.
fn parts() -> impl Strategy<Value = Vec<(Option<u8>, Vec<u8>)>> {
    let line = "[ -~]{0,60}\n".prop_map(|line| (None, line.into_bytes()));
    let piece = (0..8u8, prop::collection::vec(any::<u8>(), 0..=PIECE_BYTES))
        .prop_map(|(vm, bytes)| (Some(vm), bytes));
    prop::collection::vec(prop_oneof![line, piece], 0..30)
}

proptest! {
    #[test]
    fn what_was_encoded_is_decoded_and_the_text_between_survives(parts in parts()) {
        let (mut wire, mut all) = (Vec::new(), Seen::default());
        for (vm, bytes) in parts {
            match vm {
                Some(vm) => {
                    let piece = Piece::new(vm, &bytes);
                    let inside = &piece.as_bytes()[1..piece.as_bytes().len() - 1];
                    prop_assert!(inside.iter().all(|byte| matches!(byte, b' '..=b'~')));
                    wire.extend(piece.as_bytes());
                    all.printed[usize::from(vm)].extend(bytes);
                }
                None => {
                    wire.extend(&bytes);
                    all.text.extend(bytes);
                }
            }
        }
        prop_assert_eq!(decode(&wire), all);
    }

    #[test]
    fn behind_any_garbage_and_a_line_feed_all_is_as_it_was(
        garbage in prop::collection::vec(any::<u8>(), 0..200), vm in 0..8u8, bytes in prop::collection::vec(any::<u8>(), 0..40)
    ) {
        let before = decode(&garbage);
        let whole = [&garbage[..], b"\n", Piece::new(vm, &bytes).as_bytes(), b"text\n"].concat();
        let seen = decode(&whole);
        prop_assert!(seen.text.ends_with(b"\ntext\n"));
        let printed = &seen.printed[usize::from(vm)];
        prop_assert_eq!(&printed[before.printed[usize::from(vm)].len()..], &bytes[..]);
    }

    #[test]
    fn a_key_s_bytes_are_that_key(byte in any::<u8>(), vm in 0..8u8) {
        for key in [
            Key::Byte(byte),
            Key::Choose(vm),
            Key::Pieces,
            Key::Lines,
            Key::Help,
            Key::End,
            Key::Unknown,
        ] {
            let mut keys = Keys::default();
            let pressed: Vec<_> = key.bytes().filter_map(|byte| keys.press(byte)).collect();
            prop_assert_eq!(pressed, [key]);
            prop_assert_eq!(keys, Keys::default());
        }
    }
}
