//! The message registers of this thread that a system call passes in memory: from the fifth on.
//!
//! Used by the vCPUs for what an exit brings and what is written back. rust-sel4 looks for the thread's IPC
//! buffer at each use, and moves what is in it by `memcpy`: as long as a third of the VMM's own part of an
//! access.
//!
//! Invariant: the kernel writes them too, so they are only ever accessed a word at a time, volatile, and while
//! no reference to them exists.

use core::ptr::NonNull;
use sel4::Word;

/// Message registers that a system call passes in registers of the CPU.
const FAST_REGISTERS: usize = sel4::NUM_FAST_MESSAGE_REGISTERS;

/// See the file's header.
pub struct SlowRegisters(NonNull<Word>);

impl SlowRegisters {
    /// Those of this thread.
    pub fn of_this_thread() -> Self {
        Self(sel4::with_ipc_buffer_mut(|buffer| {
            NonNull::from(&mut buffer.msg_regs_mut()[FAST_REGISTERS])
        }))
    }

    /// Writes the fifth and those behind it: as many as there are words, at most 116.
    #[inline(always)]
    pub fn write(&mut self, words: &[Word]) {
        for (place, word) in words.iter().enumerate() {
            // SAFETY: the register is this thread's; see the file's invariant.
            unsafe { self.register(place).write_volatile(*word) };
        }
    }

    /// Reads one; the fifth is at 0.
    #[inline(always)]
    pub fn read(&self, place: usize) -> Word {
        // SAFETY: as above.
        unsafe { self.register(place).read_volatile() }
    }

    #[inline(always)]
    fn register(&self, place: usize) -> NonNull<Word> {
        // SAFETY: a thread's IPC buffer has 120 message registers and outlives it, and nobody asks for one
        // beyond.
        unsafe { self.0.add(place) }
    }
}
