//! From the architecture's entry to the program's `run`.
//!
//! Called once, by the assembly in `entry`.

use core::{panic::PanicInfo, slice};

#[cfg(target_arch = "x86_64")]
use crate::call;
use crate::{
    Outcome, Start,
    clock::Clock,
    cmdline::{CommandLine, CommandLineError},
    console,
    power::{self, FailureCode},
    say,
};

unsafe extern "Rust" {
    /// The program, by [`program!`](crate::program).
    safe fn guest_program(start: &Start) -> Outcome;
}

/// Called by the entry, once.
pub(crate) extern "C" fn start(cmdline: *const u8, cmdline_len_bytes: usize) -> ! {
    let bytes: &[u8] = if cmdline_len_bytes == 0 {
        &[]
    } else {
        // SAFETY: by the contract the VM placed that many bytes there, outside the image, and
        // leaves them alone.
        unsafe { slice::from_raw_parts(cmdline, cmdline_len_bytes) }
    };
    match prepare(bytes).and_then(|start| guest_program(&start)) {
        Ok(()) => {
            say!("done");
            power::off()
        }
        Err(mistake) => power::fail(
            FailureCode::CommandLine,
            format_args!("command line: {mistake}"),
        ),
    }
}

/// Opens the console before anything can fail that it could report.
fn prepare(cmdline: &'static [u8]) -> Result<Start, CommandLineError<'static>> {
    let cmdline = CommandLine::new(cmdline)?;
    console::open(&cmdline)?;
    #[cfg(target_arch = "x86_64")]
    call::open(&cmdline)?;
    let hz = cmdline.number("hz")?;
    let clock = Clock::start(hz).ok_or(CommandLineError::Unusable {
        key: "hz",
        value: hz,
        needs: "1 to 10 GHz in Hz",
    })?;
    Ok(Start { cmdline, clock })
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    match info.location() {
        Some(place) => say!("panicked at {place}: {}", info.message()),
        None => say!("panicked: {}", info.message()),
    }
    power::stop_failed(FailureCode::Panic)
}
