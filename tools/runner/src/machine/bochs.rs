//! Bochs: an x86 machine with VT-x for hosts that have none, whose clock counts instructions, so
//! that two runs of the same system are the same.
//!
//! Called by `run` for the Microkit's board `x86_64_generic_vtx`. Bochs User Manual 2.7, "The
//! configuration file bochsrc" and "Using Bochs internal debugger". Invariant: two runs in
//! different folders do not meet: no port, no shared file, no display.
//!
//! ```text
//! bochsrc, start, boot.rom, disk.img ──► bochs ──com1, com2 (pipes)──► lines
//!                 SIGINT, commands ────►       ──standard output────► memory, last words
//! ```

use super::bochs_debugger::Halted;
use super::{Debugger, Heard, Look, Machine, listen, multiboot, send_each_line};
use crate::{Failure, Request};
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};
use oversight::{Report, ReportPage};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// How fast the machine is if nothing else is asked for, 2^N ns an instruction: Bochs emulates
/// about that many.
const INSTRUCTION_NS_LOG2: u32 = 4;
/// The machine's serial ports. The second is the one of `pd-monitor`.
const SERIAL_PORTS: [&str; 2] = ["com1", "com2"];
/// After so long without an answer Bochs is interrupted once more: it forgets an interruption that
/// comes while it is about to go on.
const ANSWER: Duration = Duration::from_secs(2);
/// How long Bochs may take to write down its memory.
const PATIENCE: Duration = Duration::from_secs(60);

/// A machine that is ready to be started.
pub(crate) struct Boot {
    command: Command,
    work: PathBuf,
}

impl Boot {
    /// Writes what Bochs needs into the run's folder: kernel and module, and its configuration.
    ///
    /// # Errors
    ///
    /// What could not be read or written.
    pub(crate) fn prepare(
        request: &Request<'_>,
        kernel: &Path,
        module: &Path,
        ram_bytes: u64,
    ) -> Result<Self, String> {
        let work = request.work;
        let folder = work.display().to_string();
        if folder.contains(['"', '$']) {
            return Err(format!("Bochs cannot be told of a folder like {folder}"));
        }
        let rom_program = request.images.join("boot-rom");
        let boot = multiboot::Boot::read(kernel, module, &rom_program, ram_bytes)?;
        let write = |name: &str, bytes: &[u8]| {
            let file = work.join(name);
            fs::write(&file, bytes)
                .map_err(|error| format!("cannot write {}: {error}", file.display()))
        };
        write("disk.img", &boot.disk)?;
        write("boot.rom", &boot.rom)?;
        write(
            "bochsrc",
            configuration(&folder, request.icount, ram_bytes).as_bytes(),
        )?;
        write("start", b"continue\n")?;
        let mut command = Command::new("bochs");
        command.arg("-q").arg("-f").arg(work.join("bochsrc"));
        command.arg("-rc").arg(work.join("start"));
        // The screen is a pseudoterminal that nobody looks at.
        command.env("TERM", "dumb");
        Ok(Self {
            command,
            work: work.to_owned(),
        })
    }

    pub(crate) fn command(&self) -> &Command {
        &self.command
    }

    /// Starts the machine.
    ///
    /// # Errors
    ///
    /// That Bochs is missing, or what the host refuses.
    pub(crate) fn start(mut self) -> Result<Bochs, Failure> {
        let cannot = |error: io::Error| Failure::Host(format!("cannot start bochs: {error}"));
        let _ = fs::remove_file(lock(&self.work));
        let (sender, heard) = channel();
        let mut held_open = Vec::new();
        for port in SERIAL_PORTS {
            let pipe = self.work.join(port);
            let _ = fs::remove_file(&pipe);
            mkfifo(&pipe, Mode::S_IRUSR | Mode::S_IWUSR).map_err(|error| cannot(error.into()))?;
            // Bochs opens it with its first character; until then somebody must have it open,
            // or its reader would find its end.
            let held = OpenOptions::new().read(true).write(true).open(&pipe);
            held_open.push(held.map_err(cannot)?);
            listen(File::open(&pipe).map_err(cannot)?, sender.clone());
        }
        let (output, input) = io::pipe().map_err(cannot)?;
        self.command
            .stdin(Stdio::piped())
            .stdout(input.try_clone().map_err(cannot)?)
            .stderr(input);
        let child = self.command.spawn().map_err(|error| {
            Failure::Host(format!(
                "cannot start bochs: {error}; `make setup ARCH=x86_64 PLATFORM=microkit` installs \
                 it (Debian: apt-get install --no-install-recommends bochs bochs-term bochsbios \
                 vgabios)"
            ))
        })?;
        // The command holds the other end of `output`.
        drop(self.command);
        let (sender, said) = channel();
        std::thread::spawn(move || {
            send_each_line(output, &sender);
            // Bochs has ended, and with it its serial ports.
            drop(held_open);
        });
        Ok(Bochs {
            child,
            heard,
            said,
            work: self.work,
        })
    }
}

/// `disk.img.lock`, which Bochs leaves behind when it is killed.
fn lock(work: &Path) -> PathBuf {
    work.join("disk.img.lock")
}

fn configuration(folder: &str, icount: Option<u32>, ram_bytes: u64) -> String {
    let megabytes = ram_bytes >> 20;
    let speed = 1_000_000_000_u64 >> icount.unwrap_or(INSTRUCTION_NS_LOG2);
    let rom_at = multiboot::ROM_AT;
    let [com1, com2] = SERIAL_PORTS;
    format!(
        r#"# Written by the runner.
cpu: model=corei7_skylake_x, count=1, ips={speed}, reset_on_triple_fault=0
memory: guest={megabytes}, host={megabytes}
romimage: file=$BXSHARE/BIOS-bochs-latest
vgaromimage: file=$BXSHARE/VGABIOS-lgpl-latest
optromimage1: file="{folder}/boot.rom", address={rom_at:#x}
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata0-master: type=disk, mode=flat, path="{folder}/disk.img", cylinders=0
ata1: enabled=0
clock: sync=none, time0=946684800
com1: enabled=1, mode=file, dev="{folder}/{com1}"
com2: enabled=1, mode=file, dev="{folder}/{com2}"
parport1: enabled=0
sound: waveoutdrv=dummy, waveindrv=dummy, midioutdrv=dummy
speaker: enabled=0
vga: extension=none, update_freq=1, realtime=0
display_library: term
log: "{folder}/bochs.log"
panic: action=fatal
error: action=ignore
info: action=ignore
"#
    )
}

/// A running Bochs; it is killed when nobody watches it any more.
pub(crate) struct Bochs {
    child: Child,
    heard: Receiver<Heard>,
    /// What it prints itself, line by line.
    said: Receiver<String>,
    work: PathBuf,
}

impl Machine for Bochs {
    fn heard(&self) -> &Receiver<Heard> {
        &self.heard
    }

    fn keyboard(&mut self) -> Option<crate::Keyboard> {
        None
    }

    fn ending(&mut self) -> String {
        let status = match self.child.wait() {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        };
        let said: Vec<_> = self.said().filter(|line| !line.is_empty()).collect();
        let cause = said.iter().rev().find(|line| line.contains(">>PANIC<<"));
        match (
            cause.and_then(|line| line.split(">>PANIC<<").nth(1)),
            said.last(),
        ) {
            (Some(cause), _) => format!("Bochs ended without a verdict: {}", cause.trim()),
            (None, Some(words)) => format!("Bochs ended without a verdict ({status}): {words}"),
            (None, None) => format!("Bochs ended without a verdict ({status})"),
        }
    }

    fn look(&mut self, report_page: u64) -> Result<Look, String> {
        let piece = (report_page, ReportPage::BYTES as u64);
        self.command(&format!("{}continue\n", examine(&piece)))?;
        let mut page = Vec::new();
        self.memory(piece, &mut page)?;
        Ok(Look {
            report: Report::parse(&page),
            // Whoever switches this machine off ends Bochs.
            is_off: false,
        })
    }

    fn dump(&mut self, pieces: &[(u64, u64)], file: &Path) -> Result<(), String> {
        // `writemem` takes linear addresses, for which the page tables of the moment are asked.
        let commands = pieces.iter().map(examine);
        let commands = commands.chain(["quit\n".into()]).collect::<String>();
        self.command(&commands)?;
        let memory = File::create(file).map_err(|error| error.to_string())?;
        let mut memory = BufWriter::new(memory);
        for piece in pieces {
            self.memory(*piece, &mut memory)?;
        }
        memory.flush().map_err(|error| error.to_string())
    }

    fn debugger(&mut self) -> Result<Box<dyn Debugger + '_>, String> {
        match Halted::interrupt(self) {
            Ok(halted) => Ok(Box::new(halted)),
            Err(error) => Err(format!("Bochs cannot be debugged: {error}")),
        }
    }
}

impl Bochs {
    /// What it has said since it was listened to, and says within its time.
    fn said(&self) -> impl Iterator<Item = String> {
        std::iter::from_fn(|| self.said.recv_timeout(PATIENCE).ok())
    }

    /// The same, for as long as it has been asked for something.
    pub(super) fn answered(&self) -> impl Iterator<Item = String> {
        std::iter::from_fn(|| {
            let deadline = Instant::now() + PATIENCE;
            loop {
                match self.said.recv_timeout(ANSWER) {
                    Ok(line) => return Some(line),
                    Err(RecvTimeoutError::Timeout) if Instant::now() < deadline => {
                        self.interrupt().ok()?;
                    }
                    Err(_) => return None,
                }
            }
        })
    }

    fn interrupt(&self) -> Result<(), String> {
        let pid = i32::try_from(self.child.id()).map_err(|error| error.to_string())?;
        kill(Pid::from_raw(pid), Signal::SIGINT).map_err(|error| error.to_string())
    }

    /// Interrupts the machine and gives the debugger commands.
    pub(super) fn command(&mut self, commands: &str) -> Result<(), String> {
        self.interrupt()?;
        self.tell(commands)
    }

    /// Gives the debugger of a halted machine commands.
    pub(super) fn tell(&mut self, commands: &str) -> Result<(), String> {
        let input = self.child.stdin.as_mut().ok_or("Bochs takes no commands")?;
        let written = input.write_all(commands.as_bytes());
        written
            .and_then(|()| input.flush())
            .map_err(|error| error.to_string())
    }

    /// Reads memory of a halted machine, in words.
    pub(super) fn show(&mut self, piece: (u64, u64), out: &mut impl Write) -> Result<(), String> {
        self.tell(&examine(&piece))?;
        self.memory(piece, out)
    }

    /// Reads the debugger's answer to [`examine`].
    fn memory(&self, (first, len_bytes): (u64, u64), out: &mut impl Write) -> Result<(), String> {
        let mut lines = self.answered().filter_map(|line| examined(&line));
        let mut at = first;
        while at < first + len_bytes {
            let (address, words) = lines.next().ok_or("Bochs shows too little memory")?;
            if address != at {
                return Err(format!("Bochs shows {address:#x} instead of {at:#x}"));
            }
            at += 4 * words.len() as u64;
            for word in words {
                let written = out.write_all(&word.to_le_bytes());
                written.map_err(|error| error.to_string())?;
            }
        }
        Ok(())
    }
}

/// The debugger's command that shows a piece of physical memory.
fn examine((first, len_bytes): &(u64, u64)) -> String {
    let words = len_bytes.div_ceil(4);
    format!("xp /{words}wxm {first:#x}\n")
}

impl Drop for Bochs {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_file(lock(&self.work));
        for port in SERIAL_PORTS {
            let _ = fs::remove_file(self.work.join(port));
        }
    }
}

/// A line of the command `xp`: an address and the words from there on.
fn examined(line: &str) -> Option<(u64, Vec<u32>)> {
    let (address, words) = line.strip_prefix("0x")?.split_once(':')?;
    let address = u64::from_str_radix(address, 16).ok()?;
    let words = words.split_whitespace();
    let words = words.map(|word| u32::from_str_radix(word, 16));
    Some((address, words.collect::<Result<_, _>>().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_from_the_debugger_s_lines_and_from_nothing_else() {
        let line = "0x0000000000100020:0011CA00 3600FF80  00000000 00000001 ";
        let words = vec![0x0011_ca00, 0x3600_ff80, 0, 1];
        assert_eq!(examined(line), Some((0x10_0020, words)));
        for other in [
            "Next at t=150367381",
            "(0) [0x000000801425] 0008:ffffffff80801425 (unk. ctxt): jmp .-3",
            "<bochs:2> xp /16wxm 0x100000",
            "[bochs]:",
        ] {
            assert_eq!(examined(other), None, "{other}");
        }
    }

    #[test]
    fn the_machine_is_as_fast_as_its_clock_is_to_count() {
        let speed = |icount| {
            let text = configuration("run", icount, 256 << 20);
            let (_, rest) = text.split_once("ips=").unwrap();
            rest[..rest.find(',').unwrap()].parse::<u32>().unwrap()
        };
        assert_eq!(speed(Some(0)), 1_000_000_000);
        assert_eq!(speed(Some(3)), 125_000_000);
        assert_eq!(speed(None), 62_500_000);
    }
}
