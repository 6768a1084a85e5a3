//! What a guest did when the CPU left it: the exception syndrome, decoded.
//!
//! Called by the VMM component on every exit, before any other invocation, in whatever
//! context the platform delivers exits (a protection domain's fault handler, EL2's vector).
//!
//! Invariant: every 64-bit syndrome decodes to some [`Trap`]; no input panics. What the
//! hardware does not describe is reported as such and left to the VM's policy.
//!
//! ```text
//!   ESR_EL2 ──► EC ─┬─ 0x24 data abort ┬ ISV=1 ──► Trap::Access(Access)
//!                   │                  ├ ISV=0 ──► Trap::Undescribed
//!                   │                  ├ CM=1 ───► Trap::CacheMaintenance
//!                   │                  └ S1PTW=1 ► Trap::TableWalk
//!                   ├─ 0x16 HVC, 0x17 SMC ───────► Trap::Call
//!                   ├─ 0x18 MSR/MRS ─────────────► Trap::SystemRegister
//!                   ├─ 0x03 to 0x0a, 0x0c, 0x19 ─► Trap::Unavailable
//!                   ├─ 0x01 WFI/WFE ─────────────► Trap::Wait
//!                   └─ anything else ────────────► Trap::Other
//! ```
//!
//! Specification: Arm ARM (DDI 0487) D24.2.40 ESR_ELx, "ISS encoding for an exception from
//! a Data Abort" and its neighbours.

use guest_access::{Access, AccessWidth, Direction, Extension, Gpr, GuestPhysAddr};

/// Why the CPU left the guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trap {
    /// A load or store that the syndrome describes completely.
    Access(Access),
    /// A load or store on an unmapped location that the syndrome does not describe: pairs,
    /// write-back forms, vector registers, exclusives, DC ZVA.
    Undescribed {
        /// Where the guest's access went.
        address: GuestPhysAddr,
        /// Whether it was going to change memory.
        direction: Direction,
    },
    /// Cache maintenance by an address where no memory is: there is nothing to maintain.
    CacheMaintenance,
    /// The CPU looked for the guest's translation tables where no memory is. The address is the
    /// table's, and the guest's instruction did not name it.
    TableWalk {
        /// What the instruction was going to do with the address that has no translation.
        direction: Direction,
    },
    /// A data abort that is no missing translation: the machine's memory reported an error.
    MemoryError {
        /// DFSC, the fault status code.
        status: u8,
    },
    /// The guest's instruction fetch left its RAM.
    FetchAbort {
        /// Where the fetch went.
        address: GuestPhysAddr,
    },
    /// `HVC` or `SMC`, by the SMC calling convention.
    Call {
        /// Which instruction; it decides whether the PC already points behind it.
        instruction: CallInstruction,
        /// The immediate operand; zero in the calling convention.
        immediate: u16,
    },
    /// `MRS`, `MSR` or a system instruction that is trapped.
    SystemRegister {
        /// ISS: op0, op2, op1, CRn, Rt, CRm and direction as the architecture packs them.
        iss: u32,
    },
    /// An instruction that is trapped because the VM does not have what it is for: one of
    /// AArch32's for a coprocessor (MCR, MRC, MCRR, MRRC, LDC, STC, VMRS), or one of an extension
    /// (SIMD, pointer authentication, LD64B, SVE).
    Unavailable {
        /// EC, the exception class.
        class: u8,
    },
    /// `WFI` or `WFE`: the guest has nothing to do.
    Wait,
    /// Any other class.
    Other {
        /// EC, the exception class.
        class: u8,
    },
}

/// The instruction of a call to the hypervisor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallInstruction {
    /// `HVC`: the return address is the instruction after it.
    Hvc,
    /// `SMC`, trapped by HCR_EL2.TSC: the return address is the instruction itself.
    Smc,
}

/// Exception classes, ESR_ELx.EC.
mod class {
    pub const WFX: u64 = 0x01;
    pub const HVC64: u64 = 0x16;
    pub const SMC64: u64 = 0x17;
    pub const SYSTEM_REGISTER: u64 = 0x18;
    /// MCR and MRC, MCRR and MRRC of coprocessor 15; the same of 14, and LDC and STC; SIMD; VMRS;
    /// pointer authentication; LD64B.
    pub const COPROCESSORS_FIRST: u64 = 0x03;
    pub const COPROCESSORS_LAST: u64 = 0x0a;
    pub const MRRC_OF_14: u64 = 0x0c;
    pub const SVE: u64 = 0x19;
    pub const INSTRUCTION_ABORT_LOWER: u64 = 0x20;
    pub const DATA_ABORT_LOWER: u64 = 0x24;
}

/// Bits of the ISS of a data abort.
mod data_abort {
    pub const ISV: u64 = 1 << 24;
    pub const SAS_SHIFT: u64 = 22;
    pub const SSE: u64 = 1 << 21;
    pub const SRT_SHIFT: u64 = 16;
    pub const SF: u64 = 1 << 15;
    pub const CM: u64 = 1 << 8;
    pub const S1PTW: u64 = 1 << 7;
    pub const WNR: u64 = 1 << 6;
    pub const DFSC: u64 = 0x3f;
}

/// Decodes one exit.
///
/// `syndrome` is ESR_EL2 (seL4 hands it to the VMM as the fault status or the HSR);
/// `address` the guest-physical address of an abort, with its offset in the page; `pc` the
/// guest's program counter (guest-virtual).
#[inline]
pub fn decode(syndrome: u64, address: GuestPhysAddr, pc: u64) -> Trap {
    let exception_class = (syndrome >> 26) & 0x3f;
    let iss = syndrome & 0x01ff_ffff;
    match exception_class {
        class::DATA_ABORT_LOWER => decode_data_abort(iss, address, pc),
        class::HVC64 => Trap::Call {
            instruction: CallInstruction::Hvc,
            immediate: iss as u16,
        },
        class::SMC64 => Trap::Call {
            instruction: CallInstruction::Smc,
            immediate: iss as u16,
        },
        class::SYSTEM_REGISTER => Trap::SystemRegister { iss: iss as u32 },
        class::COPROCESSORS_FIRST..=class::COPROCESSORS_LAST | class::MRRC_OF_14 | class::SVE => {
            Trap::Unavailable {
                class: exception_class as u8,
            }
        }
        class::WFX => Trap::Wait,
        class::INSTRUCTION_ABORT_LOWER => Trap::FetchAbort { address },
        _ => Trap::Other {
            class: exception_class as u8,
        },
    }
}

/// What a data abort's access does (WnR). Of another exit it says nothing.
#[inline]
pub const fn direction(syndrome: u64) -> Direction {
    if syndrome & data_abort::WNR != 0 {
        Direction::Write
    } else {
        Direction::Read
    }
}

/// Whether it is a data abort at memory that is there for the guest, but not for this (a permission fault). Which
/// address of memory it is, HPFAR_EL2 need not say then, unless it was the CPU's walk for a translation (Arm ARM
/// D24.2.66).
#[inline]
pub const fn is_permission_fault(syndrome: u64) -> bool {
    let (class, status) = ((syndrome >> 26) & 0x3f, syndrome & data_abort::DFSC);
    class == class::DATA_ABORT_LOWER && syndrome & data_abort::S1PTW == 0 && status >> 2 == 0b0011
}

/// How long an AArch32 instruction that was trapped is, in bytes: 2 or 4. (IL; those of A64 have
/// 4, whatever a syndrome says.) It is set as well where the syndrome describes no instruction.
pub const fn aarch32_instruction_bytes(syndrome: u64) -> u64 {
    if syndrome >> 25 & 1 != 0 { 4 } else { 2 }
}

/// The condition under which a trapped AArch32 instruction is executed, if the syndrome has it
/// (CV and COND). Only of WFI, WFE and what is for a coprocessor.
pub const fn aarch32_condition(syndrome: u64) -> Option<u8> {
    match syndrome >> 24 & 1 {
        0 => None,
        _ => Some((syndrome >> 20 & 0xf) as u8),
    }
}

#[inline]
fn decode_data_abort(iss: u64, address: GuestPhysAddr, pc: u64) -> Trap {
    let status = iss & data_abort::DFSC;
    // Translation (0b0001LL), access flag (0b0010LL) and permission (0b0011LL) faults say
    // that stage 2 stopped the access; everything else came from the memory itself.
    if !matches!(status >> 2, 0b0001..=0b0011) {
        return Trap::MemoryError {
            status: status as u8,
        };
    }
    let direction = direction(iss);
    let of_an_instruction = iss & (data_abort::CM | data_abort::S1PTW) == 0;
    if !of_an_instruction || iss & data_abort::ISV == 0 {
        return if iss & data_abort::S1PTW != 0 {
            Trap::TableWalk { direction }
        } else if iss & data_abort::CM != 0 {
            Trap::CacheMaintenance
        } else {
            Trap::Undescribed { address, direction }
        };
    }
    Trap::Access(Access {
        address,
        width: AccessWidth::from_log2((iss >> data_abort::SAS_SHIFT) as u8),
        direction,
        register: Gpr::from_number((iss >> data_abort::SRT_SHIFT) as u8),
        extension: Extension {
            signed: iss & data_abort::SSE != 0,
            to_64_bits: iss & data_abort::SF != 0,
        },
        pc,
    })
}

#[cfg(test)]
mod tests;
