//! The guests that judge clocks, on bare machines of QEMU: what they look for in our devices, they find in
//! QEMU's of these names, too. The scenarios of these names run the same images in VMs.
//!
//! `tools/bare-boot` enters them in a VMM's place. The machine's time passes by its instructions alone, so
//! it does not matter how busy the host is.

#[allow(dead_code, reason = "it needs where the images are, and no more")]
mod platforms;

use platforms::{guests, unikernel};
use runner::Architecture;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

/// Where the guest expects its command line (`tools/bare-boot/src/main.rs`).
const COMMAND_LINE: &str = "0x401ff000";
/// What a guest says at its end.
const VERDICT: &str = "guest: done";
const DEADLINE: Duration = Duration::from_secs(600);

/// A machine, and what a guest is told of it. It has more RAM than ends with the guest's, as a PC's
/// firmware takes the end for itself.
struct BareMachine {
    architecture: Architecture,
    qemu: &'static str,
    is: &'static [&'static str],
    command_line: &'static str,
}

/// The counter has the frequency of this CPU's on QEMU. HVC is PSCI's: it switches the machine off.
const VIRT: BareMachine = BareMachine {
    architecture: Architecture::Aarch64,
    qemu: "qemu-system-aarch64",
    is: &["-machine", "virt", "-cpu", "cortex-a53", "-m", "64M"],
    command_line: "console=0x9000000 hz=62500000",
};

/// With `-icount` the time stamp counter counts nanoseconds.
const PC: BareMachine = BareMachine {
    architecture: Architecture::X86_64,
    qemu: "qemu-system-x86_64",
    is: &[
        "-machine",
        "pc,accel=tcg",
        "-m",
        "1088M",
        "-device",
        "isa-debug-exit,iobase=0xf4,iosize=1",
    ],
    command_line: "console=io:0x3f8 hz=1000000000 exit=io:0xf4",
};

/// It is killed when nobody waits for it any more.
struct Qemu(Child);

impl Drop for Qemu {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl BareMachine {
    fn command(&self, images: &Path, guest: &str, command_line: &Path) -> Command {
        let mut command = Command::new(self.qemu);
        command
            .args("-display none -nodefaults -serial stdio -no-reboot".split(' '))
            .args("-icount shift=7,sleep=off".split(' '))
            .args("-rtc base=2026-01-01T00:00:00,clock=vm".split(' '))
            .args(self.is)
            .arg("-kernel")
            .arg(images.join("bare-boot"));
        let image = images.join(guest);
        let place = format!(",addr={COMMAND_LINE},force-raw=on");
        for (file, options) in [(image.as_path(), ""), (command_line, place.as_str())] {
            // A comma ends a value, and two do not.
            let file = file.display().to_string().replace(',', ",,");
            command
                .arg("-device")
                .arg(format!("loader,file={file}{options}"));
        }
        command
    }

    /// Boots the guest and waits for its verdict. The guest is told `told` besides.
    fn assert_that_the_guest_is_content(&self, guest: &str, told: &str) {
        let name = format!("{guest} beside QEMU");
        let Some(platform) = unikernel(&name, self.architecture) else {
            return;
        };
        let folder = tempfile::tempdir().unwrap();
        let command_line = folder.path().join("command-line");
        std::fs::write(&command_line, format!("{} {told}", self.command_line)).unwrap();
        let mut command = self.command(&guests(&platform), guest, &command_line);
        let spawned = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let mut qemu = Qemu(spawned.unwrap_or_else(|error| panic!("{command:?}: {error}")));
        let output = BufReader::new(qemu.0.stdout.take().unwrap());
        let (sender, lines) = channel();
        // It ends with the machine, or when nobody listens any more.
        std::thread::spawn(move || {
            output
                .lines()
                .map_while(Result::ok)
                .try_for_each(|line| sender.send(line))
        });
        let deadline = Instant::now() + DEADLINE;
        let mut said = Vec::new();
        while let Ok(line) = lines.recv_timeout(deadline.saturating_duration_since(Instant::now()))
        {
            let is_verdict = line.trim_end() == VERDICT;
            said.push(line);
            if is_verdict {
                return;
            }
        }
        panic!("no verdict of {command:?}:\n{}", said.join("\n"));
    }
}

#[test]
fn a_pl031_of_qemu_is_what_the_guest_wants_of_ours() {
    VIRT.assert_that_the_guest_is_content("rtc-pl031", "rtc=0x9010000 time=1767225600");
}

#[test]
fn an_mc146818_of_qemu_is_what_the_guest_wants_of_ours() {
    let told = "rtc=io:0x70 date=0x20260101 weekday=5";
    PC.assert_that_the_guest_is_content("rtc-mc146818", told);
}

#[test]
fn a_gic_of_qemu_is_what_the_guest_wants_of_ours() {
    VIRT.assert_that_the_guest_is_content("gic", "rtc=0x9010000 aliased=no");
}

#[test]
fn the_timer_of_a_bare_machine_does_what_the_guests_want_of_ours() {
    VIRT.assert_that_the_guest_is_content("sleeps", "mean_us=1100");
}
