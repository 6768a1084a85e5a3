//! The registers that decide in which mode a CPU runs, where a VMM carries out their writes.
//!
//! Called by a platform whose hardware asks the VMM about each write. Invariant: what a write
//! gives is a combination that a CPU takes; what a CPU answers with a general protection
//! exception is `None`, and nothing has changed.
//!
//! Specification: Intel SDM volume 3, "Control Registers", "Initializing IA-32e Mode"; volume 2,
//! MOV to control registers, LMSW.

use crate::Mode;

/// CR0, CR4 and EFER, as the guest reads them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ControlRegisters {
    /// CR0.
    pub cr0: u64,
    /// CR4.
    pub cr4: u64,
    /// EFER.
    pub efer: u64,
}

const CR0_PE: u64 = 1 << 0;
const CR0_ET: u64 = 1 << 4;
const CR0_NW: u64 = 1 << 29;
const CR0_CD: u64 = 1 << 30;
const CR0_PG: u64 = 1 << 31;
/// PE, MP, EM, TS, NE, WP, AM, NW, CD, PG: the others of the lower half cannot be set.
const CR0_WRITABLE: u64 = 0b10_1111 | 1 << 16 | 1 << 18 | CR0_NW | CR0_CD | CR0_PG;

const CR4_PAE: u64 = 1 << 5;
const CR4_PSE: u64 = 1 << 4;
const CR4_PGE: u64 = 1 << 7;
/// VME, PVI, TSD, DE, PSE, PAE, PGE, OSFXSR, OSXMMEXCPT: what a guest's CPUID has; and PCE,
/// which every CPU has.
const CR4_WRITABLE: u64 = 0b11_1111 | CR4_PGE | 1 << 8 | 1 << 9 | 1 << 10;

const EFER_LME: u64 = 1 << 8;
const EFER_LMA: u64 = 1 << 10;

impl ControlRegisters {
    /// After a write of CR0 by code in this mode.
    pub const fn with_cr0(self, written: u64, mode: Mode) -> Option<Self> {
        let Self { cr0, cr4, mut efer } = self;
        let new = written & CR0_WRITABLE | CR0_ET;
        let is_paged = new & CR0_PG != 0;
        if written >> 32 != 0
            || is_paged && new & CR0_PE == 0
            || new & CR0_NW != 0 && new & CR0_CD == 0
        {
            return None;
        }
        if (cr0 ^ new) & CR0_PG != 0 && efer & EFER_LME != 0 {
            if matches!(mode, Mode::Long) || is_paged && cr4 & CR4_PAE == 0 {
                return None;
            }
            efer = efer & !EFER_LMA | if is_paged { EFER_LMA } else { 0 };
        }
        Some(Self {
            cr0: new,
            cr4,
            efer,
        })
    }

    /// After LMSW, which changes the lowest four bits and cannot clear the first.
    pub const fn with_machine_status(self, written: u16, mode: Mode) -> Option<Self> {
        const STATUS: u64 = 0b1111;
        let status = written as u64 & STATUS | self.cr0 & CR0_PE;
        self.with_cr0(self.cr0 & !STATUS | status, mode)
    }

    /// After CLTS.
    pub const fn with_ts_clear(self) -> Self {
        const CR0_TS: u64 = 1 << 3;
        Self {
            cr0: self.cr0 & !CR0_TS,
            ..self
        }
    }

    /// After a write of CR4.
    pub const fn with_cr4(self, written: u64) -> Option<Self> {
        if written & !CR4_WRITABLE != 0 || self.efer & EFER_LMA != 0 && written & CR4_PAE == 0 {
            return None;
        }
        Some(Self {
            cr4: written,
            ..self
        })
    }

    /// Whether the guest is in IA-32e mode.
    pub const fn is_long(&self) -> bool {
        self.efer & EFER_LMA != 0
    }

    /// Whether translation begins at the four entries that the CPU loaded from CR3.
    pub const fn has_page_directory_pointers(&self) -> bool {
        self.cr0 & CR0_PG != 0 && self.cr4 & CR4_PAE != 0 && !self.is_long()
    }

    /// Whether the CPU loads these entries when `before` becomes this by a write of CR0 or CR4.
    pub const fn loads_page_directory_pointers(&self, before: &Self) -> bool {
        let changed_0 = (self.cr0 ^ before.cr0) & (CR0_PG | CR0_CD | CR0_NW);
        let changed_4 = (self.cr4 ^ before.cr4) & (CR4_PAE | CR4_PGE | CR4_PSE);
        self.has_page_directory_pointers() && (changed_0 | changed_4) != 0
    }
}

/// Whether a CPU with physical addresses of so many bits takes this one of the four entries.
pub const fn is_page_directory_pointer(entry: u64, physical_address_bits: u32) -> bool {
    const PRESENT: u64 = 1 << 0;
    const RESERVED: u64 = 0b1_1110_0110;
    let beyond = match u64::MAX.checked_shl(physical_address_bits) {
        Some(beyond) => beyond,
        None => 0,
    };
    entry & PRESENT == 0 || entry & (RESERVED | beyond) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: ControlRegisters = ControlRegisters {
        cr0: 0x8001_0031,
        cr4: 0x20,
        efer: 0xd00,
    };

    #[test]
    fn paging_cannot_be_switched_off_in_64_bit_mode_but_from_32_bit_code_in_long_mode() {
        assert_eq!(LONG.with_cr0(0x1_0031, Mode::Long), None);
        let unpaged = LONG.with_cr0(0x1_0031, Mode::Protected).unwrap();
        assert_eq!((unpaged.cr0, unpaged.efer), (0x1_0031, 0x900));
        assert!(!unpaged.is_long() && !unpaged.has_page_directory_pointers());
        let again = unpaged.with_cr0(0x8001_0031, Mode::Protected).unwrap();
        assert_eq!(again, LONG);
    }

    #[test]
    fn long_mode_wants_physical_address_extension_before_and_while_it_is_on() {
        assert_eq!(LONG.with_cr4(0), None);
        let unpaged = LONG.with_cr0(0x11, Mode::Protected).unwrap();
        let without = unpaged.with_cr4(0).unwrap();
        assert_eq!(without.with_cr0(0x8000_0011, Mode::Protected), None);
    }

    #[test]
    fn without_long_mode_enabled_these_tables_begin_with_four_entries() {
        let legacy = ControlRegisters {
            efer: 0,
            cr0: 0x11,
            cr4: 0x20,
        };
        let paged = legacy.with_cr0(0x8000_0011, Mode::Protected).unwrap();
        assert!(paged.has_page_directory_pointers());
        assert!(!paged.with_cr4(0).unwrap().has_page_directory_pointers());
    }

    #[test]
    fn these_entries_are_loaded_by_a_change_that_may_concern_them() {
        let paged = ControlRegisters {
            efer: 0,
            cr0: 0x8000_0011,
            cr4: 0x20,
        };
        let without_paging = paged.with_cr0(0x11, Mode::Protected).unwrap();
        assert!(paged.loads_page_directory_pointers(&without_paging));
        assert!(!without_paging.loads_page_directory_pointers(&paged));
        let global = paged.with_cr4(0xa0).unwrap();
        assert!(global.loads_page_directory_pointers(&paged));
        let uncached = paged.with_cr0(0xc000_0011, Mode::Protected).unwrap();
        assert!(uncached.loads_page_directory_pointers(&paged));
        let switched = paged.with_machine_status(0xb, Mode::Protected).unwrap();
        assert!(!switched.loads_page_directory_pointers(&paged));
        assert!(!LONG.loads_page_directory_pointers(&paged));
    }

    #[test]
    fn an_entry_of_the_four_that_is_present_has_no_reserved_bit() {
        assert!(is_page_directory_pointer(0x4000_0001, 40));
        assert!(is_page_directory_pointer(0x4000_0e19, 40));
        for bit in [1, 2, 5, 6, 7, 8, 40, 63] {
            assert!(!is_page_directory_pointer(0x4000_0001 | 1 << bit, 40));
            assert!(is_page_directory_pointer(0x4000_0000 | 1 << bit, 40));
        }
    }

    #[test]
    fn what_a_cpu_refuses_is_refused() {
        let refused = [
            // An upper half, paging without protection, not write-through without cache disable.
            0x1_8001_0031,
            0x8000_0030,
            0xa001_0031,
        ];
        for cr0 in refused {
            assert_eq!(LONG.with_cr0(cr0, Mode::Long), None, "{cr0:#x}");
        }
        // Reserved; VMXE, SMXE, PCIDE, OSXSAVE, which a guest's CPU does not have.
        for bit in [63, 31, 23, 13, 14, 17, 18] {
            assert_eq!(LONG.with_cr4(0x20 | 1 << bit), None, "bit {bit}");
        }
    }

    /// Neither paging nor protection.
    const REAL: ControlRegisters = ControlRegisters {
        cr0: 0x10,
        cr4: 0,
        efer: 0,
    };

    #[test]
    fn each_bit_of_cr0_that_a_cpu_has_is_the_guests_to_set() {
        // PE, MP, EM, TS, NE, WP, AM, CD; ET is always set. PG wants PE beside it, NW CD.
        let alone = [0, 1, 2, 3, 5, 16, 18, 30];
        for bit in 0..64 {
            let written = REAL.with_cr0(1 << bit, Mode::Real);
            let wanted = match bit {
                29 | 31 | 32.. => None,
                _ if alone.contains(&bit) => Some(1 << bit | 0x10),
                _ => Some(0x10),
            };
            assert_eq!(written.map(|it| it.cr0), wanted, "bit {bit}");
        }
        for both in [1 << 31 | 1, 1 << 29 | 1 << 30] {
            let written = REAL.with_cr0(both, Mode::Real).unwrap();
            assert_eq!(written.cr0, both | 0x10);
        }
    }

    #[test]
    fn each_bit_of_cr4_that_a_guests_cpu_has_is_its_to_set() {
        // VME, PVI, TSD, DE, PSE, PAE, PGE, PCE, OSFXSR, OSXMMEXCPT.
        let own = [0, 1, 2, 3, 4, 5, 7, 8, 9, 10];
        for bit in 0..64 {
            let written = REAL.with_cr4(1 << bit).map(|it| it.cr4);
            let wanted = own.contains(&bit).then_some(1 << bit);
            assert_eq!(written, wanted, "bit {bit}");
        }
    }

    #[test]
    fn each_bit_that_decides_how_the_four_entries_are_used_loads_them() {
        // Intel SDM volume 3, 4.4.1: PG, CD, NW of CR0; PSE, PAE, PGE of CR4.
        let after = ControlRegisters {
            efer: 0,
            cr0: 0xe000_0011,
            cr4: 0xb0,
        };
        for bit in 0..32 {
            let before = ControlRegisters {
                cr0: after.cr0 ^ 1 << bit,
                ..after
            };
            let loads = after.loads_page_directory_pointers(&before);
            assert_eq!(loads, [29, 30, 31].contains(&bit), "bit {bit} of CR0");
            let before = ControlRegisters {
                cr4: after.cr4 ^ 1 << bit,
                ..after
            };
            let loads = after.loads_page_directory_pointers(&before);
            assert_eq!(loads, [4, 5, 7].contains(&bit), "bit {bit} of CR4");
        }
    }

    #[test]
    fn lmsw_of_all_four_bits_leaves_protection_on() {
        let protected = REAL.with_cr0(1, Mode::Real).unwrap();
        let written = protected.with_machine_status(0xf, Mode::Protected);
        assert_eq!(written.unwrap().cr0, 0x1f);
    }

    #[test]
    fn lmsw_clears_the_three_bits_above_protection() {
        let cleared = |cr0, mode| {
            let before = REAL.with_cr0(cr0, mode).unwrap();
            before.with_machine_status(0, mode).unwrap().cr0
        };
        assert_eq!(cleared(0xe, Mode::Real), 0x10);
        assert_eq!(cleared(0xf, Mode::Protected), 0x11);
    }

    #[test]
    fn long_mode_is_what_efer_says_is_active_and_has_no_four_entries() {
        assert!(LONG.is_long() && !LONG.has_page_directory_pointers());
        let enabled = ControlRegisters {
            efer: 1 << 8,
            ..LONG
        };
        assert!(!enabled.is_long() && enabled.has_page_directory_pointers());
    }

    #[test]
    fn reserved_bits_of_the_lower_half_of_cr0_stay_clear_and_et_set() {
        let written = LONG.with_cr0(0x8001_ffe1, Mode::Long).unwrap();
        assert_eq!(written.cr0, 0x8001_0031);
    }

    #[test]
    fn lmsw_sets_protection_and_never_clears_it() {
        let real = ControlRegisters {
            cr0: 0x10,
            cr4: 0,
            efer: 0,
        };
        assert_eq!(real.with_machine_status(1, Mode::Real).unwrap().cr0, 0x11);
        let switched = LONG.with_machine_status(0xfff8, Mode::Long).unwrap();
        assert_eq!(switched.cr0, 0x8001_0039);
        assert_eq!(switched.with_ts_clear(), LONG);
    }
}
