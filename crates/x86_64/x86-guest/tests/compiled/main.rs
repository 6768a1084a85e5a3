//! What a compiler makes of expressions on volatile memory is carried out: a list of them, compiled
//! by the rustc that is there, at every level of optimization.
//!
//! ```text
//!   expressions.rs ─ rustc -C opt-level=0..3,s,z ─► a library ─┬─ on RAM ───────────────► result
//!                                                              └─ on a page that nobody
//!                                                                 may touch: SIGSEGV, decode,
//!                                                                 execute, go on ─────► the same?
//! ```
//!
//! So this is a VMM in small, without a virtual machine. Invariant: the handler looks only at the
//! signal's context and its own page; what is not decoded ends the test with the bytes.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

#[path = "../signal_context/mod.rs"]
mod signal_context;

use signal_context::GPR;
use std::cell::UnsafeCell;
use std::ffi::{CString, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use x86_guest::{Code, Mode, Registers, Segment, Steps, decode};

const LEVELS: [&str; 6] = ["0", "1", "2", "3", "s", "z"];
const TYPES: [&str; 6] = ["u8", "u16", "u32", "i8", "i16", "i32"];

const PAGE: usize = 4096;
/// The page that nobody may touch.
const DEVICE: usize = 0x2100_0000;
/// Where in it the word is.
const WORD: usize = 0x100;

/// As in `expressions.rs`.
#[repr(C)]
struct Expression {
    name: *const u8,
    name_len: usize,
    run: unsafe extern "C" fn(*mut u8, u64, u64) -> u64,
}

/// What the page would hold, and how often it was touched.
struct Device(UnsafeCell<State>);

struct State {
    bytes: [u8; PAGE],
    accesses: u32,
    /// What was not carried out.
    refused: Option<[u8; 16]>,
}

// SAFETY: there is one test in this program, and the handler runs on its thread.
unsafe impl Sync for Device {}

static STATE: Device = Device(UnsafeCell::new(State {
    bytes: [0; PAGE],
    accesses: 0,
    refused: None,
}));

struct View<'a>(&'a [libc::greg_t; 23]);

impl Registers for View<'_> {
    fn gpr(&self, number: u8) -> u64 {
        self.0[GPR[usize::from(number)] as usize] as u64
    }

    fn rflags(&self) -> u64 {
        self.0[libc::REG_EFL as usize] as u64
    }

    fn segment_base(&self, _: Segment) -> u64 {
        0
    }
}

extern "C" fn handler(_: i32, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel's own, as SA_SIGINFO promises.
    let context = unsafe { &mut *context.cast::<libc::ucontext_t>() };
    let gregs = &mut context.uc_mcontext.gregs;
    // SAFETY: the thread waits.
    let state = unsafe { &mut *STATE.0.get() };
    let rip = gregs[libc::REG_RIP as usize] as u64;
    // SAFETY: where the CPU was; a library's last page has room behind its code.
    let bytes = unsafe { (rip as *const [u8; 16]).read_unaligned() };
    if !carry_out(gregs, rip, &bytes, state) {
        state.refused = Some(bytes);
        // To the caller of the expression, with its return address on the stack, cannot be gone:
        // the frame is unknown. So the page becomes RAM, and the test ends after this expression.
        // SAFETY: the page is this program's.
        unsafe { libc::mprotect(DEVICE as *mut _, PAGE, libc::PROT_READ | libc::PROT_WRITE) };
    }
}

/// Carries out the instruction at `rip`; false if it is none that is.
fn carry_out(gregs: &mut [libc::greg_t; 23], rip: u64, bytes: &[u8], state: &mut State) -> bool {
    let Some(instruction) = decode(&Code::new(bytes), Mode::Long) else {
        return false;
    };
    let view = View(gregs);
    let next = rip + u64::from(instruction.len);
    let first = (instruction.linear(&view, next) as usize).wrapping_sub(DEVICE);
    let width = instruction.width.bytes() as usize;
    let Some(place) = state.bytes.get_mut(first..first.wrapping_add(width)) else {
        return false;
    };
    if instruction.written.is_some() || instruction.steps != Steps::None {
        return false;
    }
    let mut read = [0; 8];
    read[..width].copy_from_slice(place);
    let effect = instruction.execute(u64::from_le_bytes(read), &view);
    if let Some(value) = effect.write {
        place.copy_from_slice(&value.to_le_bytes()[..width]);
    }
    for (number, value) in effect.register.into_iter().chain(effect.second_register) {
        gregs[GPR[usize::from(number)] as usize] = value as i64;
    }
    if let Some(rflags) = effect.rflags {
        gregs[libc::REG_EFL as usize] = rflags as i64;
    }
    gregs[libc::REG_RIP as usize] = next as i64;
    state.accesses += 1;
    true
}

fn take_the_device() {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE;
    // SAFETY: a fresh page where nothing is, or an error.
    let at = unsafe { libc::mmap(DEVICE as *mut _, PAGE, libc::PROT_NONE, flags, -1, 0) };
    assert_eq!(at as usize, DEVICE, "{}", std::io::Error::last_os_error());
    // SAFETY: all zero is a valid action.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler as *const () as usize;
    action.sa_flags = libc::SA_SIGINFO;
    // SAFETY: the handler has this signature.
    let set = unsafe { libc::sigaction(libc::SIGSEGV, &action, std::ptr::null_mut()) };
    assert_eq!(set, 0);
}

/// The list, compiled.
fn library(level: &str, folder: &Path) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compiled/expressions.rs");
    let library = folder.join(format!("expressions-{level}.so"));
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let done = Command::new(rustc)
        .args([
            "--edition",
            "2024",
            "--crate-type",
            "cdylib",
            "-A",
            "warnings",
        ])
        .args(["-C", "panic=abort", "-C", "debug-assertions=off"])
        .args(["-C", &format!("opt-level={level}")])
        .args([OsStr::new("-o"), library.as_os_str(), source.as_os_str()])
        .env_remove("RUSTFLAGS")
        .status();
    assert!(
        done.expect("there is a rustc").success(),
        "rustc, opt-level={level}"
    );
    library
}

/// All expressions of a library, which is never unloaded.
fn expressions(library: &Path) -> Vec<(&'static str, &'static Expression)> {
    let name = CString::new(library.as_os_str().as_bytes()).unwrap();
    // SAFETY: a library without initializers.
    let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW) };
    assert!(!handle.is_null(), "{}", library.display());
    let of_type = |name: &str| {
        let symbol = CString::new(format!("expressions_{name}")).unwrap();
        // SAFETY: of a library that is there.
        let list = unsafe { libc::dlsym(handle, symbol.as_ptr()) };
        assert!(!list.is_null(), "{symbol:?}");
        type List = unsafe extern "C" fn(*mut usize) -> *const Expression;
        // SAFETY: as `expressions.rs` declares it.
        let list = unsafe { std::mem::transmute::<*mut libc::c_void, List>(list) };
        let mut len = 0;
        // SAFETY: as above.
        let first = unsafe { list(&raw mut len) };
        // SAFETY: a static of the library.
        unsafe { std::slice::from_raw_parts(first, len) }
    };
    let all = TYPES.iter().flat_map(|name| of_type(name));
    all.map(|expression| {
        // SAFETY: a constant of the library.
        let name = unsafe { std::slice::from_raw_parts(expression.name, expression.name_len) };
        (std::str::from_utf8(name).unwrap(), expression)
    })
    .collect()
}

#[test]
fn what_rustc_makes_of_volatile_expressions_is_carried_out_at_every_level() {
    let folder = std::env::temp_dir().join(format!("x86-guest-compiled-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    take_the_device();
    for level in LEVELS {
        let all = expressions(&library(level, &folder));
        assert!(all.len() > 400, "{}", all.len());
        for (name, expression) in all {
            for (word, x, y) in [
                (0x8765_4321_u32, 0x0000_0003_u64, 5_u64),
                (0, 0x55, 0x55),
                (0xffff_ffff, 0xffff_ffff, 1),
                (0x0000_8055, 0x7f, 0xff80),
                (0x1234_5680, 0x8000_0000, 0x7fff_ffff),
            ] {
                let what = format!("opt-level={level} {name}, {word:#x} {x:#x} {y:#x}");
                let mut ram = word;
                // SAFETY: a word of memory.
                let wanted = unsafe { (expression.run)((&raw mut ram).cast(), x, y) };
                // SAFETY: the handler does not run.
                let state = unsafe { &mut *STATE.0.get() };
                state.accesses = 0;
                state.bytes[WORD..WORD + 4].copy_from_slice(&word.to_le_bytes());
                // SAFETY: the handler carries out what it does there.
                let got = unsafe { (expression.run)((DEVICE + WORD) as *mut u8, x, y) };
                // SAFETY: the handler does not run.
                let state = unsafe { &mut *STATE.0.get() };
                assert_eq!(
                    state.refused, None,
                    "{what}: not carried out: {:02x?}",
                    state.refused
                );
                let left = u32::from_le_bytes(*state.bytes[WORD..].first_chunk().unwrap());
                assert_eq!((got, left), (wanted, ram), "{what}");
                // rustc 1.95 leaves this read out where nobody wants it, volatile or not.
                let may_be_left_out = name.ends_with("read, if x < y");
                assert!(state.accesses > 0 || may_be_left_out, "{what}");
            }
        }
    }
    std::fs::remove_dir_all(&folder).unwrap();
}
