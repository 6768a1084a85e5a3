//! What is typed: for which VM it is, and what the console itself is told by it.
//!
//! Used by the console, when its platform says that something may have been typed. Invariants: typed bytes are data
//! for one VM and commands for the console alone; which VM that is and how guests' output is shown is changed by
//! typed bytes and by nothing else; what a VM does not take stays in the UART, whatever follows it. The console
//! prints at most one line of each kind for it between two wake-ups, however fast somebody types.
//!
//! ```text
//!   is_reading, kept ── UART ── state, kept ── published, the VMM notified
//!        └──────── death here: what was read is missing, and is told so
//! ```

use super::line::Line;
use super::{CUT, ConsolePort, Output};
use crate::console::log_lines::Stamp;
use crate::{Clock, Host, channel};
use console_wire::{Key, Keys};
use core::fmt::{self, Write};
use heapless::Vec;
use kept::Kept;
use shared_ring::{InputPosition, InputProducer};
use trace_records::MAX_VMS;

/// Bytes that are read at one wake-up: others wait meanwhile.
const MOST_AT_ONCE: usize = 512;

/// Where what is typed comes from.
pub trait Input {
    /// Whether something has come and was not taken.
    fn is_there(&mut self) -> bool;

    /// Takes the next byte.
    fn take(&mut self) -> Option<u8>;

    /// How often, since this was last asked, bytes were lost before they could be taken. Asked behind each
    /// look.
    fn overruns(&mut self) -> u32 {
        0
    }
}

/// What became of what is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "what is left is to be asked for again, and not to be waited for"]
pub enum Typed {
    /// All is taken: the next byte may wake the component.
    All,
    /// Something is left, for which its VM has no room: the clock is to bring us back to it.
    Left,
}

/// How guests' output is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Format {
    /// Whole lines, each behind its VM's name.
    #[default]
    Lines,
    /// As it comes, in pieces that `console_wire` describes.
    Pieces,
}

/// What survives the console.
#[derive(Clone, Copy, Default)]
pub(super) struct State {
    keys: Keys,
    /// The VM that is typed at.
    vm: u8,
    format: Format,
    positions: [InputPosition; MAX_VMS],
    /// Bytes are on their way from the UART to here.
    is_reading: bool,
    /// A line is on its way to the UART.
    is_printing: bool,
    tells: Tells,
}

/// What is to be told.
#[derive(Clone, Copy, Default)]
struct Tells {
    chosen: bool,
    /// A VM that there is not, by its key.
    absent: Option<u8>,
    format: bool,
    help: bool,
    /// So often bytes were lost.
    lost: u32,
}

/// See the file's header.
pub(super) struct Typing {
    rings: Vec<InputProducer, MAX_VMS>,
    state: State,
    kept: &'static mut Kept<State>,
}

impl Typing {
    /// Goes on where another, which is no more, was, if there was one.
    pub fn resume<'a>(
        ports: impl Iterator<Item = &'a ConsolePort>,
        kept: &'static mut Kept<State>,
    ) -> Self {
        let state = kept.state().copied().unwrap_or_default();
        let ends = ports.zip(state.positions);
        let rings = ends.map(|(port, at)| InputProducer::resume(port.input, port.input_reader, at));
        Self {
            rings: rings.collect(),
            state,
            kept,
        }
    }

    /// How guests' output is shown.
    pub fn format(&self) -> Format {
        self.state.format
    }

    /// Goes on where the console has died.
    pub fn recover(&mut self, host: &mut impl Host, output: &mut impl Output) {
        if core::mem::take(&mut self.state.is_printing) {
            output.write(CUT);
        }
        if core::mem::take(&mut self.state.is_reading) {
            self.state.tells.lost += 1;
        }
        self.commit();
        // It may have died before it did so.
        for (ring, vm) in self.rings.iter().zip(0..) {
            if ring.position().bytes != 0 {
                ring.publish();
                host.notify(channel::console::vmm(vm));
            }
        }
    }

    /// Takes what was typed.
    pub fn take(&mut self, input: &mut impl Input, host: &mut impl Host) -> Typed {
        if !input.is_there() {
            return Typed::All;
        }
        let is_reading = core::mem::replace(&mut self.state.is_reading, true);
        self.commit();
        let typed = self.read(input);
        self.state.is_reading = false;
        // Another has died over it.
        let lost = input.overruns().saturating_add(is_reading.into());
        self.state.tells.lost = self.state.tells.lost.saturating_add(lost);
        let before = self.state.positions;
        for (position, ring) in self.state.positions.iter_mut().zip(&self.rings) {
            *position = ring.position();
        }
        self.commit();
        for ((ring, before), vm) in self.rings.iter().zip(before).zip(0..) {
            if ring.position().bytes != before.bytes {
                ring.publish();
                host.notify(channel::console::vmm(vm));
            }
        }
        typed
    }

    fn read(&mut self, input: &mut impl Input) -> Typed {
        for _ in 0..MOST_AT_ONCE {
            let Some(ring) = self.rings.get_mut(usize::from(self.state.vm)) else {
                return Typed::Left;
            };
            if !ring.has_room() {
                return Typed::Left;
            }
            let Some(byte) = input.take() else {
                return Typed::All;
            };
            match self.state.keys.press(byte) {
                Some(Key::Byte(byte)) => {
                    // There is room.
                    ring.append(byte);
                }
                Some(Key::Choose(vm)) if usize::from(vm) < self.rings.len() => {
                    self.state.vm = vm;
                    self.state.tells.chosen = true;
                }
                Some(Key::Choose(vm)) => self.state.tells.absent = Some(vm),
                Some(Key::Pieces) => self.show(Format::Pieces),
                Some(Key::Lines) => self.show(Format::Lines),
                Some(Key::Help | Key::Unknown) => self.state.tells.help = true,
                // Whoever can end a run does not ask the console.
                Some(Key::End) | None => {}
            }
        }
        Typed::Left
    }

    fn show(&mut self, format: Format) {
        self.state.format = format;
        self.state.tells.format = true;
    }

    /// Prints what is to be told. `name` gives a VM's.
    pub fn tell<'a>(
        &mut self,
        name: impl Fn(u8) -> &'a str,
        clock: Clock,
        host: &mut impl Host,
        output: &mut impl Output,
    ) {
        let tells = core::mem::take(&mut self.state.tells);
        let Tells {
            chosen,
            absent,
            format,
            help,
            lost,
        } = tells;
        if !(chosen || absent.is_some() || format || help || lost != 0) {
            return;
        }
        let stamp = Stamp(host.now(), clock);
        let at = At(self.state.vm, name(self.state.vm));
        if lost != 0 {
            let lost = format_args!("{stamp} warn  typed characters were lost, {lost} times");
            self.put(lost, output);
        }
        if let Some(vm) = absent {
            let there_is_none = format_args!("{stamp} warn  there is no VM {}; {at}", vm + 1);
            self.put(there_is_none, output);
        }
        if chosen {
            self.put(format_args!("{stamp} info  {at}"), output);
        }
        if format {
            let how = match self.state.format {
                Format::Lines => "lines",
                Format::Pieces => "pieces",
            };
            self.put(
                format_args!("{stamp} info  guests' output comes in {how}"),
                output,
            );
        }
        if help {
            self.put(format_args!("{stamp} info  {at}; {HELP}"), output);
        }
    }

    fn put(&mut self, words: fmt::Arguments<'_>, output: &mut impl Output) {
        let mut line: Line = Line::default();
        // What does not fit is cut; nothing else fails.
        let _ = line.write_fmt(words);
        self.state.is_printing = true;
        self.commit();
        output.write(line.finish());
        self.state.is_printing = false;
        self.commit();
    }

    fn commit(&mut self) {
        self.kept.commit(&self.state);
    }
}

const HELP: &str = "Ctrl-A 1 to 8: another VM; Ctrl-A Ctrl-A: Ctrl-A itself; Ctrl-A p or l: guests' output in \
                    pieces, for a program, or in lines";

/// Which VM is typed at.
struct At<'a>(u8, &'a str);

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(vm, name) = self;
        write!(f, "typed at: VM {}, {name}", vm + 1)
    }
}
