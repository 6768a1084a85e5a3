//! The unikernel: the machine that it needs, and where in its memory everything stands.
//!
//! Used by `platform`. Invariant: the addresses are those of the unikernel's `memory_map.rs`.

use crate::Request;
use crate::machine::qemu::{self, load};
use std::ops::Range;
use std::path::PathBuf;
use std::process::Command;
use system_description::Architecture;
use vdev_trace::vms::compile::Compiled;
use vm_config::{REGION_LEN_BYTES, ROM_BLOCK_LEN_BYTES};

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

/// The unikernel's image.
pub struct Unikernel {
    /// What it was built for.
    pub architecture: Architecture,
    /// The ELF file.
    pub kernel: PathBuf,
    /// QEMU's model of the CPU, if not the usual one.
    pub cpu: Option<&'static str>,
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

    /// The physical memory in which the trace rings and the report page lie: its start and length
    /// in bytes.
    pub(crate) fn memory(&self, vms: &[Compiled]) -> (u64, u64) {
        (self.ram(), UNIKERNEL_BYTES + guest_bytes(vms))
    }

    /// Where in a dump of that memory the rings may be; the rest of it is the guests'.
    pub(crate) const fn rings() -> Range<u64> {
        0..CONFIGURATIONS
    }

    /// The physical address of the page that says how the run went.
    pub(crate) const fn report_page(&self) -> u64 {
        self.ram() + REPORT_PAGE
    }

    /// Puts the files of a run where QEMU finds them and makes ready what boots them.
    pub(crate) fn boot(
        &self,
        request: &Request<'_>,
        vms: &[Compiled],
    ) -> Result<qemu::Boot, String> {
        let mut command = self.machine();
        let needed = UNIKERNEL_BYTES + guest_bytes(vms) + self.firmware_bytes();
        command.args(["-m", &format!("{}M", needed.div_ceil(MIB))]);
        command.arg("-kernel").arg(&self.kernel);
        let mut image_at = self.ram() + IMAGES;
        for (vm, number) in vms.iter().zip(0..) {
            let files = vm.write_to(request.work)?;
            let blob_at = self.ram() + CONFIGURATIONS + number * REGION_LEN_BYTES as u64;
            let place = format!("{blob_at:#x},force-raw=on");
            load(&mut command, &files.blob, &place);
            let place = format!("{image_at:#x},force-raw=on");
            load(&mut command, &files.image_region, &place);
            image_at += (vm.image_region.len() as u64).next_multiple_of(PAGE);
        }
        Ok(qemu::Boot::prepare(request, command))
    }
}

/// What the guests of the unikernel take of the machine's RAM, in bytes: their images, each range of RAM,
/// and what ROM is made of.
fn guest_bytes(vms: &[Compiled]) -> u64 {
    let images = vms
        .iter()
        .map(|vm| vm.image_region.len().next_multiple_of(PAGE as usize) as u64);
    let ram = vms.iter().flat_map(|vm| &vm.vm.ram);
    let blocks = ram.map(|range| range.value.len_bytes.next_multiple_of(GUEST_RAM_BLOCK));
    // All ROM is one block.
    let rom_bytes = match vms.iter().all(|vm| vm.vm.rom.is_empty()) {
        true => 0,
        false => ROM_BLOCK_LEN_BYTES,
    };
    images.sum::<u64>().next_multiple_of(GUEST_RAM_BLOCK) + blocks.sum::<u64>() + rom_bytes
}
