//! Uses a range of RAM besides the one that it lies in: it is zero at both ends, keeps what is
//! written there, and an instruction in it, of whose access the CPU says nothing, is carried out.
//!
//! Keys: `trace=` address of the location, `from=` and `to=` first and one past the last byte of
//! the range, in whole pages.

#![cfg_attr(target_os = "none", no_std, no_main)]

use core::sync::atomic::{AtomicU64, Ordering};
use guest::code::CodePage;
use guest::{Outcome, Start, check, say};

guest::program!(run);

/// `LDR W2, [X1], #4`: its syndrome is not valid, so the VMM has to fetch it.
#[cfg(target_arch = "aarch64")]
const LOAD: &[u32] = &[0xb840_4422];
/// `mov edx, [rcx]`.
#[cfg(target_arch = "x86_64")]
const LOAD: &[u8] = &[0x8b, 0x11];

const PATTERN: u64 = 0x0123_4567_89ab_cdef;

fn run(start: &Start) -> Outcome {
    let mut location = start.trace_location("trace")?;
    let (from, to) = (start.cmdline.number("from")?, start.cmdline.number("to")?);
    say!("uses {from:#x} to {to:#x}");
    let ends = [from, to - 8].map(|address| {
        // SAFETY: the configuration says that RAM is there, and nothing else uses it.
        unsafe { &*(address as *const AtomicU64) }
    });
    for (place, pattern) in ends.into_iter().zip([PATTERN, !PATTERN]) {
        let before = place.load(Ordering::Relaxed);
        check!(before == 0, "{before:#x} at {place:p}");
        place.store(pattern, Ordering::Relaxed);
    }
    let kept = ends.map(|place| place.load(Ordering::Relaxed));
    check!(kept == [PATTERN, !PATTERN], "{kept:x?} is kept");

    location.write(0x5eed_0000);
    // SAFETY: as above; a page of the range.
    let code: &'static CodePage = unsafe { &*(from as *const CodePage) };
    code.write(LOAD);
    let loaded = code.run([0, location.address(), 0, 0, 0, 0, 0, 0])[2];
    check!(loaded & !0xff == 0x5eed_0000, "{loaded:#x} is loaded");
    Ok(())
}
