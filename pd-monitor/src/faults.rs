//! What a fault message says: why, the address, the program counter.
//!
//! Read raw, because a message that nobody expects must not stop the monitor. Invariant: whatever
//! arrives is described, and named for what it is. A child can send a message to its parent that
//! looks like a fault of its own; the monitor then treats it as dead, which hurts nobody else.
//!
//! Specification: seL4 reference manual, "Faults"; Arm ARM D24.2.40 for exception classes.

use core::fmt;
use sel4::sys::seL4_Fault_tag;
use sel4_microkit::{MessageInfo, get_mr};

/// A label and a reason of it that only some kernels' headers have (`seL4_Fault_DebugException`,
/// `seL4_SoftwareBreakRequest`).
const DEBUG_EXCEPTION: u64 = 4;
const SOFTWARE_BREAK: u64 = 3;

/// A fault message, in words.
pub struct Described {
    label: u64,
    words: [u64; 4],
}

impl Described {
    /// The message that has just been received.
    pub fn new(message: &MessageInfo) -> Self {
        Self {
            label: message.label(),
            words: core::array::from_fn(get_mr),
        }
    }
}

impl fmt::Display for Described {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [pc, address, fetch, syndrome] = self.words;
        match self.label {
            seL4_Fault_tag::seL4_Fault_VMFault => {
                let what = abort(fetch != 0);
                write!(f, "{what} at {address:#x} at pc {pc:#x}, fsr {syndrome:#x}")
            }
            seL4_Fault_tag::seL4_Fault_CapFault => {
                write!(f, "use of invalid capability {address:#x} at pc {pc:#x}")
            }
            // The first word is a register; the program counter is another of them.
            seL4_Fault_tag::seL4_Fault_UnknownSyscall => f.write_str("an unknown system call"),
            seL4_Fault_tag::seL4_Fault_UserException => {
                write!(f, "undefined instruction or exception at pc {pc:#x}")
            }
            // An exception that the kernel has no other name for, by its syndrome: what a
            // panic's abort raises. On x86 that is an undefined instruction like any other.
            #[cfg(target_arch = "aarch64")]
            seL4_Fault_tag::seL4_Fault_VCPUFault => {
                let class = pc >> 26 & 0x3f;
                if let Some(what) = debug_exception(class) {
                    write!(
                        f,
                        "a guest's {what}: this kernel leaves debug registers to guests; "
                    )?;
                }
                write!(f, "exception class {class:#x}")
            }
            // A panic's abort, where the kernel keeps debug registers (and traps the guests').
            DEBUG_EXCEPTION if sel4::sel4_cfg_bool!(HARDWARE_DEBUG_API) => {
                let reason = address;
                match reason {
                    SOFTWARE_BREAK => write!(f, "breakpoint instruction at pc {pc:#x}"),
                    _ => write!(f, "debug exception {reason} at pc {pc:#x}"),
                }
            }
            label => write!(f, "sent a message to its parent, with label {label}"),
        }
    }
}

/// What an access is called that the page tables do not allow.
fn abort(is_fetch: bool) -> &'static str {
    match is_fetch {
        _ if cfg!(target_arch = "x86_64") => "page fault",
        true => "instruction abort",
        false => "data abort",
    }
}

/// What a debug exception is of. No protection domain can set one up; a guest can where the kernel
/// neither traps nor switches the debug registers.
#[cfg(target_arch = "aarch64")]
fn debug_exception(class: u64) -> Option<&'static str> {
    Some(match class {
        0x30 | 0x31 => "breakpoint",
        0x32 | 0x33 => "software step",
        0x34 | 0x35 => "watchpoint",
        _ => return None,
    })
}
