//! The page that says how a run went, for whoever looks from outside.
//!
//! On seL4 `pd-monitor` alone writes it, in the unikernel the platform; the runner and the host
//! tools read it in the machine's memory. A line on a console can come from any component; this
//! cannot.
//!
//! ```text
//! word  0 magic   1 version   2 verdict: 0 none yet, 1 ok, 2 failed
//!       3 wall    4 idle      5 others    6 guests    7 VMs
//!       8 + 4 vm: guest (all ones: not known apart from the others'), VMM, trace, console
//! ```
//!
//! Times are in microseconds. Invariant: the verdict is stored last and never changes; words are
//! little-endian, and a change of the layout is a new version.

use crate::cpu::{Cpu, OfVm};
use core::sync::atomic::{AtomicU64, Ordering};
use trace_records::{MAX_VMS, Verdict};

const MAGIC: u64 = u64::from_le_bytes(*b"VTRACEND");
const VERSION: u64 = 2;
const WORDS_OF_A_VM: usize = 4;
const WORDS: usize = 8 + WORDS_OF_A_VM * MAX_VMS;
const NOT_KNOWN: u64 = u64::MAX;

const VERDICT: usize = 2;
const OF_ALL: usize = 3;
const OF_VMS: usize = 8;

/// See the file's header. All zero: nobody has written it.
#[repr(C, align(4096))]
pub struct ReportPage {
    words: [AtomicU64; WORDS],
}

impl ReportPage {
    /// How much of it there is to read, in bytes.
    pub const BYTES: usize = WORDS * 8;

    /// A page that nobody has written.
    pub const fn new() -> Self {
        Self {
            words: [const { AtomicU64::new(0) }; WORDS],
        }
    }

    /// Begins a run: no verdict. Whoever writes the page calls this first.
    pub fn begin(&self) {
        for word in &self.words {
            word.store(0, Ordering::Relaxed);
        }
        self.words[1].store(VERSION, Ordering::Release);
        self.words[0].store(MAGIC, Ordering::Release);
    }

    /// Publishes where the CPU's time has gone. A reader may meet half of it until there is a
    /// verdict.
    pub fn set_cpu(&self, cpu: &Cpu) {
        let of_all = [
            cpu.wall_us,
            cpu.idle_us,
            cpu.others_us,
            cpu.guests_us,
            cpu.vms.min(MAX_VMS) as u64,
        ];
        let of_vms = cpu.vm.iter().flat_map(|vm| {
            [
                vm.guest_us.unwrap_or(NOT_KNOWN),
                vm.vmm_us,
                vm.trace_us,
                vm.console_us,
            ]
        });
        for (word, value) in self.words[OF_ALL..]
            .iter()
            .zip(of_all.into_iter().chain(of_vms))
        {
            word.store(value, Ordering::Relaxed);
        }
    }

    /// Publishes the verdict; the first one stays.
    pub fn set_verdict(&self, verdict: Verdict) {
        let word = &self.words[VERDICT];
        if word.load(Ordering::Relaxed) == 0 {
            word.store(verdict.number(), Ordering::Release);
        }
    }

    /// What it says; `None` if nobody has begun it.
    pub fn read(&self) -> Option<Report> {
        Report::of_words(|word| {
            self.words
                .get(word)
                .map(|word| word.load(Ordering::Acquire))
        })
    }
}

impl Default for ReportPage {
    fn default() -> Self {
        Self::new()
    }
}

/// What a report page says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// How the run went, if that has been decided.
    pub verdict: Option<Verdict>,
    /// Where the CPU's time has gone so far.
    pub cpu: Cpu,
}

impl Report {
    /// Reads the page from a machine's memory, of which `bytes` are the page's first
    /// [`ReportPage::BYTES`]; `None` if it is no report page of this version.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (words, _) = bytes.as_chunks::<8>();
        Self::of_words(|word| words.get(word).map(|bytes| u64::from_le_bytes(*bytes)))
    }

    fn of_words(word: impl Fn(usize) -> Option<u64>) -> Option<Self> {
        if word(0)? != MAGIC || word(1)? != VERSION {
            return None;
        }
        let verdict = Verdict::from_number(word(VERDICT)?);
        let mut vm = [OfVm::default(); MAX_VMS];
        for (number, vm) in vm.iter_mut().enumerate() {
            let of_vm = |which| word(OF_VMS + WORDS_OF_A_VM * number + which);
            *vm = OfVm {
                guest_us: Some(of_vm(0)?).filter(|us| *us != NOT_KNOWN),
                vmm_us: of_vm(1)?,
                trace_us: of_vm(2)?,
                console_us: of_vm(3)?,
            };
        }
        let of_all = |which| word(OF_ALL + which);
        let cpu = Cpu {
            wall_us: of_all(0)?,
            idle_us: of_all(1)?,
            others_us: of_all(2)?,
            guests_us: of_all(3)?,
            vms: usize::try_from(of_all(4)?).map_or(MAX_VMS, |vms| vms.min(MAX_VMS)),
            vm,
        };
        Some(Self { verdict, cpu })
    }
}
