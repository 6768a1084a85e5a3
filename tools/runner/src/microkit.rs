//! seL4 with the Microkit: what its tool is told, and the image that it makes.
//!
//! Used by `platform` and `emulator`. Microkit manual 2.3, "Microkit tool". Invariant: a description that somebody
//! wrote is held against the VMs' configurations, and a board's RAM against what all VMs want,
//! before anything is built.

use crate::shell::pasteable;
use crate::{Failure, description};
use std::path::{Path, PathBuf};
use std::process::Command;
use system_description::{Architecture, Board, Vm, describe, rom_file};
use vdev_trace::input::places::{self, Region};
use vdev_trace::vms::compile::{Compiled, render};
use vmconf::{Diagnostic, Diagnostics};

/// Writes what the VM's ROM holds where the Microkit's tool finds it.
fn write_rom(work: &Path, vm: &Compiled) -> Result<(), String> {
    for (_, len_bytes) in vm
        .vm
        .rom
        .iter()
        .flat_map(|range| range.value.blocks().next())
    {
        let file = work.join(rom_file(len_bytes));
        std::fs::write(&file, vec![0xff; len_bytes as usize])
            .map_err(|error| format!("cannot write {}: {error}", file.display()))?;
    }
    Ok(())
}

const MIB: u64 = 1 << 20;
/// What the kernel and the protection domains need besides the guests' RAM and images; on a PC
/// also what lies below the rings, which are there for whoever looks from outside.
const SYSTEM_BYTES: u64 = 192 * MIB;

/// The kernel that Microkit's tool puts beside an image for x86, as loaders of Multiboot 1 take
/// it.
pub(crate) const KERNEL_32: &str = "sel4_32.elf";

/// The first release with seL4 16.0.0: an x86 kernel before that one has a way out of a VT-x guest.
const OLDEST_SDK: [u32; 3] = [2, 3, 0];

/// Whether a release of the Microkit, as its SDK's file `VERSION` has it, is taken.
fn judge_release(release: &str) -> Result<(), String> {
    // What comes after a hyphen is a build's own.
    let numbers = release.split('-').next().unwrap_or_default().split('.');
    let numbers: Option<Vec<u32>> = numbers.map(|number| number.parse().ok()).collect();
    match numbers {
        Some(numbers) if numbers[..] >= OLDEST_SDK[..] => Ok(()),
        _ => Err(format!(
            "this is Microkit SDK {release:?}, and 2.3.0 is the oldest that is taken: a guest on x86 can get out of \
             the kernels before seL4 16.0.0, which came with it"
        )),
    }
}

/// A Microkit SDK and the protection domains built with it.
#[derive(Clone)]
pub struct Microkit {
    /// The SDK's folder.
    pub sdk: PathBuf,
    /// The Microkit's name for the board that the image is for.
    pub board_name: String,
    /// What that is like.
    pub board: Board,
    /// `debug`, `release`, `smp-release`.
    pub config: String,
    /// Where the protection domains' ELF files are.
    pub domains: PathBuf,
    /// What the Microkit's tool is told.
    pub system: SystemDescription,
}

/// What the Microkit's tool is told of a system.
#[derive(Debug, Clone)]
pub enum SystemDescription {
    /// What is in this file.
    Written(PathBuf),
    /// What is made of the VMs and the board, with a few places changed.
    Made(Vec<Change>),
}

/// A change of a description that is made: the first place where one text stands gets another.
#[derive(Debug, Clone)]
pub struct Change {
    /// What stands there.
    pub from: String,
    /// What is to.
    pub to: String,
}

impl Microkit {
    /// The file with the description, in the run's folder if it is made.
    fn file(&self, work: &Path) -> PathBuf {
        match &self.system {
            SystemDescription::Written(file) => file.clone(),
            SystemDescription::Made(_) => work.join("system.xml"),
        }
    }

    /// Makes the description, or holds the one that was written against the VMs.
    ///
    /// # Errors
    ///
    /// [`Failure::Config`] if the VMs want what is not there, [`Failure::Host`] for a file.
    pub fn describe(&self, work: &Path, vms: &[Compiled]) -> Result<(), Failure> {
        self.has_room_for(vms)?;
        self.can_interrupt(vms)?;
        let changes = match &self.system {
            SystemDescription::Written(file) => return description::check(file, vms),
            SystemDescription::Made(changes) => changes,
        };
        let described = vms.iter().map(|compiled| Vm {
            name: &compiled.vm.system.value,
            ram: compiled.vm.ram.iter().map(|range| range.value).collect(),
            rom: compiled.vm.rom.iter().map(|range| range.value).collect(),
        });
        let described: Vec<_> = described.collect();
        let mut text = describe(&described, &self.board);
        for Change { from, to } in changes {
            if !text.contains(from.as_str()) {
                let board = &self.board_name;
                return Err(Failure::Host(format!("{board}: no place with {from}")));
            }
            text = text.replacen(from, to, 1);
        }
        let file = self.file(work);
        std::fs::create_dir_all(work)
            .and_then(|()| std::fs::write(&file, text))
            .map_err(|error| Failure::Host(format!("cannot write {}: {error}", file.display())))
    }

    /// Whether the SDK has a kernel that keeps a guest in.
    fn is_new_enough(&self) -> Result<(), String> {
        let file = self.sdk.join("VERSION");
        let text = std::fs::read_to_string(&file)
            .map_err(|error| format!("cannot read {}: {error}", file.display()))?;
        judge_release(text.trim()).map_err(|why| format!("{}: {why}", self.sdk.display()))
    }

    /// How much RAM a machine needs for these VMs.
    pub(crate) fn ram_bytes(&self, vms: &[Compiled]) -> u64 {
        let guests = vms
            .iter()
            .map(|vm| vm.ram_bytes + vm.image_region.len() as u64);
        (guests.sum::<u64>() + SYSTEM_BYTES).next_multiple_of(64 * MIB)
    }

    /// Whether the board has the RAM that the VMs want.
    fn has_room_for(&self, vms: &[Compiled]) -> Result<(), Failure> {
        let (wanted, there) = (self.ram_bytes(vms), self.board.ram_mib * MIB);
        let ranges = vms
            .iter()
            .flat_map(|vm| vm.vm.ram.iter().map(move |range| (vm, range)));
        let largest = ranges.max_by_key(|(_, range)| range.value.len_bytes);
        let Some((compiled, range)) = largest.filter(|_| wanted > there) else {
            return Ok(());
        };
        let all: u64 = vms.iter().map(|vm| vm.ram_bytes).sum();
        let board = &self.board_name;
        let error = Diagnostic::error(range.span, format!("{board} does not have so much RAM"))
            .label(format!("{} MiB", range.value.len_bytes.div_ceil(MIB)))
            .help(format!(
                "all VMs together have {} MiB, and the board {} MiB, of which the system needs {}",
                all.div_ceil(MIB),
                there / MIB,
                SYSTEM_BYTES / MIB
            ));
        let diagnostics = Diagnostics::new(compiled.vm.source.clone(), vec![error]);
        Err(Failure::Config(render(&diagnostics)))
    }

    /// Whether the board's guests get the interrupts that the VMs' devices have.
    fn can_interrupt(&self, vms: &[Compiled]) -> Result<(), Failure> {
        if self.board.interrupts_guests() || self.board.architecture == Architecture::X86_64 {
            return Ok(());
        }
        let board = &self.board_name;
        let mut refused = String::new();
        for compiled in vms {
            let lines = compiled.vm.devices.iter();
            let lines = lines.filter_map(|device| device.interrupt.as_ref());
            let errors = lines.map(|line| {
                Diagnostic::error(line.span, format!("{board}'s guests get no interrupts"))
                    .label("this device has one")
                    .help(
                        "the board has a GICv3, and a guest gets its interrupts through a GICv2's virtual CPU \
                         interface",
                    )
            });
            let errors: Vec<_> = errors.collect();
            if !errors.is_empty() {
                refused += &render(&Diagnostics::new(compiled.vm.source.clone(), errors));
            }
        }
        match refused.is_empty() {
            true => Ok(()),
            false => Err(Failure::Config(refused)),
        }
    }

    /// The physical address of the page that says how a run went.
    pub(crate) fn report_page(&self, work: &Path) -> Result<u64, String> {
        let mut reports = self.looked_at(work)?;
        reports.retain(|region| region.is_report);
        match &reports[..] {
            [report] => Ok(report.start),
            _ => {
                let file = self.file(work);
                let place = file.display();
                Err(format!("{place}: there is no memory region \"report\""))
            }
        }
    }

    /// The physical memory that is looked at from outside.
    pub(crate) fn looked_at(&self, work: &Path) -> Result<Vec<Region>, String> {
        let file = self.file(work);
        std::fs::read_to_string(&file)
            .map_err(|error| error.to_string())
            .and_then(|system| places::looked_at(&system))
            .map_err(|error| format!("{}: {error}", file.display()))
    }

    /// Makes the bootable image, with the guests and their configurations as prefilled regions,
    /// and the Microkit's report beside it. [`Self::describe`] comes first.
    ///
    /// # Errors
    ///
    /// What could not be read or written, or what the Microkit's tool says.
    pub fn build(&self, work: &Path, vms: &[Compiled]) -> Result<PathBuf, String> {
        self.is_new_enough()?;
        for vm in vms {
            vm.write_to(work)?;
            write_rom(work, vm)?;
        }
        let image = work.join("loader.img");
        let tool = self.sdk.join("bin/microkit");
        let mut command = Command::new(&tool);
        command.arg(self.file(work)).arg("--search-path");
        command.args([&self.domains, work]);
        command.args(["--board", &self.board_name, "--config", &self.config]);
        command.arg("-o").arg(&image);
        command.arg("-r").arg(work.join("report.txt"));
        command.env_remove("MICROKIT_SDK");
        let output = command
            .output()
            .map_err(|error| format!("cannot run {}: {error}", tool.display()))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let command = pasteable(&command);
            return Err(format!("{command} says: {said}"));
        }
        Ok(image)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_sdk_from_before_sel4_16_is_refused_by_its_name() {
        for release in ["2.3.0", "2.3.1", "2.10.0", "3.0.0", "2.3.0-dev+12"] {
            assert_eq!(judge_release(release), Ok(()), "{release}");
        }
        for release in ["2.2.0", "1.4.1", "2.2.9-dev", "", "main"] {
            let said = judge_release(release).unwrap_err();
            assert!(said.contains(&format!("{release:?}")), "{said}");
        }
    }
}
