//! Proves that the VMM takes nothing from the guest's memory for granted: when it looks at the
//! instruction that trapped, there is another one, or the page tables on the way loop, name no
//! RAM, or name the device. Each such access is refused with an exception, and the guest and
//! its counter go on.
//!
//! The CPU executes what it has translated before; only the tables in memory have changed.
//!
//! Keys: `trace=` address of the location.

#![cfg_attr(target_os = "none", no_std, no_main)]

use core::sync::atomic::{AtomicU64, Ordering};

use guest::code::{self, CodePage};
use guest::exceptions::{Exception, attempt};
use guest::page_tables::{
    self, WINDOW, WINDOW_ENTRY_BYTES, WINDOW_LEVEL_2, WINDOW_LEVEL_3, forget_translations,
};
use guest::ticks::is_possible_advance;
use guest::{Outcome, Start, check, say};

guest::program!(run);

static TRAPS: CodePage = CodePage::new();
static OTHER: CodePage = CodePage::new();
static RAM: [AtomicU64; 4] = [const { AtomicU64::new(0x1111_2222_3333_4444) }; 4];

/// `LDP w2, w3, [x1]`: the CPU does not describe it.
const LOAD_PAIR: u32 = 0x2940_0c22;
/// What may be there when the VMM looks.
const STORE_PAIR: u32 = 0x2900_0c22;
const LOAD_ELSEWHERE: u32 = 0x2941_0c22;
const ADD: u32 = 0x8b01_0000;
const LOAD_EXCLUSIVE: u32 = 0x885f_7c22;
const UNDEFINED: u32 = 0;
/// Guest-physical, in no VM's RAM and in no device.
const HOLE: u64 = 0x1000_0000;

fn run(start: &Start) -> Outcome {
    let mut location = start.trace_location("trace")?;
    let device = location.address() & !0xfff;
    let clock = &start.clock;
    page_tables::turn_on();
    TRAPS.write(&[LOAD_PAIR]);
    let (began, first) = (clock.now(), location.read());

    let instructions: [(&str, u32); 5] = [
        ("a store", STORE_PAIR),
        ("a load of another address", LOAD_ELSEWHERE),
        ("no access", ADD),
        ("an exclusive", LOAD_EXCLUSIVE),
        ("no instruction", UNDEFINED),
    ];
    for (what, instruction) in instructions {
        OTHER.write(&[instruction]);
        refused(what, location.address(), || {
            WINDOW_LEVEL_3.set(0, page_tables::page(OTHER.address()));
        });
    }
    let pages: [(&str, u64); 3] = [
        ("an unmapped page", 0),
        ("a page where there is no RAM", page_tables::page(HOLE)),
        ("a page of the device", page_tables::page(device)),
    ];
    for (what, descriptor) in pages {
        refused(what, location.address(), || {
            WINDOW_LEVEL_3.set(0, descriptor);
        });
    }
    let tables: [(&str, u64); 3] = [
        ("a table that names itself", WINDOW_LEVEL_2.address()),
        ("a table where there is no RAM", HOLE),
        ("a table in the device", device),
    ];
    for (what, address) in tables {
        refused(what, location.address(), || {
            WINDOW_LEVEL_2.set(0, page_tables::table(address));
        });
    }

    // The same tables, walked by the CPU for a load of the guest's.
    for (what, address) in tables {
        WINDOW_LEVEL_2.set(1, page_tables::table(address));
        forget_translations();
        TRAPS.write(&[LOAD_PAIR]);
        let target = WINDOW + WINDOW_ENTRY_BYTES;
        let x = [0, target, 0, 0, 0, 0, 0, 0];
        match attempt(|| TRAPS.run(x)) {
            Ok(x) => check!(false, "{what}: the CPU loads {:#x}", x[2]),
            Err(exception) => is_data_abort(what, exception, target),
        }
    }

    let (took, last) = (clock.since(began), location.read());
    check!(
        is_possible_advance(last.wrapping_sub(first), took),
        "the counter went from {first} to {last}"
    );
    Ok(())
}

/// Executes a pair of loads at `address` through the window after `change` to its tables, of
/// which the CPU does not know.
fn refused(what: &str, address: u64, change: impl FnOnce()) {
    WINDOW_LEVEL_2.set(0, page_tables::table(WINDOW_LEVEL_3.address()));
    WINDOW_LEVEL_3.set(0, page_tables::page(TRAPS.address()));
    forget_translations();
    let ram = RAM.as_ptr() as u64;
    let x = code::call(WINDOW, [0, ram, 0, 0, 0, 0, 0, 0]);
    let word = RAM[0].load(Ordering::Relaxed);
    check!(
        x[2] == word & 0xffff_ffff && x[3] == word >> 32,
        "no pair of loads in the window"
    );
    change();
    match attempt(|| code::call(WINDOW, [0, address, 0, 0, 0, 0, 0, 0])) {
        Ok(x) => check!(false, "{what}: the access gave {:#x} and {:#x}", x[2], x[3]),
        Err(exception) => {
            check!(exception.elr == WINDOW, "{what}: from {:#x}", exception.elr);
            is_data_abort(what, exception, address);
        }
    }
}

/// An abort of an access at `address`, of the CPU's own walk or of the bus.
fn is_data_abort(what: &str, exception: Exception, address: u64) {
    check!(
        exception.data_fault_status().is_some() && exception.far == address,
        "{what}: {exception}"
    );
    say!("{what}: {exception}");
}
