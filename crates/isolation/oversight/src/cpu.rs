//! Where the CPU's time has gone, by VM, and the one line that says so.
//!
//! [`Accounts`] is kept by `pd-monitor` from what the kernel says that each domain consumed, which
//! nobody can forge. How a domain that serves several VMs divided its time is its own claim, and
//! divides only that.

use core::fmt;
use trace_records::MAX_VMS;

/// Where the CPU's time has gone, in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cpu {
    /// All the time there was.
    pub wall_us: u64,
    /// When nobody had anything to do.
    pub idle_us: u64,
    /// The monitor, the clock, and what belongs to no VM.
    pub others_us: u64,
    /// All guests.
    pub guests_us: u64,
    /// How many VMs there are.
    pub vms: usize,
    /// By VM.
    pub vm: [OfVm; MAX_VMS],
}

/// What one VM's work took, in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OfVm {
    /// The guest itself; `None` if only the sum of all guests is known.
    pub guest_us: Option<u64>,
    /// Its VMM.
    pub vmm_us: u64,
    /// The trace component for it.
    pub trace_us: u64,
    /// The console for it.
    pub console_us: u64,
}

/// What each domain consumed so far, in microseconds.
#[derive(Debug, Clone, Copy, Default)]
pub struct Accounts {
    /// How many VMs there are.
    pub vms: usize,
    /// The VMMs; where a guest runs on its VMM's time, with the guest.
    pub vmm_us: [u64; MAX_VMS],
    /// The trace component.
    pub trace_us: u64,
    /// The console.
    pub console_us: u64,
    /// The monitor and the clock.
    pub others_us: u64,
    /// Idling, where that is measured: the guests' time is then what remains. Where it is not, a
    /// guest runs on its VMM's time, and idling is what remains.
    pub idle_us: Option<u64>,
}

/// What components claim of how they divided their time, in any unit.
#[derive(Debug, Clone, Copy, Default)]
pub struct Claims {
    /// A VMM's own time and its guest's. Only asked where a guest runs on its VMM's time.
    pub vmm: [[u64; 2]; MAX_VMS],
    /// The trace component's time for each VM.
    pub trace: [u64; MAX_VMS],
    /// The console's time for each VM.
    pub console: [u64; MAX_VMS],
}

impl Accounts {
    /// The table, after so much time.
    pub fn table(&self, wall_us: u64, claims: &Claims) -> Cpu {
        let vms = self.vms.min(MAX_VMS);
        let mut vm = [OfVm::default(); MAX_VMS];
        for (number, vm) in vm.iter_mut().enumerate().take(vms) {
            let consumed = self.vmm_us[number];
            vm.vmm_us = consumed;
            if self.idle_us.is_none() {
                let guest_us = part(consumed, &claims.vmm[number], 1);
                vm.vmm_us -= guest_us;
                vm.guest_us = Some(guest_us);
            }
            vm.trace_us = part(self.trace_us, &claims.trace[..vms], number);
            vm.console_us = part(self.console_us, &claims.console[..vms], number);
        }
        let of_vmms = self.vmm_us[..vms].iter().sum::<u64>();
        let domains = of_vmms + self.trace_us + self.console_us + self.others_us;
        let rest = wall_us.saturating_sub(domains);
        let (idle_us, guests_us) = match self.idle_us {
            Some(idle_us) => (idle_us.min(rest), rest.saturating_sub(idle_us)),
            None => (rest, vm.iter().filter_map(|vm| vm.guest_us).sum()),
        };
        if let ([only], Some(_)) = (&mut vm[..vms], self.idle_us) {
            only.guest_us = Some(guests_us);
        }
        let told = vm[..vms].iter().map(|vm| vm.trace_us + vm.console_us);
        let told = told.sum::<u64>();
        Cpu {
            wall_us,
            idle_us,
            // What nobody claims to have spent for a VM is in here as well.
            others_us: self.others_us + (self.trace_us + self.console_us).saturating_sub(told),
            guests_us,
            vms,
            vm,
        }
    }
}

/// A VM's part of a sum that is divided by claims.
fn part(sum: u64, claims: &[u64], number: usize) -> u64 {
    let all = claims.iter().map(|claim| u128::from(*claim)).sum::<u128>();
    let of_vm = u128::from(claims[number]) * u128::from(sum);
    // Less than the sum.
    of_vm.checked_div(all).map_or(0, |part| part as u64)
}

/// Displays a table as one line of text, without its end.
pub struct CpuLine<'a, F> {
    /// The table.
    pub cpu: &'a Cpu,
    /// The VMs' names, by number.
    pub name: F,
}

impl<'a, F: Fn(usize) -> &'a str> fmt::Display for CpuLine<'a, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cpu = self.cpu;
        let wall = Hundredths(cpu.wall_us / 10_000);
        write!(f, "cpu of {wall} s: ")?;
        let share = |us: u64| Share {
            part: us,
            whole: cpu.wall_us,
        };
        let vms = &cpu.vm[..cpu.vms.min(MAX_VMS)];
        for (number, vm) in vms.iter().enumerate() {
            write!(f, "{}: ", (self.name)(number))?;
            if let Some(guest_us) = vm.guest_us {
                write!(f, "guest {}, ", share(guest_us))?;
            }
            let (vmm, trace, console) = (vm.vmm_us, vm.trace_us, vm.console_us);
            let [vmm, trace, console] = [vmm, trace, console].map(share);
            write!(f, "vmm {vmm}, trace {trace}, console {console}; ")?;
        }
        if vms.iter().any(|vm| vm.guest_us.is_none()) {
            write!(f, "all guests {}, ", share(cpu.guests_us))?;
        }
        let [idle, others] = [cpu.idle_us, cpu.others_us].map(share);
        write!(f, "idle {idle}, others {others}")
    }
}

struct Hundredths(u64);

impl fmt::Display for Hundredths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}", self.0 / 100, self.0 % 100)
    }
}

/// A part in percent, rounded to a tenth.
struct Share {
    part: u64,
    whole: u64,
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = u128::from(self.whole.max(1));
        let tenths = (u128::from(self.part) * 1000 + whole / 2) / whole;
        write!(f, "{}.{} %", tenths / 10, tenths % 10)
    }
}
