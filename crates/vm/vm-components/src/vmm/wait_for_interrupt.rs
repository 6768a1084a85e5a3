//! A guest that waits for an interrupt.
//!
//! Called by the architectures' exits, unless the guest has stopped for good. It has no interrupts: the
//! clock's next wake-up ends the wait.
//! Invariant: that a guest does nothing but wait is told once.

use super::{Held, Isa, Vmm};
use crate::Machine;
use trace_records::{Address, Notice};

/// How long a guest does nothing but wait for interrupts until the log says so. It has none.
const IDLE_SECONDS: u64 = 5;

/// A guest that does nothing but wait for interrupts.
#[derive(Clone, Copy)]
pub(crate) struct Idle {
    since: u64,
    /// Accesses recorded by then.
    accesses: u64,
    told: bool,
}

impl<A: Isa> Vmm<A> {
    /// The guest waits for an interrupt, by the instruction at `pc`. The clock's next wake-up
    /// ends that, and it goes on at `next`.
    pub(crate) fn wait(&mut self, pc: u64, next: u64, machine: &mut impl Machine) {
        // A prompt: nothing more comes before something else happens.
        self.console.flush(machine);
        machine.hold();
        self.held = Some(Held::Wait { pc: next });
        let (now, accesses) = (machine.now(), self.link.access.published());
        let idle = match &mut self.idle {
            Some(idle) if idle.accesses == accesses => idle,
            idle => idle.insert(Idle {
                since: now,
                accesses,
                told: false,
            }),
        };
        let time = now.saturating_sub(idle.since);
        if time >= IDLE_SECONDS.saturating_mul(self.clock_hz) && !idle.told {
            idle.told = true;
            self.console
                .notice(Notice::Idle, IDLE_SECONDS, Address::NONE, pc, machine);
        }
    }
}
