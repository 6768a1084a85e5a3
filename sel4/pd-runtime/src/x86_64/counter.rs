//! The machine's counter, the TSC, and how its frequency gets around.
//!
//! [`Counter`] is read on every hop of an access; [`calibrate`] is called by `pd-monitor` alone,
//! before anybody else runs: nobody has a higher priority, it is never out of budget (its period
//! is its budget, as the Microkit sets it), and the initialiser, which is above all, has started
//! everybody when it ends.
//! Invariant: one protection domain writes the page with the frequency, once.
//!
//! Specification: Intel SDM volume 3, 19.17 (time-stamp counter).

use super::io_port::{IOPort, IOPortInvocations, io_port};
use crate::region;
use interval_timer::GATE;
use sel4_microkit::var;
use shared_ring::{AtomicU64, Ordering};

/// What `system.xml` maps as `clock_page`, for all who read the time.
#[repr(C, align(4096))]
pub struct ClockPage {
    /// 0 until it is known.
    hz: AtomicU64,
}

/// The TSC, which the kernel lets everybody read.
pub struct Counter;

impl Counter {
    /// The counter, in ticks. The CPU may read it early, but not before what woke this protection
    /// domain: on the way there the kernel writes model-specific registers or CR3, which no
    /// later instruction overtakes.
    #[inline(always)]
    pub fn now() -> u64 {
        // SAFETY: every CPU with long mode has the instruction, and seL4 leaves CR4.TSD clear.
        unsafe { core::arch::x86_64::_rdtsc() }
    }

    /// Its frequency in hertz. Panics if nobody has measured it.
    pub fn hz() -> u64 {
        let hz = clock_page().hz.load(Ordering::Acquire);
        assert!(
            hz > 0,
            "nobody has measured the counter: pd-monitor is to run first"
        );
        hz
    }
}

/// Measures the counter's frequency and publishes it. `system.xml` gives the caller the interval
/// timer's ports, as `interval_timer` and `interval_timer_gate`, and maps `clock_page` for
/// writing. Returns after 80 ms to 120 ms.
pub fn calibrate() {
    let mut ports = IntervalTimerPorts {
        timer: io_port(*var!(interval_timer: usize = 0)),
        gate: io_port(*var!(interval_timer_gate: usize = 0)),
    };
    let (hz, []) = interval_timer::frequencies(&mut ports, Counter::now, || []);
    clock_page().hz.store(hz, Ordering::Release);
}

fn clock_page() -> &'static ClockPage {
    region!(clock_page: ClockPage)
}

struct IntervalTimerPorts {
    timer: IOPort,
    gate: IOPort,
}

impl IntervalTimerPorts {
    fn of(&self, port: u16) -> IOPort {
        if port == GATE { self.gate } else { self.timer }
    }
}

impl interval_timer::Ports for IntervalTimerPorts {
    fn read(&mut self, port: u16) -> u8 {
        match self.of(port).ioport_in8(port) {
            Ok(value) => value,
            Err(error) => panic!("reading the interval timer's port {port:#x}: {error}"),
        }
    }

    fn write(&mut self, port: u16, value: u8) {
        if let Err(error) = self.of(port).ioport_out8(port, value) {
            panic!("writing the interval timer's port {port:#x}: {error}");
        }
    }
}
