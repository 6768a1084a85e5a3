//! The trace device as a driver sees it: one word that counts seconds, and the page around it.
//!
//! The programs' only way to a device. Each method is exactly one access, of the width in its
//! name, by a plain load or store with a base register (`safe-mmio`; for the forms that Rust
//! cannot spell see `access_forms`).

use core::{
    ops::Range,
    ptr::{self, NonNull},
};

/// Bytes in the page that the VM traps around a location.
pub const PAGE_LEN_BYTES: u64 = 4096;

/// Bytes in the location.
pub const WORD_LEN_BYTES: u64 = 4;

/// One trace device. Holding it means that the VM promised a device at this address.
#[derive(Debug)]
pub struct TraceLocation {
    address: u64,
}

impl TraceLocation {
    /// The device at a guest-physical address from the command line, if that is aligned and
    /// does not hit the guest itself.
    pub(crate) fn new(address: u64) -> Option<Self> {
        let image = image();
        let is_aligned = address != 0 && address.is_multiple_of(WORD_LEN_BYTES);
        let page = address & !(PAGE_LEN_BYTES - 1);
        let is_outside = page >= image.end || page + PAGE_LEN_BYTES <= image.start;
        (is_aligned && is_outside).then_some(Self { address })
    }

    /// A word of which nobody promised that a device is there, for a guest that tries it out.
    pub fn anywhere(address: u64) -> Option<Self> {
        Self::new(address)
    }

    /// A further word of the same device, `offset` bytes behind this one, for a device that has several.
    pub fn further(&self, offset: u64) -> Self {
        check_fits::<u32>(self.offset_in_page() + offset, PAGE_LEN_BYTES);
        Self {
            address: self.address + offset,
        }
    }

    /// Guest-physical address of the word.
    pub fn address(&self) -> u64 {
        self.address
    }

    /// Reads the counter.
    pub fn read(&mut self) -> u32 {
        self.read_lane(0)
    }

    /// Sets the counter.
    pub fn write(&mut self, value: u32) {
        self.write_lane(0, value);
    }

    /// Reads one lane of the word: `u8` or `u16` at `offset` from its first byte.
    pub fn read_lane<T: Lane>(&mut self, offset: u64) -> T {
        self.read_at(self.lane::<T>(offset))
    }

    /// Writes one lane of the word: `u8` or `u16` at `offset` from its first byte.
    pub fn write_lane<T: Lane>(&mut self, offset: u64, value: T) {
        self.write_at(self.lane::<T>(offset), value);
    }

    /// Reads anywhere in the word's page, at `offset` from the page's start.
    pub fn read_page<T: Lane>(&mut self, offset: u64) -> T {
        self.read_at(self.page_address::<T>(offset))
    }

    /// Writes anywhere in the word's page, at `offset` from the page's start.
    pub fn write_page<T: Lane>(&mut self, offset: u64, value: T) {
        self.write_at(self.page_address::<T>(offset), value);
    }

    /// Where in its page the word is.
    pub fn offset_in_page(&self) -> u64 {
        self.address % PAGE_LEN_BYTES
    }

    fn lane<T>(&self, offset: u64) -> u64 {
        check_fits::<T>(offset, WORD_LEN_BYTES);
        self.address + offset
    }

    fn page_address<T>(&self, offset: u64) -> u64 {
        check_fits::<T>(offset, PAGE_LEN_BYTES);
        self.address - self.offset_in_page() + offset
    }

    fn read_at<T: Lane>(&mut self, address: u64) -> T {
        // SAFETY: `register` is inside the page that the VM traps for this device, and aligned.
        unsafe { T::load(register(address)) }
    }

    fn write_at<T: Lane>(&mut self, address: u64, value: T) {
        // SAFETY: `register` is inside the page that the VM traps for this device, and aligned.
        unsafe { T::store(register(address), value) }
    }
}

/// Panics if a `T` at `offset` is not inside and aligned: a bug in the program.
fn check_fits<T>(offset: u64, len_bytes: u64) {
    let width_bytes = size_of::<T>() as u64;
    assert!(
        offset.is_multiple_of(width_bytes) && offset + width_bytes <= len_bytes,
        "no aligned access of {width_bytes} bytes at {offset:#x}"
    );
}

fn register<T>(address: u64) -> NonNull<T> {
    let register = ptr::with_exposed_provenance_mut(address as usize);
    NonNull::new(register).expect("a location is not at 0")
}

/// A width that the device has: 1, 2 or 4 bytes.
pub trait Lane: Copy + private::Access {}

impl<T: Copy + private::Access> Lane for T {}

mod private {
    use core::ptr::NonNull;

    use safe_mmio::{UniqueMmioPointer, fields::ReadWrite};

    /// One load or store of this width.
    pub trait Access: Sized {
        /// # Safety
        ///
        /// A device that may be read like this is at `from`, and nobody else accesses it now.
        unsafe fn load(from: NonNull<Self>) -> Self;

        /// # Safety
        ///
        /// A device that may be written like this is at `to`, and nobody else accesses it now.
        unsafe fn store(to: NonNull<Self>, value: Self);
    }

    macro_rules! access {
        ($($width:ty),*) => {$(
            impl Access for $width {
                unsafe fn load(from: NonNull<Self>) -> Self {
                    // SAFETY: by this function's contract; `ReadWrite` adds nothing in memory.
                    unsafe { UniqueMmioPointer::<ReadWrite<Self>>::new(from.cast()) }.read()
                }

                unsafe fn store(to: NonNull<Self>, value: Self) {
                    // SAFETY: by this function's contract; `ReadWrite` adds nothing in memory.
                    unsafe { UniqueMmioPointer::<ReadWrite<Self>>::new(to.cast()) }.write(value);
                }
            }
        )*};
    }
    access!(u8, u16, u32);
}

/// The guest-physical addresses that the program occupies.
fn image() -> Range<u64> {
    #[cfg(target_os = "none")]
    {
        unsafe extern "C" {
            /// First byte of the image, by `guest.ld`.
            static __image_start: u8;
            /// Behind the last byte of the image, by `guest.ld`.
            static __image_end: u8;
        }
        (&raw const __image_start).addr() as u64..(&raw const __image_end).addr() as u64
    }
    #[cfg(not(target_os = "none"))]
    {
        0x4008_0000..0x4010_0000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_an_aligned_word_outside_the_image() {
        assert!(TraceLocation::new(0xfa00_0000).is_some());
        assert!(TraceLocation::new(0xfa00_0ffc).is_some());
        for bad in [0, 0xfa00_0002, 0x4008_0000, 0x400f_fffc] {
            assert!(TraceLocation::new(bad).is_none(), "{bad:#x}");
        }
    }

    #[test]
    fn each_access_hits_its_lane_and_no_other() {
        #[repr(align(4096))]
        struct Page([u32; 1024]);
        let mut page = Page([0; 1024]);
        let address = (&raw mut page).expose_provenance() as u64;
        let mut location = TraceLocation::new(address + 8).unwrap();

        location.write(0x1122_3344);
        location.write_lane(2, 0xaa_u8);
        assert_eq!(location.read(), 0x11aa_3344);
        location.write_lane(0, 0xbbcc_u16);
        assert_eq!(location.read(), 0x11aa_bbcc);
        assert_eq!(location.read_lane::<u8>(3), 0x11);
        assert_eq!(location.read_lane::<u16>(2), 0x11aa);
        assert_eq!(location.read_page::<u32>(8), 0x11aa_bbcc);

        location.write_page(0xffc, 7_u32);
        assert_eq!(page.0[0x3ff], 7);
        assert_eq!(page.0[2], 0x11aa_bbcc);
    }

    #[test]
    fn further_words_are_in_the_same_page() {
        let location = TraceLocation::new(0xfa00_0010).unwrap();
        assert_eq!(location.further(8).address(), 0xfa00_0018);
        assert_eq!(location.further(0xfec).address(), 0xfa00_0ffc);
    }

    #[test]
    #[should_panic(expected = "no aligned access of 4 bytes at 0x1000")]
    fn a_word_of_the_next_page_is_a_bug() {
        TraceLocation::new(0xfa00_0010).unwrap().further(0xff0);
    }

    #[test]
    #[should_panic(expected = "no aligned access of 2 bytes at 0x1")]
    fn an_unaligned_lane_is_a_bug() {
        TraceLocation::new(0xfa00_0000).unwrap().read_lane::<u16>(1);
    }
}
