//! One step of the CPU that runs the tests: any instruction on any registers, in a sandbox of two
//! pages.
//!
//! ```text
//!   main                 handler (on a stack of its own)          the instruction
//!   int3 ──SIGTRAP──►  save main's registers, load the step's ──► runs, with TF set
//!                      keep what it left, load main's  ◄──SIGTRAP, or SIGSEGV and its kin
//!   goes on ◄────────────┘
//! ```
//!
//! Invariant: the handler does nothing but copy registers between the signal's context and the
//! one slot; a step that faults is told and hurts nobody, unless it writes to the test's own
//! memory, at an address that a wrong decoding made.

use crate::signal_context::GPR;
use std::cell::UnsafeCell;
use std::sync::{Mutex, MutexGuard};

/// Where the instruction and its operands are: below 4 GiB, so that addresses of 32 bits reach
/// both.
pub const SANDBOX: usize = 0x2000_0000;
/// Where the instruction begins.
pub const CODE: u64 = SANDBOX as u64 + 0x800;
/// The operands' page.
pub const DATA: u64 = SANDBOX as u64 + PAGE as u64;
/// Its length in bytes.
pub const PAGE: usize = 4096;

/// What an instruction finds and leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Registers {
    /// RAX to R15 in the order of their encoding.
    pub gpr: [u64; 16],
    pub rip: u64,
    pub rflags: u64,
}

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The instruction is done, or an iteration of it.
    Done,
    /// By this signal.
    Signal(i32),
}

const TRAP_FLAG: u64 = 1 << 8;
const SIGNALS: [i32; 5] = [
    libc::SIGTRAP,
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGILL,
    libc::SIGFPE,
];

struct Slot(UnsafeCell<Contents>);

// SAFETY: whoever steps holds `ONE`; the handler runs on the same thread, while that waits at
// its INT3.
unsafe impl Sync for Slot {}

struct Contents {
    step: Option<Registers>,
    of_main: Option<[libc::greg_t; 23]>,
    ended: Ended,
}

static SLOT: Slot = Slot(UnsafeCell::new(Contents {
    step: None,
    of_main: None,
    ended: Ended::Done,
}));
static ONE: Mutex<()> = Mutex::new(());

/// The CPU, for as long as nobody else has it.
pub struct Cpu(#[allow(dead_code)] MutexGuard<'static, ()>);

impl Cpu {
    pub fn new() -> Self {
        let guard = ONE.lock().unwrap();
        let prot = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE;
        // SAFETY: fresh pages where nothing is, or an error.
        let at = unsafe { libc::mmap(SANDBOX as *mut _, 2 * PAGE, prot, flags, -1, 0) };
        assert_eq!(at as usize, SANDBOX, "{}", std::io::Error::last_os_error());
        let stack = libc::stack_t {
            ss_sp: Box::leak(vec![0_u8; 1 << 16].into_boxed_slice())
                .as_mut_ptr()
                .cast(),
            ss_flags: 0,
            ss_size: 1 << 16,
        };
        // SAFETY: a stack that lives for ever.
        let set = unsafe { libc::sigaltstack(&stack, std::ptr::null_mut()) };
        assert_eq!(set, 0);
        for signal in SIGNALS {
            // SAFETY: all zero is a valid action.
            let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
            action.sa_sigaction = handler as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
            // SAFETY: the handler has this signature.
            let set = unsafe { libc::sigaction(signal, &action, std::ptr::null_mut()) };
            assert_eq!(set, 0);
        }
        Self(guard)
    }

    /// The base of FS and of GS.
    pub fn thread_bases(&self) -> [u64; 2] {
        const ARCH_GET_FS: libc::c_int = 0x1003;
        const ARCH_GET_GS: libc::c_int = 0x1004;
        [ARCH_GET_FS, ARCH_GET_GS].map(|which| {
            let mut base = 0_u64;
            // SAFETY: writes the base to the variable.
            unsafe { libc::syscall(libc::SYS_arch_prctl, which, &raw mut base) };
            base
        })
    }

    /// Lets the CPU carry out the instruction `code` once on `registers`, whose RIP is
    /// [`CODE`], and on `data`, which lies at [`DATA`].
    pub fn step(&mut self, code: &[u8], registers: &mut Registers, data: &mut [u8; PAGE]) -> Ended {
        // SAFETY: mapped by `new`, and nobody else's.
        let place = unsafe { std::slice::from_raw_parts_mut(CODE as *mut u8, 16) };
        place[..code.len()].copy_from_slice(code);
        place[code.len()..].fill(0xcc);
        // SAFETY: as above.
        let operands = unsafe { &mut *(DATA as *mut [u8; PAGE]) };
        *operands = *data;
        // SAFETY: the handler looks only at INT3.
        let slot = unsafe { &mut *SLOT.0.get() };
        slot.step = Some(*registers);
        // SAFETY: the handler brings all registers back as they are here.
        unsafe { std::arch::asm!("int3") };
        // SAFETY: the handler has ended.
        let slot = unsafe { &mut *SLOT.0.get() };
        *registers = slot.step.take().unwrap();
        *data = *operands;
        slot.ended
    }
}

extern "C" fn handler(signal: i32, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel's own, as SA_SIGINFO promises.
    let context = unsafe { &mut *context.cast::<libc::ucontext_t>() };
    let current = &mut context.uc_mcontext.gregs;
    // SAFETY: `step` waits.
    let slot = unsafe { &mut *SLOT.0.get() };
    let Some(step) = &mut slot.step else {
        // Not ours: a bug of the test's.
        // SAFETY: ends the process.
        unsafe { libc::abort() };
    };
    let place = |register: libc::c_int| register as usize;
    match slot.of_main.take() {
        None => {
            slot.of_main = Some(*current);
            for (register, value) in GPR.iter().zip(step.gpr) {
                current[place(*register)] = value as i64;
            }
            current[place(libc::REG_RIP)] = step.rip as i64;
            current[place(libc::REG_EFL)] = (step.rflags | TRAP_FLAG) as i64;
        }
        Some(of_main) => {
            for (register, value) in GPR.iter().zip(&mut step.gpr) {
                *value = current[place(*register)] as u64;
            }
            step.rip = current[place(libc::REG_RIP)] as u64;
            step.rflags = current[place(libc::REG_EFL)] as u64 & !TRAP_FLAG;
            slot.ended = match signal {
                libc::SIGTRAP => Ended::Done,
                other => Ended::Signal(other),
            };
            *current = of_main;
        }
    }
}
