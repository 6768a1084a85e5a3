//! How several VMMs share the CPU: each has a share that nobody can take from it, and what nobody
//! wants besides.
//!
//! A VMM runs above all vCPUs, or its guest would wait for another's turn at each access. So its
//! scheduling context has a budget below its period, its *share*. With that alone a VMM would idle
//! once it has used its share up, however idle the CPU is. Therefore it goes on *in the
//! background*, below the vCPUs, on another scheduling context:
//!
//! ```text
//!                   above the vCPUs              in the background
//!                  ┌────────────────┐ used up  ┌────────────────────┐
//!   VMM runs on    │   its share    ├─────────►│ that of `pd-share` │
//!   `pd-share` on  │       –        │◄─────────┤   the VMM's share  │
//!                  └────────────────┘ renewed  └────────────────────┘
//! ```
//!
//! Both edges are the kernel's own and nobody polls: a share that is used up is a timeout fault of
//! the VMM (seL4 reference manual, "Timeout faults"), and `pd-share`, which holds the share
//! meanwhile, is let run when it is renewed, and notifies the monitor.
//!
//! Called by `main` for these two events. Invariants: each scheduling context is bound to one
//! thread at most; a VMM is always bound to one; it runs above the vCPUs on its share alone. A
//! system description without `pd-share` has none of this, and its VMMs no limit.

use crate::children::{Children, scheduling_context};
use crate::share_channels::renewed;
use oversight::Part;
use sel4::cap::{Endpoint, Tcb};
use sel4_microkit::{Channel, ChannelSet, Child, get_mr};
use trace_records::MAX_VMS;

/// The priority of a VMM on its share, and in the background: above and below the vCPUs'. A test
/// compares them with the system descriptions.
const ON_SHARE: u64 = 210;
const IN_BACKGROUND: u64 = 90;

/// The monitor's own endpoint, where its children's faults arrive (Microkit manual, "CSpace").
const INPUT: Endpoint = sel4::Cap::from_bits(1);

/// In a timeout's message: whose scheduling context, by the number that the Microkit gives it.
const CONTEXT: usize = 0;
/// What that was charged since it was asked last.
const CONSUMED: usize = 1;
/// The number of the first VMM's: the protection domains count from here in their order in the
/// system description, where the VMMs follow the monitor.
const FIRST_CONTEXT: u64 = 0x101;

/// Whether this is no notification but a timeout fault: it comes by the monitor's own endpoint,
/// whose badge is 0, and a notification has a channel.
pub fn is_used_up(channels: &ChannelSet) -> bool {
    channels.iter().next().is_none()
}

/// See the file's header.
pub struct Shares {
    all: [Option<Share>; MAX_VMS],
}

struct Share {
    renewed: Channel,
    vmm: Part,
    holder: Part,
    is_used_up: bool,
}

impl Shares {
    /// Lets each VMM that has a share run on it.
    pub fn new() -> Self {
        let all = core::array::from_fn(|vm| {
            let share = Share {
                renewed: renewed(vm)?,
                vmm: Part::Vmm(vm),
                holder: Part::Share(vm),
                is_used_up: false,
            };
            unbind(share.holder);
            let set = tcb(share.vmm).tcb_set_timeout_endpoint(INPUT);
            set.expect("the monitor's endpoint has all rights");
            Some(share)
        });
        Self { all }
    }

    /// A share is used up: its VMM goes on in the background. Called with the kernel's message.
    #[cold]
    pub fn move_to_background(&mut self, children: &mut Children) {
        let vm = get_mr(CONTEXT).wrapping_sub(FIRST_CONTEXT) as usize;
        let Some(share) = self.all.get_mut(vm).and_then(Option::as_mut) else {
            return;
        };
        children.charge(share.vmm, get_mr(CONSUMED));
        unbind(share.vmm);
        bind(share.vmm, share.holder);
        bind(share.holder, share.vmm);
        share.is_used_up = true;
        let vmm = tcb(share.vmm);
        vmm.tcb_set_priority(vmm, IN_BACKGROUND).ok();
        vmm.tcb_resume().ok();
    }

    /// Shares may be there again: their VMMs go on above the vCPUs.
    pub fn move_back(&mut self, channels: &ChannelSet) {
        for share in self.all.iter_mut().flatten() {
            if !share.is_used_up || !channels.contains(share.renewed) {
                continue;
            }
            unbind(share.vmm);
            unbind(share.holder);
            // Refused if the little that its holder used of the share was the last of it.
            if bind(share.vmm, share.vmm) {
                let vmm = tcb(share.vmm);
                vmm.tcb_set_priority(vmm, ON_SHARE).ok();
                share.is_used_up = false;
            } else {
                bind(share.vmm, share.holder);
                bind(share.holder, share.vmm);
            }
        }
    }
}

fn tcb(child: Part) -> Tcb {
    Child::new(child.number()).tcb()
}

/// Binds the scheduling context that the Microkit made for one child to another, or the same.
/// Whether the kernel did: it gives none that is exhausted to a thread that waits.
fn bind(of: Part, to: Part) -> bool {
    let (context, to) = (scheduling_context(of), tcb(to).bits());
    let error =
        sel4::with_ipc_buffer_mut(|buffer| buffer.inner_mut().seL4_SchedContext_Bind(context, to));
    sel4::Error::from_sys(error).is_none()
}

/// Takes the scheduling context that the Microkit made for a child from whoever it is bound to.
fn unbind(of: Part) {
    let context = scheduling_context(of);
    // There is no error for a scheduling context that is not the monitor's own.
    sel4::with_ipc_buffer_mut(|buffer| buffer.inner_mut().seL4_SchedContext_Unbind(context));
}
