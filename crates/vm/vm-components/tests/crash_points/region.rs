//! Memory that outlives who uses it, in which a run can begin as often as a test likes.

use std::mem::MaybeUninit;
use std::ptr::copy_nonoverlapping;

/// One region, and how it was at the moment at which runs begin. It is never given back.
pub struct Region<T: 'static> {
    live: *mut T,
    image: Box<MaybeUninit<T>>,
}

impl<T: Default> Region<T> {
    /// As the platform gives it first.
    pub fn new() -> Self {
        let mut region = Self {
            live: Box::into_raw(Box::default()),
            image: Box::new(MaybeUninit::uninit()),
        };
        region.remember();
        region
    }
}

impl<T> Region<T> {
    /// Runs begin as it is now.
    pub fn remember(&mut self) {
        // SAFETY: both are one `T` in size, and the tests are of one thread. What the copy refers to is
        // in memory that stays, and nobody drops it.
        unsafe { copy_nonoverlapping(self.live, self.image.as_mut_ptr(), 1) };
    }

    /// A run begins. Whoever had a part in the one before is no more.
    pub fn restore(&self) {
        // SAFETY: as in `remember`, and nobody refers to it.
        unsafe { copy_nonoverlapping(self.image.as_ptr(), self.live, 1) };
    }

    /// For those who share it.
    pub fn shared(&self) -> &'static T {
        // SAFETY: it is never given back, and changes by its atomics alone until the next run begins.
        unsafe { &*self.live }
    }

    /// For its owner, who is the only one, after those who died.
    pub fn lent(&self) -> &'static mut T {
        // SAFETY: it is never given back; the rest is the caller's promise.
        unsafe { &mut *self.live }
    }

    /// Where it is.
    pub fn place(&self) -> *const T {
        self.live
    }
}
