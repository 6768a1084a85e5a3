//! Each component, dead at every store and every call of a scripted run, and started anew: what the guest
//! saw, the log, the trace and the sums are those of a run in which nobody died.

mod console;
mod deaths;
#[path = "../fixtures/mod.rs"]
mod fixtures;
mod region;
mod trace;
mod typing;
mod vmm;
