//! The power switch.
//!
//! Called when the run is over, and as the last thing of a panic. The invariant: it does not
//! return, whatever the firmware says, and who failed for a reason that is not our bug (the
//! board, the guest's file) leaves a verdict, in the report page and as a line.
//!
//! PSCI (DEN 0022) 5.10, SYSTEM_OFF.

use crate::{print_line, report};
use aarch64_cpu::registers::{CurrentEL, Readable};
use core::fmt::Display;
use oversight::Verdict;
// Field's crate for firmware calls.
use smccc::{Hvc, Smc, psci};

/// Switches the machine off; QEMU exits with status 0.
pub fn off() -> ! {
    // From EL2 the conduit is SMC: HVC would come to ourselves. From EL1, where only the
    // complaint about that runs, it is HVC.
    let _ = if CurrentEL.matches_all(CurrentEL::EL::EL2) {
        psci::system_off::<Smc>()
    } else {
        psci::system_off::<Hvc>()
    };
    loop {
        aarch64_cpu::asm::wfi();
    }
}

/// Says why this run cannot be, then switches off. For our own bugs there is `panic!`.
pub fn off_because(reason: impl Display) -> ! {
    report::verdict(Verdict::Failed);
    print_line!("verdict: failed: {reason}");
    off()
}
