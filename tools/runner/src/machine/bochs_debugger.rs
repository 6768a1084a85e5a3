//! Bochs's debugger: runs a halted machine for so many instructions, and sets its instruction pointer.
//!
//! Called by `bochs`, for whoever debugs a machine. Bochs User Manual 2.7, "Using Bochs internal
//! debugger". Invariant: the machine is halted between two commands, and where it is then is known
//! from what Bochs said last.

use super::Debugger;
use super::bochs::Bochs;
use super::code::Code;
use std::io;

const PAGE: u64 = 4096;

/// A machine that is halted.
pub(crate) struct Halted<'a> {
    bochs: &'a mut Bochs,
    place: Place,
}

/// Where a machine has halted.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Place {
    /// The machine's time, which its TSC counts.
    ticks: u64,
    pc: u64,
    /// Where that is in physical memory.
    physical: u64,
}

impl<'a> Halted<'a> {
    /// Interrupts a machine that has just been started.
    ///
    /// # Errors
    ///
    /// That Bochs does not halt.
    pub(crate) fn interrupt(bochs: &'a mut Bochs) -> io::Result<Self> {
        let place = Place::default();
        let mut halted = Self { bochs, place };
        // It says where it begins; before that nothing would catch the interruption.
        halted.halts()?;
        halted.bochs.command("").map_err(io::Error::other)?;
        halted.halts()?;
        Ok(halted)
    }

    /// Takes note of where the machine halts.
    fn halts(&mut self) -> io::Result<()> {
        let mut lines = self.bochs.answered();
        let ticks = lines.find_map(|line| ticks(&line));
        let place = ticks.zip(lines.find_map(|line| instruction(&line)));
        drop(lines);
        let (ticks, (physical, pc)) =
            place.ok_or_else(|| io::Error::other("Bochs does not say where it has halted"))?;
        self.place = Place {
            ticks,
            pc,
            physical,
        };
        Ok(())
    }
}

impl Debugger for Halted<'_> {
    fn run(&mut self, instructions: u64) -> io::Result<()> {
        let command = format!("s {}\n", instructions.max(1));
        self.bochs.tell(&command).map_err(io::Error::other)?;
        self.halts()
    }

    fn step(&mut self) -> io::Result<()> {
        self.run(1)
    }

    fn pc(&mut self) -> io::Result<u64> {
        Ok(self.place.pc)
    }

    fn set_pc(&mut self, pc: u64) -> io::Result<()> {
        self.place.pc = pc;
        let command = format!("set rip = {pc:#x}\n");
        self.bochs.tell(&command).map_err(io::Error::other)
    }

    fn next_bytes(&mut self, len_bytes: u64) -> io::Result<Vec<u8>> {
        let at = self.place.physical;
        self.physical(at, len_bytes.min(PAGE - at % PAGE))
    }

    fn physical(&mut self, first: u64, len_bytes: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let shown = self.bochs.show((first, len_bytes), &mut bytes);
        shown.map_err(io::Error::other)?;
        bytes.truncate(len_bytes as usize);
        Ok(bytes)
    }

    fn now(&mut self, _: &Code) -> io::Result<u64> {
        Ok(self.place.ticks)
    }

    fn let_go(&mut self) -> io::Result<()> {
        self.bochs.tell("continue\n").map_err(io::Error::other)
    }
}

/// The time in a line like `Next at t=150367381`.
fn ticks(line: &str) -> Option<u64> {
    line.split_once("Next at t=")?.1.trim().parse().ok()
}

/// The physical address and the instruction pointer in a line like
/// `(0) [0x000000a3996f] 003b:000000000021096f (unk. ctxt): mov eax, ebx`.
fn instruction(line: &str) -> Option<(u64, u64)> {
    let (physical, rest) = line.split_once("(0) [0x")?.1.split_once("] ")?;
    let (_, pc) = rest.split_once(' ')?.0.split_once(':')?;
    let number = |digits| u64::from_str_radix(digits, 16).ok();
    Some((number(physical)?, number(pc)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_machine_has_halted_is_read_from_two_lines_and_from_nothing_else() {
        assert_eq!(ticks("Next at t=90001000"), Some(90_001_000));
        assert_eq!(ticks("<bochs:2> Next at t=7"), Some(7));
        let line = "(0) [0x000000a3996f] 003b:000000000021096f (unk. ctxt): mov eax, ebx ; 89d8";
        assert_eq!(instruction(line), Some((0xa3_996f, 0x21_096f)));
        let boot = "(0) [0x0000fffffff0] f000:fff0 (unk. ctxt): jmpf 0xf000:e05b ; ea5be000f0";
        assert_eq!(instruction(boot), Some((0xffff_fff0, 0xfff0)));
        for other in ["0x0000000000100020:0011CA00", "<bochs:2> s 7", ""] {
            assert_eq!((ticks(other), instruction(other)), (None, None), "{other}");
        }
    }
}
