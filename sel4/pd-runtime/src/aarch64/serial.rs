//! The board's UART, as the boot loader set its speed up.
//!
//! Used by `pd-console`, which alone receives, and by `pd-monitor` once the console is dead. Invariant: one
//! protection domain writes at a time; which driver it takes is decided by the symbol that
//! the system description sets, so a board differs in its description and not in the code.
//!
//! Specifications: Arm PrimeCell UART (PL011) TRM, DDI 0183; Zynq UltraScale+ TRM, UG1085,
//! "UART Controller", and its register reference, UG1087, module UART.

use arm_pl011_uart::{Interrupts, PL011Registers, Uart};
use core::ptr::NonNull;
use safe_mmio::fields::{ReadPure, ReadPureWrite, ReadWrite, WriteOnly};
use safe_mmio::{UniqueMmioPointer, field, field_shared};
use sel4_microkit::Channel;
use vm_components::channel;

/// A character was lost: it came before others had been taken.
pub struct Overrun;

/// A UART.
pub enum Serial {
    /// Arm's PL011.
    Pl011(Uart<'static>),
    /// Cadence's UART of the Zynq family.
    Cadence(UniqueMmioPointer<'static, CadenceRegisters>),
}

/// The registers that sending and receiving take (UG1087, module UART).
#[repr(C, align(4))]
pub struct CadenceRegisters {
    /// Control_reg0, offset 0x00.
    control: ReadPureWrite<u32>,
    _mode: u32,
    /// Intrpt_en_reg0, offset 0x08.
    interrupt_enable: WriteOnly<u32>,
    _disable_and_mask: [u32; 2],
    /// Chnl_int_sts_reg0, offset 0x14: what is written as 1 is cleared.
    interrupt_status: ReadPureWrite<u32>,
    _baud_rate_and_timeout: [u32; 2],
    /// Rcvr_FIFO_trigger_level0, offset 0x20.
    receive_trigger: ReadPureWrite<u32>,
    _modem: [u32; 2],
    /// Channel_sts_reg0, offset 0x2c.
    channel_status: ReadPure<u32>,
    /// TX_RX_FIFO0, offset 0x30.
    fifo: ReadWrite<u32>,
}

impl CadenceRegisters {
    /// Control_reg0: the receiver is enabled, and the transmitter.
    const RX_ENABLED: u32 = 1 << 2;
    const TX_ENABLED: u32 = 1 << 4;
    /// Channel_sts_reg0: the receive FIFO is empty; the transmit FIFO is full.
    const RX_EMPTY: u32 = 1 << 1;
    const TX_FULL: u32 = 1 << 4;
    /// Interrupts: as many characters were received as the trigger says; one was lost.
    const RX_TRIGGER: u32 = 1 << 0;
    const RX_OVERFLOW: u32 = 1 << 5;
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

    /// Lets the UART interrupt for each character that is received. Nobody else is to do so.
    pub fn begin_to_receive(&mut self) {
        match self {
            Self::Pl011(uart) => uart.set_interrupt_masks(Interrupts::RXI | Interrupts::RTI),
            Self::Cadence(registers) => {
                let both = CadenceRegisters::TX_ENABLED | CadenceRegisters::RX_ENABLED;
                field!(*registers, control).write(both);
                field!(*registers, receive_trigger).write(1);
                field!(*registers, interrupt_enable).write(CadenceRegisters::RX_TRIGGER);
            }
        }
    }

    /// Whether something was received and not taken.
    pub fn has_received(&mut self) -> bool {
        match self {
            Self::Pl011(uart) => !uart.is_rx_fifo_empty(),
            Self::Cadence(registers) => {
                let status = field_shared!(*registers, channel_status).read();
                status & CadenceRegisters::RX_EMPTY == 0
            }
        }
    }

    /// Takes the next character that was received, or says that one was lost.
    pub fn receive(&mut self) -> Option<Result<u8, Overrun>> {
        if !self.has_received() {
            return None;
        }
        Some(match self {
            Self::Pl011(uart) => uart.read_word().ok().flatten().ok_or(Overrun),
            Self::Cadence(registers) => {
                let lost =
                    field!(*registers, interrupt_status).read() & CadenceRegisters::RX_OVERFLOW;
                // What is pending is over once it was read; it comes again for the next.
                let over = lost | CadenceRegisters::RX_TRIGGER;
                let byte = field!(*registers, fifo).read() as u8;
                field!(*registers, interrupt_status).write(over);
                if lost == 0 { Ok(byte) } else { Err(Overrun) }
            }
        })
    }

    /// Lets the kernel deliver the UART's next interrupt. It fails where none is to be acknowledged.
    pub fn acknowledge(&self) {
        let channel = Channel::new(usize::from(channel::console::TYPED.0));
        let _ = channel.irq_ack();
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
