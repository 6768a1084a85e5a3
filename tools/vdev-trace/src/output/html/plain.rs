//! What a browser shows that runs no scripts.

use super::{Html, Row};
use serde_json::Value;
use std::io::{self, Write};
use trace_records::Kind;
use vm_components::log_lines::Event;

/// Rows that are shown without a script.
const PLAIN_ROWS: usize = 200;

impl<W: Write> Html<'_, W> {
    /// What a browser shows that runs no scripts: the rings, and the newest records.
    pub(super) fn write_plain(&mut self) -> io::Result<()> {
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
                        device: device.words(),
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
