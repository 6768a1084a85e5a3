//! The VMM that this platform runs, one for each VM.
//!
//! Named by `component_host` and by each architecture's `machine`, and by nobody else, so that
//! another program can be made of this one's files and a VMM of its own. Invariant: what is
//! here has the four methods that those two call (`init`, `notified`, `complete_access`,
//! `other_exit`), and no call of them goes through a pointer.

use crate::arch::InstructionSet;

/// The honest one.
pub type Vmm = vm_components::Vmm<InstructionSet>;
