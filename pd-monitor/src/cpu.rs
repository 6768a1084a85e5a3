//! Where the CPU's time goes: what the kernel says, divided by what the components claim.
//!
//! Used by `main` at each check and when the verdict is decided. Invariant: what a domain consumed
//! is the kernel's word; a claim divides only the claimant's own time.

use crate::children::Children;
use oversight::{Accounts, Claims, Cpu, Part};
use pd_runtime::{Counter, clock};

/// The time since the monitor began.
pub struct CpuTime {
    began: u64,
    now: u64,
}

impl CpuTime {
    /// Begins now: what was consumed before, to measure the counter, does not count.
    pub fn new(children: &mut Children) -> Self {
        children.forget_consumed();
        let now = Counter::now();
        Self { began: now, now }
    }

    /// Asks the kernel.
    pub fn read(&mut self, children: &mut Children) {
        self.now = Counter::now();
        children.read_consumed();
    }

    /// The table as of the last reading.
    pub fn table(&self, children: &Children) -> Cpu {
        let mut accounts = Accounts {
            vms: children.vms(),
            trace_us: children.consumed_us(Part::Trace),
            console_us: children.consumed_us(Part::Console),
            others_us: [Part::Clock, Part::Alarm, Part::Monitor]
                .map(|part| children.consumed_us(part))
                .iter()
                .sum(),
            idle_us: cfg!(target_arch = "aarch64").then(|| children.consumed_us(Part::Idle)),
            ..Accounts::default()
        };
        let mut claims = Claims::default();
        for vm in 0..children.vms() {
            let vmm = Part::Vmm(vm);
            accounts.vmm_us[vm] = children.consumed_us(vmm);
            claims.vmm[vm] = [0, 1].map(|which| children.spent_ticks(vmm, which));
            claims.trace[vm] = children.spent_ticks(Part::Trace, vm);
            claims.console[vm] = children.spent_ticks(Part::Console, vm);
        }
        let ticks = self.now.saturating_sub(self.began);
        let wall_us = u128::from(ticks) * 1_000_000 / u128::from(clock().hz.max(1));
        accounts.table(wall_us as u64, &claims)
    }
}
