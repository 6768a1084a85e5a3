//! The files that a run writes: beside their places until all is well, and over nothing that is
//! somebody else's.
//!
//! Used by the command, after its input was found readable. Files are told apart by what they are
//! and not by their names: a link to the input is the input.
//!
//! ```text
//! Outputs::file ──► .NAME.….part ──written──► commit ──rename──► NAME
//! Outputs::folder ► .vdev-trace-…/ ─────────────┘   (dropped before that: nothing was there)
//! ```
//!
//! Invariant: until [`Outputs::commit`] nothing that was there is changed, and then a file is the
//! old one or the new one, as a whole.

use crate::output::ctf;
use crate::visible;
use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io::{self, BufWriter, IsTerminal, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use tempfile::{NamedTempFile, TempDir};

/// Links that are followed to an output's own place.
const MAX_LINKS: usize = 40;
/// What a new file may be, less the process's mask.
const NEW_FILE_MODE: u32 = 0o666;
/// In a folder of ours: what a run that was killed left of its files.
const STAGING: &str = ".vdev-trace-";

/// An output that cannot be, in a text to print without `error: `.
pub type Refused = String;

/// What a file is, whatever it is called.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Identity {
    /// Device and number.
    There(u64, u64),
    /// A name in the folder with this device and number.
    New(u64, u64, PathBuf),
}

impl Identity {
    fn of(metadata: &Metadata) -> Self {
        Self::There(metadata.dev(), metadata.ino())
    }
}

/// The files that a run writes, and those that it reads.
#[derive(Default)]
pub struct Outputs {
    inputs: Vec<(String, Identity)>,
    taken: Vec<(String, Identity)>,
    /// The files among them, and their folders.
    files: Vec<(String, PathBuf)>,
    /// The folder of a trace, if it is there.
    trace: Option<(String, PathBuf)>,
    staged: Vec<Staged>,
}

/// What waits to be renamed.
enum Staged {
    File(NamedTempFile, PathBuf),
    /// A folder that is there; its files are in the folder inside.
    Folder(TempDir, PathBuf),
    /// A folder that is not there yet.
    NewFolder(TempDir, PathBuf),
}

impl Outputs {
    /// No output may be this input. A terminal, a pipe or a device may be both.
    pub fn protect(&mut self, name: String, metadata: &Metadata) {
        if metadata.is_file() {
            self.inputs.push((name, Identity::of(metadata)));
        }
    }

    /// The same for the file at `path`, if it is there.
    pub fn protect_path(&mut self, path: &Path) {
        if let Ok(metadata) = fs::metadata(path) {
            self.protect(visible::path(path), &metadata);
        }
    }

    fn refuse_input(&self, name: &str, identity: &Identity) -> Result<(), Refused> {
        match self.inputs.iter().find(|(_, input)| input == identity) {
            Some((input, _)) if input == name => {
                Err(format!("{name} is an input, and stays as it is"))
            }
            Some((input, _)) => Err(format!("{name} is the input {input}, and stays as it is")),
            None => Ok(()),
        }
    }

    fn take(&mut self, name: &str, identity: Identity) -> Result<(), Refused> {
        self.refuse_input(name, &identity)?;
        if let Some((other, _)) = self.taken.iter().find(|(_, other)| *other == identity) {
            return Err(match other == name {
                true => format!("two outputs cannot both be {name}"),
                false => format!("the outputs {other} and {name} are the same"),
            });
        }
        self.taken.push((name.to_owned(), identity));
        Ok(())
    }

    /// A writer to the file at `path`, or to standard output if it is `-`.
    ///
    /// # Errors
    ///
    /// That it is an input, another output or no file, or cannot be written.
    pub fn file(&mut self, path: &Path) -> Result<Box<dyn Write>, Refused> {
        if path.as_os_str() == "-" {
            return self.standard();
        }
        let name = visible::path(path);
        let cannot = |error: io::Error| format!("cannot write {name}: {error}");
        let target = resolve(path).map_err(cannot)?;
        let there = match fs::metadata(&target) {
            Ok(metadata) => Some(metadata),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(cannot(error)),
        };
        if let (Some(metadata), Ok(standard)) = (&there, metadata_of(io::stdout()))
            && Identity::of(metadata) == Identity::of(&standard)
        {
            return self.standard();
        }
        if let Some(metadata) = &there
            && !metadata.is_file()
        {
            if metadata.is_dir() {
                return Err(format!("cannot write {name}: it is a folder"));
            }
            if !is_null_device(metadata) {
                self.take(&name, Identity::of(metadata))?;
            }
            let device = OpenOptions::new().write(true).open(&target);
            return Ok(Box::new(BufWriter::new(device.map_err(cannot)?)));
        }
        let folder = match target.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let folder = fs::canonicalize(folder).map_err(cannot)?;
        let own_name = target.file_name().unwrap_or_default();
        let identity = match &there {
            Some(metadata) => Identity::of(metadata),
            None => {
                let parent = fs::metadata(&folder).map_err(cannot)?;
                Identity::New(parent.dev(), parent.ino(), own_name.into())
            }
        };
        self.take(&name, identity)?;
        self.files.push((name.clone(), folder.clone()));
        self.refuse_inside()?;
        if there.is_some() {
            // Whoever may not write it may not replace it either.
            OpenOptions::new()
                .write(true)
                .open(&target)
                .map_err(cannot)?;
        }
        let mut prefix = std::ffi::OsString::from(".");
        prefix.push(own_name);
        prefix.push(".");
        let temporary = tempfile::Builder::new()
            .prefix(&prefix)
            .suffix(".part")
            .permissions(Permissions::from_mode(NEW_FILE_MODE))
            .tempfile_in(&folder)
            .map_err(|error| format!("cannot write beside {name}: {error}"))?;
        if let Some(metadata) = &there {
            let mode = Permissions::from_mode(metadata.mode() & 0o777);
            temporary.as_file().set_permissions(mode).map_err(cannot)?;
        }
        let file = temporary.as_file().try_clone().map_err(cannot)?;
        let place = folder.join(own_name);
        self.staged.push(Staged::File(temporary, place));
        Ok(Box::new(BufWriter::new(file)))
    }

    fn standard(&mut self) -> Result<Box<dyn Write>, Refused> {
        let name = "standard output";
        if let Ok(metadata) = metadata_of(io::stdout())
            && !is_null_device(&metadata)
        {
            self.take(name, Identity::of(&metadata))?;
        }
        let output = io::stdout();
        Ok(match output.is_terminal() {
            true => Box::new(output),
            false => Box::new(BufWriter::new(output)),
        })
    }

    /// An empty folder to write a CTF trace into, which becomes the one at `path`.
    ///
    /// # Errors
    ///
    /// That there is a file in it that is no part of a trace of ours, or is an input or another
    /// output, or that it cannot be written.
    pub fn folder(&mut self, path: &Path) -> Result<PathBuf, Refused> {
        let name = visible::path(path);
        let cannot = |error: io::Error| format!("cannot write {name}: {error}");
        if let Ok(metadata) = fs::metadata(path) {
            let folder = fs::canonicalize(path).map_err(cannot)?;
            self.take(&name, Identity::of(&metadata))?;
            self.trace = Some((name.clone(), folder.clone()));
            self.refuse_inside()?;
            for file in ctf::files(path).map_err(cannot)? {
                let metadata = fs::metadata(&file).map_err(cannot)?;
                self.refuse_input(&visible::path(&file), &Identity::of(&metadata))?;
            }
            let temporary = tempfile::Builder::new().prefix(STAGING).tempdir_in(&folder);
            let temporary = temporary.map_err(cannot)?;
            let written = temporary.path().to_owned();
            self.staged.push(Staged::Folder(temporary, folder));
            return Ok(written);
        }
        let parent = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        fs::create_dir_all(parent).map_err(cannot)?;
        let temporary = tempfile::Builder::new()
            .prefix(STAGING)
            .permissions(Permissions::from_mode(0o777))
            .tempdir_in(parent)
            .map_err(|error| format!("cannot write beside {name}: {error}"))?;
        let written = temporary.path().to_owned();
        self.staged
            .push(Staged::NewFolder(temporary, path.to_owned()));
        Ok(written)
    }

    /// A file among those of a CTF trace would be taken for a part of it.
    fn refuse_inside(&self) -> Result<(), Refused> {
        let Some((trace, folder)) = &self.trace else {
            return Ok(());
        };
        match self.files.iter().find(|(_, its)| its == folder) {
            Some((file, _)) => Err(format!("{file} would be among the files of {trace}")),
            None => Ok(()),
        }
    }

    /// Puts everything in its place.
    ///
    /// # Errors
    ///
    /// Which file could not be put there.
    pub fn commit(self) -> Result<(), Refused> {
        for staged in self.staged {
            match staged {
                Staged::File(temporary, place) => {
                    temporary
                        .persist(&place)
                        .map_err(|error| cannot_place(&place, &error.error))?;
                }
                Staged::Folder(temporary, folder) => ctf::replace(temporary.path(), &folder)
                    .map_err(|error| cannot_place(&folder, &error))?,
                Staged::NewFolder(temporary, folder) => {
                    fs::rename(temporary.path(), &folder)
                        .map_err(|error| cannot_place(&folder, &error))?;
                    // It is not there any more.
                    let _ = temporary.keep();
                }
            }
        }
        Ok(())
    }
}

fn cannot_place(place: &Path, error: &io::Error) -> Refused {
    format!("cannot write {}: {error}", visible::path(place))
}

/// Where an output's own name is, which may be that of a link to it.
fn resolve(path: &Path) -> io::Result<PathBuf> {
    let mut place = path.to_owned();
    for _ in 0..MAX_LINKS {
        match fs::symlink_metadata(&place) {
            Ok(metadata) if metadata.is_symlink() => {
                // What a process has open has no name that could be followed.
                if fs::metadata(&place).is_ok_and(|metadata| !metadata.is_file()) {
                    return Ok(place);
                }
                let link = fs::read_link(&place)?;
                place = match place.parent() {
                    Some(parent) => parent.join(link),
                    None => link,
                };
            }
            _ => return Ok(place),
        }
    }
    Err(io::Error::other("too many links"))
}

/// What nobody reads may be written twice.
fn is_null_device(metadata: &Metadata) -> bool {
    metadata.file_type().is_char_device()
        && fs::metadata("/dev/null").is_ok_and(|null| null.rdev() == metadata.rdev())
}

/// What standard input or output is.
///
/// # Errors
///
/// That it is closed.
pub fn metadata_of(stream: impl AsFd) -> io::Result<Metadata> {
    File::from(stream.as_fd().try_clone_to_owned()?).metadata()
}
