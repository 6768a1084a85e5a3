//! One load or store of a guest, as the VMM works with it, whatever CPU the guest runs on.
//!
//! Built by the decoders of the architectures (`a64-guest`, `x86-guest`, `vt-x`), read by the bus, the
//! devices and the records. The numbers in
//! it come from the guest: each type holds only what its hardware field can hold.
//!
//! Specification: Arm ARM (DDI 0487) D24.2.40, fields SAS, SSE, SRT, SF, WnR.
#![no_std]
#![forbid(unsafe_code)]

/// An address in a guest's physical memory (an IPA), in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GuestPhysAddr(pub u64);

/// Which addresses a number is one of: an x86 guest has I/O ports beside its memory, with numbers of
/// their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AddressSpace {
    /// Guest-physical memory.
    Memory,
    /// The I/O ports of x86.
    Ports,
}

impl AddressSpace {
    /// One past its last address.
    pub const fn limit(self) -> u64 {
        match self {
            Self::Memory => GUEST_PHYS_LIMIT,
            Self::Ports => PORT_LIMIT,
        }
    }
}

/// One past the last guest-physical address that a VM may use: 40 bits, what the smallest
/// second-stage tables on our platforms cover.
pub const GUEST_PHYS_LIMIT: u64 = 1 << 40;

/// One past the last I/O port of an x86 guest.
pub const PORT_LIMIT: u64 = 1 << 16;

/// Whether an access reads or writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// A load.
    Read,
    /// A store.
    Write,
}

/// How many bytes a single access moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccessWidth {
    /// 1 byte.
    Byte,
    /// 2 bytes.
    Halfword,
    /// 4 bytes.
    Word,
    /// 8 bytes.
    Doubleword,
}

impl AccessWidth {
    /// From the two bits of SAS; higher bits are ignored.
    #[inline]
    pub const fn from_log2(log2_bytes: u8) -> Self {
        match log2_bytes & 3 {
            0 => Self::Byte,
            1 => Self::Halfword,
            2 => Self::Word,
            _ => Self::Doubleword,
        }
    }

    /// Its logarithm: 0, 1, 2 or 3.
    #[inline]
    pub const fn log2(self) -> u8 {
        self as u8
    }

    /// The width in bytes: 1, 2, 4 or 8.
    #[inline]
    pub const fn bytes(self) -> u64 {
        1 << self as u64
    }

    /// All ones of this width.
    #[inline]
    pub const fn mask(self) -> u64 {
        u64::MAX >> (64 - 8 * self.bytes())
    }
}

/// A general-purpose register of an instruction: x0 to x30, or 31, the zero register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gpr(u8);

impl Gpr {
    /// XZR/WZR: reads as zero, discards writes.
    pub const ZERO: Self = Self(31);

    /// From a five-bit register field; higher bits are ignored.
    #[inline]
    pub const fn from_number(number: u8) -> Self {
        Self(number & 31)
    }

    /// 0 to 31.
    #[inline]
    pub const fn number(self) -> usize {
        self.0 as usize
    }
}

/// What a load does with the register bits above the access.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extension {
    /// Sign-extended (LDRSB, LDRSH, LDRSW); otherwise zero-extended.
    pub signed: bool,
    /// The target is an X register; writing a W register clears the upper half.
    pub to_64_bits: bool,
}

impl Extension {
    /// What fills a W register.
    pub const ZERO: Self = Self {
        signed: false,
        to_64_bits: false,
    };

    /// What a register holds after a load of `value` from `width` bytes.
    #[inline]
    pub fn apply(self, width: AccessWidth, value: u64) -> u64 {
        if !self.signed {
            return value & width.mask();
        }
        let unused_bits = 64 - 8 * width.bytes() as u32;
        let extended = ((value << unused_bits) as i64 >> unused_bits) as u64;
        if self.to_64_bits {
            extended
        } else {
            extended & 0xffff_ffff
        }
    }
}

/// A load or store that left the guest, described completely.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    /// The first byte it touches.
    pub address: GuestPhysAddr,
    /// How many bytes it moves.
    pub width: AccessWidth,
    /// Load or store.
    pub direction: Direction,
    /// The register it moves from or to.
    pub register: Gpr,
    /// How a load fills the register.
    pub extension: Extension,
    /// The guest's program counter at the instruction (guest-virtual).
    pub pc: u64,
}

impl Access {
    /// What the target register holds after a load of `value`.
    #[inline]
    pub fn extend(&self, value: u64) -> u64 {
        self.extension.apply(self.width, value)
    }
}
