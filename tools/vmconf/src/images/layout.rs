//! What an image has for which place, and all images of a VM in its RAM, none on another.
//!
//! Used by [`Images::lay_out`](super::Images::lay_out). Invariant: a piece that comes out lies in the RAM
//! and has its bytes in the image region.

use super::segment::Segment;
use super::{ELF_MAGIC, Machine, Unfit, controller};
use crate::diagnostics::Diagnostic;
use crate::source::Spanned;
use crate::vm::{LaidOut, Load, Vm};
use object::LittleEndian;
use object::read::elf::FileHeader;
use vm_config::{MAX_PIECES, Piece, RamRange, image_crc32};

/// Pieces begin in the image region at a multiple of this: who copies them does it in words.
const ALIGN: u64 = 16;

/// An image, as far as it is right for any VM.
pub(super) struct Contents<'a> {
    load: &'a Spanned<Load>,
    file: &'a [u8],
    /// What it is for, if it tells.
    pub(super) machine: Option<Machine>,
    segments: Vec<Segment>,
    entry: u64,
}

impl<'a> Contents<'a> {
    /// Those of `file`; `wanted` is what the VM's vCPU is, where that is known.
    pub(super) fn of(
        load: &'a Spanned<Load>,
        file: &'a [u8],
        is_first: bool,
        wanted: Option<Machine>,
    ) -> Result<Self, Vec<Diagnostic>> {
        let unfit = Unfit { load };
        let Some(base) = load.value.address else {
            let header = unfit.begins_as(file)?;
            let machine = unfit.is_for_us(header, wanted)?;
            return Ok(Self {
                load,
                file,
                machine: Some(machine),
                segments: unfit.is_whole(header, file)?,
                entry: header.e_entry(LittleEndian),
            });
        };
        if is_first && file.starts_with(ELF_MAGIC) {
            return Err(vec![
                unfit
                    .error("is an ELF file", "the guest would start in its headers")
                    .help("leave the address out: an ELF file says itself what of it goes where"),
            ]);
        }
        let len_bytes = file.len() as u64;
        Ok(Self {
            load,
            file,
            machine: None,
            segments: vec![Segment {
                number: None,
                place: RamRange { base, len_bytes },
                virtual_start: base,
                bytes: 0..file.len(),
            }],
            entry: base,
        })
    }

    fn unfit(&self) -> Unfit<'_> {
        Unfit { load: self.load }
    }
}

/// Lays the images out; `machine` is what the VM's vCPU is, where that is known.
pub(super) fn lay_out(
    images: &[Contents<'_>],
    vm: &Vm,
    machine: Option<Machine>,
) -> Result<(LaidOut, Vec<u8>), Vec<Diagnostic>> {
    let mut errors = machine.map_or_else(Vec::new, |machine| controller::check(vm, machine));
    for (index, image) in images.iter().enumerate() {
        let entry = (index == 0).then_some(image.entry);
        let found = image.unfit().fits(&image.segments, entry, vm, machine);
        errors.extend(found);
        let earlier = images.iter().take(index);
        errors.extend(earlier.filter_map(|earlier| overlap(earlier, image)));
    }
    // Nothing is copied before it is known that all is well: what the headers of a file claim together
    // can be many times its length.
    let (mut pieces, mut sources, mut len_bytes) = (Vec::new(), Vec::new(), 0_u64);
    for image in images {
        let segments = image.segments.iter();
        for segment in segments.filter(|segment| !segment.bytes.is_empty()) {
            let piece = Piece {
                address: segment.place.base,
                len_bytes: segment.bytes.len() as u64,
                offset: len_bytes.next_multiple_of(ALIGN),
            };
            len_bytes = piece.offset.saturating_add(piece.len_bytes);
            pieces.push(piece);
            sources.push(image.file.get(segment.bytes.clone()).unwrap_or_default());
        }
    }
    let count = pieces.len();
    if let Some(last) = images.last()
        && (count > MAX_PIECES || len_bytes > u32::MAX.into())
    {
        let label = format!("{count} pieces and {len_bytes} bytes");
        let title = "the images have too many pieces, or are too large together";
        let help = format!("a VM has room for {MAX_PIECES} pieces and 4 GiB of them");
        let error = Diagnostic::error(last.load.span, title).label(label);
        errors.push(error.help(help));
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let mut region = Vec::new();
    for (piece, bytes) in pieces.iter().zip(sources) {
        region.resize(piece.offset as usize, 0);
        region.extend(bytes);
    }
    let files = images.iter().map(|image| {
        // A file is read only if its length fits.
        (image.file.len() as u32, Some(image_crc32(image.file)))
    });
    let laid_out = LaidOut {
        machine: machine.map(Machine::number),
        files: files.collect(),
        pieces,
        entry: images.first().map_or(0, |image| image.entry),
        device_tree: None,
    };
    Ok((laid_out, region))
}

/// Two images want one place.
fn overlap(first: &Contents<'_>, second: &Contents<'_>) -> Option<Diagnostic> {
    let mut pairs = first
        .segments
        .iter()
        .flat_map(|one| second.segments.iter().map(move |other| (one, other)));
    let (one, other) = pairs.find(|(one, other)| {
        let is_empty = one.place.len_bytes == 0 || other.place.len_bytes == 0;
        !is_empty && one.place.base < other.end() && other.place.base < one.end()
    })?;
    let error = second
        .unfit()
        .error("lies on another image", other.extent());
    let error = error.also(first.load.span, one.extent());
    Some(error.help(match second.unfit().is_flat() {
        true => "give it another address",
        false => "link it to other addresses",
    }))
}
