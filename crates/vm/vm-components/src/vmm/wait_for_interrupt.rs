//! A guest that waits for an interrupt.
//!
//! Called by the architectures' exits, unless the guest has stopped for good. What ends the wait is an
//! interrupt that the guest could take if it let it, or the clock's next wake-up: WFI is a hint, and HLT on x86
//! has no interrupts yet.
//! Invariant: that a guest does nothing but wait, and could not be interrupted, is told once.

use super::architecture::Architecture;
use super::interrupts::InterruptController;
use super::{Held, Isa, Vmm};
use crate::Machine;
use trace_records::{Address, Notice};

/// How long a guest does nothing but wait for interrupts until the log says so, if it has enabled none.
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
    /// The guest waits for an interrupt, by the instruction at `pc`, and then goes on at `next`.
    pub(crate) fn wait<M: Machine>(&mut self, pc: u64, next: u64, machine: &mut M)
    where
        A: Architecture<M>,
    {
        if self.deliver(machine) {
            self.idle = None;
            return machine.proceed(next);
        }
        // A prompt: nothing more comes before something else happens.
        self.console.flush(machine);
        machine.hold();
        self.wait_on(next, machine);
        if self.interrupts.is_any_enabled() {
            self.idle = None;
            return;
        }
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

    /// The vCPU, which is held, waits for an interrupt, and then goes on at `pc`.
    pub(super) fn wait_on<M: Machine>(&mut self, pc: u64, machine: &mut M)
    where
        A: Architecture<M>,
    {
        self.held = Some(Held::Wait { pc });
        let deadline = A::deadline(&self.interrupts, machine);
        machine.wake_at(deadline);
    }
}
