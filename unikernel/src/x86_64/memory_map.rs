//! Where everything is in physical memory, and what may be done with it.
//!
//! Read by `paging` (which turns the table into permissions), by `boot`, and by whoever
//! needs a VM's compiled configuration or its guest's images. The invariant: the parts do
//! not overlap, and all that is not the guests' ends below 0x1000000, 16 MiB.
//!
//! | from       | to           | what                                        | host may |
//! |------------|--------------|---------------------------------------------|----------|
//! | 0          | 0x100000     | firmware, and what it says of the machine; read once, before `paging` | – |
//! | 0x100000   | image's end  | this program: text, constants, data, stack  | R-X, R--, RW- |
//! | image's end | 0xdff000    | free                                        | – |
//! | 0xdff000   | 0xe00000     | report page, for whoever looks from outside | RW- |
//! | 0xe00000   | 0xe10000     | compiled configurations, two pages for each VM, put there by QEMU's loader | R-- |
//! | 0x1000000  | images' end  | guests' images, each VM's from the page after the one before, put there by QEMU's loader | R-- |
//! | the next 2 MiB | end of RAM | guest RAM, handed out in 2 MiB blocks      | RW- |
//! | IA32_APIC_BASE's | + 0x1000 | local APIC                                | RW-, device |
//!
//! Everything is mapped where it is (virtual = physical).

use core::ops::Range;

/// What the image may take; `x86_64.ld` links it to the start.
pub const IMAGE: Range<usize> = 0x10_0000..0xdf_f000;

/// What the run's end is told by; its address is known to whoever looks from outside.
pub const REPORT: Range<usize> = 0xdf_f000..0xe0_0000;

/// The compiled VM configurations.
pub const COMPILED_CONFIGURATIONS: Range<usize> = 0xe0_0000..0xe1_0000;

/// Where the guests' images begin, and after them guest RAM; the firmware's memory map says where it ends.
pub const GUESTS_START: usize = 0x100_0000;
