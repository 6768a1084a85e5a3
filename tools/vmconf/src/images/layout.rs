//! All images of a VM in its RAM, none on another.
//!
//! Used by [`Images::lay_out`](super::Images::lay_out). What has a place of its own goes there; then a kernel goes as
//! low as it can, and a device tree and an initrd as high as they can, so that what an old kernel does not tell of its
//! needs is free behind it. Invariant: a piece that comes out lies in the RAM and has its bytes in the image region.
//!
//! ```text
//!   first range of RAM
//!   ┌────────┬──────────────────────────┬────────┬─────────────┬──────────────┐
//!   │ kernel │ free                     │ initrd │ device tree │ command line │
//!   └────────┴──────────────────────────┴────────┴─────────────┴──────────────┘
//! ```

use super::contents::{Contents, Goes, whole};
use super::kernel::{BASE_ALIGN, KernelImage};
use super::place::{TREE_BLOCK, Taken, crossed, window_above, window_holds};
use super::room::start_area;
use super::segment::{Segment, end, extent};
use super::tree::{self, Tree};
use super::{Machine, Unfit, controller};
use crate::device_tree::TREE_ALIGN;
use crate::diagnostics::Diagnostic;
use crate::vm::{Content, LaidOut, Vm};
use std::borrow::Cow;
use vm_config::{MAX_PIECES, PAGE_LEN_BYTES, Piece, RamRange, image_crc32};

/// Pieces begin in the image region at a multiple of this: who copies them does it in words.
const ALIGN: u64 = 16;

/// An image that has its place.
struct Placed<'a> {
    unfit: &'a Unfit,
    bytes: Cow<'a, [u8]>,
    segments: Cow<'a, [Segment]>,
    /// Where the guest starts, if it starts in this one.
    entry: Option<u64>,
}

/// Lays the images out; `machine` is what the VM's vCPU is, where that is known.
pub(super) fn lay_out(
    images: &[Contents<'_>],
    vm: &Vm,
    machine: Option<Machine>,
) -> Result<(LaidOut, Vec<u8>), Vec<Diagnostic>> {
    let tree = Tree::of(images, vm);
    let mut errors = machine.map_or_else(Vec::new, |machine| controller::check(vm, machine));
    errors.extend(tree::refused(images, tree.as_ref(), machine));
    let mut placer = Placer::new(vm, machine);
    let placed = placer.place(images, tree.as_ref());
    errors.extend(placer.errors);
    for (index, image) in placed.iter().enumerate() {
        let found = image.unfit.fits(&image.segments, image.entry, vm, machine);
        errors.extend(found);
        let earlier = placed.iter().take(index);
        errors.extend(earlier.filter_map(|earlier| overlap(earlier, image)));
    }
    // Nothing is copied before it is known that all is well: what the headers of a file claim together
    // can be many times its length.
    let (pieces, len_bytes) = pieces(&placed);
    if let Some(last) = placed.last() {
        errors.extend(last.unfit.is_too_much(pieces.len(), len_bytes));
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let files = images.iter().map(|image| {
        // A file is read only if its length fits.
        (image.file.len() as u32, Some(image_crc32(image.file)))
    });
    let place_of_tree = placed.last().filter(|_| tree.is_some());
    let laid_out = LaidOut {
        machine: machine.map(Machine::number),
        files: files.collect(),
        entry: placed.iter().find_map(|image| image.entry).unwrap_or(0),
        device_tree: place_of_tree
            .and_then(|it| it.segments.first())
            .map(|it| it.place.base),
        warnings: tree::warnings(images, vm),
        pieces: pieces.iter().map(|(piece, _)| *piece).collect(),
    };
    Ok((laid_out, region(&pieces)))
}

/// Finds the places.
struct Placer<'a> {
    vm: &'a Vm,
    taken: Taken,
    /// The kernel in which the guest starts.
    kernel: Option<RamRange>,
    errors: Vec<Diagnostic>,
}

impl<'a> Placer<'a> {
    fn new(vm: &'a Vm, machine: Option<Machine>) -> Self {
        let mut taken = Taken::default();
        if let Some(ram) = vm.ram.first() {
            taken.add(start_area(&ram.value, machine));
        }
        Self {
            vm,
            taken,
            kernel: None,
            errors: Vec::new(),
        }
    }

    /// Those for which there is a place, and the tree as the last of them.
    fn place<'b>(
        &mut self,
        images: &'b [Contents<'_>],
        tree: Option<&'b Tree<'_>>,
    ) -> Vec<Placed<'b>> {
        // Where the initrd is will be told; how long a tree is that tells it is known before.
        let initrd = images.iter().find(|it| it.content == Content::Initrd);
        let draft = tree.and_then(|tree| {
            let draft = tree.bytes(self.vm, initrd.map(|_| 0..0).as_ref());
            draft.map_err(|errors| self.errors.extend(errors)).ok()
        });
        let tree = tree.zip(draft);
        for segment in images.iter().filter_map(fixed).flatten() {
            self.taken.add(segment.place);
        }
        let mut place_of_tree = tree.as_ref().and_then(|(tree, draft)| {
            let place = whole(draft, tree.unfit.address?).place;
            self.taken.add(place);
            Some(place)
        });
        let mut placed = Vec::new();
        for (index, image) in images.iter().enumerate() {
            placed.extend(self.program(image, index == 0));
        }
        if let Some((tree, draft)) = &tree {
            place_of_tree =
                place_of_tree.or_else(|| self.high(&tree.unfit, draft.len(), Content::DeviceTree));
        }
        let initrd = initrd.and_then(|initrd| self.initrd(initrd));
        let told = initrd.as_ref().and_then(|it| it.segments.first());
        let told = told.map(|it| it.place.base..it.end());
        placed.extend(initrd);
        if let Some((tree, _)) = &tree
            && let Some(place) = place_of_tree
        {
            self.errors.extend(tree.unfit.can_be_read_there(&place));
            match tree.bytes(self.vm, told.as_ref()) {
                Ok(bytes) => placed.push(Placed {
                    unfit: &tree.unfit,
                    segments: vec![whole(&bytes, place.base)].into(),
                    bytes: bytes.into(),
                    entry: None,
                }),
                Err(errors) => self.errors.extend(errors),
            }
        }
        placed
    }

    fn program<'b>(&mut self, image: &'b Contents<'_>, is_first: bool) -> Option<Placed<'b>> {
        if image.content != Content::Image {
            return None;
        }
        let (segments, entry) = match &image.goes {
            Goes::There { segments, entry } => (Cow::from(segments), *entry),
            Goes::Kernel(kernel) => {
                let place = self.low(&image.unfit, kernel)?;
                self.kernel = self.kernel.or(is_first.then_some(place));
                let segment = Segment {
                    place,
                    ..whole(image.file, place.base)
                };
                (vec![segment].into(), place.base)
            }
            Goes::Anywhere | Goes::Tree(_) => return None,
        };
        Some(Placed {
            unfit: &image.unfit,
            bytes: image.file.into(),
            segments,
            entry: is_first.then_some(entry),
        })
    }

    fn initrd<'b>(&mut self, image: &'b Contents<'_>) -> Option<Placed<'b>> {
        let base = match image.unfit.address {
            Some(base) => base,
            None => {
                self.high(&image.unfit, image.file.len(), image.content)?
                    .base
            }
        };
        let segment = whole(image.file, base);
        if let Some(kernel) = &self.kernel
            && !window_holds(kernel, &segment.place)
        {
            let label = format!("the kernel is at {}", extent(kernel));
            let error = image.unfit.error("is too far from the kernel", label);
            let help = "Linux wants both in 32 GiB that begin at a multiple of 1 GiB";
            self.errors.push(error.help(help));
        }
        Some(Placed {
            unfit: &image.unfit,
            bytes: image.file.into(),
            segments: vec![segment].into(),
            entry: None,
        })
    }

    /// A kernel's place: as near to the beginning of the RAM as it can be, since what is below one of before Linux 4.6
    /// is lost to it.
    fn low(&mut self, unfit: &Unfit, kernel: &KernelImage) -> Option<RamRange> {
        let KernelImage {
            text_offset,
            len_bytes,
        } = *kernel;
        let ram = self.vm.ram.first()?;
        let place = self
            .taken
            .lowest(&ram.value, len_bytes, text_offset, BASE_ALIGN);
        let above = match text_offset {
            0 => "from".to_owned(),
            offset => format!("{offset:#x} above"),
        };
        let needs = format!("{len_bytes} bytes {above} a multiple of 2 MiB on");
        self.found(place, unfit, &needs)
    }

    /// The place of what is not in a kernel's way: the end of the RAM. Each begins with a page, since Linux frees an
    /// initrd's by pages.
    fn high(&mut self, unfit: &Unfit, len: usize, content: Content) -> Option<RamRange> {
        let is_tree = content == Content::DeviceTree;
        let block = is_tree.then_some(TREE_BLOCK);
        let limit = self.kernel.as_ref().map_or(u64::MAX, window_above);
        let is_near = |place: &RamRange| {
            let kernel = self.kernel.as_ref();
            is_tree || kernel.is_none_or(|kernel| window_holds(kernel, place))
        };
        let mut ram = self.vm.ram.iter();
        let place = ram.find_map(|ram| {
            let place = self
                .taken
                .highest(&ram.value, len as u64, PAGE_LEN_BYTES, block, limit);
            place.filter(is_near)
        });
        self.found(place, unfit, &format!("{len} bytes"))
    }

    fn found(&mut self, place: Option<RamRange>, unfit: &Unfit, needs: &str) -> Option<RamRange> {
        match place {
            Some(place) => self.taken.add(place),
            None => {
                let error = unfit.error("has no room in the RAM", format!("it needs {needs}"));
                let error = self.vm.ram.iter().fold(error, |error, ram| {
                    error.also(ram.span, format!("the RAM is {}", extent(&ram.value)))
                });
                let help = "make the RAM larger; a kernel's has to be in the first range of it";
                self.errors.push(error.help(help));
            }
        }
        place
    }
}

/// What goes where it says.
fn fixed<'a>(image: &'a Contents<'_>) -> Option<&'a [Segment]> {
    match &image.goes {
        Goes::There { segments, .. } => Some(segments),
        Goes::Kernel(_) | Goes::Anywhere | Goes::Tree(_) => None,
    }
}

/// The pieces of all images with their bytes, and how long the image region is.
fn pieces<'a>(placed: &'a [Placed<'_>]) -> (Vec<(Piece, &'a [u8])>, u64) {
    let (mut pieces, mut len_bytes) = (Vec::new(), 0_u64);
    for image in placed {
        let segments = image.segments.iter();
        for segment in segments.filter(|segment| !segment.bytes.is_empty()) {
            let piece = Piece {
                address: segment.place.base,
                len_bytes: segment.bytes.len() as u64,
                offset: len_bytes.next_multiple_of(ALIGN),
            };
            len_bytes = piece.offset.saturating_add(piece.len_bytes);
            let bytes = image.bytes.get(segment.bytes.clone());
            pieces.push((piece, bytes.unwrap_or_default()));
        }
    }
    (pieces, len_bytes)
}

fn region(pieces: &[(Piece, &[u8])]) -> Vec<u8> {
    let mut region = Vec::new();
    for (piece, bytes) in pieces {
        region.resize(piece.offset as usize, 0);
        region.extend_from_slice(bytes);
    }
    region
}

impl Unfit {
    /// That this is the last of too many pieces.
    fn is_too_much(&self, count: usize, len_bytes: u64) -> Option<Diagnostic> {
        (count > MAX_PIECES || len_bytes > u32::MAX.into()).then(|| {
            let label = format!("{count} pieces and {len_bytes} bytes");
            let title = "the images have too many pieces, or are too large together";
            let help = format!("a VM has room for {MAX_PIECES} pieces and 4 GiB of them");
            Diagnostic::error(self.span, title).label(label).help(help)
        })
    }

    /// A device tree lies where Linux can read it, and where its address does not say that there is none.
    fn can_be_read_there(&self, place: &RamRange) -> Option<Diagnostic> {
        if place.base == 0 {
            let error = self.error("cannot be at address 0", "the guest would be told of none");
            return Some(error.help("give it another address"));
        }
        if !place.base.is_multiple_of(TREE_ALIGN) {
            let label = format!("{:#x} is not a multiple of {TREE_ALIGN}", place.base);
            let lower = place.base - place.base % TREE_ALIGN;
            let error = self.error("is not aligned", label);
            return Some(error.help(format!("{lower:#x} would do")));
        }
        let block = crossed(place, TREE_BLOCK)?;
        let label = format!("it is at {}", extent(place));
        let error = self.error("lies across a multiple of 2 MiB", label);
        let lower = block.saturating_sub(end(place) - place.base);
        let lower = lower - lower % TREE_ALIGN;
        Some(error.help(format!("Linux maps 2 MiB to read it; {lower:#x} would do")))
    }
}

/// Two images want one place.
fn overlap(first: &Placed<'_>, second: &Placed<'_>) -> Option<Diagnostic> {
    let mut pairs = first
        .segments
        .iter()
        .flat_map(|one| second.segments.iter().map(move |other| (one, other)));
    let (one, other) = pairs.find(|(one, other)| {
        let is_empty = one.place.len_bytes == 0 || other.place.len_bytes == 0;
        !is_empty && one.place.base < other.end() && other.place.base < one.end()
    })?;
    let unfit = second.unfit;
    let error = unfit.error("lies on another image", other.extent());
    let error = error.also(first.unfit.span, one.extent());
    Some(error.help(match unfit.is_flat() {
        true => "give it another address",
        false => "link it to other addresses",
    }))
}
