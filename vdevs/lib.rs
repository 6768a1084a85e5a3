//! The virtual devices, a file each.
//!
//! A device knows no bus, no ring and no clock. Invariant: nothing that a guest or a VMM asks of a
//! device panics.
//!
//! | file | device | where it runs |
//! |---|---|---|
//! | `trace.rs` | the 32-bit counter that is traced | the trace component; what a read sees, also the VMM |
//! | `pl011.rs` | Arm's UART, for the guest's console on aarch64 | the VMM |
//! | `ser8250.rs` | the PC's serial port, for the guest's console on x86 | the VMM |
#![no_std]
#![forbid(unsafe_code)]

pub mod pl011;
pub mod ser8250;
pub mod trace;
