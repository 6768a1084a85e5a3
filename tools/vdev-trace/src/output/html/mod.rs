//! The trace as one HTML file that needs nothing else: data, style and script in it.
//!
//! The page itself is `page/trace.html`; here its rows are gathered. Its data are written by `data`,
//! and what stands for them where no script runs by `plain`. Invariant: memory does not grow with the
//! number of records. A page shows the newest ones and says how many there were.

mod data;
mod plain;

use crate::output::words::Words;
use crate::records::meaning::Meaning;
use crate::records::sink::Sink;
use crate::records::stream::{End, Item, Stream};
use crate::vms::names::Names;
use data::script_time;
use oversight::Report;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::io::{self, Write};
use trace_records::{Kind, Record};

/// Rows that a page shows; more would make a browser slow.
pub const MAX_ROWS: usize = 100_000;

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
