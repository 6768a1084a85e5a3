//! Calls to the hypervisor, by VMMCALL or VMCALL: each vendor's CPU has one of them.
//!
//! The functions are those of the SMC calling convention, so that one list serves both
//! architectures: the function in EAX, its argument in RCX, the result in RAX. On a bare machine, where
//! nobody could be called, `exit=` names the port of QEMU's isa-debug-exit, which gets the argument instead.

#[cfg(target_os = "none")]
use crate::cmdline::{CommandLine, CommandLineError};
use crate::{cpu, ports::Port};
use core::arch::asm;
use core::sync::atomic::{AtomicU16, Ordering};

/// The port that ends a bare machine; 0 in a VM.
static EXIT: AtomicU16 = AtomicU16::new(0);

/// Takes that port from the command line; called once, at the start.
#[cfg(target_os = "none")]
pub(crate) fn open<'a>(cmdline: &CommandLine<'a>) -> Result<(), CommandLineError<'a>> {
    if let Some(port) = cmdline.optional_port("exit")? {
        EXIT.store(port, Ordering::Relaxed);
    }
    Ok(())
}

/// Makes the call `function` with one argument.
pub fn hypervisor(function: u32, argument: u64) {
    let function = u64::from(function);
    let exit = EXIT.load(Ordering::Relaxed);
    if exit != 0 {
        Port::new(exit).write(argument as u8);
    } else if cpu::has_vmmcall() {
        // SAFETY: the VMM changes RAX alone.
        unsafe { asm!("vmmcall", inout("rax") function => _, in("rcx") argument, options(nostack)) }
    } else {
        // SAFETY: as above.
        unsafe { asm!("vmcall", inout("rax") function => _, in("rcx") argument, options(nostack)) }
    }
}
