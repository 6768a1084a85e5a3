//! Who the parts of a system are: the protection domains, by name and number.
//!
//! Used by `pd-monitor`, which knows its children by these numbers, and by the host tool that
//! describes a system to the Microkit. Invariant: no two parts have the same number, and none has
//! more than 61, the largest that the Microkit gives a child.

use trace_records::MAX_VMS;

/// A part of the system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The VMM of the VM with this number.
    Vmm(usize),
    /// The trace component.
    Trace,
    /// The console.
    Console,
    /// Who wakes the others.
    Clock,
    /// Who wakes a VMM whose guest sleeps.
    Alarm,
    /// Who runs when nobody else does.
    Idle,
    /// The monitor itself, which is nobody's child and has a number for the sake of the list.
    Monitor,
    /// Whoever says when this VM's VMM has its share of the CPU again.
    Share(usize),
}

const VMMS: [&str; MAX_VMS] = [
    "pd-vmm", "pd-vmm-1", "pd-vmm-2", "pd-vmm-3", "pd-vmm-4", "pd-vmm-5", "pd-vmm-6", "pd-vmm-7",
];
const SHARES: [&str; MAX_VMS] = [
    "pd-share",
    "pd-share-1",
    "pd-share-2",
    "pd-share-3",
    "pd-share-4",
    "pd-share-5",
    "pd-share-6",
    "pd-share-7",
];
const FIRST_VMM: usize = 8;
const FIRST_SHARE: usize = FIRST_VMM + MAX_VMS;

impl Part {
    /// How many there can be.
    pub const COUNT: usize = 6 + 2 * MAX_VMS;
    /// One more than the largest number of a part.
    pub const NUMBERS: usize = FIRST_SHARE + MAX_VMS;

    /// All that there can be.
    pub const ALL: [Self; Self::COUNT] = {
        let mut all = [Self::Trace; Self::COUNT];
        all[1] = Self::Console;
        all[2] = Self::Clock;
        all[3] = Self::Idle;
        all[4] = Self::Monitor;
        all[5] = Self::Alarm;
        let mut vm = 0;
        while vm < MAX_VMS {
            all[6 + vm] = Self::Vmm(vm);
            all[6 + MAX_VMS + vm] = Self::Share(vm);
            vm += 1;
        }
        all
    };

    /// Its number among the monitor's children. A VM's is at most [`MAX_VMS`] - 1.
    pub const fn number(self) -> usize {
        match self {
            Self::Trace => 1,
            Self::Console => 2,
            Self::Clock => 3,
            Self::Idle => 4,
            Self::Monitor => 5,
            Self::Alarm => 6,
            Self::Vmm(vm) => FIRST_VMM + vm,
            Self::Share(vm) => FIRST_SHARE + vm,
        }
    }

    /// The part with a number.
    pub fn with_number(number: usize) -> Option<Self> {
        Self::ALL.into_iter().find(|part| part.number() == number)
    }

    /// The name of its protection domain; `?` for that of a VM that there cannot be.
    pub fn name(self) -> &'static str {
        match self {
            Self::Trace => "pd-trace",
            Self::Console => "pd-console",
            Self::Clock => "pd-clock",
            Self::Idle => "pd-idle",
            Self::Monitor => "pd-monitor",
            Self::Alarm => "pd-alarm",
            Self::Vmm(vm) => VMMS.get(vm).copied().unwrap_or("?"),
            Self::Share(vm) => SHARES.get(vm).copied().unwrap_or("?"),
        }
    }

    /// How much memory outlives it, in bytes; 0 of a part that is not started again when it has died.
    pub const fn kept_bytes(self) -> usize {
        match self {
            Self::Vmm(_) => 0x4000,
            Self::Trace => 0x4_0000,
            Self::Console => 0x1_0000,
            Self::Clock | Self::Alarm | Self::Idle | Self::Monitor | Self::Share(_) => 0,
        }
    }

    /// The slot of the monitor's capability space with its scheduling context (Microkit manual,
    /// "CSpace").
    pub const fn slot_of_time(self) -> usize {
        self.number() + 1
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_part_has_a_name_and_a_number_of_its_own_that_the_microkit_gives_a_child() {
        let names: BTreeSet<_> = Part::ALL.into_iter().map(Part::name).collect();
        let numbers: BTreeSet<_> = Part::ALL.into_iter().map(Part::number).collect();
        assert_eq!(names.len(), Part::COUNT);
        assert_eq!(numbers.len(), Part::COUNT);
        assert!(!names.contains("?"));
        assert!(numbers.into_iter().all(|number| number < Part::NUMBERS));
        const { assert!(Part::NUMBERS <= 62) };
        assert_eq!(Part::Vmm(MAX_VMS).name(), "?");
    }

    #[test]
    fn a_part_is_found_by_its_number() {
        for part in Part::ALL {
            assert_eq!(Part::with_number(part.number()), Some(part));
        }
        assert_eq!(Part::with_number(0), None);
    }
}
