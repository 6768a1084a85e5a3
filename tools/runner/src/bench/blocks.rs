//! How many instructions of each block QEMU has executed.
//!
//! Counted by a plugin of QEMU's, `tools/block-counter`, which says what stands in its file; read by `shares`.
//! Invariant: what a counter says is of one program, whatever others have code at the same addresses.

use std::path::{Path, PathBuf};

/// Bytes of an entry.
const ENTRY: usize = 64;
/// Where its first instructions begin.
const CODE: usize = 24;

/// The plugin, which is built beside this program.
pub(crate) fn plugin() -> PathBuf {
    let program = std::env::current_exe().unwrap_or_default();
    program.with_file_name("libblock_counter.so")
}

/// A block of instructions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The virtual address of its first instruction.
    pub address: u64,
    /// How many of its instructions were executed.
    pub executed: u64,
    /// The first of them.
    pub code: Vec<u8>,
}

/// What the plugin has counted. A block that was translated again is there again.
///
/// # Errors
///
/// That the file cannot be read.
pub fn read(file: &Path) -> std::io::Result<Vec<Block>> {
    Ok(parse(&std::fs::read(file)?))
}

fn parse(bytes: &[u8]) -> Vec<Block> {
    let entries = bytes.as_chunks::<ENTRY>().0.iter();
    let blocks = entries.map(|entry| {
        let word = |at: usize| u64::from_le_bytes(core::array::from_fn(|byte| entry[at + byte]));
        let len = (word(16) >> 32) as usize;
        let block = Block {
            address: word(0),
            executed: word(8),
            code: entry[CODE..].iter().copied().take(len).collect(),
        };
        (word(16) as u32, block)
    });
    // The file has its full length from the beginning.
    let there = blocks.take_while(|(instructions, _)| *instructions != 0);
    there.map(|(_, block)| block).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_up_to_the_first_that_is_not_there() {
        let mut file = vec![0; 4 * ENTRY];
        file[0..8].copy_from_slice(&0x20_0000_u64.to_le_bytes());
        file[8..16].copy_from_slice(&7_u64.to_le_bytes());
        file[16..20].copy_from_slice(&3_u32.to_le_bytes());
        file[20..24].copy_from_slice(&12_u32.to_le_bytes());
        file[24..36].copy_from_slice(b"instructions");
        // Behind one that is not there yet.
        file[2 * ENTRY..2 * ENTRY + 8].copy_from_slice(&[1; 8]);
        let block = Block {
            address: 0x20_0000,
            executed: 7,
            code: b"instructions".to_vec(),
        };
        assert_eq!(parse(&file), [block]);
        assert_eq!(parse(&file[..ENTRY - 1]), []);
    }
}
