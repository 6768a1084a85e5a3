//! Loads and stores that Rust cannot spell: signed, without a register, in tight loops, and
//! those that the VMM does not carry out.
//!
//! All programs' assembly on a device is here. Register contract: `a` holds the location's
//! guest-physical address and is an input, except where the form changes it; nothing but the
//! named operands changes. Methods that return a `u64` give the whole register, which held
//! all-ones before, so that a 32-bit form which leaves the upper half alone shows.
//! AMD APM volume 3, chapter 3.

use crate::driver::{TraceLocation, WORD_LEN_BYTES};
use core::arch::asm;

/// Methods of one load each, into a register that is returned whole.
macro_rules! loads {
    ($($(#[$doc:meta])* $name:ident: $instruction:literal;)*) => {
        impl TraceLocation {
            $(
                $(#[$doc])*
                pub fn $name(&mut self, offset: u64) -> u64 {
                    let address = self.byte_address(offset);
                    let mut value = u64::MAX;
                    // SAFETY: the address is in the page that the VM traps for this device.
                    unsafe {
                        asm!(
                            $instruction,
                            v = inout(reg) value,
                            a = in(reg) address,
                            options(nostack),
                        );
                    }
                    value
                }
            )*
        }
    };
}

loads! {
    /// MOV of 32 bits from the location plus `offset`, aligned or not.
    load_w: "mov {v:e}, [{a}]";
    /// MOVSX from 8 to 32 bits, upper half zero.
    load_signed_byte_w: "movsx {v:e}, byte ptr [{a}]";
    /// MOVSX from 8 to 64 bits.
    load_signed_byte_x: "movsx {v}, byte ptr [{a}]";
    /// MOVSX from 16 to 32 bits, upper half zero.
    load_signed_half_w: "movsx {v:e}, word ptr [{a}]";
    /// MOVSX from 16 to 64 bits.
    load_signed_half_x: "movsx {v}, word ptr [{a}]";
    /// MOVSXD from 32 to 64 bits.
    load_signed_word_x: "movsxd {v}, dword ptr [{a}]";
    /// MOV of 64 bits.
    load_x: "mov {v}, [{a}]";
    /// LOCK XADD of 32 bits: an access that cannot be split.
    load_exclusive: "lock xadd [{a}], {v:e}";
}

impl TraceLocation {
    /// TEST with a constant: an access whose value goes nowhere.
    pub fn load_zero_register(&mut self) {
        // SAFETY: the address is a device's location.
        unsafe { asm!("test dword ptr [{a}], 0", a = in(reg) self.address(), options(nostack)) };
    }

    /// MOV of a constant: writes 0.
    pub fn store_zero_register(&mut self) {
        // SAFETY: the address is a device's location.
        unsafe { asm!("mov dword ptr [{a}], 0", a = in(reg) self.address(), options(nostack)) };
    }

    /// CMPXCHG8B: a pair of words; the second lies behind the location.
    pub fn load_pair(&mut self) -> (u64, u64) {
        let (first, second): (u32, u32);
        // SAFETY: both words are in the page that the VM traps for this device. RBX is the
        // compiler's, so it is lent for the one instruction.
        unsafe {
            asm!(
                "mov {rbx}, rbx",
                "xor ebx, ebx",
                "cmpxchg8b [{a}]",
                "mov rbx, {rbx}",
                rbx = out(reg) _,
                a = in(reg) self.address(),
                inout("eax") 0 => first,
                inout("edx") 0 => second,
                in("ecx") 0,
                options(nostack),
            );
        }
        (first.into(), second.into())
    }

    /// LODSD: the value, and by how much the address register moved.
    pub fn load_post_indexed(&mut self) -> (u64, u64) {
        let (value, after): (u32, u64);
        // SAFETY: the address is a device's location; the direction flag is clear.
        unsafe {
            asm!(
                "lodsd",
                out("eax") value,
                inout("rsi") self.address() => after,
                options(nostack),
            );
        }
        (value.into(), after.wrapping_sub(self.address()))
    }

    /// `n` loads by `mov eax, [rdx]`, three instructions a turn; the last value. `n` is not 0.
    pub fn storm_of_reads(&mut self, n: u64) -> u32 {
        let last;
        // SAFETY: the address is a device's location.
        unsafe {
            asm!(
                "2: mov eax, [rdx]",
                "dec rcx",
                "jnz 2b",
                out("eax") last,
                in("rdx") self.address(),
                inout("rcx") n => _,
                options(nostack),
            );
        }
        last
    }

    /// `n` stores by `mov [rdx], eax`, three instructions a turn, of the values `n` down to 1.
    /// `n` is not 0.
    pub fn storm_of_writes(&mut self, n: u32) {
        // SAFETY: the address is a device's location.
        unsafe {
            asm!(
                "2: mov [rdx], eax",
                "dec eax",
                "jnz 2b",
                inout("eax") n => _,
                in("rdx") self.address(),
                options(nostack),
            );
        }
    }

    /// `pairs` times `mov [rdx], eax` and `mov eax, [rdx]`, beginning with `value`: what is
    /// read is what is written next. The last value read. `pairs` is not 0.
    pub fn storm_of_write_reads(&mut self, pairs: u64, value: u32) -> u32 {
        let last;
        // SAFETY: the address is a device's location.
        unsafe {
            asm!(
                "2: mov [rdx], eax",
                "mov eax, [rdx]",
                "dec rcx",
                "jnz 2b",
                inout("eax") value => last,
                in("rdx") self.address(),
                inout("rcx") pairs => _,
                options(nostack),
            );
        }
        last
    }

    /// `rounds` times [`MIXED_ROUND`] accesses of every width and both directions. `rounds` is
    /// not 0.
    pub fn storm_of_mixed(&mut self, rounds: u64) {
        // SAFETY: the lanes are a device's location.
        unsafe {
            asm!(
                "2: mov [rdx], ecx",
                "mov eax, [rdx]",
                "mov [rdx + 1], cl",
                "mov al, [rdx + 1]",
                "mov [rdx + 2], cx",
                "movsx eax, word ptr [rdx + 2]",
                "movsx rax, byte ptr [rdx + 3]",
                "mov eax, [rdx]",
                "dec rcx",
                "jnz 2b",
                out("rax") _,
                in("rdx") self.address(),
                inout("rcx") rounds => _,
                options(nostack),
            );
        }
    }

    /// The address `offset` bytes into the word; an access there may reach beyond it.
    fn byte_address(&self, offset: u64) -> u64 {
        assert!(offset < WORD_LEN_BYTES, "no byte {offset} in the word");
        self.address() + offset
    }
}

/// Accesses in one round of [`TraceLocation::storm_of_mixed`].
pub const MIXED_ROUND: u64 = 8;

/// UD2: an instruction that is undefined on every CPU.
pub fn undefined_instruction() {
    // SAFETY: does nothing but cause an exception.
    unsafe { asm!("ud2", options(nostack)) };
}
