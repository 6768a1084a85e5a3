//! The code of a protection domain, as its file has it: whether a CPU executes it, and what of it
//! whoever debugs a machine makes use of.
//!
//! Used by `deaths` and by the debuggers beside this file. Invariant: all protection domains are
//! linked to the same addresses, so that a program counter alone tells none of them.

use elf::ElfBytes;
use elf::abi::PF_X;
use elf::endian::LittleEndian;
use std::path::Path;
use system_description::Architecture;

/// See the file's header.
pub(crate) struct Code {
    /// Where it is mapped.
    base: u64,
    bytes: Vec<u8>,
    architecture: Architecture,
}

/// How much of it has to be as in the file.
pub(crate) const COMPARED_BYTES: u64 = 16;

impl Code {
    /// Reads a program.
    ///
    /// # Errors
    ///
    /// What cannot be read or is no program, in a sentence.
    pub(crate) fn read(file: &Path, architecture: Architecture) -> Result<Self, String> {
        let wrong = |why: String| format!("{}: {why}", file.display());
        let contents = std::fs::read(file).map_err(|error| wrong(error.to_string()))?;
        let program = ElfBytes::<LittleEndian>::minimal_parse(&contents);
        let program = program.map_err(|error| wrong(error.to_string()))?;
        let mut segments = program.segments().into_iter().flatten();
        let code = segments.find(|segment| segment.p_flags & PF_X != 0);
        let code = code.ok_or_else(|| wrong("has no code".into()))?;
        let bytes = program.segment_data(&code);
        Ok(Self {
            base: code.p_vaddr,
            bytes: bytes.map_err(|error| wrong(error.to_string()))?.to_vec(),
            architecture,
        })
    }

    /// Such code, for tests.
    #[cfg(test)]
    pub(crate) fn of(base: u64, bytes: &[u8]) -> Self {
        Self {
            base,
            bytes: bytes.to_vec(),
            architecture: Architecture::Aarch64,
        }
    }

    /// Whether it is this that a CPU executes that is here and finds these bytes.
    pub(crate) fn is_at(&self, pc: u64, found: &[u8]) -> bool {
        let offset = pc
            .checked_sub(self.base)
            .and_then(|at| usize::try_from(at).ok());
        let here = offset.and_then(|at| self.bytes.get(at..));
        !found.is_empty() && here.is_some_and(|here| here.starts_with(found))
    }

    /// Where an instruction is that branches to itself.
    pub(crate) fn branch_to_itself(&self) -> Option<u64> {
        let place = match self.architecture {
            // B . (Arm ARM C6.2.26), in a word.
            Architecture::Aarch64 => self.words().find(|(_, word)| *word == 0x1400_0000)?.0,
            // JMP rel8 (Intel SDM, "JMP"), also in the middle of another instruction.
            Architecture::X86_64 => {
                let mut pairs = self.bytes.windows(2);
                self.base + pairs.position(|pair| pair == [0xeb, 0xfe])? as u64
            }
        };
        Some(place)
    }

    /// Its words, as instructions of A64 are, with their addresses.
    pub(crate) fn words(&self) -> impl Iterator<Item = (u64, u32)> {
        let first = self.base.next_multiple_of(4);
        let (words, _) = self.bytes[(first - self.base) as usize..].as_chunks();
        let words = words.iter().map(|word| u32::from_le_bytes(*word));
        (first..).step_by(4).zip(words)
    }
}
