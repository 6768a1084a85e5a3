//! The platforms: which files a run needs and what boots them.

use crate::emulator::{Emulator, VtX};
use crate::machine::Boot;
use crate::microkit::{KERNEL_32, Microkit};
use crate::{Request, bochs, qemu};
use std::path::{Path, PathBuf};
use std::process::Command;
use system_description::Architecture;
use vdev_trace::compile::Compiled;
use vdev_trace::image::Machine;
use vdev_trace::places::Places;

const MIB: u64 = 1 << 20;
/// What the unikernel needs below what is the guests'.
const UNIKERNEL_BYTES: u64 = 16 * MIB;
/// Where the unikernel finds VM 0's compiled configuration, from the start of RAM; each VM has
/// a page (`memory_map.rs`).
const CONFIGURATIONS: u64 = 0xe0_0000;
/// Where it finds VM 0's image, likewise; each begins on the page after the one before, and the
/// guests' RAM after them.
const IMAGES: u64 = UNIKERNEL_BYTES;
/// Where its report page is, likewise.
const REPORT_PAGE: u64 = 0xdf_f000;
const PAGE: u64 = 4096;
/// The unit in which it hands out RAM.
const GUEST_RAM_BLOCK: u64 = 2 * MIB;

/// What hosts the VMs.
pub enum Platform {
    /// All components in one image at EL2.
    Unikernel(Unikernel),
    /// Protection domains on seL4, on a board.
    Microkit(Microkit, Emulator),
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

/// What the images of an architecture's guests are for.
pub const fn of_images(architecture: Architecture) -> Machine {
    match architecture {
        Architecture::Aarch64 => Machine::Aarch64,
        Architecture::X86_64 => Machine::X86_64,
    }
}

impl Unikernel {
    /// Start of RAM.
    const fn ram(&self) -> u64 {
        match self.architecture {
            Architecture::Aarch64 => 0x4000_0000,
            Architecture::X86_64 => 0,
        }
    }

    /// What a PC's firmware keeps for itself at the end of RAM.
    const fn firmware_bytes(&self) -> u64 {
        match self.architecture {
            Architecture::Aarch64 => 0,
            Architecture::X86_64 => 2 * MIB,
        }
    }

    /// The emulator, and the machine that the unikernel needs.
    fn machine(&self) -> Command {
        let (program, arguments, usual): (_, &[&str], _) = match self.architecture {
            Architecture::Aarch64 => (
                "qemu-system-aarch64",
                &["-machine", "virt,virtualization=on,gic-version=3"],
                "cortex-a53",
            ),
            Architecture::X86_64 => (
                "qemu-system-x86_64",
                &["-machine", "q35", "-accel", "tcg"],
                "max,+svm",
            ),
        };
        let mut command = Command::new(program);
        command.args(["-display", "none", "-nodefaults", "-serial", "stdio"]);
        command.args(arguments);
        command.args(["-cpu", self.cpu.unwrap_or(usual)]);
        command
    }
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
                format!("microkit {} {}", microkit.board_name, microkit.config)
            }
        }
    }

    /// The physical memory in which the trace rings and the report page lie: the start and
    /// length in bytes of each piece.
    pub(crate) fn memory(&self, vms: &[Compiled], work: &Path) -> Result<Vec<(u64, u64)>, String> {
        match self {
            Self::Unikernel(unikernel) => {
                let len_bytes = UNIKERNEL_BYTES + guest_bytes(vms);
                Ok(vec![(unikernel.ram(), len_bytes)])
            }
            Self::Microkit(microkit, _) => {
                let regions = microkit.looked_at(work)?.into_iter();
                Ok(regions
                    .map(|region| (region.start, region.len_bytes))
                    .collect())
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
    pub(crate) fn report_page(&self, work: &Path) -> Result<u64, String> {
        match self {
            Self::Unikernel(unikernel) => Ok(unikernel.ram() + REPORT_PAGE),
            Self::Microkit(microkit, _) => microkit.report_page(work),
        }
    }

    /// What its guests are built for.
    pub const fn architecture(&self) -> Architecture {
        match self {
            Self::Unikernel(unikernel) => unikernel.architecture,
            Self::Microkit(microkit, _) => microkit.board.architecture,
        }
    }

    /// Puts the files of a run where the emulator finds them and makes ready what boots them.
    pub(crate) fn boot(&self, request: &Request<'_>, vms: &[Compiled]) -> Result<Boot, String> {
        let mut command;
        match self {
            Self::Unikernel(unikernel) => {
                command = unikernel.machine();
                let needed = UNIKERNEL_BYTES + guest_bytes(vms) + unikernel.firmware_bytes();
                command.args(["-m", &format!("{}M", needed.div_ceil(MIB))]);
                command.arg("-kernel").arg(&unikernel.kernel);
                let mut image_at = unikernel.ram() + IMAGES;
                for (vm, number) in vms.iter().zip(0..) {
                    let files = vm.write_to(request.work)?;
                    let blob_at = unikernel.ram() + CONFIGURATIONS + number * PAGE;
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
            Self::Microkit(microkit, emulator) => {
                let image = microkit.build(request.work, vms)?;
                match emulator {
                    Emulator::Qemu(qemu) => {
                        command = Command::new("qemu-system-aarch64");
                        command.args(["-nographic", "-nodefaults", "-serial", "stdio"]);
                        command.args(&qemu.arguments);
                        if microkit.config.starts_with("smp") {
                            command.args(["-smp", "4"]);
                        }
                        load(
                            &mut command,
                            &image,
                            &format!("{:#x},cpu-num=0", qemu.image_at),
                        );
                    }
                    Emulator::VtX(VtX::Bochs) => {
                        let kernel = image.with_file_name(KERNEL_32);
                        let ram_bytes = microkit.ram_bytes(vms);
                        let boot = bochs::Boot::prepare(request, &kernel, &image, ram_bytes)?;
                        return Ok(Boot::Bochs(boot));
                    }
                    Emulator::VtX(VtX::Kvm) if request.icount.is_some() => {
                        return Err("with KVM the machine's clock cannot count instructions".into());
                    }
                    Emulator::VtX(VtX::Kvm) => command = on_kvm(&image, microkit.ram_bytes(vms)),
                }
            }
        }
        Ok(Boot::Qemu(qemu::Boot::prepare(request, command)))
    }
}

/// The command that boots an image for x86 where the host has VT-x. Both serial ports go to
/// the standard output: COM1 is the console's, COM2 the monitor's.
fn on_kvm(image: &Path, ram_bytes: u64) -> Command {
    let mut command = Command::new("qemu-system-x86_64");
    command.args(["-machine", "q35", "-accel", "kvm", "-cpu", "host,+vmx"]);
    command.args(["-m", &format!("{}M", ram_bytes / MIB)]);
    command.args(["-display", "none", "-nodefaults"]);
    command.args(["-chardev", "stdio,id=both,mux=on"]);
    command.args(["-serial", "chardev:both", "-serial", "chardev:both"]);
    command.arg("-kernel").arg(image.with_file_name(KERNEL_32));
    command.arg("-initrd").arg(option_value(image));
    command
}

/// What the guests of the unikernel take of the machine's RAM, in bytes: their images, and each
/// range of RAM.
fn guest_bytes(vms: &[Compiled]) -> u64 {
    let images = vms
        .iter()
        .map(|vm| vm.image_read.len().next_multiple_of(PAGE as usize) as u64);
    let ram = vms.iter().flat_map(|vm| &vm.vm.ram);
    let blocks = ram.map(|range| range.value.len_bytes.next_multiple_of(GUEST_RAM_BLOCK));
    images.sum::<u64>().next_multiple_of(GUEST_RAM_BLOCK) + blocks.sum::<u64>()
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
            pasteable(&on_kvm(Path::new("run, 1/loader.img"), 256 * MIB)),
            "qemu-system-x86_64 -machine q35 -accel kvm -cpu 'host,+vmx' -m 256M -display none \
             -nodefaults -chardev 'stdio,id=both,mux=on' -serial chardev:both -serial chardev:both \
             -kernel 'run, 1/sel4_32.elf' -initrd 'run,, 1/loader.img'"
        );
    }
}
