//! What the hardware would refuse, asked before it is set.
//!
//! Called by whoever runs the vCPU, for every value on its way into the VMCS and for what an entry
//! takes of several together. A VMM needs the answer before: an entry that fails is reported when
//! nobody can say any more which value it was, and a kernel below may not survive it.
//!
//! ```text
//!   one value ──────────────► may_write, may_load ─┐
//!   CR0, CR4, EFER together ► ModeRegisters ───────┼─ refused: whoever made it has a bug
//!   the event to inject ────► Event::is_taken ─────┘
//!   a guest that would enter IA-32e mode ► may_enter_ia32e_mode: refused is #GP
//! ```
//!
//! Invariant: a field that is not named here is refused, and so is a value of which the manual
//! says that an entry checks it and fails. It is stricter in what this VMM never wants: a guest
//! that is not active would not be left again.
//!
//! Specification: Intel SDM volume 3, "Checks on VMX Controls", "Checking and Loading Guest State",
//! "Checks on the Guest State Area"; volume 2, WRMSR, MOV to control registers; volume 4.

use crate::event::vector;
use crate::vmcs::{
    Field, INTERRUPT_SHADOW, PIN_PREEMPTION_TIMER, SegmentField, SegmentRegister, access_rights,
    entry, primary, secondary,
};
use core::fmt;

/// A value that an entry would fail by, or that no VMM should want.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// The value.
    pub value: u64,
    /// What the manual says of it.
    pub rule: &'static str,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}: {}", self.value, self.rule)
    }
}

/// Whether `value` can be in this field, whatever is in the others.
///
/// # Errors
///
/// The value, and the rule that is against it.
pub const fn may_write(field: Field, value: u64) -> Result<(), Refused> {
    if let Some((register, part)) = SegmentField::of(field) {
        return segment(register, part, value);
    }
    let rule = match field {
        Field::GUEST_RSP => return Ok(()),
        Field::GUEST_PAT => memory_types(value),
        Field::GUEST_EFER => only(value, EFER_BITS, "reserved bits of EFER"),
        Field::GUEST_CR0 | Field::CR0_READ_SHADOW => control_register_0(value),
        Field::GUEST_CR3 => only(value, u64::MAX >> 12, "bits 63 to 52 of CR3"),
        Field::GUEST_CR4 | Field::CR4_READ_SHADOW => only(value, CR4_BITS, "reserved bits of CR4"),
        Field::CR0_MASK => all(value, u64::MAX, "a bit of CR0 would be the guest's"),
        Field::CR4_MASK => all(value, !CR4_PGE, "a bit of CR4 but PGE would be the guest's"),
        Field::GUEST_DR7 => match value >> 32 == 0 && value & DR7_FIXED != 0 {
            true => None,
            false => Some("bits 63 to 32 of DR7 are clear, bit 10 is set"),
        },
        Field::GUEST_RFLAGS => match value & !RFLAGS_BITS == 0 && value & RFLAGS_FIXED != 0 {
            true => None,
            false => Some("reserved bits of RFLAGS are clear, bit 1 is set"),
        },
        Field::GUEST_GDTR_BASE
        | Field::GUEST_IDTR_BASE
        | Field::GUEST_SYSENTER_ESP
        | Field::GUEST_SYSENTER_EIP => canonical(value),
        Field::GUEST_GDTR_LIMIT | Field::GUEST_IDTR_LIMIT => {
            only(value, 0xffff, "bits 31 to 16 of a table's limit")
        }
        Field::GUEST_SYSENTER_CS => only(value, 0xffff_ffff, "32 bits"),
        Field::GUEST_ACTIVITY => only(value, 0, "a guest that is not active is not left again"),
        Field::GUEST_INTERRUPTIBILITY => {
            match value & !INTERRUPTIBILITY_BITS == 0
                && value & INTERRUPT_SHADOW != INTERRUPT_SHADOW
            {
                true => None,
                false => Some("blocked by STI or by MOV SS, and otherwise by an NMI alone"),
            }
        }
        Field::GUEST_PENDING_DEBUG_EXCEPTIONS => only(
            value,
            PENDING_BITS,
            "reserved bits of pending debug exceptions",
        ),
        field if Field::GUEST_PDPTE0.0 <= field.0 && field.0 <= Field::GUEST_PDPTE0.0 + 6 => {
            match value & PRESENT == 0 || value & PDPTE_RESERVED == 0 {
                true => None,
                false => Some("reserved bits of a page directory pointer that is present"),
            }
        }
        Field::PIN_BASED_CONTROLS => exactly(value, PIN_PREEMPTION_TIMER),
        Field::PRIMARY_CONTROLS => exactly(value & !primary::TSC_OFFSETTING, primary::OF_A_GUEST),
        Field::SECONDARY_CONTROLS => exactly(value, secondary::OF_A_GUEST),
        Field::ENTRY_CONTROLS => exactly(value & !entry::IA32E_MODE, entry::OF_A_GUEST),
        Field::EXCEPTION_BITMAP => {
            exactly(value, 1 << vector::DEBUG | 1 << vector::ALIGNMENT_CHECK)
        }
        Field::PREEMPTION_TIMER_VALUE => match value != 0 && value >> 32 == 0 {
            true => None,
            false => Some("a turn of the guest takes no time, or more than the timer counts"),
        },
        Field::ENTRY_EXCEPTION_ERROR_CODE => only(value, 0x7fff, "bits 31 to 15 of an error code"),
        _ => Some("a field that this VMM does not set"),
    };
    refused(value, rule)
}

/// Whether the register of SYSCALL with this number takes the value, as the CPU takes it.
///
/// # Errors
///
/// The value, and the rule that is against it.
pub const fn may_load(register: u32, value: u64) -> Result<(), Refused> {
    let rule = match register {
        msr::STAR => None,
        msr::LSTAR | msr::CSTAR => canonical(value),
        msr::FMASK => only(value, 0xffff_ffff, "bits 63 to 32 of FMASK"),
        _ => Some("a register that this VMM does not set"),
    };
    refused(value, rule)
}

/// Numbers of model-specific registers, those of SYSCALL.
pub mod msr {
    /// Its segments.
    pub const STAR: u32 = 0xc000_0081;
    /// Its entry in 64-bit mode.
    pub const LSTAR: u32 = 0xc000_0082;
    /// Its entry in compatibility mode.
    pub const CSTAR: u32 = 0xc000_0083;
    /// The flags that it clears.
    pub const FMASK: u32 = 0xc000_0084;
}

/// Whether a CPU enters IA-32e mode, where CS and TR have these access rights: neither marked as
/// 64-bit code, which would begin in the middle of an instruction stream, nor a task of 16 bits.
/// What it does not, it answers by #GP; an entry would fail.
pub const fn may_enter_ia32e_mode(cs: u64, tr: u64) -> bool {
    cs & access_rights::LONG == 0 && tr & access_rights::TYPE == access_rights::BUSY_TASK
}

/// The registers that decide together in which mode an entry leaves the CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModeRegisters {
    /// CR0.
    pub cr0: u64,
    /// CR4.
    pub cr4: u64,
    /// EFER.
    pub efer: u64,
}

impl ModeRegisters {
    /// Whether an entry with these controls takes them together.
    ///
    /// # Errors
    ///
    /// The register, and the rule that is against it.
    pub const fn are_taken(self, entry_controls: u64) -> Result<(), Refused> {
        let Self { cr0, cr4, efer } = self;
        let is_ia32e = entry_controls & entry::IA32E_MODE != 0;
        let is_paged = cr0 & CR0_PG != 0;
        let (lme, lma) = (efer & EFER_LME != 0, efer & EFER_LMA != 0);
        if is_paged && cr0 & CR0_PE == 0 {
            refused(cr0, Some("CR0.PG wants PE"))
        } else if is_ia32e && !is_paged {
            refused(cr0, Some("IA-32e mode wants CR0.PG"))
        } else if is_ia32e && cr4 & CR4_PAE == 0 {
            refused(cr4, Some("IA-32e mode wants CR4.PAE"))
        } else if !is_ia32e && cr4 & CR4_PCIDE != 0 {
            refused(cr4, Some("CR4.PCIDE wants IA-32e mode"))
        } else if lma != is_ia32e {
            refused(efer, Some("EFER.LMA is what the entry controls say"))
        } else if is_paged && lma != lme {
            refused(efer, Some("with paging EFER.LMA is LME"))
        } else {
            Ok(())
        }
    }
}

/// Whether an address of 48 bits is canonical.
pub const fn is_canonical(address: u64) -> bool {
    (address as i64) << 16 >> 16 == address as i64
}

const CR0_PE: u64 = 1 << 0;
const CR0_NW: u64 = 1 << 29;
const CR0_CD: u64 = 1 << 30;
const CR0_PG: u64 = 1 << 31;
const CR4_PAE: u64 = 1 << 5;
const CR4_PGE: u64 = 1 << 7;
const CR4_PCIDE: u64 = 1 << 17;
/// What a guest here can have: VME to PGE without MCE, PCE, OSFXSR, OSXMMEXCPT.
const CR4_BITS: u64 = 0b11_1111 | CR4_PGE | 0b111 << 8;
const EFER_LME: u64 = 1 << 8;
const EFER_LMA: u64 = 1 << 10;
/// SCE, LME, LMA, NXE.
const EFER_BITS: u64 = 1 << 0 | EFER_LME | EFER_LMA | 1 << 11;
const DR7_FIXED: u64 = 1 << 10;
const RFLAGS_FIXED: u64 = 1 << 1;
const RFLAGS_BITS: u64 = 0x3f_7fd7;
/// STI, MOV SS, NMI.
const INTERRUPTIBILITY_BITS: u64 = INTERRUPT_SHADOW | 1 << 3;
/// B0 to B3, enabled breakpoint, BS.
const PENDING_BITS: u64 = 0b1111 | 1 << 12 | 1 << 14;
const PRESENT: u64 = 1 << 0;
/// Bits 2 and 1, 8 to 5, and those beyond every physical address.
const PDPTE_RESERVED: u64 = 0b1_1110_0110 | 0xfff << 52;

const fn refused(value: u64, rule: Option<&'static str>) -> Result<(), Refused> {
    match rule {
        None => Ok(()),
        Some(rule) => Err(Refused { value, rule }),
    }
}

/// No bits but these.
const fn only(value: u64, bits: u64, rule: &'static str) -> Option<&'static str> {
    if value & !bits == 0 { None } else { Some(rule) }
}

/// All of these bits.
const fn all(value: u64, bits: u64, rule: &'static str) -> Option<&'static str> {
    if value & bits == bits {
        None
    } else {
        Some(rule)
    }
}

/// A control has the bits that this VMM means, no more and no fewer.
const fn exactly(value: u64, bits: u64) -> Option<&'static str> {
    if value == bits {
        None
    } else {
        Some("controls that this VMM does not run a guest with")
    }
}

const fn canonical(address: u64) -> Option<&'static str> {
    if is_canonical(address) {
        None
    } else {
        Some("no canonical address")
    }
}

const fn control_register_0(value: u64) -> Option<&'static str> {
    if value >> 32 != 0 {
        Some("bits 63 to 32 of CR0")
    } else if value & CR0_PG != 0 && value & CR0_PE == 0 {
        Some("CR0.PG wants PE")
    } else if value & CR0_NW != 0 && value & CR0_CD == 0 {
        Some("CR0.NW wants CD")
    } else {
        None
    }
}

const fn memory_types(pat: u64) -> Option<&'static str> {
    let types = pat.to_le_bytes();
    let mut index = 0;
    while index < types.len() {
        if !matches!(types[index], 0 | 1 | 4..=7) {
            return Some("a byte of PAT is no memory type");
        }
        index += 1;
    }
    None
}

const fn segment(register: SegmentRegister, part: SegmentField, value: u64) -> Result<(), Refused> {
    let is_long_base = matches!(
        register,
        SegmentRegister::Fs | SegmentRegister::Gs | SegmentRegister::Ldtr | SegmentRegister::Tr
    );
    let rule = match part {
        SegmentField::Selector => only(value, 0xffff, "16 bits of a selector"),
        SegmentField::Limit => only(value, 0xffff_ffff, "32 bits of a limit"),
        SegmentField::AccessRights => rights(register, value),
        SegmentField::Base if is_long_base => canonical(value),
        SegmentField::Base => only(value, 0xffff_ffff, "bits 63 to 32 of this base"),
    };
    refused(value, rule)
}

/// A guest's access rights where it starts: privilege level 0, and unusable but for CS, SS and TR.
const fn rights(register: SegmentRegister, value: u64) -> Option<&'static str> {
    use SegmentRegister::{Cs, Ldtr, Ss, Tr};
    use access_rights::{BIG, BITS, BUSY_TASK, CODE_OR_DATA, LONG, PRESENT, TYPE, UNUSABLE};
    let kind = value & TYPE;
    if value & !BITS != 0 {
        return Some("reserved bits of access rights");
    }
    if value & UNUSABLE != 0 {
        return match register {
            Cs | Ss | Tr => Some("CS, SS and TR are usable"),
            _ => None,
        };
    }
    let is_kind = match register {
        Cs => matches!(kind, 3 | 9 | 11 | 13 | 15),
        Ss => matches!(kind, 3 | 7),
        Ldtr => kind == 2,
        Tr => kind == BUSY_TASK,
        // Accessed, and if it is code it can be read.
        _ => kind & 1 != 0 && (kind & 0b1000 == 0 || kind & 0b10 != 0),
    };
    let is_system = matches!(register, Ldtr | Tr);
    if !is_kind {
        Some("the type of a segment")
    } else if (value & CODE_OR_DATA == 0) != is_system {
        Some("a system segment is LDTR or TR")
    } else if value & PRESENT == 0 {
        Some("a usable segment is present")
    } else if value & LONG != 0 && value & BIG != 0 {
        Some("a segment of 64-bit code has no D bit")
    } else {
        None
    }
}

#[cfg(test)]
mod tests;
