//! The monitor's children: what each is, whether it lives, what it consumed.
//!
//! Used by `main`. Invariants: the numbers are those of `system.xml`, also in the slots of the
//! capabilities that its `cspace` gives; a child that was stopped never runs again (`restarts` has
//! those that are not).

use crate::share_channels;
use oversight::{LifePage, Part, Silence, Watch};
use pd_runtime::{optional_region, region};
use sel4_microkit::Child;
use trace_records::{EndReason, MAX_VMS};

/// The slots of `cspace` are the upper bits of a capability's address: `PD_ROOT_CAP_BITS` of
/// the Microkit's `microkit.h`.
const SLOT_SHIFT: u32 = usize::BITS - 6;

/// See the file's header.
pub struct Children {
    /// By their numbers.
    all: [OneChild; Part::NUMBERS],
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
            optional_region!(life_vmm_4: LifePage),
            optional_region!(life_vmm_5: LifePage),
            optional_region!(life_vmm_6: LifePage),
            optional_region!(life_vmm_7: LifePage),
        ];
        let child = |is_there, life| OneChild {
            is_there,
            life,
            watch: Watch::new(),
            is_stopped: false,
            consumed_us: 0,
            unchecked_us: 0,
        };
        let mut all = core::array::from_fn(|_| child(false, None));
        for part in Part::ALL {
            all[part.number()] = match part {
                Part::Vmm(vm) => child(of_vmms[vm].is_some(), of_vmms[vm]),
                Part::Trace => child(true, Some(region!(life_trace: LifePage))),
                Part::Console => child(true, Some(region!(life_console: LifePage))),
                Part::Clock | Part::Monitor => child(true, None),
                // Where a guest runs on its VMM's time nobody needs it.
                Part::Idle | Part::Alarm => child(cfg!(target_arch = "aarch64"), None),
                Part::Share(vm) => child(share_channels::renewed(vm).is_some(), None),
            };
        }
        Self {
            all,
            vms: of_vmms.iter().flatten().count(),
        }
    }

    /// How many VMs there are.
    pub fn vms(&self) -> usize {
        self.vms
    }

    /// Whether the system description has this child.
    pub fn is_there(&self, part: Part) -> bool {
        self.all[part.number()].is_there
    }

    /// The VM of which work was under way, as a child that serves all of them claims. A VMM's own VM
    /// takes no blame for it.
    pub fn under_way(&self, of: Part) -> Option<usize> {
        match of {
            Part::Vmm(_) => None,
            _ => self.life(of)?.under_way(),
        }
    }

    /// A child begins anew: what it left unanswered, another did.
    pub fn begins_anew(&mut self, part: Part) {
        let child = &mut self.all[part.number()];
        child.watch = Watch::new();
        child.unchecked_us = 0;
    }

    /// Its last words, whatever they are.
    pub fn last_words<'a>(
        &self,
        of: Part,
        buffer: &'a mut [u8; LifePage::WORDS_BYTES],
    ) -> &'a [u8] {
        let life = self.life(of);
        life.map_or(&[], |life| life.last_words(buffer))
    }

    /// Suspends a child for ever.
    pub fn stop(&mut self, part: Part) {
        self.all[part.number()].is_stopped = true;
        Child::new(part.number()).tcb().tcb_suspend().ok();
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
        let mut all = Part::ALL.into_iter();
        all.any(|part| self.all[part.number()].is_stopped && which(part))
    }

    /// How a VM has ended, as the trace component says, or its VMM if the trace component has not
    /// heard of it. That is the VMM's claim in either case.
    pub fn ended(&self, vm: usize) -> Option<EndReason> {
        let heard = self.life(Part::Trace)?.ended(vm);
        heard.or_else(|| self.life(Part::Vmm(vm))?.ended(0))
    }

    fn life(&self, of: Part) -> Option<&'static LifePage> {
        self.all[of.number()].life
    }

    /// What a child's silence since the last check means, if it means something.
    pub fn check(&mut self, part: Part) -> Option<Silence> {
        let child = &mut self.all[part.number()];
        let consumed_us = core::mem::take(&mut child.unchecked_us);
        let life = child.life.filter(|_| !child.is_stopped)?;
        child.watch.check(life.beats(), consumed_us)
    }

    /// Asks the kernel what everybody has consumed since it was asked last.
    pub fn read_consumed(&mut self) {
        for part in Part::ALL {
            if self.all[part.number()].is_there {
                let payer = match part {
                    // In the background its VMM runs on this one's.
                    Part::Share(vm) => Part::Vmm(vm),
                    part => part,
                };
                self.charge(payer, consumed_us(part));
            }
        }
    }

    /// Charges a child with what the kernel says that it has consumed.
    pub fn charge(&mut self, payer: Part, consumed_us: u64) {
        let child = &mut self.all[payer.number()];
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

    /// What a child has consumed, in microseconds.
    pub fn consumed_us(&self, of: Part) -> u64 {
        self.all[of.number()].consumed_us
    }

    /// What a part claims to have spent for a VM, in ticks.
    pub fn spent_ticks(&self, of: Part, vm: usize) -> u64 {
        self.life(of).map_or(0, |life| life.spent_ticks(vm))
    }
}

/// The scheduling context that the Microkit made for a child.
pub fn scheduling_context(part: Part) -> sel4::CPtrBits {
    (part.slot_of_time() << SLOT_SHIFT) as sel4::CPtrBits
}

/// What a child's scheduling context was charged since it was asked last.
fn consumed_us(part: Part) -> u64 {
    let context = scheduling_context(part);
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
