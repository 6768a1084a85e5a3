//! A32, whose instructions are words.
//!
//! ```text
//!  31  28 27 25 24 23 22 21 20             Arm ARM F4.1
//! ┌──────┬─────┬──┬──┬──┬──┬──┬──
//! │ cond │ 000 │ P│ U│ I│ W│ L│ … 1 op 1   halfwords, pairs, signed; op = 0: exclusives, LDA, STL
//! │ cond │ 010 │ P│ U│ B│ W│ L│           constant offset
//! │ cond │ 011 │ P│ U│ B│ W│ L│ … 0       register offset
//! │ cond │ 100 │ P│ U│ S│ W│ L│           lists
//! │ cond │ 110 │                          coprocessors and vector registers
//! └──────┴─────┴──┴──┴──┴──┴──┴──
//! ```

use super::{Access, Indexing, Instruction, List, Offset, Shift, Word, other, register};
use guest_access::Direction;

const P: u32 = 24;
const U: u32 = 23;
const W: u32 = 21;
const L: u32 = 20;

pub(super) fn decode(word: u32) -> Instruction {
    let word = Word(word);
    if word.bits(31, 28) == 0b1111 {
        // Prefetches; the returns from exceptions are not for EL0.
        return Instruction::NoAccess;
    }
    match word.bits(27, 25) {
        0b010 => word_or_byte(word, word.signed(word.bits(11, 0), U)),
        0b011 if !word.bit(4) => {
            let shift = Shift::decode(word.bits(6, 5), word.bits(11, 7));
            word_or_byte(word, index(word, shift))
        }
        0b000 if word.bit(7) && word.bit(4) => match word.bits(6, 5) {
            0b00 if word.bit(24) => ordered(word),
            0b00 => Instruction::NoAccess,
            _ => extra(word),
        },
        0b100 => list(word),
        0b110 => other(word.bits(19, 16)),
        _ => Instruction::NoAccess,
    }
}

fn index(word: Word, shift: Shift) -> Offset {
    Offset::Register {
        index: register(word.bits(3, 0)),
        shift,
        subtract: !word.bit(U),
    }
}

/// LDR, STR, LDRB, STRB, and their unprivileged forms.
fn word_or_byte(word: Word, offset: Offset) -> Instruction {
    Access {
        direction: word.direction(L),
        log2_bytes: if word.bit(22) { 0 } else { 2 },
        signed: false,
        first: word.bits(15, 12),
        second: None,
        base: word.bits(19, 16),
        offset,
        indexing: Indexing::decode(word.bit(P), word.bit(W)),
    }
    .instruction()
}

/// LDRH, STRH, LDRSB, LDRSH, LDRD, STRD.
fn extra(word: Word) -> Instruction {
    let (rn, rt) = (word.bits(19, 16), word.bits(15, 12));
    let offset = match word.bit(22) {
        true => word.signed(word.bits(11, 8) << 4 | word.bits(3, 0), U),
        false => index(word, Shift::Left(0)),
    };
    let (direction, log2_bytes, signed, is_pair) = match (word.bit(L), word.bits(6, 5)) {
        (load, 0b01) if load => (Direction::Read, 1, false, false),
        (_, 0b01) => (Direction::Write, 1, false, false),
        (true, 0b10) => (Direction::Read, 0, true, false),
        (true, _) => (Direction::Read, 1, true, false),
        (false, 0b10) => (Direction::Read, 2, false, true),
        (false, _) => (Direction::Write, 2, false, true),
    };
    // A pair begins with an even register and has no unprivileged form.
    let unprivileged = !word.bit(P) && word.bit(W);
    if is_pair && (rt % 2 != 0 || unprivileged) {
        return other(rn);
    }
    Access {
        direction,
        log2_bytes,
        signed,
        first: rt,
        second: is_pair.then_some(rt + 1),
        base: rn,
        offset,
        indexing: Indexing::decode(word.bit(P), word.bit(W)),
    }
    .instruction()
}

/// LDA, STL and those of bytes and halfwords; the exclusives around them are not carried out.
fn ordered(word: Word) -> Instruction {
    let rn = word.bits(19, 16);
    let log2_bytes = match word.bits(22, 21) {
        0b00 => 2,
        0b10 => 0,
        0b11 => 1,
        _ => return other(rn),
    };
    let is_load = word.bit(L);
    let fixed = match is_load {
        true => word.bits(3, 0),
        false => word.bits(15, 12),
    };
    if !word.bit(U) || word.bits(11, 8) != 0b1100 || fixed != 0b1111 || rn == super::PC {
        return other(rn);
    }
    Access {
        direction: word.direction(L),
        log2_bytes,
        signed: false,
        first: if is_load {
            word.bits(15, 12)
        } else {
            word.bits(3, 0)
        },
        second: None,
        base: rn,
        offset: Offset::Immediate(0),
        indexing: Indexing::Offset,
    }
    .instruction()
}

/// LDM, STM, PUSH, POP.
fn list(word: Word) -> Instruction {
    // With S they are for other modes.
    if word.bit(22) {
        return other(word.bits(19, 16));
    }
    List {
        direction: word.direction(L),
        base: word.bits(19, 16),
        registers: word.bits(15, 0),
        up: word.bit(U),
        before: word.bit(P),
        write_back: word.bit(W),
    }
    .instruction()
}
