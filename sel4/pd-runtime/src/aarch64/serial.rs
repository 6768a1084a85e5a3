//! The board's UART, as the boot loader set its speed up.
//!
//! Used by `pd-console`, which alone receives, and by `pd-monitor` once the console is dead. Invariant: one
//! protection domain writes at a time; which driver it takes is decided by the symbol that
//! the system description sets, so a board differs in its description and not in the code.
//!
//! The drivers are the crate `uarts`'; that of the PL011 is `arm-pl011-uart` (Arm DDI 0183).

use arm_pl011_uart::{Interrupts, PL011Registers};
use core::ptr::NonNull;
use safe_mmio::UniqueMmioPointer;
use safe_mmio::fields::ReadWrite;
use sel4_microkit::{Channel, var};
use uarts::{Cadence, Imx, Meson, Mini, Registers, Uart};
use vm_components::channel;

pub use uarts::Overrun;

/// A page of registers of 32 bits.
type Page = UniqueMmioPointer<'static, [ReadWrite<u32>; 1024]>;

/// A UART.
pub enum Serial {
    /// Arm's PL011.
    Pl011(Pl011),
    /// Cadence's UART of the Zynq family.
    Cadence(Cadence<OfPage>),
    /// NXP's UART of the i.MX family.
    Imx(Imx<OfPage>),
    /// The Raspberry Pi's mini UART.
    Mini(Mini<OfPage>),
    /// Amlogic's UART of the Meson family.
    Meson(Meson<OfPage>),
}

/// Does something with the UART, whichever it is: a driver's loop is compiled for each.
macro_rules! each {
    ($serial:expr, $uart:ident => $what:expr) => {
        match $serial {
            Serial::Pl011($uart) => $what,
            Serial::Cadence($uart) => $what,
            Serial::Imx($uart) => $what,
            Serial::Mini($uart) => $what,
            Serial::Meson($uart) => $what,
        }
    };
}

fn send_all(uart: &mut impl Uart, bytes: &[u8]) {
    for byte in bytes {
        while uart.is_full() {
            core::hint::spin_loop();
        }
        uart.send(*byte);
    }
}

impl Serial {
    /// The UART that `system.xml` maps, by the name of the symbol that it sets.
    ///
    /// # Safety
    ///
    /// It is mapped uncached, and no other protection domain uses it as long as this lives.
    pub unsafe fn of_board() -> Self {
        let page = |at: usize| {
            let page = NonNull::new(at as *mut _)?;
            // SAFETY: the Microkit mapped the UART's page at the symbol that it has set; the rest is the
            // caller's promise.
            Some(OfPage(unsafe { UniqueMmioPointer::new(page) }))
        };
        let pl011 = || {
            let registers = NonNull::new(*var!(uart_pl011: usize = 0) as *mut PL011Registers)?;
            // SAFETY: as above.
            let registers = unsafe { UniqueMmioPointer::new(registers) };
            Some(Pl011(arm_pl011_uart::Uart::new(registers)))
        };
        let uart = pl011().map(Self::Pl011);
        let uart = uart.or_else(|| {
            page(*var!(uart_cadence: usize = 0)).map(|page| Self::Cadence(Cadence(page)))
        });
        let uart =
            uart.or_else(|| page(*var!(uart_imx: usize = 0)).map(|page| Self::Imx(Imx(page))));
        let uart = uart
            .or_else(|| page(*var!(uart_mini: usize = 0)).map(|page| Self::Mini(Mini::new(page))));
        let uart = uart
            .or_else(|| page(*var!(uart_meson: usize = 0)).map(|page| Self::Meson(Meson(page))));
        let Some(mut serial) = uart else {
            panic!("the system description maps no UART: it sets none of the symbols uart_…");
        };
        each!(&mut serial, uart => uart.begin_to_send());
        serial
    }

    /// Sends the bytes, waiting while the FIFO is full.
    pub fn write(&mut self, bytes: &[u8]) {
        each!(self, uart => send_all(uart, bytes));
    }

    /// Lets the UART interrupt for each character that is received. Nobody else is to do so.
    pub fn begin_to_receive(&mut self) {
        each!(self, uart => uart.begin_to_receive());
    }

    /// Whether something was received and not taken.
    pub fn has_received(&mut self) -> bool {
        each!(self, uart => uart.has_received())
    }

    /// Takes the next character that was received, or says that one was lost.
    pub fn receive(&mut self) -> Option<Result<u8, Overrun>> {
        each!(self, uart => uart.has_received().then(|| uart.take()))
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
}

/// A UART's page, as its driver sees it.
pub struct OfPage(Page);

impl Registers for OfPage {
    fn read(&mut self, offset: usize) -> u32 {
        self.0
            .get(offset / 4)
            .map_or(0, |mut register| register.read())
    }

    fn write(&mut self, offset: usize, value: u32) {
        if let Some(mut register) = self.0.get(offset / 4) {
            register.write(value);
        }
    }
}

/// Arm's PL011.
pub struct Pl011(arm_pl011_uart::Uart<'static>);

impl Uart for Pl011 {
    /// The boot loader has enabled it.
    fn begin_to_send(&mut self) {}

    fn is_full(&mut self) -> bool {
        self.0.is_tx_fifo_full()
    }

    fn send(&mut self, byte: u8) {
        self.0.write_word(byte);
    }

    fn begin_to_receive(&mut self) {
        self.0
            .set_interrupt_masks(Interrupts::RXI | Interrupts::RTI);
    }

    fn has_received(&mut self) -> bool {
        !self.0.is_rx_fifo_empty()
    }

    fn take(&mut self) -> Result<u8, Overrun> {
        self.0.read_word().ok().flatten().ok_or(Overrun)
    }
}
