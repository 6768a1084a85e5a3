//! The VMM component with an x86 guest on a simulated machine: what it makes of each exit,
//! without a CPU. What instructions do is x86-guest's affair and tested there.

#[path = "../fixtures/mod.rs"]
mod fixtures;

mod accesses;
mod calls_and_halts;
mod code;
mod code_segment;
mod machine;
mod page_tables;
mod platform;
mod ports;
mod refused;
mod start;
mod strings;
