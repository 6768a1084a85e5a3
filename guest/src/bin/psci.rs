//! Proves that no misuse of PSCI stops the host: functions that this VM does not have, with
//! arguments that cannot be, then resets one after the other, each of which begins anew.
//!
//! Keys: `trace=` address of the location.

#![cfg_attr(target_os = "none", no_std, no_main)]

use core::time::Duration;

use guest::code::{CodePage, hypervisor_calls};
use guest::{Outcome, Start, check, say};

guest::program!(run);

static CODE: CodePage = CodePage::new();

const NOT_SUPPORTED: u64 = u64::MAX;

const VERSION: u64 = 0x8400_0000;
const SYSTEM_RESET: u64 = 0x8400_0009;
/// CPU_SUSPEND, CPU_OFF, CPU_ON, AFFINITY_INFO, MIGRATE, SYSTEM_SUSPEND, MEM_PROTECT and more.
const ABSENT: [u64; 9] = [1, 2, 3, 4, 5, 0xb, 0xe, 0x13, 0x14];
const IN_64_BITS: u64 = 1 << 30;

/// Resets go on until the machine has run that long; its clock is not reset.
const RESETTING: Duration = Duration::from_millis(3000);

fn run(start: &Start) -> Outcome {
    let mut location = start.trace_location("trace")?;
    check!(
        location.read() <= 1,
        "a reset left the counter at {}",
        location.read()
    );
    location.write(0xdead);
    for instruction in hypervisor_calls() {
        CODE.write(instruction);
        for function in ABSENT {
            for identifier in [VERSION | function, VERSION | IN_64_BITS | function] {
                for argument in [0, location.address(), u64::MAX] {
                    let x = CODE.run([identifier, argument, argument, argument, 0, 0, 0, 0]);
                    check!(x[0] == NOT_SUPPORTED, "{identifier:#x} gives {:#x}", x[0]);
                }
            }
        }
        // Only the lower half of the function's register counts.
        let x = CODE.run([0xffff_ffff_0000_0000 | VERSION, 0, 0, 0, 0, 0, 0, 0]);
        check!(x[0] == 0x1_0001, "PSCI version {:#x}", x[0]);
    }
    if start.clock.uptime() < RESETTING {
        CODE.run([SYSTEM_RESET, 0, 0, 0, 0, 0, 0, 0]);
        check!(false, "SYSTEM_RESET returned");
    }
    say!("reset often enough");
    Ok(())
}
