//! The trace in the Chrome trace event format, which Perfetto and `chrome://tracing` open.
//!
//! A process for each VM, a thread for each of its devices; an instant for each access, a
//! counter for each register (`curves`), a slice where records are missing. The format: *Trace Event
//! Format* (the Chromium project): "JSON Object Format", "Instant Events", "Counter Events",
//! "Complete Events", "Metadata Events". Times are microseconds since the system's start.
//! `otherData` has what the system itself says of the run, if that is in the dump.

use crate::output::curves::Curves;
use crate::output::words::{Operation, Words};
use crate::records::meaning::Meaning;
use crate::records::sink::Sink;
use crate::records::stream::{End, Item, Stream};
use crate::vms::names::Names;
use oversight::{Report, Verdict};
use serde_json::{Value, json};
use std::io::{self, Write};
use trace_records::{EVENT_NONE, Flags, Kind, Record};
use vm_components::log_lines::AddressText;

/// The thread of what belongs to a VM and no device.
const VM_THREAD: u32 = 0;

/// Writes one JSON object.
pub struct Chrome<'a, W> {
    out: W,
    names: &'a Names,
    curves: Curves<'a>,
    /// For each ring, the time of its last record, and a bit for each device that is named.
    rings: Vec<(u64, [u64; 4])>,
    begun: bool,
    report: Option<Report>,
}

impl<'a, W: Write> Chrome<'a, W> {
    /// Writes to `out`.
    pub fn new(out: W, names: &'a Names) -> Self {
        Self {
            out,
            names,
            curves: Curves::new(names),
            rings: Vec::new(),
            begun: false,
            report: None,
        }
    }

    /// What stands before an event.
    fn begin(&mut self) -> io::Result<()> {
        let before = if std::mem::replace(&mut self.begun, true) {
            ",\n"
        } else {
            "{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n"
        };
        self.out.write_all(before.as_bytes())
    }

    fn event(&mut self, event: &Value) -> io::Result<()> {
        self.begin()?;
        serde_json::to_writer(&mut self.out, event).map_err(io::Error::from)
    }

    fn name_device(&mut self, stream: &Stream, instance: u8) -> io::Result<()> {
        let named = &mut self.rings[stream.index].1[usize::from(instance / 64)];
        let bit = 1 << (instance % 64);
        if *named & bit != 0 {
            return Ok(());
        }
        *named |= bit;
        let name = self.names.device(stream.vm, instance).name;
        self.event(&metadata(
            stream,
            "thread_name",
            device_thread(instance),
            &name,
        ))
    }

    fn lost(&mut self, stream: &Stream, count: u64, until: u64) -> io::Result<()> {
        if count == 0 {
            return Ok(());
        }
        let since = self.rings[stream.index].0.min(until);
        let nanoseconds = stream.nanoseconds(until - since);
        self.event(&json!({
            "name": format!("{count} records lost"),
            "cat": "loss",
            "ph": "X",
            "ts": microseconds(stream.nanoseconds(since)),
            "dur": microseconds(nanoseconds),
            "pid": process(stream),
            "tid": VM_THREAD,
            "args": { "count": count },
        }))
    }

    /// Written piece by piece: there may be millions of them.
    fn access(&mut self, stream: &Stream, item: &Item, record: &Record, ts: f64) -> io::Result<()> {
        let tag = record.tag;
        self.name_device(stream, tag.instance())?;
        let device = Value::from(self.names.device(stream.vm, tag.instance()).name);
        let function = self.names.function(stream.vm, record.pc);
        let function = function.map(|name| Value::from(&*name));
        let (process, thread) = (process(stream), device_thread(tag.instance()));
        self.begin()?;
        let out = &mut self.out;
        write!(
            out,
            "{{\"name\":\"{}\",\"cat\":\"access\",\"ph\":\"i\",\"s\":\"t\",\"ts\":{ts},\
             \"pid\":{process},\"tid\":{thread},\"args\":{{\"device\":{device},\"cpu\":{},\
             \"address\":\"{:#x}\",\"value\":{},\"pc\":\"{:#x}\",\"seq\":{},\"epoch\":{},\"record\":{}",
            Operation(record),
            tag.vcpu(),
            AddressText(record.location()),
            record.value,
            record.pc,
            record.sequence,
            record.epoch,
            item.sequence,
        )?;
        if tag.event() != EVENT_NONE {
            write!(out, ",\"event\":{}", tag.event())?;
        }
        if tag.direction() == guest_access::Direction::Write {
            write!(out, ",\"old\":{}", record.old)?;
        }
        if tag.flags().contains(Flags::REFUSED) {
            write!(out, ",\"refused\":true")?;
        }
        if let Some(stamp) = item.wrong_stamp {
            let stamp = microseconds(stream.nanoseconds(stamp));
            write!(out, ",\"wrong_stamp\":{stamp}")?;
        }
        if let Some(register) = self.names.register(stream.vm, record) {
            write!(out, ",\"register\":{}", Value::from(register.name))?;
        }
        if let Some(function) = function {
            write!(out, ",\"function\":{function}")?;
        }
        write!(out, "}}}}")?;
        let Some(point) = self.curves.point(stream.vm, record) else {
            return Ok(());
        };
        let (curve, value) = (Value::from(point.curve), point.value);
        self.begin()?;
        write!(
            self.out,
            "{{\"name\":{curve},\"cat\":\"counter\",\"ph\":\"C\",\"ts\":{ts},\
             \"pid\":{process},\"args\":{{\"counter\":{value}}}}}"
        )
    }
}

/// Rings are told apart as processes, and 0 is the kernel's.
fn process(stream: &Stream) -> usize {
    stream.index + 1
}

fn device_thread(instance: u8) -> u32 {
    u32::from(instance) + 1
}

fn microseconds(nanoseconds: u128) -> f64 {
    nanoseconds as f64 / 1000.0
}

/// How the run went, and where the CPU's time has gone in microseconds.
fn metadata_of(report: &Report, names: &Names) -> Value {
    let cpu = &report.cpu;
    let vms = (0..).zip(&cpu.vm[..cpu.vms]).map(|(number, vm)| {
        json!({
            "vm": names.vm(number),
            "guest_us": vm.guest_us,
            "vmm_us": vm.vmm_us,
            "trace_us": vm.trace_us,
            "console_us": vm.console_us,
        })
    });
    json!({
        "verdict": report.verdict.map(|verdict| match verdict {
            Verdict::Ok => "ok",
            Verdict::Failed => "failed",
        }),
        "cpu": {
            "wall_us": cpu.wall_us,
            "idle_us": cpu.idle_us,
            "others_us": cpu.others_us,
            "guests_us": cpu.guests_us,
            "vms": vms.collect::<Vec<_>>(),
        },
    })
}

fn metadata(stream: &Stream, what: &str, thread: u32, name: &str) -> Value {
    json!({
        "name": what,
        "ph": "M",
        "pid": process(stream),
        "tid": thread,
        "args": { "name": name },
    })
}

impl<W: Write> Sink for Chrome<'_, W> {
    fn open(&mut self, stream: &Stream) -> io::Result<()> {
        self.rings.resize(stream.index + 1, (0, [0; 4]));
        let name = format!("VM {} ({:?} ring)", self.names.vm(stream.vm), stream.kind);
        self.event(&metadata(stream, "process_name", VM_THREAD, &name))?;
        self.event(&metadata(stream, "thread_name", VM_THREAD, "VM"))
    }

    fn item(&mut self, stream: &Stream, item: &Item) -> io::Result<()> {
        let (_, meaning) = Meaning::of(stream.kind, &item.payload);
        let time = item.time;
        self.lost(stream, item.lost_before, time)?;
        self.rings[stream.index].0 = time;
        let ts = microseconds(stream.nanoseconds(time));
        if let Meaning::Event(Kind::Access, record) = &meaning {
            return self.access(stream, item, record, ts);
        }
        let words = Words {
            meaning: &meaning,
            stream,
            names: self.names,
        };
        let mut arguments = json!({ "record": item.sequence });
        if let Some(stamp) = item.wrong_stamp {
            arguments["wrong_stamp"] = microseconds(stream.nanoseconds(stamp)).into();
        }
        self.event(&json!({
            "name": words.to_string(),
            "cat": "vm",
            "ph": "i",
            "s": "p",
            "ts": ts,
            "pid": process(stream),
            "tid": VM_THREAD,
            "args": arguments,
        }))
    }

    fn close(&mut self, stream: &Stream, end: &End) -> io::Result<()> {
        let last = self.rings[stream.index].0;
        self.lost(stream, end.lost_after, last)
    }

    fn report(&mut self, report: &Report) -> io::Result<()> {
        self.report = Some(*report);
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        if !self.begun {
            self.out.write_all(b"{\"traceEvents\":[")?;
        }
        self.out.write_all(b"\n]")?;
        if let Some(report) = &self.report {
            let other = metadata_of(report, self.names);
            write!(self.out, ",\n\"otherData\":{other}")?;
        }
        self.out.write_all(b"}\n")?;
        self.out.flush()
    }
}
