//! The decoder of loads and stores, with the bytes at a guest's program counter.

use crate::script::Script;
use a64_guest::load_store::{Base, Indexing, Instruction, LoadStore, Offset, Register, decode};

pub(crate) fn run(input: &[u8]) {
    let mut script = Script::new(input);
    let word = script.little_endian(4) as u32;
    let (base, index) = (script.number(), script.number());
    if let Instruction::LoadStore(access) = decode(word) {
        check(&access, base, index);
    }
}

/// What holds for every load or store that can be carried out (Arm ARM C6.2, C7.2).
fn check(access: &LoadStore, base: u64, index: u64) {
    let is_vector = |register| match register {
        Register::Vector(number) => {
            assert!(number < 32);
            true
        }
        Register::General(_) => false,
    };
    let vector = is_vector(access.first);
    let longest = if vector { 16 } else { 8 };
    assert!(access.width_bytes() <= longest);
    if let Some(second) = access.second {
        assert_eq!(is_vector(second), vector);
        assert!(access.width_bytes() >= 4);
        assert!(access.index().is_none());
    }
    let address = access.address(base, index);
    let written_back = access.written_back(base);
    match access.indexing {
        Indexing::Offset => assert_eq!(written_back, None),
        Indexing::Pre => assert_eq!(written_back, Some(address)),
        Indexing::Post => assert_eq!(address, base),
    }
    if let Offset::Register { shift, .. } = access.offset {
        assert!(shift == 0 || shift == access.log2_bytes);
        assert_eq!(access.indexing, Indexing::Offset);
    }
    // Write-back to a register that is moved as well is unpredictable.
    if written_back.is_some()
        && let Base::General(base) = access.base
    {
        let moved = [Some(access.first), access.second];
        assert!(!moved.contains(&Some(Register::General(base))));
    }
}
