//! Proves that an instruction leaves the same registers and the same word on the device as on RAM
//! that looks like it, at EL1 and at EL0, if their data is big-endian.
//!
//! The MMU is off. Bit E0E of SCTLR_EL1 is set a while before anything is tried: seL4 tells a VMM
//! the byte order for a sixth of the price of an access, so there the VMM looks every 100 ms, and
//! at each access once either level's is turned round.
//!
//! Keys: `trace=` address of the location; with `unsupported reference ignore` (the default).

#![cfg_attr(target_os = "none", no_std, no_main)]

use core::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;

use guest::addressing_forms::Registers;
use guest::clock::Wait;
use guest::code::CodePage;
use guest::driver::TraceLocation;
use guest::exceptions::as_user;
use guest::{Outcome, Start, check, say};

guest::program!(run);

/// What the word holds before each form: a tick changes its last digit.
const WORD: u32 = 0x8091_a2b0;
/// Words of RAM before and behind the one that stands for the device's.
const AROUND: usize = 4;
const E0E: u64 = 1 << 24;
const EE: u64 = 1 << 25;
/// How long a platform may need to see the byte order.
const NOTICED: Duration = Duration::from_millis(400);

static CODE: CodePage = CodePage::new();
static LIKE_DEVICE: [AtomicU32; 2 * AROUND + 1] = [const { AtomicU32::new(0) }; 2 * AROUND + 1];

/// The instruction, and x1 before it, minus the word's address. x2 is 8.
const FORMS: [(u32, &str, i64); 22] = [
    (0xb940_0023, "ldr w3, [x1]", 0),
    (0x7940_0023, "ldrh w3, [x1]", 0),
    (0x7940_0423, "ldrh w3, [x1, #2]", 0),
    (0x79c0_0023, "ldrsh w3, [x1]", 0),
    (0x7980_0423, "ldrsh x3, [x1, #2]", 0),
    (0x3940_0c23, "ldrb w3, [x1, #3]", 0),
    (0x39c0_0423, "ldrsb w3, [x1, #1]", 0),
    (0xb980_0023, "ldrsw x3, [x1]", 0),
    (0xb900_0023, "str w3, [x1]", 0),
    (0x7900_0423, "strh w3, [x1, #2]", 0),
    (0x3900_0423, "strb w3, [x1, #1]", 0),
    (0xb862_6823, "ldr w3, [x1, x2]", -8),
    (0xb840_4423, "ldr w3, [x1], #4", 0),
    (0x78c0_2c23, "ldrsh w3, [x1, #2]!", 0),
    (0xb81f_cc23, "str w3, [x1, #-4]!", 4),
    (0x7800_2423, "strh w3, [x1], #2", 0),
    (0x2940_1023, "ldp w3, w4, [x1]", 0),
    (0x2900_1023, "stp w3, w4, [x1]", -4),
    (0x28c1_1023, "ldp w3, w4, [x1], #8", -4),
    (0x6940_1023, "ldpsw x3, x4, [x1]", 0),
    (0x88df_fc23, "ldar w3, [x1]", 0),
    (0x489f_fc23, "stlrh w3, [x1]", 0),
];

/// What x1, minus the word's address, x3 and x4 hold afterwards, and the word.
type Left = ([u64; 3], u32);

fn run(start: &Start) -> Outcome {
    let mut location = start.trace_location("trace")?;
    let usual = sctlr();
    set_sctlr(usual | E0E);
    if sctlr() & E0E == 0 {
        say!("this CPU has no other byte order");
        return Ok(());
    }
    let clock = &start.clock;
    clock.wait_until(clock.after(clock.now(), NOTICED), Wait::Busy);
    try_all("EL1", at_el1, &mut location);
    try_all("EL0", at_el0, &mut location);
    set_sctlr(usual);
    // And back, at once: EL1 has been little-endian all the time.
    location.write(WORD);
    let word = location.read();
    check!(word.wrapping_sub(WORD) <= 1, "the word is {word:#x}");
    Ok(())
}

fn try_all(level: &str, execute: fn(u32, u64) -> [u64; 3], location: &mut TraceLocation) {
    for (instruction, text, base) in FORMS {
        let mut left = [([0; 3], 0); 2];
        // A tick in between makes a difference once.
        for _ in 0..2 {
            left = leaves(execute, instruction, base, location);
            if left[0] == left[1] {
                break;
            }
        }
        let [device, ram] = left;
        check!(
            device == ram,
            "{level}: {text} on RAM {ram:x?}, on the device {device:x?}"
        );
    }
    let swapped = execute(FORMS[0].0, (&raw const LIKE_DEVICE[AROUND]).addr() as u64)[1];
    let word = LIKE_DEVICE[AROUND].load(Ordering::Relaxed);
    check!(
        swapped as u32 == word.swap_bytes(),
        "{level} is not big-endian"
    );
    say!(
        "{level}: {} forms leave the same on RAM and on the device",
        FORMS.len()
    );
}

/// What a form leaves on the device, and on RAM that looks like it.
fn leaves(
    execute: fn(u32, u64) -> [u64; 3],
    instruction: u32,
    base: i64,
    location: &mut TraceLocation,
) -> [Left; 2] {
    for word in &LIKE_DEVICE {
        word.store(u32::MAX, Ordering::Relaxed);
    }
    LIKE_DEVICE[AROUND].store(WORD, Ordering::Relaxed);
    location.write(WORD);
    let ram = (&raw const LIKE_DEVICE[AROUND]).addr() as u64;
    let on = |word: u64| {
        let [x1, x3, x4] = execute(instruction, word.wrapping_add_signed(base));
        [x1.wrapping_sub(word), x3, x4]
    };
    let on_device = on(location.address());
    let word = location.read();
    let on_ram = on(ram);
    [
        (on_device, word),
        (on_ram, LIKE_DEVICE[AROUND].load(Ordering::Relaxed)),
    ]
}

/// Executes an instruction at EL1 with this base; x1, x3 and x4 afterwards.
fn at_el1(instruction: u32, base: u64) -> [u64; 3] {
    // MSR SCTLR_EL1, X6; MSR SCTLR_EL1, X5; ISB.
    const BIG: u32 = 0xd518_1006;
    const LITTLE: u32 = 0xd518_1005;
    const ISB: u32 = 0xd503_3fdf;
    CODE.write(&[BIG, ISB, instruction, LITTLE, ISB]);
    let little = sctlr();
    let x = CODE.run([0, base, 8, DATA[0], DATA[1], little, little | EE, 0]);
    [x[1], x[3], x[4]]
}

/// The same at EL0.
fn at_el0(instruction: u32, base: u64) -> [u64; 3] {
    const SVC: u32 = 0xd400_0001;
    CODE.write(&[instruction, SVC]);
    let mut registers = Registers {
        base,
        index: 8,
        data: DATA,
        vectors: [0; 2],
    };
    let exception = as_user(CODE.address(), &mut registers);
    check!(exception.class() == 0x15, "{instruction:#x}: {exception}");
    let [x3, x4] = registers.data;
    [registers.base, x3, x4]
}

const DATA: [u64; 2] = [0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210];

fn sctlr() -> u64 {
    #[cfg(target_os = "none")]
    {
        use aarch64_cpu::registers::{Readable, SCTLR_EL1};
        SCTLR_EL1.get()
    }
    #[cfg(not(target_os = "none"))]
    unimplemented!()
}

fn set_sctlr(value: u64) {
    #[cfg(target_os = "none")]
    {
        use aarch64_cpu::asm::barrier;
        use aarch64_cpu::registers::{SCTLR_EL1, Writeable};
        SCTLR_EL1.set(value);
        barrier::isb(barrier::SY);
    }
    #[cfg(not(target_os = "none"))]
    unimplemented!("{value}")
}
