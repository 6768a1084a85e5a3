//! What every guest program needs: bare metal in a VM with one vCPU, on one console line at a
//! time, with a command line, a clock and trace devices.
//!
//! The demo is `src/main.rs`, its driver `src/driver.rs`; the guests of the tests are `test-guests/`, a
//! file each. A program is a function `run` that takes what the VM said ([`Start`]) and returns, and
//! [`program!`]:
//!
//! ```text
//! guest::program!(run);
//!
//! fn run(start: &Start) -> Outcome {
//!     let mut location = start.trace_location("trace")?;
//!     check!(location.read() < 10, "the counter is not fresh");
//!     Ok(())
//! }
//! ```
//!
//! # Contract with the VM
//!
//! | what | aarch64 | x86_64 |
//! |---|---|---|
//! | image | ELF, linked to guest-physical 0x40080000 in RAM 0x40000000..0x40200000; file bytes copied, the rest of each segment zeroed; nothing outside the segments is used | the same |
//! | entry | at the ELF's entry point: EL1h, DAIF masked, MMU and caches off, one vCPU | 64-bit mode at privilege level 0, interrupts off, flat segments without a table behind them; tables at the end of RAM map 4 GiB to themselves |
//! | command line | x0 its guest-physical address, outside the image, x1 its length in bytes | RDI, RSI |
//! | its form | UTF-8 words `key=value`; the last of two equal keys counts | the same |
//! | `hz=` | appended by the VMM: frequency of the counter CNTVCT_EL0 | of the time stamp counter |
//! | `console=` | guest-physical address of a PL011, ready to transmit; without it the guest is silent | `io:` and the first port of an 8250 |
//! | `exit=` | – | only on a bare machine: `io:` and the port of an isa-debug-exit, which ends it instead of a call |
//! | other keys | the program's; most need `trace=`, the address of a trace device's location | the same |
//! | success | the line `guest: done`, then PSCI SYSTEM_OFF by HVC | the same by VMMCALL or VMCALL, as the CPU has it, function in EAX, argument in RCX |
//! | failure | a line with the reason, then the vendor specific hypervisor call 0xC6000000 with a [`FailureCode`](power::FailureCode) in x1; if it returns, PSCI SYSTEM_OFF | the same |
//!
//! WFI, or HLT with interrupts on, has to complete within a few wake-ups although the guest takes no
//! interrupt. HLT with interrupts off, or WFI in a loop of its own with everything masked, may end the
//! VM.
//!
//! Every access to a device is one plain load or store with a base register, on aarch64 without
//! write-back, so that the CPU describes it in the syndrome; the exceptions are the programs
//! that are about the other forms.
//!
//! Time is the guest's own counter, never a count of iterations or the host's clock.
//!
//! What is an architecture's own is in a folder of its name. On the host everything compiles
//! and the pure parts are tested.

#![no_std]

#[cfg_attr(target_arch = "aarch64", path = "aarch64/mod.rs")]
#[cfg_attr(target_arch = "x86_64", path = "x86_64/mod.rs")]
mod arch;
#[cfg(target_os = "none")]
mod boot;
pub mod clock;
pub mod cmdline;
pub mod conformance;
pub mod driver;
pub mod power;
pub mod register_file;
pub mod ticks;

pub(crate) use arch::call;
#[cfg(target_arch = "aarch64")]
pub use arch::{
    aarch32, addressing_forms, debug_registers, gic, interrupts, paging, virtual_timer,
};
pub use arch::{access_forms, code, console, cpu, exceptions, page_tables, timer_registers};
#[cfg(target_arch = "x86_64")]
pub use arch::{ports, segments};

use clock::Clock;
use cmdline::{CommandLine, CommandLineError};
use driver::TraceLocation;

/// How a program ends, unless one of its checks ended the VM before: `Ok` powers off, the
/// error is a mistake in the VM's configuration.
pub type Outcome = Result<(), CommandLineError<'static>>;

/// What a program gets from the VM.
#[derive(Debug)]
pub struct Start {
    /// The program's own keys.
    pub cmdline: CommandLine<'static>,
    /// The guest's clock; its zero is the guest's start.
    pub clock: Clock,
}

impl Start {
    /// The trace device whose address is the value of `key`.
    ///
    /// # Errors
    ///
    /// The key is missing, or its value cannot be the address of a trace location.
    pub fn trace_location(
        &self,
        key: &'static str,
    ) -> Result<TraceLocation, CommandLineError<'static>> {
        let address = self.cmdline.number(key)?;
        TraceLocation::new(address).ok_or(CommandLineError::Unusable {
            key,
            value: address,
            needs: "a word outside the guest's image",
        })
    }
}

/// Makes `fn run(&Start) -> Outcome` the program; on the host, where it could not run, the
/// program is empty.
#[macro_export]
macro_rules! program {
    ($run:path) => {
        #[cfg(target_os = "none")]
        #[unsafe(no_mangle)]
        fn guest_program(start: &$crate::Start) -> $crate::Outcome {
            $run(start)
        }

        #[cfg(not(target_os = "none"))]
        fn main() {
            let _: fn(&$crate::Start) -> $crate::Outcome = $run;
        }
    };
}

/// Prints one line, `guest: ` before it; takes what `format!` takes.
#[macro_export]
macro_rules! say {
    ($($text:tt)*) => {
        $crate::console::line(format_args!($($text)*))
    };
}

/// Ends the VM as failed, with a reason in the words of `format!`, unless the condition holds.
#[macro_export]
macro_rules! check {
    ($holds:expr, $($reason:tt)*) => {
        if !$holds {
            $crate::power::fail($crate::power::FailureCode::Check, format_args!($($reason)*));
        }
    };
}
