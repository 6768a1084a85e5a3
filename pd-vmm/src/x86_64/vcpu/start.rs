//! A vCPU as a guest finds it at its start: 64-bit mode, at privilege level 0, interrupts off.
//!
//! Called when the VM starts and after a reset. Invariant: every field of the VMCS that decides what the
//! guest may do is written, whatever a guest before left in it.
//!
//! Specification: Intel SDM volume 3, "VM Entries".

use super::{CodeSegment, FLIPS, GuestRegisters, VirtualMachine, newer};
use crate::arch::invocations::{GENERAL_REGISTERS, VCpuInvocations};
use crate::arch::vmcs::{VCPU, read_vmcs, require, write_vmcs};
use guest_access::GuestPhysAddr;
use pd_runtime::Counter;
use sel4::Word;
use vt_x::vmcs::{Field, PIN_PREEMPTION_TIMER, SegmentRegister, primary, secondary};
use vt_x::{Event as Injected, is_canonical, vector};
use x86_guest::ControlRegisters;

/// #DB and #AC: a guest whose handlers cause them again would never be left.
const EXCEPTIONS: Word = 1 << vector::DEBUG | 1 << vector::ALIGNMENT_CHECK;

pub(super) const RFLAGS_FIXED: u64 = 1 << 1;
const DR7_RESET: u64 = 0x400;
const PAT_RESET: u64 = 0x0007_0406_0007_0406;
/// CR0 PG, WP, NE, ET, PE; CR4 PAE; EFER NXE, LMA, LME.
pub(super) const LONG_MODE: ControlRegisters = ControlRegisters {
    cr0: 1 << 31 | 1 << 16 | 1 << 5 | 1 << 4 | 1,
    cr4: 1 << 5,
    efer: 1 << 11 | 1 << 10 | 1 << 8,
};

const CR4_PGE: u64 = 1 << 7;

/// Access rights: present, type, and for code the L bit, for data the D bit.
pub(super) const CODE_64: Word = 0xa09b;
const DATA: Word = 0xc093;
const TASK_64: Word = 0x8b;
const UNUSABLE: Word = 1 << 16;

impl VirtualMachine {
    /// Puts the vCPU there, on these tables, about to run at `entry`.
    pub(super) fn reset(&mut self, entry: u64, page_tables: GuestPhysAddr) {
        for register in SegmentRegister::ALL {
            let (selector, access_rights, limit) = match register {
                SegmentRegister::Cs => (8, CODE_64, 0xffff_ffff),
                SegmentRegister::Ldtr => (0, UNUSABLE, 0),
                SegmentRegister::Tr => (0, TASK_64, 0xffff),
                _ => (16, DATA, 0xffff_ffff),
            };
            write_vmcs(register.selector(), selector);
            write_vmcs(register.access_rights(), access_rights);
            write_vmcs(register.limit(), limit);
            write_vmcs(register.base(), 0);
        }
        require(Field::PIN_BASED_CONTROLS, PIN_PREEMPTION_TIMER);
        require(Field::PRIMARY_CONTROLS, primary::OF_A_GUEST | FLIPS);
        require(Field::SECONDARY_CONTROLS, secondary::OF_A_GUEST);
        for (field, value) in [
            (Field::PREEMPTION_TIMER_VALUE, preemption_timer_value()),
            (Field::EXCEPTION_BITMAP, EXCEPTIONS),
            (Field::CR0_MASK, Word::MAX),
            (Field::CR4_MASK, !CR4_PGE),
            (Field::GUEST_CR3, page_tables.0),
            (Field::GUEST_PAT, PAT_RESET),
            (Field::GUEST_GDTR_BASE, 0),
            (Field::GUEST_GDTR_LIMIT, 0),
            (Field::GUEST_IDTR_BASE, 0),
            (Field::GUEST_IDTR_LIMIT, 0),
            (Field::GUEST_DR7, DR7_RESET),
            (Field::GUEST_RSP, 0),
            (Field::GUEST_RFLAGS, RFLAGS_FIXED),
            (Field::GUEST_INTERRUPTIBILITY, 0),
            (Field::GUEST_ACTIVITY, 0),
            (Field::GUEST_PENDING_DEBUG_EXCEPTIONS, 0),
            (Field::GUEST_SYSENTER_CS, 0),
            (Field::GUEST_SYSENTER_ESP, 0),
            (Field::GUEST_SYSENTER_EIP, 0),
        ] {
            write_vmcs(field, value);
        }
        self.reset_system_call_registers();
        self.write_cr4(LONG_MODE.cr4);
        self.set_control_registers(LONG_MODE);
        self.code.set(CodeSegment::of(CODE_64, 0));
        assert!(is_canonical(entry), "a guest that begins at {entry:#x}");
        let kept = &mut *self.kept;
        kept.cr8 = 0;
        kept.registers = GuestRegisters {
            general: [0; GENERAL_REGISTERS],
            rsp: 0,
            rflags: RFLAGS_FIXED,
            interruptibility: 0,
            cr3: page_tables.0,
            newer: newer::GENERAL,
        };
        // As the VMCS has them now.
        kept.entered = read_vmcs(Field::PRIMARY_CONTROLS);
        kept.entry.rip = entry;
        kept.entry.interruption_info = Injected::NONE.0;
    }
}

/// A millisecond, in the timer's unit: the counter's ticks, 2^N of them at a time.
fn preemption_timer_value() -> Word {
    const IA32_VMX_MISC: u32 = 0x485;
    const UNIT: Word = 0x1f;
    // The kernel passes this register on.
    let unit_log2 = VCPU.vcpu_read_msr(IA32_VMX_MISC).unwrap_or(0) & UNIT;
    ((Counter::hz() / 1000) >> unit_log2).clamp(1, u32::MAX.into())
}
