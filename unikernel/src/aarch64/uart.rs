//! The board's PL011 as a sink of bytes, and as where what is typed comes from.
//!
//! Called from anywhere at EL2, the panic handler included; what receives, by `component_host` and `gic`. The
//! invariants: one writer at a time, so that lines do not mix; bytes leave in order and none is lost (the
//! transmit FIFO is polled); the UART interrupts when something is typed, until somebody comes for it, and then again
//! when all was taken, so a VM that does not read is no storm of interrupts. Before [`init`] bytes go nowhere.
//!
//! Arm PL011 technical reference manual (DDI 0183) 3.3.3, UARTFR.TXFF; 3.4.1 and 3.4.4, UARTRXINTR and UARTRTINTR.

// Field's crates: the driver, and the pointer type it takes.
use arm_pl011_uart::{DataBits, Interrupts, LineConfig, PL011Registers, Parity, StopBits, Uart};
use safe_mmio::UniqueMmioPointer;
// Hermit's lock for statics: masks interrupts while held, so an interrupt handler (there is
// none yet) could write too.
use core::fmt;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use hermit_sync::InterruptSpinMutex;
use oversight::printable;
use vm_components::{Input, Typed};

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
    // Enabling empties the FIFO, which is one character deep so far.
    if let Ok(Some(byte)) = uart.read_word() {
        EARLY.store(IS_THERE | u32::from(byte), Ordering::Relaxed);
    }
    if uart.enable(line, BAUD, CLOCK_HZ).is_ok() {
        uart.set_interrupt_masks(RECEIVED);
        *UART.lock() = Some(uart);
    }
}

/// Something was received: so much that it is worth it, or no more comes.
const RECEIVED: Interrupts = Interrupts::RXI.union(Interrupts::RTI);

/// The UART has interrupted, and nobody has come for it yet.
static TYPED: AtomicBool = AtomicBool::new(false);
/// What was typed before the UART was enabled: 0, or the byte with this bit.
static EARLY: AtomicU32 = AtomicU32::new(0);
const IS_THERE: u32 = 1 << 8;
/// Bytes that were lost.
static OVERRUNS: AtomicU32 = AtomicU32::new(0);

/// Called for the UART's interrupt, which is over by that.
pub fn interrupted() {
    TYPED.store(true, Ordering::Relaxed);
    listen(Typed::Left);
}

/// Whether it has interrupted since this was last asked.
pub fn is_typed() -> bool {
    TYPED.swap(false, Ordering::Relaxed)
}

/// Lets the UART interrupt again, if all was taken.
pub fn listen(typed: Typed) {
    if let Some(uart) = UART.lock().as_mut() {
        uart.set_interrupt_masks(match typed {
            Typed::All => RECEIVED,
            Typed::Left => Interrupts::empty(),
        });
    }
}

/// What is typed, for the console.
pub struct Keyboard;

impl Input for Keyboard {
    fn is_there(&mut self) -> bool {
        let mut uart = UART.lock();
        EARLY.load(Ordering::Relaxed) != 0
            || uart.as_mut().is_some_and(|uart| !uart.is_rx_fifo_empty())
    }

    fn take(&mut self) -> Option<u8> {
        let early = EARLY.swap(0, Ordering::Relaxed);
        if early != 0 {
            return Some(early as u8);
        }
        let mut uart = UART.lock();
        let uart = uart.as_mut()?;
        loop {
            match uart.read_word() {
                Ok(byte) => return byte,
                // Those before it, or it, were lost.
                Err(_) => OVERRUNS.fetch_add(1, Ordering::Relaxed),
            };
        }
    }

    fn overruns(&mut self) -> u32 {
        OVERRUNS.swap(0, Ordering::Relaxed)
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
