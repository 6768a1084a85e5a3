//! Code that a program writes at run time: an instruction for every combination of its
//! fields, or one that no assembler accepts.
//!
//! Invariant: what is called ends with RET, leaves RSP alone, and lies in a [`CodePage`] or
//! where there is none. An exception in it is for [`crate::exceptions::attempt`] and ends the
//! call. AMD APM volume 2, 7.6.1 (instructions that a CPU writes for itself are seen at once,
//! from the next jump on).

use core::sync::atomic::{AtomicU8, Ordering};

use crate::cpu;

/// RET.
const RET: u8 = 0xc3;
/// AMD's, and Intel's.
const VMMCALL: &[u8] = &[0x0f, 0x01, 0xd9];
const VMCALL: &[u8] = &[0x0f, 0x01, 0xc1];

/// RFLAGS of code that expects nothing: interrupts off, no flag set.
pub const RFLAGS_CLEAR: u64 = 1 << 1;

/// What the instructions are by which a hypervisor can be called.
pub fn hypervisor_calls() -> [&'static [u8]; 1] {
    [if cpu::has_vmmcall() { VMMCALL } else { VMCALL }]
}

/// The registers of a piece of code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Registers {
    /// RAX to R15 in the order of their encoding; RSP is not among them and 0 here.
    pub gpr: [u64; 16],
    /// RFLAGS.
    pub rflags: u64,
}

/// A page of the guest's RAM that holds code.
#[repr(C, align(4096))]
pub struct CodePage([AtomicU8; 4096]);

impl CodePage {
    /// A page of zeroes.
    pub const fn new() -> Self {
        Self([const { AtomicU8::new(0) }; 4096])
    }

    /// Its guest-physical address.
    pub fn address(&'static self) -> u64 {
        core::ptr::from_ref(self) as u64
    }

    /// Puts instructions at the page's start, and a RET behind them.
    pub fn write(&'static self, instructions: &[u8]) {
        self.write_at(0, instructions);
    }

    /// The same, so far from the page's start.
    pub fn write_at(&'static self, offset_bytes: usize, instructions: &[u8]) {
        let places = &self.0[offset_bytes..];
        for (place, byte) in places.iter().zip(instructions.iter().chain([&RET])) {
            place.store(*byte, Ordering::Relaxed);
        }
    }

    /// Runs the page's code as [`call`] does.
    pub fn run(&'static self, registers: [u64; 8]) -> [u64; 8] {
        call(self.address(), registers)
    }

    /// Runs the page's code with these registers, which become what it leaves.
    pub fn run_with(&'static self, registers: &mut Registers) {
        call_with(self.address(), registers);
    }
}

impl Default for CodePage {
    fn default() -> Self {
        Self::new()
    }
}

/// Where [`call`]'s registers are in the order of their encoding: RAX, RCX, RDX, RBX, RSI, RDI,
/// R8, R9.
const OF_CALL: [usize; 8] = [0, 1, 2, 3, 6, 7, 8, 9];

/// Calls `address`, a linear one, with RAX, RCX, RDX, RBX, RSI, RDI, R8 and R9 as given, and
/// returns what they hold afterwards.
pub fn call(address: u64, registers: [u64; 8]) -> [u64; 8] {
    let mut all = Registers {
        gpr: [0; 16],
        rflags: RFLAGS_CLEAR,
    };
    for (number, value) in OF_CALL.into_iter().zip(registers) {
        all.gpr[number] = value;
    }
    call_with(address, &mut all);
    OF_CALL.map(|number| all.gpr[number])
}

/// Calls `address`, a linear one, with these registers, which become what it leaves.
pub fn call_with(address: u64, registers: &mut Registers) {
    #[cfg(target_os = "none")]
    {
        unsafe extern "C" {
            fn call_code(code: u64, registers: &mut Registers);
        }
        // SAFETY: by the module's contract the code changes registers alone, and where there
        // is none an exception ends the attempt, or the VM ends.
        unsafe { call_code(address, registers) };
    }
    #[cfg(not(target_os = "none"))]
    unimplemented!("{address:#x} {registers:?}")
}
