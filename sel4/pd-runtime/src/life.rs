//! How a protection domain says that it lives, and why it dies.
//!
//! Invariant: the page that `system.xml` maps as `life` has one writer, this protection domain.

use crate::region;
use core::panic::PanicInfo;
use oversight::LifePage;
use sel4_microkit::panicking;

/// This protection domain's page of signs of life.
pub fn life() -> &'static LifePage {
    region!(life: LifePage)
}

/// Says that this protection domain begins, for the first time or after a death, and lets it leave word
/// when it panics. Called first thing.
pub fn begin_life() {
    life().begin();
    panicking::set_hook(&|info| leave_word_on_panic(info));
}

/// Writes a panic's place and message to [`life`]. What follows it, the abort, is the fault that wakes
/// the monitor.
fn leave_word_on_panic(info: &PanicInfo<'_>) {
    match info.location() {
        Some(place) => life().leave_words(format_args!("{place}: {}", info.message())),
        None => life().leave_words(format_args!("{}", info.message())),
    }
}
