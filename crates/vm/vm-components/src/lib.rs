//! The components of the system, the same source on every platform.
//!
//! ```text
//!            fault                access ring               log ring
//!  guest ───────────► Vmm ───────────────────────► Trace ───────────────► Console ─► UART
//!        ◄───────────  │  ◄─────────────────────── │  │                     ▲
//!           resume     │        state page            └──► trace ring        │
//!                      ├─────────────────── console ring ────────────────────┤
//!                      └ ◄───────────────── input ring ───────────────────── ┘
//! ```
//!
//! A platform gives each component its memory at `init`, calls `notified` when one of its
//! channels was signalled and `fault` when the CPU left the guest, one call at a time for
//! each component: the event model of the Microkit. On seL4 each component is a protection
//! domain; in the unikernel they share one address space, and nothing else changes.
//!
//! What a component may ask of its platform is [`Host`]; what the VMM may do to its virtual
//! machine is [`Machine`].
#![no_std]
#![forbid(unsafe_code)]

// The state page has a place for every device that a configuration can have.
const _: () = assert!(trace_records::MAX_DEVICES == vm_config::MAX_DEVICES);
// And a place for all words of every device that there can be.
const _: () = assert!(trace_records::MAX_WORDS == vdev_model::MAX_WORDS);
// Every VM that a configuration can have a number for is served.
const _: () = assert!(trace_records::MAX_VMS == vm_config::MAX_VMS);

mod aarch64;
pub mod channel;
mod charge;
mod conduct;
mod console;
mod host;

mod mapped_ram;

mod trace;
mod vmm;
mod x86_64;

use vmm::architecture::Isa;

pub use aarch64::{
    A64, A64Machine, Exit, GIC_CPU_INTERFACE, GIC_DISTRIBUTOR, GIC_LINES, GIC_PLACES,
    GuestException, StackPointer,
};
pub use channel::{Channel, ChannelSet};
pub use conduct::MOST_MISDEEDS;
pub use console::{Console, ConsolePort, Input, KeptConsole, Output, SystemPort, Typed, log_lines};
pub use gic_v2::{Group, Handed, Output as InterruptOutput};
pub use host::{Clock, Host, Intent, Machine, Outcome, VcpuIs};
pub use mapped_ram::{MappedRam, MappedRange};
pub use trace::{KeptTrace, Trace, TracePort};
pub use trace_records::{MAX_VMS, Verdict};
pub use vmm::image::ImageError;
pub use vmm::{KeptVmm, Vmm, VmmPorts};
pub use x86_64::{X86, X86Exception, X86Exit, X86ExitReason, X86Machine};

/// For each machine that a guest's ELF file can be for here (`e_machine`): how many bytes at the end
/// of the first RAM range the VMM puts there what a guest starts with. What an image has there is
/// lost.
pub const START_AREAS: [(u16, u64); 2] = [
    (A64::ELF_MACHINE, A64::START_AREA_BYTES),
    (X86::ELF_MACHINE, X86::START_AREA_BYTES),
];
