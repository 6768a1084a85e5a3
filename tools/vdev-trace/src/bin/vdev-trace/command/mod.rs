//! What `main` does: each command in a function.
//!
//! Invariant: every error names what failed, so a full disk is blamed on the output that is full.

pub mod arguments;
mod check;
mod decode;
mod input;
mod live;

use arguments::Command;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use vdev_trace::output::files::{self, Outputs};
use vdev_trace::visible::path as shown;
use vdev_trace::vms::compile::{self, Compiled, Warnings};
use vmconf::images::Images;

/// Standard output's name in a message.
const STANDARD_OUTPUT: &str = "standard output";

/// Why it could not do what was asked.
pub enum Failure {
    /// A text to print.
    Told(String),
    /// Whoever read the output has seen enough.
    ReaderGone,
}

impl From<String> for Failure {
    fn from(text: String) -> Self {
        Self::Told(text)
    }
}

fn cannot(what: &str, name: &str, error: &io::Error) -> Failure {
    Failure::Told(format!("error: cannot {what} {name}: {error}\n"))
}

fn refused(reason: files::Refused) -> Failure {
    Failure::Told(format!("error: {reason}\n"))
}

/// Returns whether all is well.
pub fn run(command: Command) -> Result<bool, Failure> {
    match command {
        Command::Check {
            file,
            images,
            from,
            strict,
            system,
        } => check::check(&file, &images, from, warnings(strict), &system),
        Command::Compile {
            config,
            images,
            strict,
            output,
            image_region,
            device_tree,
            vm,
        } => {
            let compiled = compile::compile(&config, vm, any_machine(&images), warnings(strict))?;
            let mut files = vec![(output, &compiled.blob[..])];
            files.extend(image_region.map(|path| (path, &compiled.image_region[..])));
            if let Some(path) = device_tree {
                let tree = compiled.device_tree().ok_or_else(|| {
                    let config = shown(&config);
                    format!("error: the guest of {config} is given no device tree\n")
                })?;
                files.push((path, tree));
            }
            write(&compiled, &config, &files).map(|()| true)
        }
        Command::Decode { input, outputs } => decode::decode(&input, &outputs).map(|()| true),
        Command::Stats { input } => decode::stats(&input).map(|()| true),
    }
}

/// A configuration does not tell on what its VM will run.
fn any_machine(folder: &Path) -> Images<'_> {
    Images {
        folder,
        machine: None,
    }
}

fn warnings(strict: bool) -> Warnings {
    match strict {
        true => Warnings::Refused,
        false => Warnings::Told,
    }
}

fn write(compiled: &Compiled, config: &Path, files: &[(PathBuf, &[u8])]) -> Result<(), Failure> {
    let mut outputs = Outputs::default();
    outputs.protect_path(config);
    for file in &compiled.files {
        outputs.protect_path(&file.path);
    }
    for (path, bytes) in files {
        let mut file = outputs.file(path).map_err(refused)?;
        file.write_all(bytes)
            .and_then(|()| file.flush())
            .map_err(|error| failure_of(&shown(path), &error))?;
    }
    outputs.commit().map_err(refused)
}

/// An output that could not be written.
fn failure_of(name: &str, error: &io::Error) -> Failure {
    match error.kind() {
        ErrorKind::BrokenPipe => Failure::ReaderGone,
        _ => cannot("write", name, error),
    }
}

/// Shown on a terminal while a long input is read.
fn progress(len_bytes: Option<u64>) -> ProgressBar {
    let Some(len_bytes) = len_bytes else {
        return ProgressBar::hidden();
    };
    // Its target is standard error, and it stays silent where that is no terminal.
    let bar = ProgressBar::new(len_bytes);
    let template = "{wide_bar} {percent:>3} % {bytes_per_sec} {eta}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}
