//! The memory between the components: what `system.xml` gives to protection domains as
//! memory regions, here as statics in one address space.
//!
//! Used once by `component_host`. The invariant of the regions, that each is written by one
//! component only, is kept by the types that the components wrap them in; nothing but that
//! keeps it. On seL4 the page tables do.

use shared_ring::{ConsumerPage, RingMemory};
use trace_records::{ACCESS_SLOTS, CONSOLE_SLOTS, LOG_SLOTS, StatePage, TRACE_SLOTS};
use vm_components::{ConsolePort, TracePort, VmmPorts};

static ACCESS: RingMemory<ACCESS_SLOTS> = RingMemory::new();
static ACCESS_READER: ConsumerPage = ConsumerPage::new();
static STATE: StatePage = StatePage::new();
static LOG: RingMemory<LOG_SLOTS> = RingMemory::new();
static LOG_READER: ConsumerPage = ConsumerPage::new();
static TRACE: RingMemory<TRACE_SLOTS> = RingMemory::new();
static CONSOLE: RingMemory<CONSOLE_SLOTS> = RingMemory::new();
static CONSOLE_READER: ConsumerPage = ConsumerPage::new();

/// What the VMM gets.
pub const VMM: VmmPorts = VmmPorts {
    access: &ACCESS,
    access_reader: &ACCESS_READER,
    state: &STATE,
    console: &CONSOLE,
    console_reader: &CONSOLE_READER,
};

/// What the trace component gets.
pub const TRACE_PORT: TracePort = TracePort {
    access: &ACCESS,
    access_reader: &ACCESS_READER,
    state: &STATE,
    log: &LOG,
    log_reader: &LOG_READER,
    trace: &TRACE,
};

/// What the console gets.
pub const CONSOLE_PORT: ConsolePort = ConsolePort {
    log: &LOG,
    log_reader: &LOG_READER,
    text: &CONSOLE,
    text_reader: &CONSOLE_READER,
};
