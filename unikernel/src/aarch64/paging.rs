//! Stage 1 of EL2: the identity map with permissions, and the MMU and caches on.
//!
//! Called once by `boot`, MMU off, before anything takes a lock. The invariant: nothing is
//! both writable and executable, page 0 and the page below the stack are not mapped, and
//! what guests own (guest RAM) can never be executed at EL2.
//!
//! Arm ARM D8.2 (translation), D8.4 (permissions of a one-EL regime), D17.2.124 (SCTLR_EL2),
//! D17.2.139 (TCR_EL2).

use super::assembly::instructions;
use super::memory_map::{COMPILED_CONFIGURATIONS, IMAGE, REPORT};
use super::table_pool::TablePool;
use crate::image;
use crate::places::Guests;
use aarch64_cpu::registers::{ID_AA64MMFR0_EL1, MAIR_EL2, Readable, SCTLR_EL2, TCR_EL2, Writeable};
// Field's crate for page tables: without its `alloc` feature it needs only our `TablePool`.
use aarch64_paging::Mapping;
use aarch64_paging::descriptor::{El23Attributes, PhysicalAddress};
use aarch64_paging::mair::{Mair, MairAttribute, NormalMemory};
use aarch64_paging::paging::{Constraints, El2, MemoryRegion};
use core::ops::Range;

/// Level 1 at the root: 39 bits of address.
const ROOT_LEVEL: usize = 1;
const ADDRESS_BITS: u64 = 39;

const WRITE_BACK: NormalMemory = NormalMemory::WriteBackNonTransientReadWriteAllocate;
const MAIR: Mair = Mair::EMPTY
    .with_attribute(0, MairAttribute::DEVICE_NGNRNE)
    .with_attribute(1, MairAttribute::normal(WRITE_BACK, WRITE_BACK));

const MAPPED: El23Attributes = El23Attributes::VALID
    .union(El23Attributes::ACCESSED)
    .union(El23Attributes::USER_RES1);
const NORMAL: El23Attributes = MAPPED
    .union(El23Attributes::ATTRIBUTE_INDEX_1)
    .union(El23Attributes::INNER_SHAREABLE);
const READ_EXECUTE: El23Attributes = NORMAL.union(El23Attributes::READ_ONLY);
const READ_ONLY: El23Attributes = READ_EXECUTE.union(El23Attributes::XN);
const READ_WRITE: El23Attributes = NORMAL.union(El23Attributes::XN);
const DEVICE: El23Attributes = MAPPED
    .union(El23Attributes::ATTRIBUTE_INDEX_0)
    .union(El23Attributes::XN);

/// Maps the memory map's table, `devices` and `guests`, and turns MMU and caches on.
///
/// # Safety
///
/// Once, with the MMU off; `devices` and `guests` must be what their names say, and
/// nobody may hold references into them.
pub unsafe fn enable(devices: &[Range<usize>], guests: &Guests) {
    assert!(
        image::text_start() == IMAGE.start,
        "aarch64.ld and memory_map.rs disagree"
    );
    let mut map = Mapping::new(TablePool, ROOT_LEVEL, El2);
    let mut add = |what: Range<usize>, attributes| {
        let region = MemoryRegion::new(what.start, what.end);
        let result = map.map_range(
            &region,
            PhysicalAddress(what.start),
            attributes,
            Constraints::empty(),
        );
        assert!(result.is_ok(), "cannot map {what:#x?}: {result:?}");
    };
    add(image::text_start()..image::rodata_start(), READ_EXECUTE);
    add(image::rodata_start()..image::data_start(), READ_ONLY);
    add(image::data_start()..image::stack_guard(), READ_WRITE);
    add(image::stack_bottom()..image::image_end(), READ_WRITE);
    add(REPORT, READ_WRITE);
    add(COMPILED_CONFIGURATIONS, READ_ONLY);
    add(guests.images.clone(), READ_ONLY);
    add(guests.ram.clone(), READ_WRITE);
    for device in devices {
        add(device.clone(), DEVICE);
    }

    MAIR_EL2.set(MAIR.0);
    TCR_EL2.set(
        TCR_RES1
            | (TCR_EL2::T0SZ.val(64 - ADDRESS_BITS)
                + TCR_EL2::IRGN0::WriteBack_ReadAlloc_WriteAlloc_Cacheable
                + TCR_EL2::ORGN0::WriteBack_ReadAlloc_WriteAlloc_Cacheable
                + TCR_EL2::SH0::Inner
                + TCR_EL2::TG0::KiB_4
                + TCR_EL2::PS.val(ID_AA64MMFR0_EL1.read(ID_AA64MMFR0_EL1::PARange)))
            .value,
    );
    // SAFETY: the map covers all that this program uses, with the permissions it uses it
    // with: the linker symbols above are its whole extent.
    unsafe { map.activate() };
    instructions::invalidate_host_tlb();
    SCTLR_EL2.set(
        SCTLR_RES1
            | (SCTLR_EL2::M::Enable
                + SCTLR_EL2::C::Cacheable
                + SCTLR_EL2::I::Cacheable
                + SCTLR_EL2::SA::Enable
                + SCTLR_EL2::WXN::Enable)
                .value,
    );
    aarch64_cpu::asm::barrier::isb(aarch64_cpu::asm::barrier::SY);
    // Lives until the power goes off; dropping an active map would be a panic.
    core::mem::forget(map);
}

const TCR_RES1: u64 = 1 << 31 | 1 << 23;
const SCTLR_RES1: u64 = 0x30c5_0830;
