//! The `vdev-trace` command: arguments, names, outputs, messages and exit status.

mod machine;

use machine::{
    Ring, TRACE, config, decode, one_read, read, said, set_header, tagged, tool, vdev_trace, write,
};
use std::process::{Command, Stdio};

#[test]
fn names_come_from_the_configuration_of_the_rings_vm() {
    let folder = tempfile::tempdir().unwrap();
    let one = config(folder.path(), "one", "first");
    let two = config(folder.path(), "two", "second");
    let output = decode(&one_read(1), &["--config", &one, "--config", &two]);
    assert!(output.status.success());
    let text = said(&output.stdout);
    assert!(
        text.contains(" two       second    0   R4     0xfa000000 7 "),
        "{text}"
    );
    let text = said(&decode(&one_read(1), &["--config", &one]).stdout);
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
    let mut dump = one_read(0);
    set_header(&mut dump, 1, 9);
    let output = decode(&dump, &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output.stderr).starts_with("warning: ring at offset 0x1000: layout version 9"));
}

#[test]
fn of_two_rings_of_one_vm_the_one_that_is_asked_for_is_read() {
    let mut forged = Ring::new(TRACE, 0, 2);
    forged.push(read(1_000_000, 1, 666));
    let both = [one_read(0), forged.dump()].concat();
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
    std::fs::write(&file, one_read(0)).unwrap();
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
    let output = decode(&one_read(0), &arguments);
    assert!(output.status.success(), "{}", said(&output.stderr));
    assert_eq!(said(&output.stdout), "", "only what is asked for");
    for file in [&text, &json, &html] {
        assert!(std::fs::metadata(file).unwrap().len() > 0, "{file}");
    }
    assert!(folder.path().join("ctf/metadata").exists());
    // A second time over what is there.
    assert!(decode(&one_read(0), &arguments).status.success());
}

#[test]
fn a_folder_with_other_things_in_it_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("thesis.tex"), "important").unwrap();
    let output = decode(&one_read(0), &["--ctf", folder.path().to_str().unwrap()]);
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
