//! The same ring as a dump, as an ELF core and over a serial line, and a guest's ELF file.

mod machine;

use machine::{CLOCK_HZ, PAGE, Ring, TRACE, read, said, tagged, vdev_trace};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use object::{Object, ObjectSymbol};
use std::io::Write;
use std::process::{Command, Output, Stdio};
use trace_stream::{Content, Encoder};

fn text_of(output: &Output) -> String {
    assert!(output.status.success(), "{}", said(&output.stderr));
    said(&output.stdout)
}

/// An ELF core (*System V ABI*, "Object Files"; type 4, machine 183) with a note and two
/// stretches of memory, the second from address 0x4000_0800 on, so that pages of the machine
/// do not start at pages of the file.
fn core(memory: &[u8]) -> Vec<u8> {
    const HEADERS: u64 = 64 + 3 * 56;
    let other = [0xaa; 100];
    let mut core = Vec::new();
    core.extend(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    for half in [4_u16, 183] {
        core.extend(half.to_le_bytes());
    }
    core.extend(1_u32.to_le_bytes());
    for word in [0_u64, 64, 0] {
        core.extend(word.to_le_bytes());
    }
    core.extend(0_u32.to_le_bytes());
    for half in [64_u16, 56, 3, 0, 0, 0] {
        core.extend(half.to_le_bytes());
    }
    let mut segment = |kind: u32, offset: u64, address: u64, len: u64| {
        core.extend(kind.to_le_bytes());
        core.extend(0_u32.to_le_bytes());
        for word in [offset, 0, address, len, len, 0] {
            core.extend(word.to_le_bytes());
        }
    };
    segment(4, HEADERS, 0, 0);
    segment(1, HEADERS, 0x1000, other.len() as u64);
    segment(
        1,
        HEADERS + other.len() as u64,
        0x4000_0800,
        0x800 + memory.len() as u64,
    );
    core.extend(other);
    core.extend([0; 0x800]);
    core.extend(memory);
    core
}

fn ring() -> Ring {
    Ring::traced(4, (1..=6).map(|number| read(number * 1000, number, number)))
}

#[test]
fn a_core_gives_what_a_dump_gives_and_places_have_addresses() {
    let dump = text_of(&vdev_trace(&ring().dump(), &["decode", "-"]));
    let core = core(&ring().dump());
    assert_eq!(text_of(&vdev_trace(&core, &["decode", "-"])), dump);
    let check = vdev_trace(&core, &["check", "-"]);
    // The dump's first page is empty.
    assert_eq!(
        said(&check.stdout),
        "vm0 Trace: ring at offset 0x194c (address 0x40002000): whole, 4 records\n"
    );
    let at = vdev_trace(&core, &["decode", "-", "--at", "0x40002000"]);
    assert_eq!(text_of(&at), dump);
}

#[test]
fn a_core_that_is_cut_off_gives_what_is_there_and_names_the_segment() {
    let core = core(&ring().dump());
    let cut = &core[..core.len() - 2 * PAGE + 64];
    let output = vdev_trace(cut, &["decode", "-"]);
    assert!(said(&output.stderr).contains("warning: segment at offset 0x14c: only "));
    assert!(text_of(&output).contains("slots beyond the input's end"));
    let output = vdev_trace(&core[..100], &["decode", "-"]);
    assert_eq!(output.status.code(), Some(1));
    insta::assert_snapshot!(said(&output.stderr), @"error: cannot read -: offset 0x40: Invalid ELF program header size or alignment; the core's list of segments is damaged or cut off");
    let output = vdev_trace(&core[..20], &["decode", "-"]);
    insta::assert_snapshot!(said(&output.stderr), @"error: cannot read -: offset 0x0: Invalid ELF header size or alignment; a core of a 64-bit machine starts with an ELF header");
}

/// What the console sends of a ring: its identity, then its records.
struct Line {
    encoder: Encoder,
    bytes: Vec<u8>,
}

impl Line {
    fn new() -> Self {
        Self {
            encoder: Encoder::new(),
            bytes: Vec::new(),
        }
    }

    fn identity(&mut self, vm: u8, start_ticks: u64) {
        let content = Content::Identity {
            clock_hz: CLOCK_HZ,
            start_ticks,
            lost: 0,
        };
        self.bytes
            .extend(self.encoder.encode(TRACE as u8, vm, &content).as_bytes());
    }

    /// Returns where the frame begins.
    fn record(&mut self, vm: u8, sequence: u64, payload: [u64; 7]) -> usize {
        let begin = self.bytes.len();
        let content = Content::Record { sequence, payload };
        self.bytes
            .extend(self.encoder.encode(TRACE as u8, vm, &content).as_bytes());
        begin
    }
}

#[test]
fn a_serial_capture_with_text_in_it_gives_what_a_dump_gives() {
    let whole = Ring::traced(8, (1..=6).map(|number| read(number * 1000, number, number)));
    let dump = text_of(&vdev_trace(&whole.dump(), &["decode", "-"]));
    let mut line = Line::new();
    line.bytes.extend(b"Booting all finished\r\n");
    line.identity(0, 0);
    for number in 1..=6 {
        line.record(0, number, read(number * 1000, number, number));
        line.bytes.extend(b"[   0.001000] demo| guest: hello\r\n");
    }
    let output = vdev_trace(&line.bytes, &["decode", "-"]);
    assert_eq!(text_of(&output), dump);
    insta::assert_snapshot!(said(&output.stderr), @"warning: 226 bytes are no frame: text, or what is left of damaged frames");
}

#[test]
fn lost_bytes_cost_the_frames_they_stood_in_and_are_told() {
    let mut line = Line::new();
    line.identity(0, 0);
    let begins: Vec<_> = (1..=8)
        .map(|number| line.record(0, number, read(number * 1000, number, number)))
        .collect();
    // A byte of the third, and from inside the fifth to inside the seventh.
    line.bytes.drain(begins[4] + 9..begins[6] + 9);
    line.bytes.remove(begins[2] + 12);
    let output = vdev_trace(&line.bytes, &["decode", "-"]);
    insta::assert_snapshot!(text_of(&output), @"
         time (s) since before us  event  vm        device    cpu access address    value                    pc             seq epoch
    [   0.001000] +         0.000     12  vm0       dev0      0   R4     0xfa000000 1                        0x0040080000     1     0
    [   0.002000] +      1000.000     12  vm0       dev0      0   R4     0xfa000000 2                        0x0040080000     2     0
    -- vm0: 1 records lost, part of the input was unreadable --
    [   0.004000] +      2000.000     12  vm0       dev0      0   R4     0xfa000000 4                        0x0040080000     4     0
    -- vm0: 3 records lost, part of the input was unreadable --
    [   0.008000] +      4000.000     12  vm0       dev0      0   R4     0xfa000000 8                        0x0040080000     8     0
    vm0: 4 records, 0 overwritten or lost by the ring's own count, 4 missing between them, 0 torn
    ");
    insta::assert_snapshot!(said(&output.stderr), @"
    warning: 4 frames did not arrive whole, by the numbers of those that did
    warning: 63 bytes are no frame: text, or what is left of damaged frames
    ");
    let check = vdev_trace(&line.bytes, &["check", "-"]);
    assert_eq!(check.status.code(), Some(1));
}

#[test]
fn a_capture_that_begins_in_the_middle_waits_for_the_next_identity() {
    let mut line = Line::new();
    line.identity(0, 500);
    for number in 1..=5 {
        line.record(0, number, read(500 + number * 1000, number, number));
    }
    line.identity(0, 500);
    line.record(0, 6, read(6500, 6, 6));
    let from = line.bytes.len() / 2;
    let text = text_of(&vdev_trace(&line.bytes[from..], &["decode", "-"]));
    insta::assert_snapshot!(text, @"
         time (s) since before us  event  vm        device    cpu access address    value                    pc             seq epoch
    -- vm0: 3 records lost --
    [   0.004000] +         0.000     12  vm0       dev0      0   R4     0xfa000000 4                        0x0040080000     4     0
    [   0.005000] +      1000.000     12  vm0       dev0      0   R4     0xfa000000 5                        0x0040080000     5     0
    [   0.006000] +      1000.000     12  vm0       dev0      0   R4     0xfa000000 6                        0x0040080000     6     0
    vm0: 3 records, 0 overwritten or lost by the ring's own count, 0 missing between them, 0 torn
    ");
}

#[test]
fn records_whose_identity_never_comes_are_shown_in_ticks() {
    let mut line = Line::new();
    line.record(0, 1, read(3, 1, 7));
    let output = vdev_trace(&line.bytes, &["decode", "-"]);
    assert!(text_of(&output).contains("[   3.000000]"));
    let stats = text_of(&vdev_trace(&line.bytes, &["stats", "-"]));
    assert!(stats.contains("note      its identity did not arrive; times are in ticks"));
}

#[test]
fn a_machine_that_starts_anew_is_a_ring_of_its_own() {
    let mut line = Line::new();
    line.identity(0, 0);
    line.record(0, 1, read(90_000, 1, 7));
    let mut again = Line::new();
    again.identity(0, 0);
    again.record(0, 1, read(1000, 1, 8));
    let both = [line.bytes, again.bytes].concat();
    let output = vdev_trace(&both, &["decode", "-"]);
    insta::assert_snapshot!(text_of(&output), @"
         time (s) since before us  event  vm        device    cpu access address    value                    pc             seq epoch
    [   0.090000] +         0.000     12  vm0       dev0      0   R4     0xfa000000 7                        0x0040080000     1     0
    [   0.001000] +         0.000     12  vm0       dev0      0   R4     0xfa000000 8                        0x0040080000     1     0
    vm0: 1 records, 0 overwritten or lost by the ring's own count, 0 missing between them, 0 torn
    vm0: 1 records, 0 overwritten or lost by the ring's own count, 0 missing between them, 0 torn
    ");
    assert_eq!(
        said(&output.stderr),
        "warning: the sender started anew 1 times\n"
    );
}

#[test]
fn several_vms_share_a_line() {
    let mut line = Line::new();
    for vm in [0, 1] {
        line.identity(vm, 0);
    }
    for number in 1..=2 {
        for vm in [0, 1] {
            let record = tagged(
                read(number * 1000 + u64::from(vm), number, 5),
                12,
                0,
                vm.into(),
            );
            line.record(vm, number, record);
        }
    }
    let output = vdev_trace(&line.bytes, &["decode", "-"]);
    let text = text_of(&output);
    assert_eq!(text.matches(" vm0       dev0").count(), 2);
    assert_eq!(text.matches(" vm1       dev0").count(), 2);
    assert_eq!(said(&output.stderr), "");
}

#[test]
fn a_live_capture_that_is_ended_by_hand_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("t.txt");
    let mut child = Command::new(env!("CARGO_BIN_EXE_vdev-trace"))
        .args(["decode", "-", "--from", "serial", "--text"])
        .arg(&text)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = Line::new();
    line.identity(0, 0);
    for number in 1..=1000 {
        line.record(0, number, read(number * 1000, number, number));
    }
    let mut pipe = child.stdin.take().unwrap();
    pipe.write_all(&line.bytes).unwrap();
    // The pipe stays open. What was decoded first is on its way to the file.
    let has_begun = || {
        let mut files = std::fs::read_dir(folder.path()).unwrap();
        files.any(|file| file.unwrap().metadata().unwrap().len() > 0)
    };
    while !has_begun() {
        std::thread::yield_now();
    }
    assert!(!text.exists());
    let process = Pid::from_raw(child.id().try_into().unwrap());
    kill(process, Signal::SIGINT).unwrap();
    assert!(child.wait().unwrap().success());
    let text = std::fs::read_to_string(text).unwrap();
    let records = text.matches(" 0xfa000000 ").count();
    assert!(records >= 50, "{records}");
    assert!(
        text.lines()
            .last()
            .unwrap()
            .starts_with(&format!("vm0: {records} records"))
    );
    drop(pipe);
}

#[test]
fn text_alone_is_no_capture() {
    let output = vdev_trace(b"hello\r\n", &["decode", "-", "--from", "serial"]);
    assert_eq!(output.status.code(), Some(1));
    insta::assert_snapshot!(said(&output.stderr), @"
    warning: 7 bytes are no frame: text, or what is left of damaged frames
    error: - holds no frame that is whole; --from says what else it is
    ");
}

/// A function whose address a record can name.
#[inline(never)]
fn place_of_the_access() -> u64 {
    std::hint::black_box(7)
}

#[test]
fn an_address_becomes_the_function_of_the_guests_elf_file() {
    assert_eq!(place_of_the_access(), 7);
    let guest = std::env::current_exe().unwrap();
    let bytes = std::fs::read(&guest).unwrap();
    let elf = object::File::parse(&*bytes).unwrap();
    let symbol = elf
        .symbols()
        .find(|symbol| {
            symbol
                .name()
                .is_ok_and(|name| name.contains("place_of_the_access"))
        })
        .unwrap();
    let mut record = read(1000, 1, 7);
    record[2] = symbol.address();
    let dump = Ring::traced(4, [record, read(2000, 2, 7)]).dump();
    let text = text_of(&vdev_trace(
        &dump,
        &["decode", "-", "--guest", guest.to_str().unwrap()],
    ));
    let lines: Vec<_> = text.lines().collect();
    assert!(
        lines[1].contains("  inputs::place_of_the_access (inputs.rs:"),
        "{}",
        lines[1]
    );
    assert!(
        lines[2].ends_with("    2     0"),
        "no function there: {}",
        lines[2]
    );
}

#[test]
fn a_guest_that_is_neither_an_elf_file_nor_a_list_of_symbols_is_named() {
    let output = vdev_trace(&ring().dump(), &["decode", "-", "--guest", "Cargo.toml"]);
    assert_eq!(output.status.code(), Some(1));
    insta::assert_snapshot!(said(&output.stderr), @r#"error: cannot read the functions of Cargo.toml: it is neither an ELF file nor a list of symbols, as its line 1 is no `ADDRESS TYPE NAME`: "[package]""#);
}
