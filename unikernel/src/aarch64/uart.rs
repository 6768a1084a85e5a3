//! The board's PL011 as a sink of bytes.
//!
//! Called from anywhere at EL2, the panic handler included. The invariant: one writer at a
//! time, so that lines do not mix; bytes leave in order and none is lost (the transmit FIFO
//! is polled). Before [`init`] bytes go nowhere.
//!
//! Arm PL011 technical reference manual (DDI 0183) 3.3.3, UARTFR.TXFF.

// Field's crates: the driver, and the pointer type it takes.
use arm_pl011_uart::{DataBits, LineConfig, PL011Registers, Parity, StopBits, Uart};
use safe_mmio::UniqueMmioPointer;
// Hermit's lock for statics: masks interrupts while held, so an interrupt handler (there is
// none yet) could write too.
use core::fmt;
use core::ptr::NonNull;
use hermit_sync::InterruptSpinMutex;
use oversight::printable;

/// The virt board's `apb-pclk`.
const CLOCK_HZ: u32 = 24_000_000;
const BAUD: u32 = 115_200;

static UART: InterruptSpinMutex<Option<Uart<'static>>> = InterruptSpinMutex::new(None);

/// Takes the UART whose registers begin at `base` into use: 115200 8N1.
///
/// # Safety
///
/// `base` must be that of a PL011, mapped as device memory (or the MMU off), and nobody else
/// may use it.
pub unsafe fn init(base: usize) {
    let Some(registers) = NonNull::new(base as *mut PL011Registers) else {
        return;
    };
    // SAFETY: the caller says that a PL011 is there and is ours alone.
    let mut uart = Uart::new(unsafe { UniqueMmioPointer::new(registers) });
    let line = LineConfig {
        data_bits: DataBits::Bits8,
        parity: Parity::None,
        stop_bits: StopBits::One,
    };
    if uart.enable(line, BAUD, CLOCK_HZ).is_ok() {
        *UART.lock() = Some(uart);
    }
}

/// Writes `bytes` as they are, waiting while the FIFO is full.
pub fn write(bytes: &[u8]) {
    if let Some(uart) = UART.lock().as_mut() {
        put(uart, bytes);
    }
}

/// Writes formatted text and ends the line, in one go; see [`print_line!`](crate::print_line).
pub fn print_line(text: fmt::Arguments<'_>) {
    if let Some(uart) = UART.lock().as_mut() {
        // Cannot fail: `Sink` never does.
        let _ = fmt::Write::write_fmt(&mut Sink(uart), text);
        put(uart, b"\n");
    }
}

/// Takes the lock away from whoever holds it, and ends the line it was in the middle of.
///
/// # Safety
///
/// Only on the way to the power switch: the holder must never run again.
pub unsafe fn seize() {
    if UART.is_locked() {
        // SAFETY: it is locked, and its holder, being what panicked on the only core, will
        // not unlock it.
        unsafe { UART.force_unlock() };
        write(b"\n");
    }
}

struct Sink<'a>(&'a mut Uart<'static>);

impl fmt::Write for Sink<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            put(self.0, &[printable(byte)]);
        }
        Ok(())
    }
}

fn put(uart: &mut Uart<'static>, bytes: &[u8]) {
    for byte in bytes {
        while uart.is_tx_fifo_full() {
            core::hint::spin_loop();
        }
        uart.write_word(*byte);
    }
}
