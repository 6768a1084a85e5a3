//! The words of the log: records as a person reads them.
//!
//! Used by the console component on the machine and by the host tool on a memory dump, so
//! that both say the same. Each type prints one thing without a line's time and VM.

use crate::Clock;
use core::fmt;
use guest_access::Direction;
use shared_ring::LAYOUT_VERSION;
use trace_records::{
    Address, AddressSpace, DeviceSummary, EndReason, Flags, Kind as RecordKind, Misbehaviour,
    Misdeed, Notice, Record, RingFate, Span, Tag, VmSummary,
};
use vdev_model::Register;
use vm_config::{Device, Kind, SeverityMask};

/// A time as seconds and microseconds since the start.
pub struct Stamp(pub u64, pub Clock);

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(time, clock) = *self;
        let ticks = u128::from(time.saturating_sub(clock.start_ticks));
        let micros = ticks * 1_000_000 / u128::from(clock.hz.max(1));
        write!(f, "[{:4}.{:06}]", micros / 1_000_000, micros % 1_000_000)
    }
}

/// An address as everybody writes it, by `{:#x}` or `{:#010x}`: one in memory as the number that it
/// is, a port as `io:0x3f8`, as in a guest's command line.
pub struct AddressText(pub Address);

impl fmt::LowerHex for AddressText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Address { space, number } = self.0;
        match space {
            AddressSpace::Memory => fmt::LowerHex::fmt(&number, f),
            AddressSpace::Ports => write!(f, "io:{number:#x}"),
        }
    }
}

/// The severity of an event's line, padded to the longest.
pub fn severity_of(kind: RecordKind, record: &Record) -> &'static str {
    if kind == RecordKind::Outside || record.tag.flags().contains(Flags::REFUSED) {
        "warn "
    } else {
        "info "
    }
}

/// An access, or another event on its path.
pub struct Event<'a> {
    /// What kind of event.
    pub kind: RecordKind,
    /// What happened.
    pub record: &'a Record,
    /// The device it happened to.
    pub device: DeviceWords<'a>,
}

/// What is known of a device when its accesses are told.
#[derive(Clone, Copy)]
pub struct DeviceWords<'a> {
    /// Its name.
    pub name: &'a str,
    /// What it is, where that is known, and its first address.
    pub is: Option<(&'static Kind, u64)>,
}

impl<'a> DeviceWords<'a> {
    /// Those of a device of a configuration.
    pub fn of(device: &Device<'a>) -> Self {
        Self {
            name: device.name,
            is: Some((device.kind(), device.loc)),
        }
    }

    /// One of which nothing is known but what somebody calls it.
    pub const fn named(name: &'a str) -> Self {
        Self { name, is: None }
    }

    /// The register in which an access begins, if that has a name.
    pub fn register(&self, record: &Record) -> Option<&'static Register> {
        let (kind, loc) = self.is?;
        let register = kind.register_at(record.address.0.wrapping_sub(loc))?;
        Some(register).filter(|register| !register.name.is_empty())
    }

    /// The register of which an access's value is all: one that was read as a whole, or written. Of a narrow
    /// write in a VMM nobody has told more than the part.
    pub fn whole_register(&self, record: &Record) -> Option<&'static Register> {
        let (kind, loc) = self.is?;
        let (tag, flags) = (record.tag, record.tag.flags());
        let offset = record.address.0.wrapping_sub(loc);
        let found = kind.find(offset, tag.width_bytes(), tag.direction())?;
        let is_merged = tag.direction() == Direction::Write && !flags.contains(Flags::OF_VMM);
        let is_told = !flags.contains(Flags::REFUSED) && (found.is_whole || is_merged);
        is_told.then(|| kind.register(found))
    }
}

/// What the bits of a register say that have names: ` (EN 1, MODE 3)`; nothing where none have.
struct Fields {
    register: &'static Register,
    value: u32,
}

impl fmt::Display for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { register, value } = *self;
        let Some((first, rest)) = register.fields.split_first() else {
            return Ok(());
        };
        write!(f, " ({} {}", first.name, first.of(value))?;
        for field in rest {
            write!(f, ", {} {}", field.name, field.of(value))?;
        }
        f.write_str(")")
    }
}

impl fmt::Display for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            kind,
            record,
            device,
        } = self;
        let tag = record.tag;
        let operation = Operation(tag);
        let (pc, value) = (record.pc, record.value);
        let address = AddressText(record.location());
        match kind {
            RecordKind::Outside => write!(
                f,
                "no device: {value} times, last {operation} {address:#010x} pc {pc:#x}"
            ),
            RecordKind::Reset => write!(f, "reset, epoch {}", record.epoch),
            RecordKind::End => match EndReason::from_number(value) {
                Some(reason) => {
                    let about = record.location();
                    write!(f, "ended: {}", Reason { reason, about, pc })
                }
                None => write!(f, "ended: reason {value}"),
            },
            _ => {
                let name = device.name;
                write!(f, "{name} cpu{} {operation} {address:#010x}", tag.vcpu())?;
                if let Some(register) = device.register(record) {
                    write!(f, " {}", register.name)?;
                }
                if tag.flags().contains(Flags::REFUSED) {
                    f.write_str(" not supported")?;
                } else if tag.direction() == Direction::Write {
                    write!(f, " = {} -> {value}", record.old)?;
                } else {
                    write!(f, " = {value}")?;
                }
                if let Some(register) = device.whole_register(record) {
                    Fields { register, value }.fmt(f)?;
                }
                write!(f, " pc {pc:#x} seq {}", record.sequence)?;
                match tag.flags().contains(Flags::OF_VMM) {
                    true => f.write_str(" (its VMM says)"),
                    false => Ok(()),
                }
            }
        }
    }
}

/// An access's direction and width: `R4`, `W1`, or `R?` if the hardware did not tell.
struct Operation(Tag);

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = match self.0.direction() {
            Direction::Read => 'R',
            Direction::Write => 'W',
        };
        match self.0.width() {
            Some(width) => write!(f, "{letter}{}", width.bytes()),
            None => write!(f, "{letter}?"),
        }
    }
}

/// The sums of a device.
pub struct DeviceSums<'a> {
    /// The device.
    pub device: DeviceWords<'a>,
    /// Its sums.
    pub sums: DeviceSummary,
}

impl fmt::Display for DeviceSums<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DeviceSummary {
            reads,
            writes,
            refused,
            logged,
            traced,
            value,
            ..
        } = self.sums;
        let accesses = reads
            .saturating_add(writes)
            .saturating_add(u64::from(refused));
        write!(
            f,
            "{}: {accesses} accesses = {reads} reads + {writes} writes + {refused} refused; \
             {logged} logged, {traced} traced",
            self.device.name
        )?;
        match self.device.is.and_then(|(kind, _)| kind.sum) {
            Some(word) => write!(f, "; {word} {value}"),
            None => Ok(()),
        }
    }
}

/// The sums of a VM.
pub struct VmSums {
    /// Its sums.
    pub sums: VmSummary,
    /// Records that reached the console but not the serial line.
    pub unprinted: u64,
}

impl fmt::Display for VmSums {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let VmSummary {
            log_lost,
            trace_overwritten,
            outside,
            unrecorded,
            misbehaviour,
            ..
        } = self.sums;
        write!(
            f,
            "lost: {log_lost} not logged, {} not printed, {trace_overwritten} overwritten in the \
             trace, {unrecorded} unrecorded; {outside} outside a device, {misbehaviour} misbehaviour",
            self.unprinted
        )
    }
}

/// When the accesses were.
pub struct SpanText {
    /// When.
    pub span: Span,
    /// The clock of the stamps.
    pub clock: Clock,
}

impl fmt::Display for SpanText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { span, clock } = *self;
        if span.first == 0 {
            return f.write_str("no accesses");
        }
        let [first, last, recorded] =
            [span.first, span.last, span.recorded].map(|time| Stamp(time, clock));
        write!(f, "accesses from {first} to {last}, recorded by {recorded}")
    }
}

/// What a component claimed that cannot be.
pub struct MisbehaviourText<'a> {
    /// The component: `its VMM`.
    pub who: &'a str,
    /// What it did.
    pub misbehaviour: Misbehaviour,
}

impl MisbehaviourText<'_> {
    /// Whom the trace component blames in a log ring: the VMM, or the ring's reader.
    pub const fn who(last: Misdeed) -> &'static str {
        match last {
            Misdeed::Reader => "the console",
            _ => "its VMM",
        }
    }
}

impl fmt::Display for MisbehaviourText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Misbehaviour {
            count, last, ring, ..
        } = self.misbehaviour;
        let what = match last {
            Misdeed::Version(version) => {
                let who = self.who;
                write!(f, "{}, seen {count} times", OfAnotherBuild { who, version })?;
                return closed(ring, f);
            }
            Misdeed::Deadly(Some(position)) => {
                write!(
                    f,
                    "{} misbehaves: {count} times, last the record at position {position} of its \
                     ring, of which its reader died",
                    self.who
                )?;
                return closed(ring, f);
            }
            Misdeed::Deadly(None) => "work of which its reader died",
            Misdeed::Header => {
                "the header of its ring is missing, or names another size or purpose"
            }
            Misdeed::Position => "a position of its ring that cannot be",
            Misdeed::Slot => "a position of its ring without a new record",
            Misdeed::Gap => "records of its ring that are missing",
            Misdeed::Kind => "a record that cannot be in its ring",
            Misdeed::Device => "an access to a device that there is not",
            Misdeed::Number => "an access whose number does not follow",
            Misdeed::Location => "an access beside its device or of an impossible width",
            Misdeed::AfterEnd => "something after the end",
            Misdeed::Reader => "a reader of what is not written",
        };
        write!(f, "{} misbehaves: {count} times, last {what}", self.who)?;
        closed(ring, f)
    }
}

fn closed(ring: RingFate, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match ring {
        RingFate::Open => Ok(()),
        RingFate::Closed => f.write_str("; its ring is closed"),
    }
}

/// That a component's ring is of another layout version.
pub(crate) struct OfAnotherBuild<'a> {
    pub who: &'a str,
    pub version: u64,
}

impl fmt::Display for OfAnotherBuild<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { who, version } = self;
        write!(
            f,
            "{who} is of another build: its ring has layout version {version}, and only \
             {LAYOUT_VERSION} is read here; build all parts of the system together"
        )
    }
}

/// A message of a VMM.
pub(crate) struct NoticeText {
    pub notice: Notice,
    pub number: u64,
    pub address: Address,
    pub pc: u64,
}

impl NoticeText {
    /// The severity as the configuration knows it, and as the line shows it.
    pub fn severity(&self) -> (SeverityMask, &'static str) {
        match self.notice {
            Notice::TraceGone | Notice::ReadersLie => (SeverityMask::ERROR, "error"),
            Notice::TraceBack | Notice::Ended(_) => (SeverityMask::INFO, "info "),
            Notice::TextLost | Notice::Refused | Notice::Idle => (SeverityMask::WARN, "warn "),
        }
    }
}

impl fmt::Display for NoticeText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            number,
            address,
            pc,
            ..
        } = *self;
        let address = AddressText(address);
        match self.notice {
            Notice::TraceGone => {
                write!(
                    f,
                    "the trace component does not answer; reads give all-ones"
                )
            }
            Notice::TraceBack => write!(
                f,
                "the trace component answers again; {number} accesses went unrecorded"
            ),
            Notice::TextLost => write!(
                f,
                "{number} characters of the guest lost; it did not wait for its serial port"
            ),
            Notice::Refused => write!(
                f,
                "{number} exceptions given to the guest for what is not supported, \
                 last at pc {pc:#x} ({address:#x})"
            ),
            Notice::Idle => write!(
                f,
                "the guest only waits for interrupts, for {number} s now, and gets none; pc {pc:#x}"
            ),
            Notice::ReadersLie => write!(
                f,
                "the other ends of the VMM's rings misbehave: {number} times, they say they have read or \
                 written what cannot be"
            ),
            Notice::Ended(reason) => Reason {
                reason,
                about: self.address,
                pc,
            }
            .fmt(f),
        }
    }
}

/// Why a VM has ended, in words.
#[derive(Clone, Copy)]
pub(crate) struct Reason {
    pub reason: EndReason,
    /// The code or the address that belongs to the reason.
    pub about: Address,
    pub pc: u64,
}

impl Reason {
    /// What whoever watches over the components says of a VM.
    pub const fn of_watch(reason: EndReason) -> Self {
        Self {
            reason,
            about: Address::NONE,
            pc: 0,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { about, pc, .. } = *self;
        let (number, address) = (about.number, AddressText(about));
        match self.reason {
            EndReason::PoweredOff => write!(f, "powered off by the guest"),
            EndReason::GuestFailed => write!(f, "the guest says that it failed, code {number}"),
            EndReason::UnsupportedInstruction => write!(
                f,
                "policy abort, unsupported instruction at pc {pc:#x}, address {address:#x}"
            ),
            EndReason::UnsupportedReference => {
                write!(
                    f,
                    "policy abort, unsupported reference to {address:#x} at pc {pc:#x}"
                )
            }
            EndReason::UnsupportedRegister => {
                write!(f, "policy abort, unsupported system register at pc {pc:#x}")
            }
            EndReason::FetchAbort => {
                write!(
                    f,
                    "the guest left its RAM: it executes {number:#x}, pc {pc:#x}"
                )
            }
            EndReason::MemoryError => write!(f, "memory error at {number:#x}, pc {pc:#x}"),
            EndReason::UnknownExit => {
                write!(f, "unexpected exception class {number:#x} at pc {pc:#x}")
            }
            EndReason::BadImage => write!(
                f,
                "the images are for another machine, not all there, or not in the VM's RAM ({number:#x})"
            ),
            EndReason::VmmMisbehaved => write!(f, "its VMM misbehaved {number} times"),
            EndReason::VmmDied => f.write_str("its VMM has died"),
            EndReason::NothingWakesIt => write!(
                f,
                "halted with interrupts off at pc {pc:#x}: nothing wakes it"
            ),
        }
    }
}

#[cfg(test)]
mod tests;
