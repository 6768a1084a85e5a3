//! Names of the virtual-machine control structure, the VMCS: its fields, and the bits of its
//! controls.
//!
//! Used by whoever runs the vCPU. Invariant: the numbers are the manual's; which fields may be
//! read and written, and which bits are fixed, the hardware says, and a kernel below.
//!
//! Specification: Intel SDM volume 3, chapter "Virtual Machine Control Structures", appendix B
//! (field encodings).

/// A field, by its encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field(pub u32);

impl Field {
    /// IA32_PAT of the guest.
    pub const GUEST_PAT: Self = Self(0x2804);
    /// IA32_EFER of the guest.
    pub const GUEST_EFER: Self = Self(0x2806);
    /// The first of four entries that PAE paging walks from.
    pub const GUEST_PDPTE0: Self = Self(0x280a);
    /// Pin-based execution controls.
    pub const PIN_BASED_CONTROLS: Self = Self(0x4000);
    /// Primary processor-based execution controls.
    pub const PRIMARY_CONTROLS: Self = Self(0x4002);
    /// Exceptions that leave the guest, a bit for each vector.
    pub const EXCEPTION_BITMAP: Self = Self(0x4004);
    /// VM-entry controls.
    pub const ENTRY_CONTROLS: Self = Self(0x4012);
    /// The error code of an event that is injected.
    pub const ENTRY_EXCEPTION_ERROR_CODE: Self = Self(0x4018);
    /// Secondary processor-based execution controls.
    pub const SECONDARY_CONTROLS: Self = Self(0x401e);
    /// Which exception or interrupt left the guest.
    pub const EXIT_INTERRUPTION_INFO: Self = Self(0x4404);
    /// Which event was being delivered when the guest was left.
    pub const IDT_VECTORING_INFO: Self = Self(0x4408);
    /// Limit of GDTR.
    pub const GUEST_GDTR_LIMIT: Self = Self(0x4810);
    /// Limit of IDTR.
    pub const GUEST_IDTR_LIMIT: Self = Self(0x4812);
    /// What holds interrupts back for the next instruction.
    pub const GUEST_INTERRUPTIBILITY: Self = Self(0x4824);
    /// Active, or waiting for what wakes it.
    pub const GUEST_ACTIVITY: Self = Self(0x4826);
    /// IA32_SYSENTER_CS.
    pub const GUEST_SYSENTER_CS: Self = Self(0x482a);
    /// VMX-preemption timer value.
    pub const PREEMPTION_TIMER_VALUE: Self = Self(0x482e);
    /// Bits of CR0 that the guest does not change by itself.
    pub const CR0_MASK: Self = Self(0x6000);
    /// The same of CR4.
    pub const CR4_MASK: Self = Self(0x6002);
    /// What the guest reads of these bits of CR0.
    pub const CR0_READ_SHADOW: Self = Self(0x6004);
    /// The same of CR4.
    pub const CR4_READ_SHADOW: Self = Self(0x6006);
    /// CR0 of the guest.
    pub const GUEST_CR0: Self = Self(0x6800);
    /// CR3 of the guest.
    pub const GUEST_CR3: Self = Self(0x6802);
    /// CR4 of the guest.
    pub const GUEST_CR4: Self = Self(0x6804);
    /// Base of GDTR.
    pub const GUEST_GDTR_BASE: Self = Self(0x6816);
    /// Base of IDTR.
    pub const GUEST_IDTR_BASE: Self = Self(0x6818);
    /// DR7 of the guest.
    pub const GUEST_DR7: Self = Self(0x681a);
    /// RSP of the guest.
    pub const GUEST_RSP: Self = Self(0x681c);
    /// RIP.
    pub const GUEST_RIP: Self = Self(0x681e);
    /// RFLAGS of the guest.
    pub const GUEST_RFLAGS: Self = Self(0x6820);
    /// Debug exceptions that are due.
    pub const GUEST_PENDING_DEBUG_EXCEPTIONS: Self = Self(0x6822);
    /// IA32_SYSENTER_ESP.
    pub const GUEST_SYSENTER_ESP: Self = Self(0x6824);
    /// IA32_SYSENTER_EIP.
    pub const GUEST_SYSENTER_EIP: Self = Self(0x6826);
}

/// The registers of the guest that hold a segment, in the order of their fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the registers'")]
pub enum SegmentRegister {
    Es,
    Cs,
    Ss,
    Ds,
    Fs,
    Gs,
    Ldtr,
    Tr,
}

impl SegmentRegister {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Es,
        Self::Cs,
        Self::Ss,
        Self::Ds,
        Self::Fs,
        Self::Gs,
        Self::Ldtr,
        Self::Tr,
    ];

    const fn field(self, part: SegmentField) -> Field {
        Field(part as u32 + 2 * self as u32)
    }

    /// The selector's field.
    pub const fn selector(self) -> Field {
        self.field(SegmentField::Selector)
    }

    /// The limit's field.
    pub const fn limit(self) -> Field {
        self.field(SegmentField::Limit)
    }

    /// The access rights' field.
    pub const fn access_rights(self) -> Field {
        self.field(SegmentField::AccessRights)
    }

    /// The base's field.
    pub const fn base(self) -> Field {
        self.field(SegmentField::Base)
    }
}

/// What is kept of a segment: the encoding of ES's field, the first of eight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SegmentField {
    Selector = 0x800,
    Limit = 0x4800,
    AccessRights = 0x4814,
    Base = 0x6806,
}

impl SegmentField {
    /// Which segment's field this is, and which of its fields.
    pub(crate) const fn of(field: Field) -> Option<(SegmentRegister, Self)> {
        const PARTS: [SegmentField; 4] = [
            SegmentField::Selector,
            SegmentField::Limit,
            SegmentField::AccessRights,
            SegmentField::Base,
        ];
        let mut index = 0;
        while index < PARTS.len() {
            let offset = field.0.wrapping_sub(PARTS[index] as u32);
            let register = (offset / 2) as usize;
            if offset.is_multiple_of(2) && register < SegmentRegister::ALL.len() {
                return Some((SegmentRegister::ALL[register], PARTS[index]));
            }
            index += 1;
        }
        None
    }
}

/// Access rights of a segment, as the VMCS has them.
pub mod access_rights {
    /// The type.
    pub const TYPE: u64 = 0b1111;
    /// The type of a task of 32 or 64 bits that is under way. One of 16 bits is 3.
    pub const BUSY_TASK: u64 = 11;
    /// Code or data; clear of a system segment.
    pub const CODE_OR_DATA: u64 = 1 << 4;
    /// Present.
    pub const PRESENT: u64 = 1 << 7;
    /// 64-bit code.
    pub const LONG: u64 = 1 << 13;
    /// D of code, B of a stack.
    pub const BIG: u64 = 1 << 14;
    /// Nothing was loaded.
    pub const UNUSABLE: u64 = 1 << 16;
    /// All that are not reserved.
    pub const BITS: u64 = 0x1_f0ff;
}

/// Pin-based controls: the VMX-preemption timer runs.
pub const PIN_PREEMPTION_TIMER: u64 = 1 << 6;

/// Primary processor-based controls.
pub mod primary {
    /// The guest's counter is TSC_OFFSET ahead of the machine's, by nothing if nobody sets that.
    pub const TSC_OFFSETTING: u64 = 1 << 3;
    /// HLT leaves the guest.
    pub const HLT: u64 = 1 << 7;
    /// MWAIT.
    pub const MWAIT: u64 = 1 << 10;
    /// RDPMC.
    pub const RDPMC: u64 = 1 << 11;
    /// Writes of CR8, which is the machine's without this.
    pub const CR8_LOAD: u64 = 1 << 19;
    /// Reads of CR8.
    pub const CR8_STORE: u64 = 1 << 20;
    /// Reads and writes of the debug registers, which nobody switches.
    pub const MOV_DR: u64 = 1 << 23;
    /// MONITOR.
    pub const MONITOR: u64 = 1 << 29;
    /// What a guest must not do by itself. A kernel adds what it needs.
    pub const OF_A_GUEST: u64 = HLT | MWAIT | RDPMC | CR8_LOAD | CR8_STORE | MOV_DR | MONITOR;
}

/// Secondary processor-based controls.
pub mod secondary {
    /// WBINVD leaves the guest.
    pub const WBINVD: u64 = 1 << 6;
    /// The guest may run without paging, and in real mode.
    pub const UNRESTRICTED_GUEST: u64 = 1 << 7;
    /// What a guest runs with. A kernel adds what it needs.
    pub const OF_A_GUEST: u64 = WBINVD | UNRESTRICTED_GUEST;
}

/// VM-entry controls.
pub mod entry {
    /// The guest is in IA-32e mode: EFER.LMA.
    pub const IA32E_MODE: u64 = 1 << 9;
    /// Loads IA32_PAT.
    pub const LOAD_PAT: u64 = 1 << 14;
    /// Loads IA32_EFER.
    pub const LOAD_EFER: u64 = 1 << 15;
    /// What a guest is entered with, in whatever mode.
    pub const OF_A_GUEST: u64 = LOAD_PAT | LOAD_EFER;
}

/// Interruptibility: blocking by STI, by MOV SS.
pub const INTERRUPT_SHADOW: u64 = 0b11;
