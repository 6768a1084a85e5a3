//! Code that a program writes at run time: an instruction for every combination of its
//! fields, or one that no assembler accepts.
//!
//! Invariant: what is called ends with RET, changes only x0 to x7, and lies in a [`CodePage`].
//! An exception in it is for [`crate::exceptions::attempt`] and ends the call, for what follows
//! may not be there any more. Arm ARM B2.4.4 (making written instructions visible).

use core::sync::atomic::{AtomicU32, Ordering};

/// `RET`.
pub const RET: u32 = 0xd65f_03c0;

/// What the instructions are by which a hypervisor can be called: HVC and SMC.
pub fn hypervisor_calls() -> [&'static [u32]; 2] {
    [&[0xd400_0002], &[0xd400_0003]]
}

/// Instructions in a page.
const WORDS: usize = 1024;

/// A page of the guest's RAM that holds code.
#[repr(C, align(4096))]
pub struct CodePage([AtomicU32; WORDS]);

impl CodePage {
    /// A page of zeroes, which are undefined instructions.
    pub const fn new() -> Self {
        Self([const { AtomicU32::new(0) }; WORDS])
    }

    /// Its guest-physical address.
    pub fn address(&'static self) -> u64 {
        core::ptr::from_ref(self) as u64
    }

    /// Puts instructions at the page's start, a RET behind them, and makes the CPU see them.
    pub fn write(&'static self, instructions: &[u32]) {
        for (word, instruction) in self.0.iter().zip(instructions.iter().chain([&RET])) {
            word.store(*instruction, Ordering::Relaxed);
        }
        let len_bytes = 4 * (instructions.len() + 1);
        synchronise(self.address(), len_bytes as u64);
    }

    /// Runs the page's code with x0 to x7 as given, and returns what they hold afterwards.
    pub fn run(&'static self, registers: [u64; 8]) -> [u64; 8] {
        call(self.address(), registers)
    }
}

impl Default for CodePage {
    fn default() -> Self {
        Self::new()
    }
}

/// Cleans the data cache and invalidates the instruction cache, in the smallest lines there
/// may be.
fn synchronise(address: u64, len_bytes: u64) {
    const SMALLEST_LINE_BYTES: usize = 16;
    for line in (address..address + len_bytes).step_by(SMALLEST_LINE_BYTES) {
        // SAFETY: maintenance of a line of the program's own page.
        unsafe {
            core::arch::asm!("dc cvau, {0}", "dsb ish", "ic ivau, {0}", in(reg) line, options(nostack));
        }
    }
    // SAFETY: barriers.
    unsafe { core::arch::asm!("dsb ish", "isb", options(nostack)) };
}

/// Calls `address`, a guest-virtual one, with x0 to x7 as given.
pub fn call(address: u64, registers: [u64; 8]) -> [u64; 8] {
    let mut x = registers;
    // SAFETY: by the module's contract the code changes only what is named here; after an
    // exception the handler goes on at the label.
    unsafe {
        core::arch::asm!(
            "adr x10, 2f",
            "str x10, [x9]",
            "blr x16",
            "2:",
            "str xzr, [x9]",
            inout("x0") x[0],
            inout("x1") x[1],
            inout("x2") x[2],
            inout("x3") x[3],
            inout("x4") x[4],
            inout("x5") x[5],
            inout("x6") x[6],
            inout("x7") x[7],
            in("x9") crate::exceptions::RECOVERY.as_ptr(),
            in("x16") address,
            out("x10") _,
            out("x30") _,
        );
    }
    x
}
