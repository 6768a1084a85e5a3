//! What is an architecture's own in the work of a VMM: how an instruction ends, how a guest
//! starts, and which exception says that an access failed.
//!
//! Implemented by [`A64`](crate::A64) and [`X86`](crate::X86), for every machine of theirs.
//! Both always exist: the tests run both on any host.
//!
//! Invariant: nothing here touches a device or a ring; that is `vmm`'s, the same for both.

use crate::vmm::image::Start;
use crate::vmm::interrupts::InterruptController;
use crate::vmm::transfer::{Element, Transfer};
use crate::{ImageError, Machine};
use guest_access::GuestPhysAddr;
use vm_config::RamRange;

/// The types and constants of an instruction set.
pub trait Isa: 'static {
    /// How an instruction that is under way ends.
    type End: Copy;
    /// An exception for the guest.
    type Exception;
    /// What a VMM remembers between exits.
    type Memory: Default;
    /// What gives the guest its interrupts.
    type Interrupts: InterruptController;
    /// `e_machine` of its ELF files (System V ABI, "ELF Header": EM_AARCH64, EM_X86_64).
    const ELF_MACHINE: u16;
    /// Bytes at the end of the first RAM range into which the VMM puts what a guest starts with.
    /// What an image has there is lost.
    const START_AREA_BYTES: u64;
}

/// What is done to a machine of this architecture.
pub trait Architecture<M: Machine>: Isa + Sized {
    /// An element is done; the next may need what it gave.
    fn advanced(transfer: &mut Transfer<Self::End>, machine: &mut M);

    /// All elements are done: changes the registers and lets the guest go on.
    fn finish(transfer: Transfer<Self::End>, machine: &mut M);

    /// The exception for an element that nothing answers at `address`, one of its bytes'.
    fn unanswered(
        element: &Element,
        address: GuestPhysAddr,
        pc: u64,
        machine: &mut M,
    ) -> Self::Exception;

    /// Takes the level of the guest's own timer.
    fn sample_timer(interrupts: &mut Self::Interrupts, machine: &mut M);

    /// Lets the vCPU have what is pending. Whether a guest that waits is woken by that.
    fn deliver(interrupts: &mut Self::Interrupts, machine: &mut M) -> bool;

    /// Lets the vCPU have again what a VMM before this one has given it, unless it has it still.
    fn deliver_again(interrupts: &Self::Interrupts, machine: &mut M);

    /// When the guest's own timer will interrupt it at the latest, in ticks of the host's clock, if it will.
    fn deadline(interrupts: &Self::Interrupts, machine: &mut M) -> Option<u64>;

    /// Lets the guest take an exception at the instruction that exited, and run on.
    fn inject(exception: Self::Exception, machine: &mut M);

    /// Starts a guest whose image and command line are in `ram`.
    ///
    /// # Errors
    ///
    /// There is no room for what else it needs there.
    fn start(start: &Start, ram: RamRange, machine: &mut M) -> Result<(), ImageError>;
}
