//! The compiled VM configuration: what one VM is made of, as a blob of fixed layout that is
//! read in place.
//!
//! The host's configuration compiler (`tools/vmconf`) writes it with `encode`; the loader
//! puts it into a memory region of its own; `pd-vmm` and `pd-trace` (or the unikernel that
//! hosts them) read it once, at start, with [`VmConfig::parse`]. Nothing is parsed as text
//! inside a protection domain, and nothing here allocates.
//!
//! Invariant: a [`VmConfig`] that exists satisfies every rule of this page, so whoever holds
//! one checks nothing again. No bytes make the reader panic.
//!
//! - Texts are printable ASCII; names have no blanks, and device names differ pairwise.
//! - Images are laid out by whoever compiled the configuration: each piece of them has a place in RAM, no
//!   two have a byte in common, and the guest starts in RAM.
//! - A device is in an address space of its kind's, and aligned as its kind says; it has the options of its
//!   kind, each with a value of its type.
//! - RAM and ROM ranges are whole 4 KiB pages, ROM of more than 2 MiB whole blocks of that.
//! - A device tree is where a piece begins.
//! - RAM, ROM and devices lie below their address space's [limit](AddressSpace::limit), and no two of them
//!   overlap.
//!
//! The words and their meaning are those of the QNX hypervisor's VM configuration (*QNX
//! Hypervisor User's Guide*, chapters "VM Configuration Reference" and "Virtual Device
//! Reference"); the layout is ours and stands in `layout.rs`.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "encode")]
mod encode;
mod error;
mod layout;
mod model;
mod read;

#[cfg(feature = "encode")]
pub use encode::{Contents, encode, image_crc32};
pub use error::{ConfigError, TextField};
pub use layout::{
    BLOB_LEN_BYTES, MAX_CMDLINE_BYTES, MAX_DEVICE_NAME_BYTES, MAX_DEVICES, MAX_IMAGES,
    MAX_LOAD_NAME_BYTES, MAX_NAME_BYTES, MAX_PIECES, MAX_RAM_RANGES, MAX_ROM_RANGES, MAX_VMS,
    REGION_LEN_BYTES,
};
pub use model::{
    Action, Device, Emit, Image, MAX_ROM_LEN_BYTES, PAGE_LEN_BYTES, Piece, ROM_BLOCK_LEN_BYTES,
    RamRange, RomRange, SeverityMask, TraceNumber, Unsupported,
};
pub use read::VmConfig;
pub use vdev_model::{AddressSpace, AnyVdev, Kind, Options};
pub use vdevs::Vdev;
