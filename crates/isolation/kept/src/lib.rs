//! What a component leaves to the one that is started in its place: a state, kept twice, of which one
//! copy is whole at any moment.
//!
//! ```text
//!   commit:   1  the other copy is written        death here: the old state holds
//!             2  `whole` names it   ◄── one store
//!             3  the caller publishes what        death here: the new one holds, and is
//!                follows from it                  published again, which is harmless
//! ```
//!
//! Held by a component, in memory that its platform hands in and that outlives it: a memory region of
//! its protection domain. All else that the component has is made anew.
//!
//! Invariant: a state that [`Kept::state`] gives was committed as a whole. Death is that of the thread that
//! owns the memory, so what was stored before it, in the order of the program, is there after it.
#![no_std]

use core::mem::MaybeUninit;
use core::sync::atomic::{Ordering, compiler_fence};
use shared_ring::Cell;

/// See the file's header. All zero: nothing is kept.
#[repr(C)]
pub struct Kept<T> {
    /// 0, or 1 + the place of the copy that is whole.
    whole: Cell,
    copies: [MaybeUninit<T>; 2],
}

impl<T: Copy> Kept<T> {
    /// Memory in which nothing is kept.
    pub const fn new() -> Self {
        Self {
            whole: Cell::new(0),
            copies: [const { MaybeUninit::uninit() }; 2],
        }
    }

    /// The state that was committed last, if one was.
    pub fn state(&self) -> Option<&T> {
        let whole = self.whole.load(Ordering::Relaxed).checked_sub(1)?;
        let copy = self.copies.get(usize::try_from(whole).ok()?)?;
        // SAFETY: `commit` has named this copy after it had written all of it, and writes to the one
        // that is not named. `T` is `Copy`, so that it owns nothing that has died with its writer.
        Some(unsafe { copy.assume_init_ref() })
    }

    /// Keeps this state instead of the one before. What follows from it is to be published after this.
    #[inline(always)]
    pub fn commit(&mut self, state: &T) {
        let spare = usize::from(self.whole.load(Ordering::Relaxed) == 1);
        self.copies[spare].write(*state);
        self.whole.store(1 + spare as u64, Ordering::Release);
        // What is published is not to be stored before this.
        compiler_fence(Ordering::SeqCst);
    }
}

impl<T: Copy> Default for Kept<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_state_is_kept_and_before_there_is_none() {
        let mut kept = Kept::new();
        assert_eq!(kept.state(), None);
        for state in 0..5_u64 {
            kept.commit(&[state; 9]);
            assert_eq!(kept.state(), Some(&[state; 9]));
        }
    }

    #[test]
    fn whoever_dies_while_it_writes_the_new_state_leaves_the_old_one() {
        for commits in 1..4_u64 {
            let mut kept = Kept::new();
            for state in 1..=commits {
                kept.commit(&[state; 9]);
            }
            // What a commit has written when it has come to its one store.
            let spare = usize::from(kept.whole.load(Ordering::Relaxed) == 1);
            kept.copies[spare].write([u64::MAX; 9]);
            assert_eq!(kept.state(), Some(&[commits; 9]));
        }
    }

    #[test]
    fn a_place_that_there_is_not_keeps_nothing() {
        let kept = Kept::<u64>::new();
        kept.whole.store(3, Ordering::Relaxed);
        assert_eq!(kept.state(), None);
    }
}
