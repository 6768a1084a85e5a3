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
///
/// A state may have parts, at most `PARTS`, and an appendix; only those that there are cost anything.
#[repr(C)]
pub struct Kept<T, P = (), const PARTS: usize = 0, A = ()> {
    /// 0, or 1 + the place of the copy that is whole.
    whole: Cell,
    copies: [State<T, P, PARTS, A>; 2],
}

#[repr(C)]
struct State<T, P, const PARTS: usize, A> {
    state: MaybeUninit<T>,
    /// So many parts are written.
    count: usize,
    /// Whether the appendix is: 0 or 1, for memory that is all zero is none of Rust's.
    appendices: usize,
    parts: [MaybeUninit<P>; PARTS],
    appendix: MaybeUninit<A>,
}

impl<T: Copy> Kept<T> {
    /// Memory in which nothing is kept.
    pub const fn new() -> Self {
        Self::in_parts()
    }

    /// Keeps this state instead of the one before. What follows from it is to be published after this.
    #[inline(always)]
    pub fn commit(&mut self, state: &T) {
        self.commit_in_parts(state, []);
    }
}

impl<T: Copy, P: Copy, const PARTS: usize, A: Copy> Kept<T, P, PARTS, A> {
    /// Memory for a state with parts, in which nothing is kept.
    pub const fn in_parts() -> Self {
        Self {
            whole: Cell::new(0),
            copies: [const {
                State {
                    state: MaybeUninit::uninit(),
                    count: 0,
                    appendices: 0,
                    parts: [const { MaybeUninit::uninit() }; PARTS],
                    appendix: MaybeUninit::uninit(),
                }
            }; 2],
        }
    }

    /// The state that was committed last, if one was.
    pub fn state(&self) -> Option<&T> {
        // SAFETY: `commit_in_parts` has named this copy after it had written all of it, and writes to
        // the one that is not named. `T` is `Copy`, so that it owns nothing that has died with its writer.
        Some(unsafe { self.whole()?.state.assume_init_ref() })
    }

    /// The parts of the state that was committed last; none if none was.
    pub fn parts(&self) -> &[P] {
        let Some(whole) = self.whole() else {
            return &[];
        };
        // SAFETY: as for the state, and so many were written.
        unsafe { whole.parts[..whole.count].assume_init_ref() }
    }

    /// The appendix of the state that was committed last, if it had one.
    pub fn appendix(&self) -> Option<&A> {
        let whole = self.whole().filter(|whole| whole.appendices != 0)?;
        // SAFETY: as for the state, and it was written.
        Some(unsafe { whole.appendix.assume_init_ref() })
    }

    fn whole(&self) -> Option<&State<T, P, PARTS, A>> {
        let whole = self.whole.load(Ordering::Relaxed).checked_sub(1)?;
        self.copies.get(usize::try_from(whole).ok()?)
    }

    /// Keeps this state and these parts, of which those that there is no place for are left out, instead
    /// of what was kept before. What follows from them is to be published after this.
    #[inline(always)]
    pub fn commit_in_parts(&mut self, state: &T, parts: impl IntoIterator<Item = P>) {
        self.commit_with_appendix(state, parts, None);
    }

    /// The same with an appendix, if there is one.
    #[inline(always)]
    pub fn commit_with_appendix(
        &mut self,
        state: &T,
        parts: impl IntoIterator<Item = P>,
        appendix: Option<&A>,
    ) {
        let spare = usize::from(self.whole.load(Ordering::Relaxed) == 1);
        let copy = &mut self.copies[spare];
        copy.state.write(*state);
        copy.count = 0;
        for (place, part) in copy.parts.iter_mut().zip(parts) {
            place.write(part);
            copy.count += 1;
        }
        copy.appendices = usize::from(appendix.is_some());
        if let Some(appendix) = appendix {
            copy.appendix.write(*appendix);
        }
        self.whole.store(1 + spare as u64, Ordering::Release);
        // What is published is not to be stored before this.
        compiler_fence(Ordering::SeqCst);
    }
}

impl<T: Copy, P: Copy, const PARTS: usize, A: Copy> Default for Kept<T, P, PARTS, A> {
    fn default() -> Self {
        Self::in_parts()
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
            kept.copies[spare].state.write([u64::MAX; 9]);
            assert_eq!(kept.state(), Some(&[commits; 9]));
        }
    }

    #[test]
    fn a_state_has_the_parts_that_it_was_committed_with() {
        let mut kept = Kept::<u64, u8, 3>::default();
        assert_eq!((kept.state(), kept.parts()), (None, &[][..]));
        for (state, parts) in [(1, &[1, 2, 3][..]), (2, &[4]), (3, &[]), (4, &[5, 6])] {
            kept.commit_in_parts(&state, parts.iter().copied());
            assert_eq!((kept.state(), kept.parts()), (Some(&state), parts));
        }
        kept.commit_in_parts(&5, [1, 2, 3, 4]);
        assert_eq!(kept.parts(), [1, 2, 3]);
    }

    #[test]
    fn whoever_dies_while_it_writes_the_new_parts_leaves_the_old_ones() {
        let mut kept = Kept::<u64, u8, 3>::in_parts();
        kept.commit_in_parts(&1, [1, 2]);
        kept.copies[1].parts[0].write(9);
        kept.copies[1].count = 1;
        assert_eq!((kept.state(), kept.parts()), (Some(&1), &[1, 2][..]));
    }

    #[test]
    fn a_state_has_the_appendix_that_it_was_committed_with() {
        let mut kept = Kept::<u64, u8, 3, u16>::default();
        assert_eq!(kept.appendix(), None);
        for (state, appendix) in [
            (1, Some(7)),
            (2, None),
            (3, Some(8)),
            (4, Some(9)),
            (5, None),
        ] {
            kept.commit_with_appendix(&state, [1], appendix.as_ref());
            let all = (kept.state(), kept.parts(), kept.appendix());
            assert_eq!(all, (Some(&state), &[1][..], appendix.as_ref()));
        }
        kept.commit_in_parts(&6, []);
        assert_eq!(kept.appendix(), None);
    }

    #[test]
    fn whoever_dies_while_it_writes_the_new_appendix_leaves_the_old_one() {
        let mut kept = Kept::<u64, u8, 3, u16>::in_parts();
        kept.commit_with_appendix(&1, [], Some(&7));
        kept.copies[1].appendix.write(9);
        kept.copies[1].appendices = 0;
        assert_eq!(kept.appendix(), Some(&7));
    }

    #[test]
    fn a_place_that_there_is_not_keeps_nothing() {
        let kept = Kept::<u64>::new();
        kept.whole.store(3, Ordering::Relaxed);
        assert_eq!(kept.state(), None);
    }
}
