//! Exceptions: unexpected ones end the VM with a line that says where, expected ones end the
//! attempt that they came in.
//!
//! [`attempt`] is for the programs, `taken` for the entries in `entry`. The invariant: nothing
//! outside an attempt is ever left undone. AMD APM volume 2, 8.2 (vectors).

use core::{
    ffi::c_void,
    fmt,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use crate::code::Registers;
#[cfg(target_os = "none")]
use crate::{
    power::{self, FailureCode},
    say,
};

/// What the CPU said about an exception.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exception {
    /// The vector.
    pub vector: u64,
    /// The error code, 0 if the vector has none.
    pub error_code: u64,
    /// RIP, the instruction's address.
    pub rip: u64,
    /// CR2, the address that was accessed, if it is a page fault.
    pub cr2: u64,
}

/// `#GP error 0x0`, or the vector alone where there is no error code.
impl fmt::Display for Exception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.vector {
            6 => f.write_str("#UD"),
            13 => write!(f, "#GP error {:#x}", self.error_code),
            14 => write!(f, "#PF error {:#x} cr2 {:#x}", self.error_code, self.cr2),
            vector => write!(f, "exception {vector}"),
        }
    }
}

// Shared between the program and its own exceptions, on one vCPU.
static ATTEMPTING: AtomicBool = AtomicBool::new(false);
static VECTOR: AtomicU64 = AtomicU64::new(0);
static ERROR_CODE: AtomicU64 = AtomicU64::new(0);
static RIP: AtomicU64 = AtomicU64::new(0);
static CR2: AtomicU64 = AtomicU64::new(0);

/// Runs `hostile`, which has nothing to drop; it ends at its first instruction that causes an
/// exception, and that exception is the error. Attempts do not nest.
///
/// # Errors
///
/// An exception came.
pub fn attempt<T>(hostile: impl FnOnce() -> T) -> Result<T, Exception> {
    let mut work = Work {
        hostile: Some(hostile),
        result: None,
    };
    ATTEMPTING.store(true, Ordering::Relaxed);
    guarded_call(&mut work);
    ATTEMPTING.store(false, Ordering::Relaxed);
    work.result.ok_or_else(|| Exception {
        vector: VECTOR.load(Ordering::Relaxed),
        error_code: ERROR_CODE.load(Ordering::Relaxed),
        rip: RIP.load(Ordering::Relaxed),
        cr2: CR2.load(Ordering::Relaxed),
    })
}

struct Work<F, T> {
    hostile: Option<F>,
    result: Option<T>,
}

fn guarded_call<F: FnOnce() -> T, T>(work: &mut Work<F, T>) {
    extern "C" fn run<F: FnOnce() -> T, T>(work: *mut c_void) {
        // SAFETY: `guarded_call` passes it, and does not use it meanwhile.
        let work = unsafe { &mut *work.cast::<Work<F, T>>() };
        if let Some(hostile) = work.hostile.take() {
            work.result = Some(hostile());
        }
    }
    let function: extern "C" fn(*mut c_void) = run::<F, T>;
    let argument = core::ptr::from_mut(work).cast();
    #[cfg(target_os = "none")]
    {
        unsafe extern "C" {
            fn guarded(function: extern "C" fn(*mut c_void), argument: *mut c_void) -> u64;
        }
        // SAFETY: the function takes the argument. If an exception ends it, its frames are
        // forgotten, in which there is nothing to drop.
        unsafe { guarded(function, argument) };
    }
    #[cfg(not(target_os = "none"))]
    function(argument);
}

/// The registers as they were when the last exception came; RSP is not among them.
pub fn interrupted_registers() -> Registers {
    #[cfg(target_os = "none")]
    {
        unsafe extern "C" {
            static interrupted_registers: Registers;
        }
        let registers = &raw const interrupted_registers;
        // SAFETY: `entry` has made room for it, and no exception writes it just now.
        unsafe { registers.read_volatile() }
    }
    #[cfg(not(target_os = "none"))]
    unimplemented!()
}

/// Called by the entries. Returns if an attempt is to end.
#[cfg(target_os = "none")]
pub(crate) extern "C" fn taken(vector: u64, error_code: u64, rip: u64, cr2: u64) {
    if ATTEMPTING.load(Ordering::Relaxed) {
        VECTOR.store(vector, Ordering::Relaxed);
        ERROR_CODE.store(error_code, Ordering::Relaxed);
        RIP.store(rip, Ordering::Relaxed);
        CR2.store(cr2, Ordering::Relaxed);
        return;
    }
    say!("unexpected exception {vector} error {error_code:#x} rip {rip:#x} cr2 {cr2:#x}");
    power::stop_failed(FailureCode::Exception)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::string::ToString;

    use super::*;

    #[test]
    fn an_exception_shows_what_its_vector_has() {
        let shown = |vector| {
            let exception = Exception {
                vector,
                error_code: 2,
                rip: 0x4008_0000,
                cr2: 0xfa00_0000,
            };
            exception.to_string()
        };
        assert_eq!(shown(13), "#GP error 0x2");
        assert_eq!(shown(14), "#PF error 0x2 cr2 0xfa000000");
        assert_eq!(shown(6), "#UD");
    }

    #[test]
    fn an_attempt_without_exception_gives_its_result() {
        assert_eq!(attempt(|| 7), Ok(7));
    }
}
