//! The platforms: which files a run needs and what boots them.

use crate::board::{BoardModel, Emulator, VtX};
use crate::machine::Boot;
use crate::{Request, bochs, qemu};
use std::path::{Path, PathBuf};
use std::process::Command;
use vdev_trace::compile::Compiled;
use vdev_trace::image::Machine;
use vdev_trace::places::Places;

const MIB: u64 = 1 << 20;
/// What the unikernel needs below the guests' RAM.
const UNIKERNEL_BYTES: u64 = 16 * MIB;
/// Where the unikernel finds VM 0's compiled configuration, from the start of RAM; each VM has
/// a page (`memory_map.rs`).
const CONFIGURATIONS: u64 = 0xe0_0000;
/// Where it finds VM 0's image, likewise; each begins on the page after the one before.
const IMAGES: u64 = 0xe1_0000;
/// Where its report page is, likewise.
const REPORT_PAGE: u64 = 0xdf_f000;
const PAGE: u64 = 4096;
/// The unit in which it hands out RAM.
const GUEST_RAM_BLOCK: u64 = 2 * MIB;

/// The name of the report page's memory region.
const REPORT: &str = "report";

/// The kernel that Microkit's tool puts beside an image for x86, as loaders of Multiboot 1 take
/// it.
const KERNEL_32: &str = "sel4_32.elf";

/// What hosts the VMs.
pub enum Platform {
    /// All components in one image at EL2.
    Unikernel(Unikernel),
    /// Protection domains on seL4, on a board.
    Microkit(Microkit, &'static BoardModel),
}

/// The unikernel's image.
pub struct Unikernel {
    /// What it was built for.
    pub architecture: Architecture,
    /// The ELF file.
    pub kernel: PathBuf,
    /// QEMU's model of the CPU, if not the usual one.
    pub cpu: Option<&'static str>,
}

/// The architectures that the unikernel runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    /// QEMU's virt board, at EL2.
    Aarch64,
    /// QEMU's machine q35, with AMD SVM.
    X86_64,
}

impl Architecture {
    /// Its name, as Rust and the Makefile have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Aarch64 => "aarch64",
            Self::X86_64 => "x86_64",
        }
    }

    /// The configuration `text`, whose console is a PL011 at 0x9000000, with the console that a
    /// guest of this architecture has. So one scenario serves both.
    pub fn with_console(self, text: &str) -> String {
        match self {
            Self::Aarch64 => text.to_owned(),
            Self::X86_64 => text
                .replace("console=0x9000000", "console=io:0x3f8")
                .replace("vdev pl011", "vdev ser8250")
                .replace("loc 0x9000000", "loc io:0x3f8"),
        }
    }

    /// What the images of its guests are for.
    pub const fn of_images(self) -> Machine {
        match self {
            Self::Aarch64 => Machine::Aarch64,
            Self::X86_64 => Machine::X86_64,
        }
    }

    /// Start of RAM.
    const fn ram(self) -> u64 {
        match self {
            Self::Aarch64 => 0x4000_0000,
            Self::X86_64 => 0,
        }
    }

    /// What a PC's firmware keeps for itself at the end of RAM.
    const fn firmware_bytes(self) -> u64 {
        match self {
            Self::Aarch64 => 0,
            Self::X86_64 => 2 * MIB,
        }
    }

    /// The emulator, and the machine that the unikernel needs, with a CPU that is not the usual
    /// one if it is given.
    fn machine(self, cpu: Option<&str>) -> Command {
        let (program, arguments, usual): (_, &[&str], _) = match self {
            Self::Aarch64 => (
                "qemu-system-aarch64",
                &["-machine", "virt,virtualization=on,gic-version=3"],
                "cortex-a53",
            ),
            Self::X86_64 => (
                "qemu-system-x86_64",
                &["-machine", "q35", "-accel", "tcg"],
                "max,+svm",
            ),
        };
        let mut command = Command::new(program);
        command.args(["-display", "none", "-nodefaults", "-serial", "stdio"]);
        command.args(arguments);
        command.args(["-cpu", cpu.unwrap_or(usual)]);
        command
    }
}

/// A Microkit SDK and the protection domains built with it.
pub struct Microkit {
    /// The SDK's folder.
    pub sdk: PathBuf,
    /// The board that the image is for.
    pub board: String,
    /// `debug`, `release`, `smp-release`.
    pub config: String,
    /// Where the protection domains' ELF files are.
    pub domains: PathBuf,
    /// The system description.
    pub system: PathBuf,
}

impl Platform {
    /// The name that `--platform` has for it, with the configuration where there are several.
    pub fn name(&self) -> String {
        match self {
            Self::Unikernel(unikernel) => match unikernel.architecture {
                Architecture::Aarch64 => "unikernel".into(),
                other => format!("unikernel {}", other.name()),
            },
            Self::Microkit(microkit, _) => {
                format!("microkit {} {}", microkit.board, microkit.config)
            }
        }
    }

    /// What the platform has been told of the VMs, where that is a file of its own.
    pub(crate) fn system(&self) -> Option<&Path> {
        match self {
            Self::Unikernel(_) => None,
            Self::Microkit(microkit, _) => Some(&microkit.system),
        }
    }

    /// The physical memory in which the trace rings and the report page lie: the start and
    /// length in bytes of each piece.
    pub(crate) fn memory(&self, vms: &[Compiled]) -> Result<Vec<(u64, u64)>, String> {
        match self {
            Self::Unikernel(unikernel) => {
                let len_bytes = UNIKERNEL_BYTES + guest_bytes(vms);
                Ok(vec![(unikernel.architecture.ram(), len_bytes)])
            }
            Self::Microkit(microkit, _) => {
                microkit.regions(|name| name.starts_with("trace_ring") || name == REPORT)
            }
        }
    }

    /// Where in a dump of this memory the system has its rings; what lies elsewhere in it may be
    /// a guest's.
    pub fn ring_places(&self) -> Places {
        match self {
            Self::Unikernel(_) => Places::within(0..CONFIGURATIONS),
            // Nothing but its regions is in the dump.
            Self::Microkit(..) => Places::Anywhere,
        }
    }

    /// The physical address of the page that says how the run went.
    pub(crate) fn report_page(&self) -> Result<u64, String> {
        match self {
            Self::Unikernel(unikernel) => Ok(unikernel.architecture.ram() + REPORT_PAGE),
            Self::Microkit(microkit, _) => match microkit.regions(|name| name == REPORT)?[..] {
                [(first, _)] => Ok(first),
                _ => {
                    let place = microkit.system.display();
                    Err(format!("{place}: there is no memory region \"{REPORT}\""))
                }
            },
        }
    }

    /// What its guests are built for.
    pub const fn architecture(&self) -> Architecture {
        match self {
            Self::Unikernel(unikernel) => unikernel.architecture,
            Self::Microkit(_, model) => match model.emulator {
                Emulator::QemuAarch64 { .. } => Architecture::Aarch64,
                Emulator::VtX(_) => Architecture::X86_64,
            },
        }
    }

    /// Puts the files of a run where the emulator finds them and makes ready what boots them.
    pub(crate) fn boot(&self, request: &Request<'_>, vms: &[Compiled]) -> Result<Boot, String> {
        let mut command;
        match self {
            Self::Unikernel(unikernel) => {
                let architecture = unikernel.architecture;
                command = architecture.machine(unikernel.cpu);
                let needed = UNIKERNEL_BYTES + guest_bytes(vms) + architecture.firmware_bytes();
                command.args(["-m", &format!("{}M", needed.div_ceil(MIB))]);
                command.arg("-kernel").arg(&unikernel.kernel);
                let mut image_at = architecture.ram() + IMAGES;
                for (vm, number) in vms.iter().zip(0..) {
                    let files = vm.write_to(request.work)?;
                    let blob_at = architecture.ram() + CONFIGURATIONS + number * PAGE;
                    load(
                        &mut command,
                        &files.blob,
                        &format!("{blob_at:#x},force-raw=on"),
                    );
                    let place = format!("{image_at:#x},force-raw=on");
                    load(&mut command, &files.image, &place);
                    image_at += (vm.image_read.len() as u64).next_multiple_of(PAGE);
                }
            }
            Self::Microkit(microkit, model) => {
                let image = microkit.build(request.work, vms)?;
                match &model.emulator {
                    Emulator::QemuAarch64 { machine, image_at } => {
                        command = Command::new("qemu-system-aarch64");
                        command.args(["-nographic", "-nodefaults", "-serial", "stdio"]);
                        command.args(*machine);
                        if microkit.config.starts_with("smp") {
                            command.args(["-smp", "4"]);
                        }
                        load(&mut command, &image, &format!("{image_at},cpu-num=0"));
                    }
                    Emulator::VtX(VtX::Bochs) => {
                        let kernel = image.with_file_name(KERNEL_32);
                        let boot = bochs::Boot::prepare(request, &kernel, &image)?;
                        return Ok(Boot::Bochs(boot));
                    }
                    Emulator::VtX(VtX::Kvm) if request.icount.is_some() => {
                        return Err("with KVM the machine's clock cannot count instructions".into());
                    }
                    Emulator::VtX(VtX::Kvm) => command = on_kvm(&image),
                }
            }
        }
        Ok(Boot::Qemu(qemu::Boot::prepare(request, command)))
    }
}

/// The command that boots an image for x86 where the host has VT-x. Both serial ports go to
/// the standard output: COM1 is the console's, COM2 the monitor's.
fn on_kvm(image: &Path) -> Command {
    let mut command = Command::new("qemu-system-x86_64");
    command.args(["-machine", "q35", "-accel", "kvm", "-cpu", "host,+vmx"]);
    command.args(["-m", "1G", "-display", "none", "-nodefaults"]);
    command.args(["-chardev", "stdio,id=both,mux=on"]);
    command.args(["-serial", "chardev:both", "-serial", "chardev:both"]);
    command.arg("-kernel").arg(image.with_file_name(KERNEL_32));
    command.arg("-initrd").arg(option_value(image));
    command
}

impl Microkit {
    /// The physical memory of the regions with such names.
    fn regions(&self, with: impl Fn(&str) -> bool) -> Result<Vec<(u64, u64)>, String> {
        let place = self.system.display();
        std::fs::read_to_string(&self.system)
            .map_err(|error| error.to_string())
            .and_then(|system| regions(&system, with))
            .map_err(|error| format!("{place}: {error}"))
    }

    /// Makes the bootable image, with the guests and their configurations as prefilled regions,
    /// and the Microkit's report beside it.
    ///
    /// # Errors
    ///
    /// What could not be read or written, or what the Microkit's tool says.
    pub fn build(&self, work: &Path, vms: &[Compiled]) -> Result<PathBuf, String> {
        for vm in vms {
            vm.write_to(work)?;
        }
        let image = work.join("loader.img");
        let tool = self.sdk.join("bin/microkit");
        let mut command = Command::new(&tool);
        command.arg(&self.system).arg("--search-path");
        command.args([&self.domains, work]);
        command.args(["--board", &self.board, "--config", &self.config]);
        command.arg("-o").arg(&image);
        command.arg("-r").arg(work.join("report.txt"));
        command.env_remove("MICROKIT_SDK");
        let output = command
            .output()
            .map_err(|error| format!("cannot run {}: {error}", tool.display()))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(format!("{} says: {said}", pasteable(&command)));
        }
        Ok(image)
    }
}

/// RAM for the guests of the unikernel, in bytes.
fn guest_bytes(vms: &[Compiled]) -> u64 {
    let blocks = vms
        .iter()
        .map(|vm| vm.ram_bytes.next_multiple_of(GUEST_RAM_BLOCK));
    blocks.sum()
}

/// Where a system description puts the regions with such names: they have a physical address, so
/// that whoever looks from outside finds them.
fn regions(system: &str, with: impl Fn(&str) -> bool) -> Result<Vec<(u64, u64)>, String> {
    let document = roxmltree::Document::parse(system).map_err(|error| error.to_string())?;
    let regions = document
        .descendants()
        .filter(|node| node.has_tag_name("memory_region"));
    let regions = regions.filter_map(|region| Some((region.attribute("name")?, region)));
    regions
        .filter(|(name, _)| with(name))
        .map(|(name, region)| {
            let number = |name| region.attribute(name).and_then(hexadecimal);
            number("phys_addr")
                .zip(number("size"))
                .ok_or_else(|| format!("{name} has no phys_addr and size in hexadecimal"))
        })
        .collect()
}

fn hexadecimal(text: &str) -> Option<u64> {
    u64::from_str_radix(&text.strip_prefix("0x")?.replace('_', ""), 16).ok()
}

fn load(command: &mut Command, file: &Path, place: &str) {
    let file = option_value(file);
    command.arg("-device");
    command.arg(format!("loader,file={file},addr={place}"));
}

/// A path inside one of QEMU's options, where a comma ends a value and two do not.
pub(crate) fn option_value(path: &Path) -> String {
    path.display().to_string().replace(',', ",,")
}

/// A command as one would type it.
pub(crate) fn pasteable(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
    // No argument can hold a NUL, the one byte that has no quoted form.
    shlex::try_join(words.iter().map(AsRef::as_ref)).unwrap_or_else(|_| words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_for_kvm_boots_by_multiboot_and_shows_both_serial_ports() {
        assert_eq!(
            pasteable(&on_kvm(Path::new("run, 1/loader.img"))),
            "qemu-system-x86_64 -machine q35 -accel kvm -cpu 'host,+vmx' -m 1G -display none \
             -nodefaults -chardev 'stdio,id=both,mux=on' -serial chardev:both -serial chardev:both \
             -kernel 'run, 1/sel4_32.elf' -initrd 'run,, 1/loader.img'"
        );
    }
}
