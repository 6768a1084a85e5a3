//! The interrupt controller, of which two interrupts are used: the wake-up timer's, and the UART's for what is
//! typed.
//!
//! `init` is called once by `boot`; `acknowledge_wakeup` from `guest_exit` (interrupt exit)
//! and wherever the host waits. The invariant: no other interrupt is
//! ever enabled, above all not the guest's virtual timer (27) and the physical one (30), and
//! EL2 never takes an interrupt: PSTATE.DAIF stays set, pending ones are polled.
//!
//! GIC architecture specification (IHI 0069) 4.1, 12.2 (ICC_* registers).

use super::clock;
use super::device_tree::Board;
use super::uart;
// Field's crate for the GIC; its `el2` feature for ICC_SRE_EL2.
use aarch64_cpu::registers::{MPIDR_EL1, Readable};
use arm_gic::gicv3::registers::{Gicd, GicrSgi};
use arm_gic::gicv3::{GicCpuInterface, GicError, GicV3};
use arm_gic::{IntId, InterruptGroup, Trigger};
use core::ptr::NonNull;
use safe_mmio::UniqueMmioPointer;
use spin::Once;

/// Between the lowest and the highest priority of non-secure interrupts.
const PRIORITY: u8 = 0x80;
/// Lets all priorities through.
const PRIORITY_MASK: u8 = 0xff;

static WAKEUP: Once<IntId> = Once::new();
static UART: Once<IntId> = Once::new();

/// Sets up distributor, redistributor and CPU interface of the only core, and enables the
/// wake-up timer's interrupt.
///
/// # Errors
///
/// If the hardware is not a GICv3.
///
/// # Safety
///
/// Once; `board` must describe this machine and its GIC be mapped as device memory.
pub unsafe fn init(board: &Board) -> Result<(), GicError> {
    let distributor = NonNull::new(board.gic_distributor.start as *mut Gicd);
    let redistributor = NonNull::new(board.gic_redistributor.start as *mut GicrSgi);
    let (Some(distributor), Some(redistributor)) = (distributor, redistributor) else {
        return Err(GicError::InvalidRedistributorFrameLayout);
    };
    // The system registers exist for EL2 and not for the guest: ICC_SRE_EL1 traps.
    GicCpuInterface::enable_system_register_el2(false);
    // SAFETY: the caller says that the distributor is there, mapped, and ours alone.
    let distributor = unsafe { UniqueMmioPointer::new(distributor) };
    // SAFETY: the caller says the same of the redistributor, of which one is used.
    let mut gic = unsafe { GicV3::new(distributor, redistributor, 1) }?;
    gic.setup(0);
    let wakeup = IntId::ppi(board.hypervisor_timer_ppi);
    gic.set_trigger(wakeup, Some(0), Trigger::Level)?;
    gic.set_interrupt_priority(wakeup, Some(0), PRIORITY)?;
    gic.enable_interrupt(wakeup, Some(0), true)?;
    let uart = IntId::spi(board.uart_spi);
    gic.set_trigger(uart, None, Trigger::Level)?;
    gic.set_interrupt_priority(uart, None, PRIORITY)?;
    gic.distributor().set_routing(uart, Some(MPIDR_EL1.get()))?;
    gic.enable_interrupt(uart, None, true)?;
    UART.call_once(|| uart);
    GicCpuInterface::set_priority_mask(PRIORITY_MASK);
    WAKEUP.call_once(|| wakeup);
    Ok(())
}

/// Takes all pending interrupts; true if the wake-up was among them. Its timer is then set
/// for the next period.
pub fn acknowledge_wakeup() -> bool {
    let mut woken = false;
    while let Some(interrupt) =
        GicCpuInterface::get_and_acknowledge_interrupt(InterruptGroup::Group1)
    {
        if WAKEUP.get() == Some(&interrupt) {
            clock::schedule_next_wakeup();
            woken = true;
        } else if UART.get() == Some(&interrupt) {
            uart::interrupted();
        }
        GicCpuInterface::end_interrupt(interrupt, InterruptGroup::Group1);
    }
    woken
}

/// Sleeps until an interrupt is pending; masked ones (all, at EL2) end the sleep too.
pub fn wait_for_interrupt() {
    aarch64_cpu::asm::barrier::dsb(aarch64_cpu::asm::barrier::SY);
    aarch64_cpu::asm::wfi();
}
