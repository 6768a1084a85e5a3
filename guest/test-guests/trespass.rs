//! Reads and writes the guest-physical addresses at which everything else of the machine lies:
//! other VMs' RAM, rings, the serial port, the interrupt controller, the firmware.
//!
//! By the second stage of translation nothing is there for this guest: reads give all-ones, and
//! writes change nothing, with `unsupported reference ignore` (the default).
//!
//! Keys: `trace=` address of a trace location, beside which all else is.

#![cfg_attr(target_os = "none", no_std, no_main)]

use guest::{Outcome, Start, check, driver::TraceLocation, say};

guest::program!(run);

/// Where memory and devices of the two machines are, the guest's own left out.
const PLACES: [u64; 14] = [
    // The virt board: the interrupt controller, the clock, flash, the host's RAM. (Where the
    // UART is there is the guest's own.)
    0x0800_0000,
    0x0801_0000,
    0x0901_0000,
    0x0000_1000,
    0x4020_0000,
    0x40e0_0000,
    0x4100_0000,
    0x4120_0000,
    0xb000_0000,
    0xb010_0000,
    // A PC: low memory, the host's RAM, the interrupt controllers.
    0x0010_0000,
    0x0100_0000,
    0xfec0_0000,
    0xfee0_0000,
];

fn run(start: &Start) -> Outcome {
    let own = start.trace_location("trace")?;
    for place in PLACES {
        let Some(mut there) = TraceLocation::anywhere(place) else {
            continue;
        };
        let before = there.read();
        there.write(!before);
        let after = there.read();
        check!(
            before == u32::MAX && after == u32::MAX,
            "{place:#x} read {before:#x}, after a write {after:#x}"
        );
    }
    say!("nothing is there but {:#x}", own.address());
    Ok(())
}
