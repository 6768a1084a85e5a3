//! What a file's bytes may be, and how places in them are counted.

use crate::told::{VM, of, with};
use insta::assert_snapshot;

#[test]
fn a_file_that_is_no_configuration_s_size_is_refused() {
    assert_snapshot!(of(&"#".repeat((1 << 20) + 1)), @"
    error: the file has 1048577 bytes, and more than 1048576 are not read
    --> vm.conf
     = help: is this a configuration?
    ");
}

#[test]
fn line_ends_of_windows_and_a_byte_order_mark_change_no_place() {
    let unix = with("vdev trace\n\tloc io:0x300\n");
    let windows = format!("\u{feff}{VM}vdev trace\n\tloc io:0x300\n").replace('\n', "\r\n");
    assert_eq!(of(&windows), unix);
}

#[test]
fn a_tab_is_one_column_and_the_caret_stands_below_its_word() {
    assert_snapshot!(with("vdev\ttrace\n\t\tloc\t0xfa000001\n"), @"
    error: `loc` of a `vdev trace` is not aligned
     --> vm.conf:5:7
      |
    5 |         loc    0xfa000001
      |                ^^^^^^^^^^ 0xfa000001 is not a multiple of 0x4
      |
      = help: it occupies whole words of 4 bytes; 0xfa000000 would do
    ");
}

#[test]
fn a_file_that_is_not_utf_8_is_refused_with_the_place() {
    let error = vmconf::decode("vm.conf", b"system d\xe9mo\ncpu\n").unwrap_err();
    assert_snapshot!(error.to_string(), @"
    error: the file is not UTF-8
     --> vm.conf:1:9
      |
    1 | system d�mo
      |         ^ the byte here is 0xe9
      |
      = help: save the file as UTF-8; plain ASCII is UTF-8 as well
    ");
}

fn little_endian(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn big_endian(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_be_bytes).collect()
}

#[test]
fn a_file_in_utf_16_is_shown_as_it_reads_in_either_byte_order() {
    let text = "\u{feff}system d\u{e9}mo\nload g\n";
    let error = vmconf::decode("vm.conf", &little_endian(text)).unwrap_err();
    assert_snapshot!(error.to_string(), @"
    error: the file is UTF-16, not UTF-8
     --> vm.conf:1:1
      |
    1 | system démo
      | ^ each character of it is two bytes
      |
      = help: save the file as UTF-8; plain ASCII is UTF-8 as well
    ");
    assert_eq!(
        vmconf::decode("vm.conf", &big_endian(text)).unwrap_err(),
        error
    );
}

#[test]
fn utf_16_is_known_by_its_mark_or_by_some_letters_with_a_zero_each() {
    for text in [
        "\u{feff}",
        "\u{feff}\u{3b1}\u{3b2}",
        "system demo",
        "\u{feff}s",
    ] {
        assert!(vmconf::is_utf_16(&little_endian(text)), "{text:?}");
        assert!(vmconf::is_utf_16(&big_endian(text)), "{text:?}");
    }
}

#[test]
fn other_files_with_zeroes_in_them_are_no_utf_16() {
    let others: [&[u8]; 7] = [
        b"system demo",
        b"",
        b"a\0",
        // UTF-32, whose mark begins like the other one.
        b"\xff\xfe\0\0s\0\0\0y\0\0\0",
        // Letters in front of something else, and behind it.
        b"d\0a\0t\0a\0\xff\xff\xff\xff",
        b"\x01\0d\0a\0t\0a\0",
        b"\x7fELF\x02\x01\x01\0\0\0\0\0",
    ];
    for bytes in others {
        assert!(!vmconf::is_utf_16(bytes), "{bytes:x?}");
    }
}

#[test]
fn the_largest_file_that_is_read_is_read() {
    let comment = "#".repeat((1 << 20) - VM.len());
    assert!(vmconf::parse("vm.conf", &format!("{VM}{comment}")).is_ok());
}

#[test]
fn control_characters_reach_no_terminal() {
    let rendered = with("\x1b[31mred vdev trace loc \x1b[2J0x1 name \"a\x07\"\n");
    assert!(!rendered.contains(['\x1b', '\x07']), "{rendered:?}");
}
