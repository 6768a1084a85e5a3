//! The walk of a guest's translation tables, which hold anything and change at each look.

use crate::script::Script;
use a64_guest::stage1::{Fault, Privilege, Purpose, Regime};
use guest_access::Direction;

/// One descriptor for each level.
const MOST_READS: u32 = 4;
const PAGE_BYTES: u64 = 4096;

pub(crate) fn run(input: &[u8]) {
    let mut script = Script::new(input);
    let regime = Regime {
        sctlr: script.number(),
        tcr: script.little_endian(8),
        ttbr0: script.number() << 4,
        ttbr1: script.number() << 4,
    };
    let choice = script.byte();
    let address = match choice & 0x80 {
        0 => script.little_endian(6),
        _ => !script.little_endian(6),
    };
    let direction = [Direction::Read, Direction::Write][usize::from(choice & 1)];
    let purpose = match choice >> 1 & 3 {
        0 => Purpose::Fetch,
        1 => Purpose::Access(direction, Privilege::El1),
        2 => Purpose::Access(direction, Privilege::El1NotEl0),
        _ => Purpose::Access(direction, Privilege::El0),
    };
    let mut reads = 0;
    let translated = regime.translate(address, purpose, &mut |_| {
        reads += 1;
        // Some memory is no RAM; most descriptors have the bits that make one.
        match script.byte() {
            0 => None,
            1 => Some(script.little_endian(8)),
            bits => Some(script.number() << 12 | 1 << 10 | u64::from(bits)),
        }
    });
    assert!(reads <= MOST_READS);
    match translated {
        Ok(physical) => {
            assert_eq!(physical.0 % PAGE_BYTES, address % PAGE_BYTES);
            // A walk gives 48 bits; without one, the address is what it was but for its tag.
            let unchanged = reads == 0 && physical.0 << 8 == address << 8;
            assert!(unchanged || reads != 0 && physical.0 >> 48 == 0);
        }
        Err(fault) => {
            let (Fault::AddressSize { level }
            | Fault::Translation { level }
            | Fault::AccessFlag { level }
            | Fault::Permission { level }
            | Fault::TableOutsideRam { level }) = fault;
            assert!(level <= 3);
            assert!(matches!(fault, Fault::TableOutsideRam { .. }) || fault.status() < 16);
            assert!(!matches!(
                (fault, purpose),
                (Fault::Permission { .. }, Purpose::Fetch)
            ));
        }
    }
}
