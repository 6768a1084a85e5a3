//! The monitor's children: what each is, whether it lives, what it consumed.
//!
//! Used by `main`. Invariants: the numbers are those of `system.xml`, also in the slots of the
//! capabilities that its `cspace` gives; a child that was stopped never runs again.

use crate::shares;
use oversight::{LifePage, Silence, Watch};
use pd_runtime::{optional_region, region};
use sel4_microkit::Child;
use trace_records::{EndReason, MAX_VMS};

/// What a child is to the system.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The VMM of the VM with this number.
    Vmm(usize),
    Trace,
    Console,
    Clock,
    Idle,
    /// The monitor itself, which is nobody's child and has a number for the sake of the list.
    Monitor,
    /// Whoever says when this VM's VMM has its share of the CPU again.
    Share(usize),
}

/// How many children there can be.
pub const COUNT: usize = PARTS.len();

const PARTS: [(&str, Part); 13] = [
    ("pd-vmm", Part::Vmm(0)),
    ("pd-trace", Part::Trace),
    ("pd-console", Part::Console),
    ("pd-clock", Part::Clock),
    ("pd-vmm-1", Part::Vmm(1)),
    ("pd-vmm-2", Part::Vmm(2)),
    ("pd-vmm-3", Part::Vmm(3)),
    ("pd-idle", Part::Idle),
    ("pd-monitor", Part::Monitor),
    ("pd-share", Part::Share(0)),
    ("pd-share-1", Part::Share(1)),
    ("pd-share-2", Part::Share(2)),
    ("pd-share-3", Part::Share(3)),
];

/// The slots of `cspace` are the upper bits of a capability's address: `PD_ROOT_CAP_BITS` of
/// the Microkit's `microkit.h`.
const SLOT_SHIFT: u32 = usize::BITS - 6;
/// The slot of the scheduling context of child 0; those of the others follow.
const FIRST_SCHEDULING_CONTEXT: usize = 1;

/// See the file's header.
pub struct Children {
    all: [OneChild; COUNT],
    vms: usize,
}

struct OneChild {
    is_there: bool,
    /// `None` for those that are not asked.
    life: Option<&'static LifePage>,
    watch: Watch,
    is_stopped: bool,
    /// All that it consumed so far, and what of that since the last check.
    consumed_us: u64,
    unchecked_us: u64,
}

impl Children {
    /// The children that the system description has.
    pub fn new() -> Self {
        let of_vmms: [Option<&LifePage>; MAX_VMS] = [
            Some(region!(life_vmm: LifePage)),
            optional_region!(life_vmm_1: LifePage),
            optional_region!(life_vmm_2: LifePage),
            optional_region!(life_vmm_3: LifePage),
        ];
        let all = PARTS.map(|(_, part)| {
            let (is_there, life) = match part {
                Part::Vmm(vm) => (of_vmms[vm].is_some(), of_vmms[vm]),
                Part::Trace => (true, Some(region!(life_trace: LifePage))),
                Part::Console => (true, Some(region!(life_console: LifePage))),
                Part::Clock => (true, None),
                // Where a guest runs on its VMM's time nobody needs it.
                Part::Idle => (cfg!(target_arch = "aarch64"), None),
                Part::Monitor => (true, None),
                Part::Share(vm) => (shares::renewed(vm).is_some(), None),
            };
            OneChild {
                is_there,
                life,
                watch: Watch::new(),
                is_stopped: false,
                consumed_us: 0,
                unchecked_us: 0,
            }
        });
        Self {
            all,
            vms: of_vmms.iter().flatten().count(),
        }
    }

    /// How many VMs there are.
    pub fn vms(&self) -> usize {
        self.vms
    }

    /// A child's name.
    pub fn name(&self, number: usize) -> &'static str {
        PARTS.get(number).map_or("?", |(name, _)| name)
    }

    /// What it is.
    pub fn part(&self, number: usize) -> Part {
        PARTS.get(number).map_or(Part::Idle, |(_, part)| *part)
    }

    /// Its last words, whatever they are.
    pub fn last_words<'a>(
        &self,
        number: usize,
        buffer: &'a mut [u8; LifePage::WORDS_BYTES],
    ) -> &'a [u8] {
        let life = self.all.get(number).and_then(|child| child.life);
        life.map_or(&[], |life| life.last_words(buffer))
    }

    /// Suspends a child for ever.
    pub fn stop(&mut self, number: usize) {
        if let Some(child) = self.all.get_mut(number) {
            child.is_stopped = true;
            Child::new(number).tcb().tcb_suspend().ok();
        }
    }

    /// Whether a part that all VMs need has been stopped.
    pub fn has_lost_a_service(&self) -> bool {
        self.has_lost(|part| !matches!(part, Part::Vmm(_)))
    }

    /// Whether a VMM has been stopped.
    pub fn has_lost_a_vmm(&self) -> bool {
        self.has_lost(|part| matches!(part, Part::Vmm(_)))
    }

    fn has_lost(&self, which: impl Fn(Part) -> bool) -> bool {
        let mut all = self.all.iter().zip(PARTS);
        all.any(|(child, (_, part))| child.is_stopped && which(part))
    }

    /// How a VM has ended, as the trace component says, or its VMM if the trace component has not
    /// heard of it. That is the VMM's claim in either case.
    pub fn ended(&self, vm: usize) -> Option<EndReason> {
        let heard = self.life(Part::Trace)?.ended(vm);
        heard.or_else(|| self.life(Part::Vmm(vm))?.ended(0))
    }

    fn life(&self, of: Part) -> Option<&'static LifePage> {
        let number = PARTS.iter().position(|(_, part)| *part == of)?;
        self.all[number].life
    }

    /// What a child's silence since the last check means, if it means something.
    pub fn check(&mut self, number: usize) -> Option<Silence> {
        let child = self.all.get_mut(number)?;
        let consumed_us = core::mem::take(&mut child.unchecked_us);
        let life = child.life.filter(|_| !child.is_stopped)?;
        child.watch.check(life.beats(), consumed_us)
    }

    /// Asks the kernel what everybody has consumed since it was asked last.
    pub fn read_consumed(&mut self) {
        for (number, (_, part)) in PARTS.iter().enumerate() {
            if self.all[number].is_there {
                let payer = match part {
                    // In the background its VMM runs on this one's.
                    Part::Share(vm) => of_vmm(*vm),
                    _ => number,
                };
                self.charge(payer, consumed_us(number));
            }
        }
    }

    /// Charges a child with what the kernel says that it has consumed.
    pub fn charge(&mut self, number: usize, consumed_us: u64) {
        let child = &mut self.all[number];
        child.consumed_us += consumed_us;
        child.unchecked_us += consumed_us;
    }

    /// Begins to count anew.
    pub fn forget_consumed(&mut self) {
        self.read_consumed();
        for child in &mut self.all {
            (child.consumed_us, child.unchecked_us) = (0, 0);
        }
    }

    /// What the children that are such a part have consumed, in microseconds.
    pub fn consumed_us(&self, of: Part) -> u64 {
        let mut all = self.all.iter().zip(PARTS);
        let child = all.find(|(_, (_, part))| *part == of);
        child.map_or(0, |(child, _)| child.consumed_us)
    }

    /// What a part claims to have spent for a VM, in ticks.
    pub fn spent_ticks(&self, of: Part, vm: usize) -> u64 {
        self.life(of).map_or(0, |life| life.spent_ticks(vm))
    }
}

/// The number of the VMM of a VM.
pub const fn of_vmm(vm: usize) -> usize {
    match vm {
        0 => 0,
        vm => 3 + vm,
    }
}

/// The number of whoever says when a VM's VMM has its share again.
pub const fn of_share(vm: usize) -> usize {
    9 + vm
}

/// The scheduling context that the Microkit made for a child.
pub fn scheduling_context(number: usize) -> sel4::CPtrBits {
    ((FIRST_SCHEDULING_CONTEXT + number) << SLOT_SHIFT) as sel4::CPtrBits
}

/// What a child's scheduling context was charged since it was asked last.
fn consumed_us(number: usize) -> u64 {
    let context = scheduling_context(number);
    let answer =
        sel4::with_ipc_buffer_mut(|buffer| buffer.inner_mut().seL4_SchedContext_Consumed(context));
    // Of a scheduling context's capability there is no error.
    kernel_us(answer.consumed)
}

/// The kernel's microseconds, as the counter has them.
#[cfg(target_arch = "aarch64")]
fn kernel_us(us: u64) -> u64 {
    us
}

/// The kernel's microseconds, as the counter has them: it divides ticks by whole megahertz, rounded
/// down.
#[cfg(target_arch = "x86_64")]
fn kernel_us(us: u64) -> u64 {
    const MHZ: u64 = 1_000_000;
    let hz = pd_runtime::Counter::hz();
    us * (hz / MHZ) * MHZ / hz
}
