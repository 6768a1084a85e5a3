//! QEMU's log of a run, read: each exit of the guest, and the instructions until the guest goes on.
//!
//! Called by `exits` when the run is over. QEMU writes with `-d int` where an exception comes from and goes to and where
//! it returns to; its interrupt controller and its UART (`-d trace:`) tell the number of an interrupt and what is
//! printed; a plugin of ours (`tools/block-counter`, `stamps`) how many instructions had been executed.
//!
//! ```text
//!   Taking exception 4 [Data Abort] on CPU 0         an exit: ...
//!   ...from EL1 to EL2                                  of the guest, for
//!   ...with ESR 0x24/0x93820006                         this reason,
//!   ...with FAR 0xffff80000800800c                      at this virtual address
//!   ...with ELR 0xffff8000086700a4
//!   ...to EL2 PC 0x40100c00 PSTATE 0x3c9
//!   executed 1234                                    from here ...
//!   executed 1301                                    ... to here something else than the guest runs
//!   Exception return from AArch64 EL2 to AArch64 EL1 PC 0xffff8000086700a8
//! ```
//!
//! On seL4 a protection domain runs at EL0, as the guest's programs do. Invariant: which of them it is, is known: EL1
//! is the guest's; EL0 is a domain's when the kernel returns to it, unless the guest was interrupted at just that
//! place of its own EL0. An exception that contradicts is an error: a domain has no EL1, and calls of a guest's programs
//! do not come to EL2.
//!
//! Specification: Arm ARM D24.2.40, ESR_EL2.

use std::fmt;

/// Why the guest was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// An interrupt, with its number if the interrupt controller was asked.
    Interrupt(Option<u32>),
    /// What the guest did.
    Instruction {
        /// ESR_EL2.
        syndrome: u64,
        /// FAR_EL2, of an abort: the guest's virtual address.
        address: Option<u64>,
    },
}

/// An exit, and what was executed around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Exit {
    /// Why.
    pub cause: Cause,
    /// Instructions of the guest's since the exit before.
    pub guest: u64,
    /// Instructions at EL2 until the guest went on: the unikernel's, or seL4's.
    pub at_el2: u64,
    /// Instructions of protection domains meanwhile.
    pub domains: u64,
}

impl Exit {
    /// All instructions until the guest went on.
    pub const fn instructions(&self) -> u64 {
        self.at_el2 + self.domains
    }
}

/// A whole log.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Log {
    /// What was executed before the guest's first instruction.
    pub before: u64,
    /// The exits from which the guest went on.
    pub exits: Vec<Exit>,
    /// What the machine's UART sent, each byte with the number of exits before it.
    pub printed: Vec<(u8, usize)>,
}

/// What a log says that cannot be.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Contradiction {
    /// EL1 is entered while a protection domain runs.
    DomainAtEl1 { line: usize },
    /// EL2 is called (SVC) by what seems to be a guest's program.
    GuestCallsKernel { line: usize },
    /// An exception without a count of instructions behind it.
    NoCount { line: usize },
    /// A count below the one before.
    CountsBack { line: usize },
}

impl fmt::Display for Contradiction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, what) = match self {
            Self::DomainAtEl1 { line } => (line, "a protection domain seems to be at EL1"),
            Self::GuestCallsKernel { line } => (line, "the guest's EL0 seems to call the kernel"),
            Self::NoCount { line } => (line, "the plugin has counted no instructions"),
            Self::CountsBack { line } => (line, "the plugin counts backwards"),
        };
        write!(f, "QEMU's log, line {line}: {what}")
    }
}

/// Who executes instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Running {
    /// EL2.
    Hypervisor,
    Domain,
    Guest,
}

/// An exception, as far as its lines have come.
#[derive(Debug, Clone, Copy)]
struct Exception {
    is_interrupt: bool,
    from: u8,
    to: u8,
    syndrome: u64,
    address: Option<u64>,
    return_address: u64,
}

/// ESR_ELx.EC of an SVC of AArch64.
const SVC64: u64 = 0x15;
/// Numbers from here on say that there is no interrupt (Arm IHI 0048B 3.2.1).
const NO_INTERRUPT: u32 = 1020;

/// Reads a log. A last line without an end is left out: the machine was ended while QEMU wrote it.
///
/// # Errors
///
/// That who runs, or for how long, cannot be told.
pub(super) fn read(text: &str) -> Result<Log, Contradiction> {
    let mut reader = Reader {
        log: Log::default(),
        line: 0,
        exception: None,
        running: Running::Hypervisor,
        since: 0,
        executed: 0,
        is_count_due: false,
        open: None,
        guest: 0,
        parked: None,
    };
    let (whole, _) = text.rsplit_once('\n').unwrap_or_default();
    for line in whole.lines() {
        reader.line += 1;
        reader.take(line)?;
    }
    Ok(reader.log)
}

struct Reader {
    log: Log,
    line: usize,
    exception: Option<Exception>,
    running: Running,
    /// The count when it began to run.
    since: u64,
    /// The last count.
    executed: u64,
    /// EL2 has been entered, and the count is still to come.
    is_count_due: bool,
    /// The exit from which the guest has not gone on.
    open: Option<Exit>,
    /// Instructions of the guest's since the last exit.
    guest: u64,
    /// Where the guest's EL0 goes on, if it was left there.
    parked: Option<u64>,
}

impl Reader {
    fn take(&mut self, line: &str) -> Result<(), Contradiction> {
        if let Some(count) = line.strip_prefix("executed ") {
            return self.count(number(count));
        } else if let Some(rest) = line.strip_prefix("Taking exception ") {
            self.exception = Some(Exception {
                is_interrupt: rest.contains("[IRQ]") || rest.contains("[FIQ]"),
                from: 0,
                to: 0,
                syndrome: 0,
                address: None,
                return_address: 0,
            });
        } else if let Some(rest) = line.strip_prefix("...") {
            return self.detail(rest);
        } else if let Some(rest) = line.strip_prefix("Exception return from AArch64 EL2 to ") {
            return self.returns(rest);
        } else if let Some(rest) = line.strip_prefix("gic_acknowledge_irq cpu ") {
            self.acknowledge(last_number(rest));
        } else if let Some(rest) = line.strip_prefix("gicv3_icc_iar1_read ") {
            self.acknowledge(last_number(rest));
        } else if let Some(rest) = line.strip_prefix("pl011_write addr 0x00000000 ") {
            let exits = self.log.exits.len() + usize::from(self.open.is_some());
            self.log.printed.push((last_number(rest) as u8, exits));
        }
        Ok(())
    }

    fn detail(&mut self, rest: &str) -> Result<(), Contradiction> {
        let Some(exception) = &mut self.exception else {
            return Ok(());
        };
        if let Some((from, to)) = levels(rest) {
            (exception.from, exception.to) = (from, to);
        } else if let Some(syndrome) = rest.strip_prefix("with ESR ") {
            let (_class, whole) = syndrome.split_once('/').unwrap_or_default();
            exception.syndrome = number(whole);
        } else if let Some(address) = rest.strip_prefix("with FAR ") {
            exception.address = Some(number(address));
        } else if let Some(address) = rest.strip_prefix("with ELR ") {
            exception.return_address = number(address);
        } else if rest.starts_with("to EL")
            && let Some(exception) = self.exception.take()
        {
            return self.enters(exception);
        }
        Ok(())
    }

    fn enters(&mut self, exception: Exception) -> Result<(), Contradiction> {
        let line = self.line;
        match (exception.from, exception.to) {
            (0 | 1, 1) if self.running == Running::Domain => {
                return Err(Contradiction::DomainAtEl1 { line });
            }
            (from @ (0 | 1), 2) => {
                let class = exception.syndrome >> 26 & 0x3f;
                let is_call = !exception.is_interrupt && class == SVC64;
                if self.running == Running::Guest {
                    if is_call {
                        return Err(Contradiction::GuestCallsKernel { line });
                    }
                    self.parked = (from == 0).then_some(exception.return_address);
                    self.open = Some(Exit {
                        cause: cause(&exception),
                        guest: 0,
                        at_el2: 0,
                        domains: 0,
                    });
                }
                self.is_count_due = true;
            }
            _ => {}
        }
        Ok(())
    }

    fn count(&mut self, executed: u64) -> Result<(), Contradiction> {
        if executed < self.executed {
            return Err(Contradiction::CountsBack { line: self.line });
        }
        self.executed = executed;
        if core::mem::take(&mut self.is_count_due) {
            self.charge();
            self.running = Running::Hypervisor;
            if let Some(open) = &mut self.open
                && self.guest != 0
            {
                open.guest = core::mem::take(&mut self.guest);
            }
        }
        Ok(())
    }

    /// What has been executed since somebody began to run is theirs.
    fn charge(&mut self) {
        let passed = self.executed - self.since;
        self.since = self.executed;
        let whose = match (self.running, &mut self.open) {
            (Running::Guest, _) => &mut self.guest,
            (Running::Hypervisor, Some(open)) => &mut open.at_el2,
            (Running::Domain, Some(open)) => &mut open.domains,
            (Running::Hypervisor | Running::Domain, None) => &mut self.log.before,
        };
        *whose += passed;
    }

    fn returns(&mut self, rest: &str) -> Result<(), Contradiction> {
        if self.is_count_due {
            return Err(Contradiction::NoCount { line: self.line });
        }
        let place = rest.rsplit(' ').next().map_or(0, number);
        let to_guest = match rest.as_bytes().get(..11) {
            Some(b"AArch64 EL1") => true,
            // An instruction of its may have been completed for it.
            Some(_) if rest.contains("EL0 ") => {
                let parked = self.parked;
                parked.is_some_and(|at| place == at || place == at.wrapping_add(4))
            }
            _ => return Ok(()),
        };
        self.charge();
        if !to_guest {
            self.running = Running::Domain;
            return Ok(());
        }
        self.running = Running::Guest;
        self.parked = None;
        self.log.exits.extend(self.open.take());
        Ok(())
    }

    fn acknowledge(&mut self, interrupt: u64) {
        let Some(open) = &mut self.open else {
            return;
        };
        if let Cause::Interrupt(number @ None) = &mut open.cause {
            let interrupt = interrupt as u32;
            *number = (interrupt < NO_INTERRUPT).then_some(interrupt);
        }
    }
}

fn cause(exception: &Exception) -> Cause {
    match exception.is_interrupt {
        true => Cause::Interrupt(None),
        false => Cause::Instruction {
            syndrome: exception.syndrome,
            address: exception.address,
        },
    }
}

/// `from EL1 to EL2`.
fn levels(text: &str) -> Option<(u8, u8)> {
    let (from, to) = text.strip_prefix("from EL")?.split_once(" to EL")?;
    Some((from.parse().ok()?, to.parse().ok()?))
}

/// The number at the end of a line.
fn last_number(text: &str) -> u64 {
    text.rsplit(' ').next().map_or(0, number)
}

/// A number, which may be hexadecimal.
fn number(text: &str) -> u64 {
    let text = text.trim();
    let read = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    read.unwrap_or(0)
}

#[cfg(test)]
mod tests;
