//! The trace as one HTML file that needs nothing else: data, style and script in it.
//!
//! The page itself is `page/trace.html`; here its data are gathered. Invariant: memory does
//! not grow with the number of records. A page shows the newest ones and says how many there
//! were.

use crate::output::word::word_after;
use crate::output::words::{Operation, Words};
use crate::records::meaning::Meaning;
use crate::records::sink::Sink;
use crate::records::stream::{End, Item, Stream};
use crate::vms::names::Names;
use guest_access::Direction;
use oversight::Report;
use serde_json::{Value, json};
use std::collections::{HashMap, VecDeque};
use std::io::{self, Write};
use trace_records::{EVENT_NONE, Flags, Kind, Record};
use vm_components::lines::Event;

/// Rows that a page shows; more would make a browser slow.
pub const MAX_ROWS: usize = 100_000;

/// Rows that are shown without a script.
const PLAIN_ROWS: usize = 200;

const PAGE: &str = include_str!("page/trace.html");
const STYLE: &str = include_str!("page/trace.css");
const SCRIPT: &str = include_str!("page/trace.js");

/// Gathers rows, and writes the page at the end.
pub struct Html<'a, W> {
    out: W,
    names: &'a Names,
    rings: Vec<Value>,
    /// The VM of each ring.
    vms: Vec<u8>,
    rows: VecDeque<Row>,
    /// Rows that have made room for newer ones.
    left_out: u64,
    run: Option<String>,
}

/// What stands in a line of the table, or is a gap in it.
enum Row {
    Access {
        ring: usize,
        nanoseconds: u128,
        number: u64,
        record: Record,
        /// What its stamp says, in nanoseconds, if that cannot be.
        wrong_stamp: Option<u64>,
    },
    Other {
        ring: usize,
        nanoseconds: u128,
        text: String,
    },
    Lost {
        ring: usize,
        nanoseconds: u128,
        count: u64,
    },
}

impl Row {
    fn ring(&self) -> usize {
        match self {
            Self::Access { ring, .. } | Self::Other { ring, .. } | Self::Lost { ring, .. } => *ring,
        }
    }
}

impl<'a, W: Write> Html<'a, W> {
    /// Writes to `out`.
    pub fn new(out: W, names: &'a Names) -> Self {
        Self {
            out,
            names,
            rings: Vec::new(),
            vms: Vec::new(),
            rows: VecDeque::new(),
            left_out: 0,
            run: None,
        }
    }

    fn push(&mut self, row: Row) {
        if self.rows.len() == MAX_ROWS {
            self.rows.pop_front();
            self.left_out += 1;
        }
        self.rows.push_back(row);
    }

    fn lose(&mut self, ring: usize, nanoseconds: u128, count: u64) {
        if count != 0 {
            self.push(Row::Lost {
                ring,
                nanoseconds,
                count,
            });
        }
    }
}

/// Texts that many rows share, each kept once.
#[derive(Default)]
struct Texts {
    texts: Vec<String>,
    places: HashMap<String, usize>,
}

impl Texts {
    fn place(&mut self, text: String) -> Option<u64> {
        let place = *self.places.entry(text).or_insert_with_key(|text| {
            self.texts.push(text.clone());
            self.texts.len() - 1
        });
        Some(place as u64)
    }
}

impl<W: Write> Sink for Html<'_, W> {
    fn report(&mut self, report: &Report) -> io::Result<()> {
        self.run = Some(self.names.run(report));
        Ok(())
    }

    fn open(&mut self, stream: &Stream) -> io::Result<()> {
        self.vms.push(stream.vm);
        self.rings.push(json!({
            "vm": self.names.vm(stream.vm),
            "kind": format!("{:?}", stream.kind),
        }));
        Ok(())
    }

    fn item(&mut self, stream: &Stream, item: &Item) -> io::Result<()> {
        let (_, meaning) = Meaning::of(stream.kind, &item.payload);
        let nanoseconds = stream.nanoseconds(item.time);
        let ring = stream.index;
        self.lose(ring, nanoseconds, item.lost_before);
        self.push(match meaning {
            Meaning::Event(Kind::Access, record) => Row::Access {
                ring,
                nanoseconds,
                number: item.sequence,
                record,
                wrong_stamp: item
                    .wrong_stamp
                    .map(|stamp| script_time(stream.nanoseconds(stamp))),
            },
            meaning => {
                let words = Words {
                    meaning: &meaning,
                    stream,
                    names: self.names,
                };
                Row::Other {
                    ring,
                    nanoseconds,
                    text: words.to_string(),
                }
            }
        });
        Ok(())
    }

    fn close(&mut self, stream: &Stream, end: &End) -> io::Result<()> {
        let last = self.rows.iter().rev().find_map(|row| match row {
            Row::Access {
                ring, nanoseconds, ..
            }
            | Row::Other {
                ring, nanoseconds, ..
            } => (*ring == stream.index).then_some(*nanoseconds),
            Row::Lost { .. } => None,
        });
        self.lose(stream.index, last.unwrap_or(0), end.lost_after);
        let ring = &mut self.rings[stream.index];
        ring["records"] = end.records.into();
        ring["overwritten"] = end.overwritten.into();
        ring["torn"] = end.torn.into();
        let mut notes = end.notes.clone();
        if end.wrong_stamps != 0 {
            let wrong = end.wrong_stamps;
            notes.push(format!(
                "{wrong} stamps cannot be, and are taken for the one before"
            ));
        }
        ring["notes"] = notes.into();
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        let mut rest = PAGE;
        for part in [Part::Style, Part::Plain, Part::Data, Part::Script] {
            let Some((before, after)) = rest.split_once(part.mark()) else {
                continue;
            };
            self.out.write_all(before.as_bytes())?;
            match part {
                Part::Style => self.out.write_all(STYLE.as_bytes())?,
                Part::Plain => self.write_plain()?,
                Part::Data => self.write_data()?,
                Part::Script => self.out.write_all(SCRIPT.as_bytes())?,
            }
            rest = after;
        }
        self.out.write_all(rest.as_bytes())?;
        self.out.flush()
    }
}

/// What is put into the page.
#[derive(Clone, Copy)]
enum Part {
    Style,
    Plain,
    Data,
    Script,
}

impl Part {
    /// Where it goes.
    fn mark(self) -> &'static str {
        match self {
            Self::Style => "{{style}}",
            Self::Plain => "{{plain}}",
            Self::Data => "{{data}}",
            Self::Script => "{{script}}",
        }
    }
}

impl<W: Write> Html<'_, W> {
    /// What the page's script reads; the order of a row's columns is the one it knows. Rows
    /// are numbers, so that only the texts and what the configuration says need care.
    fn write_data(&mut self) -> io::Result<()> {
        let mut texts = Texts::default();
        write!(self.out, "{{\"left_out\":{},\"rows\":[", self.left_out)?;
        for (index, row) in self.rows.iter().enumerate() {
            let before = if index == 0 { "" } else { "," };
            let vm = self.vms[row.ring()];
            let columns = columns(row, vm, self.names, &mut texts);
            write!(self.out, "{before}\n[")?;
            for (index, column) in columns.into_iter().flatten().enumerate() {
                let before = if index == 0 { "" } else { "," };
                match column {
                    Some(number) => write!(self.out, "{before}{number}")?,
                    None => write!(self.out, "{before}null")?,
                }
            }
            write!(self.out, "]")?;
        }
        let (rings, run) = (self.rings.clone().into(), self.run.clone().into());
        let [rings, texts, run]: [String; 3] = [rings, texts.texts.into(), run].map(in_script);
        write!(
            self.out,
            "],\"rings\":{rings},\"texts\":{texts},\"run\":{run}}}"
        )
    }
}

impl<W: Write> Html<'_, W> {
    /// What a browser shows that runs no scripts: the rings, and the newest records.
    fn write_plain(&mut self) -> io::Result<()> {
        let out = &mut self.out;
        writeln!(
            out,
            "<div id=\"plain\"><p>Without its script this page shows the rings and the newest \
             records; with it, charts and filters.</p>\n<table><tr><th>VM<th>ring<th>records\
             <th>overwritten<th>torn<th>remarks"
        )?;
        for ring in &self.rings {
            write!(out, "<tr>")?;
            for key in ["vm", "kind", "records", "overwritten", "torn", "notes"] {
                let cell = match &ring[key] {
                    Value::String(text) => text.clone(),
                    Value::Array(texts) => {
                        let texts = texts.iter().filter_map(Value::as_str);
                        texts.collect::<Vec<_>>().join("; ")
                    }
                    other => other.to_string(),
                };
                write!(out, "<td>{}", escaped(&cell))?;
            }
            writeln!(out)?;
        }
        let run = escaped(self.run.as_deref().unwrap_or_default());
        writeln!(
            out,
            "</table>\n<p>{run}</p>\n<table><tr><th>time<th>VM<th>record"
        )?;
        let newest = self.rows.len().saturating_sub(PLAIN_ROWS);
        for row in self.rows.iter().skip(newest) {
            let vm = self.vms[row.ring()];
            let (nanoseconds, text) = match row {
                Row::Access {
                    nanoseconds,
                    record,
                    ..
                } => {
                    let device = &self.names.device(vm, record.tag.instance());
                    let event = Event {
                        kind: Kind::Access,
                        record,
                        device,
                    };
                    (nanoseconds, event.to_string())
                }
                Row::Other {
                    nanoseconds, text, ..
                } => (nanoseconds, text.clone()),
                Row::Lost {
                    nanoseconds, count, ..
                } => (nanoseconds, format!("{count} records lost before this")),
            };
            writeln!(
                out,
                "<tr><td>{}.{:06}<td>{}<td>{}",
                nanoseconds / 1_000_000_000,
                nanoseconds % 1_000_000_000 / 1000,
                escaped(&self.names.vm(vm)),
                escaped(&text)
            )?;
        }
        write!(out, "</table></div>")
    }
}

/// Text as HTML has it.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for character in text.chars() {
        match character {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            other => escaped.push(other),
        }
    }
    escaped
}

/// JSON that does not end the script that it stands in, as `</script` would.
fn in_script(value: Value) -> String {
    value.to_string().replace('<', "\\u003c")
}

/// The columns that no row has more of.
const MAX_COLUMNS: usize = 18;

/// A row's columns: a number, a text's place, or nothing to show. Those that a row does not
/// have are left out.
fn columns(
    row: &Row,
    vm: u8,
    names: &Names,
    texts: &mut Texts,
) -> [Option<Option<u64>>; MAX_COLUMNS] {
    let mut columns = [None; MAX_COLUMNS];
    let mut set = |values: &[Option<u64>]| {
        for (place, value) in columns.iter_mut().zip(values) {
            *place = Some(*value);
        }
    };
    let ring = Some(row.ring() as u64);
    match row {
        Row::Lost {
            nanoseconds, count, ..
        } => set(&[Some(2), ring, Some(script_time(*nanoseconds)), Some(*count)]),
        Row::Other {
            nanoseconds, text, ..
        } => set(&[
            Some(1),
            ring,
            Some(script_time(*nanoseconds)),
            texts.place(text.clone()),
        ]),
        Row::Access {
            nanoseconds,
            number,
            record,
            wrong_stamp,
            ..
        } => {
            let tag = record.tag;
            let function = names.function(vm, record.pc);
            set(&[
                Some(0),
                ring,
                Some(script_time(*nanoseconds)),
                texts.place(names.device(vm, tag.instance())),
                texts.place(Operation(record).to_string()),
                Some(u64::from(tag.direction() == Direction::Write)),
                Some(u64::from(tag.flags().contains(Flags::REFUSED))),
                texts.place(format!("{:#010x}", record.address.0)),
                Some(record.value.into()),
                Some(record.old.into()),
                word_after(record).map(u64::from),
                texts.place(format!("{:#x}", record.pc)),
                function.and_then(|name| texts.place(name.to_string())),
                Some(tag.event())
                    .filter(|event| *event != EVENT_NONE)
                    .map(u64::from),
                Some(record.sequence),
                Some(record.epoch.into()),
                Some(*number),
            ]);
            columns[MAX_COLUMNS - 1] = wrong_stamp.map(Some);
        }
    }
    columns
}

/// The script counts in floating point, exact to a nanosecond for a hundred days.
fn script_time(nanoseconds: u128) -> u64 {
    u64::try_from(nanoseconds).unwrap_or(u64::MAX)
}
