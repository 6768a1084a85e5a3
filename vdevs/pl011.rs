//! The guest's serial port: a PL011 that only prints.
//!
//! Owned by the VMM component, which hands it the guest's accesses and takes the characters
//! away in pieces. Like the trace device it knows no bus and no ring.
//!
//! Invariant: registers that matter to printing behave as specified; all others read as
//! zero and ignore writes, so that a driver may initialise what it likes.
//!
//! Specification: ARM PrimeCell UART (PL011) TRM, DDI 0183, chapter 3.

/// Bytes that the device occupies.
pub const LEN_BYTES: u64 = 0x1000;

/// Offset of the data register: what is written there is printed.
pub const DATA: u64 = register::DR;

/// Register offsets, DDI 0183 table 3-1.
mod register {
    /// Data.
    pub const DR: u64 = 0x000;
    /// Flags.
    pub const FR: u64 = 0x018;
    /// First of eight identification registers, PeriphID0–3 and PCellID0–3.
    pub const ID_FIRST: u64 = 0xfe0;
}

/// Flags, DDI 0183 section 3.3.3.
mod flag {
    /// Transmit FIFO empty.
    pub const TXFE: u32 = 1 << 7;
    /// Transmit FIFO full.
    pub const TXFF: u32 = 1 << 5;
    /// Receive FIFO empty.
    pub const RXFE: u32 = 1 << 4;
}

/// PeriphID0–3, PCellID0–3 of revision r1p5.
const IDENTIFICATION: [u32; 8] = [0x11, 0x10, 0x34, 0x00, 0x0d, 0xf0, 0x05, 0xb1];

/// Whether whoever takes the characters away has room for more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Downstream {
    /// It has: the guest sees an empty transmit FIFO.
    Ready,
    /// It has not: the guest sees a full one and is expected to wait.
    Busy,
}

/// Characters that wait to be taken away, `N` at most.
#[derive(Debug, Clone, Copy)]
pub struct Pl011<const N: usize> {
    pending: [u8; N],
    len: usize,
}

impl<const N: usize> Default for Pl011<N> {
    fn default() -> Self {
        Self {
            pending: [0; N],
            len: 0,
        }
    }
}

impl<const N: usize> Pl011<N> {
    /// A read of the register at `offset`.
    pub fn read(&self, offset: u64, downstream: Downstream) -> u32 {
        match offset {
            register::FR => match downstream {
                Downstream::Ready => flag::TXFE | flag::RXFE,
                Downstream::Busy => flag::TXFF | flag::RXFE,
            },
            register::ID_FIRST.. if offset.is_multiple_of(4) => {
                let index = (offset - register::ID_FIRST) / 4;
                IDENTIFICATION.get(index as usize).copied().unwrap_or(0)
            }
            _ => 0,
        }
    }

    /// A write to the register at `offset`. Returns whether the pending characters should
    /// be taken away now: the line is complete, or there is no room for another.
    pub fn write(&mut self, offset: u64, value: u32) -> bool {
        if offset != register::DR {
            return false;
        }
        let character = value as u8;
        if let Some(place) = self.pending.get_mut(self.len) {
            *place = character;
            self.len += 1;
        }
        character == b'\n' || self.len == N
    }

    /// Characters not taken away yet.
    pub fn pending(&self) -> &[u8] {
        &self.pending[..self.len]
    }

    /// Forgets the pending characters: they are taken away.
    pub fn clear(&mut self) {
        self.len = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print(uart: &mut Pl011<8>, text: &str) -> bool {
        text.bytes()
            .map(|byte| uart.write(0, byte.into()))
            .last()
            .unwrap()
    }

    #[test]
    fn characters_gather_until_the_line_is_complete() {
        let mut uart = Pl011::<8>::default();
        assert!(!print(&mut uart, "hi"));
        assert!(print(&mut uart, "\n"));
        assert_eq!(uart.pending(), b"hi\n");
        uart.clear();
        assert_eq!(uart.pending(), b"");
    }

    #[test]
    fn a_full_buffer_asks_to_be_taken_away_and_drops_what_follows() {
        let mut uart = Pl011::<8>::default();
        assert!(print(&mut uart, "12345678"));
        assert!(print(&mut uart, "9"));
        assert_eq!(uart.pending(), b"12345678");
    }

    #[test]
    fn the_flags_follow_the_room_downstream() {
        let uart = Pl011::<8>::default();
        assert_eq!(uart.read(0x18, Downstream::Ready), 0x90);
        assert_eq!(uart.read(0x18, Downstream::Busy), 0x30);
    }

    #[test]
    fn it_identifies_as_a_pl011() {
        let uart = Pl011::<8>::default();
        let id = |first: u64| {
            (0..4).fold(0, |id, index| {
                id | uart.read(first + 4 * index, Downstream::Ready) << (8 * index)
            })
        };
        assert_eq!(id(0xfe0) & 0xf_ffff, 0x4_1011);
        assert_eq!(id(0xff0), 0xb105_f00d);
    }

    #[test]
    fn other_registers_read_zero_and_print_nothing() {
        let mut uart = Pl011::<8>::default();
        for offset in (4..0xfe0).filter(|offset| *offset != 0x18) {
            assert_eq!(uart.read(offset, Downstream::Ready), 0);
            assert!(!uart.write(offset, 65));
        }
        assert_eq!(uart.pending(), b"");
    }
}
