//! What the host tool does: compile a configuration, and read rings out of a memory dump.
//!
//! Used by the `vdev-trace` program and by the runner. Invariant: a dump is claims; a ring
//! whose header does not add up is reported, a slot that does not is counted, and no bytes
//! make it panic.

pub mod compile;
pub mod dump;
