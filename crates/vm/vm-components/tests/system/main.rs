//! The components together on a simulated machine: every hop of an access, without a CPU.

#[path = "../fixtures/mod.rs"]
mod fixtures;

mod aarch32;
mod accesses;
mod byte_order;
mod calls_and_ends;
mod guest_console;
mod held;
mod interrupts;
mod kinds;
mod log_and_trace;
mod machine;
mod platform;
mod reads;
mod refused;
mod start;
mod system_registers;
mod typing;
mod undescribed;
mod waiting;
