//! Proves that a program at EL0 which uses the device gains nothing by it: its exceptions say
//! that they are EL0's, and the half of a pair that lies beside the device's page obeys the
//! guest's page tables, although the VMM moves it.
//!
//! Keys: `trace=` address of the location, at the start of a page of 64 KiB; `console=`; with
//! `unsupported reference ignore` (the default).

#![cfg_attr(target_os = "none", no_std, no_main)]

use core::sync::atomic::{AtomicU32, Ordering};

use guest::{
    Outcome, Start,
    addressing_forms::Registers,
    check,
    exceptions::as_user,
    paging::{Granule, Mmu, Use, WINDOW},
    say,
};

guest::program!(run);

/// A page of any granule.
#[repr(align(65536))]
struct Page([AtomicU32; 16384]);

static CODE: Page = Page([const { AtomicU32::new(0) }; 16384]);
static OF_THE_KERNEL: Page = Page([const { AtomicU32::new(0) }; 16384]);

const SECRET: u32 = 0x5ec2_e700;

// Instructions, by the diagrams of Arm ARM C6.2.
const LDR_POST: u32 = 0xb840_4423; // LDR W3, [X1], #4
const LDXR: u32 = 0x885f_7c23; // LDXR W3, [X1]
const LDP_POST: u32 = 0x28c1_1023; // LDP W3, W4, [X1], #8
const STP_POST: u32 = 0x2881_1023; // STP W3, W4, [X1], #8
const SVC: u32 = 0xd400_0001; // SVC #0

// ESR_EL1: EC 0x15 (SVC), EC 0x24 (data abort from EL0), IL.
const BY_SVC: u64 = 0x15 << 26 | 1 << 25;
const BY_ABORT: u64 = 0x24 << 26 | 1 << 25;
const WRITE: u64 = 1 << 6;
const EXTERNAL: u64 = 0b01_0000;
const TRANSLATION_LEVEL_3: u64 = 0b00_0111;
const PERMISSION_LEVEL_3: u64 = 0b00_1111;

fn run(start: &Start) -> Outcome {
    let console = start.cmdline.number("console")?;
    let mut location = start.trace_location("trace")?;
    for granule in Granule::ALL.into_iter().filter(|granule| granule.exists()) {
        // The device's page twice: once before a page of EL1's, once before none.
        let pages = [
            (location.address(), Use::Device),
            ((&raw const OF_THE_KERNEL).addr() as u64, Use::Code),
            ((&raw const CODE).addr() as u64, Use::UserCode),
            (location.address(), Use::Device),
        ];
        let mmu = Mmu::on(granule, &[console, location.address()], &pages);
        let page = granule.page_bytes();
        let user = User {
            code: WINDOW + 2 * page,
        };
        location.write(0x100);

        let (esr, registers) = user.runs(LDR_POST, WINDOW);
        check!(esr == (BY_SVC, None), "ldr: {esr:x?}");
        check!(
            registers.base == WINDOW + 4 && registers.data[0].wrapping_sub(0x100) <= 1,
            "ldr left {registers:x?}"
        );
        user.fails(LDXR, WINDOW, BY_ABORT | EXTERNAL, WINDOW);
        say!("{}: EL0 may use the device", granule.name());

        // The first word is the last of the device's page, the second EL1's or nowhere.
        OF_THE_KERNEL.0[0].store(SECRET, Ordering::Relaxed);
        let kernel = WINDOW + page;
        for (pair, write) in [(LDP_POST, 0), (STP_POST, WRITE)] {
            let esr = BY_ABORT | write | PERMISSION_LEVEL_3;
            user.fails(pair, kernel - 4, esr, kernel);
            let nowhere = WINDOW + 4 * page;
            let esr = BY_ABORT | write | TRANSLATION_LEVEL_3;
            user.fails(pair, nowhere - 4, esr, nowhere);
        }
        let kept = OF_THE_KERNEL.0[0].load(Ordering::Relaxed);
        check!(kept == SECRET, "EL0 wrote {kept:#x} to EL1's page");
        say!("{}: EL0 reaches nothing else by it", granule.name());
        mmu.off();
    }
    Ok(())
}

/// EL0, which executes one instruction at a time.
struct User {
    /// Where it sees its code.
    code: u64,
}

impl User {
    /// Executes `instruction` with `base` in x1: the syndrome, with the address of an abort,
    /// and what it left in x1 to x4.
    fn runs(&self, instruction: u32, base: u64) -> ((u64, Option<u64>), Registers) {
        CODE.0[0].store(instruction, Ordering::Relaxed);
        CODE.0[1].store(SVC, Ordering::Relaxed);
        forget_instructions();
        let mut registers = registers(base);
        let exception = as_user(self.code, &mut registers);
        if exception.esr == BY_SVC {
            return ((exception.esr, None), registers);
        }
        check!(
            exception.elr == self.code,
            "{instruction:#x}: elr {:#x}",
            exception.elr
        );
        ((exception.esr, Some(exception.far)), registers)
    }

    /// Executes it; it must end in this exception and change no register.
    fn fails(&self, instruction: u32, base: u64, esr: u64, far: u64) {
        let (exception, left) = self.runs(instruction, base);
        check!(
            exception == (esr, Some(far)),
            "{instruction:#x}: {exception:x?}, not {esr:#x} at {far:#x}"
        );
        check!(left == registers(base), "{instruction:#x} left {left:x?}");
    }
}

fn registers(base: u64) -> Registers {
    Registers {
        base,
        index: 0,
        data: [3, 4],
        vectors: [0; 2],
    }
}

/// Makes the CPU fetch anew what was written as data.
fn forget_instructions() {
    #[cfg(target_arch = "aarch64")]
    // SAFETY: forgetting cached instructions only costs fetches.
    unsafe {
        core::arch::asm!("dsb ish", "ic iallu", "dsb ish", "isb", options(nostack));
    }
}
