//! A record as an event, in the fields that the metadata declare.

use super::packets::StreamFile;
use super::{TRACE_NUMBERS, id};
use crate::records::meaning::Meaning;
use crate::records::stream::{Item, Stream};
use crate::vms::names::Names;
use std::io;
use trace_records::{
    Address, ConsoleRecord, DeviceSummary, EndReason, Kind, Notice, Record, VmSummary,
};

impl StreamFile {
    /// Appends a record.
    pub(super) fn write(&mut self, stream: &Stream, item: &Item, names: &Names) -> io::Result<()> {
        let (time, meaning) = Meaning::of(stream.kind, &item.payload);
        let stamp = stream.since_start(time);
        let shown = self.shown(item.time);
        self.mark_loss(item.lost_before, item.breaks_before, shown)?;
        self.go_on_at(shown);
        if shown != stamp {
            self.event(id::WRONG_STAMP);
            self.put(&stamp.to_le_bytes());
        }
        self.record(stream, item, &meaning, names);
        self.write_if_full()
    }

    fn record(&mut self, stream: &Stream, item: &Item, meaning: &Meaning, names: &Names) {
        match meaning {
            Meaning::Event(Kind::Access, record) => self.access(stream.vm, record, names),
            Meaning::Event(kind, record) => {
                self.event(match kind {
                    Kind::Outside => id::OUTSIDE,
                    Kind::Reset => id::RESET,
                    _ => id::END,
                });
                match kind {
                    Kind::Outside => {
                        self.put(&record.value.to_le_bytes());
                        self.put(&[record.tag.direction() as u8, record.tag.width_bytes() as u8]);
                        self.address(record.location());
                        self.put(&record.pc.to_le_bytes());
                    }
                    Kind::Reset => {}
                    _ => {
                        let reason = EndReason::from_number(record.value);
                        let reason = reason.map(|reason| format!("{reason:?}"));
                        self.string(&reason.unwrap_or_else(|| record.value.to_string()));
                        self.address(record.location());
                        self.put(&record.pc.to_le_bytes());
                    }
                }
                self.put(&record.epoch.to_le_bytes());
            }
            Meaning::Device(instance, sums) => {
                let DeviceSummary {
                    reads,
                    writes,
                    logged,
                    traced,
                    value,
                    refused,
                    ..
                } = *sums;
                self.event(id::DEVICE_SUMS);
                self.put(&[*instance]);
                for value in [reads, writes, logged, traced] {
                    self.put(&value.to_le_bytes());
                }
                self.put(&value.to_le_bytes());
                self.put(&refused.to_le_bytes());
            }
            Meaning::Vm(sums) => {
                let VmSummary {
                    log_lost,
                    trace_overwritten,
                    outside,
                    unrecorded,
                    misbehaviour,
                    ..
                } = *sums;
                self.event(id::VM_SUMS);
                for value in [log_lost, trace_overwritten, outside, unrecorded] {
                    self.put(&value.to_le_bytes());
                }
                self.put(&misbehaviour.to_le_bytes());
            }
            Meaning::Span(span) => {
                self.event(id::SPAN);
                for time in [span.first, span.last, span.recorded] {
                    self.put(&stream.since_start(time).to_le_bytes());
                }
            }
            Meaning::Console(ConsoleRecord::Text(text)) => {
                self.event(id::TEXT);
                self.string(&String::from_utf8_lossy(text.bytes()));
            }
            Meaning::Console(ConsoleRecord::Notice {
                notice,
                number,
                address,
                pc,
                ..
            }) => {
                self.event(id::NOTICE);
                self.string(&match notice {
                    Notice::Ended(reason) => format!("Ended: {reason:?}"),
                    other => format!("{other:?}"),
                });
                self.put(&number.to_le_bytes());
                self.address(*address);
                self.put(&pc.to_le_bytes());
            }
            // As their words stand.
            Meaning::Misbehaviour(_)
            | Meaning::Console(ConsoleRecord::Verdict(_) | ConsoleRecord::VmDied { .. })
            | Meaning::Unknown => {
                self.event(id::UNKNOWN);
                for word in item.payload {
                    self.put(&word.to_le_bytes());
                }
            }
        }
        self.put(&item.sequence.to_le_bytes());
    }

    /// An address that may be a port.
    fn address(&mut self, address: Address) {
        self.put(&[address.space as u8]);
        self.put(&address.number.to_le_bytes());
    }

    /// The fields of an access but its number, in the order of `metadata::ACCESS_FIELDS`.
    fn access(&mut self, vm: u8, record: &Record, names: &Names) {
        let number = record.tag.event();
        if number < TRACE_NUMBERS {
            self.class.trace_numbers[usize::from(number / 64)] |= 1 << (number % 64);
            self.event(number);
        } else {
            self.event(id::ACCESS);
        }
        let tag = record.tag;
        let mut fields = [0; 45];
        fields[..5].copy_from_slice(&[
            tag.instance(),
            tag.vcpu(),
            tag.direction() as u8,
            tag.width_bytes() as u8,
            tag.flags().0,
        ]);
        fields[5..13].copy_from_slice(&record.address.0.to_le_bytes());
        fields[13..21].copy_from_slice(&record.pc.to_le_bytes());
        fields[21..25].copy_from_slice(&record.value.to_le_bytes());
        fields[25..29].copy_from_slice(&record.old.to_le_bytes());
        fields[29..37].copy_from_slice(&record.sequence.to_le_bytes());
        fields[37..41].copy_from_slice(&record.state_seen.to_le_bytes());
        fields[41..45].copy_from_slice(&record.epoch.to_le_bytes());
        self.put(&fields);
        if self.class.has_registers {
            let register = names.register(vm, record);
            self.string(register.map_or("", |register| register.name));
        }
        if self.class.has_functions {
            match names.function(vm, record.pc) {
                Some(function) => self.string(&function),
                None => self.string(""),
            }
        }
    }
}
