//! Jumps to where there is no code: the VM ends, and the log says where the guest went.
//!
//! Keys: `how=hole` (no RAM, no device), `device` (`trace=` its location), `end` (the end of
//! the address space), `table` (an address whose translation table lies where there is no RAM).

#![cfg_attr(target_os = "none", no_std, no_main)]

use guest::page_tables::{self, WINDOW};
use guest::{Outcome, Start, check, code, say};

guest::program!(run);

#[derive(Clone, Copy)]
enum Where {
    Hole,
    Device,
    End,
    Table,
}

/// Guest-physical, in no VM's RAM and in no device.
const HOLE: u64 = 0x1000_0000;

fn run(start: &Start) -> Outcome {
    let ways = [
        ("hole", Where::Hole),
        ("device", Where::Device),
        ("end", Where::End),
        ("table", Where::Table),
    ];
    let target = match start.cmdline.choice("how", &ways)? {
        Where::Hole => HOLE,
        Where::Device => start.trace_location("trace")?.address(),
        // The last word of 40 bits, which is what stage 2 translates.
        Where::End => (1 << 40) - 4,
        Where::Table => {
            page_tables::turn_on();
            page_tables::WINDOW_LEVEL_2.set(0, page_tables::table(HOLE));
            page_tables::forget_translations();
            WINDOW
        }
    };
    say!("jumps to {target:#x}");
    code::call(target, [0; 8]);
    check!(false, "there is code at {target:#x}");
    Ok(())
}
