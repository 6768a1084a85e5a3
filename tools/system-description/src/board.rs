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
    pub qemu: Option<Qemu>,
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

/// A board's UART, and the driver for it (`sel4/pd-runtime`).
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "driver", deny_unknown_fields)]
pub enum Uart {
    /// Arm's PL011, at this physical address.
    #[serde(rename = "pl011")]
    Pl011 {
        /// A page of registers.
        at: u64,
        /// Its interrupt, by the number that the kernel's interrupt controller has for it.
        interrupt: u32,
    },
    /// Cadence's, at this physical address.
    #[serde(rename = "cadence")]
    Cadence {
        /// A page of registers.
        at: u64,
        /// Its interrupt, likewise.
        interrupt: u32,
    },
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
    /// be given.
    #[serde(rename = "3")]
    V3,
}

/// How QEMU emulates a board.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Qemu {
    /// The machine and what it has.
    pub arguments: Vec<String>,
    /// Where the board's loader wants the image.
    pub image_at: u64,
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
        let is_fit = match (board.architecture, board.gic) {
            (Architecture::Aarch64, None) => Err("it says nothing of the board's `gic`"),
            (Architecture::Aarch64, Some(Gic::V3)) => Err(
                "the board has a GICv3, and an aarch64 VM gets its interrupts through a GICv2's virtual CPU \
                 interface",
            ),
            _ => Ok(board),
        };
        is_fit.map_err(|why| format!("{}: {why}", file.display()))
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
