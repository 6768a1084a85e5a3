//! The vCPU as the VMM sees it, and what becomes of an exit.
//!
//! Called by `assembly` for each exit, with interrupts masked, and by the VMM while the guest
//! is stopped. The invariant is that of `component_host`.

use super::assembly::instructions;
use super::el1_context::El1Context;
use super::vcpu::{self, ExitKind, Vcpu};
use super::{gic, id_registers, virtual_interrupts};
use crate::component_host::{ComponentHost, GuestIs, VmmHost};
use a64_guest::pstate::{ByteOrder, is_aarch32};
use a64_guest::stage1::Regime;
use a64_guest::syndrome::is_permission_fault;
use guest_access::{Gpr, GuestPhysAddr};
use vm_components::{A64Machine, Exit, GuestException, InterruptOutput, Machine, StackPointer};

/// Bytes of an A64 instruction.
const INSTRUCTION_BYTES: u64 = 4;

impl A64Machine for VmmHost<'_> {
    #[inline(always)]
    fn gpr(&mut self, register: Gpr) -> u64 {
        self.vcpu.gpr(register.number())
    }

    fn set_gpr(&mut self, register: Gpr, value: u64) {
        self.vcpu.set_gpr(register.number(), value);
    }

    fn stack_pointer(&mut self, which: StackPointer) -> u64 {
        vcpu::stack_pointer(which)
    }

    fn set_stack_pointer(&mut self, which: StackPointer, value: u64) {
        vcpu::set_stack_pointer(which, value);
    }

    fn vector(&mut self, number: u8) -> Option<u128> {
        Some(vcpu::vector(number))
    }

    fn set_vector(&mut self, number: u8, value: u128) {
        vcpu::set_vector(number, value);
    }

    fn pstate(&mut self) -> u64 {
        self.vcpu.pstate()
    }

    fn set_pstate(&mut self, pstate: u64) {
        self.vcpu.set_pstate(pstate);
    }

    #[inline(always)]
    fn is_ordinary(&mut self, _: Gpr) -> bool {
        !is_aarch32(self.vcpu.pstate()) && !vcpu::may_be_big_endian()
    }

    fn sets_aarch32(&self) -> bool {
        true
    }

    fn byte_order(&mut self) -> ByteOrder {
        ByteOrder::of_data(self.vcpu.pstate(), vcpu::stage1().sctlr)
    }

    fn stage1(&mut self) -> Regime {
        vcpu::stage1()
    }

    fn fault_address(&mut self) -> Option<u64> {
        Some(vcpu::far())
    }

    #[inline(always)]
    fn resume(&mut self, pc: u64, result: Option<(Gpr, u64)>) {
        if let Some((register, value)) = result {
            self.vcpu.set_gpr(register.number(), value);
        }
        self.proceed(pc);
    }

    fn inject(&mut self, exception: GuestException) {
        self.vcpu.inject(exception);
        self.platform.vm.guest = GuestIs::Runnable;
    }

    fn sample_timer(&mut self, _: bool) -> bool {
        let is_due = virtual_interrupts::timer_is_due();
        gic::watch_guest_timer(!is_due);
        is_due
    }

    fn timer_deadline(&mut self) -> Option<u64> {
        virtual_interrupts::timer_deadline()
    }

    fn signal(&mut self, output: InterruptOutput) {
        virtual_interrupts::set_inputs(output);
    }

    fn start(&mut self, entry: u64, x0: u64, x1: u64) {
        // The image came as data; the guest fetches it.
        instructions::invalidate_instruction_cache();
        El1Context::RESET.load();
        self.vcpu.reset(entry);
        self.vcpu.set_gpr(0, x0);
        self.vcpu.set_gpr(1, x1);
        self.platform.vm.guest = GuestIs::Runnable;
    }
}

/// What `assembly` calls for each exit, `now` being the time at which the guest stopped; returns
/// the vCPU to run, which by then may be another VM's.
pub extern "C" fn guest_exit(
    vcpu: &'static mut Vcpu,
    kind: ExitKind,
    now: u64,
) -> &'static mut Vcpu {
    // The floor of the benchmark: what a trap costs that only moves the PC on.
    #[cfg(feature = "bench-floor")]
    if kind == ExitKind::Synchronous
        && vcpu::hpfar() << 8 == 0xfa00_0000
        && vcpu::esr() >> 26 == 0x24
    {
        vcpu.proceed(vcpu.pc() + 4);
        return vcpu;
    }
    if kind == ExitKind::Synchronous {
        let exit = synchronous_exit(vcpu);
        let host = host_of(vcpu);
        let mut machine = VmmHost {
            platform: &mut host.platform,
            vcpu,
            stopped_at: Some(now),
        };
        if host.vmm.complete_access(exit, &mut machine) {
            if host.platform.unsettled {
                return settle(vcpu);
            }
            return vcpu;
        }
    }
    other_exit(vcpu, kind)
}

/// What the short way does not do. It is called last and reads again what it needs, so that the
/// short way has no frame on the stack.
#[cold]
#[inline(never)]
extern "C" fn other_exit(vcpu: &'static mut Vcpu, kind: ExitKind) -> &'static mut Vcpu {
    let host = host_of(vcpu);
    match kind {
        ExitKind::Synchronous => {
            let mut exit = synchronous_exit(vcpu);
            if let Some((register, value)) = id_registers::read(exit.syndrome) {
                vcpu.set_gpr(register, value);
                vcpu.proceed(exit.pc.wrapping_add(INSTRUCTION_BYTES));
                return vcpu;
            }
            if is_permission_fault(exit.syndrome) {
                exit.address = GuestPhysAddr(vcpu::permission_fault_guest_physical());
            }
            let mut machine = VmmHost {
                platform: &mut host.platform,
                vcpu,
                stopped_at: None,
            };
            host.vmm.other_exit(exit, &mut machine);
        }
        ExitKind::Irq => host.wake_up(),
        ExitKind::Fiq | ExitKind::SError => panic!("{kind:?} while the guest ran"),
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

#[inline(always)]
fn synchronous_exit(vcpu: &Vcpu) -> Exit {
    Exit {
        syndrome: vcpu::esr(),
        address: GuestPhysAddr(vcpu::fault_guest_physical()),
        pc: vcpu.pc(),
    }
}

/// Who answers the exits of this vCPU. Called once in each function that an exit runs through.
#[inline(always)]
fn host_of(vcpu: &Vcpu) -> &'static mut ComponentHost {
    // SAFETY: `main` set it, before the guest first ran, to the host that it took exclusively
    // and leaked; exits do not nest, and who calls another function that asks for it uses its
    // own no more, so there is no second reference.
    unsafe { &mut *vcpu.host.cast::<ComponentHost>() }
}
