//! What goes over the system's serial line besides lines of text: pieces of what guests print, for a
//! terminal, and keys that are typed.
//!
//! ```text
//!   console ──► text: lines of printable ASCII ───────────────────────────► people, files, the runner
//!           ──► ␂ VM, escaped text ␃  (a piece; only if asked for)  ──────► the runner: Decoder ─► Filter ─► terminal
//!           ◄── bytes for the VM that is typed at; Ctrl-A and a key ────── a person, the runner
//! ```
//!
//! The console encodes pieces and reads keys; the runner decodes, and lets a terminal see of a guest's bytes what
//! may be seen there ([`Filter`]). Invariants: no guest can forge a piece of another's or a line of text,
//! since between ␂ and ␃ there is nothing but printable ASCII and neither of the two, and outside of them nothing of a
//! guest; whatever comes over the line, nothing here panics or keeps more than a few bytes.
#![no_std]
#![forbid(unsafe_code)]

mod filter;
mod keys;
mod piece;

pub use filter::Filter;
pub use keys::{Key, Keys, PREFIX};
pub use piece::{Decoded, Decoder, PIECE_BYTES, Piece};
