//! What a virtual device is made of: what it is, as plain data ([`Kind`]), and what it does, as a few
//! functions ([`Isolated`], or [`InVmm`] for those that cannot be isolated).
//!
//! A device's author writes both in one file of `vdevs/`; everybody else works with any device: the
//! configuration compiler reads the kind, the VMM lets the guest read (`told`), the device domain does the
//! rest, the console and the host tools find the words for what happened in the kind's tables.
//!
//! ```text
//!              configuration     VMM                  device domain            console, host tools
//!  Kind        options, places   which register       which register           names, bit fields
//!  behaviour   check             told                 new, write, asked,       (nothing: no device's
//!                                                     seconds, reset           code runs there)
//! ```
//!
//! Invariant: a device's state is its words and nothing else. So whoever may read them can answer for it,
//! they can be kept and published as they are, and a device that is made anew has lost nothing.
#![no_std]
#![forbid(unsafe_code)]

mod any;
mod behaviour;
pub mod called;
mod kind;
mod options;
mod register;
mod tree;

pub use any::{AnyInVmm, AnyVdev};
pub use behaviour::{InVmm, Isolated, Transmitter, Words};
pub use guest_access::AddressSpace;
pub use kind::{Found, Interrupt, Kind, Otherwise};
pub use options::{MAX_OPTIONS, OptionKind, OptionType, Options};
pub use register::{Access, Field, Lane, Narrow, Read, Register};
pub use tree::TreeNode;

/// Bytes in a word of state, and in a register that is a word.
pub const WORD_BYTES: u64 = 4;
/// Words of state that a device may have.
pub const MAX_WORDS: usize = 32;
