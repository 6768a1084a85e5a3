//! Where a system has its rings: what looks like one elsewhere was written by a guest.
//!
//! Given by the command's options or by the runner, asked by `dump`. Invariant: what is said
//! comes from whoever built the system, never from the memory that is looked at.

use crate::input::source::Segment;
use roxmltree::Document;
use std::fmt;
use std::ops::Range;

/// In a system description, the regions of the trace rings begin with this: VM 0's is
/// `trace_ring`, VM 1's `trace_ring_1`.
const TRACE_RING: &str = "trace_ring";
/// The region of the page that says how the run went (`oversight`).
const REPORT: &str = "report";

/// Where something lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// In the file, in bytes.
    pub offset: u64,
    /// Its guest-physical address, where the file tells it.
    pub address: Option<u64>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "offset {:#x}", self.offset)?;
        match self.address {
            Some(address) => write!(f, " (address {address:#x})"),
            None => Ok(()),
        }
    }
}

/// Where rings count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Places {
    /// Nothing is known of the system.
    Anywhere,
    /// Only here, an offset or an address: somebody chose it.
    At(u64),
    /// Only what begins in one of these: addresses, or offsets of an input that tells none.
    In(Vec<Range<u64>>),
}

impl Places {
    /// Only what begins in this range.
    pub fn within(range: Range<u64>) -> Self {
        Self::In(Vec::from_iter([range]))
    }

    /// Whether what begins at `place` is one of the system's.
    pub fn hold(&self, place: Place) -> bool {
        match self {
            Self::Anywhere => true,
            Self::At(at) => place.offset == *at || place.address == Some(*at),
            Self::In(ranges) => {
                let at = place.address.unwrap_or(place.offset);
                ranges.iter().any(|range| range.contains(&at))
            }
        }
    }
}

/// A region of physical memory in a system description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Region {
    /// It is the report page's; otherwise a trace ring's.
    pub is_report: bool,
    /// Its first address.
    pub start: u64,
    /// Its length in bytes.
    pub len_bytes: u64,
}

/// Where a system description puts the trace rings and the report page: their regions have a
/// physical address, so that whoever looks from outside finds them.
///
/// # Errors
///
/// That it is no system description, or that one of them has no address.
pub fn looked_at(system: &str) -> Result<Vec<Region>, String> {
    let document = Document::parse(system).map_err(|error| error.to_string())?;
    let regions = document
        .descendants()
        .filter(|node| node.has_tag_name("memory_region"));
    let named = regions.filter_map(|region| Some((region.attribute("name")?, region)));
    let found = named.filter(|(name, _)| name.starts_with(TRACE_RING) || *name == REPORT);
    let found = found.map(|(name, region)| {
        let number = |name| region.attribute(name).and_then(hexadecimal);
        let (start, len_bytes) = number("phys_addr")
            .zip(number("size"))
            .ok_or_else(|| format!("{name} has no phys_addr and size in hexadecimal"))?;
        Ok(Region {
            is_report: name == REPORT,
            start,
            len_bytes,
        })
    });
    found.collect()
}

/// The same, if a trace ring is one of them.
///
/// # Errors
///
/// As for [`looked_at`], or that there is no trace ring.
pub fn with_rings(system: &str) -> Result<Vec<Region>, String> {
    let found = looked_at(system)?;
    match found.iter().all(|region| region.is_report) {
        true => Err(format!("no memory_region {TRACE_RING}")),
        false => Ok(found),
    }
}

/// Rings and the report begin where their regions do, and nowhere else in them.
pub fn starts(regions: &[Region]) -> Places {
    let starts = regions.iter().map(|region| region.start..region.start + 1);
    Places::In(starts.collect())
}

/// The segments of a file of `len_bytes` that holds these regions one after the other, as the
/// runner dumps them; none if it is of another length.
pub fn pieces(regions: &[Region], len_bytes: u64) -> Option<Vec<Segment>> {
    let mut offset = 0_u64;
    let mut segments = Vec::new();
    for Region {
        start, len_bytes, ..
    } in regions
    {
        segments.push(Segment {
            offset,
            len_bytes: *len_bytes,
            claimed_bytes: *len_bytes,
            address: Some(*start),
        });
        offset = offset.checked_add(*len_bytes)?;
    }
    (offset == len_bytes).then_some(segments)
}

fn hexadecimal(text: &str) -> Option<u64> {
    u64::from_str_radix(&text.strip_prefix("0x")?.replace('_', ""), 16).ok()
}
