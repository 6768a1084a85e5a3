//! Where everything is in physical memory, and what may be done with it.
//!
//! Read by `paging` (which turns the table into permissions), by `boot`, and by whoever
//! needs a VM's compiled configuration or its guest's images. The invariant: the parts do
//! not overlap, and all that is not the guests' ends below 0x41000000, 16 MiB above the start
//! of RAM.
//!
//! | from       | to           | what                                        | EL2 may |
//! |------------|--------------|---------------------------------------------|---------|
//! | device tree's | device tree's | UART, GIC distributor and redistributor  | RW, device |
//! | 0x40000000 | 0x40100000   | device tree, put there by QEMU; read once, before the MMU is on | – |
//! | 0x40100000 | image's end  | this program: text, constants, data, stack  | R-X, R--, RW- |
//! | image's end | 0x40dff000  | free                                        | – |
//! | 0x40dff000 | 0x40e00000   | report page, for whoever looks from outside | RW- |
//! | 0x40e00000 | 0x40e10000   | compiled configurations, two pages for each VM, put there by QEMU's loader | R-- |
//! | 0x41000000 | images' end  | guests' images, each VM's from the page after the one before, put there by QEMU's loader | R-- |
//! | the next 2 MiB | end of RAM | guest RAM, handed out in 2 MiB blocks     | RW- |
//!
//! Everything is mapped where it is (virtual = physical). With an ELF file as `-kernel`,
//! QEMU's virt board puts the device tree at the start of RAM if the image leaves it the
//! 1 MiB below (QEMU, docs/system/arm/virt.rst); x0 does not hold its address.

use core::ops::Range;

/// Start of RAM on QEMU's virt board, where the device tree lies.
pub const DEVICE_TREE: usize = 0x4000_0000;

/// What the image may take; `aarch64.ld` links it to the start.
pub const IMAGE: Range<usize> = 0x4010_0000..0x40df_f000;

/// What the run's end is told by; its address is known to whoever looks from outside.
pub const REPORT: Range<usize> = 0x40df_f000..0x40e0_0000;

/// The compiled VM configurations.
pub const COMPILED_CONFIGURATIONS: Range<usize> = 0x40e0_0000..0x40e1_0000;

/// Where the guests' images begin, and after them guest RAM; the device tree says where it ends.
pub const GUESTS_START: usize = 0x4100_0000;

/// The virt board's UART. Used only to say that there is no device tree to ask.
pub const LAST_RESORT_UART: Range<usize> = 0x0900_0000..0x0900_1000;
