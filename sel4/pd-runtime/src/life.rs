//! How a protection domain says that it lives, and why it dies.
//!
//! Invariant: the page that `system.xml` maps as `life` has one writer, this protection domain.

use crate::region;
use core::panic::PanicInfo;
use oversight::LifePage;

/// This protection domain's page of signs of life.
pub fn life() -> &'static LifePage {
    region!(life: LifePage)
}

/// Writes a panic's place and message to [`life`]. The panic hook of a protection domain calls
/// this; what follows it, the abort, is the fault that wakes the monitor.
pub fn leave_word_on_panic(info: &PanicInfo<'_>) {
    match info.location() {
        Some(place) => life().leave_words(format_args!("{place}: {}", info.message())),
        None => life().leave_words(format_args!("{}", info.message())),
    }
}
