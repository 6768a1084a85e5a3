//! Memory whose owner dies: for tests that let a component die at every store that it makes to
//! memory that it shares, and at every call to its platform.
//!
//! ```text
//!   die_at(n) ─►  store  store  call  store …      catch_unwind, a new component, and on
//!                   1      2      3     n: Death ──►
//! ```
//!
//! Used by tests on a laptop alone; it needs the standard library. Invariant: the step at which the
//! owner dies is not taken, and nothing dies that nobody has asked to.

extern crate std;

use crate::Word;
use core::cell;
use core::sync::atomic::{AtomicU64, Ordering, fence};
use std::boxed::Box;
use std::panic::resume_unwind;
use std::thread_local;

thread_local! {
    /// Steps that this thread takes until it dies, if it is to die.
    static LEFT: cell::Cell<Option<u64>> = const { cell::Cell::new(None) };
}

/// What a dead component has panicked with.
#[derive(Debug)]
pub struct Death;

/// Lets whatever runs on this thread die at its `step`th step from here, counted from 0.
pub fn die_at(step: u64) {
    LEFT.set(Some(step));
}

/// Lets nobody die. Gives how many steps would have been left.
pub fn spare() -> Option<u64> {
    LEFT.take()
}

/// A step: one store, or one call to the platform, which a test's fakes count by this.
///
/// # Panics
///
/// With [`Death`], if this is the step to die at. It says nothing on the standard error.
pub fn step() {
    match LEFT.get() {
        None => {}
        Some(0) => {
            LEFT.set(None);
            resume_unwind(Box::new(Death));
        }
        Some(left) => LEFT.set(Some(left - 1)),
    }
}

/// A cell of memory each store to which is a step.
#[derive(Debug, Default)]
#[repr(transparent)]
pub struct Cell(AtomicU64);

impl Cell {
    /// A cell that holds this.
    pub const fn new(value: u64) -> Self {
        Self(AtomicU64::new(value))
    }

    /// Reads the cell.
    pub fn load(&self, order: Ordering) -> u64 {
        self.0.load(order)
    }

    /// Writes the cell, unless its owner dies at this.
    pub fn store(&self, value: u64, order: Ordering) {
        step();
        self.0.store(value, order);
    }
}

impl Word for Cell {
    fn load(&self, order: Ordering) -> u64 {
        self.load(order)
    }

    fn store(&self, value: u64, order: Ordering) {
        self.store(value, order);
    }

    fn fence(order: Ordering) {
        fence(order);
    }
}
