//! The functions of a guest's ELF file: from an address to who made the access there.
//!
//! Used by `functions`. The file is whatever a guest was built from, so its names are claims: what is
//! handed out can be seen and is of bounded length. Invariant: only the file's own bytes are
//! looked at, whichever other files its debug information names.

use crate::visible::visible;
use addr2line::{Context, Frame};
use gimli::{Dwarf, EndianRcSlice, Error, RunTimeEndian};
use object::{Object, ObjectSection, ObjectSymbol, SectionKind};
use std::path::Path;

/// Characters of a function's name, and of its source file's, that are shown.
const MAX_NAME_CHARS: usize = 200;
const MAX_FILE_CHARS: usize = 64;

/// A compressed section says how much memory it wants.
const MAX_SECTION_BYTES: u64 = 1 << 30;

/// In the path of a source file: a dependency, the compiler's own libraries.
const LIBRARIES: [&str; 4] = ["/registry/src/", "/git/checkouts/", "/rustc/", "/rustlib/"];

/// The functions of an ELF file.
pub(super) struct ElfFunctions {
    lines: Context<EndianRcSlice<RunTimeEndian>>,
    /// In the order of their addresses.
    symbols: Vec<Symbol>,
}

struct Symbol {
    address: u64,
    /// One past its last address: its section's where its own length is not told.
    end: u64,
    name: String,
}

impl ElfFunctions {
    /// Those of the ELF file with these bytes.
    pub fn read(elf: &[u8]) -> Result<Self, String> {
        let object = object::File::parse(elf).map_err(|error| error.to_string())?;
        let endian = match object.is_little_endian() {
            true => RunTimeEndian::Little,
            false => RunTimeEndian::Big,
        };
        let dwarf = Dwarf::load(|id| {
            let section = object.section_by_name(id.name());
            let section = section.and_then(|section| section.compressed_data().ok());
            let section = section.filter(|data| data.uncompressed_size <= MAX_SECTION_BYTES);
            let data = section.and_then(|data| data.decompress().ok());
            Ok::<_, Error>(EndianRcSlice::new(
                data.unwrap_or_default().as_ref().into(),
                endian,
            ))
        });
        let lines = dwarf.and_then(Context::from_dwarf);
        let symbols = object.symbols().chain(object.dynamic_symbols());
        let symbols = symbols.filter_map(|symbol| {
            let section = object.section_by_index(symbol.section_index()?).ok()?;
            let name = String::from_utf8_lossy(symbol.name_bytes().ok()?).into_owned();
            let (start, len_bytes) = match symbol.size() {
                0 => (section.address(), section.size()),
                len_bytes => (symbol.address(), len_bytes),
            };
            let is_code = symbol.is_definition() && section.kind() == SectionKind::Text;
            (is_code && !name.is_empty()).then(|| Symbol {
                address: symbol.address(),
                end: start.saturating_add(len_bytes),
                name,
            })
        });
        let mut symbols = symbols.collect::<Vec<_>>();
        symbols.sort_by_key(|symbol| (symbol.address, symbol.end));
        Ok(Self {
            lines: lines.map_err(|error| error.to_string())?,
            symbols,
        })
    }

    /// Whether any address has a name.
    pub fn has_names(&self) -> bool {
        !self.symbols.is_empty()
    }

    /// Who made the access at an address: of the functions that were inlined there the
    /// innermost that stands in another file than the access itself, which is mostly an
    /// accessor's or a library's and says little; else the function that the address lies in.
    pub fn at(&self, address: u64) -> Option<String> {
        let mut frames = self.lines.find_frames(address).skip_all_loads().ok()?;
        let file_of = |frame: &Frame<'_, _>| {
            let file = frame.location.as_ref().and_then(|location| location.file);
            file.map(str::to_owned)
        };
        let is_library = |file: &String| LIBRARIES.iter().any(|part| file.contains(part));
        let (mut accessor, mut found) = (None, None);
        while let Ok(Some(frame)) = frames.next() {
            let file = file_of(&frame).filter(|file| !is_library(file));
            found = Some(frame);
            match (&accessor, file) {
                (Some(accessor), Some(file)) if *accessor != file => break,
                (None, file) => accessor = file,
                _ => {}
            }
        }
        let Some(frame) = found else {
            return Some(shown(self.symbol(address)?, None));
        };
        let name = match &frame.function {
            Some(function) => function.demangle().ok()?.into_owned(),
            None => self.symbol(address)?,
        };
        let location = frame.location;
        let place = location.and_then(|location| Some((location.file?, location.line?)));
        Some(shown(name, place))
    }

    fn symbol(&self, address: u64) -> Option<String> {
        let after = self
            .symbols
            .partition_point(|symbol| symbol.address <= address);
        let symbol = &self.symbols[after.checked_sub(1)?];
        (address < symbol.end).then(|| demangled(&symbol.name))
    }
}

/// A symbol's name as its source has it.
pub(super) fn demangled(name: &str) -> String {
    addr2line::demangle_auto(name.into(), None).into_owned()
}

/// A function's name with its source line where that is known, as it may be shown.
pub(super) fn shown(mut name: String, place: Option<(&str, u32)>) -> String {
    without_hash(&mut name);
    let mut shown = visible(&name, MAX_NAME_CHARS).into_owned();
    if let Some((file, line)) = place {
        let file = Path::new(file).file_name().unwrap_or_default();
        let file = file.to_string_lossy();
        shown += &format!(" ({}:{line})", visible(&file, MAX_FILE_CHARS));
    }
    shown
}

/// A legacy Rust symbol ends with a hash that tells a person nothing.
fn without_hash(name: &mut String) {
    if let Some((before, hash)) = name.rsplit_once("::h")
        && hash.len() == 16
        && hash.bytes().all(|byte| byte.is_ascii_hexdigit())
    {
        name.truncate(before.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_file_s_name_is_the_guest_s_claim_too() {
        let name = || "guest::run::h0123456789abcdef".to_owned();
        assert_eq!(
            shown(name(), Some(("src/run.rs", 7))),
            "guest::run (run.rs:7)"
        );
        assert_eq!(
            shown(name(), Some(("src/\x1b]0;run\u{202e}sr.\n", 7))),
            "guest::run (\\u{1b}]0;run\\u{202e}sr.\\n:7)"
        );
        let long = shown("f".repeat(1 << 20), Some((&"n".repeat(1 << 20), 7)));
        assert!(long.chars().count() < 300);
    }
}
