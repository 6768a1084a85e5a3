//! What the host tool does: compile a configuration, and turn the rings of a machine into
//! traces that people's tools open.
//!
//! Used by the `vdev-trace` program and by the runner. Invariant: an input is claims; a ring
//! whose header does not add up is mended from its slots or reported, a slot that does not
//! is counted, and no bytes make it panic.
#![deny(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "they panic when nobody can be told"
)]

pub mod check;
pub mod chrome;
pub mod compile;
pub mod ctf;
pub mod dump;
pub mod feed;
mod functions;
pub mod html;
pub mod image;
pub mod names;
pub mod outputs;
pub mod places;
pub mod records;
pub mod ring;
pub mod serial;
pub mod source;
pub mod stats;
pub mod tell;
pub mod text;
pub mod visible;
pub mod whole_dump;
pub mod word;
mod words;
