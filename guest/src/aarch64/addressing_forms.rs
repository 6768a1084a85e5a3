//! Every form of addressing that loads and stores have, as a table of single instructions.
//!
//! A [`Form`] is one instruction between the loading and the storing of all the registers that
//! it may use ([`Registers`]), so that a program can compare what it leaves on a device with
//! what it leaves on RAM. Register contract of each: x1 is the base, x2 the index, x3 and x4
//! (or v0 and v1) are moved; a form through the stack pointer has its base there, in SP_EL0 or
//! SP_EL1. The base points `base` bytes behind the word that is meant.
//!
//! All forms are naturally aligned on a word that is aligned to 16 bytes, as memory that is
//! Device (all memory, with the MMU off) and the stack pointer want it.
//!
//! Arm ARM C3.2 (loads and stores), C1.3.3 (addressing modes).

/// What a form finds in its registers and leaves there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C, align(16))]
pub struct Registers {
    /// x1, or the stack pointer.
    pub base: u64,
    /// x2.
    pub index: u64,
    /// x3 and x4.
    pub data: [u64; 2],
    /// v0 and v1.
    pub vectors: [u128; 2],
}

/// One instruction.
#[derive(Debug, Clone, Copy)]
pub struct Form {
    /// As an assembler writes it.
    pub text: &'static str,
    /// The base register minus the word's address.
    pub base: i64,
    /// The index register.
    pub index: u64,
    run: extern "C" fn(&mut Registers),
}

impl Form {
    /// Whether it moves two registers, of which one lies beside the word.
    pub fn is_pair(&self) -> bool {
        ["ldp", "stp", "ldnp", "stnp"]
            .iter()
            .any(|name| self.text.starts_with(name))
    }

    /// Where its code is, `alias` bytes from where the program is linked: 0, or the distance to
    /// another mapping of the same code.
    pub fn code(&self, alias: u64) -> u64 {
        (self.run as usize as u64).wrapping_add(alias)
    }

    /// Executes it there.
    pub fn execute(&self, alias: u64, registers: &mut Registers) {
        // SAFETY: the code at the alias is that function's, by the caller's page tables, and
        // position-independent.
        let run: extern "C" fn(&mut Registers) =
            unsafe { core::mem::transmute(self.code(alias) as usize) };
        run(registers);
    }
}

/// Tables of forms. `general` loads and stores x1 to x4 around the instruction; `vector` also
/// v0 and v1; `sp_el0` and `sp_el1` have their base in that stack pointer.
macro_rules! forms {
    ($(
        $(#[$doc:meta])*
        $table:ident: $around:ident { $($text:literal, $base:literal, $index:literal;)* }
    )*) => {
        $(
            $(#[$doc])*
            pub static $table: &[Form] = &[$(Form {
                text: $text,
                base: $base,
                index: $index,
                run: {
                    extern "C" fn run(registers: &mut Registers) {
                        around!($around, $text, registers);
                    }
                    run
                },
            }),*];
        )*
    };
}

macro_rules! around {
    (general, $text:literal, $registers:ident) => {
        execute!($registers, "nop", "nop", $text, "nop", "nop")
    };
    (vector, $text:literal, $registers:ident) => {
        execute!(
            $registers,
            ".arch_extension fp",
            "ldp q0, q1, [x0, #32]",
            $text,
            "stp q0, q1, [x0, #32]",
            ".arch_extension nofp"
        )
    };
    // An exception while SP_EL0 is in use is taken on SP_EL1, which is the program's.
    (sp_el0, $text:literal, $registers:ident) => {
        execute!(
            $registers,
            "msr spsel, #0",
            "mov x5, sp\n mov sp, x1",
            $text,
            "mov x1, sp\n mov sp, x5",
            "msr spsel, #1"
        )
    };
    (sp_el1, $text:literal, $registers:ident) => {
        execute!(
            $registers,
            "mov x5, sp",
            "mov sp, x1",
            $text,
            "mov x1, sp",
            "mov sp, x5"
        )
    };
}

macro_rules! execute {
    ($registers:ident, $first:literal, $second:literal, $text:literal, $third:literal, $fourth:literal) => {{
        // SAFETY: the caller's base leads to a device's page or to memory of its own for this;
        // only the named registers change, and they are saved.
        unsafe {
            core::arch::asm!(
                "ldp x1, x2, [x0]",
                "ldp x3, x4, [x0, #16]",
                $first,
                $second,
                $text,
                $third,
                $fourth,
                "stp x1, x2, [x0]",
                "stp x3, x4, [x0, #16]",
                in("x0") $registers,
                out("x1") _,
                out("x2") _,
                out("x3") _,
                out("x4") _,
                out("x5") _,
            );
        }
    }};
}

forms! {
    /// Loads and stores of general-purpose registers that the device supports.
    GENERAL: general {
        "ldr w3, [x1]", 0, 0;
        "ldr w3, [x1, #16]", -16, 0;
        "str w3, [x1, #4]", -4, 0;
        "ldr w3, [x1], #4", 0, 0;
        "ldr w3, [x1], #-256", 0, 0;
        "ldr w3, [x1, #-4]!", 4, 0;
        "ldr w3, [x1, #255]!", -255, 0;
        "ldrb w3, [x1], #1", 1, 0;
        "ldrh w3, [x1], #2", 2, 0;
        "ldrsb w3, [x1], #1", 3, 0;
        "ldrsb x3, [x1], #1", 3, 0;
        "ldrsh w3, [x1, #2]!", 0, 0;
        "ldrsh x3, [x1, #2]!", 0, 0;
        "ldrsw x3, [x1], #4", 0, 0;
        "ldr wzr, [x1], #4", 0, 0;
        "str w3, [x1], #4", 0, 0;
        "str w3, [x1, #-16]!", 16, 0;
        "strb w3, [x1], #1", 1, 0;
        "strh w3, [x1, #2]!", 0, 0;
        "str wzr, [x1], #4", 0, 0;
        "ldur w3, [x1, #-3]", 3, 0;
        "ldursb x3, [x1, #-1]", 2, 0;
        "ldursw x3, [x1, #255]", -255, 0;
        "stur w3, [x1, #-3]", 3, 0;
        "sturh w3, [x1, #1]", 1, 0;
        "ldtr w3, [x1, #4]", -4, 0;
        "ldtrsb w3, [x1, #-1]", 4, 0;
        "sttr w3, [x1, #-4]", 4, 0;
        "sttrb w3, [x1]", 2, 0;
        "ldr w3, [x1, x2]", -0x40, 0x40;
        "ldr w3, [x1, x2, lsl #2]", 8, 0xffff_ffff_ffff_fffe;
        "ldr w3, [x1, w2, uxtw]", -8, 0xffff_ffff_0000_0008;
        "ldr w3, [x1, w2, uxtw #2]", -8, 0xffff_ffff_0000_0002;
        "ldr w3, [x1, w2, sxtw #2]", 8, 0xffff_fffe;
        "ldr w3, [x1, x2, sxtx #2]", 8, 0xffff_ffff_ffff_fffe;
        "ldrsh x3, [x1, w2, sxtw #1]", 4, 0xffff_ffff;
        "ldrb w3, [x1, w2, sxtw]", 4, 0xffff_ffff;
        "str w3, [x1, w2, uxtw #2]", -8, 2;
        "strh w3, [x1, x2, lsl #1]", -8, 5;
        "ldp w3, w4, [x1]", 0, 0;
        "ldp w3, w4, [x1], #8", 0, 0;
        "ldp w3, w4, [x1, #-8]!", 8, 0;
        "ldp w3, w4, [x1, #8]", -12, 0;
        "ldp w3, wzr, [x1], #8", 0, 0;
        "ldpsw x3, x4, [x1], #-256", 0, 0;
        "ldnp w3, w4, [x1, #4]", -4, 0;
        "stp w3, w4, [x1]", 0, 0;
        "stp w3, w4, [x1], #8", -4, 0;
        "stp w3, w4, [x1, #252]!", -252, 0;
        "stnp w3, w4, [x1]", 0, 0;
        "stp wzr, w4, [x1]", 0, 0;
        "ldar w3, [x1]", 0, 0;
        "ldarb w3, [x1]", 3, 0;
        "ldarh w3, [x1]", 2, 0;
        "stlr w3, [x1]", 0, 0;
        "stlrb w3, [x1]", 1, 0;
        "stlrh w3, [x1]", 2, 0;
    }
    /// The same of vector registers.
    VECTOR: vector {
        "ldr b0, [x1], #1", 1, 0;
        "ldr h0, [x1, #2]!", 0, 0;
        "ldr s0, [x1]", 0, 0;
        "ldr s0, [x1], #4", 0, 0;
        "ldr s0, [x1, w2, sxtw #2]", 8, 0xffff_fffe;
        "ldur s0, [x1, #-4]", 4, 0;
        "ldp s0, s1, [x1], #8", 0, 0;
        "ldnp s0, s1, [x1, #-8]", 8, 0;
        "str b0, [x1], #1", 3, 0;
        "str h0, [x1, #2]", -2, 0;
        "str s0, [x1, #-4]!", 4, 0;
        "str s0, [x1, x2]", -8, 8;
        "stp s0, s1, [x1], #8", 0, 0;
    }
    /// Through SP_EL0, as an EL1 that uses it.
    SP_EL0: sp_el0 {
        "ldr w3, [sp], #16", 0, 0;
        "str w3, [sp, #-16]!", 16, 0;
        "ldp w3, w4, [sp], #16", 0, 0;
        "ldr w3, [sp, x2]", -16, 16;
    }
    /// Through SP_EL1.
    SP_EL1: sp_el1 {
        "ldr w3, [sp], #16", 0, 0;
        "str w3, [sp, #-16]!", 16, 0;
        "ldp w3, w4, [sp], #16", 0, 0;
    }
    /// What is wider than the device, which it therefore does not support.
    WIDE: general {
        "ldr x3, [x1], #8", 0, 0;
        "ldp x3, x4, [x1, #-16]!", 16, 0;
        "str x3, [x1], #8", 0, 0;
        "stp x3, x4, [x1], #16", 0, 0;
    }
    /// Policy `instruction`: exclusives.
    OTHER: general {
        "ldxr w3, [x1]", 0, 0;
        "ldaxr w3, [x1]", 0, 0;
    }
}
