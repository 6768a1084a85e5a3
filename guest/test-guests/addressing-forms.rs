//! Proves that an instruction leaves the same registers and the same word on the device as on
//! RAM that looks like it: every form of [`guest::addressing_forms`], with the MMU off, and on
//! with each granule that the CPU has, through both halves of the address space, the code in
//! either half. And that what is refused names the address, the direction and the instruction.
//!
//! Keys: `trace=` address of the location, at the start of a page of 64 KiB; `console=`;
//! `reference=` what `unsupported reference` says, `ignore` or `fail`.

#![cfg_attr(target_os = "none", no_std, no_main)]

use core::sync::atomic::{AtomicU32, Ordering};

use guest::{
    Outcome, Start,
    addressing_forms::{Form, GENERAL, OTHER, Registers, SP_EL0, SP_EL1, VECTOR, WIDE},
    check,
    driver::TraceLocation,
    exceptions::{Exception, attempt},
    paging::{Granule, Mmu, Use, WINDOW},
    say,
};

guest::program!(run);

/// What the word holds before each form; a tick changes its last digit.
const WORD: u32 = 0x8091_a2b0;
/// Words of RAM, before and behind the one that stands for the device's, that forms reach.
const AROUND: usize = 4;

/// A page of any granule.
#[repr(align(65536))]
struct Page([AtomicU32; 16384]);

static LIKE_DEVICE: Page = Page([const { AtomicU32::new(0) }; 16384]);
static CODE: Page = Page([const { AtomicU32::new(0) }; 16384]);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Reference {
    Ignore,
    Fail,
}

impl Reference {
    /// Whether a form comes to its end: what lies beside the word is nowhere, which is an
    /// exception where that is the policy.
    fn answers(self, form: &Form) -> bool {
        self == Self::Ignore || !form.is_pair()
    }
}

/// One way to see the device, and RAM that looks like it.
struct Place {
    /// The device's word.
    device: u64,
    /// The word in RAM.
    ram: u64,
    /// What to add to the program's addresses to execute there.
    code: u64,
}

fn run(start: &Start) -> Outcome {
    let choices = [("ignore", Reference::Ignore), ("fail", Reference::Fail)];
    let reference = start.cmdline.choice("reference", &choices)?;
    let console = start.cmdline.number("console")?;
    let mut location = start.trace_location("trace")?;
    enable_vectors();

    let ram = (&raw const LIKE_DEVICE.0[AROUND]).addr() as u64;
    let here = Place {
        device: location.address(),
        ram,
        code: 0,
    };
    try_all("mmu off", &here, &mut location, reference);
    for granule in Granule::ALL {
        if !granule.exists() {
            say!("{}: not on this CPU", granule.name());
            continue;
        }
        let pages = [
            ((&raw const LIKE_DEVICE).addr() as u64, Use::Memory),
            (location.address(), Use::Device),
            ((&raw const CODE).addr() as u64, Use::Code),
        ];
        let mmu = Mmu::on(granule, &[console, location.address()], &pages);
        let lower = Place {
            device: WINDOW + granule.page_bytes(),
            ram: WINDOW + 4 * AROUND as u64,
            code: 0,
        };
        let upper = Place {
            device: mmu.upper(lower.device),
            ram: mmu.upper(lower.ram),
            code: mmu.upper(0),
        };
        say!("{}:", granule.name());
        try_all("lower half", &lower, &mut location, reference);
        try_all("upper half", &upper, &mut location, reference);
        literal(granule, &mmu, &mut location);
        across_pages(granule, &mut location);
        mmu.off();
    }
    Ok(())
}

fn try_all(name: &str, place: &Place, location: &mut TraceLocation, reference: Reference) {
    let mut same = 0;
    let forms = GENERAL.iter().chain(SP_EL0).chain(SP_EL1);
    for form in forms.filter(|form| reference.answers(form)) {
        same_on_both(form, place, location);
        same += 1;
    }
    say!("{name}: {same} forms leave the same on RAM and on the device");
    vectors(name, place, location, reference);
    for form in WIDE {
        wide(form, place, location, reference);
    }
    for form in OTHER {
        refused(form, place, Refusal::Instruction);
    }
    say!("{name}: what is not supported is answered by policy");
}

/// Vector registers: either they all work or, on a platform without a way to them, none.
fn vectors(name: &str, place: &Place, location: &mut TraceLocation, reference: Reference) {
    let mut counts = [0; 2];
    for form in VECTOR.iter().filter(|form| reference.answers(form)) {
        prepare(location);
        let mut registers = initial(form, place.device);
        let works = attempt(|| form.execute(place.code, &mut registers)).is_ok();
        if works {
            same_on_both(form, place, location);
        } else {
            refused(form, place, Refusal::Instruction);
        }
        counts[usize::from(works)] += 1;
    }
    let [refused, same] = counts;
    check!(refused == 0 || same == 0, "only some vector forms work");
    match refused {
        0 => say!("{name}: {same} forms of vector registers leave the same"),
        _ => say!("{name}: {refused} forms of vector registers are answered by policy"),
    }
}

/// Executes a form on both; what it leaves must be the same. A tick in between is not: then
/// once more.
fn same_on_both(form: &Form, place: &Place, location: &mut TraceLocation) {
    let mut different = None;
    for _ in 0..2 {
        prepare(location);
        let on_device = execute(form, place.device, place.code);
        let word = location.read();
        let on_ram = execute(form, place.ram, place.code);
        let ram_word = LIKE_DEVICE.0[AROUND].load(Ordering::Relaxed);
        if on_device == on_ram && word == ram_word {
            return;
        }
        different = Some((on_device, word, on_ram, ram_word));
    }
    if let Some((on_device, word, on_ram, ram_word)) = different {
        say!("on RAM    {ram_word:#x} {on_ram:x?}");
        say!("on device {word:#x} {on_device:x?}");
    }
    check!(
        different.is_none(),
        "{} differs on RAM and on the device",
        form.text
    );
}

/// Sets the word, and makes the RAM look like the device: all-ones around it. The word before
/// the device's page is then the last one of the page of RAM, so that is all-ones, too.
fn prepare(location: &mut TraceLocation) {
    let last_words = Granule::ALL.map(last_word);
    for around in (0..2 * AROUND + 1).chain(last_words) {
        LIKE_DEVICE.0[around].store(u32::MAX, Ordering::Relaxed);
    }
    LIKE_DEVICE.0[AROUND].store(WORD, Ordering::Relaxed);
    location.write(WORD);
}

/// The last word of a page, as an index.
fn last_word(granule: Granule) -> usize {
    (granule.page_bytes() / 4 - 1) as usize
}

fn initial(form: &Form, word: u64) -> Registers {
    Registers {
        base: word.wrapping_add_signed(form.base),
        index: form.index,
        data: [0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210],
        vectors: [u128::MAX / 3, u128::MAX / 5],
    }
}

/// What a form leaves, with the base as an offset from the word.
fn execute(form: &Form, word: u64, code: u64) -> Registers {
    let mut registers = initial(form, word);
    form.execute(code, &mut registers);
    registers.base = registers.base.wrapping_sub(word);
    registers
}

/// Eight bytes at once: all-ones, or an exception that leaves everything as it was.
fn wide(form: &Form, place: &Place, location: &mut TraceLocation, reference: Reference) {
    if reference == Reference::Fail {
        return refused(form, place, Refusal::Reference);
    }
    prepare(location);
    let before = initial(form, place.device);
    let after = execute(form, place.device, place.code);
    let on_ram = execute(form, place.ram, place.code);
    check!(
        after.base == on_ram.base,
        "{} moved its base to {:#x}",
        form.text,
        after.base
    );
    if form.text.starts_with("ld") {
        check!(
            after.data[0] == u64::MAX,
            "{} gave {:#x}",
            form.text,
            after.data[0]
        );
    } else {
        check!(
            after.data == before.data,
            "{} changed what it stores",
            form.text
        );
        let word = location.read();
        check!(
            word.wrapping_sub(WORD) <= 1,
            "{} changed the word to {word:#x}",
            form.text
        );
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Refusal {
    Reference,
    Instruction,
}

/// The form ends in a synchronous external abort that names the address and the direction,
/// and changes no register.
fn refused(form: &Form, place: &Place, refusal: Refusal) {
    let before = initial(form, place.device);
    let mut registers = before;
    let result = attempt(|| form.execute(place.code, &mut registers));
    let state = interrupted_state();
    let Err(Exception { esr, elr, far }) = result else {
        check!(false, "{} was carried out", form.text);
        return;
    };
    // EC 0x25, IL, WnR, DFSC 0x10.
    let write = u64::from(form.text.starts_with("st")) << 6;
    let wanted = 0x9600_0010 | write;
    check!(
        esr == wanted,
        "{}: esr {esr:#x}, not {wanted:#x}",
        form.text
    );
    check!(
        far == place.device
            || refusal == Refusal::Instruction && far.wrapping_sub(place.device) < 4,
        "{}: far {far:#x}, not {:#x}",
        form.text,
        place.device
    );
    // A dozen instructions load and store the registers around it.
    let code = form.code(place.code);
    check!(
        elr.wrapping_sub(code) < 0x80,
        "{}: elr {elr:#x}, its code is at {code:#x}",
        form.text
    );
    // EL1h, everything masked, no single step, no illegal state (D1.4).
    let state = state & 0x30_03df;
    check!(state == 0x3c5, "{}: spsr {state:#x}", form.text);
    check!(registers == before, "{} changed {registers:x?}", form.text);
}

/// LDR (literal): code on the page behind the device's, and data one page, or two, before.
fn literal(granule: Granule, mmu: &Mmu, location: &mut TraceLocation) {
    prepare(location);
    let page = granule.page_bytes();
    for offset in [0, 4] {
        // At `offset` in its page: LDR W0, .-(page + offset); RET. And from RAM, two pages
        // before and `AROUND` words in.
        let to_device = page + offset;
        let to_ram = 2 * page + offset - 4 * AROUND as u64;
        let device = call(offset, to_device, WINDOW + 2 * page);
        let ram = call(offset, to_ram, WINDOW + 2 * page);
        let high = call(offset, to_device, mmu.upper(WINDOW + 2 * page));
        let word = location.read();
        check!(ram == u64::from(WORD), "literal from RAM: {ram:#x}");
        for value in [device, high] {
            check!(
                u64::from(word).wrapping_sub(value) <= 1,
                "literal from the device: {value:#x}"
            );
        }
    }
    say!("literals");
}

/// Puts `LDR W0, .-distance; RET` at `offset` in the code page and calls it by `page`.
fn call(offset: u64, distance: u64, page: u64) -> u64 {
    let at = (offset / 4) as usize;
    let words = (distance / 4) as u32;
    // 00 011 0 00 imm19 Rt (C6.2, "LDR (literal)").
    let load = 0x1800_0000 | (words.wrapping_neg() & 0x7_ffff) << 5;
    const RET: u32 = 0xd65f_03c0;
    CODE.0[at].store(load, Ordering::Relaxed);
    CODE.0[at + 1].store(RET, Ordering::Relaxed);
    #[cfg(target_arch = "aarch64")]
    {
        let result: u64;
        // SAFETY: the page holds these two instructions, which change x0 and x30 alone; the
        // instruction cache forgets what was there.
        unsafe {
            core::arch::asm!(
                "dsb ish",
                "ic iallu",
                "dsb ish",
                "isb",
                "blr {code}",
                code = in(reg) page + offset,
                out("x0") result,
                out("x30") _,
            );
        }
        result
    }
    #[cfg(not(target_arch = "aarch64"))]
    unimplemented!("{page:#x}")
}

/// A pair whose first word is the last of a page of RAM and whose second is the device's.
fn across_pages(granule: Granule, location: &mut TraceLocation) {
    let last = last_word(granule);
    let form = |text| {
        let found = GENERAL.iter().find(|form| form.text == text);
        found.expect("it is in the table")
    };
    let word = WINDOW + granule.page_bytes() - 4;
    prepare(location);
    LIKE_DEVICE.0[last].store(0x600d_da7a, Ordering::Relaxed);
    let [first, second] = execute(form("ldp w3, w4, [x1], #8"), word, 0).data;
    check!(
        first == 0x600d_da7a && second.wrapping_sub(WORD.into()) <= 1,
        "ldp across two pages gave {first:#x} and {second:#x}"
    );
    execute(form("stp w3, w4, [x1]"), word, 0);
    let [first, second] = [LIKE_DEVICE.0[last].load(Ordering::Relaxed), location.read()];
    check!(
        first == 0x89ab_cdef && second.wrapping_sub(0x7654_3210) <= 1,
        "stp across two pages left {first:#x} and {second:#x}"
    );
    say!("pairs across pages");
}

/// SPSR_EL1 as the last exception left it; returning from one does not change it.
fn interrupted_state() -> u64 {
    #[cfg(target_os = "none")]
    {
        use aarch64_cpu::registers::{Readable, SPSR_EL1};
        SPSR_EL1.get()
    }
    #[cfg(not(target_os = "none"))]
    unimplemented!()
}

/// Lets EL1 and EL0 use vector registers.
fn enable_vectors() {
    #[cfg(target_os = "none")]
    {
        use aarch64_cpu::{
            asm::barrier,
            registers::{CPACR_EL1, Writeable},
        };
        CPACR_EL1.write(CPACR_EL1::FPEN::TrapNothing);
        barrier::isb(barrier::SY);
    }
}
