//! The memory between the components: what `system.xml` gives to protection domains as
//! memory regions, here as statics in one address space, a set for each VM.
//!
//! Used once by `component_host`. The invariant of the regions, that each is written by one
//! component only, is kept by the types that the components wrap them in; nothing but that
//! keeps it. On seL4 the page tables do.

use crate::arch::InstructionSet;
use hermit_sync::ExclusiveCell;
use shared_ring::{ConsumerPage, InputMemory, InputReader, RingMemory};
use trace_records::{ACCESS_SLOTS, CONSOLE_SLOTS, LOG_SLOTS, StatePage, TRACE_SLOTS};
use vm_components::{ConsolePort, KeptConsole, KeptTrace, KeptVmm, MAX_VMS, TracePort, VmmPorts};

/// All that connects one VM with the components.
struct Regions {
    access: RingMemory<ACCESS_SLOTS>,
    access_reader: ConsumerPage,
    state: StatePage,
    log: RingMemory<LOG_SLOTS>,
    log_reader: ConsumerPage,
    trace: RingMemory<TRACE_SLOTS>,
    console: RingMemory<CONSOLE_SLOTS>,
    console_reader: ConsumerPage,
    input: InputMemory,
    input_reader: InputReader,
}

static REGIONS: [Regions; MAX_VMS] = [const {
    Regions {
        access: RingMemory::new(),
        access_reader: ConsumerPage::new(),
        state: StatePage::new(),
        log: RingMemory::new(),
        log_reader: ConsumerPage::new(),
        trace: RingMemory::new(),
        console: RingMemory::new(),
        console_reader: ConsumerPage::new(),
        input: InputMemory::new(),
        input_reader: InputReader::new(),
    }
}; MAX_VMS];

/// What the trace component would leave to the next; here none comes back.
static KEPT_TRACE: ExclusiveCell<KeptTrace> = ExclusiveCell::new(KeptTrace::new());

/// What the trace component keeps. Given once.
///
/// # Panics
///
/// If it is asked for again.
pub fn kept_trace() -> &'static mut KeptTrace {
    let Some(kept) = KEPT_TRACE.take() else {
        unreachable!("there is one trace component");
    };
    kept
}

/// What the console would leave to the next; here none comes back.
static KEPT_CONSOLE: ExclusiveCell<KeptConsole> = ExclusiveCell::new(KeptConsole::new());

/// What the console keeps. Given once.
///
/// # Panics
///
/// If it is asked for again.
pub fn kept_console() -> &'static mut KeptConsole {
    let Some(kept) = KEPT_CONSOLE.take() else {
        unreachable!("there is one console");
    };
    kept
}

/// What a VMM would leave to the next; here none comes back.
static KEPT_VMMS: ExclusiveCell<[KeptVmm<InstructionSet>; MAX_VMS]> =
    ExclusiveCell::new([const { KeptVmm::new() }; MAX_VMS]);

/// What the VMMs keep, by the VM's number. Given once.
pub fn kept_vmms() -> impl Iterator<Item = &'static mut KeptVmm<InstructionSet>> {
    KEPT_VMMS.take().into_iter().flatten()
}

fn of(vm: u8) -> &'static Regions {
    &REGIONS[usize::from(vm)]
}

/// What the VMM of this VM gets.
pub fn vmm(vm: u8) -> VmmPorts {
    let regions = of(vm);
    VmmPorts {
        access: &regions.access,
        access_reader: &regions.access_reader,
        state: &regions.state,
        console: &regions.console,
        console_reader: &regions.console_reader,
        input: &regions.input,
        input_reader: &regions.input_reader,
    }
}

/// What the trace component gets for this VM.
pub fn trace(vm: u8) -> TracePort {
    let regions = of(vm);
    TracePort {
        access: &regions.access,
        access_reader: &regions.access_reader,
        state: &regions.state,
        log: &regions.log,
        log_reader: &regions.log_reader,
        trace: &regions.trace,
    }
}

/// What the console gets for this VM.
pub fn console(vm: u8) -> ConsolePort {
    let regions = of(vm);
    ConsolePort {
        log: &regions.log,
        log_reader: &regions.log_reader,
        text: &regions.console,
        text_reader: &regions.console_reader,
        input: &regions.input,
        input_reader: &regions.input_reader,
    }
}
