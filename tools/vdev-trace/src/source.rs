//! The bytes to decode: a file that can be read anywhere, or a stream.
//!
//! Opened by the command; read by `dump` and `serial`. Invariant: memory does not grow with
//! the input. A dump that comes through a pipe is copied to a temporary file first, since
//! the oldest record of a ring may lie anywhere in it.

use object::elf::{FileHeader64, PT_LOAD};
use object::read::elf::{FileHeader, ProgramHeader};
use object::{Endianness, ReadCache};
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;
use trace_stream::{Decoder, Received};

/// How much of an input is looked at to find out what it is.
const SNIFFED_BYTES: usize = 64 << 10;

/// What an input is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Memory, byte for byte.
    Dump,
    /// An ELF core file, as QEMU's `dump-guest-memory` writes it.
    Core,
    /// What came over a serial line.
    Serial,
}

/// Bytes that can be read in any order.
pub trait ReadAt {
    /// Fills `buffer` from `offset` on; fewer bytes only at the end.
    ///
    /// # Errors
    ///
    /// Those of the file.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// How many bytes there are.
    fn len_bytes(&self) -> u64;
}

impl ReadAt for &[u8] {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let rest = usize::try_from(offset)
            .ok()
            .and_then(|offset| self.get(offset..))
            .unwrap_or_default();
        let len = rest.len().min(buffer.len());
        buffer[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }

    fn len_bytes(&self) -> u64 {
        self.len() as u64
    }
}

impl ReadAt for File {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match FileExt::read_at(self, &mut buffer[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(len) => filled += len,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    fn len_bytes(&self) -> u64 {
        self.metadata().map_or(0, |metadata| metadata.len())
    }
}

/// An opened input.
pub enum Input {
    /// A dump or a core, and which.
    Memory(File, Format),
    /// A serial line, and how many bytes of it there are, if that is known.
    Serial(Box<dyn Read>, Option<u64>),
}

/// Opens `path`, or standard input if it is `-`, and finds out what it is unless told.
///
/// # Errors
///
/// Those of the file.
pub fn open(path: &Path, told: Option<Format>) -> io::Result<Input> {
    if path.as_os_str() != "-" {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        if metadata.is_file() {
            let mut start = vec![0; SNIFFED_BYTES];
            let len = ReadAt::read_at(&file, &mut start, 0)?;
            return Ok(match told.unwrap_or_else(|| sniff(&start[..len])) {
                Format::Serial => {
                    Input::Serial(Box::new(BufReader::new(file)), Some(metadata.len()))
                }
                format => Input::Memory(file, format),
            });
        }
        return stream(file, told);
    }
    stream(io::stdin(), told)
}

fn stream(mut input: impl Read + 'static, told: Option<Format>) -> io::Result<Input> {
    if told == Some(Format::Serial) {
        // Nothing is read ahead: the line may be live.
        return Ok(Input::Serial(Box::new(BufReader::new(input)), None));
    }
    let mut start = Vec::new();
    input
        .by_ref()
        .take(SNIFFED_BYTES as u64)
        .read_to_end(&mut start)?;
    let format = told.unwrap_or_else(|| sniff(&start));
    let mut whole = io::Cursor::new(start).chain(input);
    if format == Format::Serial {
        return Ok(Input::Serial(Box::new(BufReader::new(whole)), None));
    }
    let mut file = tempfile::tempfile()?;
    io::copy(&mut whole, &mut file)?;
    Ok(Input::Memory(file, format))
}

/// What an input that begins like this is.
fn sniff(start: &[u8]) -> Format {
    if start.starts_with(b"\x7fELF") {
        return Format::Core;
    }
    let mut decoder = Decoder::new();
    let frame = |byte: &u8| matches!(decoder.push(*byte), Some(Received::Frame(_)));
    if start.iter().any(frame) {
        Format::Serial
    } else {
        Format::Dump
    }
}

/// A stretch of the machine's memory in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Where it starts in the file.
    pub offset: u64,
    /// How many bytes of it the file holds.
    pub len_bytes: u64,
    /// How many bytes the file says that it has.
    pub claimed_bytes: u64,
    /// Its guest-physical address, where the file tells it.
    pub address: Option<u64>,
}

/// The stretches of memory in a dump or a core.
///
/// # Errors
///
/// If it is said to be a core and its headers cannot be read; the text names the offset.
pub fn segments(file: &File, format: Format) -> Result<Vec<Segment>, String> {
    let len_bytes = file.len_bytes();
    if format != Format::Core {
        return Ok(vec![Segment {
            offset: 0,
            len_bytes,
            claimed_bytes: len_bytes,
            address: None,
        }]);
    }
    let data = ReadCache::new(BufReader::new(file));
    let header = FileHeader64::<Endianness>::parse(&data).map_err(|error| {
        format!("offset 0x0: {error}; a core of a 64-bit machine starts with an ELF header")
    })?;
    let headers = header.endian().and_then(|endian| {
        let headers = header.program_headers(endian, &data)?;
        Ok((endian, headers))
    });
    let (endian, headers) = headers.map_err(|error| {
        let at = header.e_phoff(Endianness::Little);
        format!("offset {at:#x}: {error}; the core's list of segments is damaged or cut off")
    })?;
    let loaded = headers
        .iter()
        .filter(|header| header.p_type(endian) == PT_LOAD);
    Ok(loaded
        .map(|header| {
            let offset = header.p_offset(endian);
            let claimed_bytes = header.p_filesz(endian);
            Segment {
                offset,
                len_bytes: claimed_bytes.min(len_bytes.saturating_sub(offset)),
                claimed_bytes,
                address: Some(header.p_paddr(endian)),
            }
        })
        .collect())
}
