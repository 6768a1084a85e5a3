//! Where a device may be.

use crate::told::{VM, with};
use insta::assert_snapshot;

#[test]
fn a_location_in_io_space_is_refused() {
    assert_snapshot!(with("vdev trace loc io:0x300\n"), @"
    error: a `vdev trace` is in memory, not in I/O space
     --> vm.conf:4:16
      |
    4 | vdev trace loc io:0x300
      |                ^^^^^^^^ `io:` is the I/O space of x86
      |
      = help: give a guest-physical address: `loc 0xfa000000` or `loc mem:0xfa000000`
    ");
}

#[test]
fn a_serial_port_in_memory_is_refused() {
    assert_snapshot!(with("vdev ser8250 loc mem:0x3f8\n"), @"
    error: `loc` of a `vdev ser8250` is an I/O port
     --> vm.conf:4:18
      |
    4 | vdev ser8250 loc mem:0x3f8
      |                  ^^^^^^^^^
      |
      = help: give its first port: `loc io:0x3f8`
    ");
}

#[test]
fn a_port_that_cannot_be_is_refused() {
    assert_snapshot!(with("vdev ser8250 loc io:0x3fc\nvdev ser8250 loc 64K\n"), @"
    error: `loc` of a `vdev ser8250` is not aligned
     --> vm.conf:4:18
      |
    4 | vdev ser8250 loc io:0x3fc
      |                  ^^^^^^^^ 0x3fc is not a multiple of 0x8
      |
      = help: it occupies whole groups of 8 ports; 0x3f8 would do

    error: there is no such I/O port
     --> vm.conf:5:18
      |
    5 | vdev ser8250 loc 64K
      |                  ^^^ the last one is 0xffff
    ");
}

#[test]
fn a_location_on_a_pci_bus_is_refused() {
    assert_snapshot!(with("vdev trace loc pci:0:12.0\n"), @"
    error: a `vdev trace` is in memory, not on a PCI bus
     --> vm.conf:4:16
      |
    4 | vdev trace loc pci:0:12.0
      |                ^^^^^^^^^^
      |
      = help: give a guest-physical address: `loc 0xfa000000` or `loc mem:0xfa000000`
    ");
}

#[test]
fn a_location_in_an_unknown_space_is_refused() {
    assert_snapshot!(with("vdev trace loc ram:0xfa000000\n"), @"
    error: there is no address space `ram`
     --> vm.conf:4:16
      |
    4 | vdev trace loc ram:0xfa000000
      |                ^^^^^^^^^^^^^^
      |
      = help: give a guest-physical address: `loc 0xfa000000` or `loc mem:0xfa000000`
    ");
}

#[test]
fn a_location_with_a_length_is_refused() {
    assert_snapshot!(with("vdev trace loc mem:0xfa000000,4,rw\n"), @"
    error: `loc` of a device is an address and nothing else
     --> vm.conf:4:16
      |
    4 | vdev trace loc mem:0xfa000000,4,rw
      |                ^^^^^^^^^^^^^^^^^^^
      |
      = help: how long it is and who may access it follow from the device
    ");
}

#[test]
fn an_unaligned_trace_device_is_refused() {
    assert_snapshot!(with("vdev trace loc 0xfa000002\n"), @"
    error: `loc` of a `vdev trace` is not aligned
     --> vm.conf:4:16
      |
    4 | vdev trace loc 0xfa000002
      |                ^^^^^^^^^^ 0xfa000002 is not a multiple of 0x4
      |
      = help: it occupies whole words of 4 bytes; 0xfa000000 would do
    ");
}

#[test]
fn an_unaligned_pl011_is_refused() {
    assert_snapshot!(with("vdev pl011 loc 0x1c090800\n"), @"
    error: `loc` of a `vdev pl011` is not aligned
     --> vm.conf:4:16
      |
    4 | vdev pl011 loc 0x1c090800
      |                ^^^^^^^^^^ 0x1c090800 is not a multiple of 0x1000
      |
      = help: it occupies whole pages of 4 KiB; 0x1c090000 would do
    ");
}

#[test]
fn a_location_inside_ram_is_refused() {
    assert_snapshot!(with("vdev trace loc 0x401ffffc\n"), @"
    error: this `vdev trace` overlaps the RAM
     --> vm.conf:4:16
      |
    2 | ram 0x40000000,2M
      |     ------------- the RAM is at 0x40000000 to 0x401fffff
    3 | load guest-app
    4 | vdev trace loc 0x401ffffc
      |                ^^^^^^^^^^ this `vdev trace` is at 0x401ffffc to 0x401fffff
    ");
}

#[test]
fn a_trace_device_in_the_page_of_a_pl011_is_refused() {
    assert_snapshot!(with("vdev pl011 loc 0x1c090000\nvdev trace loc 0x1c090ff0\n"), @"
    error: this `vdev trace` overlaps the `vdev pl011`
     --> vm.conf:5:16
      |
    4 | vdev pl011 loc 0x1c090000
      |                ---------- the `vdev pl011` is at 0x1c090000 to 0x1c090fff
    5 | vdev trace loc 0x1c090ff0
      |                ^^^^^^^^^^ this `vdev trace` is at 0x1c090ff0 to 0x1c090ff3
    ");
}

#[test]
fn two_devices_at_one_address_are_refused() {
    assert_snapshot!(with("vdev trace loc 0xfa000000\nvdev trace loc mem:0xfa000000\n"), @"
    error: this `vdev trace` and the other `vdev trace` have one address
     --> vm.conf:5:16
      |
    4 | vdev trace loc 0xfa000000
      |                ---------- the other `vdev trace` is at 0xfa000000 to 0xfa000003
    5 | vdev trace loc mem:0xfa000000
      |                ^^^^^^^^^^^^^^ this `vdev trace` is at 0xfa000000 to 0xfa000003
    ");
}

#[test]
fn a_location_beyond_40_bits_is_refused() {
    assert_snapshot!(with("vdev trace loc 0x10000000000\n"), @"
    error: the device lies beyond the guest's physical address space
     --> vm.conf:4:16
      |
    4 | vdev trace loc 0x10000000000
      |                ^^^^^^^^^^^^^ 0x10000000000 to 0x10000000003
      |
      = help: guest-physical addresses have 40 bits: up to 0xffffffffff
    ");
}

#[test]
fn the_last_page_of_40_bits_and_the_last_ports_can_be_had() {
    let text = "ram 0xfffffff000,4K vdev ser8250 loc io:0xfff8\n";
    assert!(vmconf::parse("vm.conf", &format!("{VM}{text}")).is_ok());
}

#[test]
fn a_device_without_a_location_is_refused() {
    assert_snapshot!(with("vdev trace emit-logger\nvdev pl011\n"), @"
    error: this `vdev trace` has no `loc`
     --> vm.conf:4:1
      |
    4 | vdev trace emit-logger
      | ^^^^^^^^^^
      |
      = help: for example: `loc 0xfa000000`

    error: this `vdev pl011` has no `loc`
     --> vm.conf:5:1
      |
    5 | vdev pl011
      | ^^^^^^^^^^
      |
      = help: for example: `loc 0x1c090000`
    ");
}
