//! QEMU's gdb stub: halts an aarch64 machine, steps it, reads and sets its program counter.
//!
//! Called by `qemu`, for whoever debugs a machine. Invariant: while the machine is halted its clock
//! stands still, so that whatever is done here takes no time there.
//!
//! Protocol: GDB manual, "GDB Remote Serial Protocol"; QEMU documentation, "GDB usage".

use super::Debugger;
use super::code::Code;
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// The most that is read at a time: what fits a packet of 4096 characters.
const PIECE_BYTES: u64 = 1024;
/// The program counter's number, after x0 to x30 and the stack pointer.
const PC: u64 = 32;

/// A connection to a machine that is halted.
pub(crate) struct Gdb {
    stream: UnixStream,
    /// What has come and is no whole packet yet.
    unread: Vec<u8>,
}

impl Gdb {
    /// Connects, which halts the machine.
    ///
    /// # Errors
    ///
    /// If it cannot be reached, does not answer, or is not as expected.
    pub(crate) fn connect(socket: &Path) -> io::Result<Self> {
        let mut gdb = Self {
            stream: UnixStream::connect(socket)?,
            unread: Vec::new(),
        };
        // Whoever has not asked for this is told no single register.
        gdb.ask("qXfer:features:read:target.xml:0,ffb")?;
        Ok(gdb)
    }

    fn send(&mut self, packet: &str) -> io::Result<()> {
        let sum = packet.bytes().fold(0u8, u8::wrapping_add);
        write!(self.stream, "${packet}#{sum:02x}")
    }

    /// The next packet, if it comes in time.
    fn receive(&mut self, within: Duration) -> io::Result<Option<String>> {
        let deadline = Instant::now() + within;
        loop {
            let start = self.unread.iter().position(|byte| *byte == b'$');
            let end = self.unread.iter().position(|byte| *byte == b'#');
            if let (Some(start), Some(end)) = (start, end)
                && self.unread.len() >= end + 3
            {
                let packet = String::from_utf8_lossy(&self.unread[start + 1..end]).into_owned();
                self.unread.drain(..end + 3);
                self.stream.write_all(b"+")?;
                return Ok(Some(packet));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            self.stream.set_read_timeout(Some(left))?;
            let mut bytes = [0; 4096];
            match self.stream.read(&mut bytes) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(len) => self.unread.extend(&bytes[..len]),
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The answer to a packet. That the machine has halted is told besides, once or twice.
    fn ask(&mut self, packet: &str) -> io::Result<String> {
        self.send(packet)?;
        loop {
            let answer = self.receive(PATIENCE)?.ok_or(ErrorKind::TimedOut)?;
            if !answer.starts_with('T') {
                return Ok(answer);
            }
        }
    }

    /// The same, where bytes are the answer.
    fn ask_for_bytes(&mut self, packet: &str) -> io::Result<Vec<u8>> {
        let answer = self.ask(packet)?;
        let digits = |at: usize| answer.get(at..at + 2);
        let bytes = (0..answer.len()).step_by(2);
        let bytes = bytes.map(|at| u8::from_str_radix(digits(at)?, 16).ok());
        bytes
            .collect::<Option<_>>()
            .ok_or_else(|| refused(packet, &answer))
    }

    fn ask_for_ok(&mut self, packet: &str) -> io::Result<()> {
        match self.ask(packet)?.as_str() {
            "OK" => Ok(()),
            answer => Err(refused(packet, answer)),
        }
    }

    fn register(&mut self, number: u64) -> io::Result<u64> {
        let bytes = self.ask_for_bytes(&format!("p{number:x}"))?;
        let bytes = bytes.try_into().map_err(|_| ErrorKind::InvalidData)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn set_register(&mut self, number: u64, value: u64) -> io::Result<()> {
        // As the bytes lie in memory.
        let value = value.swap_bytes();
        self.ask_for_ok(&format!("P{number:x}={value:016x}"))
    }

    fn memory(&mut self, first: u64, len_bytes: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        while (bytes.len() as u64) < len_bytes {
            let at = first + bytes.len() as u64;
            let piece = (len_bytes - bytes.len() as u64).min(PIECE_BYTES);
            bytes.extend(self.ask_for_bytes(&format!("m{at:x},{piece:x}"))?);
        }
        Ok(bytes)
    }

    /// Waits until the machine has halted.
    fn halted(&mut self) -> io::Result<()> {
        match self.receive(PATIENCE)? {
            Some(answer) if answer.starts_with('T') => Ok(()),
            Some(answer) => Err(refused("waiting for the machine to halt", &answer)),
            None => Err(ErrorKind::TimedOut.into()),
        }
    }
}

fn refused(packet: &str, answer: &str) -> io::Error {
    io::Error::other(format!("QEMU answers {packet} by {answer:?}"))
}

impl Debugger for Gdb {
    fn run(&mut self, instructions: u64) -> io::Result<()> {
        // QEMU does not count for others. It emulates some 200 of them in a microsecond.
        let time = Duration::from_micros(instructions / 200);
        self.send("c")?;
        if self.receive(time)?.is_none() {
            self.stream.write_all(&[3])?;
            self.halted()?;
        }
        Ok(())
    }

    fn step(&mut self) -> io::Result<()> {
        self.send("s")?;
        self.halted()
    }

    fn pc(&mut self) -> io::Result<u64> {
        self.register(PC)
    }

    fn set_pc(&mut self, pc: u64) -> io::Result<()> {
        self.set_register(PC, pc)
    }

    fn next_bytes(&mut self, len_bytes: u64) -> io::Result<Vec<u8>> {
        let pc = self.pc()?;
        // Nothing, where nothing is mapped.
        Ok(self.memory(pc, len_bytes).unwrap_or_default())
    }

    fn physical(&mut self, first: u64, len_bytes: u64) -> io::Result<Vec<u8>> {
        self.ask_for_ok("Qqemu.PhyMemMode:1")?;
        let bytes = self.memory(first, len_bytes);
        self.ask_for_ok("Qqemu.PhyMemMode:0")?;
        bytes
    }

    /// Lets the CPU execute the instruction of the program that reads CNTPCT_EL0, and nothing else.
    fn now(&mut self, code: &Code) -> io::Result<u64> {
        // MRS <Xt>, CNTPCT_EL0 (Arm ARM C6.2.228, D24.10.18).
        const READ_COUNTER: u32 = 0xd53b_e020;
        const REGISTER: u32 = 0x1f;
        let found = code
            .words()
            .find(|(_, word)| word & !REGISTER == READ_COUNTER);
        let (at, word) = found.ok_or_else(|| io::Error::other("the program reads no counter"))?;
        let register = u64::from(word & REGISTER);
        let (pc, value) = (self.pc()?, self.register(register)?);
        self.set_pc(at)?;
        self.step()?;
        let now = self.register(register)?;
        self.set_register(register, value)?;
        self.set_pc(pc)?;
        Ok(now)
    }

    fn let_go(&mut self) -> io::Result<()> {
        // The machine goes on.
        self.ask_for_ok("D")
    }
}
