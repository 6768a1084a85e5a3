//! Proves that every function of PSCI has the answer that its version makes mandatory, and that no
//! misuse stops the host: functions that this VM does not have, with arguments that cannot be,
//! then resets one after the other, each of which begins anew. At last the only CPU goes off.
//!
//! Keys: `trace=` address of the location.

#![cfg_attr(target_os = "none", no_std, no_main)]

use core::time::Duration;

use guest::code::{CodePage, hypervisor_calls};
use guest::{Outcome, Start, check, say};

guest::program!(run);

static CODE: CodePage = CodePage::new();

const SUCCESS: u64 = 0;
const NOT_SUPPORTED: u64 = -1_i64 as u64;
const INVALID_PARAMETERS: u64 = -2_i64 as u64;
const ALREADY_ON: u64 = -4_i64 as u64;
const VERSION_1_1: u64 = 0x1_0001;

const SMCCC_VERSION: u64 = 0x8000_0000;
const SMCCC_ARCH_FEATURES: u64 = 0x8000_0001;
const VERSION: u64 = 0x8400_0000;
const CPU_SUSPEND: u64 = 0x8400_0001;
const CPU_OFF: u64 = 0x8400_0002;
const CPU_ON: u64 = 0x8400_0003;
const AFFINITY_INFO: u64 = 0x8400_0004;
const MIGRATE_INFO_TYPE: u64 = 0x8400_0006;
const SYSTEM_OFF: u64 = 0x8400_0008;
const SYSTEM_RESET: u64 = 0x8400_0009;
const FEATURES: u64 = 0x8400_000a;
const IN_64_BITS: u64 = 1 << 30;
/// MIGRATE, MIGRATE_INFO_UP_CPU, SYSTEM_SUSPEND, MEM_PROTECT and more.
const ABSENT: [u64; 6] = [5, 7, 0xb, 0xe, 0x13, 0x14];

/// Identifier, first and second argument, answer (PSCI 1.1, 5.1 to 5.16; SMCCC 1.1, 7).
const ANSWERS: [(u64, u64, u64, u64); 29] = [
    (SMCCC_VERSION, 0, 0, VERSION_1_1),
    (SMCCC_ARCH_FEATURES, SMCCC_VERSION, 0, SUCCESS),
    (SMCCC_ARCH_FEATURES, SMCCC_ARCH_FEATURES, 0, SUCCESS),
    (SMCCC_ARCH_FEATURES, 0x8000_8000, 0, NOT_SUPPORTED),
    (VERSION, 0, 0, VERSION_1_1),
    // Only the lower half of the function's register counts.
    (0xffff_ffff_0000_0000 | VERSION, 0, 0, VERSION_1_1),
    // A power-down state, a level above the CPU's, and a reserved bit.
    (CPU_SUSPEND, 1 << 16, 0, INVALID_PARAMETERS),
    (CPU_SUSPEND | IN_64_BITS, 1 << 24, 0, INVALID_PARAMETERS),
    (CPU_SUSPEND, 1 << 31, 0, INVALID_PARAMETERS),
    (CPU_ON, 0, 0x4008_0000, ALREADY_ON),
    (CPU_ON | IN_64_BITS, 0, 0x4008_0000, ALREADY_ON),
    (CPU_ON, 1, 0x4008_0000, INVALID_PARAMETERS),
    (
        CPU_ON | IN_64_BITS,
        1 << 32,
        0x4008_0000,
        INVALID_PARAMETERS,
    ),
    (CPU_ON | IN_64_BITS, u64::MAX, 0, INVALID_PARAMETERS),
    (AFFINITY_INFO, 0, 0, 0),
    (AFFINITY_INFO | IN_64_BITS, 0, 3, 0),
    (AFFINITY_INFO, 0, 4, INVALID_PARAMETERS),
    (AFFINITY_INFO | IN_64_BITS, 1, 0, INVALID_PARAMETERS),
    (MIGRATE_INFO_TYPE, 0, 0, 2),
    (FEATURES, SMCCC_VERSION, 0, SUCCESS),
    (FEATURES, CPU_SUSPEND, 0, SUCCESS),
    (FEATURES, CPU_SUSPEND | IN_64_BITS, 0, SUCCESS),
    (FEATURES, CPU_OFF, 0, SUCCESS),
    (FEATURES, CPU_ON | IN_64_BITS, 0, SUCCESS),
    (FEATURES, AFFINITY_INFO | IN_64_BITS, 0, SUCCESS),
    (FEATURES, MIGRATE_INFO_TYPE, 0, SUCCESS),
    (FEATURES, SYSTEM_RESET, 0, SUCCESS),
    (FEATURES, SYSTEM_OFF | IN_64_BITS, 0, NOT_SUPPORTED),
    (CPU_OFF | IN_64_BITS, 0, 0, NOT_SUPPORTED),
];

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
        for (function, first, second, wanted) in ANSWERS {
            let answer = call(function, first, second);
            check!(
                answer == wanted,
                "{function:#x}({first:#x}, {second:#x}): {answer:#x}"
            );
        }
        for function in ABSENT {
            for identifier in [VERSION | function, VERSION | IN_64_BITS | function] {
                for argument in [0, location.address(), u64::MAX] {
                    let answer = call(identifier, argument, argument);
                    check!(answer == NOT_SUPPORTED, "{identifier:#x} gives {answer:#x}");
                    let announced = call(FEATURES, identifier, 0);
                    check!(announced == NOT_SUPPORTED, "{identifier:#x} is announced");
                }
            }
        }
    }
    if start.clock.uptime() < RESETTING {
        call(SYSTEM_RESET, 0, 0);
        check!(false, "SYSTEM_RESET returned");
    }
    say!("reset often enough");
    for suspend in [CPU_SUSPEND, CPU_SUSPEND | IN_64_BITS] {
        let (before, answer) = (start.clock.uptime(), call(suspend, 0, 0));
        let waited = start.clock.uptime() > before;
        check!(answer == SUCCESS && waited, "{suspend:#x}: {answer:#x}");
    }
    say!("done");
    call(CPU_OFF, 0, 0);
    check!(false, "CPU_OFF returned");
    Ok(())
}

/// What the written call gives: only the answer changes.
fn call(function: u64, first: u64, second: u64) -> u64 {
    CODE.run([function, first, second, 0, 0, 0, 0, 0])[0]
}
