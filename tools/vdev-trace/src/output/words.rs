//! A record in words: the log's (`vm_components::log_lines`), for all outputs that are read by people.

use crate::records::meaning::Meaning;
use crate::records::stream::Stream;
use crate::vms::names::Names;
use guest_access::Direction;
use std::fmt;
use trace_records::{ConsoleRecord, Record};
use vm_components::log_lines::{
    AddressText, DeviceSums, Event, MisbehaviourText, SpanText, VmSums,
};

/// What a record says that is no access, or a whole access, in the log's words.
pub(crate) struct Words<'a> {
    pub meaning: &'a Meaning,
    pub stream: &'a Stream,
    pub names: &'a Names,
}

impl fmt::Display for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let device = |instance| self.names.device(self.stream.vm, instance);
        match self.meaning {
            Meaning::Event(kind, record) => {
                let device = &device(record.tag.instance());
                Event {
                    kind: *kind,
                    record,
                    device: device.words(),
                }
                .fmt(f)
            }
            Meaning::Device(instance, sums) => {
                let device = &device(*instance);
                DeviceSums {
                    device: device.words(),
                    sums: *sums,
                }
                .fmt(f)
            }
            // The console counts what it does not print; here it prints everything.
            Meaning::Vm(sums) => VmSums {
                sums: *sums,
                unprinted: 0,
            }
            .fmt(f),
            Meaning::Span(span) => SpanText {
                span: *span,
                clock: self.stream.clock,
            }
            .fmt(f),
            Meaning::Misbehaviour(misbehaviour) => MisbehaviourText {
                who: MisbehaviourText::who(misbehaviour.last),
                misbehaviour: *misbehaviour,
            }
            .fmt(f),
            Meaning::Console(ConsoleRecord::Verdict(verdict)) => write!(f, "verdict {verdict:?}"),
            Meaning::Console(ConsoleRecord::VmDied { vm, .. }) => {
                write!(f, "the VMM of VM {vm} has died")
            }
            Meaning::Console(ConsoleRecord::Text(text)) => {
                write!(f, "printed {:?}", String::from_utf8_lossy(text.bytes()))
            }
            Meaning::Console(ConsoleRecord::Notice {
                notice,
                number,
                address,
                pc,
                ..
            }) => write!(
                f,
                "notice {notice:?}: {number}, {:#x}, pc {pc:#x}",
                AddressText(*address)
            ),
            Meaning::Unknown => f.write_str("a record of no kind that this tool knows"),
        }
    }
}

/// An access's direction and width: `R4`, `W1`, or `R?` if the hardware did not tell.
pub(crate) struct Operation<'a>(pub &'a Record);

impl fmt::Display for Operation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = match self.0.tag.direction() {
            Direction::Read => 'R',
            Direction::Write => 'W',
        };
        match self.0.tag.width() {
            Some(width) => write!(f, "{letter}{}", width.bytes()),
            None => write!(f, "{letter}?"),
        }
    }
}
