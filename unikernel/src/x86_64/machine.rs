//! The vCPU as the VMM sees it, and what becomes of an exit.
//!
//! Called by `assembly` for each exit, with interrupts held back, and by the VMM while the
//! guest is stopped. The invariant is that of `component_host`; and an exit that is not the
//! VMM's affair (interrupts, CPUID, registers that a guest has) never reaches it.
//!
//! AMD APM volume 2, appendix C (exit codes), 15.25.6 (nested page faults), 15.10.2 (I/O).

use super::svm::msr::{EFER, EFER_SVME};
use super::svm::vcpu::{Exception, Vcpu, exit_code};
use crate::component_host::{ComponentHost, GuestIs, VmmHost};
use core::arch::x86_64::{__cpuid_count, CpuidResult};
use guest_access::{AccessWidth, Direction, GuestPhysAddr};
use vm_components::{X86Exception, X86Exit, X86ExitReason, X86Machine};
use x86_guest::{Cpuid, Mode, Paging, Registers, Segment, Situation, visible_cpuid, written_efer};

impl Registers for VmmHost<'_> {
    #[inline(always)]
    fn gpr(&self, number: u8) -> u64 {
        self.vcpu.gpr(number.into())
    }

    #[inline(always)]
    fn rflags(&self) -> u64 {
        self.vcpu.vmcb.state.rflags
    }

    #[inline(always)]
    fn segment_base(&self, segment: Segment) -> u64 {
        let state = &self.vcpu.vmcb.state;
        let base = match segment {
            Segment::Fs => return state.fs.base,
            Segment::Gs => return state.gs.base,
            // In 64-bit mode the others begin at 0 whatever was loaded.
            _ if self.situation().mode() == Mode::Long => return 0,
            Segment::Es => state.es.base,
            Segment::Cs => state.cs.base,
            Segment::Ss => state.ss.base,
            Segment::Ds => state.ds.base,
        };
        base & 0xffff_ffff
    }
}

impl<'a> X86Machine for VmmHost<'a> {
    #[inline(always)]
    fn set_gpr(&mut self, number: u8, value: u64) {
        self.vcpu.set_gpr(number.into(), value);
    }

    #[inline(always)]
    fn set_rflags(&mut self, value: u64) {
        self.vcpu.vmcb.state.rflags = value;
    }

    #[inline(always)]
    fn situation(&self) -> Situation {
        let state = &self.vcpu.vmcb.state;
        Situation {
            rip: state.rip,
            code_base: state.cs.base,
            code_attributes: state.cs.attributes,
            paging: Paging {
                cr0: state.cr0,
                cr3: state.cr3,
                cr4: state.cr4,
                efer: state.efer,
            },
        }
    }

    fn privilege_level(&self) -> u8 {
        self.vcpu.vmcb.state.cpl
    }

    #[inline(always)]
    fn ram_words(&self) -> impl Fn(GuestPhysAddr) -> Option<u64> + Copy + use<'a> {
        self.platform.vm.ram.words()
    }

    fn inject(&mut self, exception: X86Exception) {
        self.vcpu.inject(match exception {
            X86Exception::InvalidOpcode => Exception::InvalidOpcode,
            X86Exception::GeneralProtection => Exception::GeneralProtection,
            X86Exception::PageFault {
                address,
                error_code,
            } => Exception::PageFault {
                address,
                error_code,
            },
        });
        self.platform.vm.guest = GuestIs::Runnable;
    }

    fn start(&mut self, entry: u64, page_tables: GuestPhysAddr, rdi: u64, rsi: u64) {
        self.vcpu.reset(entry, page_tables.0);
        self.set_gpr(RDI, rdi);
        self.set_gpr(RSI, rsi);
        self.platform.vm.guest = GuestIs::Runnable;
    }
}

const RAX: u8 = 0;
const RCX: u8 = 1;
const RDX: u8 = 2;
const RBX: u8 = 3;
const RSI: u8 = 6;
const RDI: u8 = 7;

/// Bits of EXITINFO1 of a nested page fault.
mod npf {
    pub const WRITE: u64 = 1 << 1;
    pub const FETCH: u64 = 1 << 4;
    /// The final address of the guest's; otherwise a table of its own.
    pub const FINAL: u64 = 1 << 32;
}

/// Bits of EXITINFO1 of an I/O intercept.
mod ioio {
    pub const IN: u64 = 1 << 0;
    pub const STRING: u64 = 1 << 2;
    pub const SIZE_8: u64 = 1 << 4;
    pub const SIZE_16: u64 = 1 << 5;
    pub const PORT_SHIFT: u32 = 16;
}

/// EXITINTINFO: an event was being delivered.
const EVENT_VALID: u64 = 1 << 31;

/// What `assembly` calls for each exit, `now` being the time at which the guest stopped; returns
/// the vCPU to run, which by then may be another VM's.
pub extern "C" fn guest_exit(vcpu: &'static mut Vcpu, now: u64) -> &'static mut Vcpu {
    // The floor of the benchmark: what an exit costs that only moves RIP on, past the two
    // bytes of `mov eax, [rdx]`.
    #[cfg(feature = "bench-floor")]
    if vcpu.vmcb.control.exitcode == exit_code::NPF && vcpu.vmcb.control.exitinfo2 == 0xfa00_0000 {
        vcpu.proceed(vcpu.rip() + 2);
        return vcpu;
    }
    if let Some(PageFault {
        address,
        direction,
        kind: PageFaultKind::Access,
    }) = page_fault(vcpu)
    {
        let host = host_of(vcpu);
        let mut machine = VmmHost {
            platform: &mut host.platform,
            vcpu,
            stopped_at: Some(now),
        };
        if host.vmm.complete_access(address, direction, &mut machine) {
            if host.platform.unsettled {
                return settle(vcpu);
            }
            return vcpu;
        }
    }
    other_exit(vcpu)
}

/// What the short way does not do. It is called last and reads again what it needs, so that the
/// short way keeps nothing for it.
#[cold]
#[inline(never)]
extern "C" fn other_exit(vcpu: &'static mut Vcpu) -> &'static mut Vcpu {
    let host = host_of(vcpu);
    match page_fault(vcpu) {
        Some(fault) => {
            let exit = X86Exit {
                rip: vcpu.rip(),
                next_rip: None,
                reason: fault.reason(),
            };
            let mut machine = VmmHost {
                platform: &mut host.platform,
                vcpu,
                stopped_at: None,
            };
            host.vmm.other_exit(exit, &mut machine);
        }
        None => not_by_memory(host, vcpu),
    }
    if host.platform.unsettled {
        host.settle(vcpu);
    }
    vcpu
}

#[cold]
#[inline(never)]
extern "C" fn settle(vcpu: &'static mut Vcpu) -> &'static mut Vcpu {
    host_of(vcpu).settle(vcpu);
    vcpu
}

/// Who answers the exits of this vCPU. Called once in each function that an exit runs through.
#[inline(always)]
fn host_of(vcpu: &Vcpu) -> &'static mut ComponentHost {
    // SAFETY: `main` set it, before the guest first ran, to the host that it took exclusively
    // and leaked; exits do not nest, and who calls another function that asks for it uses its
    // own no more, so there is no second reference.
    unsafe { &mut *vcpu.host.cast::<ComponentHost>() }
}

/// A nested page fault.
struct PageFault {
    address: GuestPhysAddr,
    direction: Direction,
    kind: PageFaultKind,
}

#[derive(PartialEq, Eq)]
enum PageFaultKind {
    /// A load or store.
    Access,
    /// An instruction fetch.
    Fetch,
    /// What the CPU did by itself.
    Own,
}

/// The nested page fault that was the exit, if it was one.
#[inline(always)]
fn page_fault(vcpu: &Vcpu) -> Option<PageFault> {
    let control = &vcpu.vmcb.control;
    if control.exitcode != exit_code::NPF {
        return None;
    }
    let error = control.exitinfo1;
    let direction = if error & npf::WRITE != 0 {
        Direction::Write
    } else {
        Direction::Read
    };
    let by_instruction = error & npf::FINAL != 0 && control.exitintinfo & EVENT_VALID == 0;
    let kind = match (by_instruction, error & npf::FETCH) {
        (false, _) => PageFaultKind::Own,
        (true, 0) => PageFaultKind::Access,
        (true, _) => PageFaultKind::Fetch,
    };
    Some(PageFault {
        address: GuestPhysAddr(control.exitinfo2),
        direction,
        kind,
    })
}

impl PageFault {
    fn reason(self) -> X86ExitReason {
        let Self {
            address,
            direction,
            kind,
        } = self;
        match kind {
            PageFaultKind::Access => X86ExitReason::Access { address, direction },
            PageFaultKind::Fetch => X86ExitReason::Fetch { address },
            PageFaultKind::Own => X86ExitReason::OwnAccess { address, direction },
        }
    }
}

fn not_by_memory(host: &mut ComponentHost, vcpu: &mut Vcpu) {
    vcpu.tlb_is_flushed();
    let control = &vcpu.vmcb.control;
    let (code, info1, info2) = (control.exitcode, control.exitinfo1, control.exitinfo2);
    let next_rip = (control.nrip != 0).then_some(control.nrip);
    let mut reason = X86ExitReason::Instruction;
    let mut next = next_rip;
    match code {
        exit_code::INTR => return host.wake_up(),
        // The machine's own: nothing in the host waits for any of them.
        exit_code::NMI | exit_code::SMI | exit_code::INIT => return,
        exit_code::DB => return vcpu.inject(Exception::Debug),
        exit_code::AC => return vcpu.inject(Exception::AlignmentCheck),
        exit_code::MC => panic!("the machine reports an error of the hardware"),
        exit_code::CPUID => {
            let (leaf, subleaf) = (vcpu.gpr(RAX.into()), vcpu.gpr(RCX.into()));
            let CpuidResult { eax, ebx, ecx, edx } = __cpuid_count(leaf as u32, subleaf as u32);
            let own = Cpuid { eax, ebx, ecx, edx };
            let result = visible_cpuid(leaf as u32, own);
            let results = [result.eax, result.ebx, result.ecx, result.edx];
            return complete(host, vcpu, next_rip, |vcpu| {
                for (number, value) in [RAX, RBX, RCX, RDX].into_iter().zip(results) {
                    vcpu.set_gpr(number.into(), value.into());
                }
            });
        }
        exit_code::MSR => {
            let number = vcpu.gpr(RCX.into()) as u32;
            if number == EFER {
                return efer(host, vcpu, next_rip, info1 != 0);
            }
            reason = X86ExitReason::Register { number };
        }
        exit_code::DR_FIRST..=exit_code::DR_LAST => {
            let number = code as u32 & 0xf;
            reason = X86ExitReason::Register { number };
        }
        exit_code::HLT => reason = X86ExitReason::Halt,
        exit_code::VMMCALL => reason = X86ExitReason::Call,
        exit_code::SHUTDOWN => reason = X86ExitReason::Shutdown,
        exit_code::IOIO if info1 & ioio::STRING == 0 => {
            next = Some(info2);
            reason = X86ExitReason::Port {
                port: (info1 >> ioio::PORT_SHIFT) as u16,
                direction: if info1 & ioio::IN != 0 {
                    Direction::Read
                } else {
                    Direction::Write
                },
                width: if info1 & ioio::SIZE_8 != 0 {
                    AccessWidth::Byte
                } else if info1 & ioio::SIZE_16 != 0 {
                    AccessWidth::Halfword
                } else {
                    AccessWidth::Word
                },
            };
        }
        exit_code::IOIO => next = Some(info2),
        exit_code::FIRST_INSTRUCTION..=exit_code::LAST_INSTRUCTION => {}
        // Also that VMRUN refuses what the guest has made of its registers.
        code => reason = X86ExitReason::Other { code },
    }
    let exit = X86Exit {
        rip: vcpu.rip(),
        next_rip: next,
        reason,
    };
    let mut machine = VmmHost {
        platform: &mut host.platform,
        vcpu,
        stopped_at: None,
    };
    host.vmm.other_exit(exit, &mut machine);
}

/// RDMSR or WRMSR of EFER.
fn efer(host: &mut ComponentHost, vcpu: &mut Vcpu, next_rip: Option<u64>, is_write: bool) {
    let state = &vcpu.vmcb.state;
    if is_write {
        let (low, high) = (vcpu.gpr(RAX.into()) as u32, vcpu.gpr(RDX.into()) as u32);
        let written = u64::from(high) << 32 | u64::from(low);
        match written_efer(state.efer & !EFER_SVME, written, state.cr0) {
            Some(efer) => complete(host, vcpu, next_rip, |vcpu| {
                vcpu.vmcb.state.efer = efer | EFER_SVME;
            }),
            None => vcpu.inject(Exception::GeneralProtection),
        }
    } else {
        let efer = state.efer & !EFER_SVME;
        complete(host, vcpu, next_rip, |vcpu| {
            vcpu.set_gpr(RAX.into(), efer & 0xffff_ffff);
            vcpu.set_gpr(RDX.into(), efer >> 32);
        });
    }
}

/// Carries out an instruction that the VMM need not know of.
fn complete(
    host: &mut ComponentHost,
    vcpu: &mut Vcpu,
    next_rip: Option<u64>,
    effect: impl FnOnce(&mut Vcpu),
) {
    let machine = VmmHost {
        platform: &mut host.platform,
        vcpu,
        stopped_at: None,
    };
    let exit = X86Exit {
        rip: machine.vcpu.rip(),
        next_rip,
        reason: X86ExitReason::Instruction,
    };
    match exit.after(&machine) {
        Some(next) => {
            effect(machine.vcpu);
            machine.vcpu.proceed(next);
        }
        // Its own code has vanished under it.
        None => machine.vcpu.inject(Exception::GeneralProtection),
    }
}
