//! The `vdev-trace` command: arguments, names, outputs, messages and exit status.

mod machine;

use machine::{
    HEAD, PAGE, Ring, TRACE, config, elf, read, said, set_header, tagged, vdev_trace, write,
};
use std::process::{Command, Output, Stdio};

/// A trace ring of VM `vm` with one read of device `instance`, a second after the start.
fn dump(vm: u64) -> Vec<u8> {
    let mut ring = Ring::new(TRACE, vm, 2);
    ring.push(tagged(read(1_000_000, 1, 7), 12, 0, vm));
    ring.dump()
}

fn decode(dump: &[u8], arguments: &[&str]) -> Output {
    vdev_trace(dump, &[&["decode", "-"], arguments].concat())
}

fn tool(arguments: &[&str]) -> Output {
    vdev_trace(&[], arguments)
}

#[test]
fn names_come_from_the_configuration_of_the_rings_vm() {
    let folder = tempfile::tempdir().unwrap();
    let one = config(folder.path(), "one", "first");
    let two = config(folder.path(), "two", "second");
    let output = decode(&dump(1), &["--config", &one, "--config", &two]);
    assert!(output.status.success());
    let text = said(&output.stdout);
    assert!(
        text.contains(" two       second    0   R4     0xfa000000 7 "),
        "{text}"
    );
    let text = said(&decode(&dump(1), &["--config", &one]).stdout);
    assert!(
        text.contains(" vm1       dev0      0   R4     0xfa000000 7 "),
        "{text}"
    );
}

#[test]
fn other_rings_are_printed_if_asked_for() {
    let mut console = Ring::new(4, 0, 2);
    // 5 characters at 1000 ticks.
    let text = u64::from_le_bytes(*b"hello\0\0\0");
    console.push([text, 0, 0, 0, 0, 7 | 0xffff << 48, 1000 << 8 | 5]);
    let printed = said(&decode(&console.dump(), &["--ring", "console"]).stdout);
    assert!(printed.contains(r#"[   0.001000] +         0.000      -  vm0       printed "hello""#));
    let mut access = Ring::new(1, 0, 2);
    access.push(read(1000, 1, 7));
    let printed = said(&decode(&access.dump(), &["--ring", "access"]).stdout);
    assert!(printed.contains("dev0      0   R4"), "{printed}");
}

#[test]
fn a_dump_without_the_ring_is_an_error_that_says_what_to_try() {
    let output = decode(&Ring::new(2, 0, 2).dump(), &[]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(said(&output.stdout), "");
    assert_eq!(
        said(&output.stderr),
        "error: - holds no Trace ring that can be read; if it is a serial capture, say --from serial\n"
    );
}

#[test]
fn a_header_that_does_not_add_up_is_reported_with_its_place() {
    let mut dump = dump(0);
    set_header(&mut dump, 1, 9);
    let output = decode(&dump, &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output.stderr).starts_with("warning: ring at offset 0x1000: layout version 9"));
}

#[test]
fn of_two_rings_of_one_vm_the_one_that_is_asked_for_is_read() {
    let mut forged = Ring::new(TRACE, 0, 2);
    forged.push(read(1_000_000, 1, 666));
    let both = [dump(0), forged.dump()].concat();
    let output = decode(&both, &[]);
    assert_eq!(
        said(&output.stderr),
        "warning: two Trace rings of VM 0: at offset 0x1000 and at offset 0x5000; a guest can \
         write what looks like one into its RAM. --at chooses\n"
    );
    let output = decode(&both, &["--at", "0x1000"]);
    assert_eq!(said(&output.stderr), "");
    assert!(!said(&output.stdout).contains("666"));
    let nowhere = decode(&both, &["--at", "0x2000"]);
    assert_eq!(
        said(&nowhere.stderr),
        "error: - holds no Trace ring that can be read at 0x2000\n"
    );
}

#[test]
fn whoever_stops_reading_does_not_make_it_fail() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("memory.dump");
    std::fs::write(&file, dump(0)).unwrap();
    for output in ["--text", "--json", "--html"] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_vdev-trace"))
            .arg("decode")
            .arg(&file)
            .args([output, "-"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", said(&output.stderr));
        assert_eq!(said(&output.stderr), "");
    }
}

#[test]
fn colours_are_for_terminals_and_for_whoever_asks() {
    let mut ring = Ring::new(TRACE, 0, 4);
    ring.push(write(1, 1, 0, 5));
    let plain = decode(&ring.dump(), &[]);
    assert!(!said(&plain.stdout).contains('\x1b'));
    let coloured = decode(&ring.dump(), &["--color", "always"]);
    assert!(
        said(&coloured.stdout).contains("\x1b[36m"),
        "a write is cyan"
    );
}

#[test]
fn all_outputs_are_written_in_one_pass() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (text, json, html, ctf) = (path("t.txt"), path("t.json"), path("t.html"), path("ctf"));
    let arguments = [
        "--text", &text, "--json", &json, "--html", &html, "--ctf", &ctf,
    ];
    let output = decode(&dump(0), &arguments);
    assert!(output.status.success(), "{}", said(&output.stderr));
    assert_eq!(said(&output.stdout), "", "only what is asked for");
    for file in [&text, &json, &html] {
        assert!(std::fs::metadata(file).unwrap().len() > 0, "{file}");
    }
    assert!(folder.path().join("ctf/metadata").exists());
    // A second time over what is there.
    assert!(decode(&dump(0), &arguments).status.success());
}

#[test]
fn a_folder_with_other_things_in_it_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("thesis.tex"), "important").unwrap();
    let output = decode(&dump(0), &["--ctf", folder.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said(&output.stderr).contains("it holds thesis.tex, which is no part of a trace"),
        "{}",
        said(&output.stderr)
    );
    assert!(folder.path().join("thesis.tex").exists());
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let output = tool(&["decode", "/not/there"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        said(&output.stderr),
        "error: cannot read /not/there: No such file or directory (os error 2)\n"
    );
}

#[test]
fn wrong_arguments_have_a_status_of_their_own() {
    assert_eq!(tool(&["decode"]).status.code(), Some(2));
    assert_eq!(
        tool(&["decode", "-", "--ring", "key"]).status.code(),
        Some(2)
    );
    assert_eq!(tool(&["decode", "-", "--at", "0xg"]).status.code(), Some(2));
}

#[test]
fn help_tells_what_there_is() {
    insta::assert_snapshot!(said(&tool(&["--help"]).stdout), @"
    Compiles VM configurations, and turns the rings of a machine into traces to look at

    Usage: vdev-trace <COMMAND>

    Commands:
      decode   Decode the rings in a memory dump, a core or a serial capture
      stats    Say how often and how fast locations were accessed, from where, and what was lost
      check    Check a VM configuration, or whether a dump, a core or a capture is whole
      compile  Compile a VM configuration
      help     Print this message or the help of the given subcommand(s)

    Options:
      -h, --help     Print help
      -V, --version  Print version
    ");
    let help = said(&tool(&["decode", "--help"]).stdout);
    for option in [
        "--from", "--ring", "--at", "--config", "--guest", "--text", "--ctf", "--json", "--html",
        "--color",
    ] {
        assert!(help.contains(option), "{option}");
    }
}

#[test]
fn stats_tell_rates_places_and_losses() {
    let mut ring = Ring::new(TRACE, 0, 8);
    for number in 1..=9 {
        ring.push(read(number * 250_000, number, number));
    }
    ring.push(write(2_500_000, 10, 9, 50));
    ring.push(tagged(read(2_600_000, 1, 3), 13, 1, 0));
    let output = vdev_trace(&ring.dump(), &["stats", "-"]);
    assert!(output.status.success());
    insta::assert_snapshot!(said(&output.stdout), @"
    vm0, Trace ring (ring at offset 0x1000)
      accesses  8 in 1.600000 s, 5.0 a second, 4 in the busiest second
      device    dev0         6 reads, 1 writes, 0 refused
      device    dev1         1 reads, 0 writes, 0 refused
      pc        0x0040080000 7 reads, 0 writes
      pc        0x0040080004 0 reads, 1 writes
      lost      3 records in 1 places; 3 overwritten or lost by the ring's own count
    ");
}

#[test]
fn check_tells_a_whole_dump_from_a_damaged_one() {
    let check = |dump: &[u8]| vdev_trace(dump, &["check", "-"]);
    let whole = check(&dump(0));
    assert!(whole.status.success(), "{}", said(&whole.stderr));
    assert_eq!(
        said(&whole.stdout),
        "vm0 Trace: ring at offset 0x1000: whole, 1 records\n"
    );
    let mut wrong_head = dump(0);
    set_header(&mut wrong_head, HEAD, 77);
    let mut torn = dump(0);
    torn[2 * PAGE] ^= 0xff;
    let mut version = dump(0);
    set_header(&mut version, 1, 9);
    for damaged in [&wrong_head[..], &torn, &version, &dump(0)[..2 * PAGE + 64]] {
        let output = check(damaged);
        assert_eq!(output.status.code(), Some(1));
        assert!(
            said(&output.stdout).contains("damaged"),
            "{}",
            said(&output.stdout)
        );
    }
    let empty = check(&[0; 2 * PAGE]);
    assert_eq!(said(&empty.stderr), "error: - holds no ring\n");
    assert_eq!(empty.status.code(), Some(1));
}

#[test]
fn check_still_checks_configurations() {
    let folder = tempfile::tempdir().unwrap();
    let path = config(folder.path(), "vm.conf", "first");
    let images = folder.path().to_str().unwrap();
    let output = tool(&["check", &path, "--images", images]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said(&output.stderr).contains("vm.conf:4:6"),
        "{}",
        said(&output.stderr)
    );
    std::fs::write(
        folder.path().join("not-there"),
        elf::executable(elf::AARCH64),
    )
    .unwrap();
    assert!(tool(&["check", &path, "--images", images]).status.success());
}

#[test]
fn a_missing_image_is_an_error_at_the_line_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = config(folder.path(), "vm.conf", "first");
    let blob = folder.path().join("vm.blob");
    let images = folder.path().to_str().unwrap();
    let output = tool(&[
        "compile",
        &path,
        "--images",
        images,
        "-o",
        blob.to_str().unwrap(),
    ]);
    assert!(!output.status.success() && !blob.exists());
    let text = said(&output.stderr);
    assert!(
        text.contains("vm.conf:4:6") && text.contains("not-there"),
        "{text}"
    );
    assert!(!text.contains('\x1b'), "no colour but on a terminal");
}

/// `CLICOLOR_FORCE` stands for a terminal.
#[test]
fn colour_is_as_the_environment_wants_it_everywhere() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let wrong = file("wrong.conf", b"nonsense");
    let dump = dump(0);
    let damaged = file("damaged", &dump[..dump.len() - PAGE - 64]);
    for arguments in [
        &["check", &wrong][..],
        &["compile", &wrong, "-o", "/dev/null"],
        &["decode", &damaged, "--config", &wrong],
        &["decode", &damaged, "--text", "-"],
        &["decode", "--nonsense"],
        &["--help"],
    ] {
        let coloured = |no_color: Option<&str>| {
            let mut tool = Command::new(env!("CARGO_BIN_EXE_vdev-trace"));
            tool.args(arguments)
                .env("CLICOLOR_FORCE", "1")
                .env_remove("NO_COLOR");
            tool.envs(no_color.map(|value| ("NO_COLOR", value)));
            let output = tool.output().unwrap();
            let both = [output.stdout, output.stderr].concat();
            both.contains(&0x1b)
        };
        assert!(coloured(None), "{arguments:?}");
        assert!(!coloured(Some("1")), "{arguments:?}");
    }
}

#[test]
fn what_means_nothing_here_is_told_and_with_strict_refused() {
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().to_str().unwrap();
    std::fs::write(folder.path().join("image"), elf::executable(elf::AARCH64)).unwrap();
    let text = b"system x\nram 0x40000000,2M\nload image\nset debug off\n";
    let arguments = ["check", "-", "--images", images];
    let told = vdev_trace(text, &arguments);
    assert!(told.status.success(), "{}", said(&told.stderr));
    let warning = "warning: `debug` is a configuration variable of the QNX hypervisor";
    assert!(
        said(&told.stderr).starts_with(warning),
        "{}",
        said(&told.stderr)
    );
    let strict = vdev_trace(text, &[&arguments[..], &["--strict"]].concat());
    assert_eq!(strict.status.code(), Some(1));
    let error = warning.replace("warning", "error");
    assert!(
        said(&strict.stderr).starts_with(&error),
        "{}",
        said(&strict.stderr)
    );
}

#[test]
fn a_configuration_is_checked_wherever_it_comes_from() {
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().to_str().unwrap();
    std::fs::write(folder.path().join("image"), elf::executable(elf::AARCH64)).unwrap();
    let text = b"system x\nram 0x40000000,2M\nload image\n";
    let check = |text: &[u8]| vdev_trace(text, &["check", "-", "--images", images]);
    let good = check(text);
    assert!(good.status.success(), "{}", said(&good.stderr));
    let wrong = check(b"system x\nram 0x40000000,2M\nload no-image\n");
    assert_eq!(wrong.status.code(), Some(1));
    assert!(
        said(&wrong.stderr).contains("-:3:6"),
        "{}",
        said(&wrong.stderr)
    );
    // A pipe with a name cannot be opened a second time.
    let pipe = Command::new("sh")
        .args(["-c", "cat \"$2\" | \"$0\" check /dev/stdin --images \"$1\""])
        .args([env!("CARGO_BIN_EXE_vdev-trace"), images])
        .arg(config(folder.path(), "vm.conf", "x"))
        .output()
        .unwrap();
    assert!(
        said(&pipe.stderr).contains("stdin:4:6"),
        "{}",
        said(&pipe.stderr)
    );
}

#[test]
fn a_configuration_in_utf_16_is_named_as_such() {
    let folder = tempfile::tempdir().unwrap();
    let text = "system größer\nram 0x40000000,2M\nload image\n";
    let plain = "system x\nload image\n";
    let little =
        |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
    let big = |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_be_bytes).collect() };
    for bytes in [
        [b"\xff\xfe".to_vec(), little(text)].concat(),
        [b"\xfe\xff".to_vec(), big(text)].concat(),
        little(plain),
        big(plain),
    ] {
        let path = folder.path().join("vm.conf");
        std::fs::write(&path, &bytes).unwrap();
        let path = path.to_str().unwrap();
        for output in [
            vdev_trace(&bytes, &["check", "-"]),
            tool(&["check", path]),
            tool(&["compile", path, "-o", "/dev/null"]),
            decode(&dump(0), &["--config", path]),
        ] {
            assert_eq!(output.status.code(), Some(1));
            let told = said(&output.stderr);
            assert!(
                told.starts_with("error: the file is UTF-16, not UTF-8\n"),
                "{told}"
            );
            assert!(
                told.contains(":1:1\n") && told.contains("system "),
                "{told}"
            );
        }
    }
}
