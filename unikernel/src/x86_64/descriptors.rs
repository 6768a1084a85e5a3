//! The host's segments, its task state, and its interrupt descriptor table.
//!
//! Loaded once by `boot`. The invariant: every exception of the host ends in `fatal`, on a
//! stack of its own, and the only interrupt that has an entry is the wake-up's (and the one
//! that an APIC sends when an interrupt vanished).
//!
//! AMD APM volume 2, 4.8 (descriptors), 8.9 (long-mode interrupts), 12.2.5 (task state).

use super::assembly::exceptions;
use super::interrupts::{SPURIOUS_VECTOR, WAKEUP_VECTOR};
use hermit_sync::ExclusiveCell;
use x86_64::VirtAddr;
use x86_64::instructions::segmentation::{CS, DS, ES, SS, Segment};
use x86_64::instructions::tables::load_tss;
use x86_64::structures::gdt::{Descriptor, GlobalDescriptorTable};
use x86_64::structures::idt::{Entry, HandlerFunc, InterruptDescriptorTable};
use x86_64::structures::tss::TaskStateSegment;

/// Index of the emergency stack in the task state's interrupt stack table.
const EMERGENCY_STACK: u16 = 0;

struct Tables {
    task: TaskStateSegment,
    segments: GlobalDescriptorTable,
    interrupts: InterruptDescriptorTable,
}

static TABLES: ExclusiveCell<Tables> = ExclusiveCell::new(Tables {
    task: TaskStateSegment::new(),
    segments: GlobalDescriptorTable::new(),
    interrupts: InterruptDescriptorTable::new(),
});

unsafe extern "C" {
    static __emergency_stack_top: u8;
}

/// Loads all of them; interrupts must be off. Does nothing the second time.
pub fn load() {
    let Some(Tables {
        task,
        segments,
        interrupts,
    }) = TABLES.take()
    else {
        return;
    };
    let stack = VirtAddr::from_ptr(&raw const __emergency_stack_top);
    task.interrupt_stack_table[usize::from(EMERGENCY_STACK)] = stack;
    let code = segments.append(Descriptor::kernel_code_segment());
    let data = segments.append(Descriptor::kernel_data_segment());
    let task = segments.append(Descriptor::tss_segment(task));
    segments.load();
    // SAFETY: a 64-bit code segment of the table just loaded.
    unsafe { CS::set_reg(code) };
    // SAFETY: a writable data segment of it.
    unsafe { SS::set_reg(data) };
    // SAFETY: as before.
    unsafe { DS::set_reg(data) };
    // SAFETY: as before.
    unsafe { ES::set_reg(data) };
    // SAFETY: an available task state segment of it.
    unsafe { load_tss(task) };
    set_entries(interrupts);
    interrupts.load();
}

fn set_entries(table: &mut InterruptDescriptorTable) {
    // The crate's table has holes for the vectors that are reserved; as a slice it has none.
    // SAFETY: the table is 256 descriptors of one layout, of which the type of the handler
    // is a marker only.
    let entries: &mut [Entry<HandlerFunc>; 256] =
        unsafe { &mut *core::ptr::from_mut(table).cast() };
    let exceptions = entries.iter_mut().take(32).enumerate();
    for (vector, entry) in exceptions {
        let address = VirtAddr::new(exceptions::exception_entry(vector) as u64);
        // SAFETY: the entry takes what the CPU pushes for this vector, and does not return.
        let options = unsafe { entry.set_handler_addr(address) };
        // SAFETY: `load` put a stack there.
        unsafe { options.set_stack_index(EMERGENCY_STACK) };
    }
    let wakeup = VirtAddr::new(exceptions::wakeup_interrupt_entry() as u64);
    // SAFETY: the entry ends with IRET and changes no register.
    unsafe { entries[usize::from(WAKEUP_VECTOR)].set_handler_addr(wakeup) };
    let spurious = VirtAddr::new(exceptions::spurious_interrupt_entry() as u64);
    // SAFETY: as before.
    unsafe { entries[usize::from(SPURIOUS_VECTOR)].set_handler_addr(spurious) };
}
