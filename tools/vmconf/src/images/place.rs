//! Where in the RAM there is room for what says nothing of its place.
//!
//! Called by `layout`. Invariant: what comes out lies in one range of the RAM, on nothing that is taken.

use super::segment::{end, is_within};
use vm_config::RamRange;

/// A device tree lies in one block of this, in bytes: so much Linux maps to read it
/// (`Documentation/arch/arm64/booting.rst`, "Setup the device tree").
pub(super) const TREE_BLOCK: u64 = 2 << 20;
/// Kernel and initrd lie in one window of this, which begins at a multiple of [`WINDOW_ALIGN`] (there, "Call the
/// kernel image").
const WINDOW: u64 = 32 << 30;
const WINDOW_ALIGN: u64 = 1 << 30;

/// What of the RAM is taken.
#[derive(Default)]
pub(super) struct Taken(Vec<RamRange>);

impl Taken {
    pub(super) fn add(&mut self, place: RamRange) {
        if place.len_bytes != 0 {
            self.0.push(place);
        }
    }

    fn under(&self, place: &RamRange) -> Option<&RamRange> {
        let mut taken = self.0.iter();
        taken.find(|taken| taken.base < end(place) && place.base < end(taken))
    }

    /// The lowest place in `ram` that lies `offset` bytes above a multiple of `align`.
    pub(super) fn lowest(
        &self,
        ram: &RamRange,
        len_bytes: u64,
        offset: u64,
        align: u64,
    ) -> Option<RamRange> {
        let mut base = ram.base.checked_next_multiple_of(align)?;
        loop {
            let place = RamRange {
                base: base.checked_add(offset)?,
                len_bytes,
            };
            if !is_within(&place, ram) {
                return None;
            }
            // Behind what is in the way: each is met once.
            match self.under(&place) {
                None => return Some(place),
                Some(taken) => {
                    let behind = end(taken).saturating_sub(offset);
                    base = behind.checked_next_multiple_of(align)?;
                }
            }
        }
    }

    /// The highest place in `ram` below `limit` at a multiple of `align`; with a `block`, in one block of so many
    /// bytes.
    pub(super) fn highest(
        &self,
        ram: &RamRange,
        len_bytes: u64,
        align: u64,
        block: Option<u64>,
        limit: u64,
    ) -> Option<RamRange> {
        let mut below = end(ram).min(limit);
        loop {
            let base = below.checked_sub(len_bytes)?;
            let base = base - base % align;
            let place = RamRange { base, len_bytes };
            if !is_within(&place, ram) {
                return None;
            }
            let crossed = block.and_then(|block| crossed(&place, block));
            // Below what is in the way: each is met once.
            match crossed.or(self.under(&place).map(|taken| taken.base)) {
                None => return Some(place),
                Some(in_the_way) => below = in_the_way,
            }
        }
    }
}

/// The end of the block of so many bytes in which `place` begins, if it reaches into the next one.
pub(super) fn crossed(place: &RamRange, block: u64) -> Option<u64> {
    let end_of_block = (place.base - place.base % block).saturating_add(block);
    (end(place) > end_of_block).then_some(end_of_block)
}

/// Where the window ends that begins with the kernel.
pub(super) fn window_above(kernel: &RamRange) -> u64 {
    (kernel.base - kernel.base % WINDOW_ALIGN).saturating_add(WINDOW)
}

/// Whether one window holds both.
pub(super) fn window_holds(kernel: &RamRange, initrd: &RamRange) -> bool {
    let first = match kernel.base < initrd.base {
        true => kernel,
        false => initrd,
    };
    end(kernel).max(end(initrd)) <= window_above(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn range(base: u64, len_bytes: u64) -> RamRange {
        RamRange { base, len_bytes }
    }

    const RAM: RamRange = range(0x4000_0000, 64 << 20);

    fn taken(places: &[RamRange]) -> Taken {
        let mut taken = Taken::default();
        for place in places {
            taken.add(*place);
        }
        taken
    }

    #[test]
    fn the_lowest_place_lies_above_an_aligned_base_and_behind_what_is_taken() {
        let lowest = |taken: &Taken, ram: &RamRange, len, offset| {
            let place = taken.lowest(ram, len, offset, 2 << 20);
            place.map(|place| place.base)
        };
        let free = taken(&[]);
        assert_eq!(lowest(&free, &RAM, 64 << 20, 0), Some(RAM.base));
        assert_eq!(lowest(&free, &RAM, (64 << 20) + 1, 0), None);
        assert_eq!(lowest(&free, &RAM, 1, 0x8_0000), Some(0x4008_0000));
        assert_eq!(
            lowest(&free, &range(0x4000_1000, 4 << 20), 1, 0),
            Some(0x4020_0000)
        );
        for hostile in [u64::MAX, 1 << 63, 64 << 20] {
            assert_eq!(lowest(&free, &RAM, 1, hostile), None);
            assert_eq!(lowest(&free, &RAM, hostile, 1), None);
        }
        let some = taken(&[range(0x4040_0000, 1), range(RAM.base, 1)]);
        assert_eq!(lowest(&some, &RAM, 2 << 20, 0), Some(0x4020_0000));
        assert_eq!(lowest(&some, &RAM, (2 << 20) + 1, 0), Some(0x4060_0000));
        // Just behind the one that is in the way, since the offset counts from a base below it.
        assert_eq!(lowest(&some, &RAM, 16, 0x1000), Some(0x4000_1000));
    }

    #[test]
    fn the_highest_place_lies_below_what_is_taken_and_in_one_block() {
        let highest = |taken: &Taken, len, block, limit| {
            let place = taken.highest(&RAM, len, 4096, block, limit);
            place.map(|place| place.base)
        };
        let end_taken = taken(&[range(0x43ff_f000, 0x1000)]);
        assert_eq!(highest(&end_taken, 1, None, u64::MAX), Some(0x43ff_e000));
        assert_eq!(highest(&end_taken, 4097, None, u64::MAX), Some(0x43ff_d000));
        assert_eq!(highest(&end_taken, 1, None, 0x4100_0000), Some(0x40ff_f000));
        assert_eq!(highest(&end_taken, 1, None, RAM.base), None);
        assert_eq!(highest(&end_taken, 64 << 20, None, u64::MAX), None);
        assert_eq!(highest(&end_taken, u64::MAX, None, u64::MAX), None);
        // A whole block is not free in the last one.
        let block = Some(TREE_BLOCK);
        assert_eq!(
            highest(&end_taken, 2 << 20, block, u64::MAX),
            Some(0x43c0_0000)
        );
        assert_eq!(
            highest(&end_taken, 0x1f_f000, block, u64::MAX),
            Some(0x43e0_0000)
        );
    }

    #[test]
    fn a_window_begins_at_a_gibibyte_and_has_32() {
        let kernel = range(0x4020_0000, 1 << 20);
        let last = 0x4000_0000 + (32 << 30) - 4096;
        assert!(window_holds(&kernel, &range(last, 4096)));
        assert!(!window_holds(&kernel, &range(last, 4097)));
        assert!(window_holds(&kernel, &range(0, 4096)));
        assert!(!window_holds(&range(32 << 30, 1), &range(0x3fff_f000, 1)));
    }
}
