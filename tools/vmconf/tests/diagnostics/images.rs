//! `load`, and what is said of the image.

use crate::told::of;
use insta::assert_snapshot;

#[test]
fn an_image_that_cannot_be_had_is_refused() {
    assert_snapshot!(of("system a ram 0x40000000,2M\nload no-such-app\n"), @"
    error: there is no such file
     --> vm.conf:2:6
      |
    2 | load no-such-app
      |      ^^^^^^^^^^^
    ");
}

#[test]
fn what_is_wrong_with_an_image_is_told_with_what_is_wrong_with_the_text() {
    let text = "system a ram 0x40000000,2M\nload far\n";
    assert_snapshot!(of(text), @"
    error: the image `far` is far away
     --> vm.conf:2:6
      |
    1 | system a ram 0x40000000,2M
      |              ------------- from here
    2 | load far
      |      ^^^
    ");
    // Where the text is wrong, the RAM may be, too.
    assert_snapshot!(of(&format!("{text}bogus\n")), @"
    error: there is no such file
     --> vm.conf:2:6
      |
    2 | load far
      |      ^^^

    error: there is no option `bogus`
     --> vm.conf:3:1
      |
    3 | bogus
      | ^^^^^
    ");
}

#[test]
fn an_image_that_is_empty_or_too_large_is_refused() {
    assert_snapshot!(of("system a ram 0x40000000,2M\nload empty\n"), @"
    error: the image `empty` is empty
     --> vm.conf:2:6
      |
    2 | load empty
      |      ^^^^^
    ");
    assert_snapshot!(of("system a ram 0x40000000,2M\nload huge\n"), @"
    error: the image `huge` is too large
     --> vm.conf:2:6
      |
    2 | load huge
      |      ^^^^ 8589934592 bytes, the most is 4 GiB
    ");
}

#[test]
fn an_image_with_an_address_is_refused() {
    assert_snapshot!(of("system a ram 0x40000000,2M\nload 0x40000000,app\n"), @"
    error: `load` takes the name of an image and nothing else
     --> vm.conf:2:6
      |
    2 | load 0x40000000,app
      |      ^^^^^^^^^^^^^^
      |
      = help: an ELF image says itself to which addresses it is loaded
    ");
}
