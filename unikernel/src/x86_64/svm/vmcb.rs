//! The virtual machine control block: what the CPU reads at VMRUN and writes at #VMEXIT.
//!
//! Filled by `vcpu`, read there and in `assembly`. The invariant: each field lies where the
//! manual says, checked at compile time.
//!
//! AMD APM volume 2, appendix B (layout), 15.13 to 15.15 (intercepts).

use bitflags::bitflags;
use core::mem::offset_of;

bitflags! {
    /// Intercepts of exceptions, offset 8: a bit for each vector.
    #[derive(Clone, Copy)]
    pub struct ExceptionIntercepts: u32 {
        /// A debug exception that raises the next one would never let an interrupt in.
        const DB = 1 << 1;
        /// Likewise, where the handler's own stack is not aligned.
        const AC = 1 << 17;
        /// The machine reports an error of the hardware: the host's business.
        const MC = 1 << 18;
    }
}

bitflags! {
    /// Intercepts at offsets 0xc (the lower half) and 0x10 (the upper).
    #[derive(Clone, Copy)]
    pub struct Intercepts: u64 {
        /// Physical interrupts.
        const INTR = 1 << 0;
        /// Physical non-maskable interrupts.
        const NMI = 1 << 1;
        /// System management interrupts.
        const SMI = 1 << 2;
        /// INIT.
        const INIT = 1 << 3;
        /// RDPMC.
        const RDPMC = 1 << 15;
        /// CPUID.
        const CPUID = 1 << 18;
        /// RSM.
        const RSM = 1 << 19;
        /// INVD: it would drop the host's writes too.
        const INVD = 1 << 22;
        /// HLT.
        const HLT = 1 << 24;
        /// INVLPGA.
        const INVLPGA = 1 << 26;
        /// IN and OUT, where the I/O permission map says so.
        const IOIO_PROT = 1 << 27;
        /// RDMSR and WRMSR, where the MSR permission map says so.
        const MSR_PROT = 1 << 28;
        /// FERR, of the x87's old way to report errors.
        const FERR_FREEZE = 1 << 30;
        /// The triple fault.
        const SHUTDOWN = 1 << 31;
        /// VMRUN; without this intercept VMRUN of the guest itself fails.
        const VMRUN = 1 << 32;
        /// VMMCALL.
        const VMMCALL = 1 << 33;
        /// VMLOAD.
        const VMLOAD = 1 << 34;
        /// VMSAVE.
        const VMSAVE = 1 << 35;
        /// STGI.
        const STGI = 1 << 36;
        /// CLGI.
        const CLGI = 1 << 37;
        /// SKINIT.
        const SKINIT = 1 << 38;
        /// ICEBP.
        const ICEBP = 1 << 40;
        /// WBINVD and WBNOINVD.
        const WBINVD = 1 << 41;
        /// MONITOR.
        const MONITOR = 1 << 42;
        /// MWAIT.
        const MWAIT = 1 << 43;
        /// XSETBV.
        const XSETBV = 1 << 45;
        /// RDPRU.
        const RDPRU = 1 << 46;
    }
}

/// The control area (table B-1).
#[repr(C)]
pub struct ControlArea {
    /// CR reads, a bit for each, then CR writes.
    pub intercept_cr: u32,
    /// DR reads, a bit for each, then DR writes.
    pub intercept_dr: u32,
    /// Exceptions.
    pub intercept_exceptions: u32,
    /// The lower half of [`Intercepts`].
    pub intercepts_low: u32,
    /// The upper half.
    pub intercepts_high: u32,
    _reserved_014: [u8; 0x2c],
    /// Physical address of the I/O permission map.
    pub iopm_base_pa: u64,
    /// Physical address of the MSR permission map.
    pub msrpm_base_pa: u64,
    /// Added to the guest's time stamp counter.
    pub tsc_offset: u64,
    /// Tells the VM's translations from others'; not 0.
    pub guest_asid: u32,
    /// What to flush at VMRUN: 0 nothing, 1 everything.
    pub tlb_control: u32,
    /// V_TPR, V_IRQ and what belongs to them.
    pub virtual_interrupt: u64,
    /// The guest is in the shadow of STI or MOV SS.
    pub interrupt_shadow: u64,
    /// Why the guest stopped.
    pub exitcode: u64,
    /// What that reason says.
    pub exitinfo1: u64,
    /// What that reason says.
    pub exitinfo2: u64,
    /// The event that was being delivered to the guest.
    pub exitintinfo: u64,
    /// Nested paging.
    pub np_enable: u64,
    _reserved_098: [u8; 0x10],
    /// The event that VMRUN delivers to the guest.
    pub eventinj: u64,
    /// Physical address of the nested page tables.
    pub n_cr3: u64,
    _reserved_0b8: [u8; 8],
    /// What VMRUN need not read again; 0: it reads everything.
    pub vmcb_clean: u64,
    /// RIP of the next instruction, on CPUs that save it.
    pub nrip: u64,
    _reserved_0d0: [u8; 0x330],
}

/// A segment register with its hidden part.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Segment {
    /// Selector.
    pub selector: u16,
    /// Bits 55–52 and 47–40 of the descriptor.
    pub attributes: u16,
    /// Limit in bytes.
    pub limit: u32,
    /// Base.
    pub base: u64,
}

/// The state save area (table B-2), at offset 0x400 of the block.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct StateSaveArea {
    /// ES.
    pub es: Segment,
    /// CS.
    pub cs: Segment,
    /// SS.
    pub ss: Segment,
    /// DS.
    pub ds: Segment,
    /// FS.
    pub fs: Segment,
    /// GS.
    pub gs: Segment,
    /// GDTR: limit and base count.
    pub gdtr: Segment,
    /// LDTR.
    pub ldtr: Segment,
    /// IDTR: limit and base count.
    pub idtr: Segment,
    /// TR.
    pub tr: Segment,
    _reserved_0a0: [u8; 0x2b],
    /// Current privilege level.
    pub cpl: u8,
    _reserved_0cc: u32,
    /// EFER; SVME must be set.
    pub efer: u64,
    _reserved_0d8: [u8; 0x70],
    /// CR4.
    pub cr4: u64,
    /// CR3.
    pub cr3: u64,
    /// CR0.
    pub cr0: u64,
    /// DR7.
    pub dr7: u64,
    /// DR6.
    pub dr6: u64,
    /// RFLAGS.
    pub rflags: u64,
    /// RIP.
    pub rip: u64,
    _reserved_180: [u8; 0x58],
    /// RSP.
    pub rsp: u64,
    _reserved_1e0: [u8; 0x18],
    /// RAX.
    pub rax: u64,
    /// STAR.
    pub star: u64,
    /// LSTAR.
    pub lstar: u64,
    /// CSTAR.
    pub cstar: u64,
    /// SFMASK.
    pub sfmask: u64,
    /// KernelGSbase.
    pub kernel_gs_base: u64,
    /// SYSENTER_CS.
    pub sysenter_cs: u64,
    /// SYSENTER_ESP.
    pub sysenter_esp: u64,
    /// SYSENTER_EIP.
    pub sysenter_eip: u64,
    /// CR2.
    pub cr2: u64,
    _reserved_248: [u8; 0x20],
    /// The guest's PAT, with nested paging.
    pub g_pat: u64,
}

/// The block: one page.
#[repr(C, align(4096))]
pub struct Vmcb {
    /// What to intercept, and why the guest stopped.
    pub control: ControlArea,
    /// The guest's registers.
    pub state: StateSaveArea,
    _reserved_670: [u8; 0x990],
}

impl StateSaveArea {
    /// All zero.
    pub const fn zeroed() -> Self {
        // SAFETY: every field is an integer.
        unsafe { core::mem::zeroed() }
    }
}

impl Vmcb {
    /// All zero: nothing is intercepted, and VMRUN refuses it.
    pub const fn zeroed() -> Self {
        // SAFETY: every field is an integer.
        unsafe { core::mem::zeroed() }
    }
}

/// Offset of RAX in the block, for `assembly`.
pub const RAX: usize = offset_of!(Vmcb, state.rax);
/// Offset of RSP in the block, for `assembly`.
pub const RSP: usize = offset_of!(Vmcb, state.rsp);

const _: () = assert!(size_of::<Vmcb>() == 4096);
const _: () = assert!(offset_of!(ControlArea, iopm_base_pa) == 0x40);
const _: () = assert!(offset_of!(ControlArea, guest_asid) == 0x58);
const _: () = assert!(offset_of!(ControlArea, exitcode) == 0x70);
const _: () = assert!(offset_of!(ControlArea, np_enable) == 0x90);
const _: () = assert!(offset_of!(ControlArea, eventinj) == 0xa8);
const _: () = assert!(offset_of!(ControlArea, nrip) == 0xc8);
const _: () = assert!(offset_of!(Vmcb, state) == 0x400);
const _: () = assert!(offset_of!(StateSaveArea, tr) == 0x90);
const _: () = assert!(offset_of!(StateSaveArea, cpl) == 0xcb);
const _: () = assert!(offset_of!(StateSaveArea, efer) == 0xd0);
const _: () = assert!(offset_of!(StateSaveArea, cr4) == 0x148);
const _: () = assert!(offset_of!(StateSaveArea, rip) == 0x178);
const _: () = assert!(offset_of!(StateSaveArea, rsp) == 0x1d8);
const _: () = assert!(offset_of!(StateSaveArea, rax) == 0x1f8);
const _: () = assert!(offset_of!(StateSaveArea, cr2) == 0x240);
const _: () = assert!(offset_of!(StateSaveArea, g_pat) == 0x268);
