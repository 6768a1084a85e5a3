//! What the host tool does: compile a configuration, and turn the rings of a machine into
//! traces that people's tools open.
//!
//! Used by the `vdev-trace` program and by the runner. Invariant: an input is claims; a ring
//! whose header does not add up is mended from its slots or reported, a slot that does not
//! is counted, and no bytes make it panic.
//!
//! ```text
//! input ──records──► feed ──records──► output        vms: the names for what is in the records
//! ```
#![deny(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "they panic when nobody can be told"
)]

pub mod feed;
pub mod input;
pub mod output;
pub mod records;
pub mod tell;
pub mod visible;
pub mod vms;
pub mod whole_dump;
