//! The order in which seL4 passes a thread's registers.
//!
//! Used by `vcpu` to move as few of them as an access needs. Invariant: the numbers are
//! those of `seL4_UserContext` on aarch64 (seL4 reference manual, "TCB - Read Registers").

use guest_access::Gpr;

/// The program counter's place.
pub const PC: usize = 0;
/// The place of SP_EL0; SP_EL1 is a register of the vCPU.
pub const SP_EL0: usize = 1;
/// PSTATE's place.
pub const SPSR: usize = 2;
/// The place of x0.
pub const X0: usize = 3;
/// How many registers there are.
pub const COUNT: usize = 36;

/// The place of x0 to x30. The order puts the registers of calls first.
pub const fn place(register: Gpr) -> usize {
    match register.number() {
        number @ 0..=8 => X0 + number,
        number @ 9..=15 => 17 + (number - 9),
        number @ 16..=18 => 12 + (number - 16),
        number @ 19..=28 => 24 + (number - 19),
        number => 15 + (number - 29),
    }
}
