//! Calls a device's functions on the words that belong to it.
//!
//! Used by a list of devices, which knows their types. Invariant: words that are too few are not touched, and
//! tell 0.

use crate::{Isolated, Lane, Options, Register, Words};

/// How many words of state a device has.
pub const fn word_count<D: Isolated>() -> usize {
    D::Words::COUNT
}

/// See [`Isolated::check`].
///
/// # Errors
///
/// What is wrong, as the title of a message.
pub fn check<D: Isolated>(options: &Options) -> Result<(), &'static str> {
    D::check(options)
}

/// See [`Isolated::new`].
pub fn new<D: Isolated>(words: &mut [u32], options: &Options) {
    if let Some(words) = D::Words::first_mut(words) {
        *words = D::new(options);
    }
}

/// See [`Isolated::told`].
#[inline(always)]
pub fn told<D: Isolated>(words: &[u32], register: u64) -> u32 {
    D::Words::first(words).map_or(0, |words| D::told(words, register))
}

/// A store of `value` to a part of a register: what all of it told before, and what was written.
#[inline(always)]
pub fn write<D: Isolated>(
    words: &mut [u32],
    register: &Register,
    lane: Lane,
    value: u32,
) -> (u32, u32) {
    let Some(words) = D::Words::first_mut(words) else {
        return (0, value);
    };
    let before = D::told(words, register.offset);
    let written = lane.merge(before, value);
    D::write(words, register.offset, written);
    (before, written)
}

/// See [`Isolated::asked`].
pub fn asked<D: Isolated>(words: &mut [u32], register: u64) -> u32 {
    D::Words::first_mut(words).map_or(0, |words| D::asked(words, register))
}

/// See [`Isolated::seconds`].
pub fn seconds<D: Isolated>(words: &mut [u32], seconds: u64) {
    if let Some(words) = D::Words::first_mut(words) {
        D::seconds(words, seconds);
    }
}

/// See [`Isolated::reset`].
pub fn reset<D: Isolated>(words: &mut [u32], options: &Options) {
    if let Some(words) = D::Words::first_mut(words) {
        D::reset(words, options);
    }
}
