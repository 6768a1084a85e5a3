//! The trace as one HTML file that needs nothing else: data, style and script in it.
//!
//! The page itself is `page/trace.html`; here its data are gathered. Invariant: memory does
//! not grow with the number of records. A page shows the newest ones and says how many there
//! were.

use crate::feed::{End, Item, Meaning, Sink, Stream};
use crate::names::Names;
use crate::text::{Operation, Words};
use crate::word::word_after;
use guest_trap::Direction;
use serde_json::{Value, json};
use std::collections::{HashMap, VecDeque};
use std::io::{self, Write};
use trace_records::{EVENT_NONE, Flags, Kind, Record};

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
    rows: VecDeque<Row>,
    /// Rows that have made room for newer ones.
    left_out: u64,
}

/// What stands in a line of the table, or is a gap in it.
enum Row {
    Access {
        ring: usize,
        nanoseconds: u128,
        number: u64,
        record: Record,
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

impl<'a, W: Write> Html<'a, W> {
    /// Writes to `out`.
    pub fn new(out: W, names: &'a Names) -> Self {
        Self {
            out,
            names,
            rings: Vec::new(),
            rows: VecDeque::new(),
            left_out: 0,
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
    fn place(&mut self, text: String) -> usize {
        *self.places.entry(text).or_insert_with_key(|text| {
            self.texts.push(text.clone());
            self.texts.len() - 1
        })
    }
}

impl<W: Write> Sink for Html<'_, W> {
    fn open(&mut self, stream: &Stream) -> io::Result<()> {
        self.rings.push(json!({
            "vm": self.names.vm(stream.vm),
            "number": stream.vm,
            "kind": format!("{:?}", stream.kind),
        }));
        Ok(())
    }

    fn item(&mut self, stream: &Stream, item: &Item) -> io::Result<()> {
        let (time, meaning) = Meaning::of(stream.kind, &item.payload);
        let nanoseconds = stream.nanoseconds(stream.since_start(time));
        let ring = stream.index;
        self.lose(ring, nanoseconds, item.lost_before);
        self.push(match meaning {
            Meaning::Event(Kind::Access, record) => Row::Access {
                ring,
                nanoseconds,
                number: item.sequence,
                record,
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
        ring["notes"] = end.notes.clone().into();
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        let data = self.data().to_string();
        // A page ends a script at `</script` wherever it stands.
        let data = data.replace('<', "\\u003c");
        let mut rest = PAGE;
        for (mark, text) in [
            ("{{style}}", STYLE),
            ("{{data}}", &data),
            ("{{script}}", SCRIPT),
        ] {
            let Some((before, after)) = rest.split_once(mark) else {
                continue;
            };
            self.out.write_all(before.as_bytes())?;
            self.out.write_all(text.as_bytes())?;
            rest = after;
        }
        self.out.write_all(rest.as_bytes())?;
        self.out.flush()
    }
}

impl<W> Html<'_, W> {
    /// What the page's script reads; the order of a row's columns is the one it knows.
    fn data(&self) -> Value {
        let mut texts = Texts::default();
        let rows: Vec<Value> = self
            .rows
            .iter()
            .map(|row| self.row(row, &mut texts))
            .collect();
        json!({
            "rings": self.rings,
            "left_out": self.left_out,
            "rows": rows,
            "texts": texts.texts,
        })
    }

    fn row(&self, row: &Row, texts: &mut Texts) -> Value {
        match row {
            Row::Lost {
                ring,
                nanoseconds,
                count,
            } => json!([2, ring, nanoseconds_of(*nanoseconds), count]),
            Row::Other {
                ring,
                nanoseconds,
                text,
            } => {
                json!([
                    1,
                    ring,
                    nanoseconds_of(*nanoseconds),
                    texts.place(text.clone())
                ])
            }
            Row::Access {
                ring,
                nanoseconds,
                number,
                record,
            } => {
                let vm = self.rings[*ring]["number"].as_u64().unwrap_or(0) as u8;
                let tag = record.tag;
                let function = self.names.function(vm, record.pc);
                json!([
                    0,
                    ring,
                    nanoseconds_of(*nanoseconds),
                    texts.place(self.names.device(vm, tag.instance())),
                    texts.place(Operation(record).to_string()),
                    u8::from(tag.direction() == Direction::Write),
                    u8::from(tag.flags().contains(Flags::REFUSED)),
                    texts.place(format!("{:#010x}", record.address.0)),
                    record.value,
                    record.old,
                    word_after(record),
                    texts.place(format!("{:#x}", record.pc)),
                    function.map(|name| texts.place(name.to_string())),
                    match tag.event() {
                        EVENT_NONE => None,
                        event => Some(event),
                    },
                    record.sequence,
                    record.epoch,
                    number,
                ])
            }
        }
    }
}

/// The script counts in floating point, exact to a nanosecond for a hundred days.
fn nanoseconds_of(nanoseconds: u128) -> u64 {
    u64::try_from(nanoseconds).unwrap_or(u64::MAX)
}
