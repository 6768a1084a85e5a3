//! Divides the time of one CPU among those for whom it is spent, to the tick.
//!
//! Kept by a platform that decides itself who runs: the unikernel. It says at each change who had
//! the CPU until now.
//!
//! ```text
//!    lap        lap             guest_ran            lap
//!  ───┴──trace───┴──guest│vmm│guest│vmm│guest─┴──idle──┴──►
//!                        exits: the VMM's part of it
//! ```
//!
//! Invariant: every tick since [`Laps::begin`] is somebody's, and nobody else's.

use crate::cpu::{Accounts, Claims, Cpu};
use trace_records::MAX_VMS;

/// Who had the CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spender {
    /// The VMM of a VM.
    Vmm(u8),
    /// The trace component.
    Trace,
    /// The console.
    Console,
    /// Nobody: the CPU waited for an interrupt.
    Idle,
    /// What belongs to no VM.
    Others,
}

/// See the file's header.
#[derive(Debug)]
pub struct Laps {
    began: u64,
    /// Until when everything has been given to somebody.
    since: u64,
    /// The guest's and the VMM's ticks, by VM.
    of_vms: [OfVm; MAX_VMS],
    trace: u64,
    console: u64,
    others: u64,
}

#[derive(Debug, Clone, Copy)]
struct OfVm {
    guest: u64,
    vmm: u64,
}

impl Laps {
    /// Nobody has spent anything yet, `now`, in ticks of a counter that never goes back.
    pub const fn begin(now: u64) -> Self {
        Self {
            began: now,
            since: now,
            of_vms: [OfVm { guest: 0, vmm: 0 }; MAX_VMS],
            trace: 0,
            console: 0,
            others: 0,
        }
    }

    /// What has passed since the last change was `spender`'s.
    pub fn lap(&mut self, spender: Spender, now: u64) {
        let passed = self.pass(now);
        match spender {
            Spender::Vmm(vm) => {
                if let Some(of_vm) = self.of_vms.get_mut(usize::from(vm)) {
                    of_vm.vmm += passed;
                }
            }
            Spender::Trace => self.trace += passed,
            Spender::Console => self.console += passed,
            // What remains in the end.
            Spender::Idle => {}
            Spender::Others => self.others += passed,
        }
    }

    /// What has passed since the last change was the guest's of `vm`, but for the ticks that its
    /// VMM took to answer its `exits`.
    pub fn guest_ran(&mut self, vm: u8, exits: u64, now: u64) {
        let passed = self.pass(now);
        if let Some(of_vm) = self.of_vms.get_mut(usize::from(vm)) {
            let exits = exits.min(passed);
            of_vm.vmm += exits;
            of_vm.guest += passed - exits;
        }
    }

    /// How long the trace component has run, in ticks.
    pub const fn trace_ticks(&self) -> u64 {
        self.trace
    }

    /// How long the console has run, in ticks.
    pub const fn console_ticks(&self) -> u64 {
        self.console
    }

    /// The table of `vms` VMs, where the trace component and the console say how many ticks each
    /// of them spent for each VM.
    pub fn table(
        &self,
        vms: usize,
        hz: u64,
        trace: [u64; MAX_VMS],
        console: [u64; MAX_VMS],
    ) -> Cpu {
        let us = |ticks: u64| {
            let us = u128::from(ticks) * 1_000_000 / u128::from(hz.max(1));
            u64::try_from(us).unwrap_or(u64::MAX)
        };
        let accounts = Accounts {
            vms,
            vmm_us: self.of_vms.map(|of_vm| us(of_vm.guest + of_vm.vmm)),
            trace_us: us(self.trace),
            console_us: us(self.console),
            others_us: us(self.others),
            idle_us: None,
        };
        let claims = Claims {
            vmm: self.of_vms.map(|of_vm| [of_vm.vmm, of_vm.guest]),
            trace,
            console,
        };
        accounts.table(us(self.since - self.began), &claims)
    }

    fn pass(&mut self, now: u64) -> u64 {
        let passed = now.saturating_sub(self.since);
        self.since += passed;
        passed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MHZ: u64 = 1_000_000;

    /// Two VMs, one of which waits for the other.
    fn a_second() -> Laps {
        let mut laps = Laps::begin(7);
        let mut now = 7;
        let mut pass = |ticks| {
            now += ticks;
            now
        };
        laps.lap(Spender::Others, pass(1_000));
        laps.guest_ran(0, 50_000, pass(400_000));
        laps.lap(Spender::Vmm(0), pass(9_000));
        laps.lap(Spender::Trace, pass(30_000));
        laps.lap(Spender::Console, pass(60_000));
        laps.guest_ran(1, 0, pass(100_000));
        laps.lap(Spender::Idle, pass(400_000));
        laps
    }

    fn sum(cpu: &Cpu) -> u64 {
        let of_vms = cpu.vm.iter().map(|vm| {
            let guest = vm.guest_us.unwrap_or(0);
            guest + vm.vmm_us + vm.trace_us + vm.console_us
        });
        of_vms.sum::<u64>() + cpu.idle_us + cpu.others_us
    }

    #[test]
    fn each_part_goes_to_whoever_had_the_cpu() {
        let mut claims = [[0; MAX_VMS]; 2];
        claims[0][..2].copy_from_slice(&[20, 10]);
        claims[1][..2].copy_from_slice(&[0, 1]);
        let cpu = a_second().table(2, MHZ, claims[0], claims[1]);
        assert_eq!(cpu.wall_us, 1_000_000);
        assert_eq!(cpu.idle_us, 400_000);
        assert_eq!(cpu.others_us, 1_000);
        let [first, second] = [cpu.vm[0], cpu.vm[1]];
        assert_eq!((first.guest_us, first.vmm_us), (Some(350_000), 59_000));
        assert_eq!((second.guest_us, second.vmm_us), (Some(100_000), 0));
        assert_eq!((first.trace_us, second.trace_us), (20_000, 10_000));
        assert_eq!((first.console_us, second.console_us), (0, 60_000));
        assert_eq!(sum(&cpu), cpu.wall_us);
    }

    #[test]
    fn no_tick_is_lost_at_any_frequency() {
        let laps = a_second();
        for hz in [1, 24 * MHZ, 62_500_000, 999_999_937, 2_400 * MHZ] {
            let cpu = laps.table(2, hz, [1; MAX_VMS], [3; MAX_VMS]);
            let wall = (1_000_000 * u128::from(MHZ) / u128::from(hz)) as u64;
            assert_eq!((cpu.wall_us, sum(&cpu)), (wall, wall), "{hz}");
        }
    }

    #[test]
    fn a_counter_that_stands_still_or_an_exit_longer_than_the_turn_takes_from_nobody() {
        let mut laps = a_second();
        let before = laps.table(2, MHZ, [1; MAX_VMS], [1; MAX_VMS]);
        laps.lap(Spender::Trace, 7);
        laps.guest_ran(1, 1_000, laps.since);
        let after = laps.table(2, MHZ, [1; MAX_VMS], [1; MAX_VMS]);
        assert_eq!(before, after);
    }
}
