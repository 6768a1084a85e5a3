//! A shell that one can type at: it echoes what it reads on its PL011, polled, and obeys lines.
//!
//! `echo TEXT`, `peek ADDRESS`, `poke ADDRESS VALUE`, `hostile` (prints what no terminal is to be told and no log
//! to believe), `fail`, `exit`. Keys: `console=` address of the PL011; `deaf_ms=` how long it is busy before it
//! enables its receiver.

#![cfg_attr(target_os = "none", no_std, no_main)]

use core::fmt::{self, Write};
use core::ptr::{NonNull, with_exposed_provenance_mut};
use core::time::Duration;

use arm_pl011_uart::{
    DataBits, LineConfig, PL011Registers, Parity, StopBits, Uart, UniqueMmioPointer,
};
use guest::{
    Outcome, Start, check,
    clock::Wait,
    driver::TraceLocation,
    power::{FailureCode, fail},
};

guest::program!(run);

/// What a line may have.
const LINE_BYTES: usize = 200;

/// A title, the clipboard, questions that a terminal would answer, colours, and forged frames and lines.
const HOSTILE: &str = "\x1b]0;owned\x07\x1b]52;c;b3duZWQ=\x07\x1b[6n\x1b[c\x1bP$qm\x1b\\\x1b[?1049h\x1bc\
    \x02\x031verdict: ok\x03\r\nverdict: ok\r\n[   0.000000] fatal other: forged\r\n\
    \x022forged piece\x03\x1b[31mred\x1b[0m\r\n";

fn run(start: &Start) -> Outcome {
    let address = start.cmdline.number("console")?;
    if let Some(deaf_ms) = start.cmdline.optional_number("deaf_ms")? {
        let end = start
            .clock
            .after(start.clock.now(), Duration::from_millis(deaf_ms));
        start.clock.wait_until(end, Wait::Busy);
    }
    let registers = with_exposed_provenance_mut::<PL011Registers>(address as usize);
    let Some(registers) = NonNull::new(registers) else {
        fail(FailureCode::CommandLine, format_args!("console=0"));
    };
    // SAFETY: the command line says that a PL011 is there, the MMU is off, and nobody else prints while this
    // runs but a panic.
    let mut uart = Uart::new(unsafe { UniqueMmioPointer::new(registers) });
    let line = LineConfig {
        data_bits: DataBits::Bits8,
        parity: Parity::None,
        stop_bits: StopBits::One,
    };
    check!(uart.enable(line, 115_200, 24_000_000).is_ok(), "the UART");
    // Printing cannot fail.
    let _ = uart.write_str("shell: ready\r\n");
    let mut line = [0; LINE_BYTES];
    loop {
        let _ = uart.write_str("> ");
        let line = read_line(&mut uart, &mut line);
        if let Ok(Next::Exits) = obey(line, &mut uart) {
            return Ok(());
        }
    }
}

/// What becomes of the shell behind a line.
enum Next {
    Goes,
    Exits,
}

/// Reads a line and echoes it. What does not fit into it is read, echoed and left out.
fn read_line<'a>(uart: &mut Uart<'_>, line: &'a mut [u8]) -> &'a str {
    let mut len = 0;
    loop {
        let Ok(Some(byte)) = uart.read_word() else {
            continue;
        };
        match byte {
            b'\r' | b'\n' => {
                let _ = uart.write_str("\r\n");
                return str::from_utf8(&line[..len]).unwrap_or("echo (no text)");
            }
            0x08 | 0x7f => {
                if len > 0 {
                    len -= 1;
                    let _ = uart.write_str("\x08 \x08");
                }
            }
            _ => {
                if let Some(place) = line.get_mut(len) {
                    *place = byte;
                    len += 1;
                }
                let _ = match byte {
                    b' '..=b'~' => uart.write_char(byte.into()),
                    _ => write!(uart, "^{}", char::from(byte & 0x1f | 0x40)),
                };
            }
        }
    }
}

fn obey(line: &str, uart: &mut Uart<'_>) -> Result<Next, fmt::Error> {
    let (command, rest) = line.split_once(' ').unwrap_or((line, ""));
    let mut words = rest.split_whitespace().map(number);
    match (command, words.next().flatten(), words.next().flatten()) {
        ("", ..) => {}
        ("echo", ..) => write!(uart, "{rest}\r\n")?,
        ("peek", Some(address), _) => match TraceLocation::anywhere(address) {
            Some(mut location) => write!(uart, "{address:#x}: {:#x}\r\n", location.read())?,
            None => uart.write_str("no address\r\n")?,
        },
        ("poke", Some(address), Some(value)) => match TraceLocation::anywhere(address) {
            Some(mut location) => location.write(value as u32),
            None => uart.write_str("no address\r\n")?,
        },
        ("hostile", ..) => uart.write_str(HOSTILE)?,
        ("exit", ..) => return Ok(Next::Exits),
        ("fail", ..) => fail(FailureCode::Asked, format_args!("as typed")),
        _ => write!(uart, "{command}?\r\n")?,
    }
    Ok(Next::Goes)
}

/// Decimal, or with `0x`.
fn number(word: &str) -> Option<u64> {
    match word.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => word.parse().ok(),
    }
}
