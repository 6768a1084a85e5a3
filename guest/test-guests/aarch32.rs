//! Proves that an AArch32 program at EL0 finds the same after an instruction on the device as on
//! RAM that looks like it, in A32 and T32, in both byte orders: registers, the word, PSTATE, and
//! where it goes on. And that what it may not do is its own exception and ends nothing else.
//!
//! The MMU is off. On a CPU without AArch32 there is nothing to prove. On a platform that cannot
//! complete such an instruction each is refused, and changes nothing.
//!
//! Keys: `trace=` address of the location; with `unsupported reference ignore` (the default).

#![cfg_attr(target_os = "none", no_std, no_main)]

use core::sync::atomic::{AtomicU32, Ordering};

use guest::aarch32::{self, A32, BIG_ENDIAN, EQUAL, End, Registers, T32};
use guest::code::CodePage;
use guest::driver::TraceLocation;
use guest::{Outcome, Start, check, say};

guest::program!(run);

/// What the word holds before each form: a tick changes its last digit.
const WORD: u32 = 0x8091_a2b0;
/// Words of RAM before and behind the one that stands for the device's.
const AROUND: usize = 4;

static CODE: CodePage = CodePage::new();
static LIKE_DEVICE: [AtomicU32; 2 * AROUND + 1] = [const { AtomicU32::new(0) }; 2 * AROUND + 1];

/// Halfwords of code, and r1 and r13 before them, minus the word's address. r2 is 8.
struct Form {
    text: &'static str,
    code: &'static [u16],
    base: i64,
}

macro_rules! forms {
    (a32: $($word:literal, $text:literal, $base:literal;)*) => {
        &[$(Form {
            text: $text,
            code: &[($word & 0xffff) as u16, ($word >> 16) as u16],
            base: $base,
        }),*]
    };
    (t32: $($half:literal $($other:literal)*, $text:literal, $base:literal;)*) => {
        &[$(Form { text: $text, code: &[$half $(, $other)*], base: $base }),*]
    };
}

static FORMS_OF_A32: &[Form] = forms! { a32:
    0xe591_3000_u32, "ldr r3, [r1]", 0;
    0xe581_3000_u32, "str r3, [r1]", 0;
    0xe5d1_3003_u32, "ldrb r3, [r1, #3]", 0;
    0xe1d1_30d1_u32, "ldrsb r3, [r1, #1]", 0;
    0xe1d1_30b2_u32, "ldrh r3, [r1, #2]", 0;
    0xe1d1_30f0_u32, "ldrsh r3, [r1]", 0;
    0xe5c1_3001_u32, "strb r3, [r1, #1]", 0;
    0xe1c1_30b2_u32, "strh r3, [r1, #2]", 0;
    0xe791_3002_u32, "ldr r3, [r1, r2]", -8;
    0xe711_3082_u32, "ldr r3, [r1, -r2, lsl #1]", 16;
    0xe491_3004_u32, "ldr r3, [r1], #4", 0;
    0xe411_3004_u32, "ldr r3, [r1], #-4", 0;
    0xe531_3004_u32, "ldr r3, [r1, #-4]!", 4;
    0xe7b1_3002_u32, "ldr r3, [r1, r2]!", -8;
    0xe611_31e2_u32, "ldr r3, [r1], -r2, ror #3", 0;
    0xe4d1_3001_u32, "ldrb r3, [r1], #1", 2;
    0xe0d1_30b2_u32, "ldrh r3, [r1], #2", 2;
    0xe171_30d1_u32, "ldrsb r3, [r1, #-1]!", 4;
    0xe1f1_30f2_u32, "ldrsh r3, [r1, #2]!", 0;
    0xe4b1_3004_u32, "ldrt r3, [r1], #4", 0;
    0xe481_3004_u32, "str r3, [r1], #4", 0;
    0xe521_3004_u32, "str r3, [r1, #-4]!", 4;
    0xe6c1_3002_u32, "strb r3, [r1], r2", 1;
    0xe1e1_30b2_u32, "strh r3, [r1, #2]!", 0;
    0xe4a1_3004_u32, "strt r3, [r1], #4", 0;
    0xe1c1_40d0_u32, "ldrd r4, r5, [r1]", 0;
    0xe0c1_40d8_u32, "ldrd r4, r5, [r1], #8", -4;
    0xe161_40d8_u32, "ldrd r4, r5, [r1, #-8]!", 8;
    0xe181_40d2_u32, "ldrd r4, r5, [r1, r2]", -8;
    0xe1c1_40f0_u32, "strd r4, r5, [r1]", 0;
    0xe0c1_40f8_u32, "strd r4, r5, [r1], #8", -4;
    0xe891_0008_u32, "ldm r1, {r3}", 0;
    0xe8b1_0018_u32, "ldm r1!, {r3, r4}", 0;
    0xe931_0018_u32, "ldmdb r1!, {r3, r4}", 4;
    0xe991_0018_u32, "ldmib r1, {r3, r4}", -4;
    0xe831_0018_u32, "ldmda r1!, {r3, r4}", 0;
    0xe8a1_0018_u32, "stm r1!, {r3, r4}", -4;
    0xe921_0008_u32, "stmdb r1!, {r3}", 4;
    0xe52d_3004_u32, "push {r3}", 4;
    0xe92d_0018_u32, "push {r3, r4}", 8;
    0xe8bd_0018_u32, "pop {r3, r4}", 0;
    0xe191_3c9f_u32, "lda r3, [r1]", 0;
    0xe1c1_fc93_u32, "stlb r3, [r1]", 0;
    0x0491_3004_u32, "ldreq r3, [r1], #4", 0;
    0x1491_3004_u32, "ldrne r3, [r1], #4", 0;
};

static FORMS_OF_T32: &[Form] = forms! { t32:
    0x680b, "ldr r3, [r1]", 0;
    0x600b, "str r3, [r1]", 0;
    0x78cb, "ldrb r3, [r1, #3]", 0;
    0x884b, "ldrh r3, [r1, #2]", 0;
    0x568b, "ldrsb r3, [r1, r2]", -7;
    0x5e8b, "ldrsh r3, [r1, r2]", -8;
    0x704b, "strb r3, [r1, #1]", 0;
    0x804b, "strh r3, [r1, #2]", 0;
    0x588b, "ldr r3, [r1, r2]", -8;
    0xc908, "ldm r1!, {r3}", 0;
    0xc918, "ldm r1!, {r3, r4}", 0;
    0xc118, "stm r1!, {r3, r4}", -4;
    0xb408, "push {r3}", 4;
    0xb508, "push {r3, lr}", 8;
    0xbc08, "pop {r3}", 0;
    0xbc18, "pop {r3, r4}", -4;
    0xf8d1 0x3000, "ldr.w r3, [r1]", 0;
    0xf851 0x3022, "ldr.w r3, [r1, r2, lsl #2]", -32;
    0xf851 0x3b04, "ldr r3, [r1], #4", 0;
    0xf851 0x3d04, "ldr r3, [r1, #-4]!", 4;
    0xf851 0x3c04, "ldr r3, [r1, #-4]", 4;
    0xf851 0x3e04, "ldrt r3, [r1, #4]", -4;
    0xf811 0x3b01, "ldrb r3, [r1], #1", 1;
    0xf931 0x3f02, "ldrsh r3, [r1, #2]!", 0;
    0xf841 0x3904, "str r3, [r1], #-4", 0;
    0xf821 0x3b02, "strh r3, [r1], #2", 2;
    0xe9d1 0x3400, "ldrd r3, r4, [r1]", 0;
    0xe8f1 0x4302, "ldrd r4, r3, [r1], #8", -4;
    0xe971 0x3502, "ldrd r3, r5, [r1, #-8]!", 8;
    0xe9c1 0x4300, "strd r4, r3, [r1]", 0;
    0xe9e1 0x3402, "strd r3, r4, [r1, #8]!", -8;
    0xe931 0x0018, "ldmdb r1!, {r3, r4}", 8;
    0xe921 0x0018, "stmdb r1!, {r3, r4}", 4;
    0xe8d1 0x3faf, "lda r3, [r1]", 0;
    0xe8c1 0x3f9f, "stlh r3, [r1]", 0;
    0x680b 0x2455, "ldr r3, [r1]; movs r4, #0x55", 0;
    0xc908 0x2455, "ldm r1!, {r3}; movs r4, #0x55", 0;
    0xbf04 0x680b 0x2455, "itt eq; ldr r3, [r1]; mov r4, #0x55", 0;
    0xbf06 0xf851 0x3b04 0x2455 0x2544,
        "itte eq; ldr r3, [r1], #4; mov r4, #0x55; movne r5, #0x44", 0;
    0xbf18 0x680b, "it ne; ldr r3, [r1]", 0;
    0xbf04 0x680b 0xdf00, "itt eq; ldr r3, [r1]; svc #0", 0;
    0xbf04 0xc908 0xdf00, "itt eq; ldm r1!, {r3}; svc #0", 0;
};

/// The supervisor call behind each form.
const SVC: [(u64, [u16; 2]); 2] = [(A32, [0x0000, 0xef00]), (T32, [0xdf00, 0xdf00])];

/// EC 0x11, SVC of AArch32; EC 0x24, a data abort of EL0, with IL and DFSC 0x10; EC 0 with IL.
const BY_SVC: u64 = 0x11;
const EXTERNAL_ABORT: u64 = 0x24 << 26 | 1 << 25 | 0x10;
const UNDEFINED: u64 = 1 << 25;
/// WnR of an abort.
const WRITE: u64 = 1 << 6;

fn run(start: &Start) -> Outcome {
    let mut location = start.trace_location("trace")?;
    if !aarch32::exists() {
        say!("this CPU has no AArch32");
        return Ok(());
    }
    for (set, name, forms) in [(A32, "A32", FORMS_OF_A32), (T32, "T32", FORMS_OF_T32)] {
        for (order, in_order) in [(0, "little-endian"), (BIG_ENDIAN, "big-endian")] {
            let (mut same, mut refused) = (0, 0);
            for form in forms {
                match same_or_refused(form, set | order | EQUAL, &mut location) {
                    Made::Same => same += 1,
                    Made::Refused => refused += 1,
                }
            }
            if refused == 0 {
                say!("{name}, {in_order}: {same} forms leave the same on RAM and on the device");
            } else {
                say!(
                    "{name}, {in_order}: {refused} forms are answered by policy, {same} make no access"
                );
            }
        }
    }
    refused(location.address());
    undefined();
    waits();
    Ok(())
}

/// What became of a form on the device.
enum Made {
    /// The same as on RAM.
    Same,
    /// An exception, and no change.
    Refused,
}

/// Executes a form on both; what it leaves must be the same, or nothing. A tick in between is not:
/// then once more.
fn same_or_refused(form: &Form, pstate: u64, location: &mut TraceLocation) -> Made {
    let mut left = None;
    for _ in 0..2 {
        for word in &LIKE_DEVICE {
            word.store(u32::MAX, Ordering::Relaxed);
        }
        LIKE_DEVICE[AROUND].store(WORD, Ordering::Relaxed);
        location.write(WORD);
        let ram = (&raw const LIKE_DEVICE[AROUND]).addr() as u64;
        let (device_registers, device_end) =
            execute(form.code, form.base, pstate, location.address());
        let word = location.read();
        let (ram_registers, ram_end) = execute(form.code, form.base, pstate, ram);
        let ram_word = LIKE_DEVICE[AROUND].load(Ordering::Relaxed);
        check!(
            ram_end.exception.class() == BY_SVC,
            "{}: {ram_end:x?}",
            form.text
        );
        if (device_registers, device_end, word) == (ram_registers, ram_end, ram_word) {
            return Made::Same;
        }
        let esr = device_end.exception.esr & !WRITE;
        let unchanged = device_registers[1] == form.base as u64
            && device_registers[13] == form.base as u64
            && (3..6).all(|number| device_registers[number] == initial(number));
        if esr == EXTERNAL_ABORT && unchanged && word.wrapping_sub(WORD) <= 1 {
            return Made::Refused;
        }
        left = Some((
            device_registers,
            device_end,
            word,
            ram_registers,
            ram_end,
            ram_word,
        ));
    }
    if let Some((registers, end, word, ram_registers, ram_end, ram_word)) = left {
        say!("on RAM    {ram_word:#x} {ram_registers:x?} {ram_end:x?}");
        say!("on device {word:#x} {registers:x?} {end:x?}");
    }
    check!(
        false,
        "{}, {pstate:#x} differs on RAM and on the device",
        form.text
    );
    Made::Refused
}

/// Executes code with r1 and r13 so far from `word`: what the registers hold afterwards, these two
/// minus the word's address, and how it ended.
fn execute(code: &[u16], base: i64, pstate: u64, word: u64) -> (Registers, End) {
    put(code, pstate);
    let base = word.wrapping_add_signed(base);
    let mut r: Registers = core::array::from_fn(initial);
    r[1] = base;
    r[2] = 8;
    r[13] = base;
    let mut end = aarch32::execute(CODE.address(), pstate, &mut r);
    for r in &mut r {
        // AArch32 leaves the upper halves as it likes.
        *r &= 0xffff_ffff;
    }
    for number in [1, 13] {
        r[number] = r[number].wrapping_sub(word);
    }
    end.exception.elr -= CODE.address();
    // An SVC leaves it alone.
    if end.exception.class() == BY_SVC {
        end.exception.far = 0;
    }
    (r, end)
}

/// What a register holds that is none of those.
fn initial(number: usize) -> u64 {
    0x1111_2345 * (number as u64 + 1)
}

/// Puts code at the start of the page, with a supervisor call behind it.
fn put(code: &[u16], pstate: u64) {
    let svc = SVC.iter().find(|(set, _)| *set == pstate & (A32 | T32));
    let svc = svc.map_or([0; 2], |(_, svc)| *svc);
    let mut halves = code.iter().copied().chain(svc).chain(svc);
    let mut next = || u32::from(halves.next().unwrap_or(0));
    let words: [u32; 4] = core::array::from_fn(|_| next() | next() << 16);
    CODE.write(&words);
}

/// What is not carried out is an abort that names the access and changes nothing.
fn refused(word: u64) {
    // ldrex r3, [r1]; ldm r1, {r3, r4, r5}; strex r4, r3, [r1] makes no access without the first.
    for (code, pstate) in [
        (&[0x3f9f, 0xe191][..], A32),
        (&[0x0038, 0xe891], A32),
        (&[0xe851, 0x3f00], T32),
        (&[0xc938], T32),
    ] {
        let pstate = pstate | EQUAL;
        let (r, end) = execute(code, 0, pstate, word);
        let exception = end.exception;
        check!(
            exception.esr == EXTERNAL_ABORT && exception.far == word && exception.elr == 0,
            "{code:x?}: {exception:x?}"
        );
        check!(end.pstate == pstate, "{code:x?}: {:#x}", end.pstate);
        check!(
            r[1] == 0 && r[3] == initial(3) && r[4] == initial(4),
            "{code:x?} left {r:x?}"
        );
    }
    say!("what is not supported is answered by policy");
}

/// A coprocessor's register can be read, or is undefined to the program.
fn undefined() {
    #[cfg(target_os = "none")]
    {
        use aarch64_cpu::registers::{CNTKCTL_EL1, Writeable};
        // EL0PTEN, EL0PCTEN: EL1 lets EL0 have the physical timer.
        CNTKCTL_EL1.set(1 << 9 | 1);
    }
    let mut count = 0;
    // mrc p14, 0, r3, c0, c0, 0 (DBGDIDR); mrc p15, 0, r3, c14, c2, 1 (CNTP_CTL); both in T32.
    for (code, pstate) in [
        (&[0x3e10, 0xee10], A32),
        (&[0x3f32, 0xee1e], A32),
        (&[0xee10, 0x3e10], T32),
        (&[0xee1e, 0x3f32], T32),
    ] {
        let (r, end) = execute(code, 0, pstate, 0);
        let esr = end.exception.esr;
        check!(
            esr == UNDEFINED && end.exception.elr == 0 || end.exception.class() == BY_SVC,
            "{code:x?}: {end:x?}"
        );
        check!(end.pstate == pstate, "{code:x?}: {:#x}", end.pstate);
        check!(
            esr != UNDEFINED || r[3] == initial(3),
            "{code:x?} left {r:x?}"
        );
        count += u32::from(esr == UNDEFINED);
    }
    // mrceq p14: whether or not it is trapped, it does nothing.
    let (r, end) = execute(&[0x3e10, 0x0e10], 0, A32, 0);
    check!(
        end.exception.class() == BY_SVC && r[3] == initial(3),
        "mrceq: {end:x?}"
    );
    say!("{count} of 4 registers are undefined, the others can be read");
}

/// WFI goes on behind itself, however long it is.
fn waits() {
    #[cfg(target_os = "none")]
    {
        use aarch64_cpu::asm::barrier;
        use aarch64_cpu::registers::{ReadWriteable, SCTLR_EL1};
        // EL1 lets EL0 wait.
        SCTLR_EL1.modify(SCTLR_EL1::NTWI::DontTrap);
        barrier::isb(barrier::SY);
    }
    // itt eq; wfi; mov r4, #0x55: where PSTATE cannot be set this is undefined to the program.
    let (r, end) = execute(&[0xbf04, 0xbf30, 0x2455], 0, T32 | EQUAL, 0);
    let (class, r4) = (end.exception.class(), r[4]);
    check!(
        class == BY_SVC && r4 == 0x55 || class == 0 && r4 == initial(4),
        "a wait in a block: {end:x?} {r:x?}"
    );
    // wfi; movs r4, #0x55; wfieq; mov r4, #0x55.
    for (code, pstate) in [
        (&[0xbf30, 0x2455][..], T32),
        (&[0xf003, 0x0320, 0x4055, 0xe3a0], A32 | EQUAL),
        (&[0xf003, 0x0320, 0x4055, 0xe3a0], A32),
    ] {
        let (r, end) = execute(code, 0, pstate, 0);
        check!(
            end.exception.class() == BY_SVC && r[4] == 0x55,
            "{code:x?}: {end:x?} {r:x?}"
        );
    }
    say!("a wait ends behind its instruction");
}
