//! Rings in a dump of a machine's memory.
//!
//! A ring starts at a page with its magic number (`shared_ring`). Reading does not disturb
//! the machine: the dump was taken from outside. Used by the command and by `whole_dump`.
//! Invariant: what lies where the system has no ring ([`Places`]) is named and not read, so that a
//! guest's RAM costs no more than a look at each of its pages.

use crate::input::layout::Layout;
use crate::input::places::{Place, Places};
use crate::input::ring::RingReader;
use crate::input::ring::header::{BadRing, Header, PAGE_BYTES, kind_of};
use crate::input::source::{ReadAt, Segment};
use oversight::Report;
use shared_ring::{MAGIC, RingKind, header_word};
use std::{fmt, io};

/// Bytes of a dump that are searched at once.
const SEARCHED_BYTES: usize = 1 << 20;

/// A report page begins with this (`oversight`).
const REPORT_MAGIC: &[u8] = b"VTRACEND";

/// No system has more rings: a guest whose RAM is full of headers must not make each be held
/// against its slots.
const MAX_RINGS: usize = 64;

/// So many that are not the system's are told by their places.
const MAX_FORGED: usize = 8;

/// Two rings of different layout versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mixture {
    rings: [(Layout, Place); 2],
    /// Both are where the system has its rings; otherwise one may be a guest's.
    pub is_the_systems: bool,
}

impl fmt::Display for Mixture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [(one, here), (other, there)] = self.rings;
        write!(
            f,
            "rings of two layout versions: {one} at {here}, {other} at {there}"
        )
    }
}

/// The rings in a dump.
pub struct Memory<'a> {
    bytes: &'a dyn ReadAt,
    /// Those that can be read.
    pub rings: Vec<Header>,
    /// Those that cannot.
    pub bad: Vec<BadRing>,
    /// What the system says of its run, from the pages that are where it has its rings.
    pub reports: Vec<Report>,
    /// Where the system has no ring and something looks like one.
    pub forged: Vec<Forged>,
    /// How many more of these there are.
    pub forged_more: u64,
    /// How many more there are of those that can be read or cannot.
    pub too_many: u64,
    /// It is known where the system has its rings.
    is_told_where: bool,
}

/// What looks like a ring where the system has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forged {
    /// Where it is.
    pub place: Place,
    /// Which ring it claims to be, if there is such a one.
    pub kind: Option<RingKind>,
    /// Whose ring it claims to be.
    pub vm: u8,
}

impl fmt::Display for Forged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, kind, vm } = self;
        match kind {
            Some(kind) => write!(f, "what looks like a {kind:?} ring of VM {vm}")?,
            None => f.write_str("what looks like a ring")?,
        }
        write!(f, " is in guest RAM, at {place}, where the system has none")
    }
}

impl<'a> Memory<'a> {
    /// Finds all rings in the segments of a dump that are in the system's places; `progress` is
    /// told how many bytes were searched.
    ///
    /// # Errors
    ///
    /// Those of the dump.
    pub fn search(
        bytes: &'a dyn ReadAt,
        segments: &[Segment],
        places: &Places,
        mut progress: impl FnMut(u64),
    ) -> io::Result<Self> {
        let mut memory = Self {
            bytes,
            rings: Vec::new(),
            bad: Vec::new(),
            reports: Vec::new(),
            forged: Vec::new(),
            forged_more: 0,
            too_many: 0,
            is_told_where: !matches!(places, Places::Anywhere),
        };
        let mut chunk = vec![0; SEARCHED_BYTES];
        for segment in segments {
            // A page of the machine need not start at a page of the file.
            let misaligned = segment.address.unwrap_or(0) % PAGE_BYTES as u64;
            let mut at = (PAGE_BYTES as u64 - misaligned) % PAGE_BYTES as u64;
            while at < segment.len_bytes {
                let wanted = (segment.len_bytes - at).min(SEARCHED_BYTES as u64) as usize;
                let len = bytes.read_at(&mut chunk[..wanted], segment.offset + at)?;
                for page in (0..len).step_by(PAGE_BYTES) {
                    if chunk[page..len].starts_with(&MAGIC.to_le_bytes()) {
                        memory.take(segment, at + page as u64, places)?;
                    } else if chunk[page..len].starts_with(REPORT_MAGIC) {
                        let page_bytes = &chunk[page..len];
                        memory.take_report(segment, at + page as u64, places, page_bytes);
                    }
                }
                if len < wanted {
                    break;
                }
                at += len as u64;
                progress(len as u64);
            }
        }
        Ok(memory)
    }

    fn take_report(&mut self, segment: &Segment, at: u64, places: &Places, bytes: &[u8]) {
        let place = Place {
            offset: segment.offset + at,
            address: segment.address.map(|address| address.wrapping_add(at)),
        };
        // A guest's RAM is no place for it. More than two say no more than two.
        if self.reports.len() < 2 && !matches!(places, Places::At(_)) && places.hold(place) {
            self.reports.extend(Report::parse(bytes));
        }
    }

    /// What the system says of its run: nothing if there are several such pages, of which all but
    /// one are forged.
    pub fn report(&self) -> Option<&Report> {
        match &self.reports[..] {
            [report] => Some(report),
            _ => None,
        }
    }

    fn take(&mut self, segment: &Segment, at: u64, places: &Places) -> io::Result<()> {
        let place = Place {
            offset: segment.offset + at,
            address: segment.address.map(|address| address.wrapping_add(at)),
        };
        if !places.hold(place) {
            return self.leave_out(place, places);
        }
        if self.rings.len() + self.bad.len() >= MAX_RINGS {
            self.too_many += 1;
            return Ok(());
        }
        match Header::read(self.bytes, place, segment.len_bytes - at)? {
            Ok(ring) => self.rings.push(ring),
            Err(bad) => self.bad.push(bad),
        }
        Ok(())
    }

    fn leave_out(&mut self, place: Place, places: &Places) -> io::Result<()> {
        if matches!(places, Places::At(_)) {
            // Whoever chose one knows that there are others.
            return Ok(());
        }
        if self.forged.len() >= MAX_FORGED {
            self.forged_more += 1;
            return Ok(());
        }
        let mut word = [0; 8];
        let at = place.offset + 8 * header_word::KIND_AND_VM as u64;
        self.bytes.read_at(&mut word, at)?;
        let [kind, vm, ..] = word;
        let kind = kind_of(kind);
        self.forged.push(Forged { place, kind, vm });
        Ok(())
    }

    /// The same with only the rings of `kind`.
    pub fn only(mut self, kind: RingKind) -> Self {
        self.rings.retain(|ring| ring.kind == kind);
        self
    }

    /// Two rings of the same kind and VM, if there are any: one of them is not the system's.
    pub fn double(&self) -> Option<(&Header, &Header)> {
        let mut rings = self.rings.iter().enumerate();
        rings.find_map(|(index, ring)| {
            let same = |other: &&Header| (other.kind, other.vm) == (ring.kind, ring.vm);
            Some((self.rings[..index].iter().find(same)?, ring))
        })
    }

    /// The parts of a system have the same layout version, or they do not understand each other.
    /// So a mixture is no system, or one of the rings is not the system's.
    pub fn mixture(&self) -> Option<Mixture> {
        let [first, others @ ..] = &self.rings[..] else {
            return None;
        };
        let other = others.iter().find(|other| other.layout != first.layout)?;
        Some(Mixture {
            rings: [first, other].map(|ring| (ring.layout, ring.place)),
            is_the_systems: self.is_told_where,
        })
    }

    pub(crate) fn readers(&self) -> impl Iterator<Item = RingReader<'a>> + '_ {
        let rings = self.rings.iter();
        rings.map(|ring| RingReader::new(self.bytes, ring.clone()))
    }
}
