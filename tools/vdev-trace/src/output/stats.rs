//! The trace in figures: how many, how fast, from where, and what is missing.
//!
//! Invariant: memory does not grow with the number of records, though there may be as many
//! program counters as a guest likes; from some number on they are counted together.

use crate::records::meaning::Meaning;
use crate::records::sink::Sink;
use crate::records::stream::{End, Item, Stream};
use crate::vms::names::Names;
use guest_access::Direction;
use oversight::Report;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::io::{self, Write};
use trace_records::{Flags, Kind, Record, Tag};
use vdev_model::Register;

/// Program counters that are told apart, for each ring.
const MAX_COUNTERS: usize = 1 << 14;
/// Those that are printed.
const PRINTED_COUNTERS: usize = 10;

/// Sums up, and prints at the end.
pub struct Stats<'a, W> {
    out: W,
    names: &'a Names,
    rings: Vec<RingSums>,
    run: Option<String>,
}

#[derive(Default)]
struct RingSums {
    /// In nanoseconds since the start; none before the first record.
    first: Option<u128>,
    last: u128,
    accesses: u64,
    others: u64,
    lost: u64,
    gaps: u64,
    /// The second that is being counted, its accesses, and the most in any.
    second: (u128, u64),
    busiest: u64,
    devices: BTreeMap<u8, AccessSums>,
    /// Of the registers that have a name, by their device and their place in it.
    registers: BTreeMap<(u8, u64), RegisterSums>,
    counters: HashMap<u64, Places>,
    other_counters: u64,
}

/// The accesses to a device, or to a register.
#[derive(Default)]
struct AccessSums {
    reads: u64,
    writes: u64,
    refused: u64,
}

struct RegisterSums {
    name: &'static str,
    sums: AccessSums,
}

impl AccessSums {
    fn count(&mut self, tag: Tag) {
        *match tag.direction() {
            _ if tag.flags().contains(Flags::REFUSED) => &mut self.refused,
            Direction::Read => &mut self.reads,
            Direction::Write => &mut self.writes,
        } += 1;
    }
}

impl fmt::Display for AccessSums {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            reads,
            writes,
            refused,
        } = self;
        write!(f, "{reads} reads, {writes} writes, {refused} refused")
    }
}

#[derive(Default)]
struct Places {
    reads: u64,
    writes: u64,
}

impl<'a, W: Write> Stats<'a, W> {
    /// Prints to `out`.
    pub fn new(out: W, names: &'a Names) -> Self {
        Self {
            out,
            names,
            rings: Vec::new(),
            run: None,
        }
    }
}

impl RingSums {
    fn lose(&mut self, count: u64) {
        self.lost = self.lost.saturating_add(count);
        self.gaps += u64::from(count != 0);
    }

    fn count(&mut self, record: &Record, register: Option<&'static Register>, nanoseconds: u128) {
        self.accesses += 1;
        let second = nanoseconds / 1_000_000_000;
        if second != self.second.0 {
            self.second = (second, 0);
        }
        self.second.1 += 1;
        self.busiest = self.busiest.max(self.second.1);
        let (tag, instance) = (record.tag, record.tag.instance());
        self.devices.entry(instance).or_default().count(tag);
        if let Some(Register { name, offset, .. }) = register {
            let registers = self.registers.entry((instance, *offset));
            let sums = registers.or_insert_with(|| RegisterSums {
                name,
                sums: AccessSums::default(),
            });
            sums.sums.count(tag);
        }
        if self.counters.len() >= MAX_COUNTERS && !self.counters.contains_key(&record.pc) {
            self.other_counters += 1;
            return;
        }
        let place = self.counters.entry(record.pc).or_default();
        *(if tag.direction() == Direction::Read {
            &mut place.reads
        } else {
            &mut place.writes
        }) += 1;
    }

    fn seconds(&self) -> f64 {
        self.last.saturating_sub(self.first.unwrap_or(self.last)) as f64 / 1e9
    }

    fn print(
        &self,
        out: &mut impl Write,
        names: &Names,
        stream: &Stream,
        end: &End,
    ) -> io::Result<()> {
        let vm = names.vm(stream.vm);
        writeln!(out, "{vm}, {:?} ring ({})", stream.kind, stream.place)?;
        let seconds = self.seconds();
        let rate = match seconds > 0.0 {
            true => format!(", {:.1} a second", self.accesses as f64 / seconds),
            false => String::new(),
        };
        writeln!(
            out,
            "  accesses  {} in {seconds:.6} s{rate}, {} in the busiest second",
            self.accesses, self.busiest
        )?;
        if self.others != 0 {
            writeln!(
                out,
                "  others    {} records that are no access",
                self.others
            )?;
        }
        for (instance, sums) in &self.devices {
            let device = names.device(stream.vm, *instance).name;
            writeln!(out, "  device    {device:<12} {sums}")?;
            let registers = self.registers.range((*instance, 0)..=(*instance, u64::MAX));
            for RegisterSums { name, sums } in registers.map(|(_, register)| register) {
                writeln!(out, "  register  {:<20} {sums}", format!("{device} {name}"))?;
            }
        }
        let mut places: Vec<_> = self.counters.iter().collect();
        places.sort_by_key(|(pc, place)| (u64::MAX - place.reads - place.writes, **pc));
        for (pc, Places { reads, writes }) in places.iter().take(PRINTED_COUNTERS) {
            let function = names.function(stream.vm, **pc);
            let function = function.map(|name| format!("  {name}")).unwrap_or_default();
            writeln!(
                out,
                "  pc        {pc:#012x} {reads} reads, {writes} writes{function}"
            )?;
        }
        let more = places.len().saturating_sub(PRINTED_COUNTERS);
        let unprinted = places.iter().skip(PRINTED_COUNTERS);
        let unprinted: u64 = unprinted.map(|(_, place)| place.reads + place.writes).sum();
        if more != 0 {
            let together = unprinted + self.other_counters;
            let least = if self.other_counters == 0 {
                ""
            } else {
                "at least "
            };
            writeln!(out, "  pc        {least}{more} others: {together} accesses")?;
        }
        writeln!(
            out,
            "  lost      {} records in {} places; {} overwritten or lost by the ring's own count",
            self.lost, self.gaps, end.overwritten
        )?;
        if end.wrong_stamps != 0 {
            let wrong = end.wrong_stamps;
            writeln!(
                out,
                "  stamps    {wrong} cannot be, taken for the one before"
            )?;
        }
        if end.torn != 0 || end.cut != 0 {
            writeln!(
                out,
                "  damage    {} records unreadable, {} slots not in the input",
                end.torn, end.cut
            )?;
        }
        for note in &end.notes {
            writeln!(out, "  note      {note}")?;
        }
        Ok(())
    }
}

impl<W: Write> Sink for Stats<'_, W> {
    fn report(&mut self, report: &Report) -> io::Result<()> {
        self.run = Some(self.names.run(report));
        Ok(())
    }

    fn open(&mut self, stream: &Stream) -> io::Result<()> {
        self.rings.resize_with(stream.index + 1, RingSums::default);
        Ok(())
    }

    fn item(&mut self, stream: &Stream, item: &Item) -> io::Result<()> {
        let (_, meaning) = Meaning::of(stream.kind, &item.payload);
        let nanoseconds = stream.nanoseconds(item.time);
        let sums = &mut self.rings[stream.index];
        sums.lose(item.lost_before);
        sums.first.get_or_insert(nanoseconds);
        sums.last = nanoseconds;
        match meaning {
            Meaning::Event(Kind::Access, record) => {
                let register = self.names.register(stream.vm, &record);
                sums.count(&record, register, nanoseconds);
            }
            _ => sums.others += 1,
        }
        Ok(())
    }

    fn close(&mut self, stream: &Stream, end: &End) -> io::Result<()> {
        let mut sums = std::mem::take(&mut self.rings[stream.index]);
        sums.lose(end.lost_after);
        sums.print(&mut self.out, self.names, stream, end)
    }

    fn finish(&mut self) -> io::Result<()> {
        if let Some(run) = &self.run {
            writeln!(self.out, "{run}")?;
        }
        self.out.flush()
    }
}
