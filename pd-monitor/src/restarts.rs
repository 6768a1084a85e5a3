//! Starts children again that have died or hang, where they began.
//!
//! Used by `main`. A child's program begins at an entry that clears what it finds of its predecessor
//! (`pd-runtime`, `entry`), and its component goes on from what is kept (`kept`). So a restart is a
//! program counter and a stack pointer: those that the Microkit gave the child, which are read before it has
//! run for the first time. Writing them also cancels the fault that nobody answers.
//!
//! Invariant: who is started again runs with what it had at first, and as often as `oversight::Restarts`
//! allows.

use crate::children::Children;
use oversight::{Fate, Part};
use pd_runtime::{Counter, clock};
use sel4::UserContext;
use sel4_microkit::Child;

/// Program counter and stack pointer come first in a thread's registers, on either architecture (seL4
/// reference manual, "TCB - Write Registers").
const PC_AND_SP: u64 = 2;

/// See the file's header.
pub struct Restarts {
    /// By the children's numbers; `None` for those that stay dead.
    all: [Option<OneChild>; Part::NUMBERS],
}

struct OneChild {
    start: UserContext,
    deaths: oversight::Restarts,
}

impl Restarts {
    /// Remembers where the children begin. Called before any of them runs.
    pub fn new(children: &Children) -> Self {
        let mut all = [const { None }; Part::NUMBERS];
        for part in Part::ALL {
            if part.kept_bytes() == 0 || !children.is_there(part) {
                continue;
            }
            let tcb = Child::new(part.number()).tcb();
            // There is no error for a thread that is not the monitor's own.
            all[part.number()] = tcb.tcb_read_registers(false, PC_AND_SP).ok().map(|start| {
                let deaths = oversight::Restarts::new();
                OneChild { start, deaths }
            });
        }
        Self { all }
    }

    /// A child has died or hangs. Starts it again, unless that has been too often.
    pub fn died(&mut self, part: Part, under_way: Option<usize>) -> Fate {
        let Some(child) = &mut self.all[part.number()] else {
            return Fate::StaysDead;
        };
        let fate = child.deaths.died(under_way, Counter::now(), clock().hz);
        if let Fate::Restart(_) = fate {
            let tcb = Child::new(part.number()).tcb();
            // Only a thread that does not run is resumed with what is written. There is no error, as
            // above.
            tcb.tcb_suspend().ok();
            tcb.tcb_write_registers(true, PC_AND_SP, &mut child.start)
                .ok();
        }
        fate
    }
}
