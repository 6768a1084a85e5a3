//! `pd-monitor`: the parent of the others, which says so when one of them dies.
//!
//! The kernel delivers a child's fault here. Runs only then, and once at the start, before all
//! others, since nobody has a higher priority: on x86 it measures the counter for them. The line
//! goes to `pd-console` through a ring of their own, or, if the console is the dead one, to the
//! UART.
//!
//! Invariant: the UART is touched only after the console's fault, when it can do nothing any
//! more; a child's last words are text of at most its crash page.
#![no_std]
#![no_main]

use core::fmt::{self, Write};
use pd_runtime::{CrashPage, Serial, clock, region};
use sel4::sys::seL4_Fault_tag;
use sel4_microkit::{Channel, Child, Handler, Infallible, MessageInfo, get_mr, protection_domain};
use shared_ring::{BoundedProducer, RingKind};
use trace_records::{CONSOLE_SLOTS, ConsoleRecord, TEXT_BYTES, Text};
use vm_components::Verdict;

/// To `pd-console`.
const CONSOLE: Channel = Channel::new(0);

/// The children, by their numbers in `system.xml`.
const CHILDREN: [&str; 7] = [
    "pd-vmm",
    "pd-trace",
    "pd-console",
    "pd-clock",
    "pd-vmm-1",
    "pd-vmm-2",
    "pd-vmm-3",
];
const CONSOLE_CHILD: usize = 2;

#[protection_domain]
fn init() -> Monitor {
    #[cfg(target_arch = "x86_64")]
    pd_runtime::calibrate();
    // No VM has this number.
    let identity = clock().identity(RingKind::Console, 0xff);
    Monitor {
        ring: BoundedProducer::new(
            region!(monitor_ring: _),
            region!(monitor_reader: _),
            identity,
        ),
        console_is_dead: false,
        serial: None,
    }
}

struct Monitor {
    ring: BoundedProducer<CONSOLE_SLOTS>,
    console_is_dead: bool,
    /// The UART, once the monitor has had to print by itself.
    serial: Option<Serial>,
}

impl Handler for Monitor {
    type Error = Infallible;

    fn fault(
        &mut self,
        child: Child,
        message: MessageInfo,
    ) -> Result<Option<MessageInfo>, Infallible> {
        let crash: &CrashPage = match child.index() {
            0 => region!(crash_vmm: CrashPage),
            1 => region!(crash_trace: CrashPage),
            2 => region!(crash_console: CrashPage),
            3 => region!(crash_clock: CrashPage),
            4 => region!(crash_vmm_1: CrashPage),
            5 => region!(crash_vmm_2: CrashPage),
            _ => region!(crash_vmm_3: CrashPage),
        };
        let mut words = [0; CrashPage::TEXT_BYTES];
        let words = core::str::from_utf8(crash.read(&mut words)).unwrap_or("?");
        let name = CHILDREN.get(child.index()).copied().unwrap_or("?");
        self.console_is_dead |= child.index() == CONSOLE_CHILD;

        let mut line = heapless::String::<400>::new();
        let fault = Described::new(&message);
        let separator = if words.is_empty() { "" } else { "; " };
        // The longest message fits.
        let _ = writeln!(line, "panic in {name}: {words}{separator}{fault}");
        self.report(line.as_bytes());
        // Suspended rather than left with an unanswered fault, of which a debug kernel
        // complains at every switch.
        child.tcb().tcb_suspend().ok();
        Ok(None)
    }
}

impl Monitor {
    fn report(&mut self, line: &[u8]) {
        if self.console_is_dead {
            return self.print(line);
        }
        for chunk in line.chunks(TEXT_BYTES) {
            let record = ConsoleRecord::Text(Text::new(0, chunk));
            // A console that does not read is as good as dead.
            if self.ring.push(&record.to_words()).is_err() {
                return self.print(line);
            }
        }
        CONSOLE.notify();
    }

    /// Prints to the UART, which the console uses no more; on x86 it is another than the
    /// console's.
    fn print(&mut self, line: &[u8]) {
        // SAFETY: the UART is mapped uncached, or is the monitor's own; the console, its only
        // other user, does not run any more.
        let open = || unsafe { Serial::of_board() };
        let serial = self.serial.get_or_insert_with(open);
        serial.write(line);
        serial.write(Verdict::Failed.line().as_bytes());
    }
}

/// What a fault message says: why, the address, the program counter (seL4 reference manual,
/// "Faults"). Read raw, because a message that nobody expects must not stop the monitor.
struct Described {
    label: u64,
    words: [u64; 4],
}

impl Described {
    fn new(message: &MessageInfo) -> Self {
        Self {
            label: message.label(),
            words: core::array::from_fn(get_mr),
        }
    }
}

impl fmt::Display for Described {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [pc, address, fetch, syndrome] = self.words;
        match self.label {
            seL4_Fault_tag::seL4_Fault_VMFault => {
                let what = if fetch == 0 {
                    "access to"
                } else {
                    "execution of"
                };
                write!(
                    f,
                    "{what} address {address:#x} at pc {pc:#x}, fsr {syndrome:#x}"
                )
            }
            seL4_Fault_tag::seL4_Fault_CapFault => {
                write!(f, "use of invalid capability {address:#x} at pc {pc:#x}")
            }
            seL4_Fault_tag::seL4_Fault_UserException => {
                write!(f, "undefined instruction or exception at pc {pc:#x}")
            }
            // An exception that the kernel has no other name for, by its syndrome: what a
            // panic's abort raises. On x86 that is an undefined instruction like any other.
            #[cfg(target_arch = "aarch64")]
            seL4_Fault_tag::seL4_Fault_VCPUFault => {
                write!(f, "exception class {:#x}", pc >> 26 & 0x3f)
            }
            label => write!(f, "fault {label} at pc {pc:#x}"),
        }
    }
}
