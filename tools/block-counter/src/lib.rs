//! A plugin of QEMU's translator that counts how many instructions of each block are executed.
//!
//! Loaded by QEMU (`-plugin libblock_counter.so,counts=FILE`) for `make bench`, which makes shares of what
//! it counts (`tools/runner/src/bench/shares.rs`). FILE grows by an entry for each block that is translated, and
//! is right at any time: QEMU need not end well. With `stamps=on` instead, for `make exits`, it counts all
//! instructions together, and tells them in QEMU's log (`stamps`).
//!
//! ```text
//!   entry, 64 bytes, little-endian
//!   0   u64  virtual address of the first instruction
//!   8   u64  how many of its instructions were executed: a block may be left in its middle
//!   16  u32  instructions in it
//!   20  u32  how many of the bytes that follow count
//!   24  [u8; 40]  its first instructions: several programs have code at the same address
//! ```
//!
//! Invariant: an entry's address never changes once QEMU has it: the file has its full length (of which only
//! what is written takes room) before QEMU translates anything, and the map lives as long as QEMU does.
//!
//! Specification: QEMU, "QEMU TCG Plugins" (docs/devel/tcg-plugins.rst), version 1 of the interface, which is that of
//! QEMU 6.0 to 8.1.

mod stamps;

use memmap2::MmapMut;
use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::fs::OpenOptions;
use std::sync::Mutex;

/// Bytes of an entry.
const ENTRY: usize = 64;
/// Bytes of instructions in an entry.
const CODE: usize = 40;
/// Entries that there is room for. A run translates some ten thousand blocks, a few of them often.
const ENTRIES: usize = 1 << 20;

/// The version of the interface that this is written for.
#[unsafe(no_mangle)]
#[allow(non_upper_case_globals)]
pub static qemu_plugin_version: c_int = 1;

/// `QEMU_PLUGIN_INLINE_ADD_U64`.
const ADD_U64: c_uint = 0;

#[repr(C)]
struct Block([u8; 0]);
#[repr(C)]
struct Instruction([u8; 0]);

unsafe extern "C" {
    fn qemu_plugin_register_vcpu_tb_trans_cb(id: u64, callback: extern "C" fn(u64, *mut Block));
    fn qemu_plugin_register_vcpu_insn_exec_inline(
        instruction: *mut Instruction,
        operation: c_uint,
        counter: *mut c_void,
        immediate: u64,
    );
    fn qemu_plugin_register_vcpu_insn_exec_cb(
        instruction: *mut Instruction,
        callback: extern "C" fn(c_uint, *mut c_void),
        flags: c_uint,
        data: *mut c_void,
    );
    fn qemu_plugin_outs(text: *const c_char);
    fn qemu_plugin_tb_n_insns(block: *const Block) -> usize;
    fn qemu_plugin_tb_vaddr(block: *const Block) -> u64;
    fn qemu_plugin_tb_get_insn(block: *const Block, index: usize) -> *mut Instruction;
    fn qemu_plugin_insn_data(instruction: *const Instruction) -> *const u8;
    fn qemu_plugin_insn_size(instruction: *const Instruction) -> usize;
}

/// The file, and how many entries it has.
static COUNTS: Mutex<Option<(MmapMut, usize)>> = Mutex::new(None);

/// Called by QEMU once, before the machine runs. Returns 0, or that it cannot go on.
#[unsafe(no_mangle)]
extern "C" fn qemu_plugin_install(
    id: u64,
    _info: *const c_void,
    argc: c_int,
    argv: *const *const c_char,
) -> c_int {
    let mut arguments = (0..usize::try_from(argc).unwrap_or(0)).filter_map(|index| {
        // SAFETY: QEMU passes `argc` pointers to strings, which live until this returns.
        let argument = unsafe { argv.add(index) };
        // SAFETY: as above.
        let argument = unsafe { argument.read() };
        // SAFETY: as above.
        let argument = unsafe { CStr::from_ptr(argument) };
        argument.to_str().ok()
    });
    let file = match arguments.next() {
        Some("stamps=on") => {
            // SAFETY: QEMU calls what is registered with a block that lives as long as the call.
            unsafe { qemu_plugin_register_vcpu_tb_trans_cb(id, stamps::translated) };
            return 0;
        }
        argument => argument.and_then(|argument| argument.strip_prefix("counts=")),
    };
    let Some(file) = file else {
        eprintln!("block-counter: neither counts=FILE nor stamps=on");
        return -1;
    };
    match open(file) {
        Ok(map) => *counts() = Some((map, 0)),
        Err(error) => {
            eprintln!("block-counter: {file}: {error}");
            return -1;
        }
    }
    // SAFETY: QEMU calls what is registered with a block that lives as long as the call.
    unsafe { qemu_plugin_register_vcpu_tb_trans_cb(id, translated) };
    0
}

fn open(file: &str) -> std::io::Result<MmapMut> {
    let mut options = OpenOptions::new();
    let file = options
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(file)?;
    file.set_len((ENTRIES * ENTRY) as u64)?;
    // SAFETY: the file is this run's alone; whoever reads it meanwhile may see counts that are a little old.
    unsafe { MmapMut::map_mut(&file) }
}

fn counts() -> std::sync::MutexGuard<'static, Option<(MmapMut, usize)>> {
    COUNTS
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Called by QEMU for each block that it has translated.
extern "C" fn translated(_id: u64, block: *mut Block) {
    let mut counts = counts();
    let Some((map, entries)) = counts.as_mut() else {
        return;
    };
    let Some(entry) = map.get_mut(*entries * ENTRY..(*entries + 1) * ENTRY) else {
        return;
    };
    *entries += 1;
    // SAFETY: the block lives as long as this call.
    let address = unsafe { qemu_plugin_tb_vaddr(block) };
    // SAFETY: as above.
    let instructions = unsafe { qemu_plugin_tb_n_insns(block) };
    let (head, code) = entry.split_at_mut(ENTRY - CODE);
    let len = copy_code(block, instructions, code);
    head[..8].copy_from_slice(&address.to_le_bytes());
    head[16..20].copy_from_slice(&(instructions as u32).to_le_bytes());
    head[20..24].copy_from_slice(&(len as u32).to_le_bytes());
    let counter = head[8..].as_mut_ptr().cast::<c_void>();
    for index in 0..instructions {
        // SAFETY: the block lives as long as this call, and has so many instructions.
        let instruction = unsafe { qemu_plugin_tb_get_insn(block, index) };
        // SAFETY: as above, and the counter, 8 bytes that are aligned, lives as long as QEMU.
        unsafe { qemu_plugin_register_vcpu_insn_exec_inline(instruction, ADD_U64, counter, 1) };
    }
}

/// Copies as many whole instructions as there is room for; returns how many bytes.
fn copy_code(block: *const Block, instructions: usize, code: &mut [u8]) -> usize {
    let mut len = 0;
    for index in 0..instructions {
        // SAFETY: the block lives, and has so many instructions.
        let instruction = unsafe { qemu_plugin_tb_get_insn(block, index) };
        // SAFETY: as above.
        let size = unsafe { qemu_plugin_insn_size(instruction) };
        let Some(place) = code.get_mut(len..len + size) else {
            break;
        };
        // SAFETY: as above.
        let data = unsafe { qemu_plugin_insn_data(instruction) };
        // SAFETY: an instruction has as many bytes as QEMU says.
        place.copy_from_slice(unsafe { core::slice::from_raw_parts(data, size) });
        len += size;
    }
    len
}
