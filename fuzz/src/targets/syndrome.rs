//! The syndrome decoder, with the numbers that the CPU reports of a guest.
//!
//! The fields are restated from the Arm ARM (DDI 0487) D24.2.40, not taken from the decoder.

use crate::script::Script;
use a64_guest::syndrome::{Trap, decode};
use guest_access::{Direction, GuestPhysAddr};

pub(crate) fn run(input: &[u8]) {
    let mut script = Script::new(input);
    let syndrome = script.little_endian(8);
    let (address, pc, loaded) = (script.number(), script.number(), script.number());
    let bit = |number: u32| syndrome >> number & 1 != 0;
    let class = syndrome >> 26 & 0x3f;
    let status = syndrome & 0x3f;
    let stage_2_fault = (0b000100..=0b001111).contains(&status);
    let described = bit(24) && !bit(8) && !bit(7);
    match decode(syndrome, GuestPhysAddr(address), pc) {
        Trap::Access(access) => {
            assert!(class == 0x24 && stage_2_fault && described);
            assert_eq!((access.address.0, access.pc), (address, pc));
            assert_eq!(
                access.width.bytes(),
                [1, 2, 4, 8][syndrome as usize >> 22 & 3]
            );
            assert_eq!(access.direction == Direction::Write, bit(6));
            assert_eq!(access.register.number(), syndrome as usize >> 16 & 31);
            // No load sign-extends 64 bits to 32.
            if 8 * access.width.bytes() == 64 && bit(21) && !bit(15) {
                return;
            }
            let extended = access.extend(loaded);
            let width_bits = 8 * access.width.bytes();
            let low = if width_bits == 64 {
                u64::MAX
            } else {
                (1 << width_bits) - 1
            };
            assert_eq!(extended & low, loaded & low);
            let negative = bit(21) && loaded >> (width_bits - 1) & 1 != 0;
            let register = if bit(15) || !bit(21) {
                u64::MAX
            } else {
                u64::MAX >> 32
            };
            assert_eq!(extended & !low, if negative { register & !low } else { 0 });
        }
        Trap::Undescribed {
            address: at,
            direction,
        } => {
            assert!(class == 0x24 && stage_2_fault && !bit(24) && !bit(8) && !bit(7));
            assert_eq!((at.0, direction == Direction::Write), (address, bit(6)));
        }
        Trap::CacheMaintenance => {
            assert!(class == 0x24 && stage_2_fault && bit(8) && !bit(7));
        }
        Trap::TableWalk { direction } => {
            assert!(class == 0x24 && stage_2_fault && bit(7));
            assert_eq!(direction == Direction::Write, bit(6));
        }
        Trap::MemoryError { status: told } => {
            assert!(class == 0x24 && !stage_2_fault);
            assert_eq!(u64::from(told), status);
        }
        Trap::FetchAbort { address: at } => assert_eq!((class, at.0), (0x20, address)),
        Trap::Call { immediate, .. } => {
            assert!(class == 0x16 || class == 0x17);
            assert_eq!(immediate, syndrome as u16);
        }
        Trap::SystemRegister { iss } => {
            assert_eq!((class, u64::from(iss)), (0x18, syndrome & 0x01ff_ffff));
        }
        Trap::Unavailable { class: told } => {
            assert_eq!(u64::from(told), class);
            assert!(matches!(class, 0x03..=0x0a | 0x0c | 0x19));
        }
        Trap::Wait => assert_eq!(class, 0x01),
        Trap::Other { class: told } => {
            assert_eq!(u64::from(told), class);
            assert!(!matches!(class, 0x01 | 0x03..=0x0a | 0x0c | 0x16..=0x19 | 0x20 | 0x24));
        }
    }
}
