//! What traps and what is in its place when the VMM looks, in 64-bit mode; and code that
//! changes after the VMM has decoded it.
//!
//! AMD APM volume 3, chapter 3.

use core::sync::atomic::AtomicU64;

use guest::code;
use guest::driver::TraceLocation;
use guest::exceptions::{Exception, attempt};
use guest::page_tables::{
    self, WINDOW, WINDOW_ENTRY_BYTES, WINDOW_LEVEL_2, WINDOW_LEVEL_3, forget_translations,
};
use guest::{check, say};

use super::{OTHER, TRAPS};

/// `mov eax, [rsi]`.
pub const LOAD: &[u8] = &[0x8b, 0x06];
/// What may be there when the VMM looks: a store, a load from RSI + 4, `add rax, rcx`,
/// `lock add [rsi], eax`, `cmpsd`, bytes that are nothing.
pub const OTHERS: [(&str, &[u8]); 6] = [
    ("a store", &[0x89, 0x06]),
    ("a load of another address", &[0x8b, 0x46, 0x04]),
    ("no access", &[0x48, 0x01, 0xc8]),
    ("a locked access", &[0xf0, 0x01, 0x06]),
    ("a string", &[0xa7]),
    ("no instruction", &[0x06, 0x06]),
];
/// An exit to the host may make the CPU forget before it should.
pub const TRIES: u32 = 3;

const INVALID_OPCODE: u64 = 6;

/// Where RAX points, so that zeroes, if the CPU executes such, add to something.
static SCRATCH: AtomicU64 = AtomicU64::new(0);

/// The registers of a load from `address`: RSI has it.
pub fn load_from(address: u64) -> [u64; 8] {
    [SCRATCH.as_ptr() as u64, 0, 0, 0, address, 0, 0, 0]
}

/// What the load has loaded: EAX.
pub fn loaded(registers: [u64; 8]) -> u64 {
    registers[0]
}

/// What it loads of a word of RAM.
pub fn part_of(word: u64) -> u64 {
    word & 0xffff_ffff
}

/// Makes the VMM decode the load and keep what it found.
pub fn before(address: u64) {
    for _ in 0..2 {
        code::call(WINDOW, load_from(address));
    }
}

/// Whether the load in the window is an instruction that is not carried out.
pub fn is_refusal(exception: Exception, _: u64) -> bool {
    (exception.vector, exception.rip) == (INVALID_OPCODE, WINDOW)
}

/// A table that names itself, walked by the CPU; and code, known to the VMM, that becomes
/// other code in its place, or on another page at its address.
pub fn more(_: &[(&str, u64)], location: &mut TraceLocation) {
    WINDOW_LEVEL_2.set(0, page_tables::table(WINDOW_LEVEL_3.address()));
    WINDOW_LEVEL_2.set(1, page_tables::table(WINDOW_LEVEL_2.address()));
    WINDOW_LEVEL_3.set(0, page_tables::page(TRAPS.address()));
    forget_translations();
    TRAPS.write(LOAD);
    let entry = loaded(TRAPS.run(load_from(WINDOW + WINDOW_ENTRY_BYTES)));
    check!(
        entry & !0xfff == page_tables::page(TRAPS.address()) & !0xfff,
        "the table that names itself leads to {entry:#x}"
    );

    const VALUE: u32 = 0x7000_0000;
    let counter = location.read();
    let address = location.address();
    for page in [TRAPS.address(), WINDOW] {
        WINDOW_LEVEL_3.set(0, page_tables::page(TRAPS.address()));
        forget_translations();
        let put = |instruction: &[u8]| match page {
            WINDOW => {
                // Another page at the same address.
                OTHER.write(instruction);
                WINDOW_LEVEL_3.set(0, page_tables::page(OTHER.address()));
                forget_translations();
            }
            _ => TRAPS.write(instruction),
        };
        TRAPS.write(LOAD);
        location.write(VALUE);
        let near = |value: u64| value.wrapping_sub(VALUE.into()) <= 1;
        for _ in 0..3 {
            let registers = code::call(page, load_from(address));
            check!(near(registers[0]), "{:#x} loaded", registers[0]);
        }
        // mov ecx, [rsi]
        put(&[0x8b, 0x0e]);
        let registers = code::call(page, load_from(address));
        check!(
            registers[0] == SCRATCH.as_ptr() as u64 && near(registers[1]),
            "what became a load into ECX left {registers:x?}"
        );
        // lock add [rsi], eax
        put(&[0xf0, 0x01, 0x06]);
        let refused = attempt(|| code::call(page, load_from(address)));
        check!(
            refused.is_err_and(|exception| exception.vector == INVALID_OPCODE),
            "what became a locked access was carried out"
        );
        // mov [rsi], ecx
        put(&[0x89, 0x0e]);
        let mut registers = load_from(address);
        registers[1] = 5;
        code::call(page, registers);
        let word = location.read();
        check!(
            word.wrapping_sub(5) <= 1,
            "what became a store left {word:#x}"
        );
    }
    location.write(counter);
    say!("what became other code is other code");
}
