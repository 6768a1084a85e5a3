//! Each driver against a fake that does what the SoC's manual says of its registers. Offsets and bits are written
//! here once more, from the manuals.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use uarts::{Cadence, Imx, Meson, Mini, Overrun, Registers, Uart};

/// What any UART has.
#[derive(Default)]
struct Line {
    sent: Vec<u8>,
    received: VecDeque<u8>,
    is_full: bool,
    has_lost: bool,
    /// Its registers, as they were written.
    written: Vec<u32>,
    /// A pulse of its interrupt line, where it has pulses.
    has_pulsed: bool,
}

/// What a UART makes of its registers.
trait Model {
    fn read(line: &mut Line, offset: usize) -> u32;
    fn write(line: &mut Line, offset: usize, value: u32);
    fn can_send(line: &Line) -> bool;
    fn can_receive(line: &Line) -> bool;
    fn interrupts(line: &Line) -> bool;
}

struct Fake<M>(Rc<RefCell<Line>>, std::marker::PhantomData<M>);

impl<M: Model> Registers for Fake<M> {
    fn read(&mut self, offset: usize) -> u32 {
        M::read(&mut self.0.borrow_mut(), offset)
    }

    fn write(&mut self, offset: usize, value: u32) {
        M::write(&mut self.0.borrow_mut(), offset, value);
    }
}

/// The other end of the line.
struct Terminal<M>(Rc<RefCell<Line>>, std::marker::PhantomData<M>);

impl<M: Model> Terminal<M> {
    fn types(&self, byte: u8) {
        let mut line = self.0.borrow_mut();
        if M::can_receive(&line) {
            line.received.push_back(byte);
            line.has_pulsed = true;
        }
    }

    fn interrupts(&self) -> bool {
        M::interrupts(&self.0.borrow())
    }

    fn has_pulsed(&self) -> bool {
        std::mem::take(&mut self.0.borrow_mut().has_pulsed) && self.interrupts()
    }
}

/// A UART and the other end. At reset its registers hold `reset`.
fn connected<M: Model>(reset: &[(usize, u32)]) -> (Fake<M>, Terminal<M>) {
    let mut line = Line {
        written: vec![0; 64],
        ..Line::default()
    };
    for (offset, value) in reset {
        line.written[offset / 4] = *value;
    }
    let line = Rc::new(RefCell::new(line));
    let fake = Fake(line.clone(), std::marker::PhantomData);
    (fake, Terminal(line, std::marker::PhantomData))
}

/// What is true of each.
fn holds<M: Model>(mut uart: impl Uart, far: &Terminal<M>) {
    uart.begin_to_send();
    assert!(M::can_send(&far.0.borrow()), "it can send");
    assert!(!uart.is_full());
    uart.send(b'o');
    uart.send(0xff);
    assert_eq!(far.0.borrow().sent, [b'o', 0xff]);
    far.0.borrow_mut().is_full = true;
    assert!(uart.is_full());
    far.0.borrow_mut().is_full = false;

    uart.begin_to_receive();
    assert!(
        M::can_send(&far.0.borrow()),
        "it can send while it receives"
    );
    assert!(!uart.has_received() && !far.interrupts());
    for byte in [b'k', 0, 0xfe] {
        far.types(byte);
        assert!(far.interrupts(), "each character interrupts");
        assert!(uart.has_received());
        assert_eq!(uart.take(), Ok(byte));
        assert!(!uart.has_received() && !far.interrupts());
    }

    far.types(b'1');
    far.types(b'2');
    far.0.borrow_mut().has_lost = true;
    assert!(uart.has_received() && uart.has_received());
    assert_eq!(uart.take(), Err(Overrun));
    assert_eq!(
        [uart.take(), uart.take()],
        [Ok(b'1'), Ok(b'2')],
        "a loss is told once, and what was received is there"
    );
    far.types(b'3');
    assert!(far.interrupts());
    assert_eq!(uart.take(), Ok(b'3'));
}

/// UG1087: control 0x00 (RXEN 2, TXEN 4), interrupt enable 0x08 and status 0x14 (RTRIG 0, ROVR 5; write 1 to
/// clear), trigger 0x20, channel status 0x2c (REMPTY 1, TFUL 4), FIFO 0x30.
struct OfZynq;

impl Model for OfZynq {
    fn read(line: &mut Line, offset: usize) -> u32 {
        match offset {
            0x14 => line.written[0x14 / 4] | u32::from(line.has_lost) << 5,
            0x2c => u32::from(line.received.is_empty()) << 1 | u32::from(line.is_full) << 4,
            0x30 => line.received.pop_front().unwrap_or_default().into(),
            _ => line.written[offset / 4],
        }
    }

    fn write(line: &mut Line, offset: usize, value: u32) {
        match offset {
            0x08 => line.written[2] |= value,
            0x14 => line.has_lost &= value & 1 << 5 == 0,
            0x30 => line.sent.push(value as u8),
            _ => line.written[offset / 4] = value,
        }
    }

    fn can_send(line: &Line) -> bool {
        line.written[0] & 1 << 4 != 0
    }

    fn can_receive(line: &Line) -> bool {
        line.written[0] & 1 << 2 != 0
    }

    fn interrupts(line: &Line) -> bool {
        let trigger = line.written[0x20 / 4] as usize;
        line.written[2] & 1 != 0 && trigger != 0 && line.received.len() >= trigger
    }
}

#[test]
fn cadence_sends_receives_and_tells_a_loss_once() {
    let (fake, far) = connected::<OfZynq>(&[(0, 0x128), (0x20, 32)]);
    holds(Cadence(fake), &far);
}

/// IMX8MPRM: URXD 0x00, UTXD 0x40, UCR1 0x80 (UARTEN 0, RRDYEN 9), UCR2 0x84 (SRST 0, RXEN 1, TXEN 2), UFCR 0x90
/// (RXTL 5:0), USR2 0x98 (RDR 0, ORE 1: write 1 to clear), UTS 0xb4 (TXFULL 4). Reset: UCR2 1, UFCR 0x801.
struct OfImx;

impl Model for OfImx {
    fn read(line: &mut Line, offset: usize) -> u32 {
        match offset {
            0x00 => line.received.pop_front().unwrap_or_default().into(),
            0x98 => u32::from(!line.received.is_empty()) | u32::from(line.has_lost) << 1,
            0xb4 => u32::from(line.is_full) << 4,
            _ => line.written[offset / 4],
        }
    }

    fn write(line: &mut Line, offset: usize, value: u32) {
        match offset {
            0x40 => line.sent.push(value as u8),
            0x98 => line.has_lost &= value & 1 << 1 == 0,
            _ => line.written[offset / 4] = value,
        }
    }

    fn can_send(line: &Line) -> bool {
        line.written[0x80 / 4] & 1 != 0 && line.written[0x84 / 4] & 0b101 == 0b101
    }

    fn can_receive(line: &Line) -> bool {
        line.written[0x80 / 4] & 1 != 0 && line.written[0x84 / 4] & 0b011 == 0b011
    }

    fn interrupts(line: &Line) -> bool {
        let trigger = (line.written[0x90 / 4] & 0x3f) as usize;
        line.written[0x80 / 4] & 1 << 9 != 0 && trigger != 0 && line.received.len() >= trigger
    }
}

#[test]
fn imx_sends_receives_and_tells_a_loss_once() {
    // The trigger as a boot loader may have left it, with the divider beside it.
    let (fake, far) = connected::<OfImx>(&[(0x84, 1), (0x90, 0x0a90)]);
    let line = far.0.clone();
    holds(Imx(fake), &far);
    assert_eq!(
        line.borrow().written[0x90 / 4],
        0x0a81,
        "the rest of UFCR is the boot loader's"
    );
}

/// BCM2711 ARM Peripherals, 2.2: AUX_ENABLES 0x04 (mini UART 0), IO 0x40, IER 0x44, LSR 0x54 (data ready 0, overrun
/// 1: forgotten when read, transmitter empty 5), CNTL 0x60 (receiver 0, transmitter 1); IER as an 16550 has it.
struct OfRaspberry;

impl Model for OfRaspberry {
    fn read(line: &mut Line, offset: usize) -> u32 {
        match offset {
            0x40 => line.received.pop_front().unwrap_or_default().into(),
            0x54 => {
                let lost = std::mem::take(&mut line.has_lost);
                u32::from(!line.received.is_empty())
                    | u32::from(lost) << 1
                    | u32::from(!line.is_full) << 5
            }
            _ => line.written[offset / 4],
        }
    }

    fn write(line: &mut Line, offset: usize, value: u32) {
        match offset {
            0x40 => line.sent.push(value as u8),
            _ => line.written[offset / 4] = value,
        }
    }

    fn can_send(line: &Line) -> bool {
        line.written[1] & 1 != 0 && line.written[0x60 / 4] & 0b10 != 0
    }

    fn can_receive(line: &Line) -> bool {
        line.written[1] & 1 != 0 && line.written[0x60 / 4] & 0b01 != 0
    }

    fn interrupts(line: &Line) -> bool {
        line.written[0x44 / 4] & 1 != 0 && !line.received.is_empty()
    }
}

#[test]
fn the_mini_uart_sends_receives_and_tells_a_loss_once() {
    let (fake, far) = connected::<OfRaspberry>(&[]);
    holds(Mini::new(fake), &far);
}

#[test]
fn the_mini_uart_leaves_the_other_auxiliary_peripherals_as_they_are() {
    let (fake, far) = connected::<OfRaspberry>(&[(0x04, 0b110)]);
    Mini::new(fake).begin_to_send();
    assert_eq!(far.0.borrow().written[1], 0b111);
}

/// S905X3 datasheet, "UART": WFIFO 0x00, RFIFO 0x04, CONTROL 0x08 (TX 12, RX 13, clear errors 24, RX interrupt 27),
/// STATUS 0x0c (RX empty 20, TX full 21, RX overflow 24), MISC 0x10 (RX count 7:0).
struct OfMeson;

impl Model for OfMeson {
    fn read(line: &mut Line, offset: usize) -> u32 {
        match offset {
            0x04 => line.received.pop_front().unwrap_or_default().into(),
            0x0c => {
                u32::from(line.received.is_empty()) << 20
                    | u32::from(line.is_full) << 21
                    | u32::from(line.has_lost) << 24
            }
            _ => line.written[offset / 4],
        }
    }

    fn write(line: &mut Line, offset: usize, value: u32) {
        match offset {
            0x00 => line.sent.push(value as u8),
            _ => line.written[offset / 4] = value,
        }
        line.has_lost &= line.written[2] & 1 << 24 == 0;
    }

    fn can_send(line: &Line) -> bool {
        line.written[2] & 1 << 12 != 0
    }

    fn can_receive(line: &Line) -> bool {
        line.written[2] & 1 << 13 != 0
    }

    fn interrupts(line: &Line) -> bool {
        let count = (line.written[4] & 0xff) as usize;
        line.written[2] & 1 << 27 != 0 && count != 0 && line.received.len() >= count
    }
}

#[test]
fn meson_sends_receives_and_tells_a_loss_once() {
    // The speed and the frame's form are above and below what is set.
    let (fake, far) = connected::<OfMeson>(&[(0x10, 0x7f90)]);
    let line = far.0.clone();
    holds(Meson(fake), &far);
    let line = line.borrow();
    assert_eq!(line.written[4], 0x7f01, "when it is to send is not ours");
    assert_eq!(
        line.written[2] & 1 << 24,
        0,
        "errors are not cleared for ever"
    );
}

#[test]
fn meson_pulses_for_each_character() {
    let (fake, far) = connected::<OfMeson>(&[]);
    let mut uart = Meson(fake);
    uart.begin_to_send();
    uart.begin_to_receive();
    far.types(b'a');
    assert!(far.has_pulsed() && !far.has_pulsed());
    far.types(b'b');
    assert!(far.has_pulsed());
    assert_eq!([uart.take(), uart.take()], [Ok(b'a'), Ok(b'b')]);
}
