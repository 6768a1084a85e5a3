//! What emulates a board of the Microkit.
//!
//! Used by `platform` for the machine and by the `runner` program for the user's choice. A machine
//! with VT-x is QEMU's where the host's KVM can nest it, and otherwise Bochs's, whose clock counts
//! instructions: so whoever wants figures or equal runs takes Bochs everywhere.

use crate::Request;
use crate::machine::qemu::{load, option_value};
use crate::machine::{Boot, bochs, qemu};
use crate::microkit::{KERNEL_32, Microkit};
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::Command;
use system_description::{Architecture, Board, Qemu};
use vdev_trace::vms::compile::Compiled;

const MIB: u64 = 1 << 20;

/// What emulates a board.
#[derive(Clone)]
pub enum Emulator {
    /// QEMU, with what is to be told of the board.
    Qemu(Box<Qemu>),
    /// One that has VT-x.
    VtX(VtX),
}

/// An emulator of a machine with VT-x.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VtX {
    /// QEMU, whose guest uses the host's VT-x.
    Kvm,
    /// Bochs, which emulates VT-x.
    Bochs,
}

impl Emulator {
    /// The emulator of a board; of one with VT-x the one whose runs are equal.
    ///
    /// # Errors
    ///
    /// That there is none, in a sentence.
    pub fn of(board: &Board) -> Result<Self, String> {
        match (board.architecture, &board.qemu) {
            (Architecture::X86_64, _) => Ok(Self::VtX(VtX::Bochs)),
            (Architecture::Aarch64, Some(qemu)) => Ok(Self::Qemu(qemu.clone())),
            (Architecture::Aarch64, None) => Err(
                "nothing that emulates this board is known here; `make image` builds what it boots"
                    .into(),
            ),
        }
    }

    /// The emulator of a board that was asked for, or the fastest that this host has.
    ///
    /// # Errors
    ///
    /// That there is none, in a sentence.
    pub fn asked(board: &Board, asked: Option<VtX>) -> Result<Self, String> {
        match (Self::of(board)?, asked) {
            (Self::VtX(_), asked) => Ok(Self::VtX(asked.unwrap_or_else(VtX::of_this_host))),
            (qemu, None) => Ok(qemu),
            (_, Some(_)) => Err("there is a choice of emulators for a PC with VT-x only".into()),
        }
    }

    /// Makes ready what boots an image of the Microkit's.
    pub(crate) fn boot(
        &self,
        request: &Request<'_>,
        microkit: &Microkit,
        image: &Path,
        vms: &[Compiled],
    ) -> Result<Boot, String> {
        let ram_bytes = microkit.ram_bytes(vms);
        let command = match self {
            Self::Qemu(board) => {
                available(board)?;
                let tree = board.image_at.is_none().then(|| write_tree(request.work));
                on_qemu(board, image, tree.transpose()?.as_deref(), &microkit.config)
            }
            Self::VtX(VtX::Bochs) => {
                let kernel = image.with_file_name(KERNEL_32);
                let boot = bochs::Boot::prepare(request, &kernel, image, ram_bytes)?;
                return Ok(Boot::Bochs(boot));
            }
            Self::VtX(VtX::Kvm) if request.icount.is_some() => {
                return Err("with KVM the machine's clock cannot count instructions".into());
            }
            Self::VtX(VtX::Kvm) => on_kvm(image, ram_bytes),
        };
        Ok(Boot::Qemu(qemu::Boot::prepare(request, command)))
    }
}

/// The program that emulates aarch64 boards.
const QEMU: &str = "qemu-system-aarch64";

/// Whether the QEMU that is installed has a board.
///
/// # Errors
///
/// That it does not, which has, and how to get it.
pub fn available(board: &Qemu) -> Result<(), String> {
    let said = |option: &[&str]| {
        let output = Command::new(QEMU).args(option).output();
        output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
    };
    // That there is none at all is told when it is started.
    let (Ok(version), Ok(machines)) = (said(&["--version"]), said(&["-machine", "help"])) else {
        return Ok(());
    };
    judge(board, &version, &machines)
}

fn judge(board: &Qemu, version: &str, machines: &str) -> Result<(), String> {
    let name = board.machine.split(',').next().unwrap_or_default();
    let has_it = machines
        .lines()
        .any(|line| line.split_whitespace().next() == Some(name));
    let release = release(version);
    let is_new_enough = match (board.since, release) {
        (Some(since), Some(release)) => since <= release,
        _ => true,
    };
    if has_it && is_new_enough {
        return Ok(());
    }
    let installed = release.map_or("QEMU".into(), |(major, minor)| {
        format!("QEMU {major}.{minor}")
    });
    let wanted = board.since.map_or(String::new(), |(major, minor)| {
        format!(
            " QEMU {major}.{minor} or newer does: tools/setup.sh qemu {major}.{minor} installs it"
        )
    });
    Err(format!(
        "the machine {name} does not run this under the {installed} that is installed;{wanted}"
    ))
}

/// The release in what QEMU says of its version.
fn release(version: &str) -> Option<(u32, u32)> {
    let number = version.split("version ").nth(1)?;
    let mut parts = number.split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// A device tree of nothing but its root, since QEMU asks for one where a kernel has much RAM. Nobody reads it.
///
/// Devicetree Specification 0.4, chapter 5: header, an empty reservation block, structure, strings.
fn tree() -> Vec<u8> {
    const NAMES: &[u8] = b"#address-cells\0#size-cells\0";
    const BEGIN_NODE: u32 = 1;
    const END_NODE: u32 = 2;
    const PROPERTY: u32 = 3;
    const END: u32 = 9;
    const HEADER_BYTES: u32 = 40;
    const RESERVATIONS_BYTES: u32 = 16;
    const TWO_CELLS: u32 = 2;
    // The root has no name; each property has its length, the place of its name, and what it is.
    let structure = [
        [BEGIN_NODE, 0].as_slice(),
        &[PROPERTY, 4, 0, TWO_CELLS],
        &[PROPERTY, 4, 15, TWO_CELLS],
        &[END_NODE, END],
    ]
    .concat();
    let at = HEADER_BYTES + RESERVATIONS_BYTES;
    let strings_at = at + 4 * structure.len() as u32;
    let whole = strings_at + NAMES.len() as u32;
    let header = [
        0xd00d_feed,
        whole,
        at,
        strings_at,
        HEADER_BYTES,
        17,
        16,
        0,
        NAMES.len() as u32,
        4 * structure.len() as u32,
    ];
    let words = header.into_iter().chain([0; 4]).chain(structure);
    words
        .flat_map(u32::to_be_bytes)
        .chain(NAMES.iter().copied())
        .collect()
}

/// Writes that tree.
fn write_tree(work: &Path) -> Result<PathBuf, String> {
    let file = work.join("root.dtb");
    std::fs::write(&file, tree())
        .map_err(|error| format!("cannot write {}: {error}", file.display()))?;
    Ok(file)
}

/// The command that boots an image for a board that QEMU has.
fn on_qemu(board: &Qemu, image: &Path, tree: Option<&Path>, config: &str) -> Command {
    let mut command = Command::new(QEMU);
    command.args(["-nographic", "-nodefaults"]);
    for _ in 0..board.serial_ports_before {
        command.args(["-serial", "null"]);
    }
    command.args(["-serial", "stdio"]);
    command.args(["-machine", &board.machine]);
    command.args(&board.arguments);
    if config.starts_with("smp") {
        command.args(["-smp", "4"]);
    }
    match board.image_at {
        Some(at) => load(&mut command, image, &format!("{at:#x},cpu-num=0")),
        None => {
            command.arg("-kernel").arg(image);
            if let Some(tree) = tree {
                command.arg("-dtb").arg(tree);
            }
        }
    }
    command
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

impl VtX {
    /// KVM, if this user can use it and it nests VT-x.
    fn of_this_host() -> Self {
        let kvm = OpenOptions::new().read(true).write(true).open("/dev/kvm");
        let nested = std::fs::read_to_string("/sys/module/kvm_intel/parameters/nested");
        Self::of_a_host(kvm.is_ok(), nested.as_deref().unwrap_or_default())
    }

    /// `nested` is the parameter of the module `kvm_intel`, `Y` or `1` if it is set.
    fn of_a_host(kvm: bool, nested: &str) -> Self {
        match kvm && matches!(nested.trim(), "Y" | "1") {
            true => Self::Kvm,
            false => Self::Bochs,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::pasteable;

    fn board(name: &str) -> Board {
        let boards = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../boards");
        Board::load(&boards, name).unwrap()
    }

    #[test]
    fn kvm_is_taken_where_it_can_be_used_and_nests() {
        // Linux prints a boolean parameter as Y or N, an integer one as 1 or 0.
        assert_eq!(VtX::of_a_host(true, "Y\n"), VtX::Kvm);
        assert_eq!(VtX::of_a_host(true, "1\n"), VtX::Kvm);
        for (kvm, nested) in [(true, "N\n"), (true, "0\n"), (true, ""), (false, "Y\n")] {
            assert_eq!(VtX::of_a_host(kvm, nested), VtX::Bochs, "{kvm} {nested:?}");
        }
    }

    #[test]
    fn what_is_asked_for_is_taken_whatever_the_host_has() {
        let pc = board("x86_64_generic_vtx");
        for asked in [VtX::Kvm, VtX::Bochs] {
            let taken = Emulator::asked(&pc, Some(asked)).unwrap();
            assert!(matches!(taken, Emulator::VtX(it) if it == asked));
        }
    }

    #[test]
    fn whoever_names_only_the_board_gets_equal_runs() {
        let taken = Emulator::of(&board("x86_64_generic_vtx")).unwrap();
        assert!(matches!(taken, Emulator::VtX(VtX::Bochs)));
    }

    #[test]
    fn a_board_with_one_emulator_leaves_no_choice() {
        let board = board("zcu102");
        assert!(Emulator::asked(&board, None).is_ok());
        let error = Emulator::asked(&board, Some(VtX::Bochs)).err().unwrap();
        assert!(error.contains("VT-x"), "{error}");
    }

    #[test]
    fn a_board_that_nothing_emulates_can_still_have_its_image() {
        let board = Board {
            qemu: None,
            ..board("zcu102")
        };
        let error = Emulator::of(&board).err().unwrap();
        assert!(error.contains("make image"), "{error}");
    }

    const MACHINES: &str =
        "Supported machines are:\nraspi4b              Raspberry Pi 4B (revision 1.5)\n";

    #[test]
    fn a_machine_that_qemu_does_not_have_is_named_with_the_qemu_that_has() {
        let qemu = board("imx8mp_evk").qemu.unwrap();
        let said = judge(&qemu, "QEMU emulator version 7.2.22 (Debian)\n", MACHINES).unwrap_err();
        assert!(
            ["imx8mp-evk", "QEMU 7.2", "QEMU 10.0 or newer"]
                .iter()
                .all(|part| said.contains(part)),
            "{said}"
        );
    }

    #[test]
    fn a_machine_that_qemu_has_is_taken_if_it_is_not_too_old() {
        let qemu = board("rpi4b_2gb").qemu.unwrap();
        for (version, is_taken) in [("8.2.0", false), ("9.0.1", true), ("10.0.2", true)] {
            let version = format!("QEMU emulator version {version}\n");
            assert_eq!(judge(&qemu, &version, MACHINES).is_ok(), is_taken);
        }
    }

    #[test]
    fn a_board_without_a_place_for_the_image_enters_it_as_a_kernel() {
        let mut qemu = board("rpi4b_2gb").qemu.unwrap();
        qemu.arguments.clear();
        let command = on_qemu(&qemu, Path::new("loader.img"), None, "release");
        assert_eq!(
            pasteable(&command),
            "qemu-system-aarch64 -nographic -nodefaults -serial null -serial stdio -machine raspi4b \
             -kernel loader.img"
        );
    }

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
