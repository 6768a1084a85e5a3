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
fn an_address_of_an_image_is_a_number_and_its_name_is_not_empty() {
    assert_snapshot!(of("system a ram 0x40000000,2M\nload here,guest-app\n"), @"
    error: `here` is not an address
     --> vm.conf:2:6
      |
    2 | load here,guest-app
      |      ^^^^ `h` is not a decimal digit
      |
      = help: a comma stands between an address and a file: `load 0x40100000,my.bin`
    ");
    assert_snapshot!(of("system a ram 0x40000000,2M\nload 0x40000000,\n"), @"
    error: the image's name is empty
     --> vm.conf:2:6
      |
    2 | load 0x40000000,
      |      ^^^^^^^^^^^
      |
      = help: no blank stands after the comma: `load 0x40100000,my.bin`
    ");
}

#[test]
fn a_vm_has_at_most_four_images() {
    let text = "system a ram 0x40000000,2M\nload guest-app load 1,b load 2,c load 3,d load 4,e\n";
    assert_snapshot!(of(text), @"
    error: a VM has at most 4 images
     --> vm.conf:2:48
      |
    2 | load guest-app load 1,b load 2,c load 3,d load 4,e
      |                                                ^^^ the first of 1 too many
    ");
}
