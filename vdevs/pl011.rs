//! The guest's serial port on aarch64: a PL011 that only prints.
//!
//! Invariant: registers that matter to printing behave as specified; all others read as zero and ignore
//! writes, so that a driver may initialise what it likes.
//!
//! Specification: ARM PrimeCell UART (PL011) TRM, DDI 0183, chapter 3.

use vdev_model::{Field, InVmm, Kind, Otherwise, Register, Transmitter};

/// Register offsets, DDI 0183 table 3-1.
mod register {
    pub const DR: u64 = 0x000;
    pub const FR: u64 = 0x018;
    pub const IBRD: u64 = 0x024;
    pub const FBRD: u64 = 0x028;
    pub const LCR_H: u64 = 0x02c;
    pub const CR: u64 = 0x030;
    pub const IFLS: u64 = 0x034;
    pub const IMSC: u64 = 0x038;
    pub const RIS: u64 = 0x03c;
    pub const MIS: u64 = 0x040;
    pub const ICR: u64 = 0x044;
    pub const DMACR: u64 = 0x048;
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

/// `vdev pl011`. It keeps nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pl011;

impl InVmm for Pl011 {
    const KIND: Kind = Kind {
        len: 0x1000,
        align: 0x1000,
        example: "loc 0x1c090000",
        registers: &[
            Register::word("DR", register::DR),
            Register::word("FR", register::FR).fields(&[
                Field::bit("RXFE", 4),
                Field::bit("TXFF", 5),
                Field::bit("TXFE", 7),
            ]),
            Register::word("IBRD", register::IBRD),
            Register::word("FBRD", register::FBRD),
            Register::word("LCR_H", register::LCR_H),
            Register::word("CR", register::CR),
            Register::word("IFLS", register::IFLS),
            Register::word("IMSC", register::IMSC),
            Register::word("RIS", register::RIS),
            Register::word("MIS", register::MIS),
            Register::word("ICR", register::ICR),
            Register::word("DMACR", register::DMACR),
        ],
        otherwise: Otherwise::Ignored,
        ..Kind::new("pl011", "Arm's UART, for the guest's console")
    };
    const WHY: &'static str = "what it prints goes from the VMM to the console";

    fn read(&mut self, offset: u64, transmitter: Transmitter) -> u32 {
        match offset {
            register::FR => match transmitter {
                Transmitter::Ready => flag::TXFE | flag::RXFE,
                Transmitter::Busy => flag::TXFF | flag::RXFE,
            },
            register::ID_FIRST.. if offset.is_multiple_of(4) => {
                let index = (offset - register::ID_FIRST) / 4;
                IDENTIFICATION.get(index as usize).copied().unwrap_or(0)
            }
            _ => 0,
        }
    }

    fn write(&mut self, offset: u64, value: u32) -> Option<u8> {
        (offset == register::DR).then_some(value as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_to_the_data_register_is_printed() {
        assert_eq!(Pl011.write(0, 0x141), Some(b'A'));
    }

    #[test]
    fn the_flags_follow_the_room_downstream() {
        assert_eq!(Pl011.read(0x18, Transmitter::Ready), 0x90);
        assert_eq!(Pl011.read(0x18, Transmitter::Busy), 0x30);
    }

    #[test]
    fn it_identifies_as_a_pl011() {
        let id = |first: u64| {
            (0..4).fold(0, |id, index| {
                id | Pl011.read(first + 4 * index, Transmitter::Ready) << (8 * index)
            })
        };
        assert_eq!(id(0xfe0) & 0x000f_ffff, 0x0004_1011);
        assert_eq!(id(0xff0), 0xb105_f00d);
    }

    #[test]
    fn other_registers_read_as_zero_and_ignore_writes() {
        for offset in [0x4, 0x24, 0x2c, 0x30, 0x38, 0x44, 0xfe1, 0x1000, u64::MAX] {
            assert_eq!(Pl011.read(offset, Transmitter::Ready), 0);
            assert_eq!(Pl011.write(offset, 65), None);
        }
    }
}
