//! System calls that no honest component makes.

use attacks::{Kernel, VmEntry};
use sel4::sys::invocation_label;
use sel4::{MessageInfoBuilder, cap};

// Capability slots that the Microkit gives a protection domain (its `builder.rs`).
/// The endpoint to which the kernel sends this domain's faults: its parent's.
const FAULT_ENDPOINT: u64 = 2;
const VCPU: u64 = 330;

/// The kernel.
pub struct Sel4;

fn info(label: u64, length: usize) -> sel4::MessageInfo {
    MessageInfoBuilder::default()
        .label(label)
        .length(length)
        .build()
}

fn slot(number: u64) -> cap::Endpoint {
    sel4::Cap::from_bits(number)
}

impl Kernel for Sel4 {
    fn invoke(&mut self, number: u64, label: u64, words: [u64; 4]) -> u64 {
        let answer = slot(number).call_with_mrs(info(label, words.len()), words);
        answer.info.label()
    }

    fn tell_parent(&mut self, label: u64, words: [u64; 4]) {
        slot(FAULT_ENDPOINT).send_with_mrs(info(label, words.len()), words);
    }

    #[cfg(target_arch = "aarch64")]
    fn debug_call(&mut self, number: i64, argument: u64) {
        // SAFETY: the kernel changes the registers that are named here, if it knows the call.
        unsafe {
            core::arch::asm!("svc #0", inout("x0") argument => _, inout("x7") number => _,
                lateout("x1") _, lateout("x2") _, lateout("x3") _, lateout("x4") _,
                lateout("x5") _, lateout("x6") _);
        }
    }

    #[cfg(target_arch = "x86_64")]
    fn debug_call(&mut self, number: i64, argument: u64) {
        // SAFETY: as above; R14 brings RSP back.
        unsafe {
            core::arch::asm!("mov r14, rsp", "syscall", "mov rsp, r14",
                in("rdx") number, inout("rdi") argument => _, inout("rsi") 0_u64 => _,
                inout("r12") 0_u64 => _, inout("r10") 0_u64 => _, inout("r8") 0_u64 => _,
                inout("r9") 0_u64 => _, inout("r15") 0_u64 => _,
                lateout("rcx") _, lateout("r11") _, lateout("r14") _);
        }
    }

    #[cfg(target_arch = "aarch64")]
    fn set_vcpu_register(&mut self, number: u64, value: u64) {
        let label = invocation_label::ARMVCPUWriteReg;
        self.invoke(VCPU, label.into(), [number, value, 0, 0]);
    }

    #[cfg(target_arch = "aarch64")]
    fn resume_at(&mut self, pc: u64, pstate: u64) {
        const VM_TCB: u64 = 266;
        const RESUME: u64 = 1;
        // PC, SP_EL0 and PSTATE; the last does not fit the CPU's registers.
        sel4::with_ipc_buffer_mut(|buffer| buffer.msg_regs_mut()[4] = pstate);
        let label = invocation_label::TCBWriteRegisters;
        slot(VM_TCB).call_with_mrs(info(label.into(), 5), [RESUME, 3, pc, 0]);
    }

    #[cfg(target_arch = "aarch64")]
    fn enter_with(&mut self, _: VmEntry) {}

    #[cfg(target_arch = "aarch64")]
    fn enter_with_msr(&mut self, _: u32, _: u64) {}

    #[cfg(target_arch = "x86_64")]
    fn set_vcpu_register(&mut self, _: u64, _: u64) {}

    #[cfg(target_arch = "x86_64")]
    fn resume_at(&mut self, _: u64, _: u64) {}

    #[cfg(target_arch = "x86_64")]
    fn enter_with(&mut self, entry: VmEntry) {
        let (field, value) = entry.field;
        if field != 0 {
            let label = invocation_label::X86VCPUWriteVMCS;
            self.invoke(VCPU, label.into(), [field.into(), value, 0, 0]);
        }
        let read = |field: u32| {
            let label = invocation_label::X86VCPUReadVMCS;
            let message = [field.into(), 0, 0, 0];
            slot(VCPU).call_with_mrs(info(label.into(), 1), message).msg[0]
        };
        // Intel SDM volume 3, appendix B.
        const GUEST_RIP: u32 = 0x681e;
        const PRIMARY_CONTROLS: u32 = 0x4002;
        crate::invocations::vm_enter(&mut crate::invocations::VmEntry {
            rip: entry.rip.unwrap_or_else(|| read(GUEST_RIP)),
            primary_controls: entry
                .primary_controls
                .unwrap_or_else(|| read(PRIMARY_CONTROLS)),
            interruption_info: entry.interruption_info,
        });
    }

    #[cfg(target_arch = "x86_64")]
    fn enter_with_msr(&mut self, msr: u32, value: u64) {
        let label = invocation_label::X86VCPUWriteMSR;
        self.invoke(VCPU, label.into(), [msr.into(), value, 0, 0]);
        self.enter_with(VmEntry::default());
    }
}
