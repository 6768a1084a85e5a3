//! What a guest may expect of each kind of access to a trace device: one table for every
//! platform, taken from the device's contract and not from what the code does.
//!
//! A case is a combination of [`Form`], [`Column`] (direction and width), [`Place`] and offset
//! in the word. [`Case::all`] makes every one; [`Case::excluded`] says which make no sense and
//! why; [`Case::expected`] what the others do. How a case becomes an instruction is the
//! architecture's own matter (`aarch64`, `x86_64`). The program `conformance` runs them.
//!
//! The contract: aligned accesses of 1, 2 and 4 bytes inside the word are carried out, in every
//! form in which the architecture has them. Everything else that is a simple load or store is
//! an unsupported *reference*, each element of it by itself. Exclusives and atomics are
//! unsupported *instructions*; on x86 so are LOCK and vectors.
//!
//! The policies `ignore` and `fail` are two runs of the whole table. Policy `abort` is in none,
//! since its first case would end the VM: the scenario `unsupported-aborts` has it.

use core::fmt::Debug;

pub mod aarch64;
pub mod x86_64;

/// A row of the matrix: how an instruction makes its address, or what else it does. Each
/// architecture has its own.
pub trait Form: Copy + Eq + Debug + 'static {
    /// All of them, in the order of the matrix.
    const ALL: &'static [Self];

    /// How the matrix calls it.
    fn name(self) -> &'static str;

    /// Elements that it accesses one behind the other.
    fn elements(self) -> u64;

    /// Why it is not tried so many bytes into a page, if it is not.
    fn excluded(self, column: Column, in_page: u64, abilities: Abilities) -> Option<Exclusion>;

    /// Whether the contract has it as an instruction that is not carried out.
    fn is_unsupported(self, abilities: Abilities) -> bool;
}

/// What is moved which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// A load.
    Read,
    /// A load that extends the sign to a 32-bit register.
    ReadSigned32,
    /// A load that extends the sign to a 64-bit register.
    ReadSigned64,
    /// A store.
    Write,
}

/// Direction and width, a column of the matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Which way.
    pub direction: Direction,
    /// Bytes that each register moves: 1, 2, 4, 8 or 16.
    pub width: u64,
}

/// Where in its page the word or the hole is that is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A device whose word is the first of a page.
    PageStart,
    /// The rest of such a page, where there is no device.
    RestOfPage,
    /// A device whose word is the last of a page.
    PageEnd,
}

/// One combination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Case<F> {
    /// The row of the matrix.
    pub form: F,
    /// The column of the matrix.
    pub column: Column,
    /// Which word.
    pub place: Place,
    /// Bytes into that word: 0 to 3.
    pub offset: u64,
}

/// Why a combination is not tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exclusion {
    /// The architecture has no such instruction.
    NoSuchInstruction,
    /// The CPU refuses it before the hypervisor hears of it, if it is not aligned.
    CpuWantsAlignment,
    /// A store exclusive without its load makes no access.
    NoAccess,
    /// This CPU does not have it.
    NotOnThisCpu,
    /// The program `addressing-forms` has it: code must lie near the device.
    Elsewhere,
}

/// What becomes of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// Every element is carried out by the device.
    Done,
    /// An element is an unsupported reference: the first such.
    Reference {
        /// 0 or 1.
        element: u64,
    },
    /// The instruction is unsupported.
    Instruction,
}

/// What a platform and its CPU have.
#[derive(Debug, Clone, Copy)]
pub struct Abilities {
    /// The hypervisor can reach a guest's vector registers.
    pub vectors: bool,
    /// The CPU has read-modify-write instructions.
    pub atomics: bool,
}

impl Column {
    /// All of them, in the order of the matrix.
    pub const ALL: [Self; 15] = {
        use Direction::{Read, ReadSigned32, ReadSigned64, Write};
        const fn column(direction: Direction, width: u64) -> Column {
            Column { direction, width }
        }
        [
            column(Read, 1),
            column(Read, 2),
            column(Read, 4),
            column(Read, 8),
            column(Read, 16),
            column(ReadSigned32, 1),
            column(ReadSigned32, 2),
            column(ReadSigned64, 1),
            column(ReadSigned64, 2),
            column(ReadSigned64, 4),
            column(Write, 1),
            column(Write, 2),
            column(Write, 4),
            column(Write, 8),
            column(Write, 16),
        ]
    };

    /// How the matrix calls it: direction and bytes.
    pub const fn name(self) -> &'static str {
        match (self.direction, self.width) {
            (Direction::Read, 1) => "R1",
            (Direction::Read, 2) => "R2",
            (Direction::Read, 4) => "R4",
            (Direction::Read, 8) => "R8",
            (Direction::Read, _) => "R16",
            (Direction::ReadSigned32, 1) => "S1w",
            (Direction::ReadSigned32, _) => "S2w",
            (Direction::ReadSigned64, 1) => "S1x",
            (Direction::ReadSigned64, 2) => "S2x",
            (Direction::ReadSigned64, _) => "S4x",
            (Direction::Write, 1) => "W1",
            (Direction::Write, 2) => "W2",
            (Direction::Write, 4) => "W4",
            (Direction::Write, 8) => "W8",
            (Direction::Write, _) => "W16",
        }
    }

    /// Whether it stores.
    pub fn writes(self) -> bool {
        self.direction == Direction::Write
    }

    /// What a register holds after a load of `value`.
    pub fn extend(self, value: u64) -> u64 {
        let unused = 64 - 8 * self.width.min(8) as u32;
        let signed = ((value << unused) as i64 >> unused) as u64;
        match self.direction {
            Direction::ReadSigned64 => signed,
            Direction::ReadSigned32 => signed & 0xffff_ffff,
            Direction::Read | Direction::Write => value << unused >> unused,
        }
    }
}

impl Place {
    /// Where the word lies in its page of 4 KiB.
    pub const fn offset_in_page(self) -> u64 {
        match self {
            Self::PageStart => 0,
            Self::RestOfPage => 0x100,
            Self::PageEnd => 0xffc,
        }
    }
}

impl<F: Form> Case<F> {
    /// Every combination.
    pub fn all() -> impl Iterator<Item = Self> {
        const PLACES: [Place; 3] = [Place::PageStart, Place::RestOfPage, Place::PageEnd];
        F::ALL.iter().flat_map(|&form| {
            Column::ALL.into_iter().flat_map(move |column| {
                PLACES.into_iter().flat_map(move |place| {
                    (0..4).map(move |offset| Self {
                        form,
                        column,
                        place,
                        offset,
                    })
                })
            })
        })
    }

    /// Why it is not tried, if it is not.
    pub fn excluded(self, abilities: Abilities) -> Option<Exclusion> {
        let in_page = self.place.offset_in_page() + self.offset;
        self.form.excluded(self.column, in_page, abilities)
    }

    /// What the contract says of it.
    pub fn expected(self, abilities: Abilities) -> Expected {
        if self.form.is_unsupported(abilities) {
            return Expected::Instruction;
        }
        let refused = (0..self.form.elements()).find(|&element| !self.is_supported(element));
        match refused {
            Some(element) => Expected::Reference { element },
            None => Expected::Done,
        }
    }

    /// Whether an element is an aligned access of 1, 2 or 4 bytes inside a device's word.
    pub fn is_supported(self, element: u64) -> bool {
        let width = self.column.width;
        let first = self.offset + element * width;
        self.place != Place::RestOfPage && first.is_multiple_of(width) && first + width <= 4
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec::Vec;

    use super::*;
    use aarch64::Form as A64;
    use x86_64::Form as X86;

    const ABILITIES: Abilities = Abilities {
        vectors: true,
        atomics: false,
    };

    #[test]
    fn every_combination_is_there_once() {
        let all: Vec<Case<A64>> = Case::all().collect();
        assert_eq!(all.len(), 16 * 15 * 3 * 4);
        for (index, case) in all.iter().enumerate() {
            assert!(!all[..index].contains(case), "{case:?}");
        }
    }

    #[test]
    fn every_reason_to_exclude_a_case_has_one() {
        let found: Vec<_> = Case::<A64>::all()
            .filter_map(|case| case.excluded(ABILITIES))
            .collect();
        for exclusion in [
            Exclusion::NoSuchInstruction,
            Exclusion::CpuWantsAlignment,
            Exclusion::NoAccess,
            Exclusion::NotOnThisCpu,
            Exclusion::Elsewhere,
        ] {
            assert!(found.contains(&exclusion), "{exclusion:?}");
        }
    }

    #[test]
    fn the_device_carries_out_what_lies_aligned_in_its_word_and_nothing_else() {
        let supported = [(1, 0), (1, 1), (1, 2), (1, 3), (2, 0), (2, 2), (4, 0)];
        for case in Case::<X86>::all().filter(|case| case.form == X86::Base) {
            let wanted = supported.contains(&(case.column.width, case.offset))
                && case.place != Place::RestOfPage;
            let expected = case.expected(ABILITIES);
            assert_eq!(expected == Expected::Done, wanted, "{case:?}");
        }
    }

    #[test]
    fn of_a_pair_the_second_register_is_refused_where_the_first_is_not() {
        let pairs =
            Case::<A64>::all().filter(|case| case.form == A64::Pair && case.column.width == 4);
        for case in pairs.filter(|case| case.place == Place::PageStart) {
            let element = u64::from(case.offset == 0);
            assert_eq!(case.expected(ABILITIES), Expected::Reference { element });
        }
    }

    #[test]
    fn loads_extend_to_the_register_that_they_name() {
        let extended = |direction, width, value| Column { direction, width }.extend(value);
        assert_eq!(extended(Direction::Read, 1, 0x1_80), 0x80);
        assert_eq!(extended(Direction::ReadSigned32, 2, 0x8000), 0xffff_8000);
        assert_eq!(
            extended(Direction::ReadSigned64, 4, 0x8000_0000),
            !0x7fff_ffff
        );
    }
}
