//! Fuzz targets: one for each place that takes bytes from a guest, a peer or a user.
//!
//! A target takes any bytes, feeds them to the code as the hostile side would, and panics if
//! a property does not hold. Called by libFuzzer (`src/main.rs`, `make fuzz`), which looks for
//! inputs that reach new code, and by `tests/corpus.rs` (`make test`), which runs what is kept
//! in `corpus/` and a fixed number of its mutations. The folder has the name of its target;
//! what a target found stays in it as an input.
//!
//! | target | bytes from | properties besides "does not panic" |
//! |---|---|---|
//! | `syndrome` | the guest, by the CPU | a described access is what the Arm ARM says |
//! | `instruction` | the guest's code | what can be carried out is predictable |
//! | `stage1` | the guest's page tables | at most four reads; an address, or a fault that the CPU has |
//! | `vmm`, `x86-vmm` | the guest, and a hostile trace component and console | an exit is answered within three wake-ups; a VM that stops is told |
//! | `x86-instruction` | the guest's code, in any mode | only what is in the bytes counts; operand, result and flags are what the APM says |
//! | `x86-paging` | the guest's page tables and code | the walk is that of the APM; what is recalled is what is found anew |
//! | `load` | the user: the guest's ELF file, and a file at an address | what is laid out the VMM starts, and it is in RAM; else diagnostics that can be printed |
//! | `kernel-image` | the user: a Linux `Image` | what is laid out can be read, and its device tree lies in one block of 2 MiB; else diagnostics that can be printed |
//! | `device-tree` | the user: a device tree | it is one again, and stays as it is when it is changed once more; else diagnostics that can be printed |
//! | `ring` | both peers of a ring, memory changing at any load | order, sums, bounds; a still ring lets its reader sleep |
//! | `trace` | a hostile VMM, by its access ring | it ends; no other VM's state, log or trace changes; one end, if any |
//! | `console` | a hostile VMM and trace component, by their rings | it ends; each line is printable and names its VM; ends and sums come once |
//! | `terminal` | a guest and whoever types, by the serial line | whole characters and permitted sequences alone |
//! | `dump` | whoever has a memory dump | only positions that the header allows; the sums agree |
//! | `config` | the user: `vm.conf` | a blob that can be read, or diagnostics that can be printed |
//! | `symbol-list` | the user: a kernel's `System.map` or `/proc/kallsyms` | a name is that of the closest symbol of code, found line by line; else an error that can be printed |
//! | `blob` | the loader: the compiled configuration | the rules of its page hold; encoding it again gives the same; the VM starts, or ends and is told |

mod peer_memory;
mod script;
mod targets {
    pub(crate) mod a64_cpu;
    pub(crate) mod blob;
    pub(crate) mod config;
    pub(crate) mod console;
    pub(crate) mod device_tree;
    pub(crate) mod dump;
    pub(crate) mod hostile_vm;
    pub(crate) mod instruction;
    pub(crate) mod kernel_image;
    pub(crate) mod load;
    pub(crate) mod ring;
    pub(crate) mod stage1;
    pub(crate) mod symbol_list;
    pub(crate) mod syndrome;
    pub(crate) mod terminal;
    pub(crate) mod trace;
    pub(crate) mod vm;
    pub(crate) mod vmm;
    pub(crate) mod x86_cpu;
    pub(crate) mod x86_instruction;
    pub(crate) mod x86_paging;
    pub(crate) mod x86_registers;
    pub(crate) mod x86_vmm;
}

/// Something to feed bytes to.
#[derive(Clone, Copy)]
pub struct Target {
    /// Its name, and its folder's in `corpus/`.
    pub name: &'static str,
    /// Takes one input. Not to be called twice at the same time: it may use static memory.
    pub run: fn(&[u8]),
}

/// All there are.
pub const TARGETS: [Target; 18] = {
    use targets::{
        blob, config, console, device_tree, dump, instruction, kernel_image, load, ring, stage1,
        symbol_list, syndrome, terminal, trace, vmm, x86_instruction, x86_paging, x86_vmm,
    };
    const fn target(name: &'static str, run: fn(&[u8])) -> Target {
        Target { name, run }
    }
    [
        target("blob", blob::run),
        target("config", config::run),
        target("console", console::run),
        target("device-tree", device_tree::run),
        target("dump", dump::run),
        target("instruction", instruction::run),
        target("kernel-image", kernel_image::run),
        target("load", load::run),
        target("ring", ring::run),
        target("stage1", stage1::run),
        target("symbol-list", symbol_list::run),
        target("syndrome", syndrome::run),
        target("terminal", terminal::run),
        target("trace", trace::run),
        target("vmm", vmm::run),
        target("x86-instruction", x86_instruction::run),
        target("x86-paging", x86_paging::run),
        target("x86-vmm", x86_vmm::run),
    ]
};
