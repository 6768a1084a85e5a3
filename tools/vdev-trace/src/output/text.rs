//! The trace as text: a line for each record.
//!
//! Invariant: the words of a record are the log's (`vm_components::log_lines`), the columns
//! stand under each other as long as names and numbers are of a common length, and where
//! records are missing a line says how many.

use crate::output::words::{Operation, Words};
use crate::records::meaning::Meaning;
use crate::records::sink::Sink;
use crate::records::stream::{End, Item, Stream};
use crate::vms::names::Names;
use anstyle::{AnsiColor, Style};
use guest_access::Direction;
use oversight::Report;
use std::fmt;
use std::io::{self, Write};
use trace_records::{EVENT_NONE, Flags, Kind, Record};
use vm_components::log_lines::{AddressText, Stamp};

/// How the lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Without colours.
    Plain,
    /// With the colours of a terminal; the writer may take them out again.
    Coloured,
}

/// Writes text.
pub struct Text<'a, W> {
    out: W,
    names: &'a Names,
    layout: Layout,
    /// For each ring, the time of its last record, in ticks since the start.
    before: Vec<Option<u64>>,
    /// For each ring, its records of no kind.
    unknown: Vec<u64>,
    titled: bool,
    sums: Vec<String>,
    run: Option<String>,
}

const TITLE: &str = "     time (s) since before us  event  vm        device    cpu access address    \
                     value                    pc             seq epoch";

impl<'a, W: Write> Text<'a, W> {
    /// Writes to `out`.
    pub fn new(out: W, names: &'a Names, layout: Layout) -> Self {
        Self {
            out,
            names,
            layout,
            before: Vec::new(),
            unknown: Vec::new(),
            titled: false,
            sums: Vec::new(),
            run: None,
        }
    }

    fn style(&self, style: Style) -> Style {
        match self.layout {
            Layout::Plain => Style::new(),
            Layout::Coloured => style,
        }
    }

    fn title(&mut self) -> io::Result<()> {
        if !std::mem::replace(&mut self.titled, true) {
            let dim = self.style(Style::new().dimmed());
            writeln!(self.out, "{dim}{TITLE}{dim:#}")?;
        }
        Ok(())
    }

    fn lost(&mut self, stream: &Stream, count: u64, breaks: u64) -> io::Result<()> {
        if count == 0 {
            return Ok(());
        }
        let yellow = self.style(AnsiColor::Yellow.on_default());
        let vm = self.names.vm(stream.vm);
        let why = if breaks == 0 {
            ""
        } else {
            ", part of the input was unreadable"
        };
        writeln!(
            self.out,
            "{yellow}-- {vm}: {count} records lost{why} --{yellow:#}"
        )
    }
}

impl<W: Write> Sink for Text<'_, W> {
    fn report(&mut self, report: &Report) -> io::Result<()> {
        self.run = Some(self.names.run(report));
        Ok(())
    }

    fn open(&mut self, stream: &Stream) -> io::Result<()> {
        self.before.resize(stream.index + 1, None);
        self.unknown.resize(stream.index + 1, 0);
        Ok(())
    }

    fn item(&mut self, stream: &Stream, item: &Item) -> io::Result<()> {
        self.title()?;
        self.lost(stream, item.lost_before, item.breaks_before)?;
        let (stamp, meaning) = Meaning::of(stream.kind, &item.payload);
        if meaning == Meaning::Unknown {
            self.unknown[stream.index] += 1;
            return Ok(());
        }
        // What the record says, also where that cannot be; the time before it is what is believed.
        let told = item.wrong_stamp.unwrap_or(item.time);
        let before = self.before[stream.index].replace(item.time).unwrap_or(told);
        let stamp = Stamp(stamp, stream.clock);
        let since = Since {
            sign: if told < before { '-' } else { '+' },
            nanoseconds: stream.nanoseconds(told.abs_diff(before)),
        };
        let remark = match item.wrong_stamp {
            Some(_) => "  (wrong stamp)",
            None => "",
        };
        let vm = self.names.vm(stream.vm);
        let out = &mut self.out;
        match &meaning {
            Meaning::Event(Kind::Access, record) => {
                let event = Number(record.tag.event());
                let device = self.names.device(stream.vm, record.tag.instance()).name;
                let style = match record.tag.direction() {
                    _ if record.tag.flags().contains(Flags::REFUSED) => AnsiColor::Red.on_default(),
                    Direction::Write => AnsiColor::Cyan.on_default(),
                    Direction::Read => Style::new(),
                };
                let style = match self.layout {
                    Layout::Plain => Style::new(),
                    Layout::Coloured => style,
                };
                write!(
                    out,
                    "{style}{stamp} {since}  {event:>5}  {vm:<9} {device:<9} {:<3} {:<6} {:<10} {:<24} {:#012x} {:>5} {:>5}",
                    record.tag.vcpu(),
                    Operation(record).to_string(),
                    format!("{:#010x}", AddressText(record.location())),
                    Value(record).to_string(),
                    record.pc,
                    record.sequence,
                    record.epoch,
                )?;
                if let Some(register) = self.names.register(stream.vm, record) {
                    write!(out, "  {}", register.name)?;
                }
                if let Some(function) = self.names.function(stream.vm, record.pc) {
                    write!(out, "  {function}")?;
                }
                if record.tag.flags().contains(Flags::OF_VMM) {
                    write!(out, "  (its VMM says)")?;
                }
                writeln!(out, "{remark}{style:#}")
            }
            other => {
                let words = Words {
                    meaning: other,
                    stream,
                    names: self.names,
                };
                writeln!(out, "{stamp} {since}  {:>5}  {vm:<9} {words}{remark}", "-")
            }
        }
    }

    fn close(&mut self, stream: &Stream, end: &End) -> io::Result<()> {
        self.lost(stream, end.lost_after, end.breaks_after)?;
        let mut sums = format!(
            "{}: {} records, {} overwritten or lost by the ring's own count, \
             {} missing between them, {} torn",
            self.names.vm(stream.vm),
            end.records,
            end.overwritten,
            end.missing,
            end.torn
        );
        if end.cut != 0 {
            sums += &format!(", {} slots beyond the input's end", end.cut);
        }
        if end.wrong_stamps != 0 {
            sums += &format!(", {} wrong stamps", end.wrong_stamps);
        }
        let unknown = self.unknown.get(stream.index).copied().unwrap_or(0);
        if unknown != 0 {
            sums += &format!(", {unknown} of no kind that this tool knows");
        }
        self.sums.push(sums);
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        for sums in self.sums.iter().chain(&self.run) {
            writeln!(self.out, "{sums}")?;
        }
        self.out.flush()
    }
}

/// The time since the record before.
struct Since {
    sign: char,
    nanoseconds: u128,
}

impl fmt::Display for Since {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sign, nanoseconds } = self;
        write!(
            f,
            "{sign}{:>10}.{:03}",
            nanoseconds / 1000,
            nanoseconds % 1000
        )
    }
}

/// A trace number, or a dash.
struct Number(u16);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            EVENT_NONE => f.pad("-"),
            number => fmt::Display::fmt(&number, f),
        }
    }
}

/// What was read, or the word before and what was written.
struct Value<'a>(&'a Record);

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let record = self.0;
        if record.tag.flags().contains(Flags::REFUSED) {
            return f.write_str("not supported");
        }
        match record.tag.direction() {
            Direction::Read => write!(f, "{}", record.value),
            Direction::Write => write!(f, "{} -> {}", record.old, record.value),
        }
    }
}
