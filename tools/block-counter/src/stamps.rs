//! How many instructions the machine has executed, in QEMU's log, wherever an exception may begin or end.
//!
//! With `-d int,plugin` the log says of each exception where it comes from and, in the line before or after, how
//! many instructions had been executed: what lies between is what answering took. `make exits` reads it
//! (`tools/runner/src/exits`).
//!
//! ```text
//!   executed 1234      before the first instruction of a block where a vector for exceptions of a lower
//!                      level may be, and before each ERET
//! ```
//!
//! Invariant: no exception to EL2 begins or returns without a line; there are more lines than that, for what only
//! looks like a vector, and for those of EL1.
//!
//! Specification: Arm ARM D1.3.1, "Exception vectors" (offsets 0x400 to 0x780 of 2 KiB are for lower levels), C6.2,
//! ERET.

use crate::{
    ADD_U64, Block, qemu_plugin_insn_data, qemu_plugin_insn_size, qemu_plugin_outs,
    qemu_plugin_register_vcpu_insn_exec_cb, qemu_plugin_register_vcpu_insn_exec_inline,
    qemu_plugin_tb_get_insn, qemu_plugin_tb_n_insns, qemu_plugin_tb_vaddr,
};
use std::ffi::{CString, c_uint, c_void};
use std::sync::atomic::{AtomicU64, Ordering};

/// `QEMU_PLUGIN_CB_NO_REGS`.
const NO_REGISTERS: c_uint = 0;
/// ERET, as it stands in memory.
const ERET: [u8; 4] = 0xd69f_03e0_u32.to_le_bytes();
/// Bytes of a table of vectors, and of each of the sixteen.
const VECTORS: u64 = 0x800;
const VECTOR: u64 = 0x80;
/// Where those for exceptions of a lower level begin.
const OF_LOWER_LEVELS: u64 = 0x400;

/// What QEMU's own code adds to.
static EXECUTED: AtomicU64 = AtomicU64::new(0);

/// Called by QEMU for each block that it has translated.
pub(crate) extern "C" fn translated(_id: u64, block: *mut Block) {
    // SAFETY: the block lives as long as this call.
    let address = unsafe { qemu_plugin_tb_vaddr(block) };
    // SAFETY: as above.
    let instructions = unsafe { qemu_plugin_tb_n_insns(block) };
    for index in 0..instructions {
        // SAFETY: as above, and it has so many instructions.
        let instruction = unsafe { qemu_plugin_tb_get_insn(block, index) };
        // SAFETY: as above.
        let size = unsafe { qemu_plugin_insn_size(instruction) };
        // SAFETY: as above.
        let data = unsafe { qemu_plugin_insn_data(instruction) };
        // SAFETY: an instruction has as many bytes as QEMU says.
        let code = unsafe { core::slice::from_raw_parts(data.cast::<u8>(), size) };
        if (index == 0 && may_be_vector(address)) || code == ERET {
            let none = core::ptr::null_mut();
            // SAFETY: what is called is there as long as QEMU.
            unsafe {
                qemu_plugin_register_vcpu_insn_exec_cb(instruction, tell, NO_REGISTERS, none);
            }
        }
        let counter = EXECUTED.as_ptr().cast::<c_void>();
        // SAFETY: the counter lives as long as QEMU.
        unsafe { qemu_plugin_register_vcpu_insn_exec_inline(instruction, ADD_U64, counter, 1) };
    }
}

fn may_be_vector(address: u64) -> bool {
    address % VECTORS >= OF_LOWER_LEVELS && address.is_multiple_of(VECTOR)
}

extern "C" fn tell(_cpu: c_uint, _data: *mut c_void) {
    let line = format!("executed {}\n", EXECUTED.load(Ordering::Relaxed));
    if let Ok(line) = CString::new(line) {
        // SAFETY: a string that lives as long as the call, which copies it.
        unsafe { qemu_plugin_outs(line.as_ptr()) };
    }
}
