//! `ram`.

use crate::told::{of, with};
use insta::assert_snapshot;

#[test]
fn the_fifth_range_of_ram_is_refused() {
    assert_snapshot!(with("ram 0,4K ram 4K,4K\nram 8K,4K ram 12K,4K ram 16K,4K\n"), @"
    error: a VM has at most 4 ranges of RAM
     --> vm.conf:5:15
      |
    5 | ram 8K,4K ram 12K,4K ram 16K,4K
      |               ^^^^^^ the first of 2 too many
    ");
}

#[test]
fn ram_that_overlaps_other_ram_is_refused() {
    assert_snapshot!(with("ram 0x401ff000,8K\nram 0x40200000,4K\n"), @"
    error: this RAM overlaps the other RAM
     --> vm.conf:4:5
      |
    2 | ram 0x40000000,2M
      |     ------------- the other RAM is at 0x40000000 to 0x401fffff
    3 | load guest-app
    4 | ram 0x401ff000,8K
      |     ^^^^^^^^^^^^^ this RAM is at 0x401ff000 to 0x40200fff

    error: this RAM overlaps the other RAM
     --> vm.conf:5:5
      |
    4 | ram 0x401ff000,8K
      |     ------------- the other RAM is at 0x401ff000 to 0x40200fff
    5 | ram 0x40200000,4K
      |     ^^^^^^^^^^^^^ this RAM is at 0x40200000 to 0x40200fff
    ");
}

#[test]
fn ram_that_is_not_whole_pages_is_refused() {
    assert_snapshot!(of("system a load guest-app ram 0x40000800,2M\n"), @"
    error: RAM has to be whole pages of 4 KiB
     --> vm.conf:1:29
      |
    1 | system a load guest-app ram 0x40000800,2M
      |                             ^^^^^^^^^^^^^ the base, 0x40000800, is not a multiple of 0x1000
      |
      = help: memory is given to a guest page by page
    ");
    assert_snapshot!(of("system a load guest-app\nram 0x50000000,2049\n"), @"
    error: RAM has to be whole pages of 4 KiB
     --> vm.conf:2:5
      |
    2 | ram 0x50000000,2049
      |     ^^^^^^^^^^^^^^^ the length, 0x801, is not a multiple of 0x1000
      |
      = help: memory is given to a guest page by page
    ");
}

#[test]
fn ram_without_a_base_is_refused() {
    assert_snapshot!(of("system a load guest-app\nram 2M\n"), @"
    error: `ram` needs the base as well as the length
     --> vm.conf:2:5
      |
    2 | ram 2M
      |     ^^ one number
      |
      = help: QNX would choose the base; here it is given: `ram 0x40000000,2M`
    ");
}

#[test]
fn ram_with_a_blank_after_the_comma_is_refused_once() {
    assert_snapshot!(of("system a load guest-app\nram 0x40000000, 2M\n"), @"
    error: `ram` needs a base and a length
     --> vm.conf:2:5
      |
    2 | ram 0x40000000, 2M
      |     ^^^^^^^^^^^ two numbers, a comma between them, no blank
      |
      = help: for example: `ram 0x40000000,2M`
    ");
}

#[test]
fn ram_of_no_bytes_and_ram_beyond_40_bits_are_refused() {
    assert_snapshot!(of("system a load guest-app\nram 0,0\n"), @"
    error: RAM of no bytes
     --> vm.conf:2:5
      |
    2 | ram 0,0
      |     ^^^
    ");
    assert_snapshot!(of("system a load guest-app\nram 0xfffffff000,8K\n"), @"
    error: RAM lies beyond the guest's physical address space
     --> vm.conf:2:5
      |
    2 | ram 0xfffffff000,8K
      |     ^^^^^^^^^^^^^^^ 0xfffffff000 to 0x10000000fff
      |
      = help: guest-physical addresses have 40 bits: up to 0xffffffffff
    ");
}

#[test]
fn rom_is_whole_pages_and_where_nothing_else_is() {
    assert_snapshot!(with("rom 0x40000000,4K\nrom 0,2049\nrom 0,0\nrom 0x200000,0x201000\n"), @"
    error: this ROM overlaps the RAM
     --> vm.conf:4:5
      |
    2 | ram 0x40000000,2M
      |     ------------- the RAM is at 0x40000000 to 0x401fffff
    3 | load guest-app
    4 | rom 0x40000000,4K
      |     ^^^^^^^^^^^^^ this ROM is at 0x40000000 to 0x40000fff

    error: ROM has to be whole pages of 4 KiB
     --> vm.conf:5:5
      |
    5 | rom 0,2049
      |     ^^^^^^ the length, 0x801, is not a multiple of 0x1000
      |
      = help: memory is given to a guest page by page

    error: ROM of no bytes
     --> vm.conf:6:5
      |
    6 | rom 0,0
      |     ^^^

    error: so much ROM has to be whole blocks of 2 MiB
     --> vm.conf:7:5
      |
    7 | rom 0x200000,0x201000
      |     ^^^^^^^^^^^^^^^^^ the length, 0x201000, is not a multiple of 0x200000
      |
      = help: up to 2 MiB may be any pages; for more, several `rom` can stand side by side
    ");
}

#[test]
fn rom_lies_on_no_other_rom_and_no_device_on_it() {
    assert_snapshot!(with("rom 0,64M rom 0x1000,4K\nvdev trace loc 0x3fffffc\nrom 0xffffffffff000,4K rom 0x100000000,2G\n"), @"
    error: this ROM overlaps the other ROM
     --> vm.conf:4:15
      |
    4 | rom 0,64M rom 0x1000,4K
      |     -----     ^^^^^^^^^ this ROM is at 0x1000 to 0x1fff
      |     |
      |     the other ROM is at 0x0 to 0x3ffffff

    error: this `vdev trace` overlaps the ROM
     --> vm.conf:5:16
      |
    4 | rom 0,64M rom 0x1000,4K
      |     ----- the ROM is at 0x0 to 0x3ffffff
    5 | vdev trace loc 0x3fffffc
      |                ^^^^^^^^^ this `vdev trace` is at 0x3fffffc to 0x3ffffff

    error: ROM lies beyond the guest's physical address space
     --> vm.conf:6:5
      |
    6 | rom 0xffffffffff000,4K rom 0x100000000,2G
      |     ^^^^^^^^^^^^^^^^^^ 0xffffffffff000 to 0xfffffffffffff
      |
      = help: guest-physical addresses have 40 bits: up to 0xffffffffff

    error: so much ROM is not mapped
     --> vm.conf:6:28
      |
    6 | rom 0xffffffffff000,4K rom 0x100000000,2G
      |                            ^^^^^^^^^^^^^^ 0x80000000 bytes; one range has at most 0x40000000
    ");
}

#[test]
fn the_fifth_range_of_rom_is_refused() {
    assert_snapshot!(with("rom 0,4K rom 4K,4K\nrom 8K,4K rom 12K,4K rom 16K,4K\n"), @"
    error: a VM has at most 4 ranges of ROM
     --> vm.conf:5:26
      |
    5 | rom 8K,4K rom 12K,4K rom 16K,4K
      |                          ^^^^^^ the first of 1 too many
    ");
}
