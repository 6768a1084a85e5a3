//! The attacks on this system: who makes each, what it tries, what stops it, what must be seen.
//!
//! [`ALL`] is the list. `tools/runner` boots it and prints what held and what fell; the hostile
//! images (`sel4/attacks`, `unikernel/hostile`) hold an honest component and this crate, and turn
//! on their system when the guest of the VM called [`ATTACKER`] says which attack it is time for.
//!
//! An attack is a few lines in one file of `list`: an [`Attack`] whose [`Act`] is done by a
//! [`Culprit`], a component that somebody else has taken over. It may use all that the component
//! has been given ([`Hands`]), and all that it has not.
//!
//! Invariant: nothing here is part of an ordinary image.
#![no_std]
#![forbid(unsafe_code)]

mod culprit;
mod doorbell;
mod hands;
mod list;
mod ring;
mod taken_over;

pub use culprit::Culprit;
pub use doorbell::{Doorbell, find, wanted};
pub use hands::{Hands, Kernel, Place, Region, VmEntry};
pub use list::ALL;
pub use ring::{HEADER_WORDS, Ring};
pub use taken_over::{Between, TakenOver, TakenOverVmm};

/// The VM whose side the attacks come from: number 0.
pub const ATTACKER: &str = "attacker";
/// Its neighbour, which must notice nothing: number 1.
pub const WITNESS: &str = "witness";

/// One attack.
#[derive(Clone, Copy)]
pub struct Attack {
    /// What it is called, for ever: lower case, words joined by `-`.
    pub name: &'static str,
    /// What it tries, a clause without its subject: the attacker's component.
    pub tries: &'static str,
    /// What stops it, if anything does.
    pub stopped_by: StoppedBy,
    /// Where it can be tried.
    pub exists: Exists,
    /// What must be seen on seL4.
    pub on_sel4: Seen,
    /// What must be seen on seL4 where its kernel is built for debugging, if that is another thing.
    pub on_debug_kernel: Option<Seen>,
    /// What must be seen on the unikernel.
    pub on_unikernel: Seen,
    /// What it leaves of the component that makes it.
    pub leaves: Leaves,
    /// Who makes it, and how.
    pub act: Act,
}

/// What stands between an attack and its success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoppedBy {
    /// The memory is not mapped, or not writable.
    PageTable,
    /// The kernel knows no such capability of this component's.
    Capability,
    /// Somebody looks at what is claimed.
    Check,
    /// What it uses up is its own share.
    Budget,
    /// Nobody: `docs/what-the-kernel-leaves-open.md`, `docs/threat-model.md`.
    Nobody,
}

/// The architectures on which something can be tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exists {
    /// Both.
    Everywhere,
    /// aarch64 alone.
    Aarch64,
    /// x86_64 alone.
    X86_64,
}

/// What must be seen of an attack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// The witness notices nothing, nothing that is printed lies, and a line that holds this
    /// names the attacker within a second. Empty where the attack changes nothing that anybody
    /// could see; `…` in it stands for anything.
    Held(&'static str),
    /// The same, but that a hang is found has its time: so long the witness may wait.
    Mended(&'static str),
    /// The component serves everybody. When it has died too often the run ends at once, as failed, and a
    /// line that holds this names it. Nothing that is printed lies.
    Ends(&'static str),
    /// One of these does not hold.
    Fell,
    /// Nobody stops it, and what then happens is documented: a line that holds this; empty if
    /// the machine stops without a word.
    Documented(&'static str),
    /// It cannot be tried there.
    NotThere,
}

/// What is left of whoever attacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leaves {
    /// It could go on: attacks of this kind share a boot.
    Alive,
    /// It has ended, or does not work any more.
    Dead,
    /// It has, and cannot say so: the run goes on for ever, and is over when the witness is.
    Mute,
}

/// Who makes an attack, and how.
#[derive(Clone, Copy)]
pub enum Act {
    /// A guest program, by its name, with the words that it wants on its command line.
    Guest(&'static str, &'static str),
    /// The VMM of the VM [`ATTACKER`].
    Vmm(fn(&mut Culprit<'_>)),
    /// The trace component.
    Trace(fn(&mut Culprit<'_>)),
    /// The console.
    Console(fn(&mut Culprit<'_>)),
}

impl Act {
    /// Does it, if a component does.
    pub(crate) fn perform(&self, culprit: &mut Culprit<'_>) {
        match self {
            Self::Guest(..) => {}
            Self::Vmm(act) | Self::Trace(act) | Self::Console(act) => act(culprit),
        }
    }

    /// Who makes it.
    pub const fn by(&self) -> By {
        match self {
            Self::Guest(..) => By::Guest,
            Self::Vmm(_) => By::Vmm,
            Self::Trace(_) => By::Trace,
            Self::Console(_) => By::Console,
        }
    }
}

/// Who makes an attack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// A guest, with its VMM honest.
    Guest,
    /// A VMM.
    Vmm,
    /// The trace component.
    Trace,
    /// The console.
    Console,
}

impl By {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Guest => "guest",
            Self::Vmm => "VMM",
            Self::Trace => "trace",
            Self::Console => "console",
        }
    }
}

impl StoppedBy {
    /// The words for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PageTable => "page table",
            Self::Capability => "capability",
            Self::Check => "check",
            Self::Budget => "budget",
            Self::Nobody => "*nobody*",
        }
    }
}

#[cfg(test)]
mod tests;
