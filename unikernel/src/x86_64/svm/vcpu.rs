//! A virtual CPU on SVM: the general registers that every exit saves, its VMCB, and what the
//! host may do to them.
//!
//! Called from `guest_exit` (interrupts held back, the guest stopped) and, once, to start the
//! guest. The invariant: what `assembly` saves and restores lies at the layout it expects
//! (checked there at compile time); a guest resumed through this type cannot reach anything
//! of the host's, because no method changes what [`Vcpu::reset`] intercepts.
//!
//! AMD APM volume 2, 15.5 (VMRUN), 15.9 (intercepts), 15.20 (event injection), 15.25 (nested
//! paging), appendix C (exit codes).

use super::msr::{EFER_SVME, PERMISSION_MAP};
use super::nested_paging::NestedPaging;
use super::vmcb::{ExceptionIntercepts, Intercepts, Segment, StateSaveArea, Vmcb};
use crate::arch::assembly::instructions::FpState;
use core::ffi::c_void;

/// The one virtual CPU that runs, whose VM changes.
///
/// `assembly` holds the one exclusive reference while the guest runs. It never moves: the CPU
/// knows `vmcb` by its address.
#[repr(C, align(4096))]
pub struct Vcpu {
    /// RAX to R15 in the order of their encoding.
    pub(crate) gpr: [u64; 16],
    /// Who answers its exits; set before it first runs.
    pub host: *mut c_void,
    /// For how long exits have been answered, in ticks: `assembly` subtracts the time of each
    /// exit and adds that of each entry, so it is a time only while the guest runs.
    pub(crate) exit_ticks: u64,
    pub(crate) vmcb: Vmcb,
}

// SAFETY: there is one core, and the pointer is only followed in `guest_exit`, which has the
// exclusive reference to the vCPU.
unsafe impl Send for Vcpu {}

/// Exit codes.
pub mod exit_code {
    /// Reads of DR0 to DR15, then writes.
    pub const DR_FIRST: u64 = 0x20;
    /// The last of them.
    pub const DR_LAST: u64 = 0x3f;
    /// #DB.
    pub const DB: u64 = 0x41;
    /// #AC.
    pub const AC: u64 = 0x51;
    /// #MC.
    pub const MC: u64 = 0x52;
    /// A physical interrupt.
    pub const INTR: u64 = 0x60;
    /// A physical non-maskable interrupt.
    pub const NMI: u64 = 0x61;
    /// A system management interrupt.
    pub const SMI: u64 = 0x62;
    /// INIT.
    pub const INIT: u64 = 0x63;
    /// RDPMC: the first of the instructions that have an exit code of their own.
    pub const FIRST_INSTRUCTION: u64 = 0x6f;
    /// CPUID.
    pub const CPUID: u64 = 0x72;
    /// HLT.
    pub const HLT: u64 = 0x78;
    /// IN, OUT and their string forms.
    pub const IOIO: u64 = 0x7b;
    /// RDMSR or WRMSR.
    pub const MSR: u64 = 0x7c;
    /// The triple fault.
    pub const SHUTDOWN: u64 = 0x7f;
    /// VMMCALL.
    pub const VMMCALL: u64 = 0x81;
    /// RDPRU: the last of the instructions.
    pub const LAST_INSTRUCTION: u64 = 0x8e;
    /// A nested page fault.
    pub const NPF: u64 = 0x400;
}

/// The I/O permission map: a bit for each port, set to intercept, and a few beyond the last.
#[repr(C, align(4096))]
struct IoPermissionMap([u8; 0x3000]);
static IO_PERMISSION_MAP: IoPermissionMap = IoPermissionMap([0xff; 0x3000]);

/// Intercepts reads and writes of all debug registers: DR0 to DR3 are not switched.
const ALL_DEBUG_REGISTERS: u32 = 0xffff_ffff;
const FLUSH_ALL: u32 = 1;
const FLUSH_NOTHING: u32 = 0;
/// V_INTR_MASKING: the guest's RFLAGS.IF says nothing about physical interrupts.
const V_INTR_MASKING: u64 = 1 << 24;
/// V_TPR: the guest's CR8.
pub const V_TPR: u64 = 0xff;

const RFLAGS_FIXED: u64 = 1 << 1;
const RFLAGS_TF: u64 = 1 << 8;
const DR6_BS: u64 = 1 << 14;
const DR6_RESET: u64 = 0xffff_0ff0;
const DR7_RESET: u64 = 0x400;
const PAT_RESET: u64 = 0x0007_0406_0007_0406;

const CR0_LONG_MODE: u64 = 1 << 31 | 1 << 16 | 1 << 5 | 1 << 4 | 1;
const CR4_LONG_MODE: u64 = 1 << 5;
const EFER_LONG_MODE: u64 = 1 << 8 | 1 << 10 | 1 << 11;

/// Descriptors' attributes: present, type, and for code the L bit or for data the D bit.
const CODE_64: Segment = segment(8, 0xa9b, u32::MAX);
const DATA: Segment = segment(16, 0xc93, u32::MAX);
const NO_LDT: Segment = segment(0, 0x082, 0);
const TASK_64: Segment = segment(0, 0x08b, 0xffff);
const NO_TABLE: Segment = segment(0, 0, 0);

const fn segment(selector: u16, attributes: u16, limit: u32) -> Segment {
    Segment {
        selector,
        attributes,
        limit,
        base: 0,
    }
}

/// An exception to inject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exception {
    /// #DB, as the guest caused it itself.
    Debug,
    /// #UD.
    InvalidOpcode,
    /// #GP with error code 0.
    GeneralProtection,
    /// #PF.
    PageFault {
        /// For CR2.
        address: u64,
        /// Its error code.
        error_code: u32,
    },
    /// #AC with error code 0, as the guest caused it itself.
    AlignmentCheck,
}

impl Vcpu {
    /// A vCPU that nobody answers for yet and that has no VM.
    pub const fn new() -> Self {
        Self {
            gpr: [0; 16],
            host: core::ptr::null_mut(),
            exit_ticks: 0,
            vmcb: Vmcb::zeroed(),
        }
    }

    /// Lets it run on the memory of a VM, intercepting what a guest may not do by itself.
    pub fn connect(&mut self, memory: &NestedPaging) {
        let control = &mut self.vmcb.control;
        control.n_cr3 = memory.root();
        control.guest_asid = memory.asid();
        control.np_enable = 1;
        control.tlb_control = FLUSH_ALL;
        control.intercept_dr = ALL_DEBUG_REGISTERS;
        control.intercept_exceptions = ExceptionIntercepts::all().bits();
        let intercepts = Intercepts::all().bits();
        control.intercepts_low = intercepts as u32;
        control.intercepts_high = (intercepts >> 32) as u32;
        control.iopm_base_pa = (&raw const IO_PERMISSION_MAP).addr() as u64;
        control.msrpm_base_pa = (&raw const PERMISSION_MAP).addr() as u64;
        control.virtual_interrupt = V_INTR_MASKING;
    }

    /// Puts all registers into their state at a VM's start: 64-bit mode at privilege level 0
    /// on the tables at guest-physical `page_tables`, flat segments, interrupts off, about to
    /// run the instruction at `entry`.
    pub fn reset(&mut self, entry: u64, page_tables: u64) {
        FpState::RESET.load();
        self.gpr = [0; 16];
        let control = &mut self.vmcb.control;
        control.tlb_control = FLUSH_ALL;
        control.eventinj = 0;
        control.interrupt_shadow = 0;
        control.virtual_interrupt &= !V_TPR;
        let state = &mut self.vmcb.state;
        *state = StateSaveArea::zeroed();
        state.cs = CODE_64;
        for data in [
            &mut state.ds,
            &mut state.es,
            &mut state.ss,
            &mut state.fs,
            &mut state.gs,
        ] {
            *data = DATA;
        }
        state.gdtr = NO_TABLE;
        state.idtr = NO_TABLE;
        state.ldtr = NO_LDT;
        state.tr = TASK_64;
        state.efer = EFER_LONG_MODE | EFER_SVME;
        state.cr0 = CR0_LONG_MODE;
        state.cr3 = page_tables;
        state.cr4 = CR4_LONG_MODE;
        state.dr6 = DR6_RESET;
        state.dr7 = DR7_RESET;
        state.g_pat = PAT_RESET;
        state.rflags = RFLAGS_FIXED;
        state.rip = entry;
    }

    /// The general register with this number, 0 to 15, as instructions encode it.
    #[inline(always)]
    pub fn gpr(&self, number: usize) -> u64 {
        self.gpr.get(number).copied().unwrap_or(0)
    }

    /// Sets all 64 bits of a general register.
    #[inline(always)]
    pub fn set_gpr(&mut self, number: usize, value: u64) {
        if let Some(gpr) = self.gpr.get_mut(number) {
            *gpr = value;
        }
    }

    /// RIP of the instruction that exited.
    #[inline(always)]
    pub fn rip(&self) -> u64 {
        self.vmcb.state.rip
    }

    /// Lets the guest go on at `rip`, out of any shadow that the instruction before had.
    #[inline(always)]
    pub fn proceed(&mut self, rip: u64) {
        self.vmcb.state.rip = rip;
        self.vmcb.control.interrupt_shadow = 0;
        if self.vmcb.state.rflags & RFLAGS_TF != 0 {
            self.step();
        }
    }

    /// The instruction that was carried out is a debugger's step.
    #[cold]
    fn step(&mut self) {
        self.vmcb.state.dr6 |= DR6_BS;
        self.inject(Exception::Debug);
    }

    /// The guest takes `exception` at the instruction at RIP.
    pub fn inject(&mut self, exception: Exception) {
        const VALID: u64 = 1 << 31;
        const ERROR_CODE: u64 = 1 << 11;
        const EXCEPTION: u64 = 3 << 8;
        let event = match exception {
            Exception::Debug => 1,
            Exception::InvalidOpcode => 6,
            Exception::GeneralProtection => 13 | ERROR_CODE,
            Exception::PageFault {
                address,
                error_code,
            } => {
                self.vmcb.state.cr2 = address;
                14 | ERROR_CODE | u64::from(error_code) << 32
            }
            Exception::AlignmentCheck => 17 | ERROR_CODE,
        };
        self.vmcb.control.eventinj = VALID | EXCEPTION | event;
    }

    /// The guest has run since the TLB was to be flushed: once is enough. May be said late.
    pub fn tlb_is_flushed(&mut self) {
        self.vmcb.control.tlb_control = FLUSH_NOTHING;
    }

    /// The guest has been left `now`, in ticks, in a way that `assembly` has not seen: it is
    /// about to run, or a VM's turn begins.
    pub fn begin_exit(&mut self, now: u64) {
        self.exit_ticks = now.wrapping_neg();
    }

    /// How long exits have been answered since [`Self::begin_exit`], the one under way until
    /// `now` included, in ticks.
    pub fn end_exit(&mut self, now: u64) -> u64 {
        self.exit_ticks.wrapping_add(now)
    }
}
