//! What the board is made of, asked from its device tree.
//!
//! Called once by `boot`, before the MMU is on (so without locks). The invariant: no device's
//! address is assumed; what the tree does not name is an error that says what is missing.
//!
//! Devicetree specification v0.4; Linux's bindings arm,gic-v3, arm,pl011, arm,armv8-timer,
//! arm,psci.

use super::memory_map::DEVICE_TREE;
// Field's crate for device trees.
use core::ops::Range;
use dtoolkit::error::FdtParseError;
use dtoolkit::fdt::{Fdt, FdtNode};
use dtoolkit::standard::{NodeStandard, Reg};
use dtoolkit::{Node, Property, ToCellInt};
use thiserror::Error;

/// The parts of the board that the unikernel uses.
#[derive(Debug, Clone)]
pub struct Board {
    /// All RAM; begins where the memory map says.
    pub ram: Range<usize>,
    /// The PL011.
    pub uart: Range<usize>,
    /// Number of its shared peripheral interrupt.
    pub uart_spi: u32,
    /// GICv3 distributor.
    pub gic_distributor: Range<usize>,
    /// GICv3 redistributor of the first core, both of its frames.
    pub gic_redistributor: Range<usize>,
    /// Number of the private peripheral interrupt (0 to 15) of the EL2 physical timer.
    pub hypervisor_timer_ppi: u32,
    /// Likewise of the virtual timer.
    pub virtual_timer_ppi: u32,
}

/// Why this is not a board to run on.
#[derive(Debug, Error)]
pub enum BoardError {
    /// Nothing readable at the start of RAM.
    #[error(
        "no device tree at {DEVICE_TREE:#x}: {0} (QEMU leaves one there for an ELF -kernel on \
         -machine virt)"
    )]
    NoTree(FdtParseError),
    /// A node or property that is needed.
    #[error("the device tree has no usable {0}")]
    Missing(&'static str),
    /// RAM elsewhere.
    #[error("RAM begins at {0:#x}, not at {DEVICE_TREE:#x}")]
    Ram(usize),
    /// PSCI over HVC, which from EL2 would come back to ourselves.
    #[error("PSCI is not by SMC: start QEMU with -machine virt,virtualization=on")]
    Psci,
}

const REDISTRIBUTOR_FRAMES_BYTES: usize = 0x2_0000;
const SHARED_PERIPHERAL: u32 = 0;
const PRIVATE_PERIPHERAL: u32 = 1;
/// So many there are.
const SHARED: u32 = 988;
/// Order in the binding: secure, non-secure, virtual, hypervisor.
const VIRTUAL_TIMER: usize = 2;
const HYPERVISOR_TIMER: usize = 3;

/// Reads the device tree.
///
/// # Errors
///
/// If there is none or it lacks what [`Board`] needs.
///
/// # Safety
///
/// The RAM at [`DEVICE_TREE`] must be accessible and hold what QEMU put there: a device tree,
/// or no device tree's magic number.
pub unsafe fn read() -> Result<Board, BoardError> {
    // SAFETY: the caller says that RAM is there and unchanged; `from_raw` checks the header
    // and the structure before anything else is believed.
    let tree = unsafe { Fdt::from_raw(DEVICE_TREE as *const u8) }.map_err(BoardError::NoTree)?;
    let root = tree.root();

    let memory = root.child("memory").and_then(|node| range(node, 0));
    let ram = memory.ok_or(BoardError::Missing("memory node"))?;
    if ram.start != DEVICE_TREE {
        return Err(BoardError::Ram(ram.start));
    }
    let psci = root.child("psci").ok_or(BoardError::Missing("PSCI node"))?;
    let method = psci
        .property("method")
        .and_then(|p| p.value_as::<&str>().ok());
    if method != Some("smc") {
        return Err(BoardError::Psci);
    }
    let uart = compatible(root, "arm,pl011");
    let uart = uart.ok_or(BoardError::Missing("PL011 UART"))?;
    let uart_spi = interrupt(uart, 0, SHARED_PERIPHERAL).filter(|number| *number < SHARED);
    let gic = compatible(root, "arm,gic-v3")
        .ok_or(BoardError::Missing("GICv3 (-machine virt,gic-version=3)"))?;
    let redistributor = range(gic, 1)
        .filter(|frames| frames.len() >= REDISTRIBUTOR_FRAMES_BYTES)
        .ok_or(BoardError::Missing("GICv3 redistributor"))?;
    let timer = compatible(root, "arm,armv8-timer");
    let timer = timer.ok_or(BoardError::Missing("timer"))?;
    let timer_ppi = |which| interrupt(timer, which, PRIVATE_PERIPHERAL).filter(|ppi| *ppi < 16);
    Ok(Board {
        ram,
        uart: range(uart, 0).ok_or(BoardError::Missing("PL011 UART"))?,
        uart_spi: uart_spi.ok_or(BoardError::Missing("interrupt of the UART"))?,
        gic_distributor: range(gic, 0).ok_or(BoardError::Missing("GICv3 distributor"))?,
        gic_redistributor: redistributor.start..redistributor.start + REDISTRIBUTOR_FRAMES_BYTES,
        hypervisor_timer_ppi: timer_ppi(HYPERVISOR_TIMER)
            .ok_or(BoardError::Missing("EL2 physical timer"))?,
        virtual_timer_ppi: timer_ppi(VIRTUAL_TIMER).ok_or(BoardError::Missing("virtual timer"))?,
    })
}

fn compatible<'a>(root: FdtNode<'a>, model: &str) -> Option<FdtNode<'a>> {
    root.children().find(|node| node.is_compatible(model))
}

/// The `index`th range of the node's `reg`.
fn range(node: FdtNode<'_>, index: usize) -> Option<Range<usize>> {
    let reg: Reg<'_> = node.reg().ok()??.nth(index)?;
    let start = usize::try_from(reg.address::<u64>().ok()?).ok()?;
    let len = usize::try_from(reg.size::<u64>().ok()?).ok()?;
    Some(start..start.checked_add(len)?)
}

/// The number of the node's `index`th interrupt, if it is of this kind.
fn interrupt(node: FdtNode<'_>, index: usize, wanted: u32) -> Option<u32> {
    let interrupts = node.property("interrupts")?;
    let [kind, number, _flags] = interrupts
        .as_prop_encoded_array([1, 1, 1])
        .ok()?
        .nth(index)?;
    let kind: u32 = kind.to_int().ok()?;
    let number: u32 = number.to_int().ok()?;
    (kind == wanted).then_some(number)
}
