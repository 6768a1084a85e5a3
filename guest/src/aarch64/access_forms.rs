//! Loads and stores that Rust cannot spell: signed, to and from the zero register, in tight
//! loops, and those for which the CPU gives no syndrome.
//!
//! All programs' assembly on a device is here. Register contract: `a` holds the location's
//! guest-physical address and is an input, except where the form writes it back; nothing but
//! the named operands changes. Methods that return a `u64` give the whole X register, which
//! held all-ones before, so that a W form which leaves the upper half alone shows.
//! Arm ARM C3.2 (loads and stores), D17.2.37 (which of them set ISS.ISV).

use crate::driver::{TraceLocation, WORD_LEN_BYTES};

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
                        core::arch::asm!(
                            $instruction,
                            v = inout(reg) value,
                            a = in(reg) address,
                            options(nostack, preserves_flags),
                        );
                    }
                    value
                }
            )*
        }
    };
}

loads! {
    /// LDR W of the location plus `offset`, aligned or not.
    load_w: "ldr {v:w}, [{a}]";
    /// LDRSB W: sign-extended to 32 bits, upper half zero.
    load_signed_byte_w: "ldrsb {v:w}, [{a}]";
    /// LDRSB X: sign-extended to 64 bits.
    load_signed_byte_x: "ldrsb {v}, [{a}]";
    /// LDRSH W: sign-extended to 32 bits, upper half zero.
    load_signed_half_w: "ldrsh {v:w}, [{a}]";
    /// LDRSH X: sign-extended to 64 bits.
    load_signed_half_x: "ldrsh {v}, [{a}]";
    /// LDRSW X: sign-extended to 64 bits.
    load_signed_word_x: "ldrsw {v}, [{a}]";
    /// LDR X: eight bytes.
    load_x: "ldr {v}, [{a}]";
    /// LDXR W: load exclusive.
    load_exclusive: "ldxr {v:w}, [{a}]";
}

impl TraceLocation {
    /// LDR to WZR: an access whose value goes nowhere.
    pub fn load_zero_register(&mut self) {
        // SAFETY: the address is a device's location.
        unsafe {
            core::arch::asm!(
                "ldr wzr, [{a}]",
                a = in(reg) self.address(),
                options(nostack, preserves_flags),
            );
        }
    }

    /// STR of WZR: writes 0.
    pub fn store_zero_register(&mut self) {
        // SAFETY: the address is a device's location.
        unsafe {
            core::arch::asm!(
                "str wzr, [{a}]",
                a = in(reg) self.address(),
                options(nostack, preserves_flags),
            );
        }
    }

    /// LDP W, W: a pair of words; the second lies behind the location.
    pub fn load_pair(&mut self) -> (u64, u64) {
        let (first, second);
        // SAFETY: both words are in the page that the VM traps for this device.
        unsafe {
            core::arch::asm!(
                "ldp {first:w}, {second:w}, [{a}]",
                first = out(reg) first,
                second = out(reg) second,
                a = in(reg) self.address(),
                options(nostack, preserves_flags),
            );
        }
        (first, second)
    }

    /// LDR W, post-indexed by 4: the value, and by how much the base register moved.
    pub fn load_post_indexed(&mut self) -> (u64, u64) {
        let (value, base_after): (u64, u64);
        // SAFETY: the address is a device's location.
        unsafe {
            core::arch::asm!(
                "ldr {v:w}, [{a}], #4",
                v = out(reg) value,
                a = inout(reg) self.address() => base_after,
                options(nostack, preserves_flags),
            );
        }
        (value, base_after.wrapping_sub(self.address()))
    }

    /// `n` loads by `ldr w0, [x1]`, three instructions a turn; the last value. `n` is not 0.
    pub fn storm_of_reads(&mut self, n: u64) -> u32 {
        let last;
        // SAFETY: the address is a device's location.
        unsafe {
            core::arch::asm!(
                "2: ldr w0, [x1]",
                "subs x2, x2, #1",
                "b.ne 2b",
                out("w0") last,
                in("x1") self.address(),
                inout("x2") n => _,
                options(nostack),
            );
        }
        last
    }

    /// `n` stores by `str w0, [x1]`, three instructions a turn, of the values `n` down to 1.
    /// `n` is not 0.
    pub fn storm_of_writes(&mut self, n: u32) {
        // SAFETY: the address is a device's location.
        unsafe {
            core::arch::asm!(
                "2: str w0, [x1]",
                "subs w0, w0, #1",
                "b.ne 2b",
                inout("w0") n => _,
                in("x1") self.address(),
                options(nostack),
            );
        }
    }

    /// `pairs` times `str w0, [x1]` and `ldr w0, [x1]`, beginning with `value`: what is read
    /// is what is written next. The last value read. `pairs` is not 0.
    pub fn storm_of_write_reads(&mut self, pairs: u64, value: u32) -> u32 {
        let last;
        // SAFETY: the address is a device's location.
        unsafe {
            core::arch::asm!(
                "2: str w0, [x1]",
                "ldr w0, [x1]",
                "subs x2, x2, #1",
                "b.ne 2b",
                inout("w0") value => last,
                in("x1") self.address(),
                inout("x2") pairs => _,
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
            core::arch::asm!(
                "2: str w2, [x1]",
                "ldr w0, [x1]",
                "strb w2, [x1, #1]",
                "ldrb w0, [x1, #1]",
                "strh w2, [x1, #2]",
                "ldrsh w0, [x1, #2]",
                "ldrsb x0, [x1, #3]",
                "ldr w0, [x1]",
                "subs x2, x2, #1",
                "b.ne 2b",
                out("x0") _,
                in("x1") self.address(),
                inout("x2") rounds => _,
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

/// UDF: an instruction that is undefined on every CPU.
pub fn undefined_instruction() {
    // SAFETY: does nothing but cause an exception.
    unsafe {
        core::arch::asm!("udf #0", options(nostack));
    }
}
