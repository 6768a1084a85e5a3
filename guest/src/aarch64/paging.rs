//! Stage 1 for programs that run with the MMU on: a page table of their own making.
//!
//! [`Mmu::on`] maps what a program needs at its own address (its RAM, its console, its
//! location), and, from [`WINDOW`] on, the pages that it is given, side by side. The same
//! table serves both halves of the address space: [`Mmu::upper`] is where the other half sees
//! an address.
//!
//! Invariant: everything the program uses while the MMU is on is mapped where it was, so that
//! turning it on and off changes nothing around it. Memory is Normal Non-cacheable: nothing
//! is left in a cache when the MMU goes off.
//!
//! Arm ARM D8.2 (walks), D8.3 (descriptors), D17.2.139 (TCR_EL1).

use core::sync::atomic::{AtomicU64, Ordering};

/// Where the pages that a program asks for begin.
pub const WINDOW: u64 = 0x1_0000_0000;

/// The sizes of pages that the architecture has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Granule {
    /// 4 KiB pages, addresses of 39 bits.
    Kib4,
    /// 16 KiB pages, addresses of 36 bits.
    Kib16,
    /// 64 KiB pages, addresses of 42 bits.
    Kib64,
}

/// What a page of the window is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// Data, also of EL0.
    Memory,
    /// Instructions and data of EL1 alone.
    Code,
    /// Instructions of EL0.
    UserCode,
    /// A device, also of EL0.
    Device,
}

/// The MMU while it is on.
#[derive(Debug)]
pub struct Mmu {
    granule: Granule,
}

const ENTRIES: usize = 8192;
/// Root, and the levels below it for the window.
const TABLES: usize = 3;

#[repr(C, align(65536))]
struct Table([AtomicU64; ENTRIES]);

static TABLE: [Table; TABLES] = [const { Table([const { AtomicU64::new(0) }; ENTRIES]) }; TABLES];

mod descriptor {
    pub const VALID: u64 = 1 << 0;
    pub const TABLE_OR_PAGE: u64 = 1 << 1;
    /// Index 1 of MAIR_EL1; index 0 is a device.
    pub const MEMORY: u64 = 1 << 2;
    pub const EL0: u64 = 1 << 6;
    pub const READ_ONLY: u64 = 1 << 7;
    pub const INNER_SHAREABLE: u64 = 0b11 << 8;
    pub const ACCESS_FLAG: u64 = 1 << 10;
    pub const NEVER_EXECUTED: u64 = 0b11 << 53;
    pub const ADDRESS: u64 = 0x0000_ffff_ffff_f000;
}

impl Granule {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Kib4, Self::Kib16, Self::Kib64];

    /// How people call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kib4 => "4 KiB",
            Self::Kib16 => "16 KiB",
            Self::Kib64 => "64 KiB",
        }
    }

    /// Bytes of a page.
    pub const fn page_bytes(self) -> u64 {
        1 << self.page_bits()
    }

    const fn page_bits(self) -> u32 {
        match self {
            Self::Kib4 => 12,
            Self::Kib16 => 14,
            Self::Kib64 => 16,
        }
    }

    /// TCR_EL1.TnSZ: 64 minus the bits of an address.
    const fn size(self) -> u64 {
        match self {
            Self::Kib4 => 25,
            Self::Kib16 => 28,
            Self::Kib64 => 22,
        }
    }

    /// The level of the root, where identity mappings are blocks.
    const fn root_level(self) -> u32 {
        match self {
            Self::Kib4 => 1,
            Self::Kib16 | Self::Kib64 => 2,
        }
    }

    const fn shift(self, level: u32) -> u32 {
        self.page_bits() + (self.page_bits() - 3) * (3 - level)
    }

    /// Whether the CPU has it: ID_AA64MMFR0_EL1, TGran4, TGran16, TGran64.
    #[cfg(target_os = "none")]
    pub fn exists(self) -> bool {
        use aarch64_cpu::registers::{ID_AA64MMFR0_EL1, Readable};
        let features = ID_AA64MMFR0_EL1.get();
        match self {
            Self::Kib4 => features >> 28 & 0xf != 0xf,
            Self::Kib16 => features >> 20 & 0xf != 0,
            Self::Kib64 => features >> 24 & 0xf != 0xf,
        }
    }

    /// Whether the CPU has it.
    #[cfg(not(target_os = "none"))]
    pub fn exists(self) -> bool {
        unimplemented!("{self:?}")
    }
}

impl Mmu {
    /// Turns the MMU on. The blocks around the addresses in `devices` are mapped as devices,
    /// where they are; the program as memory; and `window` page by page. Each of those is the
    /// address of a page of this granule.
    pub fn on(granule: Granule, devices: &[u64], window: &[(u64, Use)]) -> Self {
        let mmu = Self { granule };
        for entry in TABLE.iter().flat_map(|table| &table.0) {
            entry.store(0, Ordering::Relaxed);
        }
        let root_level = granule.root_level();
        let block = !((1 << granule.shift(root_level)) - 1);
        for device in devices {
            mmu.map(device & block, device & block, root_level, Use::Device);
        }
        let program = (&raw const TABLE).addr() as u64 & block;
        mmu.map(program, program, root_level, Use::Code);
        for ((page, purpose), number) in window.iter().zip(0..) {
            let address = WINDOW + number * granule.page_bytes();
            mmu.map(address, *page, 3, *purpose);
        }
        mmu.enable();
        mmu
    }

    /// Turns it off.
    pub fn off(self) {
        #[cfg(target_os = "none")]
        {
            use aarch64_cpu::asm::barrier;
            use aarch64_cpu::registers::{ReadWriteable, SCTLR_EL1};
            SCTLR_EL1.modify(SCTLR_EL1::M::Disable);
            barrier::isb(barrier::SY);
        }
    }

    /// Where the upper half sees what the lower half has at `address`.
    pub const fn upper(&self, address: u64) -> u64 {
        u64::MAX << (64 - self.granule.size()) | address
    }

    /// Enters one page, or a block, with tables on the way.
    fn map(&self, address: u64, to: u64, leaf_level: u32, purpose: Use) {
        let mut table = 0;
        let index_mask = self.granule.page_bytes() / 8 - 1;
        for level in self.granule.root_level()..=leaf_level {
            let index = (address >> self.granule.shift(level) & index_mask) as usize;
            let entry = &TABLE[table].0[index];
            if level == leaf_level {
                let kind = match level {
                    3 => descriptor::VALID | descriptor::TABLE_OR_PAGE,
                    _ => descriptor::VALID,
                };
                entry.store(to | attributes(purpose) | kind, Ordering::Relaxed);
                return;
            }
            // The window's tables follow the root, one for each level.
            table += 1;
            let next = (&raw const TABLE[table]).addr() as u64;
            let kind = descriptor::VALID | descriptor::TABLE_OR_PAGE;
            entry.store(next & descriptor::ADDRESS | kind, Ordering::Relaxed);
        }
    }

    fn enable(&self) {
        #[cfg(target_os = "none")]
        {
            use aarch64_cpu::asm::barrier;
            use aarch64_cpu::registers::{
                MAIR_EL1, ReadWriteable, SCTLR_EL1, TCR_EL1, TTBR0_EL1, TTBR1_EL1, Writeable,
            };
            // Index 0: Device-nGnRE; index 1: Normal, Non-cacheable.
            MAIR_EL1.set(0x4404);
            let size = self.granule.size();
            // TG0 and TG1 encode the granule differently.
            let (tg0, tg1) = match self.granule {
                Granule::Kib4 => (0b00, 0b10),
                Granule::Kib16 => (0b10, 0b01),
                Granule::Kib64 => (0b01, 0b11),
            };
            const IPS_40_BITS: u64 = 0b010 << 32;
            TCR_EL1.set(size | size << 16 | tg0 << 14 | tg1 << 30 | IPS_40_BITS);
            let root = (&raw const TABLE).addr() as u64;
            TTBR0_EL1.set(root);
            TTBR1_EL1.set(root);
            barrier::dsb(barrier::SY);
            // SAFETY: forgets translations, of which none is in use: the MMU is off.
            unsafe { core::arch::asm!("tlbi vmalle1", "dsb nsh", "isb", options(nostack)) };
            SCTLR_EL1.modify(SCTLR_EL1::M::Enable);
            barrier::isb(barrier::SY);
        }
    }
}

fn attributes(purpose: Use) -> u64 {
    use descriptor::{ACCESS_FLAG, EL0, INNER_SHAREABLE, MEMORY, NEVER_EXECUTED, READ_ONLY};
    match purpose {
        Use::Memory => ACCESS_FLAG | INNER_SHAREABLE | MEMORY | EL0 | NEVER_EXECUTED,
        Use::Code => ACCESS_FLAG | INNER_SHAREABLE | MEMORY,
        Use::UserCode => ACCESS_FLAG | INNER_SHAREABLE | MEMORY | EL0 | READ_ONLY,
        Use::Device => ACCESS_FLAG | EL0 | NEVER_EXECUTED,
    }
}
