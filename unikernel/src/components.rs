//! The components that this platform runs.
//!
//! Named by `component_host` and by nobody else, so that another program can be made of this
//! one's files and components of its own (`unikernel/hostile`). Invariant: the VMM has the four
//! methods that `component_host` and each architecture's `machine` call (`init`, `notified`,
//! `complete_access`, `other_exit`), and no call of them goes through a pointer.

use crate::arch::InstructionSet;

/// The honest one, one for each VM.
pub type Vmm = vm_components::Vmm<InstructionSet>;
pub use vm_components::{Console, Trace};
