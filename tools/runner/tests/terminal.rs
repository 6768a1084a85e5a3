//! `runner run` at a pseudo-terminal, with a shell script in QEMU's place: what is typed and shown, and that the
//! terminal is as it was, however the run ends. Needs no emulator and no image.

mod stand_ins;

use nix::pty::openpty;
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{LocalFlags, Termios, tcgetattr};
use nix::unistd::Pid;
use stand_ins::{elf, write_program, write_vm};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// Far more than anything here takes.
const DEADLINE: Duration = Duration::from_secs(60);

/// A machine with a line for the log, and two VMs' output in pieces, that then repeats what is typed.
const MACHINE: &str = r"printf '[   0.100000] info  demo: hello\n'
printf '\0021\\[]0;title\\GGuest \\[[31mlogin: \003\0022not shown\003'
exec /bin/cat";

struct Terminal {
    folder: tempfile::TempDir,
    runner: Child,
    keys: File,
    /// Kept open, so that its settings can be looked at when nobody else has it open.
    tty: OwnedFd,
    before: Termios,
    shown: Receiver<Vec<u8>>,
    seen: String,
}

impl Terminal {
    fn new(machine: &str, arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        write_vm(folder.path(), elf::AARCH64);
        write_program(folder.path(), "bin/qemu-system-aarch64", machine);
        let pty = openpty(None, None).unwrap();
        let before = tcgetattr(&pty.slave).unwrap();
        let tty = || pty.slave.try_clone().unwrap();
        let runner = Command::new(env!("CARGO_BIN_EXE_runner"))
            .arg("run")
            .args(arguments)
            .args([
                "vm.conf", "--images", ".", "--kernel", "kernel", "--work", "run",
            ])
            .env("PATH", folder.path().join("bin"))
            .current_dir(folder.path())
            .stdin(tty())
            .stdout(tty())
            .stderr(tty())
            .spawn()
            .unwrap();
        let (sender, shown) = channel();
        let mut master = File::from(pty.master.try_clone().unwrap());
        std::thread::spawn(move || {
            let mut bytes = [0; 1024];
            while let Ok(len @ 1..) = master.read(&mut bytes) {
                if sender.send(bytes[..len].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self {
            folder,
            runner,
            keys: pty.master.into(),
            tty: pty.slave,
            before,
            shown,
            seen: String::new(),
        }
    }

    fn wait_for(&mut self, text: &str) {
        while !self.seen.contains(text) {
            let Ok(bytes) = self.shown.recv_timeout(DEADLINE) else {
                panic!("no {text:?} in {:?}", self.seen);
            };
            self.seen.push_str(&String::from_utf8_lossy(&bytes));
        }
    }

    fn press(&mut self, keys: &[u8]) {
        self.keys.write_all(keys).unwrap();
    }

    fn is_raw(&self) -> bool {
        let flags = tcgetattr(&self.tty).unwrap().local_flags;
        !flags.intersects(LocalFlags::ECHO | LocalFlags::ICANON | LocalFlags::ISIG)
    }

    /// The runner ends. Whether well.
    fn end(&mut self) -> bool {
        let status = self.runner.wait().unwrap();
        let after = tcgetattr(&self.tty).unwrap();
        assert_eq!(after, self.before, "the terminal is not as it was");
        status.success()
    }

    fn file(&self, name: &str) -> String {
        let file: &Path = &self.folder.path().join(name);
        std::fs::read_to_string(file).unwrap()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.runner.kill();
    }
}

#[test]
fn keys_go_to_the_machine_and_a_guest_s_bytes_to_the_terminal_as_far_as_they_may() {
    let mut terminal = Terminal::new(MACHINE, &[]);
    terminal.wait_for("Ctrl-A x ends the run");
    terminal.wait_for("Guest \x1b[31mlogin: ");
    terminal.wait_for("info  demo: hello");
    assert!(terminal.is_raw());
    terminal.press(b"ls\x03\x01\x01\n");
    // The switch to pieces comes first; control characters of a line are shown as question marks.
    terminal.wait_for("?pls???\r\n");
    assert!(!terminal.seen.contains("title"), "{:?}", terminal.seen);
    assert!(!terminal.seen.contains("not shown"), "{:?}", terminal.seen);
    let help = "Ctrl-A h is this";
    let told = terminal.seen.matches(help).count();
    terminal.press(b"\x01h");
    while terminal.seen.matches(help).count() == told {
        let bytes = terminal.shown.recv_timeout(DEADLINE).unwrap();
        terminal.seen.push_str(&String::from_utf8_lossy(&bytes));
    }
    terminal.press(b"\x01x");
    assert!(terminal.end(), "{:?}", terminal.seen);
}

#[test]
fn the_log_may_go_to_a_file() {
    let mut terminal = Terminal::new(MACHINE, &["--log", "log.txt"]);
    terminal.wait_for("login: ");
    terminal.press(b"\x01x");
    assert!(terminal.end());
    assert!(
        !terminal.seen.contains("demo: hello"),
        "{:?}",
        terminal.seen
    );
    assert!(terminal.file("log.txt").contains("info  demo: hello\n"));
}

#[test]
fn the_terminal_is_restored_after_signals_and_when_the_machine_ends() {
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        let mut terminal = Terminal::new(MACHINE, &[]);
        terminal.wait_for("login: ");
        assert!(terminal.is_raw());
        kill(Pid::from_raw(terminal.runner.id() as i32), signal).unwrap();
        assert!(!terminal.end(), "{signal}");
        terminal.wait_for(&format!("ended by {signal}"));
    }
    let mut terminal = Terminal::new("printf '\\0021bye\\003'", &[]);
    terminal.wait_for("bye");
    assert!(!terminal.end(), "it ended without a verdict");
    terminal.wait_for("QEMU ended without a verdict");
}
