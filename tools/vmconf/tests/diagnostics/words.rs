//! Numbers, strings and names: how they are written, and how long they may be.

use crate::told::{of, with};
use insta::assert_snapshot;

#[test]
fn a_malformed_number_is_refused() {
    assert_snapshot!(with("vdev trace loc 0xfag00000\nvdev trace loc 2MB\nram 0x4000000O,2M\n"), @"
    error: `0xfag00000` is not a number
     --> vm.conf:4:16
      |
    4 | vdev trace loc 0xfag00000
      |                ^^^^^^^^^^ `g` is not a hexadecimal digit
      |
      = help: numbers are decimal, or hexadecimal with `0x`, and may end in K, M or G

    error: `2MB` is not a number
     --> vm.conf:5:16
      |
    5 | vdev trace loc 2MB
      |                ^^^ `M` is not a decimal digit
      |
      = help: numbers are decimal, or hexadecimal with `0x`, and may end in K, M or G

    error: `0x4000000O` is not a number
     --> vm.conf:6:5
      |
    6 | ram 0x4000000O,2M
      |     ^^^^^^^^^^ `O` is not a hexadecimal digit
      |
      = help: numbers are decimal, or hexadecimal with `0x`, and may end in K, M or G
    ");
}

#[test]
fn a_number_of_more_than_64_bits_is_refused() {
    assert_snapshot!(with("vdev trace loc 0x10000000000000000\n"), @"
    error: `0x10000000000000000` is too large
     --> vm.conf:4:16
      |
    4 | vdev trace loc 0x10000000000000000
      |                ^^^^^^^^^^^^^^^^^^^ numbers have at most 64 bits
    ");
}

#[test]
fn a_string_without_an_end_is_refused() {
    assert_snapshot!(with("cmdline \"console=none\ncpu\n"), @r#"
    error: a string without an end
     --> vm.conf:4:9
      |
    4 | cmdline "console=none
      |         ^^^^^^^^^^^^^ no second `"` up to the end of the file
    "#);
}

#[test]
fn a_string_whose_end_is_missing_is_found_behind_the_next_one() {
    assert_snapshot!(with("cmdline \"console=none\nvdev trace loc 0xfa000000 name \"first\"\n"), @r#"
    error: a string without an end
     --> vm.conf:5:38
      |
    4 | cmdline "console=none
      |         ------------- is the end of this one missing?
    5 | vdev trace loc 0xfa000000 name "first"
      |                                      ^ no second `"` up to the end of the file
    "#);
}

#[test]
fn an_unknown_escape_in_a_string_is_refused() {
    assert_snapshot!(with("cmdline \"a\\nb\"\n"), @r#"
    error: `\n` has no meaning in a string
     --> vm.conf:4:11
      |
    4 | cmdline "a\nb"
      |           ^^
      |
      = help: `\"`, `\\` and `\$` stand for the character after the `\`
    "#);
}

#[test]
fn a_mistake_in_a_word_with_quotes_is_shown_at_the_whole_word() {
    assert_snapshot!(of("system a load guest-app\nram \"0x4000000O,2M\"\n"), @r#"
    error: `0x4000000O` is not a number
     --> vm.conf:2:5
      |
    2 | ram "0x4000000O,2M"
      |     ^^^^^^^^^^^^^^^ `O` is not a hexadecimal digit
      |
      = help: numbers are decimal, or hexadecimal with `0x`, and may end in K, M or G
    "#);
}

#[test]
fn a_command_line_that_is_too_long_is_refused() {
    assert_snapshot!(with(&format!("cmdline \"{}\"\n", "x".repeat(1024))), @r#"
    error: the command line is too long
     --> vm.conf:4:9
      |
    4 | ...ne "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
      |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^...^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ 1024 characters, the most is 1023
    "#);
}

#[test]
fn names_that_are_too_long_are_refused() {
    let text = format!(
        "system {}\nram 0x40000000,2M\nload guest-app\nvdev trace loc 0xfa000000 name {}\n",
        "s".repeat(32),
        "d".repeat(16)
    );
    assert_snapshot!(of(&text), @"
    error: the VM's name is too long
     --> vm.conf:1:8
      |
    1 | system ssssssssssssssssssssssssssssssss
      |        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ 32 characters, the most is 31

    error: the device's name is too long
     --> vm.conf:4:32
      |
    4 | vdev trace loc 0xfa000000 name dddddddddddddddd
      |                                ^^^^^^^^^^^^^^^^ 16 characters, the most is 15
    ");
}

#[test]
fn a_name_with_a_letter_beyond_ascii_is_refused() {
    assert_snapshot!(of("ram 0x40000000,2M load guest-app system démo\n"), @"
    error: the VM's name has a character that is not printable ASCII
     --> vm.conf:1:41
      |
    1 | ram 0x40000000,2M load guest-app system démo
      |                                         ^^^^ `é`, U+00E9
      |
      = help: letters, digits and signs of ASCII come through on every console
    ");
}

#[test]
fn a_name_with_a_blank_and_an_empty_name_are_refused() {
    let text = "ram 0x40000000,2M load guest-app system \"\"\n\
                vdev trace loc 0xfa000000 name \"my trace\"\n";
    assert_snapshot!(of(text), @r#"
    error: the VM's name is empty
     --> vm.conf:1:41
      |
    1 | ram 0x40000000,2M load guest-app system ""
      |                                         ^^

    error: the device's name has a blank in it
     --> vm.conf:2:32
      |
    2 | vdev trace loc 0xfa000000 name "my trace"
      |                                ^^^^^^^^^^
      |
      = help: log lines are split at blanks; use `-` or `_`
    "#);
}

#[test]
fn two_devices_with_one_name_are_refused() {
    let text = "vdev trace loc 0xfa000000 name first\nvdev trace loc 0xfa000004 name first\n";
    assert_snapshot!(with(text), @"
    error: two devices have the name `first`
     --> vm.conf:5:32
      |
    4 | vdev trace loc 0xfa000000 name first
      |                                ----- first given here
    5 | vdev trace loc 0xfa000004 name first
      |                                ^^^^^ again here
    ");
}
