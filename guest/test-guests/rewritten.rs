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
use guest::exceptions::attempt;
use guest::page_tables::{self, WINDOW, WINDOW_LEVEL_2, WINDOW_LEVEL_3, forget_translations};
use guest::ticks::is_possible_advance;
use guest::{Outcome, Start, check, say};

#[cfg_attr(target_arch = "aarch64", path = "rewritten/aarch64.rs")]
#[cfg_attr(target_arch = "x86_64", path = "rewritten/x86_64.rs")]
mod own;

guest::program!(run);

static TRAPS: CodePage = CodePage::new();
static OTHER: CodePage = CodePage::new();
static RAM: [AtomicU64; 4] = [const { AtomicU64::new(0x1111_2222_3333_4444) }; 4];

/// Guest-physical, in no VM's RAM and in no device.
const HOLE: u64 = 0x1000_0000;

fn run(start: &Start) -> Outcome {
    let mut location = start.trace_location("trace")?;
    let device = location.address() & !0xfff;
    let clock = &start.clock;
    page_tables::turn_on();
    TRAPS.write(own::LOAD);
    let (began, first) = (clock.now(), location.read());

    for (what, instruction) in own::OTHERS {
        OTHER.write(instruction);
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

    own::more(&tables, &mut location);

    let (took, last) = (clock.since(began), location.read());
    check!(
        is_possible_advance(last.wrapping_sub(first), took),
        "the counter went from {first} to {last}"
    );
    Ok(())
}

/// Executes a load at `address` through the window after `change` to its tables, of which the
/// CPU does not know. Where it may forget what it knew at any moment, it may do so a few times.
fn refused(what: &str, address: u64, change: impl Fn()) {
    let mut outcome = Ok([0; 8]);
    for _ in 0..own::TRIES {
        WINDOW_LEVEL_2.set(0, page_tables::table(WINDOW_LEVEL_3.address()));
        WINDOW_LEVEL_3.set(0, page_tables::page(TRAPS.address()));
        forget_translations();
        own::before(address);
        let loaded = own::loaded(code::call(WINDOW, own::load_from(RAM.as_ptr() as u64)));
        let word = RAM[0].load(Ordering::Relaxed);
        check!(loaded == own::part_of(word), "no load in the window");
        change();
        outcome = attempt(|| code::call(WINDOW, own::load_from(address)));
        if let Err(exception) = outcome
            && own::is_refusal(exception, address)
        {
            say!("{what}: {exception}");
            return;
        }
    }
    check!(false, "{what}: {outcome:x?}");
}
