//! T32, whose instructions are one halfword or two.
//!
//! ```text
//!  15    11                          one halfword, Arm ARM F3.1
//! ┌────────┬──
//! │ 01001  │  literal
//! │ 0101   │  register offset
//! │ 011 B L│  constant offset, words and bytes; 1000 L: halfwords; 1001 L: from the stack pointer
//! │ 1011 L1│  PUSH, POP
//! │ 1100 L │  lists
//! └────────┴──
//!  31     25 24 23 22 21 20          two, the first above, F3.3
//! ┌─────────┬──┬──┬──┬──┬──┬──
//! │ 1110100 │ op2 │ 0│ W│ L│  lists
//! │ 1110100 │ P│ U│ 1│ W│ L│  pairs; P = W = 0: exclusives, LDA, STL, TBB
//! │ 111x11x │              │  coprocessors and vector registers
//! │ 1111100 │ S│ I│size │ L│  one register
//! └─────────┴──┴──┴──┴──┴──┴──
//! ```

use super::{Access, Indexing, Instruction, List, Offset, PC, Shift, Word, other, register};
use guest_access::Direction;

const SP: u32 = 13;
const LR: u32 = 14;

pub(super) fn decode_16(half: u16) -> Instruction {
    let half = Word(half.into());
    let (rn, rt) = (half.bits(5, 3), half.bits(2, 0));
    let load = half.direction(11);
    let constant = |log2_bytes| {
        let offset = Offset::Immediate((half.bits(10, 6) << log2_bytes) as i32);
        plain(load, log2_bytes, rt, rn, offset)
    };
    let words_from = |base| {
        let offset = Offset::Immediate((half.bits(7, 0) << 2) as i32);
        plain(load, 2, half.bits(10, 8), base, offset)
    };
    match half.bits(15, 12) {
        0b0100 if half.bit(11) => words_from(PC),
        0b0101 => {
            use Direction::{Read, Write};
            let (direction, log2_bytes, signed) = match half.bits(11, 9) {
                0b000 => (Write, 2, false),
                0b001 => (Write, 1, false),
                0b010 => (Write, 0, false),
                0b011 => (Read, 0, true),
                0b100 => (Read, 2, false),
                0b101 => (Read, 1, false),
                0b110 => (Read, 0, false),
                _ => (Read, 1, true),
            };
            let offset = index(half.bits(8, 6), 0);
            Access {
                signed,
                ..access(direction, log2_bytes, rt, rn, offset)
            }
            .instruction()
        }
        0b0110 => constant(2),
        0b0111 => constant(0),
        0b1000 => constant(1),
        0b1001 => words_from(SP),
        0b1011 if half.bits(10, 9) == 0b10 => {
            // Bit 8 is for LR in a store and for PC in a load.
            let extra = match load {
                Direction::Write => LR,
                Direction::Read => PC,
            };
            List {
                direction: load,
                base: SP,
                registers: half.bits(7, 0) | half.bits(8, 8) << extra,
                up: load == Direction::Read,
                before: load == Direction::Write,
                write_back: true,
            }
            .instruction()
        }
        0b1100 => {
            let (base, registers) = (half.bits(10, 8), half.bits(7, 0));
            let loads_the_base = load == Direction::Read && registers >> base & 1 != 0;
            List {
                direction: load,
                base,
                registers,
                up: true,
                before: false,
                write_back: !loads_the_base,
            }
            .instruction()
        }
        _ => Instruction::NoAccess,
    }
}

pub(super) fn decode_32(word: u32) -> Instruction {
    let word = Word(word);
    match word.bits(31, 25) {
        0b111_0100 if !word.bit(22) => list(word),
        0b111_0100 if word.bit(24) || word.bit(21) => pair(word),
        0b111_0100 => ordered(word),
        0b111_1100 => single(word),
        0b111_0110 | 0b111_1110 => other(word.bits(19, 16)),
        _ => Instruction::NoAccess,
    }
}

const fn access(
    direction: Direction,
    log2_bytes: u8,
    first: u32,
    base: u32,
    offset: Offset,
) -> Access {
    Access {
        direction,
        log2_bytes,
        signed: false,
        first,
        second: None,
        base,
        offset,
        indexing: Indexing::Offset,
    }
}

fn plain(
    direction: Direction,
    log2_bytes: u8,
    first: u32,
    base: u32,
    offset: Offset,
) -> Instruction {
    access(direction, log2_bytes, first, base, offset).instruction()
}

const fn index(number: u32, left: u32) -> Offset {
    Offset::Register {
        index: register(number),
        shift: Shift::Left(left as u8),
        subtract: false,
    }
}

/// LDM, STM; around them are returns from exceptions, which are not for EL0.
fn list(word: Word) -> Instruction {
    let rn = word.bits(19, 16);
    let registers = word.bits(15, 0);
    let (up, before) = match word.bits(24, 23) {
        0b01 => (true, false),
        0b10 => (false, true),
        _ => return Instruction::NoAccess,
    };
    // A list of one, or with the stack pointer, is unpredictable.
    if registers.count_ones() < 2 || registers >> SP & 1 != 0 {
        return other(rn);
    }
    let write_back = word.bit(21);
    // So is a store of the base that changes it, be it the first or not.
    if write_back && registers >> rn & 1 != 0 {
        return other(rn);
    }
    List {
        direction: word.direction(20),
        base: rn,
        registers,
        up,
        before,
        write_back,
    }
    .instruction()
}

/// LDRD, STRD.
fn pair(word: Word) -> Instruction {
    let rn = word.bits(19, 16);
    if rn == PC && !word.bit(20) {
        return other(rn);
    }
    Access {
        second: Some(word.bits(11, 8)),
        indexing: Indexing::decode(word.bit(24), word.bit(21)),
        ..access(
            word.direction(20),
            2,
            word.bits(15, 12),
            rn,
            word.signed(word.bits(7, 0) << 2, 23),
        )
    }
    .instruction()
}

/// LDA, STL and those of bytes and halfwords; around them are exclusives and table branches.
fn ordered(word: Word) -> Instruction {
    let rn = word.bits(19, 16);
    let log2_bytes = match word.bits(7, 4) {
        0b1000 => 0,
        0b1001 => 1,
        0b1010 => 2,
        _ => return other(rn),
    };
    if !word.bit(23) || word.bits(11, 8) != 0b1111 || word.bits(3, 0) != 0b1111 || rn == PC {
        return other(rn);
    }
    let offset = Offset::Immediate(0);
    plain(
        word.direction(20),
        log2_bytes,
        word.bits(15, 12),
        rn,
        offset,
    )
}

/// LDR, STR and their kin.
fn single(word: Word) -> Instruction {
    let (rn, rt) = (word.bits(19, 16), word.bits(15, 12));
    let direction = word.direction(20);
    let (signed, log2_bytes) = (word.bit(24), word.bits(22, 21) as u8);
    if log2_bytes == 3 || signed && (log2_bytes == 2 || direction == Direction::Write) {
        // Structures of vectors, and what is not allocated.
        return other(rn);
    }
    if rt == PC && log2_bytes < 2 && direction == Direction::Read {
        // Prefetches, which change no register.
        return Instruction::NoAccess;
    }
    let (offset, indexing) = if rn == PC {
        if direction == Direction::Write {
            return other(rn);
        }
        (word.signed(word.bits(11, 0), 23), Indexing::Offset)
    } else if word.bit(23) {
        (Offset::Immediate(word.bits(11, 0) as i32), Indexing::Offset)
    } else if word.bit(11) {
        let (p, w) = (word.bit(10), word.bit(8));
        if !p && !w {
            return other(rn);
        }
        // With P and U but without W it is unprivileged, as all of EL0's are.
        let indexing = Indexing::decode(p, w);
        (word.signed(word.bits(7, 0), 9), indexing)
    } else if word.bits(10, 6) == 0 {
        (index(word.bits(3, 0), word.bits(5, 4)), Indexing::Offset)
    } else {
        return other(rn);
    };
    Access {
        signed,
        indexing,
        ..access(direction, log2_bytes, rt, rn, offset)
    }
    .instruction()
}
