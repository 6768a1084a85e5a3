//! The functions of a Linux kernel by its list of symbols: `System.map`, or a saved `/proc/kallsyms`.
//!
//! Used by `functions`, for guests of which nobody has an ELF file with symbols. A list is text, a line
//! for each symbol, as `nm -n` prints it; the running kernel puts a module's name in brackets behind it:
//!
//! ```text
//! ffff800008010000 T _stext
//! ffff800008ac2f50 t amba_device_try_add
//! ffff800000b31000 t virtio_net_init<tab>[virtio_net]
//! ```
//!
//! An address belongs to the closest function at or below it. A list tells no lengths, so a function ends
//! where the next symbol of any type begins, and at the latest after [`MAX_FUNCTION_BYTES`]: what lies
//! behind the last one, in a module that is not listed or in a process has no name.
//!
//! Invariant: a list is read as a whole or not at all. A line that is damaged might be the one that ends
//! the function before it, so leaving it out would give that function's name to what is another's.
//!
//! Formats: `nm(1)`; Linux, `scripts/mksysmap`, and `s_show` in `kernel/kallsyms.c`.

use crate::visible::visible;
use std::fmt;
use thiserror::Error;

/// The largest list that is read. A distribution's kernel with all of its modules has some 15 MB.
pub const MAX_BYTES: usize = 256 << 20;
/// No function is longer. The longest of a kernel, an interpreter's loop or a checksum that is unrolled, have some
/// tens of KiB; modules lie further apart if something unlisted is between them.
pub const MAX_FUNCTION_BYTES: u64 = 64 << 10;
/// Longer than any line: a name has at most 511 characters (`KSYM_NAME_LEN`), a module's at most 55.
const MAX_LINE_BYTES: usize = 1024;
/// Characters of a damaged line that are shown.
const MAX_SHOWN_CHARS: usize = 120;

/// What Debian has in `/boot/System.map-*` in place of a list, before the name of the package that has it.
const PLACEHOLDER: &str = "The real System.map is in the ";

/// Marks of the linker script that begin no function although they are in its section: what follows is padding.
const ENDS: [&str; 3] = ["_etext", "_einittext", "_end"];
/// Second names of functions that have a plainer one: for code that runs before the kernel is mapped.
const SECOND_NAMES: [&str; 2] = ["__pi_", "__efistub_"];

/// The functions of a list.
pub struct SymbolList {
    /// In the order of their addresses, no two of which are the same.
    functions: Vec<Function>,
    has_modules: bool,
}

struct Function {
    address: u64,
    /// One past its last address.
    end: u64,
    name: Box<str>,
    module: Option<Box<str>>,
}

/// Why a text is no list of symbols. The text of each says what to do.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refused {
    /// It has no bytes.
    #[error("it is empty; copy it again")]
    Empty,
    /// It has more than [`MAX_BYTES`].
    #[error("it has more than {MAX_BYTES} bytes, which no list of symbols has")]
    TooLong,
    /// The first line is none of a list's: this is some other file.
    #[error(
        "it is neither an ELF file nor a list of symbols, as its line 1 is no `ADDRESS TYPE NAME`: {0}"
    )]
    OtherFile(Shown),
    /// The file in which Debian says where the list is.
    #[error("it only says: {0}; take the file from there, or a copy of the guest's /proc/kallsyms")]
    Placeholder(Shown),
    /// A line that no kernel prints.
    #[error(
        "line {number} is damaged: {fault}: {text}; nothing of the list is taken, since the functions \
         around it would get wrong names; copy it again"
    )]
    Line {
        /// Which, from 1 on.
        number: usize,
        /// What is wrong with it.
        fault: Fault,
        /// What it says.
        text: Shown,
    },
    /// The last line does not end.
    #[error("line {number}, its last, has no end: the list was cut off there; copy it again")]
    CutOff {
        /// Which, from 1 on.
        number: usize,
    },
    /// A line of the kernel whose address is below the one before.
    #[error(
        "line {number} has a lower address than the line before: a kernel's symbols are in the order of \
         their addresses. Two lists in one file, or lines that were moved; copy it again"
    )]
    OutOfOrder {
        /// Which, from 1 on.
        number: usize,
    },
    /// The kernel has hidden all addresses from whoever read them.
    #[error(
        "all of its addresses are 0, because the guest's kernel hid them: copy /proc/kallsyms again, as \
         root and with the setting kernel.kptr_restrict at 0 or 1 (`sysctl kernel.kptr_restrict=1`)"
    )]
    Hidden,
    /// It has data alone, or nothing.
    #[error(
        "it has no functions, which are the symbols of the types t, T, w and W; is it the kernel's?"
    )]
    NoFunctions,
}

/// What is wrong with a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Fault {
    /// It has fewer words, or more.
    #[error("it is no `ADDRESS TYPE NAME`, with `[MODULE]` behind it or not")]
    Words,
    /// The first word.
    #[error("its address is not one of 8 or 16 hexadecimal digits, as many as in line 1")]
    Address,
    /// The second word.
    #[error("its type is not one letter")]
    Type,
    /// All of it.
    #[error("it is longer than {MAX_LINE_BYTES} bytes")]
    TooLong,
    /// A byte that is in no name.
    #[error("it has characters that are in no symbol's name")]
    Characters,
}

/// A line, as it may be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown(String);

impl Shown {
    fn of(line: &[u8]) -> Self {
        let start = &line[..line.len().min(4 * MAX_SHOWN_CHARS)];
        let text = String::from_utf8_lossy(start);
        Self(visible(&text, MAX_SHOWN_CHARS).into_owned())
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0)
    }
}

/// A line.
#[derive(Clone, Copy)]
struct Symbol<'a> {
    address: u64,
    letter: u8,
    name: &'a str,
    module: Option<&'a str>,
}

impl<'a> Symbol<'a> {
    fn read(line: &'a [u8], digits: usize) -> Result<Self, Fault> {
        if line.len() > MAX_LINE_BYTES {
            return Err(Fault::TooLong);
        }
        let is_in_names = |byte: &u8| byte.is_ascii_graphic() || matches!(byte, b' ' | b'\t');
        if !line.iter().all(is_in_names) {
            return Err(Fault::Characters);
        }
        let text = str::from_utf8(line).map_err(|_| Fault::Characters)?;
        let mut words = text.split_ascii_whitespace();
        let (Some(address), Some(letter), Some(name)) = (words.next(), words.next(), words.next())
        else {
            return Err(Fault::Words);
        };
        let module = words
            .next()
            .map(|word| in_brackets(word).ok_or(Fault::Words));
        if words.next().is_some() || text.starts_with([' ', '\t']) {
            return Err(Fault::Words);
        }
        let [letter] = *letter.as_bytes() else {
            return Err(Fault::Type);
        };
        if !letter.is_ascii_alphabetic() && letter != b'?' {
            return Err(Fault::Type);
        }
        Ok(Self {
            address: number(address, digits).ok_or(Fault::Address)?,
            letter,
            name,
            module: module.transpose()?,
        })
    }

    /// Whether it has a place in memory: absolute symbols are numbers that the linker has worked out, debugging
    /// symbols and undefined ones are nowhere, and what maps code and data for a disassembler, or was the
    /// compiler's own label, says nothing of functions (*ELF for the Arm 64-bit Architecture*, "Mapping symbols").
    fn is_a_place(&self) -> bool {
        let own = self.name.strip_prefix("__kvm_nvhe_").unwrap_or(self.name);
        let is_label = own.starts_with('$') || own.starts_with(".L");
        self.address != 0 && !is_label && !matches!(self.letter, b'a' | b'A' | b'N' | b'n' | b'U')
    }

    /// Whether it is code: `nm(1)`, where `W` and `w` are weak symbols that are no objects, and `i` is chosen
    /// from several functions when the program begins.
    fn is_function(&self) -> bool {
        let is_code = matches!(self.letter, b't' | b'T' | b'w' | b'W' | b'i');
        is_code && !ENDS.contains(&self.name)
    }

    /// What decides between functions at one address; the lowest is what a person would call it. As the kernel
    /// itself chooses (`compare_symbols` in Linux' `scripts/kallsyms.c`), but that second names come last: a
    /// definition before a weak stand-in, a linker script's marks behind, then by underscores. Of equals, the
    /// first in the list counts.
    fn rank(&self) -> (bool, bool, bool, bool, usize) {
        let underscores = self.name.bytes().take_while(|byte| *byte == b'_').count();
        (
            !self.is_function(),
            SECOND_NAMES
                .iter()
                .any(|first| self.name.starts_with(first)),
            matches!(self.letter, b'w' | b'W'),
            is_mark(self.name),
            underscores,
        )
    }
}

/// Whether a linker script provides a symbol of this name, for where a section begins or ends.
fn is_mark(name: &str) -> bool {
    let Some(name) = name.strip_prefix("__") else {
        return false;
    };
    let firsts = ["start_", "stop_", "end_"];
    firsts.iter().any(|first| name.starts_with(first))
        || name.ends_with("_start")
        || name.ends_with("_end")
}

fn in_brackets(word: &str) -> Option<&str> {
    let module = word.strip_prefix('[')?.strip_suffix(']')?;
    Some(module).filter(|module| !module.is_empty())
}

/// An address as the kernel prints it: always of the same length, so that a cut one is seen.
fn number(word: &str, digits: usize) -> Option<u64> {
    let is_number = word.len() == digits && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_number.then(|| u64::from_str_radix(word, 16).ok())?
}

/// The digits of an address in the list that begins with this line: a kernel of 32 or of 64 bits.
fn digits(line: &[u8]) -> usize {
    match line.iter().position(|byte| !byte.is_ascii_hexdigit()) {
        Some(8) => 8,
        _ => 16,
    }
}

/// The lines without their ends, which a copy over a terminal makes two characters; `None` for a last one that
/// has none.
fn lines(text: &[u8]) -> impl Iterator<Item = Option<&[u8]>> {
    text.split_inclusive(|byte| *byte == b'\n').map(|line| {
        let line = line.strip_suffix(b"\n")?;
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    })
}

impl SymbolList {
    /// Reads a list.
    ///
    /// # Errors
    ///
    /// What the text is instead, or where it is damaged.
    pub fn read(text: &[u8]) -> Result<Self, Refused> {
        let mut symbols = symbols(text)?;
        if symbols.iter().all(|symbol| symbol.address == 0) {
            return Err(Refused::Hidden);
        }
        symbols.retain(Symbol::is_a_place);
        // Stable: the first in the list counts.
        symbols.sort_by_key(|symbol| (symbol.address, symbol.rank()));
        symbols.dedup_by_key(|symbol| symbol.address);
        let ends = symbols.iter().skip(1).map(|next| next.address);
        let ends = ends.chain([u64::MAX]);
        let functions = symbols.iter().zip(ends);
        let functions = functions.filter(|(symbol, _)| symbol.is_function());
        let functions: Vec<_> = functions
            .map(|(symbol, next)| Function {
                address: symbol.address,
                end: next.min(symbol.address.saturating_add(MAX_FUNCTION_BYTES)),
                name: symbol.name.into(),
                module: symbol.module.map(Box::from),
            })
            .collect();
        if functions.is_empty() {
            return Err(Refused::NoFunctions);
        }
        Ok(Self {
            functions,
            has_modules: symbols.iter().any(|symbol| symbol.module.is_some()),
        })
    }

    /// The function that an address lies in, and its module if it is of one.
    pub fn at(&self, address: u64) -> Option<(&str, Option<&str>)> {
        let after = self
            .functions
            .partition_point(|function| function.address <= address);
        let function = &self.functions[after.checked_sub(1)?];
        (address < function.end).then_some((&*function.name, function.module.as_deref()))
    }

    /// Whether an address is in the half of the address space that the kernel has: the other belongs to
    /// processes, of which a list knows nothing.
    pub fn is_in_kernel_half(&self, address: u64) -> bool {
        let half = |address: u64| address >> 63;
        // Some are in the kernel's own part, with modules below it, in the same half.
        let kernel = self.functions.last();
        kernel.is_some_and(|function| half(function.address) == half(address))
    }

    /// Whether it has functions of modules, as the running kernel's has.
    pub fn has_modules(&self) -> bool {
        self.has_modules
    }
}

/// The symbols in the order of their lines.
fn symbols(text: &[u8]) -> Result<Vec<Symbol<'_>>, Refused> {
    let Some(Some(first)) = lines(&text[..text.len().min(MAX_BYTES)]).next() else {
        return Err(without_lines(text));
    };
    if text.len() > MAX_BYTES {
        return Err(Refused::TooLong);
    }
    let digits = digits(first);
    let (mut symbols, mut highest) = (Vec::new(), 0);
    for (number, line) in (1..).zip(lines(text)) {
        let line = line.ok_or(Refused::CutOff { number })?;
        let symbol = Symbol::read(line, digits).map_err(|fault| damaged(number, line, fault))?;
        // Modules are listed as they were loaded.
        if symbol.module.is_none() {
            if symbol.address < highest {
                return Err(Refused::OutOfOrder { number });
            }
            highest = symbol.address;
        }
        symbols.push(symbol);
    }
    Ok(symbols)
}

/// What a text is that has no whole line.
fn without_lines(text: &[u8]) -> Refused {
    match text.is_empty() {
        true => Refused::Empty,
        false => match Symbol::read(text, digits(text)) {
            Ok(_) => Refused::CutOff { number: 1 },
            Err(_) => Refused::OtherFile(Shown::of(text)),
        },
    }
}

fn damaged(number: usize, line: &[u8], fault: Fault) -> Refused {
    let text = String::from_utf8_lossy(line);
    match text.find(PLACEHOLDER) {
        Some(from) => Refused::Placeholder(Shown::of(&text.as_bytes()[from..])),
        None if number == 1 => Refused::OtherFile(Shown::of(line)),
        None => Refused::Line {
            number,
            fault,
            text: Shown::of(line),
        },
    }
}

#[cfg(test)]
mod tests;
