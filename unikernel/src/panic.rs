//! The end of the run by a bug of ours: a Rust panic, or an exception of the host's.
//!
//! Called by the compiler's checks and by the platform's exception handler. The invariant: the
//! report page says that the run failed, the last two lines say who, where and why, and the
//! machine is off afterwards, even if the panic came out of the middle of printing.

use crate::arch::{power, uart};
use crate::{print_line, report};
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, Ordering};
use oversight::Verdict;

/// Set by the first; a second one, out of the first one's printing, says nothing any more.
static ENDING: AtomicBool = AtomicBool::new(false);

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    begin_the_end();
    match info.location() {
        Some(location) => print_line!("panic in unikernel: {location}: {}", info.message()),
        None => print_line!("panic in unikernel: {}", info.message()),
    }
    end()
}

/// Lets nothing but its caller go on.
pub fn begin_the_end() {
    if ENDING.load(Ordering::Relaxed) {
        power::off();
    }
    ENDING.store(true, Ordering::Relaxed);
    report::verdict(Verdict::Failed);
    // SAFETY: nothing but this function's caller runs from here on.
    unsafe { uart::seize() };
}

/// Says the verdict, and switches the machine off.
pub fn end() -> ! {
    print_line!("verdict: failed: panic in unikernel");
    power::off()
}
