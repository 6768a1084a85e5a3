//! What the words of a record mean.
//!
//! They are whatever memory held (`trace_records`), so one that means nothing is an answer, too.

use shared_ring::{Payload, RingKind};
use trace_records::{
    ConsoleRecord, DeviceSummary, Entry, Kind, Misbehaviour, Record, Span, VmSummary,
};

/// What a record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// An access, or something else on its path.
    Event(Kind, Record),
    /// The sums of a device, and its number.
    Device(u8, DeviceSummary),
    /// The sums of a VM.
    Vm(VmSummary),
    /// When the accesses were.
    Span(Span),
    /// What a VMM claimed that cannot be.
    Misbehaviour(Misbehaviour),
    /// A record of the console ring.
    Console(ConsoleRecord),
    /// Nothing that this tool knows.
    Unknown,
}

impl Meaning {
    /// What the words of a record of this ring mean, and its time in ticks.
    pub fn of(kind: RingKind, words: &Payload) -> (u64, Self) {
        if kind == RingKind::Console {
            return match ConsoleRecord::from_words(words) {
                Some(record @ ConsoleRecord::Text(text)) => (text.time, Self::Console(record)),
                Some(record) => (words[0], Self::Console(record)),
                None => (words[0], Self::Unknown),
            };
        }
        let meaning = match Entry::from_words(words) {
            Some(Entry::Event(kind, record)) => Self::Event(kind, record),
            Some(Entry::Device(instance, sums)) => Self::Device(instance, sums),
            Some(Entry::Vm(sums)) => Self::Vm(sums),
            Some(Entry::Span(_, span)) => Self::Span(span),
            Some(Entry::Misbehaviour(misbehaviour)) => Self::Misbehaviour(misbehaviour),
            None => Self::Unknown,
        };
        (words[0], meaning)
    }
}
