//! What traps and what is in its place when the VMM looks, in A64.
//!
//! Arm ARM C6.2.

use guest::driver::TraceLocation;
use guest::exceptions::{Exception, attempt};
use guest::page_tables::{self, WINDOW, WINDOW_ENTRY_BYTES, WINDOW_LEVEL_2, forget_translations};
use guest::{check, say};

use super::TRAPS;

/// `LDP w2, w3, [x1]`: the CPU does not describe it.
pub const LOAD: &[u32] = &[0x2940_0c22];
/// What may be there when the VMM looks.
pub const OTHERS: [(&str, &[u32]); 5] = [
    ("a store", &[0x2900_0c22]),
    ("a load of another address", &[0x2941_0c22]),
    ("no access", &[0x8b01_0000]),
    ("an exclusive", &[0x885f_7c22]),
    ("no instruction", &[0]),
];
/// Another VM's turn may make the CPU forget before it is told to.
pub const TRIES: u32 = 3;

/// The registers of a load from `address`.
pub fn load_from(address: u64) -> [u64; 8] {
    [0, address, 0, 0, 0, 0, 0, 0]
}

/// What the load has loaded.
pub fn loaded(x: [u64; 8]) -> u64 {
    x[3] << 32 | x[2]
}

/// What it loads of a word of RAM.
pub fn part_of(word: u64) -> u64 {
    word
}

/// Nothing is kept of an access.
pub fn before(_: u64) {}

/// Whether it is an abort of the load in the window, of the CPU's own walk or of the bus.
pub fn is_refusal(exception: Exception, address: u64) -> bool {
    exception.elr == WINDOW && is_data_abort(exception, address)
}

fn is_data_abort(exception: Exception, address: u64) -> bool {
    exception.data_fault_status().is_some() && exception.far == address
}

/// The same tables, walked by the CPU for a load of the guest's.
pub fn more(tables: &[(&str, u64)], _: &mut TraceLocation) {
    for &(what, address) in tables {
        WINDOW_LEVEL_2.set(1, page_tables::table(address));
        forget_translations();
        TRAPS.write(LOAD);
        let target = WINDOW + WINDOW_ENTRY_BYTES;
        match attempt(|| TRAPS.run(load_from(target))) {
            Ok(x) => check!(false, "{what}: the CPU loads {:#x}", x[2]),
            Err(exception) => {
                check!(is_data_abort(exception, target), "{what}: {exception}");
                // DFSC of an external abort on a walk, at the last level.
                let on_a_walk = exception.data_fault_status() == Some(0b01_0111);
                let in_ram = address == WINDOW_LEVEL_2.address();
                check!(on_a_walk || in_ram, "{what}: {exception}");
                say!("{what}: {exception}");
            }
        }
    }
}
