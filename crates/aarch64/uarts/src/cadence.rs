//! Cadence's UART of the Zynq family.
//!
//! Specification: Zynq UltraScale+ TRM, UG1085, "UART Controller", and its register reference, UG1087, module
//! UART.

use crate::{Overrun, Registers, Uart};

/// Control_reg0, with what enables receiver and transmitter.
const CONTROL: usize = 0x00;
const RX_ENABLED: u32 = 1 << 2;
const TX_ENABLED: u32 = 1 << 4;
/// Intrpt_en_reg0, whose zeros change nothing.
const INTERRUPT_ENABLE: usize = 0x08;
/// Chnl_int_sts_reg0: what is written as 1 is cleared.
const INTERRUPT_STATUS: usize = 0x14;
/// Interrupts: as many characters were received as the trigger says; one was lost.
const RX_TRIGGER: u32 = 1 << 0;
const RX_OVERFLOW: u32 = 1 << 5;
/// Rcvr_FIFO_trigger_level0, in characters.
const RECEIVE_TRIGGER: usize = 0x20;
/// Channel_sts_reg0: the receive FIFO is empty; the transmit FIFO is full.
const CHANNEL_STATUS: usize = 0x2c;
const RX_EMPTY: u32 = 1 << 1;
const TX_FULL: u32 = 1 << 4;
/// TX_RX_FIFO0.
const FIFO: usize = 0x30;

/// A Cadence UART.
pub struct Cadence<R>(pub R);

impl<R: Registers> Uart for Cadence<R> {
    fn begin_to_send(&mut self) {
        self.0.write(CONTROL, TX_ENABLED);
    }

    fn is_full(&mut self) -> bool {
        self.0.read(CHANNEL_STATUS) & TX_FULL != 0
    }

    fn send(&mut self, byte: u8) {
        self.0.write(FIFO, byte.into());
    }

    fn begin_to_receive(&mut self) {
        self.0.write(CONTROL, TX_ENABLED | RX_ENABLED);
        self.0.write(RECEIVE_TRIGGER, 1);
        self.0.write(INTERRUPT_ENABLE, RX_TRIGGER);
    }

    fn has_received(&mut self) -> bool {
        self.0.read(CHANNEL_STATUS) & RX_EMPTY == 0
    }

    fn take(&mut self) -> Result<u8, Overrun> {
        if self.0.read(INTERRUPT_STATUS) & RX_OVERFLOW != 0 {
            self.0.write(INTERRUPT_STATUS, RX_OVERFLOW);
            return Err(Overrun);
        }
        let byte = self.0.read(FIFO) as u8;
        // What is pending is over once it was read; it comes again for the next.
        self.0.write(INTERRUPT_STATUS, RX_TRIGGER);
        Ok(byte)
    }
}
