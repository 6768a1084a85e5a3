//! `initrd` and `fdt` in front of `load`, and `fdt make`.

use crate::told::with;
use insta::assert_snapshot;

#[test]
fn a_kind_of_content_stands_in_front_of_load() {
    assert_snapshot!(with("initrd my.cpio\nfdt my.dtb\nfdt pass x\ninitrd\n"), @"
    error: `initrd` stands in front of `load`
     --> vm.conf:4:1
      |
    4 | initrd my.cpio
      | ^^^^^^
      |
      = help: for example: `initrd load initrd.cpio`

    error: `fdt` stands in front of `load` or `make`
     --> vm.conf:5:1
      |
    5 | fdt my.dtb
      | ^^^
      |
      = help: for example: `fdt load my.dtb`

    error: `fdt` stands in front of `load` or `make`
     --> vm.conf:6:1
      |
    6 | fdt pass x
      | ^^^
      |
      = help: for example: `fdt load my.dtb`

    error: `pass` is an option of the QNX hypervisor that this project does not have
     --> vm.conf:6:5
      |
    6 | fdt pass x
      |     ^^^^
      |
      = help: a guest gets virtual devices only; that is what keeps it away from others

    error: `initrd` stands in front of `load`
     --> vm.conf:7:1
      |
    7 | initrd
      | ^^^^^^
      |
      = help: for example: `initrd load initrd.cpio`
    ");
    assert_snapshot!(with("initrd load\nfdt load 4x,my.dtb\nfdt make 4x\n"), @"
    error: `initrd load` needs the name of a file
     --> vm.conf:4:1
      |
    4 | initrd load
      | ^^^^^^^^^^^ the next word, `fdt`, is an option
      |
      = help: for example: `initrd load initrd.cpio`

    error: `4x` is not an address
     --> vm.conf:5:10
      |
    5 | fdt load 4x,my.dtb
      |          ^^ `x` is not a decimal digit
      |
      = help: a comma stands between an address and a file: `load 0x40100000,my.bin`

    error: `fdt` is given twice
     --> vm.conf:6:1
      |
    5 | fdt load 4x,my.dtb
      | -------- first given here
    6 | fdt make 4x
      | ^^^^^^^^ again here

    error: `4x` is not a number
     --> vm.conf:6:10
      |
    6 | fdt make 4x
      |          ^^ `x` is not a decimal digit
      |
      = help: numbers are decimal, or hexadecimal with `0x`, and may end in K, M or G
    ");
}

#[test]
fn there_is_one_initrd_and_one_device_tree() {
    let text = "initrd load a\nfdt load b\ninitrd load c\nfdt make 0x40000000\n";
    assert_snapshot!(with(text), @"
    error: `initrd load` is given twice
     --> vm.conf:6:1
      |
    4 | initrd load a
      | ----------- first given here
    5 | fdt load b
    6 | initrd load c
      | ^^^^^^^^^^^ again here

    error: `fdt` is given twice
     --> vm.conf:7:1
      |
    5 | fdt load b
      | -------- first given here
    6 | initrd load c
    7 | fdt make 0x40000000
      | ^^^^^^^^ again here
    ");
}

#[test]
fn an_initrd_is_no_image_to_start_in() {
    let text = "system a\nram 0x40000000,2M\ninitrd load no-such-file\n";
    assert_snapshot!(crate::told::of(text), @"
    error: there is no such file
     --> vm.conf:3:13
      |
    3 | initrd load no-such-file
      |             ^^^^^^^^^^^^

    error: there is no `load`
    --> vm.conf
     = help: every VM needs one; for example: `load guest-app`
    ");
}
