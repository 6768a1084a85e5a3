//! Reads all pages of its ROM, whose bytes are ones; writes there are refused, and change nothing.
//!
//! Keys: `trace=` address of the location, `rom=` and `to=` first and one past the last byte of the ROM, `writes=`
//! how many writes to do, spread over it; with `unsupported reference ignore` (the default).
//!
//! That no read is trapped is seen from outside: all that is counted is the writes.

#![cfg_attr(target_os = "none", no_std, no_main)]

use core::sync::atomic::{AtomicU32, Ordering};
use guest::{Outcome, Start, check, say};

guest::program!(run);

const PAGE: usize = 4096;

fn run(start: &Start) -> Outcome {
    let mut location = start.trace_location("trace")?;
    location.write(7);
    let keys = ["rom", "to", "writes"].map(|key| start.cmdline.number(key));
    let [from, to, writes] = keys;
    let (from, to, writes) = (from? as usize, to? as usize, writes? as usize);
    are_ones(from, to)?;
    for number in 0..writes {
        let at = from + (to - from) / writes * number;
        word(at).store(0x1234_5678, Ordering::Relaxed);
    }
    are_ones(from, to)?;
    check!(location.read() >= 7, "the counter is there");
    say!("{} pages of ones", (to - from) / PAGE);
    Ok(())
}

fn are_ones(from: usize, to: usize) -> Outcome {
    for page in (from..to).step_by(PAGE) {
        for at in [page, page + PAGE / 2, page + PAGE - 4] {
            let value = word(at).load(Ordering::Relaxed);
            check!(value == u32::MAX, "{value:#x} at {at:#x}");
        }
    }
    Ok(())
}

fn word(at: usize) -> &'static AtomicU32 {
    // SAFETY: the configuration says that ROM is there; nobody has other references to it.
    unsafe { &*(at as *const AtomicU32) }
}
