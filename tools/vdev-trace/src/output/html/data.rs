//! What the page's script reads: JSON, in the columns and in the order that `page/trace.js` knows.

use super::{Html, Row};
use crate::output::curves::Curves;
use crate::output::words::Operation;
use crate::vms::names::Names;
use guest_access::Direction;
use serde_json::Value;
use std::collections::HashMap;
use std::io::{self, Write};
use trace_records::{EVENT_NONE, Flags};
use vm_components::log_lines::AddressText;

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

impl<W: Write> Html<'_, W> {
    /// What the page's script reads; the order of a row's columns is the one it knows. Rows
    /// are numbers, so that only the texts and what the configuration says need care.
    pub(super) fn write_data(&mut self) -> io::Result<()> {
        let (mut texts, mut curves) = (Texts::default(), Curves::new(self.names));
        write!(self.out, "{{\"left_out\":{},\"rows\":[", self.left_out)?;
        for (index, row) in self.rows.iter().enumerate() {
            let before = if index == 0 { "" } else { "," };
            let vm = self.vms[row.ring()];
            let columns = columns(row, vm, self.names, &mut curves, &mut texts);
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

/// JSON that does not end the script that it stands in, as `</script` would.
fn in_script(value: Value) -> String {
    value.to_string().replace('<', "\\u003c")
}

/// The columns that no row has more of.
const MAX_COLUMNS: usize = 20;

/// A row's columns: a number, a text's place, or nothing to show. Those that a row does not
/// have are left out.
fn columns(
    row: &Row,
    vm: u8,
    names: &Names,
    curves: &mut Curves<'_>,
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
            let register = names.register(vm, record);
            let point = curves.point(vm, record);
            set(&[
                Some(0),
                ring,
                Some(script_time(*nanoseconds)),
                texts.place(names.device(vm, tag.instance()).name),
                texts.place(Operation(record).to_string()),
                Some(u64::from(tag.direction() == Direction::Write)),
                Some(u64::from(tag.flags().contains(Flags::REFUSED))),
                texts.place(format!("{:#010x}", AddressText(record.location()))),
                Some(record.value.into()),
                Some(record.old.into()),
                point.as_ref().map(|point| point.value.into()),
                point.and_then(|point| texts.place(point.curve)),
                texts.place(format!("{:#x}", record.pc)),
                function.and_then(|name| texts.place(name.to_string())),
                Some(tag.event())
                    .filter(|event| *event != EVENT_NONE)
                    .map(u64::from),
                Some(record.sequence),
                Some(record.epoch.into()),
                Some(*number),
                register.and_then(|register| texts.place(register.name.to_owned())),
            ]);
            columns[MAX_COLUMNS - 1] = wrong_stamp.map(Some);
        }
    }
    columns
}

/// The script counts in floating point, exact to a nanosecond for a hundred days.
pub(super) fn script_time(nanoseconds: u128) -> u64 {
    u64::try_from(nanoseconds).unwrap_or(u64::MAX)
}
