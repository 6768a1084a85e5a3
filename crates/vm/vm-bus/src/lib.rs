//! Which of a VM's devices lies at an address.
//!
//! Built by the VMM component from the VM's configuration, asked on every trapped access.
//! Invariant: windows do not overlap (the configuration compiler sees to it, and a second
//! device at an address is refused here too), so an address has at most one device.
#![no_std]
#![forbid(unsafe_code)]

use guest_access::GuestPhysAddr;
use heapless::Vec;

/// Why a device cannot be attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttachError {
    /// Another device has some of these addresses.
    Overlap(GuestPhysAddr),
    /// The window is empty or runs past the end of the address space.
    Window(GuestPhysAddr),
    /// The bus has no place left.
    Full,
}

struct Window<D> {
    first: u64,
    len_bytes: u64,
    device: D,
}

impl<D> Window<D> {
    #[inline(always)]
    fn holds(&self, address: GuestPhysAddr) -> bool {
        address.0.wrapping_sub(self.first) < self.len_bytes
    }
}

/// Up to `N` devices, each at a window of guest-physical addresses.
pub struct Bus<D, const N: usize> {
    windows: Vec<Window<D>, N>,
}

impl<D, const N: usize> Default for Bus<D, N> {
    fn default() -> Self {
        Self {
            windows: Vec::new(),
        }
    }
}

impl<D, const N: usize> Bus<D, N> {
    /// Puts a device at `len_bytes` bytes from `first`.
    ///
    /// # Errors
    ///
    /// See [`AttachError`]; the bus stays as it was.
    pub fn attach(
        &mut self,
        first: GuestPhysAddr,
        len_bytes: u64,
        device: D,
    ) -> Result<(), AttachError> {
        let last = match len_bytes
            .checked_sub(1)
            .map(|rest| first.0.checked_add(rest))
        {
            Some(Some(last)) => last,
            _ => return Err(AttachError::Window(first)),
        };
        let overlaps = |other: &Window<D>| {
            first.0 <= other.first + (other.len_bytes - 1) && other.first <= last
        };
        if self.windows.iter().any(overlaps) {
            return Err(AttachError::Overlap(first));
        }
        self.windows
            .push(Window {
                first: first.0,
                len_bytes,
                device,
            })
            .map_err(|_| AttachError::Full)
    }

    /// All devices, in the order in which they were attached.
    pub fn devices(&self) -> impl Iterator<Item = &D> {
        self.windows.iter().map(|window| &window.device)
    }

    /// All devices, to be changed.
    pub fn devices_mut(&mut self) -> impl Iterator<Item = &mut D> {
        self.windows.iter_mut().map(|window| &mut window.device)
    }

    /// The place of the device at `address`, which stays its own.
    #[inline(always)]
    pub fn place_of(&self, address: GuestPhysAddr) -> Option<usize> {
        self.windows.iter().position(|window| window.holds(address))
    }

    /// The device in this [place](Self::place_of).
    #[inline(always)]
    pub fn at(&mut self, place: usize) -> Option<&mut D> {
        self.windows.get_mut(place).map(|window| &mut window.device)
    }

    /// The device at `address`.
    #[inline(always)]
    pub fn find(&mut self, address: GuestPhysAddr) -> Option<&mut D> {
        self.windows
            .iter_mut()
            .find(|window| window.holds(address))
            .map(|window| &mut window.device)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bus() -> Bus<char, 2> {
        let mut bus = Bus::default();
        bus.attach(GuestPhysAddr(0x1000), 4, 'a').unwrap();
        bus.attach(GuestPhysAddr(0x1004), 4, 'b').unwrap();
        bus
    }

    #[test]
    fn an_address_selects_the_device_whose_window_holds_it() {
        let mut bus = bus();
        let mut at = |address| bus.find(GuestPhysAddr(address)).copied();
        assert_eq!(at(0xfff), None);
        assert_eq!(at(0x1000), Some('a'));
        assert_eq!(at(0x1003), Some('a'));
        assert_eq!(at(0x1004), Some('b'));
        assert_eq!(at(0x1008), None);
        assert_eq!(at(u64::MAX), None);
    }

    #[test]
    fn a_second_device_at_an_address_is_refused() {
        let mut bus: Bus<char, 3> = Bus::default();
        bus.attach(GuestPhysAddr(0x1000), 0x100, 'a').unwrap();
        for (first, len_bytes) in [(0xfff, 2), (0x10ff, 1), (0x1000, 0x100), (0, 0x2000)] {
            let first = GuestPhysAddr(first);
            assert_eq!(
                bus.attach(first, len_bytes, 'b'),
                Err(AttachError::Overlap(first))
            );
        }
    }

    #[test]
    fn a_window_that_cannot_be_is_refused() {
        let mut bus: Bus<char, 3> = Bus::default();
        for (first, len_bytes) in [(0, 0), (u64::MAX, 2)] {
            let first = GuestPhysAddr(first);
            assert_eq!(
                bus.attach(first, len_bytes, 'a'),
                Err(AttachError::Window(first))
            );
        }
        bus.attach(GuestPhysAddr(u64::MAX), 1, 'a').unwrap();
        assert_eq!(bus.find(GuestPhysAddr(u64::MAX)), Some(&mut 'a'));
    }

    #[test]
    fn a_full_bus_says_so() {
        assert_eq!(
            bus().attach(GuestPhysAddr(0x2000), 4, 'c'),
            Err(AttachError::Full)
        );
    }

    proptest! {
        #[test]
        fn every_byte_of_every_window_leads_to_its_device(
            windows in prop::collection::vec((any::<u64>(), 1u64..64), 1..8), probe: u64,
        ) {
            let mut bus: Bus<usize, 8> = Bus::default();
            let mut attached = std::vec::Vec::new();
            for (index, (first, len)) in windows.into_iter().enumerate() {
                if bus.attach(GuestPhysAddr(first), len, index).is_ok() {
                    attached.push((index, first, len));
                }
            }
            for (index, first, len) in attached {
                for address in [first, first + len / 2, first + (len - 1)] {
                    prop_assert_eq!(bus.find(GuestPhysAddr(address)), Some(&mut { index }));
                }
            }
            bus.find(GuestPhysAddr(probe));
        }
    }
    extern crate std;
}
