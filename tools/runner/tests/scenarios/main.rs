//! Whole systems under an emulator: one list of scenarios for all platforms.
//!
//! The machine's clock counts instructions (QEMU's by `-icount`), so the times here are the
//! machine's and the same on every host; the deadlines are the host's. The unikernel is always
//! there; seL4 is when `MICROKIT_SDK` is set, and each test says by name if it left it out.

#[path = "../platforms/mod.rs"]
mod platforms;

mod cpu_time;
mod demo;
mod devices;
mod ends;
mod everywhere;
mod hostile_guests;
mod images;
mod instructions;
mod interrupts;
mod outcome;
mod refusals;
mod seconds;
mod several_vms;
mod storms;
mod typing;
