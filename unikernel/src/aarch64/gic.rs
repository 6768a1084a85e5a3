//! The interrupt controller, of which three interrupts are used: the wake-up timer's, that of the virtual
//! timer of the guest in the CPU, and the UART's for what is typed.
//!
//! `init` is called once by `boot`; `acknowledge_wakeup` from `guest_exit` (interrupt exit)
//! and wherever the host waits; `watch_guest_timer` when a VM comes into the CPU, and by its VMM. The
//! invariant: no other interrupt is ever enabled, above all not the EL1 physical timer's (30), and
//! EL2 never takes an interrupt: PSTATE.DAIF stays set, pending ones are polled. A guest's timer that has
//! fired is not watched, or its level would never let the guest run, until its VMM has seen it low.
//!
//! GIC architecture specification (IHI 0069) 4.1, 12.2 (ICC_* registers).

use super::clock;
use super::device_tree::Board;
use super::uart;
// Field's crate for the GIC; its `el2` feature for ICC_SRE_EL2.
use crate::component_host::Woken;
use aarch64_cpu::registers::{MPIDR_EL1, Readable};
use arm_gic::gicv3::registers::{Gicd, GicrSgi};
use arm_gic::gicv3::{GicCpuInterface, GicError, GicV3};
use arm_gic::{IntId, InterruptGroup, Trigger};
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, Ordering};
use hermit_sync::InterruptSpinMutex;
use safe_mmio::UniqueMmioPointer;
use spin::Once;

/// Between the lowest and the highest priority of non-secure interrupts.
const PRIORITY: u8 = 0x80;
/// Lets all priorities through.
const PRIORITY_MASK: u8 = 0xff;

static WAKEUP: Once<IntId> = Once::new();
static GUEST_TIMER: Once<IntId> = Once::new();
/// Of the only core.
static GIC: InterruptSpinMutex<Option<GicV3<'static>>> = InterruptSpinMutex::new(None);
/// Whether the guest timer's interrupt is enabled.
static IS_WATCHED: AtomicBool = AtomicBool::new(false);
static UART: Once<IntId> = Once::new();

/// Sets up distributor, redistributor and CPU interface of the only core, and enables the
/// wake-up timer's interrupt. The guests' timer is not watched yet.
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
    let guest_timer = IntId::ppi(board.virtual_timer_ppi);
    for timer in [wakeup, guest_timer] {
        gic.set_trigger(timer, Some(0), Trigger::Level)?;
        gic.set_interrupt_priority(timer, Some(0), PRIORITY)?;
    }
    gic.enable_interrupt(wakeup, Some(0), true)?;
    let uart = IntId::spi(board.uart_spi);
    gic.set_trigger(uart, None, Trigger::Level)?;
    gic.set_interrupt_priority(uart, None, PRIORITY)?;
    gic.distributor().set_routing(uart, Some(MPIDR_EL1.get()))?;
    gic.enable_interrupt(uart, None, true)?;
    UART.call_once(|| uart);
    GicCpuInterface::set_priority_mask(PRIORITY_MASK);
    WAKEUP.call_once(|| wakeup);
    GUEST_TIMER.call_once(|| guest_timer);
    *GIC.lock() = Some(gic);
    Ok(())
}

/// Whether the virtual timer of the guest in the CPU interrupts the host when it fires.
pub fn watch_guest_timer(is_watched: bool) {
    if IS_WATCHED.swap(is_watched, Ordering::Relaxed) == is_watched {
        return;
    }
    if let (Some(gic), Some(timer)) = (GIC.lock().as_mut(), GUEST_TIMER.get()) {
        // It fails only for a core that there is not.
        let _ = gic.enable_interrupt(*timer, Some(0), is_watched);
    }
}

/// Takes all pending interrupts. The wake-up's timer is then set for the end of the period, and a guest's timer
/// that has fired is not watched any more.
pub fn acknowledge_wakeup() -> Woken {
    let mut woken = Woken::default();
    while let Some(interrupt) =
        GicCpuInterface::get_and_acknowledge_interrupt(InterruptGroup::Group1)
    {
        if WAKEUP.get() == Some(&interrupt) {
            woken.by_clock |= clock::take_wakeup();
        } else if GUEST_TIMER.get() == Some(&interrupt) {
            watch_guest_timer(false);
            woken.by_guest_timer = true;
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
