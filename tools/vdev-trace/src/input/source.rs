//! The bytes to decode: a file that can be read anywhere, or a stream.
//!
//! Opened by the command; read by `dump` and `serial`. Invariant: memory does not grow with
//! the input. A dump that comes through a pipe is copied to a temporary file first, since
//! the oldest record of a ring may lie anywhere in it.

use object::elf::{FileHeader64, PT_LOAD};
use object::read::elf::{FileHeader, ProgramHeader};
use object::{Endianness, ReadCache};
use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use trace_stream::{Decoder, Received};

/// How much of an input is looked at to find out what it is.
const SNIFFED_BYTES: usize = 64 << 10;
/// More of a text than that is not read: it is too long to be a configuration.
pub const MAX_TEXT_BYTES: u64 = vmconf::MAX_FILE_BYTES as u64 + 1;
/// How much of a stream is copied at once.
const COPIED_BYTES: usize = 256 << 10;

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
    Serial(Box<dyn Read + Send>, Option<u64>),
    /// A text: a configuration.
    Text(Vec<u8>),
}

/// What an input that is not said to be anything else can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Texts {
    /// A text too.
    Allowed,
    /// Only what rings are in.
    None,
}

/// Why an input could not be opened.
#[derive(Debug)]
pub enum OpenError {
    /// It cannot be read.
    Read(io::Error),
    /// It has to be copied, and there is no place for it: the folder for temporary files.
    Copy(PathBuf, io::Error),
}

impl From<io::Error> for OpenError {
    fn from(error: io::Error) -> Self {
        Self::Read(error)
    }
}

/// Opens `path`, or standard input if it is `-`, and finds out what it is unless told.
///
/// # Errors
///
/// Those of the file, and of the temporary one that it may have to be copied to.
pub fn open(path: &Path, told: Option<Format>, texts: Texts) -> Result<Input, OpenError> {
    if path.as_os_str() == "-" {
        return stream(io::stdin(), told, texts);
    }
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return stream(file, told, texts);
    }
    let mut start = vec![0; SNIFFED_BYTES];
    let len = ReadAt::read_at(&file, &mut start, 0)?;
    start.truncate(len);
    if told.is_none() && texts == Texts::Allowed && is_text(&start) {
        start.clear();
        (&file).take(MAX_TEXT_BYTES).read_to_end(&mut start)?;
        return Ok(Input::Text(start));
    }
    Ok(match told.unwrap_or_else(|| sniff(&start)) {
        Format::Serial => Input::Serial(Box::new(BufReader::new(file)), Some(metadata.len())),
        format => Input::Memory(file, format),
    })
}

fn stream(
    mut input: impl Read + Send + 'static,
    told: Option<Format>,
    texts: Texts,
) -> Result<Input, OpenError> {
    if told == Some(Format::Serial) {
        // Nothing is read ahead: the line may be live.
        return Ok(Input::Serial(Box::new(BufReader::new(input)), None));
    }
    let mut start = Vec::new();
    input
        .by_ref()
        .take(SNIFFED_BYTES as u64)
        .read_to_end(&mut start)?;
    if told.is_none() && texts == Texts::Allowed && is_text(&start) {
        input.take(MAX_TEXT_BYTES).read_to_end(&mut start)?;
        return Ok(Input::Text(start));
    }
    let format = told.unwrap_or_else(|| sniff(&start));
    let whole = io::Cursor::new(start).chain(input);
    if format == Format::Serial {
        return Ok(Input::Serial(Box::new(BufReader::new(whole)), None));
    }
    Ok(Input::Memory(copy(whole)?, format))
}

/// A file of what comes.
fn copy(mut input: impl Read) -> Result<File, OpenError> {
    let folder = std::env::temp_dir();
    let cannot = |error| OpenError::Copy(folder.clone(), error);
    let mut file = tempfile::tempfile_in(&folder).map_err(cannot)?;
    let mut buffer = vec![0; COPIED_BYTES];
    loop {
        match input.read(&mut buffer) {
            Ok(0) => return Ok(file),
            Ok(len) => file.write_all(&buffer[..len]).map_err(cannot)?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// A configuration is text; dumps, cores and captures hold zeroes. An editor that saves UTF-16
/// puts them into a text, too, and says so at its start.
fn is_text(start: &[u8]) -> bool {
    vmconf::is_utf_16(start) || !start.contains(&0)
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
