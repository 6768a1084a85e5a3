//! The board's UART, as the boot loader set its speed up.
//!
//! Used by `pd-console`, and by `pd-monitor` once the console is dead. Invariant: one
//! protection domain writes at a time; which driver it takes is decided by the symbol that
//! the system description sets, so a board differs in its description and not in the code.
//!
//! Specifications: Arm PrimeCell UART (PL011) TRM, DDI 0183; Zynq UltraScale+ TRM, UG1085,
//! "UART Controller", and its register reference, UG1087, module UART.

use arm_pl011_uart::{PL011Registers, Uart};
use core::ptr::NonNull;
use safe_mmio::fields::{ReadPure, ReadPureWrite, WriteOnly};
use safe_mmio::{UniqueMmioPointer, field, field_shared};

/// A UART that can send.
pub enum Serial {
    /// Arm's PL011.
    Pl011(Uart<'static>),
    /// Cadence's UART of the Zynq family.
    Cadence(UniqueMmioPointer<'static, CadenceRegisters>),
}

/// The registers that sending takes (UG1087, module UART).
#[repr(C, align(4))]
pub struct CadenceRegisters {
    /// Control_reg0, offset 0x00.
    control: ReadPureWrite<u32>,
    _mode_to_modem_status: [u32; 10],
    /// Channel_sts_reg0, offset 0x2c.
    channel_status: ReadPure<u32>,
    /// TX_RX_FIFO0, offset 0x30.
    fifo: WriteOnly<u32>,
}

impl CadenceRegisters {
    /// Control_reg0: the transmitter is enabled, the receiver is not.
    const TX_ENABLED: u32 = 1 << 4;
    /// Channel_sts_reg0: the transmit FIFO is full.
    const TX_FULL: u32 = 1 << 4;
}

impl Serial {
    /// The UART that `system.xml` maps at `uart_pl011` or at `uart_cadence`.
    ///
    /// # Safety
    ///
    /// It is mapped uncached, and no other protection domain uses it as long as this lives.
    pub unsafe fn of_board() -> Self {
        let pl011 = *sel4_microkit::var!(uart_pl011: usize = 0) as *mut PL011Registers;
        let cadence = *sel4_microkit::var!(uart_cadence: usize = 0) as *mut CadenceRegisters;
        if let Some(registers) = NonNull::new(pl011) {
            // SAFETY: the Microkit mapped a PL011 here; the rest is the caller's promise.
            return Self::Pl011(Uart::new(unsafe { UniqueMmioPointer::new(registers) }));
        }
        let Some(registers) = NonNull::new(cadence) else {
            panic!("the system description maps no UART: neither uart_pl011 nor uart_cadence");
        };
        // SAFETY: the Microkit mapped a Cadence UART here; the rest is the caller's promise.
        let mut registers = unsafe { UniqueMmioPointer::new(registers) };
        field!(registers, control).write(CadenceRegisters::TX_ENABLED);
        Self::Cadence(registers)
    }

    /// Sends the bytes, waiting while the FIFO is full.
    pub fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            while self.is_full() {
                core::hint::spin_loop();
            }
            match self {
                Self::Pl011(uart) => uart.write_word(*byte),
                Self::Cadence(registers) => field!(*registers, fifo).write(u32::from(*byte)),
            }
        }
    }

    /// How long others have had the CPU while this waited, in ticks: they never have, since
    /// this waits by looking again.
    pub fn waited_ticks(&self) -> u64 {
        0
    }

    fn is_full(&self) -> bool {
        match self {
            Self::Pl011(uart) => uart.is_tx_fifo_full(),
            Self::Cadence(registers) => {
                let status = field_shared!(*registers, channel_status).read();
                status & CadenceRegisters::TX_FULL != 0
            }
        }
    }
}
