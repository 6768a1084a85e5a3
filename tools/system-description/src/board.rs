//! A board, as its file in `boards/` has it: what differs from board to board and nothing else.
//!
//! Read by the `runner` before anything is built. Invariant: a file with a key that means nothing
//! is refused with its place, so nobody waits for the effect of a misspelt one.

use serde::Deserialize;
use std::path::{Path, PathBuf};

/// A board.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Board {
    /// What its CPUs are.
    pub architecture: Architecture,
    /// How much RAM it has at most, in MiB, all told.
    pub ram_mib: u64,
    /// The physical address of 16 MiB of RAM for whoever looks from outside: each VM's trace ring,
    /// and the report page.
    pub observed_at: u64,
    /// Where the console prints.
    pub uart: Uart,
    /// Its interrupt controller, if its guests get their interrupts through that: those of aarch64 do.
    pub gic: Option<Gic>,
    /// How QEMU emulates it, if QEMU does.
    pub qemu: Option<Box<Qemu>>,
}

/// What a board's CPUs are, and with them the guests'.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Architecture {
    /// With EL2. Its guests are scheduled by themselves.
    #[serde(rename = "aarch64")]
    Aarch64,
    /// With VT-x. Its guests run on their VMMs' time.
    #[serde(rename = "x86_64")]
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
}

/// A board's UART, and the driver for it (`crates/aarch64/uarts`, `sel4/pd-runtime`).
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "driver", deny_unknown_fields)]
pub enum Uart {
    /// Arm's PL011.
    #[serde(rename = "pl011")]
    Pl011(Registers),
    /// Cadence's.
    #[serde(rename = "cadence")]
    Cadence(Registers),
    /// NXP's, of the i.MX family.
    #[serde(rename = "imx")]
    Imx(Registers),
    /// The Raspberry Pi's mini UART; the page is that of all auxiliary peripherals.
    #[serde(rename = "mini")]
    Mini(Registers),
    /// Amlogic's, of the Meson family.
    #[serde(rename = "meson")]
    Meson(Registers),
    /// Two 16550 of a PC: a range of I/O ports belongs to one protection domain, so the monitor
    /// has its own.
    #[serde(rename = "16550")]
    Ports {
        /// The first of the console's eight ports.
        console: u16,
        /// The first of the monitor's.
        monitor: u16,
    },
}

/// A UART's registers, and its interrupt.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registers {
    /// The physical address of a page of them.
    pub at: u64,
    /// Its interrupt, by the number that the kernel's interrupt controller has for it.
    pub interrupt: u32,
    /// When it is there.
    #[serde(default)]
    pub trigger: Trigger,
}

/// When an interrupt is there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub enum Trigger {
    /// As long as its line is up.
    #[default]
    #[serde(rename = "level")]
    Level,
    /// Once, when its line goes up.
    #[serde(rename = "edge")]
    Edge,
}

impl Uart {
    /// The registers, and the symbol that tells a protection domain where they are and with that which driver to
    /// take; I/O ports are no registers.
    pub(crate) fn mapped(&self) -> Option<(&'static str, Registers)> {
        Some(match *self {
            Self::Pl011(registers) => ("uart_pl011", registers),
            Self::Cadence(registers) => ("uart_cadence", registers),
            Self::Imx(registers) => ("uart_imx", registers),
            Self::Mini(registers) => ("uart_mini", registers),
            Self::Meson(registers) => ("uart_meson", registers),
            Self::Ports { .. } => return None,
        })
    }
}

/// A board's interrupt controller: what its kernel is built for.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(tag = "version", deny_unknown_fields)]
pub enum Gic {
    /// A GICv2.
    #[serde(rename = "2")]
    V2 {
        /// The physical address of its virtual CPU interface, GICV: two pages, in which a guest has its own GIC's
        /// CPU interface.
        virtual_cpu_interface: u64,
    },
    /// A GICv3, whose virtual interface is one of system registers: there is nothing that a guest for a GICv2 could
    /// be given, so its guests have no interrupts.
    #[serde(rename = "3")]
    V3,
}

/// How QEMU emulates a board.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Qemu {
    /// The machine, by QEMU's name.
    pub machine: String,
    /// The first release of QEMU in which an image runs there, if Debian's oldest does not.
    #[serde(default)]
    pub since: Option<(u32, u32)>,
    /// What is to be told besides.
    #[serde(default)]
    pub arguments: Vec<String>,
    /// How many serial ports of the machine come before the console's.
    #[serde(default)]
    pub serial_ports_before: usize,
    /// Where the board's loader wants the image; without it, it is entered as QEMU enters a kernel (at EL2, where
    /// the CPU has an EL3 above it), and moves itself to where it wants to be.
    pub image_at: Option<u64>,
}

impl Board {
    /// Reads the file of the board with this name.
    ///
    /// # Errors
    ///
    /// That there is none, with the boards that there are, or what is wrong with it.
    pub fn load(boards: &Path, name: &str) -> Result<Self, String> {
        let file = place(boards, name);
        let text = std::fs::read_to_string(&file).map_err(|error| {
            let known = names(boards).join(" and ");
            format!(
                "cannot read {}: {error}; the boards that are known: {known}",
                file.display()
            )
        })?;
        let board: Self =
            toml::from_str(&text).map_err(|error| format!("{}: {error}", file.display()))?;
        match (board.architecture, board.gic) {
            (Architecture::Aarch64, None) => Err(format!(
                "{}: it says nothing of the board's `gic`",
                file.display()
            )),
            _ => Ok(board),
        }
    }

    /// Whether its guests get interrupts: on aarch64 through a GICv2's virtual CPU interface.
    pub const fn interrupts_guests(&self) -> bool {
        matches!(self.gic, Some(Gic::V2 { .. }))
    }
}

fn place(boards: &Path, name: &str) -> PathBuf {
    boards.join(name).with_added_extension("toml")
}

/// The boards that there are.
pub fn names(boards: &Path) -> Vec<String> {
    let files = std::fs::read_dir(boards).into_iter().flatten().flatten();
    let mut names: Vec<_> = files
        .filter_map(|file| {
            let name = file.file_name().into_string().ok()?;
            Some(name.strip_suffix(".toml")?.to_owned())
        })
        .collect();
    names.sort();
    names
}
