//! The three system calls of the access path, in as few instructions as they need.
//!
//! Used by `vcpu`. What rust-sel4 does for every call (it looks for the thread's IPC buffer, and passes each
//! register through memory) is as long as the VMM's own part of an access. Knows nothing of this project.
//!
//! ```text
//!   svc #0     x0           x1     x2 … x5             x6       x7
//!   in         capability   info   message 0 … 3       reply    number of the call
//!   out        badge        info   message 0 … 3
//! ```
//!
//! Invariant: all other registers are as they were. Message registers from the fifth on are in memory
//! ([`SlowRegisters`](crate::slow_registers::SlowRegisters)).
//!
//! Specification: seL4 reference manual, "System Calls"; libsel4's `sel4/arch_include` and
//! `shared_types.bf` (`seL4_MessageInfo`).

use core::arch::asm;
use sel4::Word;
use sel4::sys::syscall_id;

/// Message registers that a system call passes in registers of the CPU.
pub const FAST_REGISTERS: usize = 4;

/// What a message is: the label of what is invoked or came, and how many words there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageInfo(Word);

impl MessageInfo {
    const LABEL_SHIFT: u32 = 12;

    /// A message of `length` words and no capabilities, at most 120.
    #[inline(always)]
    pub const fn new(label: Word, length: usize) -> Self {
        Self(label << Self::LABEL_SHIFT | length as Word)
    }

    /// The label.
    #[inline(always)]
    pub const fn label(self) -> Word {
        self.0 >> Self::LABEL_SHIFT
    }
}

/// What has been received.
pub struct Received {
    /// Who sent it, or which notifications there were.
    pub badge: Word,
    /// What it is.
    pub info: MessageInfo,
    /// Its first words.
    pub message: [Word; FAST_REGISTERS],
}

/// `seL4_Recv`: waits for a message or a notification.
#[inline(always)]
pub fn recv(capability: Word, reply: Word) -> Received {
    let (badge, info): (Word, Word);
    let (a, b, c, d): (Word, Word, Word, Word);
    // SAFETY: the system call changes the registers that are named here and the IPC buffer, to which no
    // reference exists.
    unsafe {
        asm!(
            "svc #0",
            inout("x0") capability => badge,
            out("x1") info,
            out("x2") a,
            out("x3") b,
            out("x4") c,
            out("x5") d,
            in("x6") reply,
            in("x7") syscall_id::Recv as isize,
            options(nostack),
        );
    }
    Received {
        badge,
        info: MessageInfo(info),
        message: [a, b, c, d],
    }
}

/// `seL4_Call` of a kernel object: the first words of its answer.
#[inline(always)]
pub fn call(capability: Word, info: MessageInfo, message: [Word; 2]) -> [Word; FAST_REGISTERS] {
    let (a, b, c, d): (Word, Word, Word, Word);
    // SAFETY: as above. What a kernel object does is the caller's affair.
    unsafe {
        asm!(
            "svc #0",
            inout("x0") capability => _,
            inout("x1") info.0 => _,
            inout("x2") message[0] => a,
            inout("x3") message[1] => b,
            inout("x4") 0 as Word => c,
            inout("x5") 0 as Word => d,
            in("x6") 0 as Word,
            in("x7") syscall_id::Call as isize,
            options(nostack),
        );
    }
    [a, b, c, d]
}

/// `seL4_Send` to a kernel object: what it is asked to do, without an answer.
#[inline(always)]
pub fn send(capability: Word, info: MessageInfo, message: [Word; FAST_REGISTERS]) {
    let [a, b, c, d] = message;
    // SAFETY: as above.
    unsafe {
        asm!(
            "svc #0",
            inout("x0") capability => _,
            inout("x1") info.0 => _,
            inout("x2") a => _,
            inout("x3") b => _,
            inout("x4") c => _,
            inout("x5") d => _,
            in("x7") syscall_id::Send as isize,
            options(nostack),
        );
    }
}
