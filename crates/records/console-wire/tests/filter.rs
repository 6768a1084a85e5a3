//! What a terminal sees of a guest's bytes. The judge is a reading of what is shown by ECMA-48, written here
//! anew and apart from the filter's states.

use console_wire::Filter;
use proptest::prelude::*;

fn shown(bytes: &[u8]) -> Vec<u8> {
    let (mut filter, mut shown) = (Filter::default(), Vec::new());
    for byte in bytes {
        filter.push(*byte, |seen| shown.extend(seen));
    }
    shown
}

#[test]
fn what_is_permitted_goes_through_as_it_is() {
    for text in [
        &b"plain text\r\n\ttab \x08 \x07"[..],
        "Grüße, 世界, 🦀".as_bytes(),
        b"\x1b[31;1mred\x1b[0m \x1b[38;2;1;2;3mrgb\x1b[4:3m",
        b"\x1b[2J\x1b[H\x1b[10;20H\x1b[5A\x1b[B\x1b[3C\x1b[D\x1b[K\x1b[1K\x1b[7G\x1b[d",
        b"\x1b7\x1b8\x1b[s\x1b[u\x1b[3P\x1b[2@\x1b[L\x1b[M\x1b[4X",
    ] {
        assert_eq!(shown(text), text);
    }
}

#[test]
fn what_is_not_permitted_is_left_out_as_a_whole() {
    for sequence in [
        // Title, clipboard, colours of the palette, links.
        &b"\x1b]0;title\x07"[..],
        b"\x1b]52;c;aGk=\x1b\\",
        b"\x1b]8;;http://example.org\x1b\\",
        // Answers: device attributes, status, cursor, terminal version, window, checksum.
        b"\x1b[c",
        b"\x1b[>c",
        b"\x1b[=c",
        b"\x1b[6n",
        b"\x1b[?6n",
        b"\x1b[>q",
        b"\x1b[21t",
        b"\x1b[1;1;1;1;1;1*y",
        b"\x1bZ",
        b"\x05",
        // DCS, APC, PM, SOS.
        b"\x1bP$qm\x1b\\",
        b"\x1b_Ga=q\x1b\\",
        b"\x1b^pm\x1b\\",
        b"\x1bXsos\x1b\\",
        // Modes, reset, charsets, printing, the scrollback.
        b"\x1b[?1049h",
        b"\x1b[?1000h",
        b"\x1b[4h",
        b"\x1b[5i",
        b"\x1b[!p",
        b"\x1bc",
        b"\x1b(0",
        b"\x1b#8",
        b"\x1b=",
        b"\x0e\x0f",
        b"\x1b[3J",
        b"\x1b[2;3J",
        // C1, as bytes and as UTF-8.
        b"\x9b",
        b"\xc2\x9b",
        b"\xc2\x9d",
        // No UTF-8: overlong, a surrogate, alone.
        b"\xc0\x9b",
        b"\xe0\x80\x9b",
        b"\xed\xa0\x80",
        b"\xff\xfe",
        b"\x7f\x00",
    ] {
        let text = [b"a", sequence, b"z"].concat();
        assert_eq!(shown(&text), b"az", "{}", sequence.escape_ascii());
    }
}

#[test]
fn a_sequence_without_end_hides_no_more_than_its_line() {
    for begun in [
        &b"\x1b]0;"[..],
        b"\x1bP",
        b"\x1b[1;2",
        b"\x1b",
        b"\xe4\xb8",
        b"\x1b_\x1b",
    ] {
        let text = [begun, b"\nnext"].concat();
        assert_eq!(shown(&text), b"\nnext", "{}", begun.escape_ascii());
    }
    let long = [&b"\x1b["[..], &[b'1'; 300], b"mx"].concat();
    assert_eq!(shown(&long), b"x");
}

#[test]
fn a_sequence_in_a_sequence_is_not_put_together_from_what_is_left_out() {
    assert_eq!(shown(b"\x1b]0;\x1b[cx\x07"), b"x\x07");
    assert_eq!(shown(b"\x1b\x1b[31m"), b"\x1b[31m");
    assert_eq!(shown(b"\x1b[\x1b[1m"), b"\x1b[1m");
    assert_eq!(shown(b"\x1b[3\x081m"), b"\x081m");
}

/// Whether a terminal that is sent this only moves, colours, erases and prints.
fn is_harmless(mut bytes: &[u8]) -> bool {
    while let Some((&first, rest)) = bytes.split_first() {
        bytes = match first {
            0x1b => match rest.split_first() {
                Some((b'7' | b'8', rest)) => rest,
                Some((b'[', rest)) => {
                    let Some(last) = rest.iter().position(|byte| !b"0123456789;:".contains(byte))
                    else {
                        return false;
                    };
                    if !b"ABCDEFGHadefsu`mJKX@LMP".contains(&rest[last]) || rest.starts_with(b"3J")
                    {
                        return false;
                    }
                    &rest[last + 1..]
                }
                _ => return false,
            },
            0x07 | 0x08 | b'\t' | b'\n' | b'\r' | b' '..=b'~' => rest,
            _ => {
                let len = (1..=4).find(|len| {
                    let text = bytes.get(..*len).map(std::str::from_utf8);
                    matches!(text, Some(Ok(text)) if !text.contains(char::is_control))
                });
                match len {
                    Some(len) => &bytes[len..],
                    None => return false,
                }
            }
        };
    }
    true
}

/// Bytes of which sequences are made, and any.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let of_sequences = prop::sample::select(
        &b"\x1b\x1b\x1b[[]P_^X\\\x07;?>0123Jmhcntqz \n\x9b\xc2\xe4\xb8\xad"[..],
    );
    prop::collection::vec(prop_oneof![4 => of_sequences, 1 => any::<u8>()], 0..300)
}

proptest! {
    #[test]
    fn whatever_a_guest_prints_a_terminal_is_told_nothing_but_what_is_permitted(bytes in bytes()) {
        let shown = shown(&bytes);
        prop_assert!(is_harmless(&shown), "{}", shown.escape_ascii());
        prop_assert!(shown.len() <= bytes.len());
    }
}
